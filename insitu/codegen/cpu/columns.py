"""Reductions down the columns of a matrix that is larger than the caches.

Taking a few columns at a time from top to bottom touches a little of each row: a page and a cache line for
64 bytes. A block of columns is taken row by row instead, its folds kept in memory between rows. The
order in every column is the same.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.folds import Fold, State
from insitu.codegen.nest_text import in_order

#: Columns of a block.
BLOCK = 2048
#: Bytes for a block's folds: a value and a position of at most 8 bytes for each column.
AREA = 2 * 8 * BLOCK
#: Bytes from which on a matrix is worth it.
_MATRIX_BYTES = 1 << 20
_ROW_BYTES = 512


def blocked(kernel: nest.Kernel) -> nest.Reduce | None:
    """The column reduction of a kernel that should go by blocks, or None."""
    first = kernel.body[0] if kernel.vector and kernel.body else None
    if not isinstance(first, nest.Reduce) or first.body or first.after or first.axis.kind != "serial":
        return None
    large = any(first.axis.extent * kernel.units * x.dtype.itemsize >= _MATRIX_BYTES for x, _, _ in matrices(kernel, first))
    return first if large else None


def matrices(kernel: nest.Kernel, s: nest.Reduce) -> list[tuple[nest.Expr, nest.Expr, int]]:
    """Loads of matrices whose rows are far apart and contiguous: the load, its offset at column 0, elements between rows."""
    found = []
    for x in in_order((s.value,)):
        columns = nest.linear(x.args[0], kernel.unit) if x.op == "load" else None
        rows = nest.linear(columns[0], s.axis.name) if columns is not None and columns[1] == 1 else None
        if columns is not None and rows is not None and abs(rows[1]) * x.dtype.itemsize >= _ROW_BYTES:
            found.append((x, columns[0], rows[1]))
    return found


class Partial:
    """The folds of a block of columns in memory, addressed by the column.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    fold : Fold
        The reduction.
    area : Value
        Memory of `AREA` bytes.
    first : Value
        The block's first column.
    """

    def __init__(self, b: Emitter, fold: Fold, area: Value, first: Value) -> None:
        self.b, self.fold, self.area, self.first = b, fold, area, first

    def start(self, column: Value, lanes: int) -> None:
        """No row yet."""
        self.store(self.fold.start(lanes), column)

    def load(self, column: Value, lanes: int) -> State:
        """The folds of consecutive columns."""
        kinds = [v.dtype for v in self.fold.start(1)]
        return tuple(self.b.load(self._place(k, column, d), d, lanes) for k, d in enumerate(kinds) if d is not None)

    def store(self, state: State, column: Value) -> None:
        """Keep the folds of consecutive columns."""
        for k, value in enumerate(state):
            if value.dtype is not None:
                self.b.store(value, self._place(k, column, value.dtype))

    def _place(self, part: int, column: Value, dtype: dt.DType) -> Value:
        start = self.b.offset(self.area, part * (AREA // 2), dt.uint8)
        return self.b.offset(start, self.b.sub(column, self.first), dtype)
