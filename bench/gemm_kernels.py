"""Matrix-product kernels against this machine's measured FMA peak and NumPy's BLAS, on one thread.

    python bench/gemm_kernels.py [--bits 256] [--dtype float64] [--only 512,1024] [--cases nn,nt,tn,tt]

Every figure is the best of many short repeats; the peak, the kernel and NumPy take turns.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import numpy as np

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import assemble, gemm
from insitu.codegen.cpu.emitter import Emitter
from insitu.codegen.generated import Code
from insitu.codegen.target import Target, named
from insitu.runtime.loader import load

SQUARE = [(n, n, n) for n in (64, 128, 256, 512, 1000, 1023, 1024, 1025, 2048)]
NETS = [
    (100, 784, 10, "nn"), (784, 100, 10, "tn"), (100, 784, 25, "nn"), (784, 100, 25, "tn"), (100, 25, 10, "nn"), (25, 100, 10, "tn"),
    (100, 10, 25, "nt"), (256, 784, 1024, "nn"), (784, 256, 1024, "tn"), (256, 1024, 1024, "nn"), (1024, 256, 1024, "tn"),
    (256, 1024, 1024, "nt"), (256, 1024, 10, "nn"), (1024, 256, 10, "tn"), (256, 10, 1024, "nt"),
    (1, 1024, 1024, "nn"), (1, 1024, 1024, "nt"), (1024, 1024, 1, "nn"), (4, 1024, 1024, "nn"),
    (4, 4096, 4096, "nn"), (1, 4096, 4096, "nn"), (1, 4096, 4096, "nt"), (2, 1024, 1024, "nt"), (4, 1024, 1024, "nt"), (8, 1024, 1024, "nt"),
    (10, 1024, 1024, "nt"), (1024, 1000, 1, "nn"), (1024, 1000, 3, "nn"),
]  # fmt: skip


def compile_function(ir: str, symbol: str, target: Target, arguments: int) -> tuple[Any, float]:
    """A callable of the machine code, and LLVM's time in milliseconds."""
    start = time.perf_counter()
    assemble.object_code(ir, target)
    took = (time.perf_counter() - start) * 1e3
    address = load([Code(hashlib.sha256(f"{target.isa}\n{ir}".encode()).hexdigest(), symbol, lambda: ir, target)])[0]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address)
    function.address = address
    return function, took


def peak(target: Target, dtype: dt.DType) -> tuple[Callable[[], None], float]:
    """A loop of independent fma chains, and the GFLOP of one call."""
    b, lanes, chains = Emitter(target), target.lanes(dtype.bits), 12 if target.registers == 32 else 10
    with b.function("peak", [("p", None), ("n", dt.int64)]) as (p, n):
        x, y = (b.load(b.offset(p, k * lanes, dtype), dtype, lanes) for k in (0, 1))
        with b.loop(0, n, 1, [b.load(b.offset(p, (k + 2) * lanes, dtype), dtype, lanes) for k in range(chains)]) as loop:
            values = list(loop.values)
            for _ in range(4):
                values = [b.fma(x, y, v) for v in values]
            loop.next = values
        for k, value in enumerate(loop.results):
            b.store(value, b.offset(p, (k + 2) * lanes, dtype))
    function, _ = compile_function(b.module(), "peak", target, 2)
    data = np.zeros(1024, dtype.numpy)
    function.data = data  # type: ignore[attr-defined]
    turns, at = 20_000, data.ctypes.data
    return (lambda: function(at, turns)), turns * 4 * chains * lanes * 2 * 1e-9


def repeater(target: Target) -> Callable[..., None]:
    """A native loop that calls a kernel again and again: ``repeat(function, args, begin, end, scratch, times)``."""
    b, names = Emitter(target), ("function", "args", "begin", "end", "scratch", "times")
    params = [(name, dt.int64 if name in ("begin", "end", "times") else None) for name in names]
    with b.function("repeat", params) as (function, *arguments, times), b.loop(0, times):
        b.void(f"call void {function.text}({', '.join(map(repr, arguments))})")
    return compile_function(b.module(), "repeat", target, 6)[0]


def kernel(m: int, k: int, n: int, case: str, dtype: dt.DType) -> nest.Kernel:
    """``c = a @ b`` with ``case`` telling which operands are stored transposed."""
    a = nest.Operand("a", dtype, m * k, *((1, m) if case[0] == "t" else (k, 1)))
    b = nest.Operand("b", dtype, k * n, *((1, k) if case[1] == "t" else (n, 1)))
    at = nest.op("add", nest.op("mul", nest.axis("m", m), nest.index(n)), nest.axis("n", n))
    body = (nest.Contract("acc", 1, m, n, k, a, b, dtype, (nest.Store("c", at, nest.ref("acc", dtype)),)),)
    return nest.Kernel("unit", 1, tuple(nest.Buffer(x, dtype, "out" if x == "c" else "in") for x in "abc"), body)


def aligned(bytes_: int) -> tuple[np.ndarray, int]:
    memory = np.zeros(bytes_ + 4096, np.uint8)
    return memory, (memory.ctypes.data + 4095) & ~4095


def measure(m: int, k: int, n: int, case: str, dtype: dt.DType, target: Target, seconds: float) -> str:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if case[0] == "t" else (m, k)).astype(dtype.numpy)
    b = rng.standard_normal((n, k) if case[1] == "t" else (k, n)).astype(dtype.numpy)
    c, other = np.zeros((m, n), dtype.numpy), np.zeros((m, n), dtype.numpy)
    start = time.perf_counter()
    made = gemm.generate(kernel(m, k, n, case, dtype), target)
    texts = [code.ir() for code in made.codes]
    emit = (time.perf_counter() - start) * 1e3
    functions, times = zip(*[compile_function(ir, code.symbol, target, 4) for ir, code in zip(texts, made.codes, strict=True)], strict=True)
    function, took = functions[0], sum(times)
    args = np.array([x.ctypes.data for x in (a, b, c)] + [f.address for f in functions[1:]] + list(made.words), np.int64)
    keep, scratch = aligned(made.scratch_bytes)
    at, units = args.ctypes.data, made.units
    x, y = a.T if case[0] == "t" else a, b.T if case[1] == "t" else b
    burn, burnt = peak(target, dtype)
    repeat, address = repeater(target), function.address
    gflop = 2e-9 * m * n * k
    repeats = max(1, int(0.002 / (gflop / 100)))
    best = [1e9] * 3
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for which, call in enumerate((lambda: repeat(address, at, 0, units, scratch, repeats), lambda: np.matmul(x, y, out=other), burn)):
            turns = repeats if which == 1 else 1
            t = time.perf_counter()
            for _ in range(turns):
                call()
            best[which] = min(best[which], (time.perf_counter() - t) / (repeats if which < 2 else 1))
    del keep
    error = float(np.abs(c - other).max() / np.abs(other).max())
    v = gemm.choose(kernel(m, k, n, case, dtype).body[0], target).variant  # type: ignore[arg-type]
    ours, numpy_rate, top = gflop / best[0], gflop / best[1], burnt / best[2]
    how = "M" if v.narrow else "S" if v.stream else "T" if v.turn else "-"
    tile = f"{'m' if v.swap else 'n'} {v.rows}x{v.vectors} {'P' if v.pack_rows else '-'}{'P' if v.pack_lanes else '-'}{how}"
    speed = f"{best[0] * 1e6:9.1f} us {ours:7.1f} GFLOP/s {100 * ours / top:6.1f} % of {top:5.1f}   numpy x{ours / numpy_rate:5.2f}"
    return f"{m:5d} {k:5d} {n:5d} {case}  {speed}   {tile:14s} emit {emit:4.1f} llvm {took:4.0f} ms  err {error:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bits", type=int)
    parser.add_argument("--cpu", default="native")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", default="nn,nt,tn,tt")
    parser.add_argument("--nets", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.4)
    options = parser.parse_args()
    target, dtype = named(options.cpu, options.bits), dt.as_dtype(options.dtype)
    wanted = [int(x) for x in options.only.split(",") if x]
    rows = [(*shape, case) for shape in SQUARE if not wanted or shape[0] in wanted for case in options.cases.split(",")]
    for m, k, n, case in NETS if options.nets else rows:
        print(measure(m, k, n, case, dtype, target, options.seconds), flush=True)


if __name__ == "__main__":
    main()
