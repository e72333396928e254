"""float32 matrix products: share of the FMA peak that the same run measures, beside NumPy's OpenBLAS."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

from report import Report, number, percent
from systems import PAUSE, Worker, insitu, numpy_here, ratios, running, shares
from workloads import FAR, PRODUCTS, Product


def run(rounds: int = 7, seconds: float = 0.15, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time every product on one thread and on ``threads``; in a round each system measures each product once.

    ``only`` keeps products whose name begins with one of these.
    """
    chosen = [k for k, p in enumerate(PRODUCTS) if not only or p.name.startswith(only)]
    counts = [1, threads] if threads > 1 else [1]
    systems = [dataclasses.replace(make(n), name=f"{make(n).name} {n}") for n in counts for make in (insitu, numpy_here)]
    found: dict[tuple[str, int], list[dict[str, Any]]] = {(s.name, k): [] for s in systems for k in chosen}
    peaks: dict[str, list[float]] = {f"insitu {n}": [] for n in counts}
    with running(systems, "matmul") as workers:
        for worker in workers:
            for k in chosen:
                worker.ask(do="warm", job=k, seconds=0.0)
        for number_ in range(rounds):
            turn = number_ % len(workers)
            order = [*workers[turn:], *workers[:turn]]
            for worker in order:
                if worker.system.name in peaks:
                    peaks[worker.system.name].append(worker.ask(do="machine")["gflops"])
            for k in chosen:
                for worker in order:
                    found[worker.system.name, k].append(_measure(worker, k, seconds, limits=worker.system.name in peaks))
    data = [_summary(PRODUCTS[k], {n: (found[f"insitu {n}", k], found.get((f"numpy {n}", k), [])) for n in counts}) for k in chosen]
    return _report(data, {n: statistics.median(peaks[f"insitu {n}"]) for n in counts}, rounds)


def _measure(worker: Worker, job: int, seconds: float, limits: bool) -> dict[str, Any]:
    """Seconds of a product, and its rate beside what limits it: multiply-adds, and where that may take longer reading its operands."""
    time.sleep(PAUSE)
    found: dict[str, Any] = {"s": worker.ask(do="measure", job=job, seconds=seconds)}
    if limits:
        found["peak"] = worker.ask(do="share", job=job, of=len(PRODUCTS), seconds=seconds)
        if PRODUCTS[job] in FAR:
            found["read"] = worker.ask(do="share", job=job, of=len(PRODUCTS) + 1 + FAR.index(PRODUCTS[job]), seconds=seconds)
    return found


def _summary(product: Product, measured: dict[int, tuple[list[dict[str, Any]], list[dict[str, Any]]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": product.name, "chain": product.chain}
    for n, (ours, theirs) in measured.items():
        seconds = [m["s"] for m in ours]
        limits = {limit: shares([m[limit] for m in ours]) for limit in ("peak", "read") if limit in ours[0]}
        found[f"limit_{n}"] = limit = max(limits, key=lambda name: limits[name]["share"])
        found[f"gflops_{n}"], found[f"share_{n}"], found[f"best_{n}"] = product.flop / min(seconds) / 1e9, *limits[limit].values()
        found[f"numpy_ratio_{n}"] = ratios([m["s"] for m in theirs], seconds) if theirs else None
    if len(measured) > 1:
        one, more = ([m["s"] for m in measured[n][0]] for n in (1, max(measured)))
        found["scaling"] = ratios(one, more)
    return found


def _report(data: list[dict[str, Any]], peaks: dict[int, float], rounds: int) -> Report:
    counts = list(peaks)
    head = ["m x k x n, case"]
    for n in counts:
        head += [f"GFLOP/s x{n}", "of limit", "at best", "vs numpy"]
    head += ["threads gain"] if len(counts) > 1 else []
    rows = []
    for found in data:
        row = [found["name"]]
        for n in counts:
            row += [number(found[f"gflops_{n}"]), *(percent(found[f"{k}_{n}"]) for k in ("share", "best")), number(found[f"numpy_ratio_{n}"], "x")]
        rows.append([*row, *([number(found["scaling"], "x")] if "scaling" in found else [])])
    note = (
        f"fma peak: {', '.join(f'{number(peak)} GFLOP/s x{n}' for n, peak in peaks.items())}"
        "\nt: the operand is stored transposed. Sizes up to 256: a chain of products in one compiled program, and in a loop with NumPy."
        "\nof limit: the median of products and multiply-adds on registers in turns, some milliseconds of each; or of products and"
        "\nreading as many bytes as they touch, if that is nearer. At best: the best time beside the limit's best."
    )
    return Report(f"float32 matmul, {rounds} rounds", note, head, rows, {"products": data, "peaks": peaks})
