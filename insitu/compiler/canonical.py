"""Fix the order of long reductions in the graph itself, so that it cannot depend on anything else."""

from __future__ import annotations

from collections.abc import Sequence

from insitu import ops
from insitu.codegen.nest import CHUNK
from insitu.graph.node import Node, topological

#: A reduction that keeps inner axes is cut into chains of this length.
COLUMN_CHUNK = 512

_FOLD = {"sum": ops.add, "prod": ops.mul, "max": ops.max_, "min": ops.min_}
_REDUCE = {"sum": ops.reduce_sum, "prod": ops.reduce_prod, "max": ops.reduce_max, "min": ops.reduce_min}


def chunk_reductions(outputs: Sequence[Node]) -> list[Node]:
    """Cut long reductions into chunks of a fixed length: partial results first, then their reduction.

    Every reduce has adjacent axes here. Before and after, for a sum over 40,000 elements::

        %1 = reduce_sum(%0, axes=(0,)): float32[]

        %1 = slice(%0, 0:32768): float32[32768]
        %2 = reshape(%1): float32[2, 16384]
        %3 = reduce_sum(%2, axes=(1,)): float32[2]
        %4 = reduce_sum(%3, axes=(0,)): float32[]
        %5 = slice(%0, 32768:40000): float32[7232]
        %6 = reduce_sum(%5, axes=(0,)): float32[]
        %7 = add(%4, %6): float32[]
    """
    made: dict[Node, Node] = {}
    for n in topological(outputs, lambda n: n.memory is not None):
        inputs = tuple([made[i] for i in n.inputs]) if n.memory is None else ()
        if n.memory is None and n.prim.kind == "reduce" and n.prim.how in _FOLD:
            made[n] = _chunked(n.prim.how, inputs[0], n.attrs[0], n.dtype)
        elif n.memory is not None or all(a is b for a, b in zip(inputs, n.inputs, strict=True)):
            made[n] = n
        else:
            made[n] = Node(n.prim, inputs, n.attrs, n.aval)
    return [made[n] for n in outputs]


def _chunked(how: str, x: Node, axes: tuple[int, ...], dtype: object) -> Node:
    first, last = axes[0], axes[-1] + 1
    outer, inner = x.shape[:first], x.shape[last:]
    length = 1
    for a in axes:
        length *= x.shape[a]
    limit = COLUMN_CHUNK if inner else CHUNK
    if length <= limit:
        return _REDUCE[how](x, axes)
    flat = ops.reshape(x, (*outer, length, *inner))
    whole = length // limit * limit
    head = ops.reshape(_part(flat, first, 0, whole), (*outer, whole // limit, limit, *inner))
    partial = _chunked(how, _REDUCE[how](head, (first + 1,)), (first,), dtype)
    if whole == length:
        return partial
    return _FOLD[how](partial, _REDUCE[how](_part(flat, first, whole, length), (first,)))


def _part(x: Node, at: int, start: int, stop: int) -> Node:
    starts = tuple(start if k == at else 0 for k in range(x.ndim))
    stops = tuple(stop if k == at else n for k, n in enumerate(x.shape))
    return ops.slice_(x, starts, stops, (1,) * x.ndim)
