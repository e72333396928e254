"""Training steps of three small networks beside the same in other frameworks."""

from __future__ import annotations

import math
import statistics
from typing import Any

from report import Report, beside, number
from systems import best_ratio, insitu, peers, ratios, running, take_turns
from workloads import TITLES

FRAMEWORKS = ("tensorflow", "tensorflow xla", "pytorch", "pytorch compile", "jax")
#: Relative difference of two systems' losses that rounding explains (network a amplifies it tenfold in five steps).
TOLERANCE = 1e-3


def run(rounds: int = 15, seconds: float = 0.3, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time one step of each network, in turns."""
    data: dict[str, Any] = {}
    for net in TITLES:
        with running([insitu(threads), *peers(threads, only)], net) as workers:
            losses = {w.system.name: w.ask(do="warm", job=0, seconds=0.5) for w in workers}
            times = take_turns(workers, 0, rounds, seconds)
        data[net] = {
            "ms": {name: 1e3 * statistics.median(t) for name, t in times.items()},
            "ratios": {name: ratios(t, times["insitu"]) for name, t in times.items()} if "insitu" in times else {},
            "best_framework": best_ratio(times, FRAMEWORKS),
            "numpy": best_ratio(times, ["numpy"]),
            "losses": losses,
            "losses_agree": agree(list(losses.values())),
        }
    return _report(data, threads, rounds)


def agree(losses: list[list[float]]) -> bool:
    """Whether the losses of all systems are those of the first one."""
    return all(math.isclose(x, y, rel_tol=TOLERANCE) for row in losses for x, y in zip(row, losses[0], strict=True))


def _report(data: dict[str, Any], threads: int, rounds: int) -> Report:
    names = list(dict.fromkeys(name for found in data.values() for name in found["ms"]))
    rows = []
    for net, found in data.items():
        cells = [beside(found["ms"].get(n), found["ratios"].get(n) if n != "insitu" else None) for n in names]
        best = [number(found[k], "x") for k in ("best_framework", "numpy")]
        rows.append([f"{net}  {TITLES[net]}", *cells, *best, "yes" if found["losses_agree"] else "NO"])
    head = ["training step, ms (times slower than insitu)", *names, "best framework", "numpy", "losses agree"]
    note = "ratios are medians of the ratios within a round; 'best framework': the fastest of TensorFlow, PyTorch and JAX in each round"
    return Report(f"training, {threads} threads, {rounds} rounds", note, head, rows, data)
