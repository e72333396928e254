"""What insitu itself costs: building nodes, calling a compiled function, launching a kernel."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import Report, number

import insitu as si


def _each(action: Callable[[], Any], count: int) -> float:
    """Seconds of one action in a loop of ``count``."""
    begin = time.perf_counter()
    for _ in range(count):
        action()
    return (time.perf_counter() - begin) / count


def _actions() -> dict[str, tuple[Callable[[], Any], int, int]]:
    """By name: the action, how often it runs in one timed loop, and how many things one action does."""
    x, y = si.asarray(np.ones(10, np.float32)), si.asarray(np.ones(10, np.float32))
    w = si.asarray(np.ones((10, 10), np.float32))
    ten = [si.asarray(np.ones(4, np.float32)) for _ in range(10)]
    all_ten = si.compile(lambda *arrays: [a + 1 for a in arrays])
    one = si.compile(lambda a: a + 1)

    def products(count: int) -> Callable[[], Any]:
        def chain(a: si.Array) -> si.Array:
            for _ in range(count):
                a = a @ w
            return a

        compiled = si.compile(chain)
        start = si.asarray(np.ones((10, 10), np.float32))
        return lambda: compiled(start)

    base = np.ones(10, np.float32)
    variables = [si.Variable(np.zeros(4, np.float32)) for _ in range(14)]

    @si.compile
    def update(a: si.Array) -> None:
        for v in variables:
            v.assign(v.value * 0.5 + a)

    four, many = ten[0], si.asarray(np.ones(4 * 50, np.float32))
    return {
        "node: x + y": (lambda: x + y, 200, 1),
        "node: x @ w": (lambda: x @ w, 200, 1),
        "node: si.sum(x)": (lambda: si.sum(x), 200, 1),
        "node: x[2:5]": (lambda: x[2:5], 200, 1),
        "compiled call, one array": (lambda: one(x), 200, 1),
        "compiled call, ten small arrays": (lambda: all_ten(*ten), 200, 1),
        "compiled call, 14 variables": (lambda: update(four), 200, 1),
        "a step of run_many, 14 variables": (lambda: update.run_many(many, steps=50, split=[0]), 20, 50),
        "1 product of 10x10": (products(1), 100, 1),
        "65 products of 10x10": (products(65), 30, 1),
        "NumPy x + x, ten floats (reference)": (lambda: base + base, 500, 1),
    }


def run(rounds: int = 15, seconds: float = 0.0, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Each action in turn, ten short loops a round; the smallest time counts, as others may have the machine for a while."""
    si.config.threads = threads
    actions = _actions()
    for action, _, _ in actions.values():
        _each(action, 20)
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(10 * rounds):
        for name, (action, count, things) in actions.items():
            times[name].append(_each(action, count) / things)
    best = {name: min(t) for name, t in times.items()}
    best["one more kernel in a program"] = (best.pop("65 products of 10x10") - best.pop("1 product of 10x10")) / 64
    rows = [[name, number(1e6 * t)] for name, t in best.items()]
    reference = statistics.median(times["NumPy x + x, ten floats (reference)"])
    note = f"smallest of {10 * rounds} loops; median of the reference: {number(1e6 * reference)} us"
    return Report("overhead", note, ["", "us"], rows, {name: 1e6 * t for name, t in best.items()})
