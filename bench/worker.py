"""One system in one process that waits for its turn: ``worker.py MODULE WORKLOAD MODE THREADS``.

Runs under each system's own Python (standard library only). MODULE has ``build(workload, mode,
threads)``, which gives one job or several (see `workloads.Job`). Commands and answers are lines of
JSON on standard input and output.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

#: About this long between two looks at the clock, seconds.
CHUNK = 0.01


def per_step(job: Any, seconds: float) -> float:
    """Median time of one step over chunks of steps that take ``seconds`` together."""
    start, steps = time.perf_counter(), _steps(job)
    chunks: list[float] = []
    while len(chunks) < 3 or time.perf_counter() - start < seconds:
        chunks.append(_chunk(job, steps))
    return statistics.median(chunks)


def share(job: Any, other: Any, seconds: float) -> dict[str, float]:
    """Median time of one step, and median rate beside that of another job, of operations if that one has any, else of bytes: a chunk
    of each in turns, so that both meet one machine. And the best rates of both.
    """
    start, steps, others = time.perf_counter(), _steps(job), _steps(other)
    done, compared = (job.flop, other.flop) if other.flop else (job.bytes, other.bytes)
    chunks: list[float] = []
    between = [_chunk(other, others)]
    while len(chunks) < 3 or time.perf_counter() - start < seconds:
        chunks.append(_chunk(job, steps))
        between.append(_chunk(other, others))
    shares = [done / chunk * sum(pair) / (2 * compared) for chunk, pair in zip(chunks, itertools.pairwise(between), strict=True)]
    return {"s": statistics.median(chunks), "share": statistics.median(shares), "best": done / min(chunks), "other_best": compared / min(between)}


def _steps(job: Any) -> int:
    """How many steps make a chunk."""
    job.wait(job.step())  # the first step of a turn finds cold caches and is not counted
    begin = time.perf_counter()
    job.wait(job.step())
    return max(1, min(2000, int(CHUNK / max(time.perf_counter() - begin, 1e-7))))


def _chunk(job: Any, steps: int) -> float:
    """Time of one of so many steps."""
    begin = time.perf_counter()
    for _ in range(steps):
        handle = job.step()
    job.wait(handle)
    return (time.perf_counter() - begin) / steps


def first_step(job: Any) -> list[float]:
    """Seconds of the first step and of what had to be made ready for it (weights and imports are not counted), and its loss."""
    begin = time.perf_counter()
    handle = job.step()
    job.wait(handle)
    seconds = time.perf_counter() - begin + getattr(job, "setup_s", 0.0)
    return [seconds, *([float(job.value(handle))] if job.value is not None else [])]


class Jobs:
    """The jobs that a module builds, made when they are asked for: those of a generator share their variables, so that only the last is whole."""

    def __init__(self, build: Callable[[], Any]) -> None:
        built = build()
        self.made: list[Any] = list(built) if isinstance(built, (list, tuple)) else [] if hasattr(built, "__next__") else [built]
        self.names = [job.name for job in self.made] or [job.name for job in built]
        self._more = iter(()) if self.made else build()

    def __getitem__(self, number: int) -> Any:
        while number >= len(self.made):
            self.made.append(next(self._more))
        return self.made[number]


def warm_up(job: Any, seconds: float) -> list[float]:
    """Run at least five steps; the losses of the first and the fifth where the job has them."""
    losses: list[float] = []
    start = time.perf_counter()
    count = 0
    while count < 5 or time.perf_counter() - start < seconds:
        handle = job.step()
        job.wait(handle)
        count += 1
        if job.value is not None and count in (1, 5):
            losses.append(float(job.value(handle)))
    return losses


def answer(command: dict[str, Any], jobs: Jobs, module: Any) -> Any:
    if command["do"] == "first":
        return first_step(jobs[command["job"]])
    if command["do"] == "memory":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB, on Linux
    if command["do"] == "warm":
        return warm_up(jobs[command["job"]], command["seconds"])
    if command["do"] == "measure":
        return per_step(jobs[command["job"]], command["seconds"])
    if command["do"] == "share":
        return share(jobs[command["job"]], jobs[command["of"]], command["seconds"])
    return module.machine()


def main() -> None:
    name, workload, mode, threads = sys.argv[1:5]
    sys.argv = [name, workload, "--mode", mode, "--threads", threads]  # where the peers' scripts look for it
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # nobody can use a second core unseen
    try:
        module = importlib.import_module(name)
        jobs = Jobs(lambda: module.build(workload, mode, int(threads)))
        print(json.dumps({"jobs": [name or workload for name in jobs.names]}), file=replies, flush=True)
        for line in sys.stdin:
            print(json.dumps({"value": answer(json.loads(line), jobs, module)}), file=replies, flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=replies, flush=True)
        raise


if __name__ == "__main__":
    main()
