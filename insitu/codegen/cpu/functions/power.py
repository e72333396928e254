"""pow of floats.

``x**y = exp(y log x)`` needs the logarithm to more places than the result has, for y may be large.
float32 computes in float64; float64 carries the logarithm as a sum of two doubles.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import (
    BIAS,
    FRACTION,
    INF,
    NAN,
    bits_of,
    clamp_high,
    clamp_low,
    const,
    exponent_field,
    fast_two_sum,
    horner,
    raw,
    round_with_magic,
    scale,
    two_product,
    two_sum,
)
from insitu.codegen.cpu.functions.exponential import EXP, LN2, LOG2_E
from insitu.codegen.cpu.functions.logarithm import split_exponent

#: log2((1 + s) / (1 - s)) / s in s**2: relative error 2**-45.
_LOG2 = (2.885390081777849, 0.961796694115067, 0.5770779418659974, 0.41220930302372477, 0.31990361287433194, 0.2829300368515224)
#: 2**r on |r| <= 1/2: 2**-32.7.
_EXP2 = (0.9999999999610184, 0.693147182110969, 0.24022651210259072, 0.05550405874087051, 0.009618026629930873,
         0.0013337474540731193, 0.00015469312059382715, 1.439196357110105e-05)  # fmt: skip
#: log((1 + s) / (1 - s)) = 2 s + s z (2/3 + z T(z)), z = s**2; 2/3 as two doubles, T leaves 2**-66.
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LOG_TAIL = (0.4000000000000227, 0.28571428570091123, 0.22222222521512316, 0.18181784221519018, 0.15386764318433727,
             0.13256648937994966, 0.13197948672397264)  # fmt: skip
#: y log x beyond which the result is 0 or infinite.
_RANGE_64 = (-746.5, 710.5)


def power(b: Emitter, x: Value, y: Value) -> Value:
    """``x**y`` with C99's special values, at most 2 ULP."""
    size = b.abs(x)
    if bits_of(x) == 32:
        wide = b.cast(size, dt.float64)
        result = b.cast(_power_32(b, wide, b.cast(y, dt.float64)), dt.float32)
    else:
        result = _power_64(b, size, y)
    return _specials(b, x, size, y, result)


def _power_32(b: Emitter, x: Value, y: Value) -> Value:
    """``x**y`` in double for x >= 0 that was a float32: about 32 correct bits."""
    one = const(b, 1, x)
    k, m = split_exponent(b, x)
    s = b.div(b.sub(m, one), b.add(m, one))
    log2 = b.fma(s, horner(b, b.mul(s, s), _LOG2), b.cast(k, dt.float64))
    log2 = b.select(b.cmp("lt", x, const(b, INF, x)), log2, x)
    log2 = b.select(b.cmp("eq", x, b.zero(x)), const(b, -INF, x), log2)
    t = clamp_high(b, clamp_low(b, b.mul(y, log2), -160.0), 140.0)
    q, biased = round_with_magic(b, t, 1.0, BIAS[64])
    return b.mul(horner(b, b.sub(t, q), _EXP2), exponent_field(b, biased, x))


def _log_pair(b: Emitter, x: Value) -> tuple[Value, Value]:
    """log(x) as a sum of two doubles, relative error about 2**-65, for finite x > 0."""
    tiny = b.cmp("lt", x, const(b, 2.0**-1022, x))
    lifted = b.select(tiny, b.mul(x, const(b, 2.0 ** FRACTION[64], x)), x)
    whole, m = split_exponent(b, lifted)
    k = b.cast(b.add(whole, b.select(tiny, const(b, -FRACTION[64], whole), b.zero(whole))), dt.float64)
    one = const(b, 1, x)
    f = b.sub(m, one)
    d, d_low = two_sum(b, m, one)
    s = b.div(f, d)
    again, again_low = two_product(b, s, d)
    s_low = b.div(b.sub(b.sub(b.sub(f, again), again_low), b.mul(s, d_low)), d)
    z, z_low = two_product(b, s, s)
    z_low = b.fma(b.add(s, s), s_low, z_low)
    c, c_low = fast_two_sum(b, const(b, _TWO_THIRDS[0], x), b.mul(z, horner(b, z, _LOG_TAIL)))
    c_low = b.add(c_low, const(b, _TWO_THIRDS[1], x))
    t, t_low = two_product(b, z, c)
    t_low = b.add(t_low, b.fma(z, c_low, b.mul(z_low, c)))
    u, u_low = fast_two_sum(b, const(b, 2, x), t)
    u_low = b.add(u_low, t_low)
    log, log_low = two_product(b, s, u)
    log_low = b.add(log_low, b.fma(s, u_low, b.mul(s_low, u)))
    head, error = fast_two_sum(b, b.mul(k, const(b, LN2[64][0], x)), log)
    return fast_two_sum(b, head, b.fma(k, const(b, LN2[64][1], x), b.add(error, log_low)))


def _power_64(b: Emitter, x: Value, y: Value) -> Value:
    """``exp(y log x)`` for x >= 0."""
    log, log_low = _log_pair(b, x)
    log = b.select(b.cmp("lt", x, const(b, INF, x)), log, x)
    log = b.select(b.cmp("eq", x, b.zero(x)), const(b, -INF, x), log)
    product, low = two_product(b, y, log)
    low = b.fma(y, log_low, low)
    inside = b.and_(b.cmp("gt", product, const(b, _RANGE_64[0], x)), b.cmp("lt", product, const(b, _RANGE_64[1], x)))
    low = b.select(inside, low, b.zero(x))
    product = clamp_high(b, clamp_low(b, product, _RANGE_64[0]), _RANGE_64[1])
    q, biased = round_with_magic(b, product, LOG2_E, 2 * BIAS[64])
    head = b.fma(q, const(b, -LN2[64][0], x), product)
    r, error = two_sum(b, head, b.fma(q, const(b, -LN2[64][1], x), low))
    tail = b.add(r, b.fma(b.mul(r, r), horner(b, r, EXP[64]), error))
    return scale(b, b.add(tail, const(b, 1, x)), q, biased)


def _specials(b: Emitter, x: Value, size: Value, y: Value, result: Value) -> Value:
    """C99 F.9.4.4: the sign of negative bases, and the cases that are 1 even for NaN."""
    one, zero, half = const(b, 1, x), b.zero(x), b.mul(y, const(b, 0.5, x))
    whole = b.cmp("eq", b.trunc(y), y)
    odd = b.and_(whole, b.cmp("ne", b.trunc(half), half))
    negative = b.cmp("lt", raw(b, x), b.zero(raw(b, x)))
    undefined = b.and_(b.and_(b.cmp("lt", x, zero), b.cmp("gt", x, const(b, -INF, x))), b.not_(whole))
    result = b.select(b.and_(negative, odd), b.neg(result), result)
    result = b.select(undefined, const(b, NAN, x), result)
    unit = b.and_(b.cmp("eq", size, one), b.cmp("eq", b.abs(y), const(b, INF, x)))
    unit = b.or_(unit, b.or_(b.cmp("eq", x, one), b.cmp("eq", y, zero)))
    return b.select(unit, one, result)
