"""Reductions down the columns of a matrix that is larger than the caches.

Taking a few columns at a time from top to bottom touches a little of each row: a page and a cache line for
64 bytes. A block of columns is taken row by row instead, its folds kept in memory between rows. The
order in every column is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.folds import State, fold_of
from insitu.codegen.nest_text import in_order

#: Bytes for a block's folds, and most columns of a block.
AREA, _BLOCK = 1 << 15, 1 << 11
#: Bytes from which on a matrix is worth it.
_MATRIX_BYTES = 1 << 20
_ROW_BYTES = 512


def blocked(kernel: nest.Kernel) -> list[nest.Reduce]:
    """The column reductions at a kernel's start that should go by blocks: those that run at once, or none."""
    _, together = next(survey.passes(kernel.body if kernel.vector else ()), (0, []))
    chains = [s for s in together if survey.is_chain(s)][: AREA // (16 * 64)]
    large = any(chains[0].axis.extent * kernel.units * x.dtype.itemsize >= _MATRIX_BYTES for x, _, _ in matrices(kernel, chains))
    return chains if large else []


def matrices(kernel: nest.Kernel, chains: Sequence[nest.Reduce]) -> list[tuple[nest.Expr, nest.Expr, int]]:
    """Loads of matrices whose rows are far apart and contiguous: the load, its offset at column 0, elements between rows."""
    found = []
    for x in in_order([s.value for s in chains]):
        columns = nest.linear(x.args[0], kernel.unit) if x.op == "load" else None
        rows = nest.linear(columns[0], chains[0].axis.name) if columns is not None and columns[1] == 1 else None
        if columns is not None and rows is not None and abs(rows[1]) * x.dtype.itemsize >= _ROW_BYTES:
            found.append((x, columns[0], rows[1]))
    return found


def width(b: Emitter, chains: Sequence[nest.Reduce]) -> int:
    """Columns of a block of which `AREA` holds the folds."""
    column = sum([v.dtype.itemsize for s in chains for v in fold_of(b, s).start(1) if v.dtype])
    return min(_BLOCK, AREA // column // 64 * 64)


class Partial:
    """The folds of a block of columns in memory, addressed by chain and column.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    chains : sequence of Reduce
        The reductions.
    area : Value
        Memory of `AREA` bytes.
    first : Value
        The block's first column.
    """

    def __init__(self, b: Emitter, chains: Sequence[nest.Reduce], area: Value, first: Value) -> None:
        self.b, self.area, self.first, self.width = b, area, first, width(b, chains)
        self.folds = [fold_of(b, s) for s in chains]
        self.kinds = [[v.dtype for v in fold.start(1) if v.dtype] for fold in self.folds]

    def start(self, column: Value, lanes: int) -> None:
        """No row yet."""
        for k, fold in enumerate(self.folds):
            self.store(k, fold.start(lanes), column)

    def load(self, chain: int, column: Value, lanes: int) -> State:
        """The folds of consecutive columns."""
        return tuple(self.b.load(self._place(chain, part, column), d, lanes) for part, d in enumerate(self.kinds[chain]))

    def store(self, chain: int, state: State, column: Value) -> None:
        """Keep the folds of consecutive columns."""
        for part, value in enumerate(state):
            self.b.store(value, self._place(chain, part, column))

    def _place(self, chain: int, part: int, column: Value) -> Value:
        before = [d.itemsize for kinds in self.kinds[:chain] for d in kinds] + [d.itemsize for d in self.kinds[chain][:part]]
        start = self.b.offset(self.area, sum(before) * self.width, dt.uint8)
        return self.b.offset(start, self.b.sub(column, self.first), self.kinds[chain][part])
