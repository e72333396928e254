"""Rounding to whole numbers; their gradient is zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from insitu import dtypes as dt
from insitu.graph.node import REGISTRY, Attrs, Node, Primitive, apply, register
from insitu.ops.elementwise import Sample, Unary, Values, draw, in_double


class Rounding(Unary):
    """Floating types only; an integer is whole already, and the functions return it as it is."""

    function: ClassVar[Callable[..., Any]]

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (None,)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(type(self).function, *arrays)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        for dtype in (dt.float32, dt.float64):
            special = [0.5, 1.5, 2.5, -0.5, -1.5, -0.0, 0.49999997, 8388609.0, -1e10, np.inf, -np.inf, np.nan]
            yield (), (np.array(special, dtype.numpy),)
        yield (), (draw(rng, (40,), dt.float32, -1e5, 1e5),)


def _rounded(prim: Primitive, x: Node) -> Node:
    return apply(prim, (x,)) if x.aval.dtype.kind not in "iu" else x


@register
class Floor(Rounding):
    name = "floor"
    meaning = "the next whole number downwards"
    function = staticmethod(np.floor)


_FLOOR = REGISTRY["floor"]


def floor(x: Node) -> Node:
    """The next whole number downwards."""
    return _rounded(_FLOOR, x)


@register
class Ceil(Rounding):
    name = "ceil"
    meaning = "the next whole number upwards"
    function = staticmethod(np.ceil)


_CEIL = REGISTRY["ceil"]


def ceil(x: Node) -> Node:
    """The next whole number upwards."""
    return _rounded(_CEIL, x)


@register
class Trunc(Rounding):
    name = "trunc"
    meaning = "the next whole number toward zero"
    function = staticmethod(np.trunc)


_TRUNC = REGISTRY["trunc"]


def trunc(x: Node) -> Node:
    """The next whole number toward zero."""
    return _rounded(_TRUNC, x)


@register
class Rint(Rounding):
    name = "rint"
    title = "round"
    meaning = "the nearest whole number, ties to even"
    function = staticmethod(np.rint)


_RINT = REGISTRY["rint"]


def rint(x: Node) -> Node:
    """The nearest whole number, ties to even."""
    return _rounded(_RINT, x)
