"""sin, cos and tan.

sin and cos take r in [-pi/2, pi/2] (see `reduction`) and one odd minimax polynomial for sin(r), a
cosine being the sine a quarter turn on. tan takes r in [-pi/4, pi/4] and divides sin by cos.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import FRACTION, bits_of, clamp_high, clamp_low, const, fast_two_sum, horner, integer, raw
from insitu.codegen.cpu.functions.reduction import Reduced, reduce_angle

#: (sin(r) - r) / r**3 in r**2 on |r| <= pi/2: relative error of sin 2**-27 and 2**-61.
_SIN = {
    32: (-0.16666659712791443, 0.008333069272339344, -0.0001980977540370077, 2.6060886284540175e-06),
    64: (-0.16666666666666666, 0.008333333333333207, -0.0001984126984121248, 2.7557319211569508e-06, -2.5052106904419045e-08,
         1.6058941001159117e-10, -7.643019299562541e-13, 2.7214181739133014e-15),
}  # fmt: skip
#: The same on |r| <= pi/4 in double: for a float32 tangent (2**-47), for a float64 one (2**-58).
_SIN_QUARTER = {
    32: (-0.16666666666630164, 0.008333333325042455, -0.00019841263708481814, 2.7555335206585696e-06, -2.4760120647540436e-08),
    64: (-0.1666666666666663, 0.008333333333321844, -0.00019841269829362553, 2.755731354020851e-06, -2.505073469198152e-08,
         1.5895452678255217e-10),
}  # fmt: skip
#: (cos(r) - 1 + r**2/2) / r**4 in r**2 on |r| <= pi/4: 2**-43 and 2**-64.
_COS_QUARTER = {
    32: (0.041666666619317026, -0.0013888883485457435, 2.4799456458312416e-05, -2.7205460437467865e-07),
    64: (0.041666666666666595, -0.0013888888888873327, 2.4801587288986213e-05, -2.755731421110141e-07, 2.087570444410644e-09,
         -1.1358693699218882e-11),
}  # fmt: skip


def _sine(b: Emitter, angle: Reduced) -> Value:
    """sin(r + r_low) with the sign of the half turn."""
    r, n = angle.r, bits_of(angle.r)
    square = b.mul(r, r)
    cube = b.mul(square, r)
    if n == 32:
        value = b.fma(cube, horner(b, square, _SIN[n]), r)
    else:
        # r_low cos(r), with a cosine that is right at 0 and pi/2 and close enough between.
        low = b.mul(angle.r_low, b.fma(square, const(b, -0.4053, r), const(b, 1, r)))
        value = b.add(r, b.fma(cube, horner(b, square, _SIN[n]), low))
    value = clamp_high(b, clamp_low(b, value, -1.0), 1.0)  # near pi/2 the last place could exceed 1
    turned = b.shl(angle.low_bits, n - 1)
    return b.bitcast(b.xor(raw(b, value), turned), value.dtype)  # type: ignore[arg-type]


def sin(b: Emitter, x: Value) -> Value:
    """Sine of an angle in radians, of any size. At most 2 ULP (1.7 seen; 3 in float32 without FMA), and never beyond 1."""
    n = bits_of(x)
    value = _sine(b, reduce_angle(b, b.abs(x)))
    sign = b.and_(raw(b, x), b.const(1 << (n - 1), integer(x), x.lanes))
    return b.bitcast(b.xor(raw(b, value), sign), value.dtype)  # type: ignore[arg-type]


def cos(b: Emitter, x: Value) -> Value:
    """Cosine of an angle in radians, of any size. At most 2 ULP (1.8 seen; 3 in float32 without FMA), and never beyond 1."""
    return _sine(b, reduce_angle(b, b.abs(x), half=True))


def tan(b: Emitter, x: Value) -> Value:
    """Tangent of an angle in radians, of any size.

    ``sin(r) / cos(r)`` after an even multiple of pi/2, ``-cos(r) / sin(r)`` after an odd one. float32 is
    computed in float64 and rounded; float64 carries the low parts of both. At most 2 ULP.
    """
    wide = b.cast(x, dt.float64)
    size = b.abs(wide)
    angle = reduce_angle(b, size, unit=0.5)
    r, n = angle.r, bits_of(x)
    square = b.mul(r, r)
    sine, sine_low = fast_two_sum(b, r, b.fma(b.mul(square, r), horner(b, square, _SIN_QUARTER[n]), angle.r_low))
    half = b.mul(square, const(b, 0.5, r))
    cosine, cosine_low = fast_two_sum(b, const(b, 1, r), b.neg(half))
    fourth = b.mul(b.mul(square, square), horner(b, square, _COS_QUARTER[n]))
    cosine, cosine_low = fast_two_sum(b, cosine, b.add(cosine_low, b.fma(b.neg(r), angle.r_low, fourth)))
    odd = b.cmp("ne", b.and_(angle.low_bits, b.const(1, dt.int64, x.lanes)), b.zero(angle.low_bits))
    above, below = b.select(odd, cosine, sine), b.select(odd, sine, cosine)
    value = b.div(above, below)
    if n == 64:
        above_low, below_low = b.select(odd, cosine_low, sine_low), b.select(odd, sine_low, cosine_low)
        value = b.add(value, b.div(b.fma(b.neg(value), below_low, above_low), below))
    turned = b.xor(b.shl(angle.low_bits, FRACTION[64] + 11), b.and_(raw(b, wide), b.const(1 << 63, dt.int64, x.lanes)))
    return b.cast(b.bitcast(b.xor(raw(b, value), turned), dt.float64), x.dtype)  # type: ignore[arg-type]
