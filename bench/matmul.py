"""float32 matrix products: share of the FMA peak that the same run measures, beside NumPy's OpenBLAS."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

from report import Report, number
from systems import PAUSE, Worker, insitu, numpy_here, ratios, running
from workloads import PRODUCTS, Product


def run(rounds: int = 7, seconds: float = 0.15, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time every product on one thread and on ``threads``; in a round each system measures each product once.

    ``only`` keeps products whose name begins with one of these.
    """
    chosen = [k for k, p in enumerate(PRODUCTS) if not only or p.name.startswith(only)]
    counts = [1, threads] if threads > 1 else [1]
    systems = [dataclasses.replace(make(n), name=f"{make(n).name} {n}") for n in counts for make in (insitu, numpy_here)]
    times: dict[tuple[str, int], list[float]] = {(s.name, k): [] for s in systems for k in chosen}
    shares: dict[tuple[str, int], list[float]] = {(f"insitu {n}", k): [] for n in counts for k in chosen}
    limits: dict[str, list[dict[str, float]]] = {f"insitu {n}": [] for n in counts}
    with running(systems, "matmul") as workers:
        for worker in workers:
            for k in chosen:
                worker.ask(do="warm", job=k, seconds=0.0)
        for number_ in range(rounds):
            turn = number_ % len(workers)
            order = [*workers[turn:], *workers[:turn]]
            for worker in order:
                if worker.system.name in limits:
                    limits[worker.system.name].append(worker.ask(do="machine"))
            for k in chosen:
                _one_round(order, k, seconds, times, shares)
    data = [_summary(PRODUCTS[k], k, counts, times, shares, limits) for k in chosen]
    return _report(data, counts, limits, rounds)


def _one_round(
    order: list[Worker], job: int, seconds: float, times: dict[tuple[str, int], list[float]], shares: dict[tuple[str, int], list[float]]
) -> None:
    for worker in order:
        key = worker.system.name, job
        time.sleep(PAUSE)
        if key in shares:
            spent, share = worker.ask(do="share", job=job, of=len(PRODUCTS), seconds=seconds)
            shares[key].append(share)
        else:
            spent = worker.ask(do="measure", job=job, seconds=seconds)
        times[key].append(spent)


def _summary(
    product: Product, job: int, counts: list[int], times: dict[tuple[str, int], list[float]], shares: dict[tuple[str, int], list[float]],
    limits: dict[str, list[dict[str, float]]],
) -> dict[str, Any]:  # fmt: skip
    found: dict[str, Any] = {"name": product.name, "chain": product.chain}
    for n in counts:
        ours, theirs = times[f"insitu {n}", job], times[f"numpy {n}", job]
        share = statistics.median(shares[f"insitu {n}", job])
        found[f"gflops_{n}"], found[f"peak_share_{n}"] = product.flop / min(ours) / 1e9, share
        # one product's operands: in a chain they stay in the caches, so memory does not limit it
        memory = [product.bytes / m["read_gbs"] / 1e9 if product.chain == 1 else 0 for m in limits[f"insitu {n}"]]
        found[f"limit_share_{n}"] = max(share, min(memory) / min(ours))
        found[f"numpy_ratio_{n}"] = ratios(theirs, ours) if theirs else None
    if len(counts) > 1:
        found["scaling"] = ratios(times["insitu 1", job], times[f"insitu {counts[1]}", job])
    return found


def _report(data: list[dict[str, Any]], counts: list[int], limits: dict[str, list[dict[str, float]]], rounds: int) -> Report:
    head = ["m x k x n, case"]
    for n in counts:
        head += [f"GFLOP/s x{n}", "of peak", "of limit", "vs numpy"]
    head += ["threads gain"] if len(counts) > 1 else []
    rows = []
    for found in data:
        row = [found["name"]]
        for n in counts:
            shares = [f"{100 * found[f'{k}_share_{n}']:.0f} %" for k in ("peak", "limit")]
            row += [number(found[f"gflops_{n}"]), *shares, number(found[f"numpy_ratio_{n}"], "x")]
        rows.append([*row, *([number(found["scaling"], "x")] if "scaling" in found else [])])
    machine = {n: {k: statistics.median(m[k] for m in limits[f"insitu {n}"]) for k in ("gflops", "read_gbs")} for n in counts}
    peaks = "; ".join(f"{n} threads: fma peak {number(m['gflops'])} GFLOP/s, memory {number(m['read_gbs'])} GB/s" for n, m in machine.items())
    note = (
        f"{peaks}\nt: the operand is stored transposed. Sizes up to 256: a chain of products in one compiled program, and in a loop with NumPy."
        "\nof peak: the median of products and multiply-adds on registers in turns, some milliseconds of each"
        "\nof limit: that, or the share of the bandwidth of reading memory where touching each operand of a single product once takes longer"
    )
    return Report(f"float32 matmul, {rounds} rounds", note, head, rows, {"products": data, "machine": machine})
