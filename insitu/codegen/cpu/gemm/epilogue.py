"""The epilogue of a contraction: statements made free of sizes, and their code for finished tiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.access import below, has_partial
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.scalar import ScalarEmitter
from insitu.codegen.nest import Contract, Expr
from insitu.codegen.nest_text import own_roots
from insitu.errors import InternalError

i64 = dt.int64

#: Positions are taken to lie below this bound where they do: index arithmetic in 32 bits, whatever the shape.
_EXTENT = 1 << 20


@dataclasses.dataclass(frozen=True)
class Epilogue:
    """An epilogue whose sizes are runtime words.

    Attributes
    ----------
    name : str
        The accumulators' name.
    body : tuple of Stmt
        `Let` and `Store` statements; an axis named ``word0``, ``word1``, ... is a runtime word.
    words : tuple of int
        The words' values for this shape.
    bounded : tuple of bool
        Whether positions along batch, m and n are below the bound that the code relies on.
    flat : bool
        Whether every access follows the element's number in its matrix (or none of m and n), so that several rows are one long row.
    """

    name: str
    body: tuple[nest.Stmt, ...]
    words: tuple[int, ...]
    bounded: tuple[bool, ...]
    flat: bool


@dataclasses.dataclass(frozen=True)
class Matrix:
    """What an epilogue reads or writes at a place of its own for each element, neighbours along n; element (batch, m, 0) is
    at ``offset + batch*batch_stride + m*row_stride``.
    """

    buffer: str
    dtype: dt.DType
    offset: int
    batch_stride: int
    row_stride: int


def generalise(contract: Contract) -> Epilogue:
    """Replace the sizes in the epilogue's offsets by runtime words.

    ``out[batch*12288 + m*1024 + n]``  →  ``out[word0 + batch*word1 + m*word2 + n]``
    """
    extents = {"batch": contract.batch, "m": contract.m, "n": contract.n}
    rewriter = _Rewriter(extents)
    body = tuple(map(rewriter.statement, contract.epilogue))
    return Epilogue(contract.name, body, tuple(rewriter.words), tuple(extent <= _EXTENT for extent in extents.values()), _flat(contract))


def matrices(contract: Contract) -> list[Matrix]:
    """The matrices that an epilogue touches."""
    written = [nest.load(s.buffer, s.offset, s.value.dtype) for s in contract.epilogue if isinstance(s, nest.Store) and s.guard is None]
    found: dict[Matrix, None] = {}
    for x in [*survey.values(contract.epilogue), *written]:
        split = _strides(x.args[0]) if x.op == "load" and len(x.args) == 1 else None
        if split is not None and split[1]["n"] == 1 and split[1]["m"]:
            found[Matrix(x.attr, x.dtype, split[0], split[1]["batch"], split[1]["m"])] = None
    return list(found)


def touched(contract: Contract) -> int:
    """How many matrices tiles should fetch for the epilogue: of a few numbers, so that many epilogues share the loops."""
    return 2 if len(matrices(contract)) <= 2 else 4


def _strides(offset: Expr) -> tuple[int, dict[str, int]] | None:
    """The offset where all axes are 0 and its stride along each of them, or None if it is not linear."""
    strides = {}
    for name in ("n", "m", "batch"):
        split = nest.linear(offset, name)
        if split is None:
            return None
        offset, strides[name] = split
    return (offset.attr, strides) if offset.op == "const" else None


def _flat(contract: Contract) -> bool:
    stores = [s for s in contract.epilogue if isinstance(s, nest.Store)]
    seen: set[Expr] = set()
    stack = [x for s in contract.epilogue if isinstance(s, nest.Store | nest.Let) for x in own_roots(s)[1 if isinstance(s, nest.Store) else 0 :]]
    offsets = [s.offset for s in stores]
    while stack:
        x = stack.pop()
        if x in seen:
            continue
        seen.add(x)
        if x.op == "axis":
            return False
        if x.op == "load":
            offsets.append(x.args[0])
            stack.extend(x.args[1:])
        else:
            stack.extend(x.args)
    return all(_follows(x, contract.n) for x in set(offsets))


def _follows(offset: Expr, columns: int) -> bool:
    """Whether the offset is a constant plus the element's number times a stride of 0 or 1 (batches aside)."""
    split = nest.linear(offset, "n")
    rest = None if split is None else nest.linear(split[0], "m")
    return split is not None and rest is not None and split[1] in (0, 1) and rest[1] == split[1] * columns


class _Rewriter:
    """One pass over the statements; equal offsets share their words."""

    def __init__(self, extents: Mapping[str, int]) -> None:
        self.axes = {n: nest.axis(n, _EXTENT if extent <= _EXTENT else None) for n, extent in extents.items()}
        self.words: list[int] = []
        self._offsets: dict[Expr, Expr] = {}
        self._memo: dict[Expr, Expr] = {}

    def statement(self, s: nest.Stmt) -> nest.Stmt:
        if isinstance(s, nest.Let):
            return nest.Let(s.name, self.expression(s.value))
        if isinstance(s, nest.Store):
            guard = None if s.guard is None else self.expression(s.guard)
            return nest.Store(s.buffer, self.offset(s.offset), self.expression(s.value), guard)
        raise InternalError(f"the epilogue of a contraction cannot hold a {type(s).__name__}")

    def expression(self, x: Expr) -> Expr:
        found = self._memo.get(x)
        if found is None:
            found = self._memo[x] = self._rebuilt(x)
        return found

    def _rebuilt(self, x: Expr) -> Expr:
        if x.op in ("const", "ref"):
            return x
        if x.op == "axis":
            return self.axes[x.attr]
        if x.op == "load":
            guard = self.expression(x.args[1]) if len(x.args) > 1 else None
            return nest.load(x.attr, self.offset(x.args[0]), x.dtype, guard)
        return nest.rebuilt(x, [self.expression(a) for a in x.args])

    def offset(self, x: Expr) -> Expr:
        found = self._offsets.get(x)
        if found is None:
            found = self._offsets[x] = self._with_words(x)
        return found

    def _with_words(self, x: Expr) -> Expr:
        split = _strides(x)
        if split is None:
            return self.expression(x)
        start, strides = split
        total = self._word(start)
        for name in ("batch", "m"):
            total = nest.op("add", total, nest.op("mul", self.axes[name], self._word(strides[name])))
        lanes = self.axes["n"] if strides["n"] == 1 else nest.op("mul", self.axes["n"], nest.index(strides["n"]))
        return total if strides["n"] == 0 else nest.op("add", total, lanes)

    def _word(self, value: int) -> Expr:
        self.words.append(value)
        return nest.axis(f"word{len(self.words) - 1}", None)


@dataclasses.dataclass(frozen=True)
class Span:
    """A finished tile in memory and the part of it to write.

    Element (row, column) is at ``start + row*pitch + column`` and stands for output element
    ``(m + row, n + column)``; rows ``row_range`` and columns ``column_range`` are written.
    """

    start: Value
    pitch: int | Value
    m: Value
    n: Value
    row_range: tuple[Value, Value]
    column_range: tuple[Value, Value]


class EpilogueCalls:
    """Emits calls of an epilogue's function, which is known when the code runs.

    Attributes
    ----------
    flat : bool
        Whether the epilogue takes whole rows that lie one after the other as one.
    """

    def __init__(self, b: Emitter, write: Value, args: Value, flat: bool, touched: int, words: Mapping[str, Value]) -> None:
        self.b, self.function, self.args, self.flat, self.words = b, write, args, flat, words
        self._touched = {}
        for name in [f"touched{k}" for k in range(touched)]:
            start = b.offset(b.pointer(args, words[f"{name}_buffer"]), words[f"{name}_at"], dt.int8)
            # if there are fewer, what is fetched is always near
            self._touched[name] = b.select(b.cmp("eq", words[f"{name}_m"], b.const(0, i64)), args, start)

    def places(self, batch: Value, m: Value, n: Value) -> list[tuple[Value, Value]]:
        """Where the elements of row m from column n on lie in each matrix that tiles fetch, and the bytes from there to the next row."""
        found = []
        for name, start in self._touched.items():
            for axis, index in (("batch", batch), ("m", m), ("n", n)):
                start = self.b.offset(start, self.b.mul(index, self.words[f"{name}_{axis}"]), dt.int8)
            found.append((start, self.words[f"{name}_m"]))
        return found

    def write(self, span: Span, batch: Value) -> None:
        """Run the statements over the span, row by row."""
        pitch = self.b.const(span.pitch, i64) if isinstance(span.pitch, int) else span.pitch
        arguments = (self.args, batch, span.start, pitch, span.m, span.n, *span.row_range, *span.column_range)
        self.b.void(f"call void {self.function.text}({', '.join(map(repr, arguments))})")

    def write_flat(self, start: Value, m: Value, first: Value, stop: Value, batch: Value) -> None:
        """Run the statements over elements ``first`` to ``stop`` of whole rows that lie one after the other, row m first."""
        zero, one = self.b.const(0, i64), self.b.const(1, i64)
        self.write(Span(start, 0, m, zero, (zero, one), (first, stop)), batch)


#: Parameters of an epilogue's function: the kernel's arguments, then a `Span` and its batch.
PARAMETERS = ("args", "batch", "start", "pitch", "m", "n", "row", "row_stop", "column", "column_stop")


class EpilogueWriter:
    """Emits an epilogue over tiles."""

    def __init__(self, b: Emitter, epilogue: Epilogue, dtype: dt.DType, lanes: int, buffers: Mapping[str, Value], words: Sequence[Value]) -> None:
        self.b, self.epilogue, self.dtype, self.lanes, self.buffers = b, epilogue, dtype, lanes, buffers
        self.words = {f"word{k}": word for k, word in enumerate(words)}
        self.roots = survey.roots(epilogue.body)
        self.partial = has_partial(b.target, survey.narrowest(epilogue.body))

    def write(self, batch: Value, start: Value, pitch: Value, m: Value, n: Value, row_range: tuple[Value, Value], first: Value, stop: Value) -> None:
        """Run the statements over a `Span`, row by row."""
        b, body = self.b, self.epilogue.body
        count = b.sub(stop, first)
        whole = b.add(first, b.and_(count, b.const(-self.lanes, i64)))
        scope = ScalarEmitter(b, self.buffers, {"batch": batch, **self.words})
        scope.hoist(self.roots, survey.changing(body, "m", "n", self.epilogue.name), "n")
        with loop(b, *row_range) as row:
            line = b.offset(start, b.mul(row.index, pitch), self.dtype)
            self._row(scope.child({"m": b.add(m, row.index)}), line, n, (first, whole, stop))

    def _row(self, scope: ScalarEmitter, line: Value, n: Value, columns: tuple[Value, Value, Value]) -> None:
        """One row: from the first column whole vectors up to the second one, then the rest up to the third."""
        b, (first, whole, stop) = self.b, columns
        scope.hoist(self.roots, survey.changing(self.epilogue.body, "n", self.epilogue.name), "n")
        with loop(b, first, whole, self.lanes) as column:
            self._vector(scope, b.offset(line, column.index, self.dtype), b.add(n, column.index), self.lanes, None)
        self._tail(scope, line, n, whole, stop)

    def _tail(self, scope: ScalarEmitter, line: Value, n: Value, first: Value, stop: Value) -> None:
        """The columns that do not fill a vector: masked where that is cheap, else one by one."""
        b = self.b
        if not self.partial:
            with loop(b, first, stop, 1) as column:
                self._vector(scope, b.offset(line, column.index, self.dtype), b.add(n, column.index), 1, None)
            return
        left = b.sub(stop, first)
        with b.when(b.cmp("gt", left, b.const(0, i64))):
            self._vector(scope, b.offset(line, first, self.dtype), b.add(n, first), self.lanes, below(b, left, self.lanes))

    def _vector(self, scope: ScalarEmitter, at: Value, n: Value, lanes: int, mask: Value | None) -> None:
        inner = scope.child({"n": n}, "n" if lanes > 1 else None, lanes, mask)
        inner.refs[self.epilogue.name] = self.b.load(at, self.dtype, lanes)
        for s in self.epilogue.body:
            if isinstance(s, nest.Let):
                inner.let(s)
            elif isinstance(s, nest.Store):
                inner.store(s)
