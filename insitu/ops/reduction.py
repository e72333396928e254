"""Folding axes into one element, and running folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.dtypes import DType
from insitu.errors import ShapeError
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw, number
from insitu.ops.rules import check_kind, describe, normal_axes, normal_axis, size_of

_SHAPES: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (
    ((7,), (0,)), ((3, 5), (1,)), ((3, 5), (0,)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (0, 1, 2)), ((70, 3), (0,)), ((1, 4), (0,)), ((3, 67), (1,)),
    ((2, 3), ()),
)  # fmt: skip


class Reduce(Primitive):
    """Attribute ``axes``: sorted and not negative. The output lacks these axes."""

    attributes = ("axes",)
    kind = "reduce"
    title: str = ""
    accepts: str = "iuf"
    #: Whether there is a value for no elements.
    neutral: bool = True

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        check_kind(self.title, "x", x, self.accepts)
        empty = [a for a in attrs[0] if x.shape[a] == 0]
        if empty and not self.neutral:
            raise ShapeError(
                f"{self.title} of no elements: axis {empty[0]} is empty.",
                expected=f"at least one element on axis {empty[0]}",
                received=f"x: {describe(x)}, axis={attrs[0]}",
                fix="check why the array is empty, or treat the empty case before",
                slug="reduce-empty",
                argument="x",
            )
        return aval(tuple(n for k, n in enumerate(x.shape) if k not in attrs[0]), self.result(x.dtype))

    def result(self, dtype: DType) -> DType:
        """The output's dtype from the input's."""
        return dtype

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        dtypes = [d for d in (dt.float64, dt.float32, dt.int32, dt.uint8, dt.float16, dt.int64, dt.bfloat16, dt.bool_) if d.kind in self.accepts]
        for k, (shape, axes) in enumerate(_SHAPES):
            yield (axes,), (draw(rng, shape, dtypes[k % len(dtypes)]),)
            yield (axes,), (draw(rng, shape, dt.float64),)
        if self.neutral:
            yield ((0,),), (draw(rng, (0, 3), dt.float32),)
        yield ((1,),), (draw(rng, (0, 3), dt.float32),)


def _double(function: Callable[..., Any], axes: tuple[int, ...], x: Values) -> Values:
    """A NumPy reduction in float64 (integers wrap in their own dtype)."""
    wide = np.float64 if dt.as_dtype(x.dtype).kind == "f" else x.dtype
    with np.errstate(all="ignore"):
        return np.asarray(function(x.astype(wide), axis=axes, dtype=wide)).astype(x.dtype)


def _row(node: Node, value: Node) -> Node:
    """The reduced value with its axes back, as extents of 1."""
    x, axes = node.inputs[0], node.attrs[0]
    return ops.reshape(value, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))


@register
class ReduceSum(Reduce):
    name = "reduce_sum"
    title = "sum"
    meaning = "the sum over axes; 16-bit floats are summed in float32"
    how = "sum"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.broadcast_to(_row(node, ct), node.inputs[0].shape),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return _double(np.sum, attrs[0], arrays[0])


_SUM = REGISTRY["reduce_sum"]


def reduce_sum(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The sum over axes (None: all), in the dtype of ``x``; the axes are gone afterwards."""
    return apply(_SUM, (x,), (normal_axes("sum", axes, x.aval),))


@register
class ReduceProd(Reduce):
    name = "reduce_prod"
    title = "prod"
    meaning = "the product over axes; 16-bit floats are multiplied in float32"
    how = "prod"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        """Each element's cotangent is the product of all others: right also where some are 0."""
        x, axes = node.inputs[0], node.attrs[0]
        kept = tuple(k for k in range(x.ndim) if k not in axes)
        order = (*kept, *axes)
        rows = ops.reshape(ops.permute(x, order), (*(x.shape[k] for k in kept), size_of([x.shape[k] for k in axes])))
        before = _exclusive(rows)
        after = ops.flip(_exclusive(ops.flip(rows, (-1,))), (-1,))
        others = ops.reshape(ops.mul(before, after), tuple(x.shape[k] for k in order))
        back = [0] * x.ndim
        for place, k in enumerate(order):
            back[k] = place
        return (ops.mul(_row(node, ct), ops.permute(others, back)),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return _double(np.prod, attrs[0], arrays[0])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield ((1,),), (np.array([[1.5, 0.0, 2.0], [0.0, 0.0, 3.0], [1.0, 2.0, -1.0]]),)


_PROD = REGISTRY["reduce_prod"]


def reduce_prod(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The product over axes (None: all), in the dtype of ``x``."""
    return apply(_PROD, (x,), (normal_axes("prod", axes, x.aval),))


def _exclusive(x: Node) -> Node:
    """Products along the last axis of the elements before each one."""
    n = x.shape[-1]
    if n == 0:
        return x
    head = ops.slice_(x, (0,) * x.ndim, (*x.shape[:-1], n - 1))
    return ops.cumprod(ops.pad(head, [*[(0, 0)] * (x.ndim - 1), (1, 0)], 1), -1)


class _Extreme(Reduce):
    """The largest or smallest element; the cotangent is shared equally by all that are equal to it."""

    accepts = "biuf"
    neutral = False
    function: ClassVar[Callable[..., Any]]

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        (x,) = node.inputs
        hit = ops.eq(x, _row(node, node))
        count = ops.reduce_sum(ops.cast(hit, ct.dtype), node.attrs[0])
        return (ops.where(hit, _row(node, ops.div(ct, count)), number(0, ct)),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        (x,) = arrays
        wide = x.astype(np.float64) if dt.as_dtype(x.dtype).kind == "f" else x
        return np.asarray(type(self).function(wide, axis=attrs[0])).astype(x.dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield ((1,),), (np.array([[1.5, np.nan, 2.0], [-np.inf, 0.0, 3.0]], np.float32),)


@register
class ReduceMax(_Extreme):
    name = "reduce_max"
    title = "max"
    meaning = "the largest element over axes; NaN if there is one"
    how = "max"
    function = staticmethod(np.max)


_REDUCE_MAX = REGISTRY["reduce_max"]


def reduce_max(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The largest element over axes (None: all); NaN wins.

    Raises
    ------
    ShapeError
        If there are no elements.
    """
    return apply(_REDUCE_MAX, (x,), (normal_axes("max", axes, x.aval),))


@register
class ReduceMin(_Extreme):
    name = "reduce_min"
    title = "min"
    meaning = "the smallest element over axes; NaN if there is one"
    how = "min"
    function = staticmethod(np.min)


_REDUCE_MIN = REGISTRY["reduce_min"]


def reduce_min(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The smallest element over axes (None: all); NaN wins.

    Raises
    ------
    ShapeError
        If there are no elements.
    """
    return apply(_REDUCE_MIN, (x,), (normal_axes("min", axes, x.aval),))


class _Position(Reduce):
    """Attribute ``axes``: exactly one."""

    accepts = "biuf"
    neutral = False
    no_gradient = "a position does not change smoothly"
    function: ClassVar[Callable[..., Any]]

    def result(self, dtype: DType) -> DType:
        return dt.int64

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        (x,) = arrays
        wide = x.astype(np.float64) if dt.as_dtype(x.dtype).kind == "f" else x
        return np.asarray(type(self).function(wide, axis=attrs[0][0])).astype(np.int64)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for attrs, (x,) in super().samples(rng):
            if len(attrs[0]) == 1:
                yield attrs, (x,)
        yield ((0,),), (np.array([1, 3, 3, 0, 0], np.float32),)
        yield ((1,),), (np.array([[1, np.nan, 3, np.nan], [-np.inf, np.inf, np.inf, 0]], np.float64),)


@register
class ArgMax(_Position):
    name = "argmax"
    title = "argmax"
    meaning = "the position of the first largest element along an axis; the first NaN wins"
    how = "argmax"
    function = staticmethod(np.argmax)


_ARGMAX = REGISTRY["argmax"]


def argmax(x: Node, axis: int) -> Node:
    """The position (int64) of the first largest element along an axis.

    Raises
    ------
    ShapeError
        If the axis is empty or does not exist.
    """
    return apply(_ARGMAX, (x,), ((normal_axis("argmax", axis, x.aval),),))


@register
class ArgMin(_Position):
    name = "argmin"
    title = "argmin"
    meaning = "the position of the first smallest element along an axis; the first NaN wins"
    how = "argmin"
    function = staticmethod(np.argmin)


_ARGMIN = REGISTRY["argmin"]


def argmin(x: Node, axis: int) -> Node:
    """The position (int64) of the first smallest element along an axis.

    Raises
    ------
    ShapeError
        If the axis is empty or does not exist.
    """
    return apply(_ARGMIN, (x,), ((normal_axis("argmin", axis, x.aval),),))
