"""Comparisons, logic, bits and choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.dtypes import DType
from insitu.errors import DTypeError, InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Node, apply, aval, register
from insitu.ops.elementwise import Binary, Compare, Map, Sample, Unary, Values, binary, draw, number, sample_shapes, unbroadcast
from insitu.ops.rules import broadcast_shapes, describe


# -- comparisons ---------------------------------------------------------------------------------
@register
class Equal(Compare):
    name = "eq"
    title = "equal (x1 == x2)"
    meaning = "a == b; false with NaN"

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.equal(*arrays))


_EQ = REGISTRY["eq"]


def eq(a: Node, b: Node) -> Node:
    """a == b."""
    return binary(_EQ, a, b)


@register
class NotEqual(Compare):
    name = "ne"
    title = "not_equal (x1 != x2)"
    meaning = "a != b; true with NaN"

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.not_equal(*arrays))


_NE = REGISTRY["ne"]


def ne(a: Node, b: Node) -> Node:
    """a != b."""
    return binary(_NE, a, b)


@register
class Less(Compare):
    name = "lt"
    title = "less (x1 < x2)"
    meaning = "a < b; false with NaN"

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.less(*arrays))


_LT = REGISTRY["lt"]


def lt(a: Node, b: Node) -> Node:
    """a < b."""
    return binary(_LT, a, b)


def gt(a: Node, b: Node) -> Node:
    """a > b."""
    return binary(_LT, b, a)


@register
class LessEqual(Compare):
    name = "le"
    title = "less_equal (x1 <= x2)"
    meaning = "a <= b; false with NaN"

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.less_equal(*arrays))


_LE = REGISTRY["le"]


def le(a: Node, b: Node) -> Node:
    """a <= b."""
    return binary(_LE, a, b)


def ge(a: Node, b: Node) -> Node:
    """a >= b."""
    return binary(_LE, b, a)


# -- logic and bits ------------------------------------------------------------------------------
_WHOLE = "its operands are integers or booleans"


@register
class Not(Unary):
    name = "not"
    title = "logical_not (~x)"
    meaning = "every bit turned over"
    accepts = "biu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.invert(*arrays))


_NOT = REGISTRY["not"]


def not_(x: Node) -> Node:
    """Not, for booleans; every bit turned over, for integers."""
    return apply(_NOT, (x,))


@register
class And(Binary):
    name = "and"
    title = "logical_and (x1 & x2)"
    meaning = "bits that both have"
    accepts = "biu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.bitwise_and(*arrays))


_AND = REGISTRY["and"]


def and_(a: Node, b: Node) -> Node:
    """a and b, bit by bit."""
    return binary(_AND, a, b)


@register
class Or(Binary):
    name = "or"
    title = "logical_or (x1 | x2)"
    meaning = "bits that either has"
    accepts = "biu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.bitwise_or(*arrays))


_OR = REGISTRY["or"]


def or_(a: Node, b: Node) -> Node:
    """a or b, bit by bit."""
    return binary(_OR, a, b)


@register
class Xor(Binary):
    name = "xor"
    title = "logical_xor (x1 ^ x2)"
    meaning = "bits that exactly one has"
    accepts = "biu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.bitwise_xor(*arrays))


_XOR = REGISTRY["xor"]


def xor(a: Node, b: Node) -> Node:
    """Either a or b, bit by bit."""
    return binary(_XOR, a, b)


def _shift_samples(rng: np.random.Generator) -> Iterable[Sample]:
    for dtype in (dt.uint32, dt.int64, dt.int8, dt.uint64):
        by = np.array([0, 1, 3, dtype.bits - 1, dtype.bits, 100], dtype.numpy)
        yield (), (draw(rng, (4, 1), dtype, -1e9, 1e9), by)


@register
class ShiftLeft(Binary):
    name = "shl"
    title = "bitwise_left_shift (x1 << x2)"
    meaning = "bits moved up; 0 if they leave the type"
    accepts = "iu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.left_shift(*arrays))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return _shift_samples(rng)


_SHL = REGISTRY["shl"]


def shl(a: Node, b: Node) -> Node:
    """Bits moved up by b."""
    return binary(_SHL, a, b)


@register
class ShiftRight(Binary):
    name = "shr"
    title = "bitwise_right_shift (x1 >> x2)"
    meaning = "bits moved down; signed types keep their sign"
    accepts = "iu"
    no_gradient = _WHOLE

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.right_shift(*arrays))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return _shift_samples(rng)


_SHR = REGISTRY["shr"]


def shr(a: Node, b: Node) -> Node:
    """Bits moved down by b."""
    return binary(_SHR, a, b)


# -- choice --------------------------------------------------------------------------------------
@register
class Where(Map):
    name = "where"
    meaning = "a where the condition holds, else b"
    arity = 3
    operands = ("condition", "x1", "x2")

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        condition, a, b = avals
        if condition.dtype is not dt.bool_:
            raise DTypeError(
                f"where needs a boolean condition, but condition is {condition.dtype.name}.",
                expected="condition: bool",
                received=f"condition: {describe(condition)}",
                fix="compare first: si.where(condition != 0, x1, x2)",
                slug="where-condition",
                argument="condition",
            )
        if a.dtype is not b.dtype:
            raise InternalError(f"where chooses between {a.dtype.name} and {b.dtype.name}")
        return aval(broadcast_shapes("where", self.operands, avals), a.dtype)

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        condition, zero = node.inputs[0], number(0, ct)
        return unbroadcast(node, None, ops.where(condition, ct, zero), ops.where(condition, zero, ct))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(np.where(*arrays))

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        return nest.op("select", *args)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        dtypes = (dt.float64, dt.float32, dt.int32, dt.bool_, dt.uint8, dt.float16, dt.int64, dt.bfloat16)
        for dtype, (s, a, b) in zip(dtypes, sample_shapes(3), strict=True):
            yield (), (draw(rng, s, dt.bool_), draw(rng, a, dtype), draw(rng, b, dtype))


_WHERE = REGISTRY["where"]


def where(condition: Node, a: Node, b: Node) -> Node:
    """``a`` where the condition holds, else ``b``; the other one's NaN never shows, nor does its gradient's."""
    if a.aval.dtype is not b.aval.dtype:
        dtype = dt.promote(a.aval.dtype, b.aval.dtype)
        a, b = ops.cast(a, dtype), ops.cast(b, dtype)
    return apply(_WHERE, (condition, a, b))
