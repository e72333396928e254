"""All benchmarks, or some: ``python bench/run.py [PART ...] [--rounds N] [--threads N] [--only NAME ...] [--json]``.

Every figure is a ratio or a share from one run, in which the systems take turns; run it on a
machine that does nothing else. Peers are found as `systems.peers` says and left out where absent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("matmul", "training", "images", "convolutions", "elementwise", "startup", "overhead", "programs")


def _idle_share(seconds: float = 0.5) -> float | None:
    """Share of the machine's CPU time that nobody used just now (None where the system does not tell)."""

    def read() -> list[int]:
        return [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    try:
        before = read()
        time.sleep(seconds)
        spent = [b - a for a, b in zip(before, read(), strict=True)]
    except OSError:
        return None
    return (spent[3] + spent[4]) / max(1, sum(spent))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--rounds", type=int, help="turns of every system")
    parser.add_argument("--seconds", type=float, help="length of one turn")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of every system (default: 2)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="peers (training, elementwise) or sizes (matmul) to keep")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    found = parser.parse_args()
    unknown = set(found.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    return found


def main() -> int:
    options = _arguments()
    sys.path.insert(0, str(ROOT))  # the checkout, also where it is not installed
    settings: dict[str, Any] = {k: v for k in ("rounds", "seconds") if (v := getattr(options, k)) is not None}
    settings |= {"threads": options.threads, "only": tuple(options.only)}
    idle = _idle_share()
    if idle is not None and idle < 0.9:
        print(f"This machine is busy ({100 * (1 - idle):.0f} % of its CPU time is in use): the figures will mean little.", file=sys.stderr)
    found: dict[str, Any] = {"idle": idle}
    for part in options.parts or PARTS:
        begin = time.perf_counter()
        report = importlib.import_module(part).run(**settings)
        print(report.text(), flush=True)
        print(f"({part}: {time.perf_counter() - begin:.0f} s)", flush=True)
        found[part] = report.data
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
