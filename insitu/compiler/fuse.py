"""Grouping: which nodes are computed together in one kernel, and which are never stored.

Groups are made in one pass over the nodes, inputs first. A group has an index space:

======== ============================= =========================================================
kind     space                         members
======== ============================= =========================================================
map      shape S                       element-wise nodes of shape S; reductions whose *output*
                                       has shape S and which keep inner axes
rows     (O, R): outer and row shape   reductions from O+R to O over the trailing axes,
                                       element-wise nodes of shape O+R or of shape O
contract shape of the product          one contraction and element-wise nodes of its shape
alone    one node                      scans, sorts, scatters, positions of extremes
======== ============================= =========================================================

A node may join a group that is not earlier than every group its inputs live in; so groups can run
in the order in which they were made, and no cycle can arise.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable, Sequence

from insitu.codegen.nest import CHUNK, EXPENSIVE
from insitu.compiler.align import aligned
from insitu.graph.node import Node, Shape, topological

#: Most element-wise nodes in one group: bounds compile time and the depth of expressions.
GROUP_LIMIT = 96
#: Views that are always computed where they are read.
CHEAP_VIEWS = frozenset({"reshape", "permute", "broadcast_to", "slice", "pad", "concat", "constant", "iota", "take"})


@dataclasses.dataclass(eq=False)
class Group:
    """Nodes of one kernel. ``stored`` are those that other kernels or the program's results need."""

    number: int
    kind: str
    shape: Shape
    row: Shape = ()
    nodes: list[Node] = dataclasses.field(default_factory=list)
    stored: list[Node] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        space = f"{list(self.shape)}" + (f" rows of {list(self.row)}" if self.kind == "rows" else "")
        return f"group {self.number} {self.kind} {space}: {', '.join(n.prim.name for n in self.nodes)}"


def group(outputs: Sequence[Node]) -> list[Group]:
    """The kernels of a graph, in an order in which they can run.

    ::

        %3 = matmul(%0, %1): float32[8, 4]
        %4 = add(%3, %2): float32[8, 4]          group 0 contract [8, 4]: matmul, add
        %5 = reduce_max(%4, axes=(1,))           group 1 rows [8] rows of [4]: reduce_max, reshape, sub
        %6 = reshape(%5): float32[8, 1]
        %7 = sub(%4, %6): float32[8, 4]
    """
    return _Grouping(outputs).run()


class _Grouping:
    def __init__(self, outputs: Sequence[Node]) -> None:
        self.outputs = set(outputs)
        self.order = _by_readiness(topological(outputs, lambda n: n.memory is not None))
        self.users: dict[Node, list[Node]] = {n: [] for n in self.order}
        for n in self.order:
            if n.memory is None:
                for i in dict.fromkeys(n.inputs):
                    self.users[i].append(n)
        self.home: dict[Node, Group] = {}
        self.level: dict[Node, int] = {}
        self.groups: list[Group] = []

    def run(self) -> list[Group]:
        for n in self.order:
            if n.prim.kind == "leaf" or n.memory is not None:
                self.level[n] = -1
            else:
                self.level[n] = max([self._available(i) for i in n.inputs], default=-1)
                if n in self.outputs or not self._inlined(n):
                    self._place(n)
        self._mark_stored()
        return [g for g in self.groups if g.stored]

    def _available(self, n: Node) -> int:
        home = self.home.get(n)
        return home.number if home is not None else self.level[n]

    # -- inlining ----------------------------------------------------------------------------
    def _inlined(self, n: Node) -> bool:
        """Whether the node is computed where it is read, and belongs to no group."""
        if n.prim.name == "identity" and any(u.prim.kind in ("contract", "sort") for u in self.users[n]):
            return False
        if n.prim.name in CHEAP_VIEWS:
            return n.prim.name != "take" or n.inputs[1].prim.kind != "view" or len(self.users[n]) <= 1
        if n.prim.kind == "view":
            return len(self.users[n]) == 1 and self.users[n][0].prim.kind == "map"
        if n.prim.kind != "map":
            return False
        if self._is_constant(n):
            return True
        users = self.users[n]
        if len(users) == 1 and self._absorbs(users[0], n):
            return True
        return n.prim.name not in EXPENSIVE and all(self._stored_leaf(i) or self._is_constant(i) for i in n.inputs) and self._cheap_again(n)

    def _is_constant(self, n: Node) -> bool:
        """Whether the value follows from constants and the index alone, by cheap operations."""
        return n.memory is None and (
            n.prim.name in ("constant", "iota")
            or (n.prim.kind in ("view", "map") and bool(n.inputs) and n.prim.name not in EXPENSIVE and all(self._is_constant(i) for i in n.inputs))
        )

    def _stored_leaf(self, n: Node) -> bool:
        while n.prim.name in ("reshape", "broadcast_to") and n.memory is None:
            n = n.inputs[0]
        return n.memory is not None or n.prim.kind in ("leaf", "contract")

    def _cheap_again(self, n: Node) -> bool:
        """One cheap operation on stored values: reading its inputs again costs no more than reading its result."""
        tensors = [i for i in n.inputs if not self._is_constant(i)]
        return len(tensors) == 1 and tensors[0].aval.nbytes <= 4 * n.aval.nbytes and all(u.prim.kind == "map" for u in self.users[n])

    def _absorbs(self, user: Node, n: Node) -> bool:
        """Whether the one user reads each element of ``n`` at most once or so, so that nothing is computed twice."""
        size = n.aval.size
        seen = n
        while user.prim.kind == "view":
            if user.aval.size > size or len(self.users[user]) != 1 or user in self.outputs or user.prim.name == "take":
                return False
            seen, user = user, self.users[user][0]
        if seen is n and user.prim.kind == "map":
            return False
        if user.prim.kind == "map":
            return user.aval.size <= size
        return user.prim.kind == "reduce" and not _is_row(user) or user.prim.kind == "scan" and seen is n

    # -- placing -----------------------------------------------------------------------------
    def _place(self, n: Node) -> None:
        kind = n.prim.kind
        target: Group | None = None
        if kind in ("map", "view"):
            target = self._find(n, lambda g: self._takes_map(g, n))
        elif kind == "reduce" and n.prim.how in ("sum", "prod", "max", "min", "argmax", "argmin") and _is_row(n):
            target = self._find(n, lambda g: self._takes_row_reduce(g, n))
            if target is not None and target.kind == "map":
                target.kind, target.row = "rows", n.inputs[0].shape[len(n.shape) :]
                target.shape = n.shape
        elif kind == "reduce":
            target = self._find(n, lambda g: g.kind == "map" and g.shape == n.shape)
        if target is None:
            target = self._new(n)
        target.nodes.append(n)
        self.home[n] = target

    def _new(self, n: Node) -> Group:
        kind, row = "map", ()
        if n.prim.kind == "contract":
            kind = "contract"
        elif n.prim.kind in ("scan", "sort", "scatter"):
            kind = "alone"
        elif n.prim.kind == "reduce" and _is_row(n):
            kind, row = "rows", n.inputs[0].shape[len(n.shape) :]
        made = Group(len(self.groups), kind, n.shape, row)
        self.groups.append(made)
        return made

    def _find(self, n: Node, takes: Callable[[Group], bool]) -> Group | None:
        """The first group not earlier than the node's inputs that takes the node: its producer's if possible."""
        for g in self.groups[max(self.level[n], 0) :]:
            if len(g.nodes) < GROUP_LIMIT and takes(g) and aligned(g, n, self.home):
                return g
        return None

    def _takes_map(self, g: Group, n: Node) -> bool:
        if g.kind == "rows":
            fits = n.shape == g.shape + g.row or (n.shape == g.shape and g.number == self.level[n])
        else:
            fits = g.kind in ("map", "contract") and n.shape == g.shape
        return fits and (g.number == self.level[n] or self._shares_input(g, n)) and (g.kind != "contract" or g.number == self.level[n])

    def _shares_input(self, g: Group, n: Node) -> bool:
        mine = {i for i in n.inputs if i.aval.size > 1}
        return n.aval.size <= 64 or any(i in mine for m in g.nodes for i in m.inputs)

    def _takes_row_reduce(self, g: Group, n: Node) -> bool:
        full = n.inputs[0].shape
        if g.kind == "rows":
            return g.shape == n.shape and g.shape + g.row == full and (g.number == self.level[n] or self._shares_input(g, n))
        return g.kind == "map" and g.shape == full and g.number == self.level[n] and all(m.prim.kind == "map" for m in g.nodes)

    # -- storing -----------------------------------------------------------------------------
    def _mark_stored(self) -> None:
        """A member is stored if it is a result, or is read (directly or through inlined nodes) by another group."""
        readers: dict[Node, set[int]] = {}
        for n in reversed(self.order):
            inside = self.home.get(n)
            where = {inside.number} if inside is not None else readers.get(n, set())
            for i in n.inputs if n.memory is None else ():
                readers.setdefault(i, set()).update(where)
        for g in self.groups:
            for n in g.nodes:
                if n in self.outputs or readers.get(n, set()) - {g.number}:
                    g.stored.append(n)


def _is_row(n: Node) -> bool:
    """A reduction over the trailing axes, not too long for one row."""
    axes = n.attrs[0]
    shape = n.inputs[0].shape
    trailing = axes == tuple(range(len(shape) - len(axes), len(shape)))
    return trailing and (math.prod(shape[axes[0] :]) <= CHUNK or n.prim.how in ("argmax", "argmin"))


def _by_readiness(order: list[Node]) -> list[Node]:
    """The nodes in an order in which small ones come as early as they can: they hold nobody up then."""
    position = {n: k for k, n in enumerate(order)}
    waiting = {n: len(set(n.inputs)) if n.memory is None else 0 for n in order}
    users: dict[Node, list[Node]] = {n: [] for n in order}
    for n in order:
        if n.memory is None:
            for i in set(n.inputs):
                users[i].append(n)
    ready = [((n.aval.size > 64), position[n]) for n in order if not waiting[n]]
    heapq.heapify(ready)
    out: list[Node] = []
    while ready:
        n = order[heapq.heappop(ready)[1]]
        out.append(n)
        for u in users[n]:
            waiting[u] -= 1
            if not waiting[u]:
                heapq.heappush(ready, ((u.aval.size > 64), position[u]))
    return out
