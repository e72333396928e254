"""exp, expm1 and sigmoid.

All three write ``x = q ln 2 + r`` with an integer q and ``|r| <= ln(2) / 2``, where ln 2 is split
so that ``q * ln2_high`` is exact (Cody and Waite 1980), and take a minimax polynomial P (Remez
exchange, coefficients rounded one after the other) for ``exp(r) = 1 + r + r**2 P(r)``.
"""

from __future__ import annotations

from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import (
    BIAS,
    bits_of,
    clamp_high,
    clamp_low,
    const,
    exponent_field,
    horner,
    round_with_magic,
    scale,
)

LOG2_E = 1.4426950408889634
#: ln 2 as high part, exact when multiplied by an exponent, and low part.
LN2 = {32: (0.693145751953125, 1.428606765330187e-06), 64: (0.6931471805598903, 5.497923018708371e-14)}
#: P of exp on |r| <= 0.348: relative error 2**-31 and 2**-57.
EXP = {
    32: (0.5, 0.16666647791862488, 0.041666481643915176, 0.008337898179888725, 0.0013933476293459535, 0.0001732058881316334),
    64: (0.5000000000000012, 0.16666666666666413, 0.04166666666651449, 0.008333333333486348, 0.001388888894822355,
         0.0001984126954087217, 2.4801487871162935e-05, 2.755754473444193e-06, 2.7632273796329685e-07, 2.5015683373856985e-08),
}  # fmt: skip
#: P of expm1 on |r| <= 1/2: relative error 2**-26.8 and 2**-54.
EXPM1 = {
    32: (0.5000000596046448, 0.16666674613952637, 0.04166494682431221, 0.00833203736692667, 0.0014011040329933167,
         0.00020356400636956096),
    64: (0.5000000000000001, 0.1666666666666708, 0.04166666666665615, 0.008333333333101206, 0.0013888888891358908,
         0.00019841270263207055, 2.480158515957362e-05, 2.7556985272289005e-06, 2.755801492834799e-07, 2.5172191779754047e-08,
         2.0838483954544828e-09),
}  # fmt: skip
#: Arguments beyond which exp is 0 or infinite, with room for one more binade.
_EXP_RANGE = {32: (-104.5, 89.5), 64: (-746.5, 710.5)}
#: Where sigmoid is computed with a factor, and that factor's binary exponent.
_SIGMOID_DEEP = {32: (16.0, 64), 64: (36.0, 512)}
#: Arguments beyond which expm1 is -1 or infinite.
_EXPM1_RANGE = {32: (-18.0, 89.0), 64: (-38.0, 709.9)}


def reduce_ln2(b: Emitter, x: Value, q: Value) -> Value:
    """``x - q ln 2``."""
    high, low = LN2[bits_of(x)]
    return b.fma(q, const(b, -low, x), b.fma(q, const(b, -high, x), x))


def exp(b: Emitter, x: Value) -> Value:
    """``e**x``.

    At most 1 ULP (float32: 0.98 over all arguments); subnormal results are rounded once.
    """
    n = bits_of(x)
    x = clamp_high(b, clamp_low(b, x, _EXP_RANGE[n][0]), _EXP_RANGE[n][1])
    q, biased = round_with_magic(b, x, LOG2_E, 2 * BIAS[n])
    r = reduce_ln2(b, x, q)
    tail = b.fma(b.mul(r, r), horner(b, r, EXP[n]), r)
    return scale(b, b.add(tail, const(b, 1, x)), q, biased)


def expm1_parts(b: Emitter, x: Value, offset: int) -> tuple[Value, Value]:
    """``p = expm1(r)`` and ``s = 2**(q + offset - bias)`` for ``x = q ln 2 + r``.

    For ``|x| < 1/2`` q is 0, so that p is expm1(x) itself.
    """
    n = bits_of(x)
    small = b.cmp("lt", b.abs(x), const(b, 0.5, x))
    q, biased = round_with_magic(b, b.select(small, b.zero(x), x), LOG2_E, offset)
    r = reduce_ln2(b, x, q)
    p = b.fma(b.mul(r, r), horner(b, r, EXPM1[n]), r)
    return p, exponent_field(b, biased, x)


def expm1(b: Emitter, x: Value) -> Value:
    """``e**x - 1``, exact to the last places near 0.

    ``2 (s p + (s - 1/2))`` with ``s = 2**(q - 1)``, ``p = expm1(r)``; for ``|x| < 1/2`` just p.
    At most 2 ULP.
    """
    n = bits_of(x)
    low, high = _EXPM1_RANGE[n]
    bounded = clamp_high(b, clamp_low(b, x, low), high)
    p, s = expm1_parts(b, bounded, BIAS[n] - 1)
    half = b.fma(s, p, b.sub(s, const(b, 0.5, x)))
    small = b.cmp("lt", b.abs(x), const(b, 0.5, x))
    return b.copysign(b.select(small, p, b.add(half, half)), x)


def sigmoid(b: Emitter, x: Value) -> Value:
    """``1 / (1 + e**-x)``.

    The denominator is ``s tail + (s + 1)`` with ``s = 2**q`` and ``tail = expm1(r)``, which rounds
    ``e**-x`` only once. Far below 0 the sum carries a factor ``2**-deep``, which the result gets back at the
    end, so that results down to the smallest subnormal are kept. At most 2 ULP.
    """
    n = bits_of(x)
    bound, deep = _SIGMOID_DEEP[n]
    minus = clamp_high(b, clamp_low(b, b.neg(x), -40.0), -_EXP_RANGE[n][0])
    q, biased = round_with_magic(b, minus, LOG2_E, BIAS[n])
    r = reduce_ln2(b, minus, q)
    tail = b.fma(b.mul(r, r), horner(b, r, EXP[n]), r)
    far = b.cmp("gt", minus, const(b, bound, x))
    shift = b.select(far, const(b, deep, biased), b.zero(biased))
    unit = b.select(far, const(b, 2.0**-deep, x), const(b, 1, x))
    s = exponent_field(b, b.sub(biased, shift), x)
    # s + 1 is exact up to 2**fraction; beyond, s comes last so that the 1 is not lost twice.
    inner = b.fma(s, tail, b.select(far, unit, b.add(s, unit)))
    return b.mul(b.div(const(b, 1, x), b.add(inner, b.select(far, s, b.zero(x)))), unit)
