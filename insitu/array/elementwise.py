"""Element-wise functions with the Array API's names.

Operands promote to one dtype and broadcast. Where a function needs floating numbers, integers and
booleans become float32.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, TypeVar

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, WHOLE, checked
from insitu.array import scalars
from insitu.array.array import Array
from insitu.array.checks import floating, wide
from insitu.array.convert import node_of
from insitu.errors import ArgumentError, DTypeError
from insitu.graph.node import Node
from insitu.ops.elementwise import promoted
from insitu.ops.rules import literal_value

Unary = Callable[[Any], Array]
Binary = Callable[[Any, Any], Array]
F = TypeVar("F", bound=Callable[..., Any])


# -- patterns ----------------------------------------------------------------------------------------
def operands(x1: Any, x2: Any) -> tuple[Node, Node]:
    """The nodes of two operands; a Python number takes the dtype of the array beside it."""
    a = x1._node if type(x1) is Array else None
    b = x2._node if type(x2) is Array else None
    if a is None and not isinstance(x1, (builtins.bool, int, float)):
        a = node_of(x1)
    if b is None and not isinstance(x2, (builtins.bool, int, float)):
        b = node_of(x2)
    if a is None:
        a = scalars.constant(x1, scalars.default_dtype(x1) if b is None else scalars.weak_dtype(x1, b.aval.dtype))
    if b is None:
        b = scalars.constant(x2, scalars.weak_dtype(x2, a.aval.dtype))
    return a, b


def _unary(name: str, function: Callable[[Node], Node], meaning: str, example: str = "", floats: bool = True) -> Unary:
    if floats:

        def call(x: Any, /) -> Array:
            return Array(function(floating(node_of(x))))
    else:

        def call(x: Any, /) -> Array:
            return Array(function(node_of(x)))

    kind = "floating; integers and booleans become float32" if floats else "any dtype the function has"
    parameters = f"x : Array\n        Any shape; {kind}."
    return _documented(call, name, meaning, parameters, "of the shape of ``x``", example)


def _binary(name: str, function: Callable[[Node, Node], Node], meaning: str, example: str = "", floats: bool = False) -> Binary:
    def call(x1: Any, x2: Any, /) -> Array:
        a, b = operands(x1, x2)
        return Array(function(*_floating_pair(a, b)) if floats else function(a, b))

    kind = "floating; two of integers or booleans become float32" if floats else "any dtypes the function has; they promote"
    parameters = f"x1, x2 : Array or number\n        Shapes that broadcast; {kind}."
    return _documented(call, name, meaning, parameters, "of the broadcast shape", example)


def _floating_pair(a: Node, b: Node) -> tuple[Node, Node]:
    """Two floating nodes: beside a floating operand an integer takes its dtype, two integers become float32."""
    return promoted(a, b) if a.aval.dtype.is_float or b.aval.dtype.is_float else (floating(a), floating(b))


def _documented(call: F, name: str, meaning: str, parameters: str, result: str, example: str) -> F:
    call.__name__ = call.__qualname__ = name
    doc = f"{meaning}\n\n    Parameters\n    ----------\n    {parameters}\n\n    Returns\n    -------\n    Array\n        {result}.\n\n"
    doc += "    Raises\n    ------\n    ShapeError, DTypeError\n        If shapes do not broadcast or a dtype does not fit.\n"
    if example:
        source, value = example.split(" -> ")
        doc += f"\n    Examples\n    --------\n    >>> import insitu as si\n    >>> {source}\n    {value}\n"
    call.__doc__ = doc
    return checked(**dict.fromkeys(call.__code__.co_varnames[: call.__code__.co_argcount], ARRAY))(call)


# -- functions of one array: floating -------------------------------------------------------------------
exp = _unary("exp", ops.exp, "e to the power x.", "si.exp(si.asarray([0.0, 1.0])) -> Array([1.       , 2.7182817], dtype=float32)")
expm1 = _unary("expm1", ops.expm1, "exp(x) - 1, exact for small x.", "si.expm1(0.0) -> Array(0., dtype=float32)")
log = _unary("log", ops.log, "The natural logarithm.", "si.log(si.asarray([1.0, 0.0])) -> Array([  0., -inf], dtype=float32)")
log1p = _unary("log1p", ops.log1p, "log(1 + x), exact for small x.", "si.log1p(0.0) -> Array(0., dtype=float32)")
sqrt = _unary("sqrt", ops.sqrt, "The square root.", "si.sqrt(si.asarray([4.0, 9.0])) -> Array([2., 3.], dtype=float32)")
rsqrt = _unary("rsqrt", ops.rsqrt, "1 / sqrt(x).", "si.rsqrt(4.0) -> Array(0.5, dtype=float32)")
sin = _unary("sin", ops.sin, "The sine of x in radians.", "si.sin(0.0) -> Array(0., dtype=float32)")
cos = _unary("cos", ops.cos, "The cosine of x in radians.", "si.cos(0.0) -> Array(1., dtype=float32)")
tan = _unary("tan", ops.tan, "The tangent of x in radians.", "si.tan(0.0) -> Array(0., dtype=float32)")
asin = _unary("asin", ops.asin, "The angle in [-pi/2, pi/2] whose sine is x.", "si.asin(0.0) -> Array(0., dtype=float32)")
acos = _unary("acos", ops.acos, "The angle in [0, pi] whose cosine is x.", "si.acos(1.0) -> Array(0., dtype=float32)")
atan = _unary("atan", ops.atan, "The angle in [-pi/2, pi/2] whose tangent is x.", "si.atan(0.0) -> Array(0., dtype=float32)")
sinh = _unary("sinh", ops.sinh, "The hyperbolic sine.", "si.sinh(0.0) -> Array(0., dtype=float32)")
cosh = _unary("cosh", ops.cosh, "The hyperbolic cosine.", "si.cosh(0.0) -> Array(1., dtype=float32)")
tanh = _unary("tanh", ops.tanh, "The hyperbolic tangent.", "si.tanh(0.0) -> Array(0., dtype=float32)")
asinh = _unary("asinh", ops.asinh, "The inverse of sinh.", "si.asinh(0.0) -> Array(0., dtype=float32)")
acosh = _unary("acosh", ops.acosh, "The inverse of cosh.", "si.acosh(1.0) -> Array(0., dtype=float32)")
atanh = _unary("atanh", ops.atanh, "The inverse of tanh.", "si.atanh(0.0) -> Array(0., dtype=float32)")
sigmoid = _unary("sigmoid", ops.sigmoid, "1 / (1 + exp(-x)).", "si.sigmoid(0.0) -> Array(0.5, dtype=float32)")
erf = _unary("erf", ops.erf, "The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.", "si.erf(0.0) -> Array(0., dtype=float32)")


def _reciprocal(x: Node) -> Node:
    return ops.div(scalars.constant(1.0, x.aval.dtype), x)


def _parts(x: Node) -> tuple[Node, Node]:
    """A whole number e, as a float, and x / 2**e between sqrt(1/2) and sqrt(2); 0 and x itself where x is no normal number."""
    dtype = x.aval.dtype
    whole = dt.from_kind("i", dtype.bits)
    digits, bias, least = (23, 127, 2.0**-126) if dtype is dt.float32 else (52, 1023, 2.0**-1022)
    places, root = scalars.constant(digits, whole), ops.bitcast(scalars.constant(0.5**0.5, dtype), whole)
    exponent = ops.shr(ops.sub(ops.bitcast(x, whole), root), places)
    exponent = ops.min_(exponent, scalars.constant(bias - 1, whole))
    normal = ops.and_(ops.ge(x, scalars.constant(least, dtype)), ops.lt(x, scalars.constant(math.inf, dtype)))
    exponent = ops.where(normal, exponent, scalars.constant(0, whole))
    scale = ops.bitcast(ops.shl(ops.sub(scalars.constant(bias, whole), exponent), places), dtype)
    return ops.cast(exponent, dtype), ops.mul(x, scale)


def _log2(x: Node) -> Node:
    """The exponent apart from the rest, so that powers of two have whole logarithms; halves in float32."""
    given, x = x, wide(x)
    exponent, rest = _parts(x)
    rest = ops.mul(ops.log(rest), scalars.constant(1.0 / math.log(2.0), x.aval.dtype))
    return ops.cast(ops.add(exponent, rest), given.aval.dtype)


#: log10(2) as the sum of two floats, by the bits of the dtype: an exponent times the first one is exact.
_LOG10_2 = {32: (0.301025390625, 4.605038981195214e-06), 64: (0.3010299956640665, -8.532344317057107e-14)}


def _log10(x: Node) -> Node:
    """The same: powers of ten have whole logarithms."""
    given, x = x, wide(x)
    exponent, rest = _parts(x)
    high, low, scale = (scalars.constant(value, x.aval.dtype) for value in (*_LOG10_2[x.aval.dtype.bits], 1.0 / math.log(10.0)))
    rest = ops.add(ops.mul(exponent, low), ops.mul(ops.log(rest), scale))
    return ops.cast(ops.add(ops.mul(exponent, high), rest), given.aval.dtype)


reciprocal = _unary("reciprocal", _reciprocal, "1 / x.", "si.reciprocal(4.0) -> Array(0.25, dtype=float32)")
log2 = _unary("log2", _log2, "The logarithm of base 2.", "si.log2(1.0) -> Array(0., dtype=float32)")
log10 = _unary("log10", _log10, "The logarithm of base 10.", "si.log10(1.0) -> Array(0., dtype=float32)")


# -- functions of one array: any number -----------------------------------------------------------------
def _square(x: Node) -> Node:
    return ops.mul(x, x)


def _same(x: Node) -> Node:
    return x


def _false(x: Node) -> Node:
    return ops.broadcast_to(ops.constant(False, dt.bool_), x.aval.shape)


def _isnan(x: Node) -> Node:
    return ops.ne(x, x) if x.aval.dtype.is_float else _false(x)


def _isinf(x: Node) -> Node:
    return ops.eq(ops.abs(x), scalars.constant(math.inf, x.aval.dtype)) if x.aval.dtype.is_float else _false(x)


def _isfinite(x: Node) -> Node:
    if not x.aval.dtype.is_float:
        return ops.not_(_false(x))
    return ops.lt(ops.abs(x), scalars.constant(math.inf, x.aval.dtype))


def _signbit(x: Node) -> Node:
    dtype = x.aval.dtype
    if not dtype.is_float:
        return ops.lt(x, scalars.constant(0, dtype)) if dtype.kind == "i" else _false(x)
    whole = dt.from_kind("i", dtype.bits)
    return ops.lt(ops.bitcast(x, whole), scalars.constant(0, whole))


def _logical_not(x: Node) -> Node:
    return ops.not_(_truth(x))


def _truth(x: Node) -> Node:
    return x if x.aval.dtype is dt.bool_ else ops.ne(x, scalars.constant(0, x.aval.dtype))


abs = _unary("abs", ops.abs, "The absolute value.", "si.abs(si.asarray([-1, 2])) -> Array([1, 2], dtype=int64)", floats=False)
negative = _unary("negative", ops.neg, "-x.", "si.negative(2.0) -> Array(-2., dtype=float32)", floats=False)
positive = _unary("positive", _same, "x itself.", "si.positive(2.0) -> Array(2., dtype=float32)", floats=False)
sign = _unary("sign", ops.sign, "-1, 0 or 1, by the sign of x.", "si.sign(si.asarray([-5, 0, 3])) -> Array([-1,  0,  1], dtype=int64)", floats=False)
square = _unary("square", _square, "x * x.", "si.square(3.0) -> Array(9., dtype=float32)", floats=False)
floor = _unary("floor", ops.floor, "The next whole number downwards.", "si.floor(1.5) -> Array(1., dtype=float32)", floats=False)
ceil = _unary("ceil", ops.ceil, "The next whole number upwards.", "si.ceil(1.5) -> Array(2., dtype=float32)", floats=False)
trunc = _unary("trunc", ops.trunc, "The next whole number towards 0.", "si.trunc(-1.5) -> Array(-1., dtype=float32)", floats=False)
_HALVES = "si.rint(si.asarray([0.5, 1.5])) -> Array([0., 2.], dtype=float32)"
rint = _unary("rint", ops.rint, "The nearest whole number, halves to the even one.", _HALVES, floats=False)
isnan = _unary("isnan", _isnan, "Whether each element is not a number.", "si.isnan(si.nan) -> Array(True, dtype=bool)", floats=False)
isinf = _unary("isinf", _isinf, "Whether each element is infinite.", "si.isinf(-si.inf) -> Array(True, dtype=bool)", floats=False)
isfinite = _unary("isfinite", _isfinite, "Whether each element is a finite number.", "si.isfinite(1.0) -> Array(True, dtype=bool)", floats=False)
signbit = _unary("signbit", _signbit, "Whether the sign bit is set (also of -0.0).", "si.signbit(-0.0) -> Array(True, dtype=bool)", floats=False)
logical_not = _unary("logical_not", _logical_not, "Whether each element is zero.", "si.logical_not(True) -> Array(False, dtype=bool)", floats=False)
_INVERTED = "si.bitwise_invert(si.asarray([0, 5])) -> Array([-1, -6], dtype=int64)"
bitwise_invert = _unary("bitwise_invert", ops.not_, "Every bit turned over.", _INVERTED, floats=False)
bitwise_not = bitwise_invert


@checked(x=ARRAY, decimals=WHOLE)
def round(x: Any, /, decimals: int = 0) -> Array:
    """The nearest whole number (halves to the even one), or the nearest with that many decimals.

    Parameters
    ----------
    x : Array
    decimals : int
        Digits after the point; negative ones round before it.

    Examples
    --------
    >>> import insitu as si
    >>> si.round(si.asarray([0.5, 1.5, 2.6]))
    Array([0., 2., 3.], dtype=float32)
    """
    node = node_of(x)
    if decimals == 0:
        return Array(ops.rint(node))
    scale = scalars.constant(10.0 ** builtins.abs(decimals), floating(node).aval.dtype)
    up, down = (ops.mul, ops.div) if decimals > 0 else (ops.div, ops.mul)
    return Array(ops.cast(down(ops.rint(up(floating(node), scale)), scale), node.aval.dtype))


# -- functions of two arrays ------------------------------------------------------------------------------
def power_nodes(a: Node, b: Node) -> Node:
    """a ** b; small constant powers as products, which are exact where pow is rounded."""
    if b.prim.name == "constant" and b.aval.dtype is a.aval.dtype:
        exponent = literal_value(*b.attrs)
        if exponent == 2:
            return ops.mul(a, a)
        if exponent == 1:
            return a
        if a.aval.dtype.is_float and exponent == 0.5:
            return ops.sqrt(a)
        if a.aval.dtype.is_float and exponent == -1:
            return _reciprocal(a)
    return ops.pow(a, b)


def divide_nodes(a: Node, b: Node) -> Node:
    return ops.div(*_floating_pair(a, b))


def _logaddexp(a: Node, b: Node) -> Node:
    """One of equal operands counts as the larger in all of the formula, so that its derivatives hold there, too."""
    swapped = ops.lt(a, b)
    high, low = ops.where(swapped, b, a), ops.where(swapped, a, b)
    # two equal infinities have no difference; their maximum is the result
    infinite = ops.and_(ops.eq(a, b), _isinf(a))
    gap = ops.where(infinite, scalars.constant(0.0, high.aval.dtype), ops.sub(low, high))
    return ops.add(high, ops.log1p(ops.exp(gap)))


def _hypot(a: Node, b: Node) -> Node:
    """The smaller operand keeps its sign: its square has a derivative at 0, where its size has none."""
    swapped = ops.lt(ops.abs(a), ops.abs(b))
    high, low = ops.abs(ops.where(swapped, b, a)), ops.where(swapped, a, b)
    zero, one = scalars.constant(0.0, high.aval.dtype), scalars.constant(1.0, high.aval.dtype)
    ratio = ops.div(low, ops.where(ops.eq(high, zero), one, high))
    plain = ops.mul(high, ops.sqrt(ops.add(one, ops.mul(ratio, ratio))))
    return ops.where(ops.or_(_isinf(a), _isinf(b)), scalars.constant(math.inf, high.aval.dtype), plain)


def _nextafter(a: Node, b: Node) -> Node:
    """The bits of a float, read as an integer, count its neighbours up and down from 0."""
    dtype = a.aval.dtype
    whole = dt.from_kind("i", dtype.bits)
    zero, one = scalars.constant(0.0, dtype), scalars.constant(1, whole)
    bits = ops.bitcast(a, whole)
    outward = ops.eq(ops.gt(b, a), ops.gt(a, zero))
    stepped = ops.bitcast(ops.where(outward, ops.add(bits, one), ops.sub(bits, one)), dtype)
    first = ops.copysign(ops.bitcast(ops.broadcast_to(one, a.aval.shape), dtype), b)
    out = ops.where(ops.eq(a, zero), first, stepped)
    odd = ops.or_(ops.ne(a, a), ops.ne(b, b))
    return ops.where(odd, ops.add(a, b), ops.where(ops.eq(a, b), b, out))


def _logical(function: Callable[[Node, Node], Node]) -> Callable[[Node, Node], Node]:
    return lambda a, b: function(_truth(a), _truth(b))


add = _binary("add", ops.add, "x1 + x2.", "si.add(1, 2.5) -> Array(3.5, dtype=float32)")
subtract = _binary("subtract", ops.sub, "x1 - x2.", "si.subtract(1, 2) -> Array(-1, dtype=int64)")
multiply = _binary("multiply", ops.mul, "x1 * x2.", "si.multiply(3, 2) -> Array(6, dtype=int64)")
divide = _binary("divide", divide_nodes, "x1 / x2; integers become float32.", "si.divide(1, 2) -> Array(0.5, dtype=float32)")
floor_divide = _binary("floor_divide", ops.floordiv, "x1 / x2 rounded downwards.", "si.floor_divide(-7, 2) -> Array(-4, dtype=int64)")
remainder = _binary("remainder", ops.mod, "The remainder of x1 / x2, with the sign of x2.", "si.remainder(-7, 2) -> Array(1, dtype=int64)")
fmod = _binary("fmod", ops.fmod, "The remainder of x1 / x2, with the sign of x1.", "si.fmod(-7, 2) -> Array(-1, dtype=int64)")
pow = _binary("pow", power_nodes, "x1 to the power x2.", "si.pow(2, 10) -> Array(1024, dtype=int64)")
maximum = _binary("maximum", ops.max_, "The larger of two elements; NaN if one is NaN.", "si.maximum(3, 5) -> Array(5, dtype=int64)")
minimum = _binary("minimum", ops.min_, "The smaller of two elements; NaN if one is NaN.", "si.minimum(3, 5) -> Array(3, dtype=int64)")
copysign = _binary("copysign", ops.copysign, "x1 with the sign of x2.", "si.copysign(3.0, -0.0) -> Array(-3., dtype=float32)", floats=True)
atan2 = _binary("atan2", ops.atan2, "The angle of the point (x2, x1), in [-pi, pi].", "si.atan2(0.0, 1.0) -> Array(0., dtype=float32)", floats=True)
_LOG_TWO = "si.logaddexp(0.0, 0.0) -> Array(0.6931472, dtype=float32)"
logaddexp = _binary("logaddexp", _logaddexp, "log(exp(x1) + exp(x2)) without overflow.", _LOG_TWO, floats=True)
hypot = _binary("hypot", _hypot, "sqrt(x1^2 + x2^2) without overflow.", "si.hypot(3.0, 4.0) -> Array(5., dtype=float32)", floats=True)
_NEXT = "si.nextafter(1.0, 2.0) > 1 -> Array(True, dtype=bool)"
nextafter = _binary("nextafter", _nextafter, "The next number after x1 in the direction of x2.", _NEXT, floats=True)
equal = _binary("equal", ops.eq, "x1 == x2.", "si.equal(1, 1.0) -> Array(True, dtype=bool)")
not_equal = _binary("not_equal", ops.ne, "x1 != x2.", "si.not_equal(1, 2) -> Array(True, dtype=bool)")
less = _binary("less", ops.lt, "x1 < x2.", "si.less(1, 2) -> Array(True, dtype=bool)")
less_equal = _binary("less_equal", ops.le, "x1 <= x2.", "si.less_equal(1, 1) -> Array(True, dtype=bool)")
greater = _binary("greater", ops.gt, "x1 > x2.", "si.greater(1, 2) -> Array(False, dtype=bool)")
greater_equal = _binary("greater_equal", ops.ge, "x1 >= x2.", "si.greater_equal(1, 2) -> Array(False, dtype=bool)")
bitwise_and = _binary("bitwise_and", ops.and_, "Bits that both have.", "si.bitwise_and(6, 3) -> Array(2, dtype=int64)")
bitwise_or = _binary("bitwise_or", ops.or_, "Bits that either has.", "si.bitwise_or(6, 3) -> Array(7, dtype=int64)")
bitwise_xor = _binary("bitwise_xor", ops.xor, "Bits that exactly one has.", "si.bitwise_xor(6, 3) -> Array(5, dtype=int64)")
bitwise_left_shift = _binary("bitwise_left_shift", ops.shl, "x1 moved up by x2 bits.", "si.bitwise_left_shift(1, 3) -> Array(8, dtype=int64)")
bitwise_right_shift = _binary("bitwise_right_shift", ops.shr, "x1 moved down by x2 bits.", "si.bitwise_right_shift(8, 3) -> Array(1, dtype=int64)")
logical_and = _binary("logical_and", _logical(ops.and_), "Whether both are not zero.", "si.logical_and(True, 0) -> Array(False, dtype=bool)")
logical_or = _binary("logical_or", _logical(ops.or_), "Whether one is not zero.", "si.logical_or(True, 0) -> Array(True, dtype=bool)")
logical_xor = _binary("logical_xor", _logical(ops.xor), "Whether exactly one is not zero.", "si.logical_xor(1, 2) -> Array(False, dtype=bool)")


# -- choice --------------------------------------------------------------------------------------------
@checked(condition=ARRAY, x1=ARRAY, x2=ARRAY)
def where(condition: Any, x1: Any, x2: Any, /) -> Array:
    """``x1`` where the condition holds, else ``x2``.

    Parameters
    ----------
    condition : Array of bool
    x1, x2 : Array or number
        Shapes that broadcast with the condition's; dtypes that promote.

    Returns
    -------
    Array

    Examples
    --------
    >>> import insitu as si
    >>> x = si.asarray([-1.0, 2.0])
    >>> si.where(x > 0, x, 0)
    Array([0., 2.], dtype=float32)
    """
    a, b = operands(x1, x2)
    return Array(ops.where(node_of(condition), a, b))


@checked(x=ARRAY, min=ARRAY | None, max=ARRAY | None)
def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """The elements moved into the range from ``min`` to ``max``.

    Parameters
    ----------
    x : Array
    min, max : number or Array, optional
        Bounds; None for no bound. They broadcast and do not change the dtype.

    Returns
    -------
    Array

    Raises
    ------
    DTypeError
        If a bound is floating and ``x`` is not.
    ArgumentError
        If both bounds are numbers and ``min`` is larger.

    Examples
    --------
    >>> import insitu as si
    >>> si.clip(si.arange(5), 1, 3)
    Array([1, 1, 2, 3, 3], dtype=int64)
    """
    node = node_of(x)
    if scalars.is_scalar(min) and scalars.is_scalar(max) and min > max:
        raise ArgumentError(
            'clip "min" is larger than "max".',
            expected="min <= max",
            received=f"min={min}, max={max}",
            fix="exchange them",
            slug="clip-bounds",
            argument="min",
        )
    for bound, function in ((min, ops.max_), (max, ops.min_)):
        if bound is not None:
            node = function(node, _bound(bound, node))
    return Array(node)


def _bound(bound: Any, node: Node) -> Node:
    dtype = node.aval.dtype
    if scalars.is_scalar(bound):
        if dtype.is_integer and isinstance(bound, float) and not bound.is_integer() and not math.isinf(bound):
            raise _floating_bound(str(bound), dtype)
        if dtype.is_integer:  # a bound outside the type's range bounds nothing
            limit = dtype.max if bound > dtype.max else dtype.min if bound < dtype.min else int(bound)
            return scalars.constant(limit, dtype)
        return scalars.constant(bound, dtype)
    found = node_of(bound)
    if found.aval.dtype.is_float and not dtype.is_float:
        raise _floating_bound(found.aval.dtype.name, dtype)
    return ops.cast(found, dtype)


def _floating_bound(received: str, dtype: dt.DType) -> DTypeError:
    return DTypeError(
        f"clip of {dtype.name} cannot have a floating bound.", expected=f"bounds of {dtype.name}", received=received,
        fix="convert the array first: x.astype(si.float32)", slug="clip-bounds", argument="min",
    )  # fmt: skip


__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "copysign", "cos", "cosh", "divide", "equal", "erf",
    "exp", "expm1", "floor", "floor_divide", "fmod", "greater", "greater_equal", "hypot", "isfinite", "isinf", "isnan", "less",
    "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
    "minimum", "multiply", "negative", "nextafter", "not_equal", "positive", "pow", "reciprocal", "remainder", "rint", "round", "rsqrt",
    "sigmoid", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc", "where",
]  # fmt: skip
