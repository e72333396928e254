"""Functions composed of primitives that many places need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from insitu import ops
from insitu.dtypes import DType
from insitu.graph.node import Node, Shape
from insitu.ops.elementwise import number


def full(shape: Sequence[int], value: Any, dtype: DType) -> Node:
    """One number in every element."""
    return ops.broadcast_to(ops.constant(value, dtype), shape)


def zeros_like(x: Node) -> Node:
    """Zeros of the node's shape and dtype."""
    return full(x.aval.shape, 0, x.aval.dtype)


def ones_like(x: Node) -> Node:
    """Ones of the node's shape and dtype."""
    return full(x.aval.shape, 1, x.aval.dtype)


def sum_to(x: Node, shape: Shape) -> Node:
    """The sum over the axes along which ``shape`` would have to be stretched to that of ``x``: broadcasting turned round."""
    if x.aval.shape == shape:
        return x
    extra = x.aval.ndim - len(shape)
    axes = (*range(extra), *(k + extra for k, n in enumerate(shape) if n == 1 and x.aval.shape[k + extra] != 1))
    return ops.reshape(ops.reduce_sum(x, axes) if axes else x, shape)


def swap_last(x: Node) -> Node:
    """The last two axes exchanged: transposed matrices."""
    n = x.aval.ndim
    return ops.permute(x, (*range(n - 2), n - 1, n - 2))


def square(x: Node) -> Node:
    """x * x."""
    return ops.mul(x, x)


def isnan(x: Node) -> Node:
    """Where a float is not a number."""
    return ops.ne(x, x)


def isinf(x: Node) -> Node:
    """Where a float is infinite."""
    return ops.eq(ops.abs(x), number(float("inf"), x))


def isfinite(x: Node) -> Node:
    """Where a float is neither infinite nor not a number."""
    return ops.lt(ops.abs(x), number(float("inf"), x))
