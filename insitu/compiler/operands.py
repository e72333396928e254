"""Make every operand of a contraction or a sort a value that lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from insitu import ops
from insitu.compiler.lower_special import strided
from insitu.graph.node import Node, topological
from insitu.ops.convolution import sees_itself

#: Views that a contraction can read through.
_STRIDED = frozenset({"reshape", "permute", "broadcast_to", "slice"})


def store_operands(outputs: Sequence[Node]) -> list[Node]:
    """Put a copy (``identity``) before operands that the kernels cannot read where they are.

    ::

        %1 = pad(%0, ...): float32[9, 4]         %1 = pad(%0, ...): float32[9, 4]
        %3 = matmul(%1, %2): float32[9, 5]       %2 = identity(%1): float32[9, 4]
                                                 %4 = matmul(%2, %3): float32[9, 5]

    Results that are the same node twice, or a leaf, get a copy too: each has memory of its own.
    """
    made: dict[Node, Node] = {}
    copies: dict[Node, Node] = {}

    def copy(n: Node) -> Node:
        if n not in copies:
            copies[n] = _copy(n)
        return copies[n]

    for n in topological(outputs, lambda n: n.memory is not None):
        if n.memory is not None or not n.inputs:
            made[n] = n
            continue
        inputs = [made[i] for i in n.inputs]
        if n.prim.kind == "contract":
            inputs = [
                i if test(i) else (_below_views(i, copy) if test is _readable else None) or copy(i) for i, test in zip(inputs, _tests(n), strict=True)
            ]
        elif n.prim.kind == "sort":
            inputs = [i if i.prim.kind != "view" or i.memory is not None else copy(i) for i in inputs]
        same = all(a is b for a, b in zip(inputs, n.inputs, strict=True))
        made[n] = n if same else Node(n.prim, tuple(inputs), n.attrs, n.aval)
    out: list[Node] = []
    for n in (made[n] for n in outputs):
        out.append(_copy(n) if n in out or n.prim.kind == "leaf" or n.memory is not None else n)
    return out


def _below_views(n: Node, copy: Callable[[Node], Node]) -> Node | None:
    """The operand with the copy put below its strided views, so that ``x`` and ``x.T`` share one copy of ``x``."""
    path: list[Node] = []
    base = n
    while base.memory is None and base.prim.name in _STRIDED:
        path.append(base)
        base = base.inputs[0]
    if not path or base.memory is not None or base.prim.kind != "view" or base.aval.size > n.aval.size:
        return None
    out = copy(base)
    for view in reversed(path):
        out = Node(view.prim, (out,), view.attrs, view.aval)
    return out if _readable(out) else None


def _copy(n: Node) -> Node:
    return ops.identity(n)


def _tests(n: Node) -> Sequence[Callable[[Node], bool]]:
    """What each operand of a contraction has to be."""
    if n.prim.name == "matmul":
        return _readable, _readable
    if n.prim.name == "conv_squares":
        return _whole, _in_memory
    plain = n.prim.name == "conv" and n.attrs[3] == 1 and sees_itself(n)
    return _whole, _readable if plain else _whole


def _whole(node: Node) -> bool:
    """Whether the node is a value in memory, maybe in another shape: what a convolution reads."""
    while node.memory is None and node.prim.name == "reshape":
        node = node.inputs[0]
    return node.memory is not None or node.prim.kind != "view"


def _in_memory(node: Node) -> bool:
    """Whether the node is a value in memory, maybe in another shape or in panels."""
    return _whole(node.inputs[0] if node.memory is None and node.prim.name == "panels" else node)


def _readable(node: Node) -> bool:
    base = node
    while base.memory is None and base.prim.kind == "view":
        if base.prim.name not in _STRIDED:
            return False
        base = base.inputs[0]
    return strided(node, {base}) is not None
