"""Prints what this machine can do: the figures that every other benchmark stands beside.

Run with ``python bench/machine.py [--json]``.
"""

from __future__ import annotations

import json
import sys

from insitu.config import config
from insitu.runtime import system
from insitu.runtime.measure import machine


def main() -> None:
    target, caches = config.target, system.cache_sizes()
    found = machine()
    rows = [(f"peak float32 multiply-add, {n} thread{'s' * (n > 1)}", value, "GFLOP/s") for n, value in found.gflops.items()]
    rows += [(f"{kernel} in {place}, {n} thread{'s' * (n > 1)}", value, "GB/s") for (kernel, place, n), value in found.bandwidth.items()]
    print(f"{system.cpu_model()}: code for {target.cpu}, {target.vector_bits}-bit vectors, {'FMA' if target.fma else 'no FMA'}")
    print(f"caches: L1 {caches.l1 >> 10} KiB, L2 {caches.l2 >> 10} KiB, L3 {caches.l3 >> 10} KiB; {config.threads} threads")
    for name, value, unit in rows:
        print(f"  {name:<44} {value:8.1f} {unit}")
    if "--json" in sys.argv[1:]:
        gflops = {str(n): value for n, value in found.gflops.items()}
        print(json.dumps({"gflops": gflops, "bandwidth": {f"{k} {p} {n}": v for (k, p, n), v in found.bandwidth.items()}}))


if __name__ == "__main__":
    main()
