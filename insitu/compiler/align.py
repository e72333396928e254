"""Whether a node reads the values of a group at the very position the group's loop is at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insitu.codegen import nest
from insitu.codegen.nest import EXPENSIVE, Expr
from insitu.graph.node import Node, Shape

if TYPE_CHECKING:
    from insitu.compiler.fuse import Group

Index = tuple[Expr, ...]

#: Cheap operations that may be computed a second time, at another position, to save a kernel.
AGAIN = 4
_EXPENSIVE_COST = 20


class _Misaligned(Exception):
    pass


def aligned(group: Group, node: Node, home: dict[Node, Group]) -> bool:
    """Whether ``node`` could be computed inside the group's loops.

    A reduction's result exists only for the row (or element, or tile) the loop is at. A node that reads
    it at another position, for example transposed, must wait until it is stored. An element-wise value
    could be computed once more at the other position; that is done only where it costs next to nothing.
    """
    if node.prim.kind == "map" and all(_plain(i, node, group, home) for i in node.inputs):
        return True
    outer = _symbols("o", group.shape)
    row = outer + _symbols("w", group.row)
    probe = _Probe(group, home, outer, row)
    try:
        if node.prim.kind == "reduce":
            probe.visit(node.inputs[0], _reduced(group, node, outer))
        else:
            probe.read_inputs(node, row if node.shape == group.shape + group.row else outer)
    except _Misaligned:
        return False
    few = node.aval.size * AGAIN <= math.prod(group.shape + group.row)  # only some elements are needed again
    return probe.again <= (_EXPENSIVE_COST if few else 1) * AGAIN


def _plain(x: Node, user: Node, group: Group, home: dict[Node, Group]) -> bool:
    """Whether an input is a member of the user's shape, or lies in memory."""
    where = home.get(x)
    return x.shape == user.shape if where is group else where is not None or x.memory is not None or x.prim.kind == "leaf"


def _reduced(group: Group, node: Node, outer: Index) -> Index:
    """The position in the array that is reduced."""
    shape, axes = node.inputs[0].shape, node.attrs[0]
    if group.kind == "map" and group.shape == shape:  # the group will be made one of rows
        return outer
    kept = iter(outer)
    along = iter(_symbols("w", tuple([shape[k] for k in axes])))
    return tuple([next(along if k in axes else kept) for k in range(len(shape))])


def _symbols(letter: str, shape: Shape) -> Index:
    return tuple([nest.index(0) if n == 1 else nest.axis(f"{letter}{k}", n) for k, n in enumerate(shape)])


class _Probe:
    """Follows what a node reads, down to the group's members and to what lies in memory."""

    def __init__(self, group: Group, home: dict[Node, Group], outer: Index, row: Index) -> None:
        self.group, self.home, self.outer, self.row = group, home, outer, row
        self.again = 0
        self.seen: set[tuple[Node, Index]] = set()

    def visit(self, node: Node, index: Index) -> None:
        where = self.home.get(node)
        if where is self.group:
            own = self.outer if node.shape == self.group.shape else self.row
            if all(i is o for i, o in zip(index, own, strict=True)):
                return
            if node.prim.kind not in ("map", "view") or (self.group.kind == "rows" and node.shape == self.group.shape):
                raise _Misaligned
        elif where is not None or node.memory is not None or node.prim.kind not in ("map", "view"):
            return
        if (node, index) in self.seen:
            return
        self.seen.add((node, index))
        if where is self.group:
            self.again += _EXPENSIVE_COST if node.prim.name in EXPENSIVE else 1
            if self.again > _EXPENSIVE_COST * AGAIN:
                raise _Misaligned
        self.read_inputs(node, index)

    def read_inputs(self, node: Node, index: Index) -> None:
        if node.prim.kind == "view":

            def load(i: int, at: Index, guard: Expr | None = None) -> Expr:
                self.visit(node.inputs[i], tuple(at))
                return nest.load("probe", nest.index(0), node.inputs[i].dtype)

            node.prim.element(node, index, load, None)
            return
        for x in node.inputs:
            skip = node.ndim - x.ndim
            self.visit(x, tuple([nest.index(0) if n == 1 else index[k + skip] for k, n in enumerate(x.shape)]))
