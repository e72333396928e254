"""Hints on memory traffic: which results go past the caches, which rows are fetched ahead.

Hints change no value. They matter for kernels whose arrays are far larger than the caches: a result
written past the caches saves reading its old contents, and a row that is fetched while the one before
it is computed hides the memory behind the arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import survey
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.nest import Expr, Kernel
from insitu.codegen.nest_text import in_order
from insitu.codegen.target import LINE
from insitu.dtypes import DType

#: How many rows ahead chains fetch what they read.
ROWS_AHEAD = 16
#: Bytes of results from which on writing past the caches pays.
STREAM_BYTES = 16 << 20
#: Bytes of a row that is worth fetching ahead, and that a second-level cache holds beside the row at work.
_ROW_BYTES = range(1 << 10, 128 << 10)


@dataclasses.dataclass(frozen=True)
class Ahead:
    """A row to fetch while another statement works: elements ``base + step`` and up of a buffer, ``base`` being
    where this unit's row starts.
    """

    load: Expr
    base: Expr
    step: int


@dataclasses.dataclass(frozen=True)
class Hints:
    """What a kernel does beside computing.

    Attributes
    ----------
    streamed : frozenset of str
        Results that are written past the caches.
    ahead : dict of int to list of Ahead
        The next unit's rows, by the statement during which they are fetched.
    far_chains : bool
        Whether chains fetch rows that are `ROWS_AHEAD`.
    """

    streamed: frozenset[str]
    ahead: dict[int, list[Ahead]]
    far_chains: bool


def hints(kernel: Kernel) -> Hints:
    """The hints for a kernel."""
    return Hints(_streamed(kernel), _fetched_ahead(kernel), _far_chains(kernel))


def _streamed(kernel: Kernel) -> frozenset[str]:
    """Results that are written past the caches: large ones, written in whole lines, never read by the kernel."""
    stores = [s for s in survey.statements(kernel.body) if isinstance(s, nest.Store)]
    read = {x.attr for x in in_order(survey.roots(kernel.body)) if x.op == "load"}
    results = {b.name: b.dtype.itemsize for b in kernel.buffers if b.role in ("out", "part") and b.name not in read}
    written = sum(_elements(kernel.body, name) * size for name, size in results.items()) * kernel.units
    if written < STREAM_BYTES:
        return frozenset()
    return frozenset(s.buffer for s in stores if s.buffer in results and _whole_lines(kernel, s, results[s.buffer]))


def _elements(body: tuple[nest.Stmt, ...], buffer: str) -> int:
    """Elements of a buffer that one turn of a body writes."""
    total = 0
    for s in body:
        if isinstance(s, nest.Store):
            total += s.buffer == buffer
        elif isinstance(s, nest.Loop):
            total += s.axis.extent * _elements(s.body, buffer)
        elif isinstance(s, nest.Reduce):
            total += s.axis.extent * _elements((*s.body, *s.after), buffer)
    return total


def _whole_lines(kernel: Kernel, s: nest.Store, size: int) -> bool:
    """Whether lane 0 of every whole vector starts at a line, if the buffer does: lanes run along one axis
    with stride 1, and every other term of the offset is a multiple of a line.
    """
    if kernel.vector:
        return s.guard is None and s.offset.op == "axis"
    lanes = [t for t in survey.terms(s.offset) if t.op == "axis"]
    rest = [t for t in survey.terms(s.offset) if t.op != "axis"]
    return s.guard is None and len(lanes) == 1 and lanes[0].attr != kernel.unit and all(_factor(t) * size % LINE == 0 for t in rest)


def _factor(term: Expr) -> int:
    if term.op == "const":
        return int(term.attr)
    return int(term.args[1].attr) if term.op == "mul" and term.args[1].op == "const" else 1


def _fetched_ahead(kernel: Kernel) -> dict[int, list[Ahead]]:
    """For row kernels that pass over a row more than once: the next unit's rows, to be fetched during the
    longest pass. The key is the position of that statement in the kernel's body.
    """
    passes = {k: s for k, s in enumerate(kernel.body) if isinstance(s, nest.Loop | nest.Reduce) and s.axis.kind == "vector"}
    if kernel.vector or len(passes) < 2:
        return {}
    first = passes[min(passes)]
    longest = max(passes, key=lambda k: survey.instructions(survey.values((passes[k],))))
    if passes[longest].axis.extent != first.axis.extent or longest == min(passes):
        return {}
    inputs = {b.name for b in kernel.buffers if b.role == "in"}
    found = []
    for x in in_order(survey.roots((first,))):
        split = nest.linear(x.args[0], first.axis.name) if x.op == "load" and x.attr in inputs else None
        unit = nest.linear(split[0], kernel.unit) if split is not None and split[1] == 1 else None
        if split is not None and unit is not None and unit[1] and first.axis.extent * x.dtype.itemsize in _ROW_BYTES:
            found.append(Ahead(x, split[0], unit[1]))
    return {longest: found} if found else {}


def _far_chains(kernel: Kernel) -> bool:
    """Whether lanes run along rows that chains pass one after the other, some columns at a time, of arrays far larger than the caches:
    what they read lies in pieces, which nobody fetches.
    """
    for s in kernel.body if not kernel.vector else ():
        if isinstance(s, nest.Loop) and s.axis.kind == "vector":
            chains = [c for c in s.body if survey.is_chain(c)]
            read = {x.attr: x.dtype.itemsize for x in in_order(survey.roots(chains)) if x.op == "load" and nest.depends(x.args[0], s.axis.name)}
            if kernel.units * max([c.axis.extent for c in chains], default=0) * s.axis.extent * sum(read.values()) >= STREAM_BYTES:
                return True
    return False


def furthest(chains: Sequence[nest.Reduce]) -> list[Expr]:
    """Of each buffer that chains read the load that comes last: taps of windows are in order."""
    return list({x.attr: x for x in in_order([s.value for s in chains]) if x.op == "load"}.values())


def fetch(b: Emitter, row: Value, step: int, start: Value, lanes: int, dtype: DType) -> None:
    """Fetch ahead the lines of elements ``start`` to ``start + lanes`` of the row that lies ``step`` elements further on."""
    fetch_lines(b, b.offset(b.offset(row, step, dtype), start, dtype), lanes, dtype)


def fetch_lines(b: Emitter, first: Value, lanes: int, dtype: DType) -> None:
    """Fetch the lines of so many elements."""
    for byte in range(0, lanes * dtype.itemsize, LINE):
        b.prefetch(b.offset(first, byte, dt.uint8))
