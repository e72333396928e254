"""Fused element-wise and row kernels on arrays larger than the caches, with the share of memory bandwidth they reach."""

from __future__ import annotations

import statistics
from typing import Any

from report import Report, beside, number
from systems import best_ratio, insitu, peers, ratios, running, take_turns
from workloads import TRAFFIC


def run(rounds: int = 9, seconds: float = 0.3, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time the chain, softmax and layer normalisation, in turns."""
    data: dict[str, Any] = {}
    with running([insitu(threads), *peers(threads, only)], "j") as workers:
        ours = [w for w in workers if w.system.name == "insitu"]
        for job, (name, traffic) in enumerate(TRAFFIC.items()):
            before = ours[0].ask(do="machine") if ours else {}
            for worker in workers:
                worker.ask(do="warm", job=job, seconds=0.3)
            times = take_turns(workers, job, rounds, seconds)
            after = ours[0].ask(do="machine") if ours else {}
            medians = {system: statistics.median(t) for system, t in times.items()}
            data[name] = {
                "ms": {system: 1e3 * t for system, t in medians.items()},
                "gbs": {system: traffic / t / 1e9 for system, t in medians.items()},
                "ratios": {system: ratios(t, times["insitu"]) for system, t in times.items()} if ours else {},
                "best_peer": best_ratio(times, [system for system in times if system != "insitu"]),
                "machine_gbs": (before["triad_gbs"] + after["triad_gbs"]) / 2 if ours else None,
            }
    return _report(data, threads, rounds)


def _report(data: dict[str, Any], threads: int, rounds: int) -> Report:
    names = list(dict.fromkeys(name for found in data.values() for name in found["ms"]))
    rows = []
    for job, found in data.items():
        cells = [beside(found["ms"].get(n), found["ratios"].get(n) if n != "insitu" else None) for n in names]
        rows.append([job, *cells, number(found["best_peer"], "x"), number(found["gbs"].get("insitu")), number(found["machine_gbs"])])
    head = ["ms (times slower than insitu)", *names, "best peer", "insitu GB/s", "memory GB/s"]
    note = "GB/s: least traffic (inputs read once, the output written once) over time; memory: the better triad of the same run"
    return Report(f"element-wise and rows, {threads} threads, {rounds} rounds", note, head, rows, data)
