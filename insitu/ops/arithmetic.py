"""Arithmetic, element by element."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import nest
from insitu.dtypes import DType
from insitu.graph.node import REGISTRY, Attrs, Node, apply, register
from insitu.ops.elementwise import Binary, Sample, Unary, Values, binary, draw, in_double, number, unbroadcast


# -- one operand ---------------------------------------------------------------------------------
@register
class Neg(Unary):
    name = "neg"
    title = "negative (-x)"
    meaning = "-x; integers wrap"
    accepts = "iuf"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.neg(ct),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.negative, *arrays)


_NEG = REGISTRY["neg"]


def neg(x: Node) -> Node:
    """-x."""
    return apply(_NEG, (x,))


@register
class Abs(Unary):
    name = "abs"
    meaning = "the absolute value; the most negative integer stays itself"
    accepts = "iuf"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (ops.mul(ct, ops.sign(node.inputs[0])),)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.abs, *arrays)


_ABS = REGISTRY["abs"]


def abs(x: Node) -> Node:
    """|x|; its gradient at 0 is 0."""
    return apply(_ABS, (x,))


@register
class Sign(Unary):
    name = "sign"
    meaning = "-1, 0 or 1; NaN stays NaN"
    accepts = "iuf"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (None,)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.sign, *arrays)


_SIGN = REGISTRY["sign"]


def sign(x: Node) -> Node:
    """-1, 0 or 1."""
    return apply(_SIGN, (x,))


# -- two operands --------------------------------------------------------------------------------
@register
class Add(Binary):
    name = "add"
    title = "add (x1 + x2)"
    meaning = "a + b; integers wrap"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return unbroadcast(node, ct, ct)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.add, *arrays)


_ADD = REGISTRY["add"]


def add(a: Node, b: Node) -> Node:
    """a + b."""
    return binary(_ADD, a, b)


@register
class Sub(Binary):
    name = "sub"
    title = "subtract (x1 - x2)"
    meaning = "a - b; integers wrap"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return unbroadcast(node, ct, ops.neg(ct))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.subtract, *arrays)


_SUB = REGISTRY["sub"]


def sub(a: Node, b: Node) -> Node:
    """a - b."""
    return binary(_SUB, a, b)


@register
class Mul(Binary):
    name = "mul"
    title = "multiply (x1 * x2)"
    meaning = "a * b; integers wrap"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return unbroadcast(node, ops.mul(ct, b), ops.mul(ct, a))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.multiply, *arrays)


_MUL = REGISTRY["mul"]


def mul(a: Node, b: Node) -> Node:
    """a * b."""
    return binary(_MUL, a, b)


@register
class Div(Binary):
    name = "div"
    title = "divide (x1 / x2)"
    meaning = "a / b of floats"
    accepts = "f"
    low = 0.2

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        b = node.inputs[1]
        da = ops.div(ct, b)
        return unbroadcast(node, da, ops.neg(ops.mul(da, node)))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.divide, *arrays)


_DIV = REGISTRY["div"]


def div(a: Node, b: Node) -> Node:
    """a / b of floating types."""
    return binary(_DIV, a, b)


def _whole_quotient(a: Values, b: Values) -> Values:
    """The quotient rounded down; for integers 0 where b is 0."""
    if dt.as_dtype(a.dtype).kind == "f":
        return np.asarray(np.floor_divide(a, b))
    exact = [x // y if y else 0 for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
    bits = 8 * a.dtype.itemsize
    return np.array([q & ((1 << bits) - 1) for q in exact], np.uint64).astype(a.dtype).reshape(a.shape)


def _division_samples(prim: Binary, rng: np.random.Generator) -> Iterable[Sample]:
    """The usual samples, then zeros and signs of both operands in every combination."""
    yield from super(Binary, prim).samples(rng)
    for dtype in (dt.int8, dt.int32, dt.uint16, dt.int64):
        a = np.array([dtype.min, dtype.min, dtype.max, 7, 7, dtype.max - 6, 0, 5], dtype.numpy)
        b = np.array([dtype.max if dtype.kind == "u" else -1, 3, 2, dtype.max - 2, 0, 4, 0, 5], dtype.numpy)
        yield (), (a, b)
    a = np.array([7.5, -7.5, 7.5, -7.5, 0.0, 6.0, 5.25], np.float64)
    b = np.array([2.0, 2.0, -2.0, -2.0, 3.0, 3.0, 0.75], np.float64)
    yield (), (a, b)
    yield (), (draw(rng, (31,), dt.float32, -50, 50), draw(rng, (31,), dt.float32, 0.5, 4))


@register
class FloorDiv(Binary):
    name = "floordiv"
    title = "floor_divide (x1 // x2)"
    meaning = "the quotient rounded down; an integer by 0 gives 0"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return (None, None)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(_whole_quotient, *np.broadcast_arrays(*arrays))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return _division_samples(self, rng)


_FLOORDIV = REGISTRY["floordiv"]


def floordiv(a: Node, b: Node) -> Node:
    """The quotient rounded down."""
    return binary(_FLOORDIV, a, b)


@register
class Mod(Binary):
    name = "mod"
    title = "remainder (x1 % x2)"
    meaning = "the remainder with the divisor's sign; an integer by 0 gives 0"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return unbroadcast(node, ct, ops.neg(ops.mul(ct, ops.floordiv(a, b))))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.mod, *arrays)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return _division_samples(self, rng)


_MOD = REGISTRY["mod"]


def mod(a: Node, b: Node) -> Node:
    """The remainder with the sign of ``b``."""
    return binary(_MOD, a, b)


@register
class FMod(Binary):
    name = "fmod"
    title = "fmod"
    meaning = "the remainder with the dividend's sign; an integer by 0 gives 0"
    operation = "rem"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return unbroadcast(node, ct, ops.neg(ops.mul(ct, ops.trunc(ops.div(a, b)))))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.fmod, *arrays)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return _division_samples(self, rng)


_FMOD = REGISTRY["fmod"]


def fmod(a: Node, b: Node) -> Node:
    """The remainder with the sign of ``a``."""
    return binary(_FMOD, a, b)


def _power(a: Values, b: Values) -> Values:
    if dt.as_dtype(a.dtype).kind == "f":
        return np.asarray(np.power(a, b))
    a, b = np.broadcast_arrays(a, b)
    bits = 8 * a.dtype.itemsize
    exact = [_integer_power(x, y, 1 << bits) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
    return np.array(exact, np.uint64).astype(a.dtype).reshape(a.shape)


def _integer_power(x: int, y: int, modulus: int) -> int:
    if y >= 0:
        return builtins.pow(x, y, modulus)
    return (x if y % 2 else 1) % modulus if x in (1, -1) else 0


@register
class Pow(Binary):
    name = "pow"
    title = "pow (x1 ** x2)"
    meaning = "a to the power b; integers wrap, and a negative integer power is the truncated reciprocal"
    low = 0.1

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        zero, one = number(0, ct), number(1, ct)
        slope = ops.mul(b, ops.pow(a, ops.sub(b, one)))
        # 0 times infinity; elsewhere the power stays, as the mixed derivative is 1 / a where b is 0
        slope = ops.where(ops.and_(ops.eq(b, zero), ops.ne(slope, slope)), zero, slope)
        growth = ops.mul(ops.log(ops.where(ops.eq(a, zero), one, a)), node)
        return unbroadcast(node, ops.mul(ct, slope), ops.mul(ct, growth))

    def scalar(self, attrs: Attrs, dtype: DType, *args: nest.Expr) -> nest.Expr:
        """The powers that a constant exponent turns into products and a quotient are these for any exponent, too."""
        x, y = args
        out = nest.op("pow", x, y)
        known = y.args[0] if y.op == "cast" else y
        if not dtype.is_float or (known.op == "const" and known.attr not in (2, 3, -1)):
            return out
        square = nest.op("mul", x, x)
        for value, simple in ((2, square), (3, nest.op("mul", square, x)), (-1, nest.op("div", nest.const(1, x.dtype), x))):
            out = nest.op("select", nest.op("eq", y, nest.const(value, y.dtype)), simple, out)
        return out

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(_power, *arrays)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield (), (np.array([-3, -1, 1, 0, 2, -1, 2, 0], np.int32), np.array([5, -3, -2, 0, -1, -4, 40, -1], np.int32))
        yield (), (np.array([-2.5, -2.0, 0.0, 3.0], np.float32), np.array([2, 3, 0, -2], np.float32))


_POW = REGISTRY["pow"]


def pow(a: Node, b: Node) -> Node:
    """a to the power b."""
    return binary(_POW, a, b)


def _extreme_vjp(node: Node, ct: Node, first_wins: Node) -> Sequence[Node | None]:
    """The winner takes the cotangent; of equal operands each takes half."""
    a, b = node.inputs
    zero = number(0, ct)
    tie = ops.where(ops.eq(a, b), ops.mul(ct, number(0.5, ct)), zero)
    neither = ops.or_(first_wins, ops.eq(a, b))
    lost = ops.where(ops.or_(neither, ops.or_(ops.ne(a, a), ops.ne(b, b))), tie, ct)
    return unbroadcast(node, ops.where(first_wins, ct, tie), lost)


@register
class Max(Binary):
    name = "max"
    title = "maximum"
    meaning = "the larger; NaN if either is NaN"
    accepts = "biuf"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return _extreme_vjp(node, ct, ops.lt(b, a))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.maximum, *arrays)


_MAX = REGISTRY["max"]


def max_(a: Node, b: Node) -> Node:
    """The larger; NaN wins."""
    return binary(_MAX, a, b)


@register
class Min(Binary):
    name = "min"
    title = "minimum"
    meaning = "the smaller; NaN if either is NaN"
    accepts = "biuf"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        a, b = node.inputs
        return _extreme_vjp(node, ct, ops.lt(a, b))

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.minimum, *arrays)


_MIN = REGISTRY["min"]


def min_(a: Node, b: Node) -> Node:
    """The smaller; NaN wins."""
    return binary(_MIN, a, b)


@register
class CopySign(Binary):
    name = "copysign"
    meaning = "the magnitude of a with the sign of b"
    accepts = "f"

    def vjp(self, node: Node, ct: Node) -> Sequence[Node | None]:
        return unbroadcast(node, ops.mul(ct, ops.mul(ops.sign(node.inputs[0]), ops.sign(node))), None)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return in_double(np.copysign, *arrays)


_COPYSIGN = REGISTRY["copysign"]


def copysign(a: Node, b: Node) -> Node:
    """The magnitude of ``a`` with the sign of ``b``."""
    return binary(_COPYSIGN, a, b)
