"""Whole programs from start to finish: process, imports, data, training, test, for three networks on MNIST.

Each runs in a fresh process, the systems taking turns; a kernel cache stays from round to round, as it would on a user's
machine, and the first round, which fills it and the file cache, is reported apart.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import Report, number
from systems import HERE, ROOT, System, insitu, peers

FOLDER = HERE / "programs_of"
NETWORKS = ("softmax", "hidden", "dropout")
_SYSTEMS = ("insitu", "tensorflow", "pytorch", "jax")


def _data() -> str | None:
    named = os.environ.get("INSITU_DATA_DIR")
    for folder in (Path(named),) if named else (ROOT / "shared" / "data", ROOT.parent / "shared" / "data"):
        if (folder / "mnist").is_dir():
            return str(folder)
    return None


def _run(system: System, network: str, scratch: str, data: str) -> tuple[float, float, float]:
    """Seconds, peak MB and test accuracy of one program."""
    environment = {**system.environment(scratch), "INSITU_DATA_DIR": data, "INSITU_CACHE_DIR": os.path.join(scratch, "kernels")}
    environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *system.path])
    begin = time.perf_counter()
    process = subprocess.Popen(
        [system.python, str(FOLDER / f"{system.name}_program.py"), network], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    spent = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return float("nan"), float("nan"), float("nan")
    return spent, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), float(output.split()[-1])


def run(rounds: int = 3, seconds: float = 0.0, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Time the programs; ``only`` names networks or systems to keep."""
    head = ["program, s (times as long as insitu)", "insitu", "tensorflow", "pytorch", "jax", "best of these", "insitu first", "peak MB", "accuracy"]
    data = _data()
    if data is None:
        return Report("programs", "left out: no MNIST files in $INSITU_DATA_DIR/mnist", head, [], {})
    found = {s.name: s for s in [insitu(threads), *peers(threads)] if s.name in _SYSTEMS}
    systems = [found[n] for n in _SYSTEMS if n in found and (not set(only) & set(_SYSTEMS) or n in (*only, "insitu"))]
    networks = [n for n in NETWORKS if not set(only) & set(NETWORKS) or n in only]
    rows, facts = [], {}
    with tempfile.TemporaryDirectory(prefix="insitu-bench-") as scratch:
        for network in networks:
            runs: dict[str, list[tuple[float, float, float]]] = {s.name: [] for s in systems}
            for turn in range(rounds + 1):
                for system in systems[turn % len(systems) :] + systems[: turn % len(systems)]:
                    runs[system.name].append(_run(system, network, scratch, data))
            rows.append(_row(network, runs))
            facts[network] = runs
    note = "median after the first round; every ratio is the median of the ratios within a round"
    return Report(f"programs from start to finish, {threads} threads, {rounds} rounds", note, head, rows, facts)


def _row(network: str, runs: dict[str, list[tuple[float, float, float]]]) -> list[str]:
    times = {name: [r[0] for r in found[1:]] for name, found in runs.items()}
    own = times["insitu"]

    def cell(name: str) -> str:
        if name not in times:
            return "-"
        ratio = statistics.median(t / o for t, o in zip(times[name], own, strict=True))
        return f"{number(statistics.median(times[name]))} ({number(ratio)})"

    others: list[Any] = [times[n] for n in times if n != "insitu"]
    best = [min(values) for values in zip(*others, strict=True)]
    ratio = f"{number(statistics.median(b / o for b, o in zip(best, own, strict=True)))} x" if best else "-"
    memory = ", ".join(f"{n} {found[-1][1]:.0f}" for n, found in runs.items())
    accuracy = ", ".join(f"{found[-1][2]:.2%}" for found in runs.values())
    first = number(runs["insitu"][0][0])
    return [network, number(statistics.median(own)), *[cell(n) for n in _SYSTEMS[1:]], ratio, first, memory, accuracy]
