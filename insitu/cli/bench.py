"""``insitu bench``: what insitu reaches on this machine, beside what the machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import insitu as si
from insitu.runtime import measure

#: Square matrix products, and element-wise and row kernels by name: shape, bytes an element must move.
SIZES = (64, 256, 1024)
SHAPE = (2048, 2048)


def run_bench(seconds: float = 0.3) -> dict[str, Any]:
    """All figures; each is the best of many runs within ``seconds``."""
    threads = si.config.threads
    peak, bandwidth = measure.peak_gflops(threads), measure.bandwidth("triad", "memory", threads)
    rng = np.random.default_rng(0)
    report: dict[str, Any] = {"threads": threads, "peak_gflops": peak, "memory_gbs": bandwidth, "products": {}, "kernels": {}}
    for n in SIZES:
        a, b = (si.asarray(rng.standard_normal((n, n), dtype=np.float32)) for _ in range(2))
        rate = 2 * n**3 / _best(si.compile(si.matmul), (a, b), seconds) / 1e9
        report["products"][f"{n}x{n}"] = {"gflops": rate, "share_of_peak": rate / peak}
    x = si.asarray(rng.standard_normal(SHAPE, dtype=np.float32))
    for name, function in _KERNELS.items():
        rate = 2 * x.nbytes / _best(si.compile(function), (x,), seconds) / 1e9
        report["kernels"][name] = {"gbs": rate}
    report["call_seconds"] = _best(si.compile(lambda v: v + 1), (si.ones(4),), seconds)
    return report


def _softmax(x: si.Array) -> si.Array:
    e = si.exp(x - si.max(x, axis=-1, keepdims=True))
    return e / si.sum(e, axis=-1, keepdims=True)


_KERNELS: dict[str, Callable[[si.Array], si.Array]] = {
    "x * 2 + 1": lambda x: x * 2 + 1,
    "tanh(x)": lambda x: si.tanh(x),
    "softmax of rows": _softmax,
}


def _best(function: Callable[..., Any], arguments: tuple[si.Array, ...], seconds: float) -> float:
    """Shortest time of one call; the results are computed, as every compiled call is."""
    function(*arguments)
    best, end = float("inf"), time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        function(*arguments)
        best = min(best, time.perf_counter() - begin)
    return best


def show(report: dict[str, Any]) -> str:
    """The figures as text."""
    can = f"{report['peak_gflops']:.0f} GFLOP/s (float32), {report['memory_gbs']:.0f} GB/s from memory"
    lines = [f"This machine on {report['threads']} threads: {can}."]
    for name, found in report["products"].items():
        lines.append(f"  product {name:<12} {found['gflops']:>6.0f} GFLOP/s  {found['share_of_peak']:.0%} of the peak")
    for name, found in report["kernels"].items():
        lines.append(f"  {name:<20} {found['gbs']:>6.1f} GB/s     of {SHAPE[0]} x {SHAPE[1]} floats")
    lines.append(f"  one compiled call    {1e6 * report['call_seconds']:>6.1f} us")
    return "\n".join(lines)
