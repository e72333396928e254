"""Elements at given positions along an axis: `take` and `take_along_axis`."""

from __future__ import annotations

from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, AXIS, checked
from insitu.array.array import Array, owned
from insitu.array.checks import axis_index
from insitu.array.convert import node_of
from insitu.array.indexing import checked_positions, has_arrays
from insitu.errors import DTypeError, ShapeError, many_axes
from insitu.graph.node import Node


@checked(x=ARRAY, indices=ARRAY, axis=AXIS | None)
def take(x: Any, indices: Any, /, axis: int | None = None) -> Array:
    """Elements along an axis at the given positions.

    Parameters
    ----------
    x : Array
    indices : Array of int
        Any shape; negative ones count from the end. Positions in lists and NumPy arrays are checked; those
        in arrays of insitu take the nearest element where they are out of range.
    axis : int, optional
        Default: positions in the flattened array.

    Returns
    -------
    Array
        ``x.shape[:axis] + indices.shape + x.shape[axis + 1:]``.

    Raises
    ------
    ShapeError, IndexingError, DTypeError
        For an axis or a position that does not exist, or indices that are no integers.

    Examples
    --------
    >>> import insitu as si
    >>> si.take(si.asarray([10, 20, 30]), [2, 0])
    Array([30, 10], dtype=int64)
    """
    node = node_of(x)
    if axis is None:
        node, axis = ops.reshape(node, (node.aval.size,)), 0
    at = axis_index("take", axis, node.aval)
    return Array(ops.take(node, _index_node("take", indices, at, node.aval.shape), at))


def _index_node(name: str, indices: Any, axis: int, shape: tuple[int, ...]) -> Node:
    if type(indices) is not Array and isinstance(indices, (list, tuple, int, np.ndarray, np.integer)) and not has_arrays(indices):
        try:
            host = np.asarray(indices)
        except ValueError:  # lists of unequal lengths
            return node_of(indices)
        if host.dtype.kind in "iu" or not host.size:
            return owned(np.ascontiguousarray(checked_positions(host, axis, shape)).reshape(host.shape), dt.int64)._node
    node = node_of(indices)
    if not node.aval.dtype.is_integer:
        raise DTypeError(
            f'{name} "indices" must be integers.', expected="an integer dtype", received=f"shape {node.shape}, {node.dtype.name}",
            fix="convert them: indices.astype(si.int64)", slug="index-type", argument="indices",
        )  # fmt: skip
    return ops.cast(node, dt.int64)


@checked(x=ARRAY, indices=ARRAY, axis=AXIS)
def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """For each position of ``indices``, the element of ``x`` in the same row, at that index along the axis.

    Parameters
    ----------
    x, indices : Array
        Of equal rank; the other axes broadcast. Indices out of range take the nearest element.
    axis : int

    Examples
    --------
    >>> import insitu as si
    >>> x = si.asarray([[3, 1, 2], [6, 4, 5]])
    >>> si.take_along_axis(x, si.argsort(x, axis=1), axis=1)
    Array([[1, 2, 3],
           [4, 5, 6]], dtype=int64)
    """
    node = node_of(x)
    at = axis_index("take_along_axis", axis, node.aval)
    places = _index_node("take_along_axis", indices, at, node.aval.shape)
    if places.ndim != node.ndim:
        raise ShapeError(
            'take_along_axis "indices" must have as many axes as x.', expected=many_axes(node.ndim),
            received=f"shape {places.shape} for x of shape {node.shape}", fix="add axes with None", slug="take-along-axis", argument="indices",
        )  # fmt: skip
    return Array(along_axis(node, places, at))


def along_axis(x: Node, places: Node, axis: int) -> Node:
    """`take_along_axis` on nodes of equal rank, whose other axes broadcast."""
    rows, others = _without(x.aval.shape, axis), _without(places.aval.shape, axis)
    if all(m == n or 1 in (m, n) for m, n in zip(rows, others, strict=True)):  # else the operation refuses them, with both shapes
        rows = np.broadcast_shapes(rows, others)
        x = ops.broadcast_to(x, (*rows[:axis], x.aval.shape[axis], *rows[axis:]))
    return ops.take_along_axis(x, places, axis)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


__all__ = ["take", "take_along_axis"]
