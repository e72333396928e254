"""What this machine can do: peak of fused multiply-add, memory bandwidth.

The figures stand beside every published rate. Each measurement takes about a tenth of a second and
gives the best of several repeats: what the machine can do when nobody disturbs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu.codegen.cpu.abi import PARAMETERS
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
from insitu.codegen.generated import Code
from insitu.codegen.target import Target
from insitu.config import config
from insitu.runtime import system
from insitu.runtime.memory import PAGE, Memory, allocate, pool
from insitu.runtime.program import Launch, Program, Slot

_STEPS = 512
_VECTORS = 16

#: Streams of a bandwidth kernel: (arrays read, arrays written). ``_nt`` writes past the caches.
#: What is only read comes from several places at a time, which keeps more requests to memory on their way.
STREAMS = {"read": (4, 0), "copy": (1, 1), "triad": (2, 1), "triad_nt": (2, 1)}


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine's limits.

    Attributes
    ----------
    gflops : dict
        Peak of float32 multiply-add in GFLOP/s (two operations each) by number of threads.
    bandwidth : dict
        GB/s (10**9 bytes read and written per second) by (kernel, place, threads); the place is
        ``"memory"`` or ``"L2"``, the kernels are `STREAMS`.
    """

    gflops: dict[int, float]
    bandwidth: dict[tuple[str, str, int], float]


def peak_gflops(threads: int = 1, dtype: dt.DType = dt.float32, target: Target | None = None, seconds: float = 0.1) -> float:
    """The rate at which independent multiply-adds on registers run.

    Parameters
    ----------
    threads : int
        Threads that work at the same time.
    dtype : DType
        ``float32`` or ``float64``.
    target : Target, optional
        The CPU to make code for; `insitu.config.target` unless given.
    seconds : float
        About how long to measure.

    Returns
    -------
    float
        GFLOP/s; a multiply-add counts as two operations, also where it takes two instructions.
    """
    program, out, flop = multiply_adds(threads, dtype, target)
    with _threads(threads):
        best = _best(program, [out.ptr], seconds)
    return flop / best / 1e9


def multiply_adds(threads: int = 1, dtype: dt.DType = dt.float32, target: Target | None = None) -> tuple[Program, Memory, int]:
    """What `peak_gflops` runs: a program, the memory that it writes, and its floating-point operations."""
    made_for = target or config.target
    chains, lanes = _chains(made_for), made_for.lanes(dtype.bits)
    code = _code(f"peak_{dtype.name}", made_for, lambda b: _fma_chains(b, dtype, chains, lanes))
    units = 64 * threads
    program = Program([Launch(code, (Slot("output", 0),), (), units, 1, 0, 0)], 0, 1, 0)
    return program, allocate(units * 64), units * _STEPS * chains * lanes * 2


def bandwidth(kernel: str = "copy", place: str = "memory", threads: int = 1, seconds: float = 0.1) -> float:
    """The rate at which float32 arrays stream.

    Parameters
    ----------
    kernel : str
        ``"read"`` (a sum), ``"copy"``, ``"triad"`` (``a = b + 2 * c``) or ``"triad_nt"`` (the same, written past the caches).
    place : str
        ``"memory"``: 256 MiB in all; ``"L2"``: half of each core's second-level cache.
    threads : int
        Threads that work at the same time.
    seconds : float
        About how long to measure.

    Returns
    -------
    float
        GB/s, bytes read plus bytes written.
    """
    program, held, arrays, nbytes = streams(kernel, place, threads)
    with _threads(threads):
        best = _best(program, arrays, seconds)
    del held
    return nbytes / best / 1e9


def streams(kernel: str = "copy", place: str = "memory", threads: int = 1, nbytes: int = 0) -> tuple[Program, Memory, list[int], int]:
    """What `bandwidth` runs: a program, the memory it works on, the addresses of its arrays in it, and the bytes it reads and writes.

    ``nbytes``: of all arrays, if not as many as the place has.
    """
    reads, writes = STREAMS[kernel]
    target = config.target
    block = _VECTORS * target.vector_bits // 8
    total = nbytes or (256 << 20 if place == "memory" else system.cache_sizes().l2 // 2 * threads)
    units = total // (reads + writes) // block
    held, arrays = _arrays(reads + writes, units * block, total)
    repeats = 1 if place == "memory" else max(1, (4 << 20) * threads // total)
    code = _code(f"stream_{kernel}_{repeats}", target, lambda b: _stream(b, kernel, repeats))
    slots = tuple(Slot("output", k) for k in range(len(arrays)))
    program = Program([Launch(code, slots, (), units, -(-units // threads), 0, 0)], 0, len(arrays), 0)
    return program, held, arrays, units * block * (reads + writes) * repeats


def machine(threads: Sequence[int] = (), seconds: float = 0.1) -> Machine:
    """All figures, for one thread and for all (or the numbers of threads that are given)."""
    counts = sorted(set(threads or (1, config.threads)))
    gflops = {n: peak_gflops(n, seconds=seconds) for n in counts}
    places = [("copy", "memory"), ("triad", "memory"), ("triad_nt", "memory"), ("read", "memory"), ("triad", "L2"), ("read", "L2")]
    rates = {(kernel, place, n): bandwidth(kernel, place, n, seconds) for kernel, place in places for n in counts}
    pool.trim()
    return Machine(gflops, rates)


# -- running -------------------------------------------------------------------------------------
@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = config.threads
    config.threads = count
    try:
        yield
    finally:
        config.threads = before


def _best(program: Program, pointers: list[int], seconds: float) -> float:
    """Shortest time of a run in seconds."""
    program.run(pointers)
    best, end = float("inf"), time.perf_counter() + seconds
    turns = 0
    while turns < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        program.run(pointers)
        best = min(best, time.perf_counter() - start)
        turns += 1
    return best


def _arrays(count: int, nbytes: int, total: int) -> tuple[Memory, list[int]]:
    """One block and the addresses of ``count`` arrays in it, each at the start of a page."""
    pitch = -(-nbytes // PAGE) * PAGE
    block = allocate(max(total, count * pitch))
    block.view((block.nbytes // 4,), np.float32, writable=True)[...] = 1
    return block, [block.ptr + k * pitch for k in range(count)]


# -- kernels -------------------------------------------------------------------------------------
def _code(name: str, target: Target, body: Callable[[Emitter], None]) -> Code:
    symbol = f"insitu_{name}"

    def ir() -> str:
        b = Emitter(target)
        with b.function(symbol, PARAMETERS):
            body(b)
        return b.module()

    return Code(f"measure-{name}-{target.isa}", symbol, ir, target)


def _chains(target: Target) -> int:
    """Independent chains that hide the latency of FMA and leave registers for the two constants."""
    return 24 if target.registers >= 32 else 12


def _parameters() -> tuple[Value, Value, Value]:
    return Value("%args", None), Value("%begin", dt.int64), Value("%end", dt.int64)


def _fma_chains(b: Emitter, dtype: dt.DType, chains: int, lanes: int) -> None:
    """For each unit: `_STEPS` multiply-adds in each chain; the sum's first element is stored."""
    args, begin, end = _parameters()
    out = b.emit(f"load ptr, {args!r}", None)
    with b.loop(begin, end) as unit:
        seed = b.splat(b.cast(unit.index, dtype), lanes)
        start = [b.add(seed, b.const(k, dtype, lanes)) for k in range(chains)]
        with b.loop(0, _STEPS, 1, start) as step:
            step.next = [b.fma(v, b.const(0.999, dtype, lanes), b.const(0.001, dtype, lanes)) for v in step.values]
        total = step.results[0]
        for value in step.results[1:]:
            total = b.add(total, value)
        b.store(b.extract(total, 0), b.offset(out, b.mul(unit.index, b.const(64 // dtype.itemsize, dt.int64)), dtype))


def _stream(b: Emitter, kernel: str, repeats: int) -> None:
    """`repeats` times: every unit's vectors in order."""
    args, begin, end = _parameters()
    lanes = b.target.lanes(32)
    count = sum(STREAMS[kernel])
    arrays = [b.emit(f"load ptr, {b.offset(args, k, dt.int64)!r}", None) for k in range(count)]
    zero = b.const(0, dt.float32, lanes)
    with b.loop(0, repeats, 1, [zero] * 8) as again:
        with b.loop(begin, end, 1, again.values) as unit:
            base = b.mul(unit.index, b.const(_VECTORS * lanes, dt.int64))
            sums = list(unit.values)
            for k in range(_VECTORS):
                places = [b.offset(b.offset(a, base, dt.float32), k * lanes, dt.float32) for a in arrays]
                first = b.load(places[0], dt.float32, lanes)
                if kernel == "read":
                    for value in (first, *(b.load(place, dt.float32, lanes) for place in places[1:])):
                        sums[k % 8] = b.add(sums[k % 8], value)
                elif kernel == "copy":
                    b.store(first, places[1])
                else:
                    value = b.fma(b.load(places[1], dt.float32, lanes), b.const(2, dt.float32, lanes), first)
                    _put(b, value, places[2], kernel == "triad_nt")
            unit.next = sums
        again.next = list(unit.results)
    if kernel == "read":
        total = again.results[0]
        for value in again.results[1:]:
            total = b.add(total, value)
        # A store that never happens keeps the sum from being optimised away.
        with b.when(b.cmp("eq", b.extract(total, 0), b.const(-1, dt.float32))):
            b.store(b.extract(total, 0), arrays[0])
    elif kernel == "triad_nt":
        b.void("fence seq_cst")


def _put(b: Emitter, value: Value, place: Value, past_caches: bool) -> None:
    if not past_caches:
        b.store(value, place)
        return
    b.globals[:] = ["!0 = !{i32 1}"]
    b.void(f"store {llvm_type(value.dtype, value.lanes)} {value.text}, {place!r}, align {b.target.vector_bits // 8}, !nontemporal !0")
