"""The systems that are compared, each in a process of its own, and their turns.

Peers are measured by the scripts of a folder that `PEERS` names (``$INSITU_PEERS``, else
``../shared/peers``), in the environments that its ``run_all.sh`` makes under ``$PEERS_HOME``. A
system that is not there is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: Pause between two turns, seconds: waiting threads of the last system stop spinning in it.
PAUSE = 0.05


def peers_folder() -> Path | None:
    named = os.environ.get("INSITU_PEERS")
    for folder in (Path(named),) if named else (ROOT / "shared" / "peers", ROOT.parent / "shared" / "peers"):
        if (folder / "common.py").is_file():
            return folder
    return None


def peers_home() -> Path:
    return Path(os.environ.get("PEERS_HOME", Path.home() / ".cache" / "insitu-peers"))


def clean_environment() -> dict[str, str]:
    """The variables of this process without those of a shell that would slow a system down.

    The first two keep NumPy from its best kernels, the third has every start compile Python files again.
    """
    slowing = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in slowing}


@dataclasses.dataclass(frozen=True)
class System:
    """How to start a system: ``module`` is imported by ``python`` with ``folder`` on its path."""

    name: str
    python: str
    folder: Path
    module: str
    mode: str
    threads: int
    path: tuple[str, ...] = ()

    def environment(self, scratch: str) -> dict[str, str]:
        """Variables of the process; ``scratch`` is a folder for what it leaves behind."""
        count = str(self.threads)
        found = clean_environment()
        found |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "INSITU_THREADS"), count)
        found["TMPDIR"] = scratch
        found["PYTHONPATH"] = os.pathsep.join([str(self.folder), *self.path])
        found["TF_CPP_MIN_LOG_LEVEL"] = "3"
        found["INSITU_CACHE_DIR"] = os.path.join(scratch, "kernels")
        return found


def insitu(threads: int, module: str = "insitu_jobs") -> System:
    return System("insitu", sys.executable, HERE, module, "", threads, (str(ROOT),))


def numpy_here(threads: int) -> System:
    """NumPy of this interpreter with the jobs of ``numpy_jobs.py``."""
    return System("numpy", sys.executable, HERE, "numpy_jobs", "", threads)


#: name, environment, module, mode
_PEERS = [
    ("tensorflow", "tf", "bench_tf", "function"),
    ("tensorflow xla", "tf", "bench_tf", "xla"),
    ("pytorch", "torch", "bench_torch", "eager"),
    ("pytorch compile", "torch", "bench_torch", "compile"),
    ("jax", "jax", "bench_jax", "jit"),
    ("numpy", "numpy", "bench_numpy", "openblas"),
    ("onnxruntime", "onnxruntime", "bench_ort", "cpu"),
    ("openvino", "openvino", "bench_openvino", "cpu"),
]
#: The environment that has a package which these need, too.
_BORROWED = {"torch": "numpy", "openvino": "onnxruntime"}


def peers(threads: int, only: Sequence[str] = (), engines: Sequence[str] = ()) -> list[System]:
    """The peers that are installed; ``only`` keeps those with these names. Inference engines only where they are asked for."""
    folder, home = peers_folder(), peers_home()
    if folder is None:
        return []
    found = []
    for name, environment, module, mode in _PEERS:
        python = home / environment / "bin" / "python"
        wanted = (not only or name in only or name.split()[0] in only) and (name not in ("onnxruntime", "openvino") or name in engines)
        if python.is_file() and wanted:
            path = tuple(sorted(map(str, (home / _BORROWED.get(environment, "none") / "lib").glob("python*/site-packages"))))
            found.append(System(name, str(python), folder, module, mode, threads, path))
    return found


class WorkerError(RuntimeError):
    """A system that did not start, or failed in a job."""


class Worker:
    """A running system that waits for its turn."""

    def __init__(self, system: System, workload: str, scratch: str) -> None:
        self.system, self.scratch = system, scratch
        command = [system.python, str(HERE / "worker.py"), system.module, workload, system.mode, str(system.threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=system.environment(scratch)
        )
        self.jobs: list[str] = self._reply()["jobs"]

    def _reply(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            self.stop()
            raise WorkerError(f"{self.system.name}: {answer['error']}")
        return answer

    def ask(self, **command: Any) -> Any:
        if self._process.stdin is None:
            raise WorkerError(f"{self.system.name} takes no commands")
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.system.name}: the process ended") from None
        return self._reply()["value"]

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running(systems: Sequence[System], workload: str) -> Iterator[list[Worker]]:
    """Start the systems one after another; those that fail are named on standard error and left out."""
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory(prefix="insitu-bench-", ignore_cleanup_errors=True) as scratch:
        try:
            for system in systems:
                try:
                    workers.append(Worker(system, workload, scratch))
                except WorkerError as error:
                    print(f"left out: {error}", file=sys.stderr)
            yield workers
        finally:
            for worker in workers:
                worker.stop()


def take_turns(workers: Sequence[Worker], job: int, rounds: int, seconds: float, jobs: dict[str, int] | None = None) -> dict[str, list[float]]:
    """Seconds per step of one job, by system, one value a round; every round begins with another system.

    ``jobs`` has the numbers of the jobs where systems number them in other ways.
    """
    times: dict[str, list[float]] = {w.system.name: [] for w in workers}
    for number in range(rounds):
        turn = number % len(workers)
        for worker in [*workers[turn:], *workers[:turn]]:
            time.sleep(PAUSE)
            times[worker.system.name].append(worker.ask(do="measure", job=(jobs or {}).get(worker.system.name, job), seconds=seconds))
    return times


def ratios(times: Sequence[float], ours: Sequence[float]) -> float:
    """How many times faster ``ours`` is: the median over the rounds of the ratio within a round."""
    return statistics.median(other / own for other, own in zip(times, ours, strict=True))


def shares(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    """What a job reaches of its limit, from answers of `worker.share`: the median over the rounds, and the best rate of it beside the limit's."""
    best, limit = (max(m[name] for m in measured) for name in ("best", "other_best"))
    return {"share": statistics.median(m["share"] for m in measured), "best": best / limit}


def best_ratio(times: dict[str, list[float]], names: Sequence[str]) -> float | None:
    """How many times faster insitu is than the fastest of ``names`` in each round (median over the rounds)."""
    present = [times[n] for n in names if n in times]
    if not present or "insitu" not in times:
        return None
    return ratios([min(row) for row in zip(*present, strict=True)], times["insitu"])
