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
in the order in which they were made, and no cycle can arise. An element-wise node that follows from leaves alone
waits for its first user and joins that one's group.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Callable, Sequence

from insitu.codegen.nest import CHUNK, EXPENSIVE
from insitu.compiler.align import aligned
from insitu.compiler.placing import Inside, place_parts
from insitu.compiler.storing import choose_stored
from insitu.graph.node import Node, Shape, topological
from insitu.ops.slicing import WIDEST

#: Most nodes in one group: bounds compile time.
GROUP_LIMIT = 96
#: Most nodes in one chain of a group: bounds the depth of expressions.
DEPTH_LIMIT = 64
#: Most nodes, counted as often as they are read, that are computed for one element of a node where it is read.
INLINE_LIMIT = 48
#: Most groups of its shape that a node looks at: grouping must take linear time.
CANDIDATES = 8
#: So often is each number of a vector read by what is computed again where it is read.
_REPEATED = 64
#: Views that are always computed where they are read.
CHEAP_VIEWS = frozenset(
    {"reshape", "permute", "broadcast_to", "slice", "pad", "windows", "concat", "constant", "iota", "take", "take_along", "panels"}
)
_PLAIN = frozenset({"map", "view", "reduce"})
#: Views whose positions are values.
GATHERS = frozenset({"take", "take_along"})


@dataclasses.dataclass(eq=False)
class Group:
    """Nodes of one kernel. ``stored`` are those that other kernels or the program's results need.

    With ``inside`` they are of a larger shape, and the kernel stores its part of them.
    """

    number: int
    kind: str
    shape: Shape
    row: Shape = ()
    nodes: list[Node] = dataclasses.field(default_factory=list)
    stored: list[Node] = dataclasses.field(default_factory=list)
    inside: Inside | None = None

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
        self.operands = _operands(self.order)
        self.constant: set[Node] = set()
        self.home: dict[Node, Group] = {}
        self.level: dict[Node, int] = {}
        self.weight: dict[Node, int] = {}  # nodes without a home: of how many such nodes they consist, each counted as often as read
        self.waiting: dict[Node, None] = {}
        self.depth: dict[Node, int] = {}
        self.groups: list[Group] = []
        self.sharing: dict[Node, dict[int, None]] = {}
        self.open: dict[Shape, dict[int, None]] = {}

    def run(self) -> list[Group]:
        for n in self.order:
            if n.prim.kind == "leaf" or n.memory is not None:
                continue
            if self._follows_from_constants(n):
                self.constant.add(n)
            self.weight[n] = 1 + sum([self.weight.get(i, 0) for i in n.inputs])
            if n in self.outputs or self.weight[n] > INLINE_LIMIT or not self._inlined(n):
                self._place(n)
        choose_stored(self.groups, self.home, self.order, self.outputs, self.operands)
        return place_parts([_without_unneeded(g, self.home) for g in self.groups if g.stored], self.outputs)

    def _inputs_available(self, n: Node) -> int:
        return max([self._available(i) for i in n.inputs], default=-1)

    def _available(self, n: Node) -> int:
        """The number of the last group that the node's value needs."""
        home = self.home.get(n)
        if home is not None:
            return home.number
        return self._inputs_available(n) if n in self.weight else -1

    # -- inlining ----------------------------------------------------------------------------
    def _inlined(self, n: Node) -> bool:
        """Whether the node is computed where it is read, and belongs to no group."""
        if n in self.operands:
            return False
        if n.prim.name == "concat" and len(n.inputs) >= WIDEST:
            return False
        if n.prim.name in CHEAP_VIEWS:
            return n.prim.name not in GATHERS or n.inputs[1].prim.kind != "view" or len(self.users[n]) <= 1
        if n.prim.kind == "view":
            return len(self.users[n]) == 1 and self.users[n][0].prim.kind == "map"
        if n.prim.kind != "map":
            return False
        if n in self.constant:
            return True
        users = self.users[n]
        if (len(users) == 1 and self._absorbs(users[0], n)) or self._read_in_parts(n):
            return True
        stored = all(i in self.constant or self._stored_leaf(i) or self._stored_vector(i, n) for i in n.inputs)
        return n.prim.name not in EXPENSIVE and stored and self._cheap_again(n)

    def _follows_from_constants(self, n: Node) -> bool:
        """Whether the value follows from constants and the index alone, by cheap operations."""
        if n.prim.name in ("constant", "iota"):
            return True
        return n.prim.kind in ("view", "map") and bool(n.inputs) and n.prim.name not in EXPENSIVE and all(i in self.constant for i in n.inputs)

    def _stored_leaf(self, n: Node) -> bool:
        while n.memory is None and (n.prim.name in ("reshape", "broadcast_to") or (n.prim.name in GATHERS and n.inputs[0] in self.constant)):
            n = n.inputs[-1]  # of a gather from constants that is the position
        return n.memory is not None or n.prim.kind in ("leaf", "contract")

    def _stored_vector(self, i: Node, n: Node) -> bool:
        """Whether a few numbers that an element-wise node repeats, such as one for each channel, come from a kernel of their own."""
        i = _unstretched(i)
        home = self.home.get(i)
        return home is not None and home.kind == "map" and i.aval.size * _REPEATED <= n.aval.size

    def _cheap_again(self, n: Node) -> bool:
        """One cheap operation on stored values: reading its inputs again costs no more than reading its result."""
        tensors = [i for i in n.inputs if i not in self.constant and not self._stored_vector(i, n)]
        return len(tensors) == 1 and tensors[0].aval.nbytes <= 4 * n.aval.nbytes and all(u.prim.kind in _PLAIN for u in self.users[n])

    def _absorbs(self, user: Node, n: Node) -> bool:
        """Whether the one user reads each element of ``n`` at most once or so, so that nothing is computed twice."""
        size = n.aval.size
        seen = n
        for _ in range(INLINE_LIMIT):
            if user.prim.kind != "view":
                break
            if user.aval.size > size or len(self.users[user]) != 1 or user in self.outputs or user.prim.name in GATHERS:
                return False
            seen, user = user, self.users[user][0]
        if seen is n and user.prim.kind == "map":
            return self._ends_in_columns(user, size)
        if user.prim.kind == "map":
            return user.aval.size <= size
        return user.prim.kind == "scan" and seen is n

    def _read_in_parts(self, n: Node) -> bool:
        """Whether reductions read the value through views, and no more elements in all than it has.

        One over rows that views leave as they lie in memory counts, too: no kernel of the value's shape could compute it.
        """
        left = n.aval.size
        stack = [(u, n, True) for u in self.users[n]]
        while stack and left >= 0:
            user, seen, lies = stack.pop()
            if user.prim.kind == "reduce" and (not _is_row(user) or (seen is not n and lies and self._lies(n))):
                left -= seen.aval.size
            elif user.prim.kind == "view" and user.prim.name not in GATHERS and user.aval.size <= seen.aval.size and user not in self.outputs:
                lies = lies and (user.prim.name == "reshape" or (user.prim.name == "slice" and user.ndim == 1))
                stack += [(u, user, lies) for u in self.users[user]]
            else:
                return False
        return left >= 0

    def _lies(self, n: Node) -> bool:
        """Whether neighbours of an element-wise node in memory follow from neighbours of all arrays that it is computed from."""
        stack = [n]
        while stack:
            for i in map(_unstretched, stack.pop().inputs):
                if i in self.weight and i not in self.constant:  # computed where it is read
                    if i.prim.kind != "map":
                        return False
                    stack.append(i)
                if i.aval.size not in (1, n.aval.size):
                    return False
        return True

    def _ends_in_columns(self, n: Node, size: int) -> bool:
        """Whether a chain of element-wise nodes with one user each ends in reductions that keep inner axes: they compute them all."""
        for _ in range(CANDIDATES):
            if n.prim.kind != "map" or n.aval.size != size or n in self.outputs or n in self.operands:
                return False
            if self._read_in_parts(n):
                return True
            if len(self.users[n]) != 1:
                return False
            n = self.users[n][0]
        return False

    # -- placing -----------------------------------------------------------------------------
    def _place(self, n: Node, waits: bool = True) -> None:
        """Put the node into a group: one that fits, or else a new one.

        An element-wise node that follows from leaves alone could go anywhere: it waits, to be computed
        together with its first user.
        """
        self.level[n] = self._inputs_available(n)
        target = self._target(n)
        if target is None and waits and self._may_wait(n):
            self.waiting[n] = None
            return
        before = self._waiting_below(n)
        if before:
            group = target or self._fresh(n)
            if self._admit(before, n, group):
                if target is None:
                    target = self._register(group)
            else:
                for m in before:
                    if m in self.waiting:
                        self._place(m, waits=False)
                self.level[n] = self._inputs_available(n)
                target = self._target(n)
        if target is None:
            target = self._register(self._fresh(n))
        if target.kind == "map" and n.prim.kind == "reduce" and _is_row(n):
            self._close(target)
            target.kind, target.shape, target.row = "rows", n.shape, n.inputs[0].shape[n.ndim :]
            self._offer(target)
        self._enter(n, target)
        self._settled(n)
        if len(target.nodes) >= GROUP_LIMIT:
            self._close(target)

    def _enter(self, n: Node, target: Group) -> None:
        target.nodes.append(n)
        self.depth[n] = self._depth_in(target, n)
        self.home[n] = target

    def _target(self, n: Node) -> Group | None:
        """The group that takes the node as things stand."""
        if n.prim.kind in ("map", "view"):
            return self._find(n, n.aval.size <= 64, self._takes_map)
        if n.prim.kind != "reduce":
            return None
        if _is_row(n):
            return self._find(n, n.aval.size <= 64, self._takes_row_reduce)
        return self._find(n, True, lambda g, n: g.kind == "map" and g.shape == n.shape)

    def _fresh(self, n: Node) -> Group:
        """A group for the node, not among the others yet."""
        kind: str = "map"
        row: Shape = ()
        if n.prim.kind == "contract":
            kind = "contract"
        elif n.prim.kind in ("scan", "sort", "scatter"):
            kind = "alone"
        elif n.prim.kind == "reduce" and _is_row(n):
            kind, row = "rows", n.inputs[0].shape[n.ndim :]
        return Group(len(self.groups), kind, n.shape, row)

    def _register(self, made: Group) -> Group:
        self.groups.append(made)
        self._offer(made)
        return made

    # -- waiting -----------------------------------------------------------------------------
    def _may_wait(self, n: Node) -> bool:
        free = self.level[n] < 0 and n.prim.kind in ("map", "view") and n not in self.outputs and n not in self.operands
        return free and self.weight[n] <= INLINE_LIMIT

    def _waiting_below(self, n: Node) -> list[Node]:
        """Nodes that have waited for this one, in order."""
        if not self.waiting:
            return []
        return [m for m in topological([n], lambda m: m in self.home or m.memory is not None) if m in self.waiting and m is not n]

    def _admit(self, before: Sequence[Node], n: Node, target: Group) -> bool:
        """Let the nodes that have waited for ``n`` enter its group; False, and nothing done, if one does not fit. What a mix reads is stored."""
        count = len(target.nodes)
        shapes = {target.shape + target.row} | ({target.shape} if target.kind == "rows" else set())
        fits = target.kind != "alone" and n.prim.kind != "mix" and count + len(before) < GROUP_LIMIT
        for m in before:
            fits = fits and m.shape in shapes and self._available(m) <= target.number and self._depth_in(target, m) <= DEPTH_LIMIT
            if not fits or not aligned(target, m, self.home):
                fits = False
                break
            self._enter(m, target)
        if not fits or self._depth_in(target, n) > DEPTH_LIMIT or not aligned(target, n, self.home):
            for m in target.nodes[count:]:
                del self.home[m], self.depth[m]
            del target.nodes[count:]
            return False
        for m in before:
            self._settled(m)
        return True

    def _settled(self, n: Node) -> None:
        """The node's group is final."""
        del self.weight[n]
        self.waiting.pop(n, None)
        for i in n.inputs:
            self.sharing.setdefault(i, {})[self.home[n].number] = None

    def _offer(self, g: Group) -> None:
        """Let nodes of the group's shapes find it."""
        for shape in dict.fromkeys((g.shape, g.shape + g.row)) if g.kind in ("map", "rows") else ():
            self.open.setdefault(shape, {})[g.number] = None

    def _close(self, g: Group) -> None:
        for shape in (g.shape, g.shape + g.row):
            self.open.get(shape, {}).pop(g.number, None)

    def _find(self, n: Node, anywhere: bool, takes: Callable[[Group, Node], bool]) -> Group | None:
        """The first group not earlier than the node's inputs that takes the node: its producer's if possible.

        Others are asked if they read one of its inputs or, ``anywhere``, if they have its shape.
        """
        level = self.level[n]
        numbers = {level} if level >= 0 else set()
        for i in n.inputs:
            if i.aval.size > 1:
                numbers.update(self.sharing.get(i, ()))
        if anywhere:
            same = self.open.get(n.shape, {})
            numbers.update(itertools.islice(reversed(same), CANDIDATES))
        for number in sorted(numbers):
            g = self.groups[number]
            if number >= level and len(g.nodes) < GROUP_LIMIT and takes(g, n) and self._depth_in(g, n) <= DEPTH_LIMIT and aligned(g, n, self.home):
                return g
        return None

    def _depth_in(self, g: Group, n: Node) -> int:
        """Longest chain of nodes that one expression of the group's kernel would hold, up to this node."""
        if n.prim.kind in ("contract", "reduce"):
            return 1
        return 1 + max([self._depth_below(g, i) for i in n.inputs], default=0)

    def _depth_below(self, g: Group, i: Node) -> int:
        if i in self.weight:
            return 1 + max([self._depth_below(g, j) for j in i.inputs], default=0)
        return self.depth[i] if self.home.get(i) is g else 0

    def _takes_map(self, g: Group, n: Node) -> bool:
        if g.kind == "rows":
            return n.shape == g.shape + g.row or (n.shape == g.shape and g.number == self.level[n])
        return n.shape == g.shape and (g.kind == "map" or (g.kind == "contract" and g.number == self.level[n]))

    def _takes_row_reduce(self, g: Group, n: Node) -> bool:
        full = n.inputs[0].shape
        if g.kind == "rows":
            return g.shape == n.shape and g.shape + g.row == full
        return g.kind == "map" and g.shape == full and g.number == self.level[n] and all(m.prim.kind in ("map", "view") for m in g.nodes)


def _unstretched(n: Node) -> Node:
    """The value that is only repeated and reshaped to make the node."""
    while n.memory is None and n.prim.name in ("reshape", "broadcast_to"):
        n = n.inputs[0]
    return n


def _without_unneeded(g: Group, home: dict[Node, Group]) -> Group:
    """The group without members of which nothing is stored: their readers compute them."""
    needed: set[Node] = set()
    inlined: set[Node] = set()
    members = set(g.nodes)
    stack = list(g.stored)
    while stack:
        n = stack.pop()
        if n not in needed and n not in inlined:
            (needed if n in members else inlined).add(n)
            if n.memory is None:
                stack.extend([i for i in n.inputs if home.get(i, g) is g])
    g.nodes = [n for n in g.nodes if n in needed]
    return g


def _operands(order: Sequence[Node]) -> set[Node]:
    """Values that a contraction or a sort reads, maybe through views: they must lie in memory."""
    found: set[Node] = set()
    for n in order:
        if n.memory is None and n.prim.kind in ("contract", "sort"):
            for i in n.inputs:
                while i.memory is None and i.prim.kind == "view" and i.inputs:
                    i = i.inputs[0]
                found.add(i)
    return found


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
