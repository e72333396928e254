"""Sorting, searching, and sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, AXIS, COUNT, DTYPE, FLAG, Choice, Whole, checked
from insitu.array import scalars
from insitu.array.array import Array
from insitu.array.checks import axis_index
from insitu.array.convert import asarray, node_of
from insitu.array.elementwise import operands
from insitu.array.taking import along_axis
from insitu.errors import ArgumentError, ShapeError
from insitu.graph.node import Node


@checked(x=ARRAY, axis=AXIS, descending=FLAG, stable=FLAG)
def argsort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The positions that sort an axis, int64; equal elements keep their order.

    Parameters
    ----------
    x : Array
    axis : int
    descending : bool
        Largest first.
    stable : bool
        The sort is always stable.

    Examples
    --------
    >>> import insitu as si
    >>> si.argsort(si.asarray([3, 1, 2]))
    Array([1, 2, 0], dtype=int64)
    """
    node = node_of(x)
    return Array(_order(node, axis_index("argsort", axis, node.aval), descending))


def _order(node: Node, axis: int, descending: bool, kept: int | None = None) -> Node:
    return ops.argsort(ops.cast(node, dt.uint8) if node.aval.dtype is dt.bool_ else node, axis, descending, kept)


@checked(x=ARRAY, axis=AXIS, descending=FLAG, stable=FLAG)
def sort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The elements of an axis in order; parameters as for `argsort`.

    Examples
    --------
    >>> import insitu as si
    >>> si.sort(si.asarray([3, 1, 2]), descending=True)
    Array([3, 2, 1], dtype=int64)
    """
    node = node_of(x)
    at = axis_index("sort", axis, node.aval)
    return Array(along_axis(node, _order(node, at, descending), at))


class TopK(NamedTuple):
    """Largest elements, and where they are."""

    values: Array
    indices: Array


@checked(x=ARRAY, k=Whole(0), axis=AXIS, largest=FLAG)
def topk(x: Any, k: int, /, axis: int = -1, *, largest: bool = True) -> TopK:
    """The ``k`` largest elements of an axis, largest first, and their positions.

    Parameters
    ----------
    x : Array
    k : int
        From 0 to the axis' length.
    axis : int
    largest : bool
        False: the smallest, smallest first.

    Returns
    -------
    values, indices : Array

    Examples
    --------
    >>> import insitu as si
    >>> values, indices = si.topk(si.asarray([3, 9, 5]), 2)
    >>> values, indices
    (Array([9, 5], dtype=int64), Array([1, 2], dtype=int64))
    """
    node = node_of(x)
    at = axis_index("topk", axis, node.aval)
    count = k
    shape = node.aval.shape
    if count > shape[at]:
        raise ShapeError(
            f"topk cannot take {count} elements from an axis of {shape[at]}.", expected=f"k from 0 to {shape[at]}",
            received=f"k={count}, shape {shape}, axis {at}", fix=f"use k={shape[at]}, or another axis", slug="topk-size", argument="k",
        )  # fmt: skip
    first = _order(node, at, largest, count)
    return TopK(Array(along_axis(node, first, at)), Array(first))


@checked(x1=ARRAY, x2=ARRAY, side=Choice("left", "right"), sorter=ARRAY | None)
def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Array:
    """Where the elements of ``x2`` would stand in the sorted ``x1``, int64.

    Parameters
    ----------
    x1 : Array
        1-d, increasing (or put in order by ``sorter``).
    x2 : Array or number
        Any shape.
    side : str
        ``"left"``: before equal elements; ``"right"``: after them.
    sorter : Array of int, optional
        Positions that sort ``x1``.

    Examples
    --------
    >>> import insitu as si
    >>> si.searchsorted(si.asarray([1, 3, 5]), si.asarray([3, 4]))
    Array([1, 2], dtype=int64)
    """
    row, wanted = node_of(x1), node_of(x2)
    if row.ndim != 1:
        raise ShapeError(
            "searchsorted needs a sorted array of 1 axis.", expected="1 axis", received=f"shape {row.shape}", fix="flatten it: x.ravel()",
            slug="searchsorted-rank", argument="x1",
        )  # fmt: skip
    if sorter is not None:
        row = ops.take(row, ops.cast(node_of(sorter), dt.int64), 0)
    common = dt.promote(row.aval.dtype, wanted.aval.dtype)
    row, wanted = ops.cast(row, common), ops.cast(wanted, common)
    n = row.aval.shape[0]
    place = ops.broadcast_to(scalars.constant(0, dt.int64), wanted.aval.shape)
    step = 1 << (n.bit_length() - 1) if n else 0
    while step:  # binary search: each step is kept where the element before it still belongs in front
        ahead = ops.add(place, scalars.constant(step, dt.int64))
        seen = ops.take(row, ops.sub(ahead, scalars.constant(1, dt.int64)), 0)
        front = _before(seen, wanted) if side == "left" else ops.not_(_before(wanted, seen))
        place = ops.where(ops.and_(front, ops.le(ahead, scalars.constant(n, dt.int64))), ahead, place)
        step >>= 1
    return Array(place)


def _before(a: Node, b: Node) -> Node:
    """a < b, where NaN comes after everything."""
    less = ops.lt(a, b)
    return ops.or_(less, ops.and_(ops.ne(b, b), ops.eq(a, a))) if a.aval.dtype.is_float else less


@checked(x1=ARRAY, x2=ARRAY, invert=FLAG)
def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    """Whether each element of ``x1`` is one of those of ``x2`` (with ``invert``: is none of them).

    Examples
    --------
    >>> import insitu as si
    >>> si.isin(si.asarray([1, 2, 3]), si.asarray([3, 1]))
    Array([ True, False,  True], dtype=bool)
    """
    wanted, pool = operands(x1, x2)
    common = dt.promote(wanted.aval.dtype, pool.aval.dtype)
    common = dt.uint8 if common is dt.bool_ else common
    wanted, pool = ops.cast(wanted, common), ops.reshape(ops.cast(pool, common), (pool.aval.size,))
    if not pool.aval.size:
        return Array(ops.broadcast_to(ops.constant(invert, dt.bool_), wanted.aval.shape))
    pool = sort(Array(pool))._node
    place = searchsorted(Array(pool), Array(wanted))._node
    found = ops.eq(ops.take(pool, place, 0), wanted)
    return Array(ops.not_(found) if invert else found)


# -- results whose shapes depend on values: through NumPy ---------------------------------------------------
@checked(x=ARRAY)
def nonzero(x: Any, /) -> tuple[Array, ...]:
    """The positions of elements that are not zero, an array for each axis. Looks at the values.

    Examples
    --------
    >>> import insitu as si
    >>> si.nonzero(si.asarray([0, 7, 8]))
    (Array([1, 2], dtype=int64),)
    """
    array = asarray(x)
    if not array.ndim:
        raise ShapeError(
            "nonzero needs an array with at least one axis.",
            expected="1 axis or more",
            received="shape ()",
            fix="use x[None]",
            slug="no-axes",
            argument="x",
        )
    return tuple([asarray(p) for p in np.nonzero(array._view())])


class UniqueAll(NamedTuple):
    """Distinct values; where each is first; which of them each element is; how often each occurs."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """Distinct values, and how often each occurs."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """Distinct values, and which of them each element is."""

    values: Array
    inverse_indices: Array


@checked(x=ARRAY)
def unique_all(x: Any, /) -> UniqueAll:
    """Distinct values in order (each NaN by itself), with positions, inverse and counts. Looks at the values."""
    array = asarray(x)
    values, indices, inverse, counts = np.unique(array._view(), return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    return UniqueAll(asarray(values), asarray(indices), asarray(inverse.reshape(array.shape)), asarray(counts))


@checked(x=ARRAY)
def unique_counts(x: Any, /) -> UniqueCounts:
    """Distinct values in order, and how often each occurs. Looks at the values."""
    full = unique_all(x)
    return UniqueCounts(full.values, full.counts)


@checked(x=ARRAY)
def unique_inverse(x: Any, /) -> UniqueInverse:
    """Distinct values in order, and which of them each element is. Looks at the values."""
    full = unique_all(x)
    return UniqueInverse(full.values, full.inverse_indices)


@checked(x=ARRAY)
def unique_values(x: Any, /) -> Array:
    """Distinct values in order. Looks at the values.

    Examples
    --------
    >>> import insitu as si
    >>> si.unique_values(si.asarray([3, 1, 3]))
    Array([1, 3], dtype=int64)
    """
    return unique_all(x).values


@checked(x=ARRAY, num_classes=COUNT, dtype=DTYPE)
def one_hot(x: Any, num_classes: int, /, *, dtype: Any = dt.float32) -> Array:
    """1 at the class of each element and 0 elsewhere, along a new last axis.

    Parameters
    ----------
    x : Array of int
    num_classes : int
    dtype : DType

    Examples
    --------
    >>> import insitu as si
    >>> si.one_hot(si.asarray([0, 2]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    node = node_of(x)
    if not node.aval.dtype.is_integer:
        raise ArgumentError(
            "one_hot needs integer classes.", expected="an integer dtype", received=f"shape {node.shape}, {node.dtype.name}",
            fix="convert them: x.astype(si.int64)", slug="one-hot-dtype", argument="x",
        )  # fmt: skip
    count = num_classes
    row = ops.iota((*(1,) * node.ndim, count), node.ndim, dt.int64)
    column = ops.reshape(ops.cast(node, dt.int64), (*node.shape, 1))
    return Array(ops.cast(ops.eq(column, row), dt.as_dtype(dtype)))


__all__ = [
    "argsort", "isin", "nonzero", "one_hot", "searchsorted", "sort", "topk", "unique_all", "unique_counts", "unique_inverse", "unique_values",
]  # fmt: skip
