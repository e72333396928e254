"""Sorting, by positions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import normal_axis


@register
class ArgSort(Primitive):
    name = "argsort"
    meaning = "the first positions (int64) of those that sort along an axis; equal elements keep their order; NaN counts as the largest"
    attributes = ("axis", "descending", "kept")
    kind = "sort"
    no_gradient = "a position does not change smoothly"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,), (axis, _, kept) = avals, attrs
        if not 0 <= kept <= x.shape[axis]:
            raise InternalError(f"argsort {attrs} of {x}")
        return aval((*x.shape[:axis], kept, *x.shape[axis + 1 :]), dt.int64)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        axis, descending, kept = attrs
        (x,) = arrays
        x = x.astype(np.float64) if dt.as_dtype(x.dtype).kind == "f" else x
        ranks = np.unique(x, return_inverse=True, equal_nan=True)[1].reshape(x.shape).astype(np.int64)
        if descending:
            ranks = -ranks
        return np.argsort(ranks, axis=axis, kind="stable").astype(np.int64).take(np.arange(kept), axis)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for descending in (False, True):
            for dtype in dt.ALL:
                yield (0, descending, 23), (draw(rng, (23,), dtype),)
            yield (1, descending, 7), (draw(rng, (3, 7), dt.float64),)
            yield (0, descending, 5), (draw(rng, (70, 2), dt.int8),)
            yield (1, descending, 0), (draw(rng, (2, 0), dt.float32),)
            yield (0, descending, 3), (draw(rng, (1100, 2), dt.float32),)
            special = np.array([2, np.nan, -np.inf, 0.0, -0.0, np.inf, np.nan, -1, 2], np.float32)
            yield (0, descending, 9), (special,)


_ARGSORT = REGISTRY["argsort"]


def argsort(x: Node, axis: int = -1, descending: bool = False, kept: int | None = None) -> Node:
    """The positions that sort along an axis, or only the first ones of them; stable; NaN counts as the largest.

    Raises
    ------
    ShapeError
        If the axis does not exist.
    """
    axis = normal_axis("argsort", axis, x.aval)
    return apply(_ARGSORT, (x,), (axis, bool(descending), x.shape[axis] if kept is None else kept))


def sort(x: Node, axis: int = -1, descending: bool = False) -> Node:
    """The elements in order along an axis, NaN as the largest; differentiable."""
    axis = normal_axis("sort", axis, x.aval)
    return ops.take_along_axis(x, argsort(x, axis, descending), axis)
