"""The same elements in another shape or order, or repeated."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.errors import ShapeError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, Shape, apply, aval, register
from insitu.ops.elementwise import Sample, Values, draw
from insitu.ops.rules import checked_shape, describe, elements, normal_axis, size_of


@register
class Reshape(Primitive):
    name = "reshape"
    meaning = "the elements, in row-major order, in another shape"
    attributes = ("shape",)
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        shape = checked_shape("reshape", attrs[0])
        if size_of(shape) != x.size:
            raise _size_error(x, shape, shape)
        return aval(shape, x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.reshape(ct, node.inputs[0].shape),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return arrays[0].reshape(attrs[0])

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        return load(0, _reshaped(index, node.shape, node.inputs[0].shape), guard)

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...]:
        return _reshaped(index, node.inputs[0].shape, node.shape)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        cases: Sequence[tuple[Shape, Shape]] = (
            ((3, 4), (4, 3)), ((12,), (3, 1, 4)), ((2, 3, 4), (6, 4)), ((1,), ()), ((), (1, 1)), ((0, 3), (5, 0)), ((2, 6, 1), (2, 2, 3)),
        )  # fmt: skip
        for (a, b), dtype in zip(cases, (dt.float64, dt.float32, dt.int32, dt.bool_, dt.float16, dt.int8, dt.float64), strict=True):
            yield (b,), (draw(rng, a, dtype),)


_RESHAPE = REGISTRY["reshape"]


@functools.lru_cache(maxsize=4096)
def _reshaped(index: tuple[nest.Expr, ...], shape: Shape, to: Shape) -> tuple[nest.Expr, ...]:
    """The position that an element of a shape has in another one."""
    return nest.unravel(nest.ravel(index, shape), to)


def _size_error(x: Aval, wanted: Sequence[int], known: Sequence[int]) -> ShapeError:
    asked, shape = size_of(known), tuple(wanted)
    fix = f"choose extents whose product is {x.size}"
    if -1 not in shape:
        what = f"reshape: {elements(x.size)} of shape {x.shape} cannot become shape {shape}, which has {asked}."
        for k in range(len(shape) - 1, -1, -1):
            others = size_of([n for j, n in enumerate(shape) if j != k])
            if others and x.size % others == 0:
                right = tuple(x.size // others if j == k else n for j, n in enumerate(shape))
                fix = f"let one extent follow from the others: x.reshape({tuple(-1 if j == k else n for j, n in enumerate(shape))})  →  {right}"
    elif asked:
        what = f"reshape: {elements(x.size)} cannot be divided evenly into {shape}: {x.size} is not a multiple of {asked}."
        fix = f"choose extents whose product divides {x.size}"
    else:
        what = f"reshape: the extent -1 in {shape} cannot be known, because one of the others is 0."
    return ShapeError(
        what, expected=f"a shape of {elements(x.size)}", received=f"shape {shape} for {describe(x)}", fix=fix, slug="reshape-size", argument="shape"
    )


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """The elements in another shape; one extent may be -1 and follows from the others.

    Raises
    ------
    ShapeError
        If the numbers of elements differ.
    """
    shape = tuple(map(int, shape))
    if -1 in shape:
        shape = _completed(x.aval, shape)
    return x if shape == x.aval.shape else apply(_RESHAPE, (x,), (shape,))


def _completed(x: Aval, shape: Shape) -> Shape:
    if shape.count(-1) > 1:
        raise ShapeError(
            f"reshape: {shape} leaves {shape.count(-1)} extents open.",
            expected="at most one extent of -1",
            received=f"shape {shape} for {describe(x)}",
            fix="give all extents but one",
            slug="reshape-open",
            argument="shape",
        )
    known = size_of([n for n in shape if n != -1])
    if any(n < -1 for n in shape) or not known or x.size % known:
        checked_shape("reshape", [n for n in shape if n != -1])
        raise _size_error(x, shape, [n for n in shape if n != -1])
    return tuple(x.size // known if n == -1 else n for n in shape)


@register
class Permute(Primitive):
    name = "permute"
    meaning = "the axes in another order"
    attributes = ("axes",)
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        axes = attrs[0]
        if sorted(axes) != list(range(x.ndim)):
            raise ShapeError(
                f"permute_dims: axes {axes} do not name each of the {x.ndim} axes once.",
                expected=f"an order of {tuple(range(x.ndim))}",
                received=f"axes={axes} for {describe(x)}",
                fix=f"for example axes={tuple(range(x.ndim))[::-1]} turns the order around",
                slug="permute-axes",
                argument="axes",
            )
        return aval(tuple(x.shape[a] for a in axes), x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.permute(ct, inverse(node.attrs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.ascontiguousarray(arrays[0].transpose(attrs[0]))

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        return load(0, tuple(index[k] for k in inverse(node.attrs[0])), guard)

    def place(self, node: Node, number: int, index: tuple[nest.Expr, ...]) -> tuple[nest.Expr, ...]:
        return tuple([index[k] for k in node.attrs[0]])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((1, 0),), (draw(rng, (3, 5), dt.float64),)
        yield ((2, 0, 1),), (draw(rng, (2, 3, 4), dt.float32),)
        yield ((1, 2, 0),), (draw(rng, (2, 3, 4), dt.float64),)
        yield ((0, 2, 1, 3),), (draw(rng, (2, 3, 1, 2), dt.uint8),)
        yield ((1, 0),), (draw(rng, (0, 2), dt.bfloat16),)


_PERMUTE = REGISTRY["permute"]


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes ``axes``."""
    out = [0] * len(axes)
    for k, a in enumerate(axes):
        out[a] = k
    return tuple(out)


def permute(x: Node, axes: Sequence[int]) -> Node:
    """The axes in another order: axis k of the result is axis ``axes[k]``.

    Raises
    ------
    ShapeError
        If ``axes`` does not name every axis once.
    """
    order = tuple([normal_axis("permute_dims", a, x.aval) for a in axes])
    return x if order == tuple(range(x.aval.ndim)) else apply(_PERMUTE, (x,), (order,))


@register
class BroadcastTo(Primitive):
    name = "broadcast_to"
    meaning = "extents of 1 stretched, and new axes on the left"
    attributes = ("shape",)
    kind = "view"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        (x,) = avals
        shape = checked_shape("broadcast_to", attrs[0])
        if x.ndim > len(shape) or any(n not in (1, m) for n, m in zip(x.shape[::-1], shape[::-1], strict=False)):
            raise ShapeError(
                f"broadcast_to: shape {x.shape} cannot be stretched to {shape}.",
                expected="counted from the right, extents that are equal, or 1 in x",
                received=f"x: {describe(x)}, shape {shape}",
                fix=_stretch_fix(x.shape, shape),
                slug="broadcast-to-shape",
                argument="shape",
            )
        return aval(shape, x.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.sum_to(ct, node.inputs[0].shape),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.ascontiguousarray(np.broadcast_to(arrays[0], attrs[0])).reshape(attrs[0])

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        source = node.inputs[0].shape
        kept = index[len(index) - len(source) :]
        return load(0, tuple(nest.index(0) if n == 1 else at for n, at in zip(source, kept, strict=True)), guard)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        cases: Sequence[tuple[Shape, Shape]] = (
            ((), (3,)), ((3,), (2, 3)), ((2, 1, 4), (2, 3, 4)), ((1, 1), (5, 2)), ((1,), (0,)), ((3, 1), (2, 3, 2)),
        )  # fmt: skip
        for (a, b), dtype in zip(cases, (dt.float64, dt.float64, dt.float32, dt.int64, dt.bool_, dt.float64), strict=True):
            yield (b,), (draw(rng, a, dtype),)


_BROADCAST_TO = REGISTRY["broadcast_to"]


def _stretch_fix(a: Shape, b: Shape) -> str:
    for extra in range(1, len(b) - len(a) + 1):
        if all(n in (1, m) for n, m in zip((a + (1,) * extra)[::-1], b[::-1], strict=False)):
            return f"add an axis first: x[{':' if len(a) == 1 else '...'}{', None' * extra}]  →  {a + (1,) * extra}"
    return "pass a shape that ends in the shape of x"


def broadcast_to(x: Node, shape: Sequence[int]) -> Node:
    """Extents of 1 stretched to ``shape``.

    Raises
    ------
    ShapeError
        If the shape does not fit.
    """
    shape = tuple(map(int, shape))
    return x if shape == x.aval.shape else apply(_BROADCAST_TO, (x,), (shape,))
