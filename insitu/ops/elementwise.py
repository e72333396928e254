"""The pattern of element-wise primitives: one rule for shapes and dtypes, samples, and the call that builds a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.dtypes import DType
from insitu.errors import InternalError
from insitu.graph.node import Attrs, Aval, Node, Primitive, apply, aval
from insitu.ops.rules import broadcast_shapes, check_kind

Values = np.ndarray[Any, Any]
Sample = tuple[Attrs, tuple[Values, ...]]


class Map(Primitive):
    """An element-wise primitive: its operands have one dtype and broadcast.

    Subclasses set ``title``, the function as the user knows it; ``accepts``, the kinds of dtype it has;
    ``operation``, the loop nest's name of it where that is not ``name``; ``low`` and ``high``, where samples lie.
    """

    kind = "map"
    title: str = ""
    operands: tuple[str, ...] = ("x",)
    accepts: str = "f"
    operation: str = ""
    low: float = -3.0
    high: float = 3.0

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        first = avals[0]
        title = self.title or self.name
        for name, av in zip(self.operands, avals, strict=True):
            if av.dtype is not first.dtype:
                raise InternalError(f"operands of {self.name} have dtypes {[a.dtype.name for a in avals]}")
            check_kind(title, name, av, self.accepts)
        return aval(broadcast_shapes(title, self.operands, avals), self.result(first.dtype))

    def result(self, dtype: DType) -> DType:
        """The output's dtype from the operands'."""
        return dtype

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        return nest.op(self.operation or self.name, *args)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for dtype, shapes in zip(self.sample_dtypes(), sample_shapes(self.arity), strict=False):
            yield (), tuple(draw(rng, s, dtype, self.low, self.high) for s in shapes)

    def sample_dtypes(self) -> Sequence[DType]:
        """One dtype for each of `sample_shapes`."""
        chosen = [d for d in (dt.float64, dt.float32, dt.int32, dt.uint8, dt.int64, dt.bool_, dt.float16, dt.bfloat16) if d.kind in self.accepts]
        return [chosen[k % len(chosen)] for k in range(8)]


class Unary(Map):
    """One operand; floating types only, unless ``accepts`` says more."""


class Binary(Map):
    """Two operands."""

    arity = 2
    operands = ("x1", "x2")
    accepts = "iuf"


class Compare(Binary):
    """Two operands, and a bool as the result."""

    accepts = "biuf"
    no_gradient = "its result is boolean"

    def result(self, dtype: DType) -> DType:
        return dt.bool_


def sample_shapes(arity: int) -> Sequence[tuple[tuple[int, ...], ...]]:
    """Shapes for samples: equal, scalar, empty, odd; then broadcasting in all directions."""
    one: list[tuple[int, ...]] = [(3, 5), (7,), (), (0, 3), (2, 3, 4), (17,), (1, 1), (33,)]
    if arity == 1:
        return [(s,) for s in one]
    two: list[tuple[tuple[int, ...], ...]] = [
        ((3, 5), (3, 5)), ((3, 5), (5,)), ((4, 1), (1, 3)), ((), (7,)), ((2, 1, 3), (4, 1)), ((17,), ()), ((0, 3), (3,)), ((33,), (33,)),
    ]  # fmt: skip
    return two if arity == 2 else [(a, b, b) for a, b in two]


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: DType, low: float = -3.0, high: float = 3.0) -> Values:
    """Random values of any dtype between the bounds (integers: between their whole parts, inside the dtype)."""
    if dtype.kind == "f":
        return np.asarray(rng.uniform(low, high, shape)).astype(dtype.numpy)
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape)).astype(np.bool_)
    least, most = max(dtype.min, int(low)), min(dtype.max, max(int(high), 2))
    return np.asarray(rng.integers(least, most, shape, endpoint=True)).astype(dtype.numpy)


def in_double(function: Callable[..., Any], *arrays: Values) -> Values:
    """The function in float64, rounded to the arrays' dtype; integers and float64 directly."""
    dtype = arrays[0].dtype
    with np.errstate(all="ignore"):
        if dt.as_dtype(dtype).kind != "f":
            return np.asarray(function(*arrays)).astype(dtype)
        return np.asarray(function(*[a.astype(np.float64) for a in arrays])).astype(dtype)


# -- building nodes ------------------------------------------------------------------------------
def promoted(a: Node, b: Node) -> tuple[Node, Node]:
    """Both operands in the dtype in which they meet."""
    dtype = dt.promote(a.aval.dtype, b.aval.dtype)
    return ops.cast(a, dtype), ops.cast(b, dtype)


def binary(prim: Primitive, a: Node, b: Node) -> Node:
    """The primitive on two nodes, promoted to one dtype."""
    if a.aval.dtype is not b.aval.dtype:
        a, b = promoted(a, b)
    return apply(prim, (a, b))


def number(value: float, like: Node) -> Node:
    """A scalar constant of the node's dtype."""
    return ops.constant(value, like.aval.dtype)


def unbroadcast(node: Node, *cotangents: Node | None) -> tuple[Node | None, ...]:
    """Cotangents of an element-wise node's inputs, summed over the axes along which each input was stretched."""
    return tuple(None if ct is None else ops.sum_to(ct, x.shape) for ct, x in zip(cotangents, node.inputs, strict=True))
