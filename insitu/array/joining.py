"""Functions that put arrays together, take them apart, or repeat them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, ARRAYS, AXIS, EXTENTS, WHOLE, Choice, Several, Whole, checked
from insitu.array.array import Array, owned
from insitu.array.checks import axis_index, integer_argument, shape_argument, whole
from insitu.array.convert import asarray, node_of
from insitu.array.shaping import span
from insitu.errors import ArgumentError, ShapeError, UserError
from insitu.graph.node import Node, aval


def _several(function: str, arrays: Any) -> list[Node]:
    nodes = [node_of(a) for a in arrays]
    if not nodes:
        raise ArgumentError(
            f"{function} was given no arrays.", expected="at least one array", received="an empty sequence", fix="look at how the list was filled",
            slug="concat-empty", argument="arrays",
        )  # fmt: skip
    return nodes


@checked(arrays=ARRAYS, axis=AXIS | None)
def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Array:
    """Arrays one after the other along an axis.

    Parameters
    ----------
    arrays : sequence of Array
        Of equal shapes but for the axis; dtypes promote.
    axis : int, optional
        None: the arrays are flattened.

    Raises
    ------
    ShapeError
        If other axes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.concat([si.asarray([1]), si.asarray([2, 3])])
    Array([1, 2, 3], dtype=int64)
    """
    nodes = _several("concat", arrays)
    if axis is None:
        nodes, axis = [ops.reshape(n, (n.aval.size,)) for n in nodes], 0
    return Array(ops.concat(nodes, integer_argument("concat", "axis", axis)))


@checked(arrays=ARRAYS, axis=AXIS | None)
def concatenate(arrays: Sequence[Any], /, axis: int | None = 0) -> Array:
    """NumPy's name of `concat`."""
    return concat(arrays, axis=axis)


@checked(arrays=ARRAYS, axis=AXIS)
def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Array:
    """Arrays of equal shape along a new axis.

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.stack([si.asarray([1, 2]), si.asarray([3, 4])], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int64)
    """
    nodes = _several("stack", arrays)
    first = nodes[0].shape
    for k, n in enumerate(nodes):
        if n.shape != first:
            raise ShapeError(
                f"stack: array {k} has another shape than array 0.", expected=f"shape {first}", received=f"shape {n.shape}",
                fix="make the shapes equal, or join them with si.concat", slug="stack-shapes", argument="arrays",
            )  # fmt: skip
    at = axis_index("stack", axis, aval((*first, 1), nodes[0].dtype))
    return Array(ops.concat([ops.reshape(n, (*first[:at], 1, *first[at:])) for n in nodes], at))


@checked(x=ARRAY, axis=AXIS)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays along an axis, each without it."""
    node = node_of(x)
    at = axis_index("unstack", axis, node.aval)
    rest = (*node.shape[:at], *node.shape[at + 1 :])
    return tuple([Array(ops.reshape(span(node, at, k, k + 1), rest)) for k in range(node.shape[at])])


def _split_fix(length: int, parts: int) -> str:
    if not 1 < parts <= length or parts > 10:
        return "pass a divisor, or the positions where the parts begin: [3, 5]"
    return f"pass the positions where the parts begin: {[-(-length * k // parts) for k in range(1, parts)]}"


@checked(x=ARRAY, indices_or_sections=Whole() | Several(WHOLE, least=0), axis=AXIS)
def split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Array]:
    """Parts of an array along an axis.

    Parameters
    ----------
    x : Array
    indices_or_sections : int or sequence of int
        Number of equal parts, or the positions where the parts begin.
    axis : int

    Raises
    ------
    ShapeError
        If the axis does not divide into that many equal parts.

    Examples
    --------
    >>> import insitu as si
    >>> si.split(si.arange(6), 3)
    [Array([0, 1], dtype=int64), Array([2, 3], dtype=int64), Array([4, 5], dtype=int64)]
    """
    node = node_of(x)
    at = axis_index("split", axis, node.aval)
    n = node.shape[at]
    sections = whole(indices_or_sections)
    if sections is not None:
        if sections < 1 or n % sections:
            raise ShapeError(
                f"split cannot make {sections} equal parts of axis {at}, which has length {n}.", expected=f"a divisor of {n}",
                received=f"{sections} parts, shape {node.shape}", fix=_split_fix(n, sections),
                slug="split-sections", argument="indices_or_sections",
            )  # fmt: skip
        edges = [n // sections * k for k in range(sections + 1)]
    else:
        edges = [0, *[min(n, max(0, v + n if v < 0 else v)) for v in indices_or_sections], n]
    return [Array(span(node, at, a, max(a, b))) for a, b in itertools.pairwise(edges)]


@checked(x=ARRAY, repetitions=EXTENTS)
def tile(x: Any, repetitions: int | Sequence[int], /) -> Array:
    """The array repeated as a whole along axes.

    Parameters
    ----------
    repetitions : int or sequence of int
        For the last axes; a longer sequence adds axes in front.

    Examples
    --------
    >>> import insitu as si
    >>> si.tile(si.asarray([1, 2]), 2)
    Array([1, 2, 1, 2], dtype=int64)
    """
    node = node_of(x)
    times = list(shape_argument("tile", repetitions))
    n = max(node.ndim, len(times))
    shape = (1,) * (n - node.ndim) + node.shape
    times = [1] * (n - len(times)) + times
    wide = ops.broadcast_to(
        ops.reshape(node, tuple([m for k in shape for m in (1, k)])), tuple([m for t, k in zip(times, shape, strict=True) for m in (t, k)])
    )
    return Array(ops.reshape(wide, tuple([t * k for t, k in zip(times, shape, strict=True)])))


@checked(x=ARRAY, repeats=ARRAY, axis=AXIS | None)
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Array:
    """Each element repeated along an axis.

    Parameters
    ----------
    repeats : int or Array of int
        How often; an array (whose values are looked at) has one number for each element of the axis.
    axis : int, optional
        Default: along the flattened array.

    Examples
    --------
    >>> import insitu as si
    >>> si.repeat(si.asarray([1, 2]), 2)
    Array([1, 1, 2, 2], dtype=int64)
    """
    node = node_of(x)
    if axis is None:
        node, axis = ops.reshape(node, (node.aval.size,)), 0
    at = axis_index("repeat", axis, node.aval)
    n = node.shape[at]
    count = whole(repeats) if not isinstance(repeats, (Array, np.ndarray)) else None
    if count is not None:
        count = integer_argument("repeat", "repeats", count, low=0)
        wide = ops.broadcast_to(
            ops.reshape(node, (*node.shape[: at + 1], 1, *node.shape[at + 1 :])), (*node.shape[: at + 1], count, *node.shape[at + 1 :])
        )
        return Array(ops.reshape(wide, (*node.shape[:at], n * count, *node.shape[at + 1 :])))
    counts = asarray(repeats)._view()
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or (counts.ndim and counts.size not in (1, n)) or (counts.size and counts.min() < 0):
        raise ArgumentError(
            'repeat "repeats" must be one whole number, or one for each element of the axis.', expected=f"{n} whole numbers of at least 0",
            received=f"shape {counts.shape}, {counts.dtype}", fix="pass one number", slug="repeat-counts", argument="repeats",
        )  # fmt: skip
    return Array(ops.take(node, _host_indices(np.repeat(np.arange(n), counts)), at))


def _host_indices(indices: np.ndarray[Any, Any]) -> Node:
    return owned(np.ascontiguousarray(indices, np.int64), dt.int64)._node


_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


@checked(x=ARRAY, pad_width=ARRAY, mode=Choice(*_MODES), constant_values=ARRAY)
def pad(x: Any, pad_width: Any, /, mode: str = "constant", *, constant_values: Any = 0) -> Array:
    """A margin around an array.

    Parameters
    ----------
    x : Array
    pad_width : int, (before, after), or a pair for each axis
        Elements to add.
    mode : str
        ``"constant"``: ``constant_values``; ``"edge"``: the last element; ``"reflect"``: mirrored at the
        last element; ``"symmetric"``: mirrored beyond it; ``"wrap"``: from the other end.
    constant_values : number

    Examples
    --------
    >>> import insitu as si
    >>> si.pad(si.asarray([1, 2, 3]), (1, 2), mode="reflect")
    Array([2, 1, 2, 3, 2, 1], dtype=int64)
    """
    node = node_of(x)
    widths = _pad_widths(pad_width, node)
    if mode == "constant":
        return Array(ops.pad(node, widths, constant_values))
    for axis, (before, after) in enumerate(widths):
        n = node.shape[axis]
        if (before or after) and not n:
            raise ShapeError(
                f"pad of mode {mode} needs elements, but axis {axis} is empty.", expected="at least 1 element", received=f"shape {node.shape}",
                fix='use mode="constant"', slug="pad-empty",
            )  # fmt: skip
        if before or after:
            node = ops.take(node, _host_indices(np.pad(np.arange(n), (before, after), mode=mode)), axis)  # type: ignore[call-overload]
    return Array(node)


def _pad_widths(given: Any, node: Node) -> list[tuple[int, int]]:
    try:
        host = np.asarray(given)
        pairs = np.broadcast_to(host, (node.ndim, 2))
    except ValueError:
        raise _bad_width(given, node) from None
    if host.dtype.kind not in "iu" or (pairs.size and pairs.min() < 0):
        raise _bad_width(given, node)
    return [(int(a), int(b)) for a, b in pairs]


def _bad_width(given: Any, node: Node) -> UserError:
    return ArgumentError(
        'pad "pad_width" does not fit the array.', expected=f"a number, a pair, or {node.ndim} pairs of whole numbers of at least 0",
        received=f"pad_width={given!r} for shape {node.shape}", fix="pass (before, after) for each axis", slug="pad-width", argument="pad_width",
    )  # fmt: skip


__all__ = ["concat", "concatenate", "pad", "repeat", "split", "stack", "tile", "unstack"]
