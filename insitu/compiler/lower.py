"""From a group of nodes to a loop nest: every node becomes an expression of an index."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Axis, Expr, Stmt
from insitu.codegen.nest_text import in_order, own_roots
from insitu.compiler.fuse import Group
from insitu.compiler.placing import place
from insitu.errors import InternalError
from insitu.graph.node import Node, Shape, topological
from insitu.ops.creation import BLOCKS

Index = tuple[Expr, ...]

#: Fewer outer positions than this are not worth giving up a longer inner axis for.
MANY = 8
#: Elements that a chain of a column reduction has written out, and most places whose chains run side by side.
FEW = 32
#: As `FEW`, for chains whose turns would each compute where their elements are, or if they exist: over windows, of up to 11 x 11 taps.
_UNEVEN = 128
#: Lanes of which the axis that runs in lanes keeps a multiple where it is cut for more units.
_LANES = 32
#: Shortest rows for which a flat kernel is given up where whole rows exist or do not.
_ROW = 16
#: Elements of which a column reduction of few rows is a loop all the same, where that is no slower: one code for any number of rows.
_SMALL = 1 << 14
#: The axis of chains over axes that are not the last.
_CHAIN = "k"
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
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role in ("out", "both", "part")}


def parts(k: Lowered) -> set[Node]:
    """Values of which a kernel writes a part that no other kernel writes."""
    return {n for b, n in zip(k.kernel.buffers, k.arguments, strict=False) if b.role == "part"}


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
        self.written = "out"  # the role of what is stored
        self._memo: dict[tuple[Node, Index, Expr | None], Expr] = {}

    def enter(self, refs: dict[Node, Expr]) -> None:
        """Take these as the results of reductions so far."""
        self.refs = refs
        self.forget()

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
        if node.prim.kind in ("view", "mix"):
            return node.prim.element(node, index, lambda i, at, g=None: self.value(node.inputs[i], tuple(at), g), guard)
        if node.prim.kind != "map":
            raise InternalError(f"{node!r} is neither stored nor part of its kernel's loop")
        args = [self.value(i, _broadcast(index, node.shape, i.shape), guard) for i in node.inputs]
        args = [nest.cast(a, a.dtype.compute) for a in args]
        return nest.cast(node.prim.scalar(node.attrs, node.dtype, *args), node.dtype)

    def load(self, node: Node, index: Index, guard: Expr | None) -> Expr:
        """The element of a value that lies in memory."""
        if guard is not None and guard.op == "const" and not guard.attr:
            return nest.const(0, node.dtype)  # nothing is read
        offset = nest.ravel(index, node.shape)
        if self.lanes and not _steady(offset, self.lanes):
            raise Scattered
        return nest.load(self.buffer(node), offset, node.dtype, guard)

    def buffer(self, node: Node) -> str:
        """The name of the buffer that the node is read from."""
        return self.inputs.setdefault(node, f"x{len(self.inputs)}")

    def store(self, node: Node, index: Index, offset: Expr | None = None) -> nest.Store:
        """Store the node's element into its own buffer."""
        name = self.outputs.setdefault(node, f"y{len(self.outputs)}")
        return nest.Store(name, nest.ravel(index, node.shape) if offset is None else offset, self.value(node, index))

    def store_all(self, group: Group, index: Index) -> tuple[nest.Store, ...]:
        """Store what the group stores of its element at an index: where it lies ``inside`` a larger value, at its place there."""
        inside = group.inside
        if inside is None:
            return tuple([self.store(n, index) for n in group.stored])
        self.written, places = "part", []
        for part, path in inside.parts:
            at = place(path, index)
            if at is None:
                raise InternalError(f"{part!r} has no place in {inside.whole!r}")
            self.kept[inside.whole, at] = self.value(part, index)
            places.append(at)
        return tuple([self.store(n, at) for at in places for n in group.stored])

    def buffers(self) -> tuple[list[nest.Buffer], list[Node]]:
        """Buffers in the order of arguments, and their nodes."""
        nodes = [*self.inputs, *self.outputs]
        rows = [nest.Buffer(b, n.dtype, "in") for n, b in self.inputs.items()]
        return rows + [nest.Buffer(b, n.dtype, self.written) for n, b in self.outputs.items()], nodes


def _broadcast(index: Index, shape: Shape, source: Shape) -> Index:
    skip = len(shape) - len(source)
    zero = nest.index(0)
    return tuple([zero if n == 1 and shape[k + skip] != 1 else index[k + skip] for k, n in enumerate(source)])


def accumulate(how: str, value: Expr) -> Expr:
    """The reduced value in the dtype the reduction adds in."""
    return nest.cast(value, value.dtype.compute) if how in ("sum", "prod") else value


# -- element-wise kernels ------------------------------------------------------------------------
def lower_map(group: Group, stored: set[Node]) -> Lowered:
    """A kernel over the elements of one shape: flat if every access allows it, else rows of lanes; also if reading depends on the row.

    ::

        parallel vector i:                    parallel r:
          y0[i] = (x0[i] * x1[i])               vector j < 10:
                                                  y0[((r * 10) + j)] = (x0[((r * 10) + j)] + x1[j])
    """
    shape = group.shape
    mixing = group.nodes[0]
    if mixing.prim.kind == "mix":
        return _map_attempt(group, stored, shape, len(shape) - 1, block=mixing.prim.block(mixing))
    one_axis = sum(n > 1 for n in shape) < 2
    flat: Lowered | None = None
    with contextlib.suppress(Scattered):
        flat = _map_attempt(group, stored, shape, 0, steady=not one_axis)
        counts, alone = (_position_alone(flat.kernel, counting) for counting in (True, False))
        whole = group.inside is None  # parts have their places only below the shape's bounds
        if whole and counts and flat.kernel.units <= nest.NARROW and flat.kernel.units % BLOCKS == 0 and _draws(group, stored):
            return _in_blocks(group, stored)
        if whole and (alone or (counts and flat.kernel.units <= nest.NARROW)):
            free = _map_attempt(group, stored, shape, 0, nest.axis("i", None if alone else nest.NARROW))
            return free if _position_alone(free.kernel, counting=not alone) else flat  # code that serves other extents, too
        if not _guarded(flat.kernel, "i"):
            return flat
    for split in range(1, len(shape)):
        with contextlib.suppress(Scattered):
            if math.prod(shape[split:]) >= (2 if flat is None else _ROW):
                steady = _map_attempt(group, stored, shape, split, steady=True)
                if flat is not None and _guarded(steady.kernel, "j"):
                    continue
                return _side_by_side(group, stored, shape, split, steady) or _finer(group, stored, shape, split, steady)
    return flat or _map_attempt(group, stored, shape, len(shape) - 1)


def _guarded(kernel: nest.Kernel, lanes: str) -> bool:
    """Whether each lane finds out for itself if an element exists."""
    parts = in_order([x for s in _inner(kernel) for x in own_roots(s)])
    return any(x.op == "load" and len(x.args) > 1 and nest.depends(x.args[1], lanes) for x in parts)


def _side_by_side(group: Group, stored: set[Node], shape: Shape, split: int, tried: Lowered) -> Lowered | None:
    """The axes before the lanes written out, if chains then read elements together: a pass over them serves all of these places.

    For the gradient of a depthwise convolution by its kernel, whose taps see one cotangent::

        parallel r:                                           parallel r:
          vector j < 64:                                        vector j < 64:
            sum0 = sum over k < 512 of x0[... r % 9] * x1[...]    sum0 = sum over k < 512 of x0[...] * x1[...]
            y0[((r * 64) + j)] = sum0                             ...
                                                                  sum8 = sum over k < 512 of x0[... + 114] * x1[...]
                                                                  y0[((r * 576) + j)] = sum0
    """
    first = split
    for k in range(split - 1, -1, -1) if any(isinstance(s, nest.Reduce) for s in _inner(tried.kernel)) else ():
        if math.prod(shape[k:split]) > FEW or not _shared(group, stored, shape, k):
            break
        first = k
    if math.prod(shape[first:split]) == 1:
        return None
    return _map_attempt(group, stored, shape, split, block=(*[1] * first, *shape[first:split], *[1] * (len(shape) - split)))


def _inner(kernel: nest.Kernel) -> tuple[Stmt, ...]:
    """The statements that run in lanes."""
    return kernel.body[0].body if len(kernel.body) == 1 and isinstance(kernel.body[0], nest.Loop) else kernel.body


def _shared(group: Group, stored: set[Node], shape: Shape, axis: int) -> bool:
    """Whether chains read an element at each turn that is the same for all places on an axis."""
    if shape[axis] == 1:
        return True
    index = tuple([nest.axis(f"o{k}", n) for k, n in enumerate(shape)])
    chains = [s for s in _chains(group, Lowerer(stored, group.nodes), [(index, {})]) if isinstance(s, nest.Reduce)]
    loads = [x for x in in_order([s.value for s in chains]) if x.op == "load" and nest.depends(x, _CHAIN)]
    return not all(nest.depends(x, f"o{axis}") for x in loads)


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
        if counting and x.op in ("cast", "eq") and _counts(x.args[0]):
            continue
        if x.op == "axis" or (x.op == "load" and (len(x.args) > 1 or x.args[0].op not in ("axis", "const"))):
            return False
        if x not in seen:
            seen.add(x)
            stack.extend(x.args if x.op != "load" else ())
    return True


def _counts(x: Expr) -> bool:
    """Whether a whole number follows from the position alone."""
    return x.dtype is dt.int64 and all(e.op in ("axis", "const", "add", "mul", "floordiv", "mod") for e in in_order([x]))


def _draws(group: Group, stored: set[Node]) -> bool:
    """Whether random bits are drawn in the group's loop."""
    own = set(group.nodes)
    nodes = topological(group.nodes, lambda n: n not in own and (n in stored or n.memory is not None))
    return any(n.prim.name == "random_bits" and n not in stored - own for n in nodes)


def _in_blocks(group: Group, stored: set[Node]) -> Lowered:
    """The kernel of elements at one flat position, those that share a block of random words together; it serves other extents, too.

    ::

        parallel r:
          vector j < 256:
            y0[((r * 1024) + j)] = ...
            y0[(((r * 1024) + j) + 256)] = ...
    """
    low, lanes = Lowerer(stored, group.nodes), Axis("j", BLOCKS // 4, "vector")
    start = nest.op("mul", nest.axis("r", nest.NARROW // BLOCKS), nest.index(BLOCKS))
    flat = [nest.op("add", start, nest.op("add", lanes.at, nest.index(word * BLOCKS // 4))) for word in range(4)]
    body = [low.store(n, nest.unravel(at, group.shape)) for at in flat for n in group.stored]
    buffers, nodes = low.buffers()
    return Lowered(nest.Kernel("r", math.prod(group.shape) // BLOCKS, tuple(buffers), (nest.Loop(lanes, tuple(body)),)), nodes, group)


def _map_attempt(
    group: Group, stored: set[Node], shape: Shape, split: int, unit: Expr | None = None, steady: bool = False, block: Shape = ()
) -> Lowered:
    """The kernel with lanes along the axes from ``split`` on; on the others, as many neighbours as ``block`` says are written out.

    ``unit``: the flat position, if its bound is not to be the shape's. With ``steady`` `Scattered` is raised if an access moves by more
    than one element.
    """
    lanes = "j" if split else "i"
    low = Lowerer(stored, group.nodes, lanes if steady else "")
    blocks = block[:split] or (1,) * split
    outer = tuple([n // size for n, size in zip(shape[:split], blocks, strict=True)])
    length, units = math.prod(shape[split:]), math.prod(outer)
    parts = _parts(units, length) if block else 1
    *first, part = nest.unravel(nest.axis("r", units * parts), (*outer, parts))
    along = nest.op("add", nest.op("mul", part, nest.index(length // parts)), nest.axis(lanes, length // parts))
    inner = nest.unravel(along if split else unit or nest.axis(lanes, length), shape[split:])
    scopes: list[tuple[Index, dict[Node, Expr]]] = []
    for corner in itertools.product(*map(range, blocks)):
        at = [nest.op("add", nest.op("mul", o, nest.index(size)), nest.index(p)) for o, size, p in zip(first, blocks, corner, strict=True)]
        scopes.append(((*at, *inner), {}))
    body: list[Stmt] = [*_chains(group, low, scopes)]
    for index, refs in scopes:
        low.enter(refs)
        body += low.store_all(group, index)
    if split:
        body = [nest.Loop(Axis(lanes, length // parts, "vector"), tuple(body))]
    buffers, nodes = low.buffers()
    kernel = nest.Kernel("r" if split else "i", units * parts if split else length, tuple(buffers), tuple(body), vector=not split)
    return Lowered(kernel, nodes, group)


def _parts(units: int, length: int) -> int:
    """Into how many parts the lanes' axis is cut, so that threads find work where units are few."""
    fitting = [p for p in range(1, MANY + 1) if length % (p * _LANES) == 0] or [1]
    return next((p for p in fitting if units * p >= MANY), fitting[-1])


def _chains(group: Group, low: Lowerer, scopes: list[tuple[Index, dict[Node, Expr]]]) -> list[nest.Let | nest.Reduce]:
    """The group's reductions, each at every index; their results are added to the index's."""
    body: list[nest.Let | nest.Reduce] = []
    for n in group.nodes:
        for index, refs in scopes if n.prim.kind == "reduce" else ():
            low.enter(refs)
            made = _column_reduction(n, low, index, f"{n.prim.how}{len(body)}")
            refs[n] = nest.cast(nest.ref(made.name, _result(n.prim.how, made.value)), n.dtype)
            body.append(made)
    return body


def _column_reduction(n: Node, low: Lowerer, index: Index, name: str) -> nest.Let | nest.Reduce:
    """One chain for the output element at an index, over axes that are not the last."""
    x, axes, how = n.inputs[0], n.attrs[0], n.prim.how
    extents = tuple([x.shape[a] for a in axes])
    count = math.prod(extents)
    folded = how in _FOLDED and count > 0
    if folded and count <= FEW and (len(axes) > 1 or math.prod(x.shape) > _SMALL):
        return _written_out(n, low, index, extents, name)
    axis = Axis(_CHAIN, count)
    at = (*index[: axes[0]], *nest.unravel(axis.at, extents), *index[axes[0] :])
    value = accumulate(how, low.value(x, at))
    if folded and count <= _UNEVEN and not _steps_evenly(value):
        return _written_out(n, low, index, extents, name)
    return nest.Reduce(name, how, axis, value)


def _steps_evenly(value: Expr) -> bool:
    """Whether a chain's turns read elements that all exist, and are evenly apart."""
    loads = [x for x in in_order([value]) if x.op == "load"]
    return all(len(x.args) == 1 and nest.linear(x.args[0], _CHAIN) is not None for x in loads)


def _written_out(n: Node, low: Lowerer, index: Index, extents: Shape, name: str) -> nest.Let:
    """A chain over few elements, one after the other: their places, and whether they exist, are then known or computed once for a row."""
    how, first = n.prim.how, n.attrs[0][0]
    places = itertools.product(*[map(nest.index, range(extent)) for extent in extents])
    values = [accumulate(how, low.value(n.inputs[0], (*index[:first], *place, *index[first:]))) for place in places]
    return nest.Let(name, functools.reduce(functools.partial(nest.op, _FOLDED[how]), values))


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
        self.outer = nest.unravel(nest.axis("r", rows), group.shape)
        self.axis = Axis("j", self.length, "vector")
        self.index = self.outer + nest.unravel(self.axis.at, group.row)
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
