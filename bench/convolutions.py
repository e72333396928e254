"""Convolutions and their gradients: share of the FMA peak, or of the rate of a copy, that the same run measures."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

from image_jobs import LAYERS, PASSES
from report import Report, number, percent
from systems import PAUSE, insitu, running, shares


def run(rounds: int = 7, seconds: float = 0.15, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time every pass of every layer, each in turns with what it is measured against; ``only`` keeps layers whose name begins with one of these."""
    chosen = [k for k, layer in enumerate(LAYERS) if not only or layer.name.startswith(only)]
    jobs = [k * len(PASSES) + n for k in chosen for n in range(len(PASSES))]
    found: dict[int, list[dict[str, float]]] = {job: [] for job in jobs}
    against = len(LAYERS) * len(PASSES)
    with running([dataclasses.replace(insitu(threads), module="image_jobs")], "layers") as workers:
        for worker in workers:
            for _ in range(rounds):
                for job in jobs:
                    time.sleep(PAUSE)
                    of = against + LAYERS[job // len(PASSES)].depthwise
                    found[job].append(worker.ask(do="share", job=job, of=of, seconds=seconds))
    data = {LAYERS[k].name: {name: _summary(found[k * len(PASSES) + n]) for n, name in enumerate(PASSES)} for k in chosen}
    rows = [
        [name, *[cell for of in passes.values() for cell in (number(of["ms"]), percent(of["share"]), percent(of["best"]))]]
        for name, passes in data.items()
    ]
    head = ["layer", *[cell for name in PASSES for cell in (f"{name}, ms", "of limit", "at best")]]
    note = (
        "limit: multiply-adds on registers, in turns with the layer; of a depthwise one the rate of a copy in memory, its grid and its results"
        "\nbeing read or written once. At best: the best time beside the limit's. Multiply-adds with the border's zeros count; Winograd's"
        "\nalgorithm needs fewer than are counted."
    )
    return Report(f"convolutions, {threads} threads, {rounds} rounds", note, head, rows, data)


def _summary(measured: list[dict[str, float]]) -> dict[str, Any]:
    return {"ms": 1e3 * statistics.median(m["s"] for m in measured), **shares(measured)}
