"""From a group of nodes to a loop nest: every node becomes an expression of an index."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Axis, Expr, Stmt
from insitu.compiler.fuse import Group
from insitu.errors import InternalError
from insitu.graph.node import Node, Shape

Index = tuple[Expr, ...]

#: Fewer outer positions than this are not worth giving up a longer inner axis for.
MANY = 8
#: Elements that a chain of a column reduction has written out.
FEW = 32
_FOLDED = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}


@dataclasses.dataclass
class Lowered:
    """A kernel and what its buffers are: a node's value for each buffer that is not scratch."""

    kernel: nest.Kernel
    arguments: list[Node]
    group: Group


def reads(k: Lowered) -> set[Node]:
    """Values a kernel reads."""
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role in ("in", "both")}


def writes(k: Lowered) -> set[Node]:
    """Values a kernel writes."""
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role in ("out", "both")}


def unravel(flat: Expr, shape: Shape) -> Index:
    """The position in a shape of a flat index."""
    out: list[Expr] = []
    for n in reversed(shape[1:]):
        out.append(nest.op("mod", flat, nest.index(n)))
        flat = nest.op("floordiv", flat, nest.index(n))
    return (*([flat] if shape else []), *reversed(out))


def ravel(index: Index, shape: Shape) -> Expr:
    """The flat index of a position in a C-contiguous array."""
    flat = nest.index(0)
    for i, n in zip(index, shape, strict=True):
        flat = nest.op("add", nest.op("mul", flat, nest.index(n)), i)
    return flat


class Scattered(Exception):
    """Lanes would have to gather what they read."""


class Lowerer:
    """Expressions of one kernel: inlines nodes down to loads of stored values.

    Parameters
    ----------
    stored : set of Node
        Nodes whose values lie in memory when this kernel runs (or are written by it).
    own : sequence of Node
        Members of the group; they are computed here, never loaded.
    lanes : str
        An axis along which no load may move by more than one element: `Scattered` is raised for the first that does. Empty: any load may.
    """

    def __init__(self, stored: set[Node], own: Iterable[Node], lanes: str = "") -> None:
        self.stored, self.own, self.lanes = stored, set(own), lanes
        self.inputs: dict[Node, str] = {}
        self.outputs: dict[Node, str] = {}
        self.refs: dict[Node, Expr] = {}
        self.kept: dict[tuple[Node, Index], Expr] = {}
        self._memo: dict[tuple[Node, Index, Expr | None], Expr] = {}

    def forget(self) -> None:
        """Drop memoised expressions: `refs` or `kept` have changed."""
        self._memo.clear()

    def value(self, node: Node, index: Index, guard: Expr | None = None) -> Expr:
        """The node's element, in its memory dtype."""
        key = (node, index, guard)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._value(node, index, guard)
        return found

    def _value(self, node: Node, index: Index, guard: Expr | None) -> Expr:
        if node in self.refs:
            return self.refs[node]
        if (node, index) in self.kept:
            return self.kept[node, index]
        if node.memory is not None or node.prim.kind == "leaf" or (node in self.stored and node not in self.own):
            return self.load(node, index, guard)
        if node.prim.kind == "view":
            return node.prim.element(node, index, lambda i, at, g=None: self.value(node.inputs[i], tuple(at), g), guard)
        if node.prim.kind != "map":
            raise InternalError(f"{node!r} is neither stored nor part of its kernel's loop")
        args = [self.value(i, _broadcast(index, node.shape, i.shape), guard) for i in node.inputs]
        args = [nest.cast(a, a.dtype.compute) for a in args]
        return nest.cast(node.prim.scalar(node.attrs, node.dtype, *args), node.dtype)

    def load(self, node: Node, index: Index, guard: Expr | None) -> Expr:
        """The element of a value that lies in memory."""
        offset = ravel(index, node.shape)
        if self.lanes and not _steady(offset, self.lanes):
            raise Scattered
        return nest.load(self.buffer(node), offset, node.dtype, guard)

    def buffer(self, node: Node) -> str:
        """The name of the buffer that the node is read from."""
        return self.inputs.setdefault(node, f"x{len(self.inputs)}")

    def store(self, node: Node, index: Index, offset: Expr | None = None) -> nest.Store:
        """Store the node's element into its own buffer."""
        name = self.outputs.setdefault(node, f"y{len(self.outputs)}")
        return nest.Store(name, ravel(index, node.shape) if offset is None else offset, self.value(node, index))

    def buffers(self) -> tuple[list[nest.Buffer], list[Node]]:
        """Buffers in the order of arguments, and their nodes."""
        nodes = [*self.inputs, *self.outputs]
        rows = [nest.Buffer(b, n.dtype, "in") for n, b in self.inputs.items()]
        return rows + [nest.Buffer(b, n.dtype, "out") for n, b in self.outputs.items()], nodes


def _broadcast(index: Index, shape: Shape, source: Shape) -> Index:
    skip = len(shape) - len(source)
    zero = nest.index(0)
    return tuple([zero if n == 1 and shape[k + skip] != 1 else index[k + skip] for k, n in enumerate(source)])


def accumulate(how: str, value: Expr) -> Expr:
    """The reduced value in the dtype the reduction adds in."""
    return nest.cast(value, value.dtype.compute) if how in ("sum", "prod") else value


# -- element-wise kernels ------------------------------------------------------------------------
def lower_map(group: Group, stored: set[Node]) -> Lowered:
    """A kernel over the elements of one shape: flat if every access allows it, else rows of lanes.

    ::

        parallel vector i:                    parallel r:
          y0[i] = (x0[i] * x1[i])               vector j < 10:
                                                  y0[((r * 10) + j)] = (x0[((r * 10) + j)] + x1[j])
    """
    shape = group.shape
    one_axis = sum(n > 1 for n in shape) < 2
    with contextlib.suppress(Scattered):
        flat = _map_attempt(group, stored, shape, 0, steady=not one_axis)
        counts, alone = (_position_alone(flat.kernel, counting) for counting in (True, False))
        if alone or (counts and flat.kernel.units <= nest.NARROW):
            free = _map_attempt(group, stored, shape, 0, nest.axis("i", None if alone else nest.NARROW))
            return free if _position_alone(free.kernel, counting=not alone) else flat  # code that serves other extents, too
        return flat
    for split in range(1, len(shape)):
        with contextlib.suppress(Scattered):
            if math.prod(shape[split:]) > 1:
                return _finer(group, stored, shape, split, _map_attempt(group, stored, shape, split, steady=True))
    return _map_attempt(group, stored, shape, len(shape) - 1)


def _finer(group: Group, stored: set[Node], shape: Shape, split: int, tried: Lowered) -> Lowered:
    """Split once more where the outer extent alone would leave threads without work."""
    if tried.kernel.units >= MANY or split + 1 >= len(shape) or math.prod(shape[split + 1 :]) < 256:
        return tried
    return _map_attempt(group, stored, shape, split + 1)


def _position_alone(kernel: nest.Kernel, counting: bool) -> bool:
    """Whether the unit's position only addresses: every value lies at that very position, or at a fixed one.

    With ``counting`` it may also be a number that values are computed from, as for random numbers.
    """
    seen: set[Expr] = set()
    stack: list[Expr] = []
    for s in kernel.body:
        if not isinstance(s, nest.Store) or s.guard is not None or s.offset.op != "axis":
            return False
        stack.append(s.value)
    while stack:
        x = stack.pop()
        if counting and x.op == "cast" and x.args[0].op == "axis":
            continue
        if x.op == "axis" or (x.op == "load" and (len(x.args) > 1 or x.args[0].op not in ("axis", "const"))):
            return False
        if x not in seen:
            seen.add(x)
            stack.extend(x.args if x.op != "load" else ())
    return True


def _map_attempt(group: Group, stored: set[Node], shape: Shape, split: int, unit: Expr | None = None, steady: bool = False) -> Lowered:
    """The kernel with lanes along the axes from ``split`` on; ``unit``: the flat position, if its bound is not to be the shape's.

    With ``steady`` `Scattered` is raised if an access moves by more than one element.
    """
    lanes = "j" if split else "i"
    low = Lowerer(stored, group.nodes, lanes if steady else "")
    if split == 0:
        index = unravel(unit or nest.axis("i", math.prod(shape)), shape)
    else:
        index = unravel(nest.axis("r", math.prod(shape[:split])), shape[:split]) + unravel(nest.axis("j", math.prod(shape[split:])), shape[split:])
    body = list(_column_reductions(group, low, index))
    body += [low.store(n, index) for n in group.stored]
    if split:
        body = [nest.Loop(Axis(lanes, math.prod(shape[split:]), "vector"), tuple(body))]
    units = math.prod(shape[:split] if split else shape)
    buffers, nodes = low.buffers()
    kernel = nest.Kernel("r" if split else "i", units, tuple(buffers), tuple(body), vector=not split)
    return Lowered(kernel, nodes, group)


def _column_reductions(group: Group, low: Lowerer, index: Index) -> Iterator[Stmt]:
    """One chain per output element, over axes that are not the last."""
    for n in group.nodes:
        if n.prim.kind != "reduce":
            continue
        x, axes = n.inputs[0], n.attrs[0]
        name = f"k{len(low.refs)}"
        extents = tuple(x.shape[a] for a in axes)
        if n.prim.how in _FOLDED and 0 < math.prod(extents) <= FEW:
            yield _written_out(n, low, index, extents)
            continue
        axis = Axis(name, math.prod(extents))
        inner = unravel(axis.at, extents)
        at = (*index[: axes[0]], *inner, *index[axes[0] :])
        value = accumulate(n.prim.how, low.value(x, at))
        made = nest.Reduce(f"{n.prim.how}{len(low.refs)}", n.prim.how, axis, value)
        low.refs[n] = nest.cast(nest.ref(made.name, _result(n.prim.how, value)), n.dtype)
        low.forget()
        yield made


def _written_out(n: Node, low: Lowerer, index: Index, extents: Shape) -> Stmt:
    """A chain over few elements, one after the other: their places, and whether they exist, are then known or computed once for a row."""
    how, first = n.prim.how, n.attrs[0][0]
    places = itertools.product(*[map(nest.index, range(extent)) for extent in extents])
    values = [accumulate(how, low.value(n.inputs[0], (*index[:first], *place, *index[first:]))) for place in places]
    made = nest.Let(f"{how}{len(low.refs)}", functools.reduce(functools.partial(nest.op, _FOLDED[how]), values))
    low.refs[n] = nest.cast(nest.ref(made.name, values[0].dtype), n.dtype)
    low.forget()
    return made


def _result(how: str, value: Expr) -> dt.DType:
    return dt.int64 if how.startswith("arg") else value.dtype


def _steady(offset: Expr, lanes: str) -> bool:
    """Whether the offset moves by 0, 1 or -1 elements from lane to lane."""
    found = nest.linear(offset, lanes)
    return found is not None and abs(found[1]) <= 1


# -- row kernels ---------------------------------------------------------------------------------
def lower_rows(group: Group, stored: set[Node]) -> Lowered:
    """A kernel that keeps one row in cache: reductions in order, then the row's results.

    Expensive values that are needed again after a reduction are kept in scratch. For a softmax::

        parallel r:
          max0 = max over vector j < 4096 of x0[(r * 4096) + j]
          sum1 = sum over vector j < 4096 of exp(x0[...] - max0)
            keep0[j] = exp(x0[...] - max0)
          vector j < 4096:
            y0[(r * 4096) + j] = keep0[j] / sum1
    """
    return _Rows(group, stored).lower()


class _Rows:
    def __init__(self, group: Group, stored: set[Node]) -> None:
        self.group = group
        self.full = group.shape + group.row
        self.low = Lowerer(stored, group.nodes)
        self.length = math.prod(group.row)
        rows = math.prod(group.shape) if len(group.shape) > 1 else None  # one outer axis: code that serves any extent
        self.outer = unravel(nest.axis("r", rows), group.shape)
        self.axis = Axis("j", self.length, "vector")
        self.index = self.outer + unravel(self.axis.at, group.row)
        self.scratch: list[nest.Buffer] = []
        self.body: list[Stmt] = []

    def lower(self) -> Lowered:
        group, low = self.group, self.low
        for n in group.nodes:
            if n.prim.kind == "reduce":
                self._reduce(n)
            elif n.shape != self.full:
                name = f"s{len(low.refs)}"
                self.body.append(nest.Let(name, low.value(n, self.outer)))
                low.refs[n] = nest.ref(name, n.dtype)
                low.forget()
        rows = [n for n in group.stored if n.shape == self.full]
        if rows:
            self.body.append(nest.Loop(self.axis, tuple([low.store(n, self.index) for n in rows])))
        self.body += [low.store(n, self.outer) for n in group.stored if n.shape != self.full]
        buffers, nodes = low.buffers()
        kernel = nest.Kernel("r", math.prod(group.shape), (*buffers, *self.scratch), tuple(self.body))
        return Lowered(kernel, nodes, group)

    def _reduce(self, n: Node) -> None:
        low, how = self.low, n.prim.how
        value = accumulate(how, low.value(n.inputs[0], self.index))
        keep: list[Stmt] = []
        kept: dict[tuple[Node, Index], Expr] = {}
        for m in self._needed_again(n):
            name = f"keep{len(self.scratch)}"
            keep.append(nest.Store(name, self.axis.at, low.value(m, self.index)))
            kept[m, self.index] = nest.load(name, self.axis.at, m.dtype)
            self.scratch.append(nest.Buffer(name, m.dtype, "scratch", self.length))
        made = nest.Reduce(f"{how}{len(low.refs)}", how, self.axis, value, tuple(keep))
        self.body.append(made)
        low.kept |= kept
        low.refs[n] = nest.cast(nest.ref(made.name, _result(how, value)), n.dtype)
        low.forget()

    def _needed_again(self, n: Node) -> list[Node]:
        """Expensive values of the row that this reduction computes and a later loop reads again."""
        at = self.group.nodes.index(n)
        later = self._reach([i for m in self.group.nodes[at + 1 :] if m.prim.kind == "reduce" for i in m.inputs] + self.group.stored)
        return [m for m in self._reach(n.inputs) if m.prim.name in nest.EXPENSIVE and m.shape == self.full and m in later]

    def _reach(self, start: Iterable[Node]) -> dict[Node, None]:
        """Nodes that are computed (not loaded) to get these values now."""
        found: dict[Node, None] = {}
        stack = list(start)
        while stack:
            m = stack.pop()
            computed = m in self.low.own or (m not in self.low.stored and m.memory is None)
            if computed and m not in found and m not in self.low.refs and (m, self.index) not in self.low.kept:
                found[m] = None
                if m.prim.kind != "reduce":
                    stack.extend(m.inputs)
        return found
