"""Primitives that have no kernel of their own become others that have one."""

from __future__ import annotations

from collections.abc import Sequence

from insitu.graph.node import Node, topological


def expand(outputs: Sequence[Node]) -> list[Node]:
    """Replace every node whose primitive says what it consists of.

    ::

        %1 = max_pool(%0, kernel=(2,), strides=(2,), padding=((0, 0),)): float32[1, 3, 4]

        %1 = windows(%0, kernel=(2,), strides=(2,), dilation=(1,)): float32[1, 3, 2, 4]
        %2 = reduce_max(%1, axes=(2,)): float32[1, 3, 4]
    """
    made: dict[Node, Node] = {}
    for n in topological(outputs, lambda n: n.memory is not None):
        same = n
        if n.memory is None and any(made[i] is not i for i in n.inputs):
            same = Node(n.prim, tuple([made[i] for i in n.inputs]), n.attrs, n.aval)
        made[n] = (same.prim.expand(same) if n.memory is None else None) or same
    return [made[n] for n in outputs]
