"""Functions that change the shape of arrays, or the order of their elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, AXES, AXIS, EXTENTS, FLAG, WHOLE, Checked, Several, checked
from insitu.array.array import Array
from insitu.array.checks import axes_in_order, axis_index, axis_tuple, integer_argument, shape_argument, whole
from insitu.array.convert import node_of
from insitu.errors import ShapeError
from insitu.graph.node import Node, aval

Axes = int | Sequence[int]
LENGTHS = Several(WHOLE, least=0, slug="argument-integer")


@checked(x=ARRAY, shape=Checked("lengths, one of which may be -1", ((3, 2), -1)), copy=FLAG | None)
def reshape(x: Any, /, *shape: Any, copy: bool | None = None) -> Array:
    """The elements in another shape, in the same row-major order.

    Parameters
    ----------
    x : Array
    *shape : int or tuple of int
        The new shape as one tuple or as several numbers; one extent may be -1 and follows from the others.
    copy : bool, optional
        Of no effect: arrays do not change, so that it cannot be told.

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import insitu as si
    >>> si.reshape(si.arange(6), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int64)
    """
    given: Any = shape[0] if len(shape) == 1 and whole(shape[0]) is None else shape
    wanted = given if isinstance(given, (tuple, list)) else LENGTHS.check("reshape", "shape", given)
    return Array(ops.reshape(node_of(x), tuple([integer_argument("reshape", "shape", n) for n in wanted])))


@checked(x=ARRAY)
def ravel(x: Any, /) -> Array:
    """The elements along one axis, in row-major order."""
    node = node_of(x)
    return Array(ops.reshape(node, (node.aval.size,)))


@checked(x=ARRAY)
def flatten(x: Any, /) -> Array:
    """NumPy's name of `ravel` as a method."""
    return ravel(x)


@checked(x=ARRAY, axes=Several(AXIS, least=0))
def permute_dims(x: Any, /, axes: Sequence[int]) -> Array:
    """The axes in another order: axis ``k`` of the result is axis ``axes[k]``.

    Raises
    ------
    ShapeError
        If ``axes`` does not name each axis once.

    Examples
    --------
    >>> import insitu as si
    >>> si.permute_dims(si.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    node = node_of(x)
    order = axes_in_order("permute_dims", tuple(axes), node.aval)
    if len(order) != node.ndim:
        raise ShapeError(
            'permute_dims "axes" must name every axis once.', expected=f"{node.ndim} axes", received=f"axes={tuple(axes)} for shape {node.shape}",
            fix=f"pass a reordering of {tuple(range(node.ndim))}", slug="permute-axes", argument="axes",
        )  # fmt: skip
    return Array(ops.permute(node, order))


@checked(x=ARRAY, axes=Checked("the axes in their new order, or nothing", ((1, 0),)))
def transpose(x: Any, /, *axes: Any) -> Array:
    """The axes in reverse order, or in the order given (NumPy's name of `permute_dims`)."""
    node = node_of(x)
    order: Any = axes[0] if len(axes) == 1 and (axes[0] is None or whole(axes[0]) is None) else axes
    return permute_dims(x, tuple(range(node.ndim - 1, -1, -1)) if order is None or (isinstance(order, (tuple, list)) and not order) else order)


@checked(x=ARRAY)
def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged."""
    return Array(node_of(x)).mT


@checked(x=ARRAY, axis1=AXIS, axis2=AXIS)
def swapaxes(x: Any, axis1: int, axis2: int, /) -> Array:
    """Two axes exchanged."""
    node = node_of(x)
    a, b = axis_index("swapaxes", axis1, node.aval), axis_index("swapaxes", axis2, node.aval)
    order = list(range(node.ndim))
    order[a], order[b] = order[b], order[a]
    return Array(ops.permute(node, tuple(order)))


@checked(x=ARRAY, source=AXES, destination=AXES)
def moveaxis(x: Any, source: Axes, destination: Axes, /) -> Array:
    """Axes moved to new places; the others keep their order.

    Examples
    --------
    >>> import insitu as si
    >>> si.moveaxis(si.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    node = node_of(x)
    origin, target = axes_in_order("moveaxis", source, node.aval), axes_in_order("moveaxis", destination, node.aval)
    if len(origin) != len(target):
        raise ShapeError(
            'moveaxis needs as many places in "destination" as axes in "source".', expected=f"{len(origin)} places",
            received=f"source={source}, destination={destination}", fix="make both equally long", slug="moveaxis", argument="destination",
        )  # fmt: skip
    order = [k for k in range(node.ndim) if k not in origin]
    for place, axis in sorted(zip(target, origin, strict=True)):
        order.insert(place, axis)
    return Array(ops.permute(node, tuple(order)))


@checked(x=ARRAY, axis=AXES)
def expand_dims(x: Any, /, axis: Axes = 0) -> Array:
    """New axes of length 1 at the given places of the result.

    Examples
    --------
    >>> import insitu as si
    >>> si.expand_dims(si.zeros((2, 3)), axis=1).shape
    (2, 1, 3)
    """
    node = node_of(x)
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    places = axes_in_order("expand_dims", given, aval((1,) * (node.ndim + len(given)), node.dtype))
    rest = iter(node.shape)
    return Array(ops.reshape(node, tuple([1 if k in places else next(rest) for k in range(node.ndim + len(places))])))


@checked(x=ARRAY, axis=AXES | None)
def squeeze(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Array:
    """Axes of length 1 removed.

    Parameters
    ----------
    axis : int or tuple of int, optional
        Default: all axes of length 1.

    Raises
    ------
    ShapeError
        If an axis has another length.
    """
    node = node_of(x)
    axes = tuple([k for k, n in enumerate(node.shape) if n == 1]) if axis is None else axis_tuple("squeeze", axis, node.aval)
    for k in axes:
        if node.shape[k] != 1:
            raise ShapeError(
                f"squeeze cannot remove axis {k}: it has length {node.shape[k]}.", expected="axes of length 1",
                received=f"axis={axis} for shape {node.shape}", fix="index the element you want: x[:, 0]", slug="squeeze-axis", argument="axis",
            )  # fmt: skip
    return Array(ops.reshape(node, tuple([n for k, n in enumerate(node.shape) if k not in axes])))


@checked(x=ARRAY, shape=EXTENTS)
def broadcast_to(x: Any, /, shape: Any) -> Array:
    """Axes of length 1 stretched to another shape.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    """
    return Array(ops.broadcast_to(node_of(x), shape_argument("broadcast_to", shape)))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape to which shapes broadcast."""
    from insitu.ops.rules import broadcast_shapes as joined

    return joined("broadcast_shapes", [f"shape {k + 1}" for k in range(len(shapes))], [aval(tuple(s), dt.float32) for s in shapes]) if shapes else ()


def broadcast_arrays(*arrays: Any) -> tuple[Array, ...]:
    """Arrays stretched to their common shape."""
    shape = broadcast_shapes(*[node_of(a).shape for a in arrays])
    return tuple([broadcast_to(a, shape) for a in arrays])


def span(node: Node, axis: int, start: int, stop: int) -> Node:
    """The elements from ``start`` to ``stop`` of an axis."""
    shape = node.shape
    return ops.slice_(
        node, tuple([start if k == axis else 0 for k in range(len(shape))]), tuple([stop if k == axis else n for k, n in enumerate(shape)])
    )


@checked(x=ARRAY, axis=AXES | None)
def flip(x: Any, /, *, axis: int | tuple[int, ...] | None = None) -> Array:
    """Axes in reverse order; all axes by default.

    Examples
    --------
    >>> import insitu as si
    >>> si.flip(si.asarray([1, 2, 3]))
    Array([3, 2, 1], dtype=int64)
    """
    node = node_of(x)
    return Array(ops.flip(node, axis_tuple("flip", axis, node.aval)))


@checked(x=ARRAY, shift=AXES, axis=AXES | None)
def roll(x: Any, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Array:
    """Elements moved along axes; what leaves at one end enters at the other.

    Parameters
    ----------
    shift : int or tuple of int
        Places to move by.
    axis : int or tuple of int, optional
        Default: along the flattened array.

    Examples
    --------
    >>> import insitu as si
    >>> si.roll(si.asarray([1, 2, 3]), 1)
    Array([3, 1, 2], dtype=int64)
    """
    node = node_of(x)
    if axis is None:
        return Array(ops.reshape(roll(Array(ops.reshape(node, (node.aval.size,))), shift, axis=0)._node, node.shape))
    axes = [axis_index("roll", a, node.aval) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    shifts = list(shift) if isinstance(shift, (tuple, list)) else [shift] * len(axes)
    if len(shifts) != len(axes):
        raise ShapeError(
            'roll needs as many values in "shift" as in "axis".', expected=f"{len(axes)} shifts", received=f"shift={shift}, axis={axis}",
            fix="make both equally long", slug="roll-axes", argument="shift",
        )  # fmt: skip
    for a, s in zip(axes, shifts, strict=True):
        n = node.shape[a]
        cut = -integer_argument("roll", "shift", s) % n if n else 0
        if cut:
            node = ops.concat([span(node, a, cut, n), span(node, a, 0, cut)], a)
    return Array(node)


@checked(x=ARRAY, offset=WHOLE)
def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonal of the last two axes, as a last axis.

    Examples
    --------
    >>> import insitu as si
    >>> si.diagonal(si.asarray([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int64)
    """
    node = node_of(x)
    if node.ndim < 2:
        raise ShapeError(
            "diagonal needs at least 2 axes.",
            expected="(..., rows, columns)",
            received=f"shape {node.shape}",
            fix="use si.eye to make one",
            slug="matrix-rank",
            argument="x",
        )
    *lead, rows, columns = node.shape
    first = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    flat = ops.reshape(node, (*lead, rows * columns))
    stop = first + (count - 1) * (columns + 1) + 1 if count else first
    bounds = (*lead, min(stop, rows * columns))
    starts = (*(0,) * len(lead), min(first, rows * columns) if count else bounds[-1])
    return Array(ops.slice_(flat, starts, bounds, (*(1,) * len(lead), columns + 1)))


__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "diagonal", "expand_dims", "flip", "matrix_transpose", "moveaxis", "permute_dims",
    "ravel", "reshape", "roll", "squeeze", "swapaxes", "transpose",
]  # fmt: skip
