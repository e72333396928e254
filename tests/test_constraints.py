"""Every public callable holds its arguments to what it declares: wrong values give a `UserError` of the right page, never anything else."""

from __future__ import annotations

import inspect
import types
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import insitu as si
from insitu import arguments
from insitu.arguments import REFUSED, Function, constraints_of, odd_values, parameters_of
from insitu.errors import InsituWarning, UserError
from insitu.pages import slugs

MODULES = [
    si, si.data, si.io, si.nn, si.nn.activations, si.nn.callbacks, si.nn.constraints, si.nn.initializers, si.nn.losses, si.nn.metrics,
    si.nn.pictures, si.nn.regularizers, si.optim, si.optim.schedules, si.vision, si.vision.models, si.debug,
]  # fmt: skip
RANDOM = [
    "bernoulli", "choice", "default_rng", "exponential", "gumbel", "integers", "lognormal", "normal", "permutation", "random", "seed", "shuffle",
    "standard_exponential", "standard_normal", "truncated_normal", "uniform",
]  # fmt: skip
#: Names that are no functions for users of the library, or that have no arguments of their own.
LEFT_OUT = {
    "Array": "made by functions",
    "DType": "there are thirteen of them",
    "Symbol": "made by Input",
    "Functional": "made by Model",
    "History": "made by fit",
    "Pictures": "made by plot",
    "Contribution": "made by contributions",
    "Variable": "no limits but those of asarray",
    "gallery": "draws on a console of rich",
    "legend": "draws on a console of rich",
    "CallbackList": "made by fit",
    "explain": "looks names up; tested with the pages",
    "rate": "called by optimizers",
    "as_dtype": "takes what every dtype argument takes",
    "register": "takes a function or a name; tested apart",
    "config": "an object; its settings are tested apart",
}


def public() -> dict[str, Callable[..., Any]]:
    """Every public class and function by its name, each once."""
    found: dict[int, tuple[str, Callable[..., Any]]] = {}
    for module in MODULES:
        names = list(getattr(module, "__all__", None) or vars(module))
        names += [n for n in ("load", "save") if module is si]
        for name in sorted(names):
            value = getattr(module, name, None)
            ours = getattr(value, "__module__", "").startswith("insitu")
            there = hasattr(module, "__all__") or getattr(value, "__module__", "") == module.__name__
            if callable(value) and ours and there and not name.startswith("_") and not isinstance(value, types.ModuleType):
                found.setdefault(id(value), (f"{module.__name__.replace('insitu', 'si')}.{name}", value))
    random = {f"si.random.{name}": getattr(si.random, name) for name in RANDOM}
    return {name: value for name, value in found.values() if name.rpartition(".")[2] not in LEFT_OUT} | random


def small_model() -> Any:
    model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(4, activation="relu"), si.nn.Dense(2)])
    model.compile("sgd", "mse")
    return model


MODEL = small_model()
METHODS = {
    f"model.{n}": getattr(MODEL, n)
    for n in (
        "check", "compile", "evaluate", "fit", "get_layer", "load_weights", "optimize_for_inference", "predict", "predict_on_batch", "save",
        "save_weights", "summary", "test_on_batch", "train_on_batch",
    )
} | {
    f"dataset.{n}": getattr(si.data.Dataset([1, 2, 3]), n)
    for n in ("batch", "enumerate", "from_generator", "map", "prefetch", "repeat", "set_epoch", "shuffle", "skip", "take")
}  # fmt: skip
PUBLIC = public() | METHODS
PAGES = frozenset(slugs())


def doubled(x: Any) -> Any:
    return 2 * x


X, Y = np.ones((6, 4), np.float32), np.ones((6, 2), np.float32)
GRID, KERNEL = np.ones((1, 5, 5, 2), np.float32), np.ones((2, 2, 2, 2), np.float32)
POOLED = {"x": GRID, "pool_size": 2}
#: Arguments for functions that need some that belong together.
FITTING: dict[str, dict[str, Any]] = {
    "si.vjp": {"function": doubled, "primals": (np.ones(2, np.float32),)},
    "si.jvp": {"function": doubled, "primals": [np.ones(2, np.float32)], "tangents": [np.ones(2, np.float32)]},
    "si.tensordot": {"axes": 1},
    "si.split": {"indices_or_sections": 2},
    "si.data.save_image": {"path": "a.png"},
    "si.nn.metrics.IoU": {"target_class_ids": [0]},
    "si.nn.pictures.plot": {"layer": small_model().layers[0]},
    "si.nn.pictures.contributions": {"model": small_model(), "x": X, "cls": 1},
    "si.nn.pictures.plot_contributions": {"model": small_model(), "x": X, "cls": 1},
    "si.nn.pictures.save": {"pictures": [np.ones((2, 2))]},
    "model.check": {"x": X, "y": Y, "verbose": 0},
    "model.evaluate": {"x": X, "y": Y, "verbose": 0},
    "model.fit": {"x": X, "y": Y, "verbose": 0},
    "model.predict": {"x": X},
    "model.predict_on_batch": {"x": X},
    "model.test_on_batch": {"x": X, "y": Y},
    "model.train_on_batch": {"x": X, "y": Y},
    "model.get_layer": {"index": 0},
    "model.optimize_for_inference": {"x": X},
    "model.compile": {"loss": "mse"},
    "si.optim.serialize": {"optimizer": si.optim.SGD()},
    "si.optim.schedules.serialize": {"schedule": si.optim.schedules.InverseTimeDecay(0.1, 2, 0.5)},
    "si.optim.schedules.get": {"identifier": si.optim.schedules.InverseTimeDecay(0.1, 2, 0.5)},
    "si.vision.preprocess_input": {"x": [[0.0, 1.0, 2.0]]},
    "si.conv": {"x": GRID, "kernel": KERNEL},
    "si.conv_transpose": {"x": GRID, "kernel": KERNEL},
    "si.depthwise_conv": {"x": GRID, "kernel": KERNEL},
    "si.separable_conv": {"x": GRID, "depthwise_kernel": KERNEL, "pointwise_kernel": np.ones((1, 1, 4, 2), np.float32)},
    "si.max_pool": POOLED,
    "si.average_pool": POOLED,
    "si.adaptive_average_pool": {"x": GRID, "output_size": 2},
    "si.extract_patches": {"x": GRID, "size": 2},
    "si.resize": {"x": GRID, "size": 2},
}


def usual(name: str, target: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that the callable takes: the needed ones."""
    declared = constraints_of(target)
    needed = [n for n, p in parameters_of(target).items() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    together = FITTING.get(name, {})
    return {n: declared[n].fits[0] for n in needed if n in declared and n not in together} | together


def called(target: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], given: dict[str, Any]) -> Any:
    """The result of a call, computed."""
    args, kwargs = [], dict(given)
    for n, p in parameters.items():
        if p.kind is p.POSITIONAL_ONLY and n in kwargs:
            args.append(kwargs.pop(n))
        elif p.kind is p.VAR_POSITIONAL and n in kwargs:
            args += kwargs.pop(n)
    result = target(*args, **kwargs)
    if isinstance(result, si.Array):
        si.evaluate(result)
    return result


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to write to, no network, and the random numbers as they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSITU_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no network in tests")))
    state = si.random.default_generator().state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsituWarning)
        yield
    si.random.default_generator().state = state


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_declared(name: str) -> None:
    target = PUBLIC[name]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert [n for n, p in parameters_of(target).items() if n not in constraints_of(target) and p.kind not in kinds] == []


def declaring(target: Callable[..., Any], argument: str) -> Any:
    """What declares an argument: a class that passes its arguments on leaves it to a base."""
    if not isinstance(target, type):
        return target
    return next((cls for cls in target.__mro__ if argument in getattr(vars(cls).get("__init__"), "__constraints__", {})), target)


def first_uses() -> dict[tuple[int, str], str]:
    """For each declaration the first public name that has it."""
    found: dict[tuple[int, str], str] = {}
    for name, target in PUBLIC.items():
        for argument in constraints_of(target):
            found.setdefault((id(declaring(target, argument)), argument), name)
    return found


FIRST = first_uses()


def values_for(name: str, argument: str, constraint: arguments.Constraint) -> list[Any]:
    """Odd values, those near the border, and some that fit; a few where a base class declares what another name is tested with."""
    if FIRST[id(declaring(PUBLIC[name], argument)), argument] != name:
        return [10**400, "a\0b", np.zeros((2, 0)), object()]
    odd = odd_values()
    if constraint.inside:  # arrays: functions that take them are many and share what reads them, so that each gets a third
        odd = odd[zlib.crc32(f"{name} {argument}".encode()) % 3 :: 3]
    return [*odd, *constraint.borders, *constraint.fits]


@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_values_are_refused_with_the_page_of_their_constraint(name: str) -> None:
    target, wrong = PUBLIC[name], []
    parameters, others = parameters_of(target), usual(name, target)
    for argument, constraint in constraints_of(target).items():
        if (name, argument) == ("si.nn.ActivityRegularization", "activity_regularizer"):
            continue  # it sets this argument of its base itself
        for value in values_for(name, argument, constraint):
            if (value is object or value is abs) and isinstance(constraint, Function):
                continue  # can be called, but not in this way: that is the error of the function
            own = {constraint.slug, *[p.slug for p in getattr(constraint, "parts", ())]}
            try:
                refused = constraint.take(value) is REFUSED
            except UserError as error:
                refused, own = True, own | {error.slug}
            if not refused and name.startswith("si.vision.models."):
                continue  # a whole network would be made
            try:
                called(target, parameters, others | {argument: value})
            except UserError as error:
                if error.slug not in PAGES or (refused and error.slug not in own):
                    wrong.append(f"{argument}={arguments.told(value)}: {error.slug}")
            except BaseException as error:  # what is not told as the user's mistake is one of ours
                wrong.append(f"{argument}={arguments.told(value)}: {type(error).__name__}: {str(error)[:90]}")
            else:
                if refused:
                    wrong.append(f"{argument}={arguments.told(value)} was taken")
    assert wrong == []
