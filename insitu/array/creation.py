"""Making arrays from a shape or a range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, DEVICE, DTYPE, EXTENTS, FLAG, WHOLE, Choice, Scalar, Whole, checked
from insitu.array import scalars
from insitu.array.array import Array, owned
from insitu.array.checks import shape_argument
from insitu.array.convert import asarray, from_dlpack, node_of
from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, ShapeError
from insitu.graph.node import Node


# -- from a shape -----------------------------------------------------------------------------------
@checked(shape=EXTENTS, fill_value=ARRAY, dtype=DTYPE | None, device=DEVICE)
def full(shape: int | Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array filled with one value.

    Parameters
    ----------
    shape : int or sequence of int
    fill_value : bool, int, float or 0-d Array
    dtype : DType, optional
        Default: the value's (float32 for a Python float).

    Examples
    --------
    >>> import insitu as si
    >>> si.full((2, 2), 7.0)
    Array([[7., 7.],
           [7., 7.]], dtype=float32)
    """
    return _filled("full", shape, fill_value, dtype, device)


def _filled(function: str, shape: Any, fill_value: Any, dtype: Any, device: Any) -> Array:
    dims = shape_argument(function, shape)
    if not scalars.is_scalar(fill_value):
        node = node_of(fill_value)
        return Array(ops.broadcast_to(node if dtype is None else ops.cast(node, as_dtype(dtype)), dims))
    kind = scalars.default_dtype(fill_value) if dtype is None else as_dtype(dtype)
    number = scalars.as_whole(fill_value, kind) if kind.is_integer else fill_value
    return Array(ops.broadcast_to(scalars.constant(number, kind), dims))


@checked(shape=EXTENTS, dtype=DTYPE, device=DEVICE)
def zeros(shape: int | Sequence[int], *, dtype: Any = dt.float32, device: Any = None) -> Array:
    """An array of zeros, float32 by default.

    Examples
    --------
    >>> import insitu as si
    >>> si.zeros(3)
    Array([0., 0., 0.], dtype=float32)
    """
    return _filled("zeros", shape, 0, dt.float32 if dtype is None else dtype, device)


@checked(shape=EXTENTS, dtype=DTYPE, device=DEVICE)
def ones(shape: int | Sequence[int], *, dtype: Any = dt.float32, device: Any = None) -> Array:
    """An array of ones, float32 by default."""
    return _filled("ones", shape, 1, dt.float32 if dtype is None else dtype, device)


@checked(shape=EXTENTS, dtype=DTYPE, device=DEVICE)
def empty(shape: int | Sequence[int], *, dtype: Any = dt.float32, device: Any = None) -> Array:
    """An array of zeros: results never depend on what was in memory before."""
    return _filled("empty", shape, 0, dt.float32 if dtype is None else dtype, device)


@checked(x=ARRAY, fill_value=ARRAY, dtype=DTYPE | None, device=DEVICE)
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of the shape and (unless given) dtype of ``x`` filled with one value."""
    node = node_of(x)
    return full(node.shape, fill_value, dtype=node.dtype if dtype is None else dtype, device=device)


@checked(x=ARRAY, dtype=DTYPE | None, device=DEVICE)
def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros of the shape and (unless given) dtype of ``x``."""
    return full_like(x, 0, dtype=dtype, device=device)


@checked(x=ARRAY, dtype=DTYPE | None, device=DEVICE)
def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones of the shape and (unless given) dtype of ``x``."""
    return full_like(x, 1, dtype=dtype, device=device)


@checked(x=ARRAY, dtype=DTYPE | None, device=DEVICE)
def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros of the shape and (unless given) dtype of ``x``."""
    return zeros_like(x, dtype=dtype, device=device)


# -- ranges -----------------------------------------------------------------------------------------
@checked(start=Scalar(), stop=Scalar() | None, step=Scalar(), dtype=DTYPE | None, device=DEVICE)
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Array:
    """Evenly spaced values from ``start`` up to, without, ``stop``.

    Parameters
    ----------
    start, stop, step : int or float
        With one number, it is ``stop`` and the range starts at 0.
    dtype : DType, optional
        Default: int64 for integers, else float32.

    Raises
    ------
    ArgumentError
        If ``step`` is 0.

    Examples
    --------
    >>> import insitu as si
    >>> si.arange(5)
    Array([0, 1, 2, 3, 4], dtype=int64)
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ArgumentError(
            'arange "step" is 0.',
            expected="a number that is not 0",
            received="step=0",
            fix="leave step out for 1",
            slug="arange-step",
            argument="step",
        )
    whole = all(isinstance(v, int) for v in (start, stop, step))
    kind = (dt.int64 if whole else dt.float32) if dtype is None else as_dtype(dtype)
    count = max(0, -((start - stop) // step) if whole else math.ceil((stop - start) / step))
    index = ops.iota((count,), 0, dt.int64)
    if whole:
        out = ops.add(ops.mul(index, scalars.constant(step, dt.int64)), scalars.constant(start, dt.int64))
        return Array(ops.cast(out, kind))
    # in float64, so that a long float32 range ends where it should
    spread = ops.mul(ops.cast(index, dt.float64), scalars.constant(step, dt.float64))
    return Array(ops.cast(ops.add(spread, scalars.constant(start, dt.float64)), kind))


@checked(start=Scalar(), stop=Scalar(), num=Whole(0), dtype=DTYPE | None, device=DEVICE, endpoint=FLAG)
def linspace(start: float, stop: float, /, num: int = 50, *, dtype: Any = None, device: Any = None, endpoint: bool = True) -> Array:
    """``num`` evenly spaced values from ``start`` to ``stop``.

    Parameters
    ----------
    endpoint : bool
        Whether the last value is ``stop``; otherwise it is one step before.

    Examples
    --------
    >>> import insitu as si
    >>> si.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    count = num
    kind = dt.float32 if dtype is None else as_dtype(dtype)
    values = np.linspace(float(start), float(stop), count, endpoint=endpoint)
    return owned(values.astype(kind.numpy), kind)


@checked(n_rows=Whole(0), n_cols=Whole(0) | None, k=WHOLE, dtype=DTYPE, device=DEVICE)
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = dt.float32, device: Any = None) -> Array:
    """Ones on the ``k``-th diagonal, zeros elsewhere.

    Examples
    --------
    >>> import insitu as si
    >>> si.eye(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    dims = shape_argument("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return Array(ops.cast(ops.eq(*_diagonal(dims, k)), dt.float32 if dtype is None else as_dtype(dtype)))


def _diagonal(shape: tuple[int, ...], k: int) -> tuple[Node, Node]:
    """Column index, and row index plus k, of the last two axes."""
    rows, columns = shape[-2:]
    row = ops.add(ops.iota((rows, 1), 0, dt.int64), scalars.constant(int(k), dt.int64))
    return ops.iota((1, columns), 1, dt.int64), row


@checked(x=ARRAY, k=WHOLE)
def tril(x: Any, /, *, k: int = 0) -> Array:
    """The lower triangle of the last two axes (up to the ``k``-th diagonal), zeros above."""
    node = _matrix("tril", x)
    column, row = _diagonal(node.shape, k)
    return Array(ops.where(ops.le(column, row), node, scalars.constant(0, node.dtype)))


@checked(x=ARRAY, k=WHOLE)
def triu(x: Any, /, *, k: int = 0) -> Array:
    """The upper triangle of the last two axes (from the ``k``-th diagonal), zeros below."""
    node = _matrix("triu", x)
    column, row = _diagonal(node.shape, k)
    return Array(ops.where(ops.le(row, column), node, scalars.constant(0, node.dtype)))


def _matrix(name: str, x: Any) -> Node:
    node = node_of(x)
    if node.ndim < 2:
        raise ShapeError(
            f"{name} needs an array of at least 2 axes.", expected="(..., rows, columns)", received=f"shape {node.shape}",
            fix="add an axis: x[None, :]", slug="matrix-rank", argument="x",
        )  # fmt: skip
    return node


@checked(indexing=Choice("xy", "ij", slug="meshgrid-indexing"))
def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinate arrays of a grid from the coordinates of its axes.

    Parameters
    ----------
    *arrays : Array
        1-d.
    indexing : str
        ``"xy"``: the first two axes exchanged, as in plots; ``"ij"``: in the arrays' order.
    """
    nodes = [ops.reshape(node_of(a), (node_of(a).aval.size,)) for a in arrays]
    places = list(range(len(nodes)))
    if indexing == "xy" and len(nodes) >= 2:
        places[:2] = [1, 0]
    shape = [0] * len(nodes)
    for place, n in zip(places, nodes, strict=True):
        shape[place] = n.shape[0]
    out = []
    for place, n in zip(places, nodes, strict=True):
        thin = [1] * len(nodes)
        thin[place] = n.shape[0]
        out.append(Array(ops.broadcast_to(ops.reshape(n, tuple(thin)), tuple(shape))))
    return tuple(out)


__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like",
    "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
