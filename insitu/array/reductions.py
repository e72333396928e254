"""Reductions and cumulative functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, AXES, AXIS, DTYPE, FLAG, FLOATING, NUMBER, Whole, checked
from insitu.array import scalars
from insitu.array.array import Array
from insitu.array.checks import axis_index, axis_tuple, floating, wide
from insitu.array.convert import node_of
from insitu.array.elementwise import operands
from insitu.dtypes import DType, as_dtype
from insitu.errors import ShapeError
from insitu.graph.node import Node

Axis = int | tuple[int, ...] | None


def _kept(out: Node, node: Node, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The result, with the reduced axes of length 1 if asked for."""
    if keepdims:
        out = ops.reshape(out, tuple([1 if k in axes else n for k, n in enumerate(node.aval.shape)]))
    return Array(out)


def _widened(dtype: DType) -> DType:
    """The dtype in which integers are added up: of 64 bits."""
    if dtype.kind == "u":
        return dt.uint64
    return dt.int64 if dtype.kind in "bi" else dtype


def _accumulated(name: str, function: Callable[[Node, tuple[int, ...]], Node], x: Any, axis: Axis, dtype: Any, keepdims: bool) -> Array:
    node = node_of(x)
    axes = axis_tuple(name, axis, node.aval)
    kind = _widened(node.aval.dtype) if dtype is None else as_dtype(dtype)
    return _kept(function(ops.cast(node, kind), axes), node, axes, keepdims)


@checked(x=ARRAY, axis=AXES | None, dtype=DTYPE | None, keepdims=FLAG)
def sum(x: Any, /, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """The sum over axes.

    Parameters
    ----------
    x : Array
    axis : int or tuple of int, optional
        Default: all axes.
    dtype : DType, optional
        Type in which to add. Default: the array's; int64 or uint64 for integers and booleans.
    keepdims : bool
        Keep the reduced axes with length 1.

    Returns
    -------
    Array

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> import insitu as si
    >>> si.sum(si.asarray([[1, 2], [3, 4]]), axis=0)
    Array([4, 6], dtype=int64)
    """
    return _accumulated("sum", ops.reduce_sum, x, axis, dtype, keepdims)


@checked(x=ARRAY, axis=AXES | None, dtype=DTYPE | None, keepdims=FLAG)
def prod(x: Any, /, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """The product over axes; parameters as for `sum`."""
    return _accumulated("prod", ops.reduce_prod, x, axis, dtype, keepdims)


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def max(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest element over axes (NaN if there is one).

    Parameters
    ----------
    x : Array
    axis : int or tuple of int, optional
        Default: all axes.
    keepdims : bool
        Keep the reduced axes with length 1.

    Raises
    ------
    ShapeError
        If there is no such axis, or nothing to choose from.

    Examples
    --------
    >>> import insitu as si
    >>> si.max(si.asarray([[1, 5], [3, 4]]), axis=1)
    Array([5, 4], dtype=int64)
    """
    return _extreme("max", ops.reduce_max, x, axis, keepdims)


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def min(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The smallest element over axes (NaN if there is one); parameters as for `max`."""
    return _extreme("min", ops.reduce_min, x, axis, keepdims)


def _extreme(name: str, function: Callable[[Node, tuple[int, ...]], Node], x: Any, axis: Axis, keepdims: bool) -> Array:
    node = node_of(x)
    axes = axis_tuple(name, axis, node.aval)
    if node.aval.dtype is dt.bool_:
        return _kept(ops.ne(function(ops.cast(node, dt.uint8), axes), scalars.constant(0, dt.uint8)), node, axes, keepdims)
    return _kept(function(node, axes), node, axes, keepdims)


def _divided(total: Node, count: float) -> Node:
    return ops.div(total, scalars.constant(float(count), total.aval.dtype))


@checked(x=ARRAY, axis=AXES | None, dtype=FLOATING | None, keepdims=FLAG)
def mean(x: Any, /, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """The arithmetic mean over axes; integers and booleans become float32.

    Parameters
    ----------
    x : Array
    axis : int or tuple of int, optional
        Default: all axes.
    dtype : DType, optional
        Floating type in which to add. Default: the array's.
    keepdims : bool
        Keep the reduced axes with length 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.mean(si.asarray([1.0, 2.0, 6.0]))
    Array(3., dtype=float32)
    """
    node = node_of(x)
    axes = axis_tuple("mean", axis, node.aval)
    node = floating(node) if dtype is None else ops.cast(node, as_dtype(dtype))
    count = math.prod([node.aval.shape[k] for k in axes])
    return _kept(ops.cast(_divided(ops.reduce_sum(wide(node), axes), count), node.aval.dtype), node, axes, keepdims)


@checked(x=ARRAY, axis=AXES | None, correction=NUMBER, keepdims=FLAG)
def var(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The variance over axes: mean of squared distances from the mean.

    Parameters
    ----------
    x : Array
    axis : int or tuple of int, optional
        Default: all axes.
    correction : float
        The sum of squares is divided by the number of elements minus this; 1 for a sample's variance.
    keepdims : bool
        Keep the reduced axes with length 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.var(si.asarray([1.0, 3.0]), correction=1)
    Array(2., dtype=float32)
    """
    given, node, axes = _variance("var", x, axis, correction)
    return _kept(ops.cast(node, given.aval.dtype), given, axes, keepdims)


def _variance(name: str, x: Any, axis: Axis, correction: float) -> tuple[Node, Node, tuple[int, ...]]:
    """The floating array, its variance over the axes, in float32 for halves, and the axes."""
    given = floating(node_of(x))
    axes = axis_tuple(name, axis, given.aval)
    node = wide(given)
    count = math.prod([node.aval.shape[k] for k in axes])
    away = ops.sub(node, _kept(_divided(ops.reduce_sum(node, axes), count), node, axes, True)._node)
    left = count - correction
    return given, _divided(ops.reduce_sum(ops.mul(away, away), axes), left if left > 0 else 0.0), axes


@checked(x=ARRAY, axis=AXES | None, correction=NUMBER, keepdims=FLAG)
def std(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The standard deviation over axes, the root of `var`; the same parameters."""
    given, node, axes = _variance("std", x, axis, correction)
    return _kept(ops.cast(ops.sqrt(node), given.aval.dtype), given, axes, keepdims)


def _truth(x: Any) -> Node:
    node = node_of(x)
    return node if node.aval.dtype is dt.bool_ else ops.ne(node, scalars.constant(0, node.aval.dtype))


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def all(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Whether all elements over axes are not zero.

    Examples
    --------
    >>> import insitu as si
    >>> si.all(si.asarray([True, False]))
    Array(False, dtype=bool)
    """
    return _decided("all", ops.reduce_min, x, axis, keepdims)


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def any(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Whether any element over axes is not zero; parameters as for `all`."""
    return _decided("any", ops.reduce_max, x, axis, keepdims)


def _decided(name: str, function: Callable[[Node, tuple[int, ...]], Node], x: Any, axis: Axis, keepdims: bool) -> Array:
    node = _truth(x)
    axes = axis_tuple(name, axis, node.aval)
    if math.prod([node.aval.shape[k] for k in axes]) == 0:
        shape = tuple([n for k, n in enumerate(node.aval.shape) if k not in axes])
        return _kept(ops.broadcast_to(ops.constant(name == "all", dt.bool_), shape), node, axes, keepdims)
    out = ops.ne(function(ops.cast(node, dt.uint8), axes), scalars.constant(0, dt.uint8))
    return _kept(out, node, axes, keepdims)


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def count_nonzero(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """How many elements over axes are not zero, int64.

    Examples
    --------
    >>> import insitu as si
    >>> si.count_nonzero(si.asarray([0, 3, 0, 4]))
    Array(2, dtype=int64)
    """
    return sum(Array(_truth(x)), axis, keepdims=keepdims)


@checked(x=ARRAY, axis=AXIS | None, keepdims=FLAG)
def argmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first largest element (of the first NaN if there is one), int64.

    Parameters
    ----------
    x : Array
    axis : int, optional
        Default: the position in the flattened array.
    keepdims : bool
        Keep the reduced axis with length 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.argmax(si.asarray([[1, 5], [7, 4]]), axis=1)
    Array([1, 0], dtype=int64)
    """
    return _position("argmax", ops.argmax, x, axis, keepdims)


@checked(x=ARRAY, axis=AXIS | None, keepdims=FLAG)
def argmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first smallest element; parameters as for `argmax`."""
    return _position("argmin", ops.argmin, x, axis, keepdims)


def _position(name: str, function: Callable[..., Node], x: Any, axis: int | None, keepdims: bool) -> Array:
    node = node_of(x)
    if node.aval.dtype is dt.bool_:
        node = ops.cast(node, dt.uint8)
    axes = axis_tuple(name, axis, node.aval)
    if axis is None:
        return _kept(function(ops.reshape(node, (node.aval.size,)), 0), node, axes, keepdims)
    return _kept(function(node, axis_index(name, axis, node.aval)), node, axes, keepdims)


@checked(x=ARRAY, axis=AXES | None, keepdims=FLAG)
def logsumexp(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over axes without overflow.

    Parameters
    ----------
    x : Array
        Floating; integers become float32.
    axis : int or tuple of int, optional
        Default: all axes.
    keepdims : bool
        Keep the reduced axes with length 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.logsumexp(si.asarray([0.0, 0.0]))
    Array(0.6931472, dtype=float32)
    """
    given = floating(node_of(x))
    axes = axis_tuple("logsumexp", axis, given.aval)
    node = wide(given)
    dtype = node.aval.dtype
    if math.prod([node.aval.shape[k] for k in axes]) == 0:
        return _kept(ops.cast(ops.log(ops.reduce_sum(node, axes)), given.aval.dtype), given, axes, keepdims)
    top = ops.stop_gradient(_kept(ops.reduce_max(node, axes), node, axes, True)._node)
    # an infinite maximum must not be taken from itself
    finite = ops.lt(ops.abs(top), scalars.constant(math.inf, dtype))
    top = ops.where(finite, top, scalars.constant(0.0, dtype))
    total = ops.log(ops.reduce_sum(ops.exp(ops.sub(node, top)), axes))
    return _kept(ops.cast(ops.add(total, ops.reshape(top, total.aval.shape)), given.aval.dtype), given, axes, keepdims)


# -- cumulative ---------------------------------------------------------------------------------------
@checked(x=ARRAY, axis=AXIS | None, dtype=DTYPE | None, include_initial=FLAG)
def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Sums of the first 1, 2, 3, ... elements along an axis.

    Parameters
    ----------
    x : Array
    axis : int, optional
        May be left out for one axis.
    dtype : DType, optional
        As for `sum`.
    include_initial : bool
        Begin with 0, the sum of no elements.

    Examples
    --------
    >>> import insitu as si
    >>> si.cumulative_sum(si.asarray([1, 2, 3]))
    Array([1, 3, 6], dtype=int64)
    """
    return _cumulative("cumulative_sum", ops.cumsum, 0, x, axis, dtype, include_initial)


@checked(x=ARRAY, axis=AXIS | None, dtype=DTYPE | None, include_initial=FLAG)
def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Products of the first 1, 2, 3, ... elements along an axis; parameters as for `cumulative_sum`."""
    return _cumulative("cumulative_prod", ops.cumprod, 1, x, axis, dtype, include_initial)


@checked(x=ARRAY, axis=AXIS | None, dtype=DTYPE | None)
def cumsum(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Array:
    """NumPy's name of `cumulative_sum`; without an axis the array is flattened."""
    return _cumulative("cumsum", ops.cumsum, 0, _flat_without(x, axis), axis, dtype, False)


@checked(x=ARRAY, axis=AXIS | None, dtype=DTYPE | None)
def cumprod(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Array:
    """NumPy's name of `cumulative_prod`; without an axis the array is flattened."""
    return _cumulative("cumprod", ops.cumprod, 1, _flat_without(x, axis), axis, dtype, False)


def _flat_without(x: Any, axis: int | None) -> Any:
    return x if axis is not None else Array(ops.reshape(node_of(x), (node_of(x).aval.size,)))


def _cumulative(name: str, function: Callable[[Node, int], Node], first: int, x: Any, axis: int | None, dtype: Any, initial: bool) -> Array:
    node = node_of(x)
    if axis is None and node.ndim != 1:
        raise ShapeError(
            f"{name} needs an axis for an array of {node.ndim} axes.", expected="axis=...", received=f"shape {node.shape}, no axis",
            fix="pass axis=-1 for the last axis", slug="axis-missing", argument="x",
        )  # fmt: skip
    at = axis_index(name, 0 if axis is None else axis, node.aval)
    node = ops.cast(node, _widened(node.aval.dtype) if dtype is None else as_dtype(dtype))
    out = function(node, at)
    if initial:
        shape = tuple([1 if k == at else n for k, n in enumerate(node.aval.shape)])
        start = ops.broadcast_to(scalars.constant(first, node.aval.dtype), shape)
        out = ops.concat([start, out], at)
    return Array(out)


@checked(x=ARRAY, axis=AXIS, n=Whole(0), prepend=ARRAY | None, append=ARRAY | None)
def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours along an axis, taken ``n`` times.

    Examples
    --------
    >>> import insitu as si
    >>> si.diff(si.asarray([1, 4, 9]))
    Array([3, 5], dtype=int64)
    """
    node = node_of(x)
    at = axis_index("diff", axis, node.aval)
    if prepend is not None or append is not None:
        before, after = ([] if p is None else [_beside(p, node, at)] for p in (prepend, append))
        node = ops.concat([*before, node, *after], at)
    for _ in range(n):
        length = node.aval.shape[at]
        high, low = _cut(node, at, 1, length), _cut(node, at, 0, length - 1 if length else 0)
        node = ops.ne(high, low) if node.aval.dtype is dt.bool_ else ops.sub(high, low)
    return Array(node)


def _beside(value: Any, node: Node, axis: int) -> Node:
    """A value that is joined to an array along an axis; a number stands for one element on it."""
    part = operands(value, Array(node))[0]
    return part if part.ndim else ops.broadcast_to(part, tuple([1 if k == axis else m for k, m in enumerate(node.aval.shape)]))


def _cut(node: Node, axis: int, start: int, stop: int) -> Node:
    shape = node.aval.shape
    starts = tuple([start if k == axis and shape[k] else 0 for k in range(len(shape))])
    stops = tuple([stop if k == axis else m for k, m in enumerate(shape)])
    return ops.slice_(node, starts, stops, (1,) * len(shape))


__all__ = [
    "all", "any", "argmax", "argmin", "count_nonzero", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff", "logsumexp",
    "max", "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip
