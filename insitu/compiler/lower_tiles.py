"""Element-wise kernels that read transposed: tile by tile, so that each cache line is read once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from insitu.codegen import nest
from insitu.codegen.nest import Axis, Expr, Stmt
from insitu.compiler.fuse import Group
from insitu.compiler.lower import Index, Lowered, Lowerer
from insitu.graph.node import Node, Shape

#: Bytes of a tile's row of the array that is read, and most elements of a tile's row of the result.
_ROW_BYTES, _COLUMNS = 256, 64
#: Tiles with fewer rows or columns than this gain nothing.
_LEAST = 4
#: Most turned values in one kernel: their tiles must stay in the first-level cache.
_MOST = 4


def lower_turned(group: Group, stored: set[Node]) -> Lowered | None:
    """A kernel of tiles, if a value is read along another axis than the last one; None if this is no such group.

    The turned value's tile is copied into scratch along its own rows, and read from there. For a transposed copy::

        parallel r:
          serial t < 16:
            serial j < 64:
              vector i < 32:
                turned0[j*32 + i] = x0[(t*64 + j)*1024 + r*32 + i]
            serial i < 32:
              vector j < 64:
                y0[(r*32 + i)*1024 + t*64 + j] = turned0[j*32 + i]
    """
    shape = group.shape
    if len(shape) < 2 or shape[-1] < _LEAST or any(n.prim.kind not in ("map", "view") for n in group.nodes):
        return None
    if not _permutes(group, stored):
        return None
    across = _turned_axis(group, stored)
    if across is None:
        return None
    narrowest = min(n.dtype.itemsize for n in group.stored)
    rows = _divisor(shape[across], max(16, _ROW_BYTES // narrowest))
    return _Tiles(group, stored, across, rows).lower() if rows >= _LEAST else None


def _permutes(group: Group, stored: set[Node]) -> bool:
    """Whether axes change places between what the group reads and what it computes; nothing else turns."""
    own = set(group.nodes)
    seen: set[Node] = set()
    stack = list(group.stored)
    while stack:
        n = stack.pop()
        if n in seen or n.memory is not None or (n in stored and n not in own):
            continue
        if n.prim.name == "permute":
            return True
        seen.add(n)
        stack += n.inputs
    return False


def _turned_axis(group: Group, stored: set[Node]) -> int | None:
    """The axis along which values are contiguous that are not along the last one; None if there is none, or more than one."""
    low = Lowerer(stored, group.nodes)
    index = tuple([nest.index(0) if n == 1 else nest.axis(f"d{k}", n) for k, n in enumerate(group.shape)])
    last = f"d{len(index) - 1}"
    found: set[int] = set()
    for load in _loads([low.store(n, index).value for n in group.stored]):
        split = nest.linear(load.args[0], last)
        if split is None:
            return None
        if abs(split[1]) > 1:
            lines = [nest.linear(split[0], f"d{k}") for k in range(len(index) - 1)]
            found.add(next((k for k, line in enumerate(lines) if line is not None and line[1] == 1), -1))
    return found.pop() if len(found) == 1 and -1 not in found else None


def _loads(values: Sequence[Expr]) -> Iterator[Expr]:
    seen: set[Expr] = set()
    stack = list(values)
    while stack:
        x = stack.pop()
        if x not in seen:
            seen.add(x)
            stack.extend(x.args)
            if x.op == "load":
                yield x


def _divisor(n: int, most: int) -> int:
    """The largest divisor that is not greater than ``most``; a multiple of 16 if that is half as large at least."""
    divisors = [d for d in range(1, min(n, most) + 1) if n % d == 0]
    whole = [d for d in divisors if d % 16 == 0 and 2 * d >= divisors[-1]]
    return whole[-1] if whole else divisors[-1]


class _Tiles:
    """One kernel: ``rows`` positions on the axis ``across`` by some on the last axis."""

    def __init__(self, group: Group, stored: set[Node], across: int, rows: int) -> None:
        self.group, self.across, self.rows = group, across, rows
        self.columns = min(group.shape[-1], _COLUMNS)
        self.low = _TurnedLowerer(stored, group.nodes, rows)

    def lower(self) -> Lowered | None:
        shape, low = self.group.shape, self.low
        whole, rest = divmod(shape[-1], self.columns)
        outer = (*shape[: self.across], shape[self.across] // self.rows, *shape[self.across + 1 : -1])
        units = math.prod(outer)
        body: list[Stmt] = []
        tile = Axis("t", whole)
        start = nest.op("mul", tile.at, nest.index(self.columns))
        inside = self._tile(outer, start, self.columns)
        body += [nest.Loop(tile, inside)] if whole > 1 else list(self._tile(outer, nest.index(0), self.columns))
        if rest:
            body += self._tile(outer, nest.index(whole * self.columns), rest)
        if low.most > _MOST:
            return None
        buffers, nodes = low.buffers()
        scratch = [nest.Buffer(name, dtype, "scratch", self.rows * self.columns) for name, dtype in low.scratch.items()]
        return Lowered(nest.Kernel("r", units, (*buffers, *scratch), tuple(body)), nodes, self.group)

    def _tile(self, outer: Shape, start: Expr, columns: int) -> tuple[Stmt, ...]:
        """The copies of turned values, and the loops over the tile."""
        low = self.low
        i, j = Axis("i", self.rows), Axis("j", columns, "vector")
        place = list(nest.unravel(nest.axis("r", math.prod(outer)), outer))
        place[self.across] = nest.op("add", nest.op("mul", place[self.across], nest.index(self.rows)), i.at)
        index: Index = (*place, nest.op("add", start, j.at))
        low.begin(j.at, i.at)
        stores = tuple([low.store(n, index) for n in self.group.stored])
        along, down = Axis("i", self.rows, "vector"), Axis("j", columns)
        copies = [nest.Loop(down, (nest.Loop(along, (nest.Store(name, low.at, load),)),)) for load, name in low.turned.items()]
        return (*copies, nest.Loop(i, (nest.Loop(j, stores),)))


class _TurnedLowerer(Lowerer):
    """Reads values that are not contiguous along ``j`` from scratch."""

    def __init__(self, stored: set[Node], own: Sequence[Node], rows: int) -> None:
        super().__init__(stored, own)
        self.rows = rows
        self.scratch: dict[str, nest.DType] = {}
        self.most = 0

    def begin(self, j: Expr, i: Expr) -> None:
        """Start a tile."""
        self.forget()
        self.turned: dict[Expr, str] = {}
        self.at = nest.op("add", nest.op("mul", j, nest.index(self.rows)), i)

    def load(self, node: Node, index: Index, guard: Expr | None) -> Expr:
        plain = super().load(node, index, guard)
        split = nest.linear(plain.args[0], "j") if plain.op == "load" else (plain, 0)
        if split is not None and abs(split[1]) <= 1:
            return plain
        if plain not in self.turned:
            self.turned[plain] = f"turned{len(self.turned)}{node.dtype.name}"
            self.scratch[self.turned[plain]] = node.dtype
            self.most = max(self.most, len(self.turned))
        return nest.load(self.turned[plain], self.at, node.dtype)
