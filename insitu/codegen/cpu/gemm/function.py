"""The function around the loops: its arguments, and the text of its module."""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.cpu.gemm.epilogue import Epilogue, EpilogueWriter
from insitu.codegen.cpu.gemm.layout import WINDOW_WORDS, WORDS
from insitu.codegen.cpu.gemm.planar import Planar
from insitu.codegen.cpu.gemm.schedule import Schedule
from insitu.codegen.cpu.gemm.stream import Stream
from insitu.codegen.cpu.gemm.turned import Turned
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target

i64 = dt.int64


def module(kernel: Kernel, schedule: Schedule, epilogue: Epilogue, dtype: dt.DType, target: Target, symbol: str) -> str:
    """The LLVM IR text of the kernel."""
    b = Emitter(target)
    with b.function(symbol, [("args", None), ("begin", i64), ("end", i64), ("scratch", None)]) as (args, begin, end, scratch):
        names = [buffer.name for buffer in kernel.buffers if buffer.role != "scratch"]
        buffers = {name: b.emit(f"load ptr, {b.offset(args, k, i64)!r}, align 8", None) for k, name in enumerate(names)}
        known = (*WORDS, *(WINDOW_WORDS if schedule.slab else ()))
        words = [b.load(b.offset(args, len(names) + k, i64), i64) for k in range(len(known) + len(epilogue.words))]
        writer = EpilogueWriter(b, epilogue, dtype, schedule.variant.lanes, buffers, words[len(known) :])
        v = schedule.variant
        kind = Stream if v.stream else Turned if v.turn else Planar if v.planar else Driver
        kind(b, schedule, dtype, dict(zip(known, words, strict=False)), buffers, scratch, writer).units(begin, end)
    return b.module()
