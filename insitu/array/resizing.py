"""Grids in other sizes: `resize`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, Choice, checked
from insitu.arguments.grids import FORMAT, PER_AXIS, check_rank, per_axis
from insitu.array.array import Array
from insitu.array.convert import node_of
from insitu.array.convolution import channels_back, channels_last
from insitu.array.creation import asarray
from insitu.errors import ShapeError
from insitu.graph.node import Node
from insitu.ops.resampling import banded
from insitu.ops.rules import check_kind, describe

METHODS = ("nearest", "bilinear")
Values = np.ndarray[Any, Any]


@checked(x=ARRAY, size=PER_AXIS, method=Choice(*METHODS), data_format=FORMAT)
def resize(x: Any, size: int | Sequence[int], /, *, method: str = "bilinear", data_format: str | None = None) -> Array:
    """A batch of sequences, pictures or volumes in another size.

    Parameters
    ----------
    x : Array of shape (batch, *positions, channels)
    size : int or sequence of int
        Positions of the result on each axis.
    method : {"bilinear", "nearest"}
        "bilinear": each place is a mean of its neighbours in x, weighted by their nearness, two on each axis (linear for sequences,
        trilinear for volumes). "nearest": the nearest place.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.

    Returns
    -------
    Array of shape (batch, *size, channels)
        "bilinear" gives a floating dtype.

    Raises
    ------
    ShapeError
        If the axes do not fit, or there are no positions to take from.
    ArgumentError
        If size, method or data_format are none.

    Notes
    -----
    The centres of places stand at halves, as in Keras and TensorFlow: place i of m lies at ``(i + 0.5) * n / m - 0.5`` in x.
    Nothing is smoothed before pictures are made smaller. Gradients are maps of the same kind; they scatter nothing.

    Examples
    --------
    >>> import insitu as si
    >>> si.resize(si.asarray([[[0.0], [4.0]]]), 4)[0, :, 0]
    Array([0., 1., 3., 4.], dtype=float32)
    >>> si.resize(si.ones((1, 28, 28, 3)), (14, 20), method="nearest").shape
    (1, 14, 20, 3)
    """
    a = node_of(x)
    check_kind("resize", "x", a.aval, "iuf")
    rank = check_rank("resize", a.shape, data_format)
    wanted = per_axis(rank).check("resize", "size", size)
    a = channels_last(a if a.dtype.is_float or method == "nearest" else ops.cast(a, dt.float32), data_format)
    if 0 in a.shape[1:-1]:
        raise ShapeError(
            "resize: x has no positions to take from.", expected="at least one position on each axis", received=f"x: {describe(a.aval)}",
            fix="check why the array is empty", slug="resize-empty", argument="x",
        )  # fmt: skip
    # the axes that shrink go first: the others have less to do then
    for axis in sorted(range(1, 1 + rank), key=lambda k: wanted[k - 1] / a.shape[k]):
        a = _along(a, axis, wanted[axis - 1], method)
    return Array(channels_back(a, data_format))


def _along(x: Node, axis: int, m: int, method: str) -> Node:
    n = x.shape[axis]
    if m == n:
        return x
    if method == "nearest" and m % n == 0:
        return _repeated(x, axis, m // n)
    if method == "nearest" and n % m == 0:
        step = n // m
        starts, stops, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
        starts[axis], stops[axis], steps[axis] = step // 2, (m - 1) * step + step // 2 + 1, step
        return ops.slice_(x, starts, stops, steps)
    maps = [(asarray(first)._node, asarray(weights.astype(x.dtype.numpy))._node) for first, weights in _maps(n, m, method)]
    return ops.resample(x, maps[0], maps[1], axis)


def _repeated(x: Node, axis: int, times: int) -> Node:
    """Each place of an axis several times."""
    head, tail = x.shape[: axis + 1], x.shape[axis + 1 :]
    whole = ops.broadcast_to(ops.reshape(x, (*head, 1, *tail)), (*head, times, *tail))
    return ops.reshape(whole, (*head[:-1], head[-1] * times, *tail))


@functools.lru_cache(maxsize=256)
def _maps(n: int, m: int, method: str) -> tuple[tuple[Values, Values], tuple[Values, Values]]:
    """The map from n places to m as a banded matrix, and its transpose."""
    rows, doubled = np.arange(m), (2 * np.arange(m) + 1) * n
    if method == "nearest":
        columns, values = doubled // (2 * m), np.ones(m)
    else:
        at = np.clip((doubled - m) / (2 * m), 0, n - 1)
        low = np.floor(at).astype(np.int64)
        rows, columns = np.tile(rows, 2), np.concatenate([low, np.minimum(low + 1, n - 1)])
        values = np.concatenate([1 - (at - low), at - low])
    return banded(rows, columns, values, (m, n)), banded(columns, rows, values, (n, m))


__all__ = ["resize"]
