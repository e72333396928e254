"""Runs random small programs: each trains, or is refused by a `UserError` before the first step. Anything else is printed.

``python tests/fuzz.py 10000`` runs so many in two processes, which are started anew when one crashes;
``python tests/fuzz.py --show 17`` prints the program of a seed.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Seconds after which a program hangs.
PATIENCE = 120.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a program.

    Parameters
    ----------
    seed : int
    kind : str
        ``trained``, ``refused`` or ``failed``.
    text : str
        The slug, or what went wrong.
    """

    seed: int
    kind: str
    text: str = ""


# -- in a process of its own ------------------------------------------------------------------------------
def outcome(seed: int, program: str) -> Outcome:
    """Run a program."""
    from insitu.errors import UserError

    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(compile(program, f"<program {seed}>", "exec"), names)
    except UserError as error:
        return _refused(seed, error, names)
    except Exception as error:
        return Outcome(seed, "failed", f"{type(error).__name__}: {error}\n{_frames(error)}")
    losses = names["history"].history["loss"]
    if not losses or not all(isinstance(value, float) for value in losses):
        return Outcome(seed, "failed", f"the loss is {losses!r}")
    return Outcome(seed, "trained")


def _refused(seed: int, error: Any, names: dict[str, Any]) -> Outcome:
    slug = error.slug
    optimizer = getattr(names.get("model"), "optimizer", None)
    steps = 0 if optimizer is None else int(optimizer.iterations.numpy())
    # whether the loss becomes NaN and how long a generator goes on shows only in training; files are written after it
    if steps > 0 and slug not in ("loss-not-finite", "data-ends-early") and not slug.startswith(("save-", "file-")):
        return Outcome(seed, "failed", f"refused after {steps} steps\n{error}\n{_frames(error)}")
    if not slug or not error.fix or f"insitu explain {slug}" not in str(error):
        return Outcome(seed, "failed", f"an error without a fix or a page\n{error}\n{_frames(error)}")
    return Outcome(seed, "refused", slug)


def _frames(error: BaseException) -> str:
    return "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)[-6:]))


def work() -> None:
    """Answer each program on standard input by a line with its outcome."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what programs print does not come between
    os.chdir(tempfile.mkdtemp(prefix="insitu-fuzz-"))
    for line in sys.stdin:
        answers.write(json.dumps(dataclasses.asdict(outcome(*json.loads(line)))) + "\n")
        answers.flush()


# -- the pool -------------------------------------------------------------------------------------------------
class Worker:
    """A process that runs one program after the other; a new one takes its place after a crash."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None

    def run(self, seed: int, program: str) -> Outcome:
        """The outcome of a program."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment,
            )  # fmt: skip
            threading.Thread(target=self._drain, args=(self.process,), daemon=True).start()
        process = self.process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        process.stdin.write(json.dumps([seed, program]) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if ready else ""
        if line:
            return Outcome(**json.loads(line))
        code = process.wait(10) if ready else None
        self.close()
        why = f"hangs for {PATIENCE:g} seconds" if not ready else f"the process ended with code {code}"
        return Outcome(seed, "failed", f"{why}\n{self.last}")

    def _drain(self, process: subprocess.Popen[str]) -> None:
        lines: collections.deque[str] = collections.deque(maxlen=30)
        for line in process.stderr or ():
            lines.append(line)
            self.last = "".join(lines)

    last = ""

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def run(first: int, count: int, processes: int = 2, seconds: float = float("inf")) -> list[Outcome]:
    """The outcomes of the seeds from ``first`` on, in their order; fewer than ``count`` if the time is over."""
    stop = time.monotonic() + seconds
    from fuzz_programs import Writer

    waiting = collections.deque(range(first, first + count))
    found: list[Outcome] = []

    def serve(environment: dict[str, str]) -> None:
        worker = Worker(environment)
        try:
            while waiting and time.monotonic() < stop:
                try:
                    seed = waiting.popleft()
                except IndexError:
                    return
                found.append(worker.run(seed, Writer(seed).program()))
        finally:
            worker.close()

    with tempfile.TemporaryDirectory(prefix="insitu-fuzz-") as cache:
        environment = {"INSITU_CACHE_DIR": cache, "INSITU_THREADS": "1", "INSITU_VERIFY": "1", "TMPDIR": cache}
        threads = [threading.Thread(target=serve, args=(environment,)) for _ in range(processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sorted(found, key=lambda one: one.seed)


def report(outcomes: list[Outcome], slug: str = "") -> str:
    """How many trained, what refused the others, and the programs that failed or were refused with a slug."""
    from fuzz_programs import Writer

    slugs = collections.Counter(one.text for one in outcomes if one.kind == "refused")
    failed = [one for one in outcomes if one.kind == "failed"]
    shown = failed + [one for one in outcomes if one.kind == "refused" and one.text == slug]
    trained = sum(one.kind == "trained" for one in outcomes)
    parts = [f"# {'-' * 100}\n# seed {one.seed}: {one.text}".replace("\n", "\n# ") + "\n" + Writer(one.seed).program() for one in shown]
    parts.append(f"{len(outcomes)} programs: {trained} trained, {sum(slugs.values())} refused, {len(failed)} failed")
    parts.append("refused: " + ", ".join(f"{slug} {number}" for slug, number in slugs.most_common()))
    return "\n".join(parts)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200, help="number of programs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further program after this time")
    parser.add_argument("--slug", default="", help="print the programs that were refused with this slug, too")
    parser.add_argument("--show", type=int, help="print the program of this seed")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.worker:
        work()
        return 0
    if options.show is not None:
        from fuzz_programs import Writer

        print(Writer(options.show).program(), end="")
        return 0
    outcomes = run(options.first, options.count, options.processes, options.seconds)
    print(report(outcomes, options.slug))
    return int(any(one.kind == "failed" for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
