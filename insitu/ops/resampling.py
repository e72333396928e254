"""Sums of neighbours along an axis, with weights of their own at each place: what scaling of pictures is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import check_kind


@register
class Resample(Primitive):
    """Inputs: x, ``first`` (m,), ``weights`` (m, taps), and the same of the transposed map. The axis has n places, and m come out:
    ``y[o] = sum over k of weights[o, k] * x[first[o] + k]``. As the transposed map is of the same kind, gradients scatter nothing.
    """

    name = "resample"
    meaning = "sums of neighbours along an axis, with weights of their own for each place"
    attributes = ("axis",)
    arity = 5
    kind = "composed"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        x, first, weights, first_back, weights_back = avals
        (axis,) = attrs
        check_kind("resample", "x", x, "iuf")
        n, m = x.shape[axis], weights.shape[0]
        fits = first.shape == (m,) and first_back.shape == (n,) == weights_back.shape[:1] and weights.ndim == weights_back.ndim == 2
        if not fits or not 1 <= weights.shape[1] <= n or weights_back.shape[1] > m or not weights.dtype is weights_back.dtype is x.dtype:
            raise InternalError(f"resample {attrs} of {avals}")
        return aval((*x.shape[:axis], m, *x.shape[axis + 1 :]), x.dtype)

    def expand(self, node: Node) -> Node:
        x, first, weights = node.inputs[:3]
        (axis,) = node.attrs
        rest = [1] * (x.ndim - axis - 1)
        m, taps = weights.shape
        if taps == 1:
            return ops.mul(ops.take(x, first, axis), ops.reshape(weights, (m, *rest)))
        return ops.reduce_sum(ops.mul(_neighbours(x, first, taps, axis), ops.reshape(weights, (m, taps, *rest))), axis + 1)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        x, first, weights, first_back, weights_back = node.inputs
        (axis,) = node.attrs
        back = apply(node.prim, (ct, first_back, weights_back, first, weights), node.attrs)
        seen = _neighbours(x, first, weights.shape[1], axis)
        spread = ops.reshape(ct, (*ct.shape[: axis + 1], 1, *ct.shape[axis + 1 :]))
        others = (*range(axis), *range(axis + 2, seen.ndim))
        return (back, None, ops.reduce_sum(ops.mul(seen, spread), others), None, None)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        x, first, weights = arrays[:3]
        wide = np.moveaxis(x.astype(np.float64) if x.dtype.kind == "f" else x, attrs[0], -1)
        made = np.zeros((*wide.shape[:-1], len(first)), wide.dtype)
        for o, start in enumerate(first):
            made[..., o] = (wide[..., start : start + weights.shape[1]] * weights[o].astype(wide.dtype)).sum(-1)
        return np.moveaxis(made, -1, attrs[0]).astype(x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield (1,), _sample(rng, (2, 5, 3), 1, 8, 2, dt.float64)
        yield (0,), _sample(rng, (7, 3), 0, 3, 3, dt.float64)
        yield (2,), _sample(rng, (1, 2, 9), 2, 4, 6, dt.float64)
        yield (1,), _sample(rng, (3, 6, 1), 1, 6, 1, dt.float64)
        yield (1,), _sample(rng, (2, 4, 5), 1, 40, 2, dt.float32)
        yield (0,), _sample(rng, (3, 0), 0, 5, 2, dt.float32)
        yield (1,), _sample(rng, (2, 4, 3), 1, 3, 1, dt.int32)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], axis: int, m: int, taps: int, dtype: dt.DType) -> tuple[Values, ...]:
    n = shape[axis]
    rows = np.repeat(np.arange(m), taps)
    columns = np.repeat(np.arange(m) * (n - taps) // max(m - 1, 1), taps) + np.tile(np.arange(taps), m)
    values = draw(rng, (m * taps,), dtype)
    return (draw(rng, shape, dtype), *banded(rows, columns, values, (m, n)), *banded(columns, rows, values, (n, m)))


def banded(rows: Values, columns: Values, values: Values, extents: tuple[int, int]) -> tuple[Values, Values]:
    """A matrix of few neighbours in each row, given by its elements, as the first column and the weights of each row.

    Examples
    --------
    >>> first, weights = banded(np.asarray([0, 1, 1]), np.asarray([1, 1, 2]), np.asarray([1.0, 0.5, 0.5]), (2, 3))
    >>> first.tolist(), weights.tolist()
    ([1, 1], [[1.0, 0.0], [0.5, 0.5]])
    """
    m, n = extents
    start, stop = np.full(m, n, np.int64), np.zeros(m, np.int64)
    np.minimum.at(start, rows, columns)
    np.maximum.at(stop, rows, columns + 1)
    taps = max(1, int((stop - start).max(initial=1)))
    first = np.minimum(start, n - taps)
    weights = np.zeros((m, taps), values.dtype)
    np.add.at(weights, (rows, columns - first[rows]), values)
    return first, weights


def _neighbours(x: Node, first: Node, taps: int, axis: int) -> Node:
    """The neighbours of each place on an axis of their own behind ``axis``."""
    at = ops.add(ops.reshape(first, (first.shape[0], 1)), ops.iota((taps,), 0, first.dtype))
    return ops.take(x, at, axis)


_RESAMPLE = REGISTRY["resample"]


def resample(x: Node, forward: tuple[Node, Node], backward: tuple[Node, Node], axis: int) -> Node:
    """A banded matrix along an axis: ``forward`` and ``backward`` are what `banded` gives of it and of its transpose."""
    return apply(_RESAMPLE, (x, *forward, *backward), (axis,))
