"""Rules for reductions, and for arrays without elements.

They fix the canonical order of a reduction's arithmetic: over axes that are not neighbours it runs
group by group, from the last to the first. Afterwards every reduction has neighbouring axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from insitu import ops
from insitu.graph.node import Node, apply
from insitu.ops.rules import literal_value

Rule = Callable[[Node], Node | None]


def nothing(node: Node) -> Node | None:
    """An array without elements needs no computation.

    ::

        %1 = exp(%0): float32[0, 3]

        %1 = constant(value=0.0, dtype=float32): float32[]
        %2 = broadcast_to(%1, shape=(0, 3)): float32[0, 3]
    """
    if node.aval.size or (node.prim.name == "broadcast_to" and node.inputs[0].prim.name == "constant"):
        return None
    return ops.full(node.shape, 0, node.dtype)


def of_nothing(node: Node) -> Node | None:
    """What is made of arrays without elements is known: sums are 0, products 1, margins the margin's value.

    ::

        %1 = reduce_sum(%0, axes=(0,)): float32[3]      (%0 is float32[0, 3])

        %1 = constant(value=0.0, dtype=float32): float32[]
        %2 = broadcast_to(%1, shape=(3,)): float32[3]
    """
    if all(x.aval.size for x in node.inputs):
        return None
    kind = node.prim.kind
    if kind == "contract" or node.prim.how == "sum":
        return ops.full(node.shape, 0, node.dtype)
    if node.prim.how == "prod":
        return ops.full(node.shape, 1, node.dtype)
    if kind == "scatter":
        return node.inputs[0]
    return ops.full(node.shape, literal_value(node.attrs[1], node.dtype), node.dtype) if node.prim.name == "pad" else None


def in_float32(node: Node) -> Node | None:
    """Sums and products of 16-bit floats are made in float32 and rounded once.

    ::

        %1 = reduce_sum(%0, axes=(0,)): float16[]

        %1 = cast(%0, dtype=float32): float32[5]
        %2 = reduce_sum(%1, axes=(0,)): float32[]
        %3 = cast(%2, dtype=float16): float16[]
    """
    wide = node.dtype.compute
    if wide is node.dtype or node.prim.how not in ("sum", "prod") or node.prim.kind != "reduce":
        return None
    return ops.cast(apply(node.prim, (ops.cast(node.inputs[0], wide),), node.attrs), node.dtype)


def single(node: Node) -> Node | None:
    """Axes of extent 1 have nothing to fold.

    ::

        %1 = reduce_sum(%0, axes=(0, 1)): float32[4]    (%0 is float32[1, 3, 4])

        %1 = reshape(%0, shape=(3, 4)): float32[3, 4]
        %2 = reduce_sum(%1, axes=(0,)): float32[4]
    """
    x = node.inputs[0]
    if node.prim.kind == "scan":
        return x if x.shape[node.attrs[0]] == 1 else None
    axes = node.attrs[0]
    real = [k for k in axes if x.shape[k] != 1]
    if len(real) == len(axes) and axes:
        return None
    if not real:
        return ops.full(node.shape, 0, node.dtype) if node.prim.how in ("argmax", "argmin") else ops.reshape(x, node.shape)
    kept = [k for k in range(x.ndim) if k not in axes or k in real]
    return apply(node.prim, (ops.reshape(x, [x.shape[k] for k in kept]),), (tuple(kept.index(k) for k in real),))


def neighbours(node: Node) -> Node | None:
    """Reduce over groups of neighbouring axes, one after the other, from the last group to the first.

    ::

        %1 = reduce_sum(%0, axes=(0, 2)): float32[3]    (%0 is float32[2, 3, 4])

        %1 = reduce_sum(%0, axes=(2,)): float32[2, 3]
        %2 = reduce_sum(%1, axes=(0,)): float32[3]

    Kept axes of extent 1 between them do not part neighbours::

        %1 = reduce_sum(%0, axes=(0, 2)): float32[1]    (%0 is float32[2, 1, 4])

        %1 = reshape(%0, shape=(2, 4)): float32[2, 4]
        %2 = reduce_sum(%1, axes=(0, 1)): float32[]
        %3 = reshape(%2, shape=(1,)): float32[1]
    """
    if node.prim.kind != "reduce":
        return None
    x, axes = node.inputs[0], node.attrs[0]
    if not axes or axes[-1] - axes[0] == len(axes) - 1:
        return None
    ones = [k for k in range(axes[0], axes[-1]) if k not in axes and x.shape[k] == 1]
    if ones:
        kept = [k for k in range(x.ndim) if k not in ones]
        squeezed = ops.reshape(x, [x.shape[k] for k in kept])
        return ops.reshape(apply(node.prim, (squeezed,), (tuple(kept.index(a) for a in axes),)), node.shape)
    start = len(axes) - 1
    while axes[start - 1] == axes[start] - 1:
        start -= 1
    last = apply(node.prim, (x,), (axes[start:],))
    return apply(node.prim, (last,), (axes[:start],))


EMPTY: Sequence[Rule] = (nothing, of_nothing)
REDUCE: Sequence[Rule] = (single, in_float32, neighbours)
