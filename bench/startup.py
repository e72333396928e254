"""Fresh processes: import, the first training step with an empty and with a full kernel cache, peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from report import Report, number
from systems import HERE, ROOT, clean_environment, peers

_IMPORT = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"

#: Prints: seconds of the import, seconds from there to the first loss, peak memory in MB.
_FIRST_STEP = """
import json, resource, sys, time
t0 = time.perf_counter()
import insitu
t1 = time.perf_counter()
from insitu_jobs import training
loss = float(training(sys.argv[1]).step())
t2 = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([t1 - t0, t2 - t1, peak / (2**20 if sys.platform == "darwin" else 2**10), loss]))
"""


def _child(python: str, code: str, *arguments: str, **variables: str) -> str:
    environment = clean_environment() | variables
    done = subprocess.run([python, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.strip().splitlines()[-1]


def _imports(rounds: int) -> dict[str, float]:
    """Median seconds of the import, by system, the systems taking turns."""
    programs = {"insitu": (sys.executable, "insitu", str(ROOT))}
    modules = {"tensorflow": "tensorflow", "pytorch": "torch", "jax": "jax", "numpy": "numpy"}
    for system in peers(2):
        if system.name in modules:
            programs[system.name] = (system.python, modules[system.name], os.pathsep.join(system.path))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):  # the first round fills the file cache
        for name, (python, module, path) in programs.items():
            times[name].append(float(_child(python, _IMPORT.format(module=module), PYTHONPATH=path, TF_CPP_MIN_LOG_LEVEL="3")))
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def _first_steps(net: str, rounds: int) -> dict[str, float]:
    cold: list[list[float]] = []
    warm: list[list[float]] = []
    path = os.pathsep.join([str(HERE), str(ROOT)])
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="insitu-bench-") as folder:
            for times in (cold, warm):
                times.append(json.loads(_child(sys.executable, _FIRST_STEP, net, PYTHONPATH=path, INSITU_CACHE_DIR=folder)))
    middle = lambda rows, k: statistics.median(row[k] for row in rows)  # noqa: E731
    return {"cold_s": middle(cold, 1), "warm_s": middle(warm, 1), "cold_mb": middle(cold, 2), "warm_mb": middle(warm, 2)}


def run(rounds: int = 5, seconds: float = 0.0, threads: int = 2, only: tuple[str, ...] = ()) -> Report:
    """Start many processes; each figure is the median over ``rounds``."""
    imports = _imports(rounds)
    steps = {net: _first_steps(net, rounds) for net in ("a", "b")}
    rows = [[f"import {name}", number(t, " s"), "", ""] for name, t in imports.items()]
    for net, found in steps.items():
        rows.append([f"first step of network {net}, empty cache", number(found["cold_s"], " s"), number(found["cold_mb"], " MB"), ""])
        rows.append([f"first step of network {net}, full cache", number(found["warm_s"], " s"), number(found["warm_mb"], " MB"), ""])
    data: dict[str, Any] = {"import_s": imports, "first_step": steps}
    note = "time: median; the import is not part of the first step. memory: peak resident size of the process after it"
    return Report(f"start, {rounds} fresh processes each", note, ["", "time", "peak memory", ""], rows, data)
