"""tanh, sinh, cosh and their inverses.

The inverses are logarithms of ``u + c``, a number and its rounding error, so that nothing is lost
where the logarithm's argument is near 1.
"""

from __future__ import annotations

from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import (
    BIAS,
    INF,
    NAN,
    bits_of,
    clamp_high,
    const,
    exponent_field,
    fast_two_sum,
    horner,
    round_with_magic,
    two_product,
    two_sum,
)
from insitu.codegen.cpu.functions.exponential import EXP, LOG2_E, reduce_ln2
from insitu.codegen.cpu.functions.logarithm import log_of_sum

_HALF_LN2 = 0.34657359027997264
#: Where tanh is 1 to the last place.
_TANH_ONE = {32: 9.5, 64: 20.0}
#: exp(2 r) on |r| <= ln(2) / 4: relative error 2**-28 and 2**-57.
_EXP2R = {
    32: (1.0, 2.0, 1.999999761581421, 1.3333207368850708, 0.6666881442070007, 0.26783984899520874, 0.08862218260765076),
    64: (1.0, 2.0, 2.000000000000005, 1.333333333333313, 0.6666666666642318, 0.26666666667156314, 0.08888888926863071,
         0.02539682501231638, 0.006349180895017711, 0.0014109462904034267, 0.000282954483674416, 5.1232119549659106e-05),
}  # fmt: skip
#: (tanh(x) - x) / x**3 in x**2 for |x| < 0.55: relative error 2**-24.7 and 2**-55.5 of tanh.
_TANH_SMALL = {
    32: (-0.3333294689655304, 0.133207306265831, -0.05267214775085449, 0.01643816940486431),
    64: (-0.33333333333332316, 0.13333333333168945, -0.05396825387616778, 0.021869485976451608, -0.008863194521552936,
         0.0035917198088982276, -0.0014532171905352028, 0.0005791380167251117, -0.00021030364237629808, 5.1022106836988e-05),
}  # fmt: skip
#: (sinh(x) - x) / x**3 in x**2 for |x| < 1: 2**-31.6 and 2**-61.7.
_SINH_SMALL = {
    32: (0.1666666716337204, 0.008333311416208744, 0.00019842603069264442, 2.7843507268698886e-06),
    64: (0.16666666666666669, 0.008333333333332912, 0.0001984126984159334, 2.755731910681886e-06, 2.505213098041755e-08,
         1.605666133083687e-10, 7.776511563334501e-13),
}  # fmt: skip
#: Where sinh and cosh are infinite.
_SINH_INFINITE = {32: 89.6, 64: 710.6}
#: From here on sqrt(x**2 + 1) is x to the last place.
_ASYMPTOTIC = 2.0**30
#: Below it asinh(x) is x - x**3 / 6 to the last place.
_ASINH_TINY = {32: 2.0**-8, 64: 2.0**-14}


def tanh(b: Emitter, x: Value) -> Value:
    """Hyperbolic tangent.

    ``1 - 2 / (e**(2|x|) + 1)`` from 0.55 on, an odd polynomial below; one division, no branch. One part
    of ln 2 is enough: what it leaves grows with q, but counts only ``2**-q``. At most 2 ULP (1.5 seen).
    """
    n = bits_of(x)
    size = clamp_high(b, b.abs(x), _TANH_ONE[n])
    one = const(b, 1, x)
    q, biased = round_with_magic(b, size, 2 * LOG2_E, BIAS[n])
    r = b.fma(q, const(b, -_HALF_LN2, x), size)
    power = b.fma(exponent_field(b, biased, x), horner(b, r, _EXP2R[n]), one)
    large = b.sub(one, b.div(const(b, 2, x), power))
    square = b.mul(size, size)
    small = b.fma(b.mul(square, size), horner(b, square, _TANH_SMALL[n]), size)
    return b.copysign(b.select(b.cmp("lt", size, const(b, 0.55, x)), small, large), x)


def _half_exp(b: Emitter, size: Value) -> Value:
    """``e**size / 2`` for size >= 0; 1/2 keeps what sinh and cosh can still represent finite."""
    n = bits_of(size)
    size = clamp_high(b, size, _SINH_INFINITE[n])
    q, biased = round_with_magic(b, size, LOG2_E, BIAS[n] - 2)
    r = reduce_ln2(b, size, q)
    tail = b.fma(b.mul(r, r), horner(b, r, EXP[n]), r)
    y = b.add(tail, const(b, 1, size))
    return b.mul(b.add(y, y), exponent_field(b, biased, size))


def sinh(b: Emitter, x: Value) -> Value:
    """Hyperbolic sine: an odd polynomial below 1, ``E - 1 / (4 E)`` with ``E = e**|x| / 2`` from there on. At most 2 ULP."""
    n = bits_of(x)
    size = b.abs(x)
    power = _half_exp(b, size)
    large = b.sub(power, b.div(const(b, 0.25, x), power))
    square = b.mul(size, size)
    small = b.fma(b.mul(square, size), horner(b, square, _SINH_SMALL[n]), size)
    return b.copysign(b.select(b.cmp("lt", size, const(b, 1, x)), small, large), x)


def cosh(b: Emitter, x: Value) -> Value:
    """Hyperbolic cosine: ``E + 1 / (4 E)`` with ``E = e**|x| / 2``. At most 2 ULP."""
    power = _half_exp(b, b.abs(x))
    return b.add(power, b.div(const(b, 0.25, x), power))


def _log_with_root(b: Emitter, size: Value, one: float) -> Value:
    """``log(a + sqrt(a**2 + one))``: the root and the sum are carried with their errors."""
    large = b.cmp("ge", size, const(b, _ASYMPTOTIC, size))
    a = b.select(large, const(b, 1, size), size)
    square, square_low = two_product(b, a, a)
    total, low = two_sum(b, square, const(b, one, a))
    total, low = fast_two_sum(b, total, b.add(low, square_low))
    root = b.sqrt(total)
    again, again_low = two_product(b, root, root)
    rest = b.add(b.sub(b.sub(total, again), again_low), low)
    root_low = b.div(rest, b.add(root, root))
    root_low = b.select(b.cmp("gt", root, b.zero(root)), root_low, b.zero(root))
    u, c = two_sum(b, a, root)
    c = b.add(c, root_low)
    zero = b.zero(size)
    # log(2 a) where the square would not matter or overflow.
    u, c = b.select(large, size, u), b.select(large, zero, c)
    return log_of_sum(b, u, c, b.select(large, const(b, 1, size), zero))


def asinh(b: Emitter, x: Value) -> Value:
    """Inverse hyperbolic sine. At most 2 ULP."""
    size = b.abs(x)
    cube = b.mul(b.mul(size, size), size)
    tiny = b.fma(cube, const(b, -1 / 6, x), size)
    result = b.select(b.cmp("lt", size, const(b, _ASINH_TINY[bits_of(x)], x)), tiny, _log_with_root(b, size, 1.0))
    return b.copysign(b.select(b.cmp("lt", size, const(b, INF, x)), result, size), x)


def acosh(b: Emitter, x: Value) -> Value:
    """Inverse hyperbolic cosine; NaN below 1. At most 2 ULP."""
    result = _log_with_root(b, x, -1.0)
    result = b.select(b.cmp("lt", x, const(b, INF, x)), result, x)
    return b.select(b.cmp("lt", x, const(b, 1, x)), const(b, NAN, x), result)


def atanh(b: Emitter, x: Value) -> Value:
    """Inverse hyperbolic tangent, ``log(1 + 2|x| / (1 - |x|)) / 2``; NaN outside [-1, 1]. At most 2 ULP."""
    size = b.abs(x)
    one = const(b, 1, x)
    below, below_low = two_sum(b, one, b.neg(size))
    above = b.add(size, size)
    quotient = b.div(above, below)
    again, again_low = two_product(b, quotient, below)
    rest = b.sub(b.sub(b.sub(above, again), again_low), b.mul(quotient, below_low))
    u, c = two_sum(b, one, quotient)
    half = b.mul(log_of_sum(b, u, b.add(c, b.div(rest, below))), const(b, 0.5, x))
    outside = b.select(b.cmp("eq", size, one), const(b, INF, x), const(b, NAN, x))
    return b.copysign(b.select(b.cmp("lt", size, one), half, outside), x)
