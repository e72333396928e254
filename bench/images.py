"""Networks and kernels for images beside the same in other systems: steps, first steps, memory."""

from __future__ import annotations

import statistics
from typing import Any

from image_jobs import CONVOLUTIONS, TITLES
from report import Report, beside, number, percent
from systems import Worker, best_ratio, insitu, peers, ratios, running, take_turns
from training import FRAMEWORKS, agree

#: Inference engines, which train nothing.
ENGINES = ("onnxruntime", "openvino")
#: Networks whose first losses differ, since dropout draws other numbers.
_RANDOM = ("c",)


def run(rounds: int = 5, seconds: float = 0.5, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time one step of each network and one run of each convolution, in turns; ``only`` names peers or networks."""
    nets = [n for n in (*TITLES, "l") if n in only] or [*TITLES, "l"]
    named = tuple(n for n in only if n not in nets)
    data: dict[str, Any] = {}
    for net in nets:
        engines = net in ("i1", "i8", "l")
        with running([insitu(threads, "image_jobs"), *peers(threads, named, ENGINES if engines else ())], net) as workers:
            data |= _convolutions(workers, rounds, seconds) if net == "l" else {net: _network(workers, net, rounds, seconds)}
            if net != "l":
                data[net]["again_s"] = _first_again(workers, net, threads)
    return _report(data, threads, rounds)


def _network(workers: list[Worker], net: str, rounds: int, seconds: float) -> dict[str, Any]:
    first = {w.system.name: w.ask(do="first", job=0) for w in workers}
    for w in workers:
        w.ask(do="warm", job=0, seconds=0.5)
    times = take_turns(workers, 0, rounds, seconds)
    losses = {name: [loss] for name, (_, loss) in first.items()}
    return {
        **_compared(times),
        "first_s": {name: seconds for name, (seconds, _) in first.items()},
        "memory_mb": {w.system.name: w.ask(do="memory") for w in workers},
        "losses": losses,
        "losses_agree": net in _RANDOM or agree(list(losses.values())),
    }


def _first_again(workers: list[Worker], net: str, threads: int) -> float:
    """Seconds of insitu's first step in a new process that finds the kernels on disk."""
    again = Worker(insitu(threads, "image_jobs"), net, workers[0].scratch)
    try:
        return float(again.ask(do="first", job=0)[0])
    finally:
        again.stop()


def _convolutions(workers: list[Worker], rounds: int, seconds: float) -> dict[str, Any]:
    """The convolutions of forward passes; of a peer with several layouts the fastest in each round counts."""
    found: dict[str, Any] = {}
    for k, (name, (n, inputs, height, width, outputs, window, stride, padding)) in enumerate(CONVOLUTIONS.items()):
        times: dict[str, list[float]] = {}
        for layout in range(2):
            some = [w for w in workers if w.system.name == "insitu" or layout < len(w.jobs) // len(CONVOLUTIONS)]
            each = take_turns(some, 0, rounds, seconds, {w.system.name: _place(w, k, layout) for w in some})
            for system, measured in each.items():
                times[system] = [min(pair) for pair in zip(times.get(system, measured), measured, strict=True)]
        across = [(m + 2 * padding - window) // stride + 1 for m in (height, width)]
        flop = 2 * n * outputs * inputs * window**2 * across[0] * across[1]
        peak = workers[0].ask(do="machine")["gflops"]
        found[name] = {**_compared(times), "gflops": flop / min(times["insitu"]) / 1e9, "peak_gflops": peak}
    return found


def _place(worker: Worker, k: int, layout: int) -> int:
    layouts = len(worker.jobs) // len(CONVOLUTIONS)
    return k * layouts + layout % layouts


def _compared(times: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "ms": {name: 1e3 * statistics.median(t) for name, t in times.items()},
        "ratios": {name: ratios(t, times["insitu"]) for name, t in times.items()} if "insitu" in times else {},
        "best": best_ratio(times, (*FRAMEWORKS, *ENGINES)),
    }


def _report(data: dict[str, Any], threads: int, rounds: int) -> Report:
    names = list(dict.fromkeys(name for found in data.values() for name in found["ms"]))
    rows = []
    for work, found in data.items():
        cells = [beside(found["ms"].get(n), found["ratios"].get(n) if n != "insitu" else None) for n in names]
        share = f"{percent(found['gflops'] / found['peak_gflops'])} of peak" if "gflops" in found else ""
        rows.append([f"{work}  {TITLES[work]}" if work in TITLES else work, *cells, number(found["best"], "x"), share])
    for title, key in (("first step, s", "first_s"), ("memory, MB", "memory_mb")):
        for work in (w for w in data if key in data[w]):
            again = f"{number(data[work]['again_s'])} s with kernels on disk" if key == "first_s" else ""
            rows.append([f"{work}  {title}", *[number(data[work][key].get(n)) for n in names], "", again])
    head = ["one step, ms (times slower than insitu)", *names, "best peer", ""]
    wrong = [work for work, found in data.items() if found.get("losses_agree") is False]
    note = f"losses differ in: {', '.join(wrong)}" if wrong else "the first losses of all systems agree (c has dropout)"
    return Report(f"images, {threads} threads, {rounds} rounds", note, head, rows, data)
