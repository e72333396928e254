"""``insitu demo``: a digit classifier is trained, saved, reloaded and used."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import insitu as si
from insitu.config import config
from insitu.errors import InternalError
from insitu.nn.pictures import gallery, legend, plot_contributions

Say = Callable[[str], None]

BATCH = 64
LAYERS = (256, 128)
#: The class whose hidden nodes are shown.
_LOOKED_AT = 3
#: Nodes whose weights are shown: a row of 80 columns.
_SHOWN = 7
#: Rows and columns by which each training picture is also moved: a digit stays what it is.
MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))


def run_demo(epochs: int, seed: int, output: str | None) -> dict[str, Any]:
    """Run it and give the facts.

    Parameters
    ----------
    epochs, seed : int
    output : str, optional
        File to keep the model in; without it a temporary one is used.

    Returns
    -------
    dict
        ``accuracy``, ``bits_agree``, ``first_step_seconds``, ``examples_per_second``, ``gflops``, ``peak_gflops``, ``seconds``.
    """
    console = Console()

    def say(text: str) -> None:
        console.print(text, highlight=False)

    (x_train, y_train), (x_test, y_test) = si.data.digits()
    say(f"[bold]insitu demo[/]: {len(x_train):,} handwritten digits to learn from, {len(x_test)} others to be tested on.")
    x_train, y_train = _moved(x_train), np.tile(y_train, len(MOVES))
    say(f"Each is also moved by a pixel in four directions: {len(x_train):,} pictures, {epochs} times.\n")
    model, history, seconds = _train(x_train, y_train, epochs, seed)
    probabilities = model.predict(x_test, batch_size=len(x_test))
    said = probabilities.argmax(-1)
    accuracy = float((said == y_test).mean())
    say(f"\n[bold]{accuracy:.1%}[/] of the {len(x_test)} held-out digits are read right.\n")
    _draw(console, x_test, y_test, said)
    _look_inside(console, model, x_test, y_test)
    bits_agree = _reload(model, probabilities, output, say)
    report = {"accuracy": accuracy, "bits_agree": bits_agree, **_speed(model, history, seconds, len(x_train))}
    _tell_speed(report, seconds, say)
    return report


def digest_of_file(path: str) -> str:
    """The sha256 of the predictions on the test digits by the model in a file."""
    (_, _), (x_test, _) = si.data.digits()
    return _digest(si.load(path).predict(x_test, batch_size=len(x_test)))


def _digest(predictions: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(predictions).tobytes()).hexdigest()


def _moved(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """All pictures, then all of them moved by each of `MOVES`."""
    height, width = pictures.shape[1:]
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    return np.concatenate([padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width] for down, right in MOVES])


def _train(x: Any, y: Any, epochs: int, seed: int) -> tuple[Any, Any, float]:
    """The trained model, its history, and the seconds it took."""
    start = time.perf_counter()
    si.random.seed(seed)
    hidden = [si.nn.Dense(units, activation="relu") for units in LAYERS]
    model = si.nn.Sequential([si.nn.Flatten(), *hidden, si.nn.Dense(10, activation="softmax")])
    model.compile(si.optim.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=1 if sys.stdout.isatty() else 0)
    return model, history, time.perf_counter() - start


def _draw(console: Console, x: Any, y: Any, said: Any) -> None:
    right, wrong = np.flatnonzero(said == y), np.flatnonzero(said != y)
    shown = [int(right[y[right] == digit][0]) for digit in range(10) if (y[right] == digit).any()]
    console.print("Some that are right:", highlight=False)
    gallery(console, [x[i] for i in shown], [f"{said[i]}" for i in shown])
    if len(wrong):
        console.print(f"\nAll {len(wrong)} that are wrong:" if len(wrong) > 1 else "\nThe one that is wrong:", highlight=False)
        gallery(console, [x[i] for i in wrong], [f"{said[i]}, is {y[i]}" for i in wrong])


def _look_inside(console: Console, model: Any, x: Any, y: Any) -> None:
    """The weights of some nodes of the first layer, and the hidden nodes that speak for one class."""
    for_it, against = legend(console)
    console.print(f"\nNodes of the first layer: ink at {for_it} speaks for one, at {against} against it:", highlight=False, markup=False)
    first = model.layers[1]
    strongest = np.argsort(-np.linalg.norm(first.get_weights()[0], axis=0), kind="stable")
    first.plot(units=sorted(strongest[:_SHOWN].tolist()))
    console.print(f"\nThe hidden nodes that contribute most to the digit {_LOOKED_AT}, and by how much:", highlight=False)
    plot_contributions(model, x[y == _LOOKED_AT], _LOOKED_AT, top=_SHOWN - 1)


def _reload(model: Any, probabilities: Any, output: str | None, say: Say) -> bool:
    """Whether a new process reads the file and gives the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(output) if output else Path(folder) / "digits.insitu"
        model.save(path)
        nbytes = path.stat().st_size
        package = str(Path(__file__).resolve().parents[2])
        search = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "insitu", "predict-digits", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": search}, check=False)
    if done.returncode:
        raise InternalError(f"the saved model could not be used in a new process:\n{done.stderr.strip()}")
    agree = done.stdout.split()[-1:] == [_digest(probabilities)]
    place = f"to {output} " if output else ""
    verdict = "the same bits" if agree else "[bold red]other bits[/]"
    say(f"\nSaved {place}({nbytes / 1024:.0f} KiB), reloaded in a new process, predicted again: {verdict}.")
    return agree


def _speed(model: Any, history: Any, seconds: float, examples: int) -> dict[str, float]:
    from insitu.runtime.measure import peak_gflops

    first = history.first_step_seconds
    steady = max(seconds - first, 1e-9)
    rate = (examples * len(history.epoch) - BATCH) / steady
    return {
        "first_step_seconds": first,
        "examples_per_second": rate,
        "gflops": rate * _flops_per_example(model) / 1e9,
        "peak_gflops": peak_gflops(config.threads),
        "seconds": seconds,
    }


def _flops_per_example(model: Any) -> int:
    """Multiplications and additions of the matrix products: forward, weights' gradient, and inputs' gradient but for the first layer."""
    kernels = [w for w in model.weights if len(w.shape) == 2]
    return sum(2 * w.size * (2 if i == 0 else 3) for i, w in enumerate(kernels))


def _tell_speed(report: dict[str, Any], seconds: float, say: Say) -> None:
    share = report["gflops"] / report["peak_gflops"]
    say(f"Trained in {seconds:.2f} s; the first step was done after {report['first_step_seconds']:.2f} s, compilation included.")
    say(
        f"{report['examples_per_second']:,.0f} examples/s, {report['gflops']:.1f} GFLOP/s in the matrix products "
        f"({share:.0%} of the {report['peak_gflops']:.0f} GFLOP/s this machine can do; small layers in batches of {BATCH})."
    )
