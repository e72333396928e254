"""The functions of a contraction: its loops, and its epilogue, which is machine code of its own.

Loops take long to compile and serve many epilogues. A launch calls the epilogue's code, which has the loops call it back::

    epilogue(args, begin, end, scratch, words)    args: buffers, address of the loops; words of the epilogue, words of the loops
      loops(args, words, begin, end, scratch, write)
        write(args, batch, span)           for each finished tile
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter
from insitu.codegen.cpu.gemm import squares
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.cpu.gemm.epilogue import PARAMETERS, Epilogue, EpilogueCalls, EpilogueWriter
from insitu.codegen.cpu.gemm.layout import names
from insitu.codegen.cpu.gemm.planar import Planar
from insitu.codegen.cpu.gemm.schedule import Schedule, Variant
from insitu.codegen.cpu.gemm.stream import Stream
from insitu.codegen.cpu.gemm.turned import Turned
from insitu.codegen.nest import Kernel
from insitu.codegen.target import Target

i64 = dt.int64


def loops(schedule: Schedule, flat: bool, dtype: dt.DType, target: Target, symbol: str) -> str:
    """The LLVM IR text of the loops.

    Parameters
    ----------
    schedule : Schedule
        Only what does not depend on the shape counts.
    flat : bool
        Whether the epilogue takes whole rows of the result as one.
    dtype : DType
        Of the sums.
    target : Target
    symbol : str
    """
    b, v = Emitter(target), schedule.variant
    with b.function(symbol, _typed("args", "words", "begin", "end", "scratch", "write")) as (args, table, begin, end, scratch, write):
        words = {name: b.load(b.offset(table, k, i64), i64) for k, name in enumerate(names(schedule))}
        _kind(v)(b, schedule, dtype, words, args, scratch, EpilogueCalls(b, write, args, flat, v.fetch, words)).units(begin, end)
    return b.module()


def _kind(v: Variant) -> type[Driver | squares.Squares | squares.Gradient]:
    """What emits the loops."""
    if v.squares:
        return squares.Gradient if v.gradient else squares.Squares
    return Stream if v.stream else Turned if v.turn else Planar if v.planar else Driver


def around(kernel: Kernel, epilogue: Epilogue, dtype: dt.DType, lanes: int, target: Target, symbol: str) -> str:
    """The LLVM IR text of an epilogue's code."""
    b = Emitter(target)
    buffers = [buffer.name for buffer in kernel.buffers if buffer.role != "scratch"]
    at = len(buffers) + 1  # the epilogue's first word
    with b.function("write", _typed(*PARAMETERS), "private") as (args, batch, start, pitch, m, n, row, row_stop, column, column_stop):
        pointers = {name: b.pointer(args, k) for k, name in enumerate(buffers)}
        words = [b.load(b.offset(args, at + k, i64), i64) for k in range(len(epilogue.words))]
        EpilogueWriter(b, epilogue, dtype, lanes, pointers, words).write(batch, start, pitch, m, n, (row, row_stop), column, column_stop)
    with b.function(symbol, _typed("args", "begin", "end", "scratch", "words")) as (args, begin, end, scratch, _):
        function, own = b.pointer(args, len(buffers)), b.offset(args, at + len(epilogue.words), i64)
        b.void(f"tail call void {function.text}({', '.join(map(repr, (args, own, begin, end, scratch)))}, ptr @write)")
    return b.module()


def _typed(*names: str) -> list[tuple[str, dt.DType | None]]:
    """Parameters: pointers by these names, and numbers."""
    return [(name, None if name in ("args", "words", "scratch", "write", "start") else i64) for name in names]
