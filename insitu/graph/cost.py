"""What a graph costs, counted from its shapes alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from insitu.graph.node import Node, topological


def flops(node: Node) -> int:
    """Floating-point operations of one node: 2 for each multiply-add of a contraction, 1 for each element-wise or reduced element.

    Examples
    --------
    >>> from insitu import dtypes as dt, ops
    >>> from insitu.graph.node import aval, placeholder
    >>> a, b = placeholder(aval((2, 3), dt.float32)), placeholder(aval((3, 5), dt.float32))
    >>> flops(ops.matmul(a, b))
    60
    """
    kind = node.prim.kind
    if kind == "contract":
        return 2 * node.aval.size * _chain(node)
    if kind == "reduce":
        return node.inputs[0].aval.size
    if kind == "composed":
        consists_of = node.prim.expand(node)
        known = set(node.inputs)
        return 0 if consists_of is None else sum(flops(n) for n in topological([consists_of], known.__contains__) if n not in known)
    return node.aval.size if kind in ("map", "scan") and node.dtype.is_float else 0


def _chain(node: Node) -> int:
    """Multiply-adds of one element of a contraction."""
    kernel = node.inputs[1].shape
    return math.prod(kernel[:-1]) if node.prim.name.startswith("conv") else node.inputs[0].shape[-1]


def peak(outputs: Sequence[Node], stored: Callable[[Node], bool] = lambda n: n.prim.kind not in ("leaf", "view")) -> int:
    """Bytes that an evaluation node by node holds at most at one time, beside its inputs: a fused one needs less.

    Parameters
    ----------
    outputs : sequence of Node
    stored : callable
        Whether a node's value takes memory of its own.

    Examples
    --------
    >>> from insitu import dtypes as dt, ops
    >>> from insitu.graph.node import aval, placeholder
    >>> x = placeholder(aval((1000,), dt.float32))
    >>> peak([ops.exp(ops.exp(ops.exp(x)))])
    8000
    """
    order = topological(outputs)
    last = {n: k for k, node in enumerate(order) for n in (node, *node.inputs)}
    last.update((n, len(order)) for n in outputs)
    for node in reversed(order):
        if not stored(node):  # it shows what another holds
            last.update((n, max(last[n], last[node])) for n in node.inputs)
    ends: list[list[Node]] = [[] for _ in range(len(order) + 1)]
    for n, k in last.items():
        ends[k].append(n)
    held = most = 0
    for k, node in enumerate(order):
        held += node.aval.nbytes if stored(node) else 0
        most = max(most, held)
        held -= sum(n.aval.nbytes for n in ends[k] if stored(n))
    return most
