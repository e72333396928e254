"""Products of matrices and vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from insitu import ops
from insitu.arguments import ARRAY, AXES, AXIS, Several, Whole, checked
from insitu.array.array import Array
from insitu.array.checks import axes_in_order, axis_index
from insitu.array.elementwise import operands
from insitu.errors import ShapeError
from insitu.graph.node import Node
from insitu.ops import contraction
from insitu.ops.elementwise import promoted
from insitu.ops.rules import check_kind


@checked(x1=ARRAY, x2=ARRAY)
def matmul(x1: Any, x2: Any, /) -> Array:
    """The matrix product of the last two axes; leading axes broadcast.

    Parameters
    ----------
    x1 : Array of shape (..., m, k) or (k,)
    x2 : Array of shape (..., k, n) or (k,)
        A vector is a row on the left or a column on the right; its axis is not in the result. Two vectors are multiplied as in `vecdot`.

    Returns
    -------
    Array of shape (..., m, n)

    Raises
    ------
    ShapeError
        If an operand is a single number, or the axes of length k differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.matmul(si.asarray([[1.0, 2.0], [3.0, 4.0]]), si.asarray([1.0, 1.0]))
    Array([3., 7.], dtype=float32)
    """
    return Array(product(*operands(x1, x2)))


def product(a: Node, b: Node) -> Node:
    """`matmul` on nodes."""
    m, n = a.aval.ndim, b.aval.ndim
    if m >= 2 and n >= 2:
        return ops.matmul(a, b)
    if m == 0 or n == 0 or a.aval.shape[-1] != b.aval.shape[0 if n == 1 else -2]:
        return ops.matmul(a, b) if m == 0 or n == 0 else _unequal(contraction.TITLE, a, b)
    if m == n == 1:
        return inner(contraction.TITLE, a, b, 1)
    left = ops.reshape(a, (1, *a.aval.shape)) if m == 1 else a
    right = ops.reshape(b, (*b.aval.shape, 1)) if n == 1 else b
    out = ops.matmul(left, right)
    shape = out.aval.shape
    return ops.reshape(out, (*shape[:-2], *(shape[-2:-1] if m > 1 else ()), *(shape[-1:] if n > 1 else ())))


def inner(title: str, a: Node, b: Node, axes: int) -> Node:
    """The sums of products along so many last axes: rows that are added as trees, not chains as in `matmul`; halves in float32."""
    for name, x in (("x1", a), ("x2", b)):
        check_kind(title, name, x.aval, "iuf")
    a, b = promoted(a, b)
    both = ops.mul(ops.cast(a, a.dtype.compute), ops.cast(b, a.dtype.compute))
    return ops.cast(ops.reduce_sum(both, range(both.ndim - axes, both.ndim)), a.dtype)


def _unequal(name: str, a: Node, b: Node) -> Node:
    raise ShapeError(
        f"{name}: the contracted axes have {a.shape[-1]} and {b.shape[0 if b.ndim == 1 else -2]} elements.",
        expected="(..., m, k) @ (..., k, n), where a vector has shape (k,)", received=f"x1: {a.shape} {a.dtype.name}, x2: {b.shape} {b.dtype.name}",
        fix="transpose or slice one of them, so that both have the same k", slug="matmul-shapes",
    )  # fmt: skip


@checked(x1=ARRAY, x2=ARRAY)
def dot(x1: Any, x2: Any, /) -> Array:
    """NumPy's dot: numbers multiply; otherwise the last axis of ``x1`` and the last but one of ``x2`` are contracted."""
    a, b = operands(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return Array(ops.mul(a, b))
    return Array(product(a, b)) if b.ndim <= 2 else tensordot(Array(a), Array(b), axes=((-1,), (-2,)))


@checked(x1=ARRAY, x2=ARRAY, axes=Whole(0) | Several(AXES, least=2))
def tensordot(x1: Any, x2: Any, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """The sum of products over several axes.

    Parameters
    ----------
    x1, x2 : Array
    axes : int or pair of sequences of int
        How many of the last axes of ``x1`` meet the first of ``x2``; or which axes of each, in pairs.

    Returns
    -------
    Array
        The other axes of ``x1``, then those of ``x2``.

    Raises
    ------
    ShapeError
        If axes that meet differ in length.

    Examples
    --------
    >>> import insitu as si
    >>> si.tensordot(si.ones((2, 3, 4)), si.ones((3, 4, 5)), axes=2).shape
    (2, 5)
    """
    a, b = operands(x1, x2)
    if isinstance(axes, int):
        if axes > min(a.ndim, b.ndim):
            raise _bad_axes(axes, a, b)
        first, second = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    elif len(axes) == 2:
        first, second = axes_in_order("tensordot", axes[0], a.aval), axes_in_order("tensordot", axes[1], b.aval)
    else:
        raise _bad_axes(axes, a, b)
    if len(first) != len(second) or any(a.shape[i] != b.shape[j] for i, j in zip(first, second, strict=True)):
        raise _bad_axes(axes, a, b)
    left = [k for k in range(a.ndim) if k not in first]
    right = [k for k in range(b.ndim) if k not in second]
    if not left and not right:
        return Array(inner("tensordot", ops.permute(a, first), ops.permute(b, second), len(first)))
    depth = math.prod([a.shape[k] for k in first])
    rows, columns = [a.shape[k] for k in left], [b.shape[k] for k in right]
    a = ops.reshape(ops.permute(a, (*left, *first)), (math.prod(rows), depth))
    b = ops.reshape(ops.permute(b, (*second, *right)), (depth, math.prod(columns)))
    return Array(ops.reshape(ops.matmul(a, b), (*rows, *columns)))


def _bad_axes(axes: Any, a: Node, b: Node) -> ShapeError:
    return ShapeError(
        "tensordot: the axes do not meet.", expected="pairs of axes of equal length", received=f"axes={axes} for shapes {a.shape} and {b.shape}",
        fix="name the axes in pairs: axes=((1,), (0,))", slug="tensordot-axes", argument="axes",
    )  # fmt: skip


@checked(x1=ARRAY, x2=ARRAY, axis=AXIS)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The sum of products along one axis; the others broadcast.

    Parameters
    ----------
    axis : int
        Counted from the end of both arrays (negative).

    Examples
    --------
    >>> import insitu as si
    >>> si.vecdot(si.asarray([1.0, 2.0]), si.asarray([3.0, 4.0]))
    Array(11., dtype=float32)
    """
    a, b = operands(x1, x2)
    i, j = axis_index("vecdot", axis, a.aval), axis_index("vecdot", axis, b.aval)
    if a.shape[i] != b.shape[j]:
        raise ShapeError(
            f"vecdot: axis {axis} has {a.shape[i]} and {b.shape[j]} elements.", expected="axes of equal length",
            received=f"x1: {a.shape}, x2: {b.shape}", fix="slice one of them, or name another axis", slug="vecdot-axis", argument="axis",
        )  # fmt: skip
    a = ops.permute(a, (*[k for k in range(a.ndim) if k != i], i))
    b = ops.permute(b, (*[k for k in range(b.ndim) if k != j], j))
    return Array(inner("vecdot", a, b, 1))


@checked(x1=ARRAY, x2=ARRAY)
def outer(x1: Any, x2: Any, /) -> Array:
    """The products of all pairs of elements: ``out[i, j] = x1[i] * x2[j]``."""
    a, b = operands(x1, x2)
    return Array(ops.mul(ops.reshape(a, (a.aval.size, 1)), ops.reshape(b, (1, b.aval.size))))


__all__ = ["dot", "matmul", "outer", "tensordot", "vecdot"]
