"""Whether a node reads the reduced values of a group at the very position the group's loop is at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insitu.codegen import nest
from insitu.codegen.nest import Expr
from insitu.graph.node import Node, Shape

if TYPE_CHECKING:
    from insitu.compiler.fuse import Group


class _Misaligned(Exception):
    pass


def aligned(group: Group, node: Node, home: dict[Node, Group]) -> bool:
    """Whether ``node`` could be computed inside the group's loops.

    A reduction's result exists only for the row (or element, or tile) the loop is at. A node that
    reads it at another position, for example transposed, must wait until it is stored.
    """
    fixed = {m for m in group.nodes if m.prim.kind in ("reduce", "contract") or (group.kind == "rows" and m.shape == group.shape)}
    if not fixed:
        return True
    outer = _symbols("o", group.shape)
    own = outer + _symbols("w", group.row) if group.kind == "rows" and node.shape != group.shape else outer
    try:
        if node.prim.kind == "reduce":
            kept, axes = iter(outer), node.attrs[0]
            at = tuple([nest.axis(f"w{k}", n) if k in axes else next(kept) for k, n in enumerate(node.inputs[0].shape)])
            _visit(node.inputs[0], at, outer, fixed, group, home)
        else:
            _read_inputs(node, own, outer, fixed, group, home)
    except _Misaligned:
        return False
    return True


def _symbols(letter: str, shape: Shape) -> tuple[Expr, ...]:
    return tuple([nest.index(0) if n == 1 else nest.axis(f"{letter}{k}", n) for k, n in enumerate(shape)])


def _visit(node: Node, index: tuple[Expr, ...], outer: tuple[Expr, ...], fixed: set[Node], group: Group, home: dict[Node, Group]) -> None:
    if node in fixed:
        if any(i is not o for i, o in zip(index, outer, strict=True)):
            raise _Misaligned
    elif node.memory is None and node.prim.kind in ("map", "view") and home.get(node, group) is group:
        _read_inputs(node, index, outer, fixed, group, home)


def _read_inputs(node: Node, index: tuple[Expr, ...], outer: tuple[Expr, ...], fixed: set[Node], group: Group, home: dict[Node, Group]) -> None:
    if node.prim.kind == "view":

        def load(i: int, at: tuple[Expr, ...], guard: Expr | None = None) -> Expr:
            _visit(node.inputs[i], tuple(at), outer, fixed, group, home)
            return nest.load("probe", nest.index(0), node.inputs[i].dtype)

        node.prim.element(node, index, load, None)
        return
    for x in node.inputs:
        skip = node.ndim - x.ndim
        at = tuple([nest.index(0) if n == 1 else index[k + skip] for k, n in enumerate(x.shape)])
        _visit(x, at, outer, fixed, group, home)
