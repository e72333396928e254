"""asin, acos, atan and atan2.

Each is one odd minimax polynomial (Remez exchange) after a reduction: asin to at most 1/2 by
``asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2))``, atan to at most 0.55 by
``atan(n / d) = pi/4 + atan((n - d) / (n + d))`` and ``pi/2 - atan(d / n)`` (Abramowitz and Stegun 4.4).
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import INF, NAN, bits_of, const, fast_two_sum, horner, raw

#: (asin(x) - x) / x**3 in x**2 for |x| <= 1/2: relative error of asin 2**-27.6 and 2**-55.9.
_ASIN = {
    32: (0.16666752099990845, 0.07495307922363281, 0.04546951875090599, 0.024182194843888283, 0.04216380417346954),
    64: (0.16666666666665403, 0.0750000000033857, 0.04464285682696204, 0.03038195919593651, 0.022371756584006322,
         0.017359727561454173, 0.013885004305737593, 0.012170764783087738, 0.006521117234560805, 0.01954739351991038,
         -0.01625480362410917, 0.03193356030893022),
}  # fmt: skip
#: (atan(t) - t) / t**3 in t**2 for |t| <= 0.551: 2**-26 and 2**-58.5.
_ATAN = {
    32: (-0.33333101868629456, 0.19988824427127838, -0.14107747375965118, 0.09834278374910355, -0.045940615236759186),
    64: (-0.33333333333333137, 0.1999999999994829, -0.1428571428093979, 0.11111110888543961, -0.09090902951609921,
         0.07692198395417739, -0.06665344148066576, 0.058711338272873274, -0.05195308169568737, 0.044677104328568466,
         -0.03436453882287435, 0.020025218528682356, -0.006247981858033458),
}  # fmt: skip
#: Multiples of pi as the nearest float and the rest.
_PI = {32: (3.1415927410125732, -8.742277657347586e-08), 64: (3.141592653589793, 1.2246467991473532e-16)}
_HALF_PI = {n: (high / 2, low / 2) for n, (high, low) in _PI.items()}
_QUARTER_PI = {n: (high / 4, low / 4) for n, (high, low) in _PI.items()}
#: Largest tangent that is not reduced.
_DIRECT = 0.55


def _asin_series(b: Emitter, t: Value, square: Value) -> Value:
    """asin(t) - t for 0 <= t <= 1/2."""
    return b.mul(b.mul(t, square), horner(b, square, _ASIN[bits_of(t)]))


def asin(b: Emitter, x: Value) -> Value:
    """Arcsine; NaN outside [-1, 1]. At most 2 ULP."""
    high, low = _HALF_PI[bits_of(x)]
    size = b.abs(x)
    half = const(b, 0.5, x)
    outer = b.cmp("gt", size, half)
    square = b.select(outer, b.mul(b.sub(const(b, 1, x), size), half), b.mul(x, x))
    t = b.select(outer, b.sqrt(square), size)
    rest = _asin_series(b, t, square)
    head, error = fast_two_sum(b, const(b, high, x), b.mul(const(b, -2, x), t))
    far = b.add(head, b.add(error, b.fma(const(b, -2, x), rest, const(b, low, x))))
    return b.copysign(b.select(outer, far, b.add(t, rest)), x)


def acos(b: Emitter, x: Value) -> Value:
    """Arccosine; NaN outside [-1, 1]. At most 2 ULP."""
    n = bits_of(x)
    size = b.abs(x)
    half = const(b, 0.5, x)
    outer = b.cmp("gt", size, half)
    negative = b.cmp("lt", x, b.zero(x))
    square = b.select(outer, b.mul(b.sub(const(b, 1, x), size), half), b.mul(x, x))
    t = b.select(outer, b.sqrt(square), size)
    rest = _asin_series(b, t, square)
    # acos is base + sign * scale * (t + rest), the base being 0, pi or pi/2.
    factor = b.select(outer, const(b, 2, x), const(b, -1, x))
    factor = b.select(negative, b.neg(factor), factor)
    base, base_low = (
        b.select(outer, b.select(negative, const(b, whole, x), b.zero(x)), const(b, part, x)) for whole, part in zip(_PI[n], _HALF_PI[n], strict=True)
    )
    # The larger of base and factor * t is added last.
    return b.add(base, b.fma(factor, t, b.fma(factor, rest, base_low)))


def _atan_ratio(b: Emitter, above: Value, below: Value) -> Value:
    """atan(above / below) for 0 <= above <= below, below > 0 and finite; one division."""
    n = bits_of(above)
    high, low = _QUARTER_PI[n]
    reduced = b.cmp("gt", above, b.mul(below, const(b, _DIRECT, below)))
    numerator = b.select(reduced, b.sub(above, below), above)
    denominator = b.select(reduced, b.add(above, below), below)
    base = b.select(reduced, const(b, high, above), b.zero(above))
    base_low = b.select(reduced, const(b, low, above), b.zero(above))
    t = b.div(numerator, denominator)
    square = b.mul(t, t)
    rest = b.fma(b.mul(t, square), horner(b, square, _ATAN[n]), base_low)
    return b.add(base, b.add(t, rest))


def atan(b: Emitter, x: Value) -> Value:
    """Arctangent. At most 2 ULP."""
    n = bits_of(x)
    size = b.abs(x)
    one = const(b, 1, x)
    inverted = b.cmp("gt", size, one)
    infinite = b.cmp("eq", size, const(b, INF, x))
    above = b.select(inverted, one, size)
    below = b.select(inverted, size, one)
    above, below = b.select(infinite, b.zero(x), above), b.select(infinite, one, below)
    angle = _atan_ratio(b, above, below)
    high, low = _HALF_PI[n]
    angle = b.select(inverted, b.add(const(b, high, x), b.sub(const(b, low, x), angle)), angle)
    return b.copysign(angle, x)


def atan2(b: Emitter, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), in [-pi, pi], with C99's values for zeros and infinities.

    float32 is computed in float64 and rounded. At most 2 ULP.
    """
    if bits_of(y) == 32:
        return b.cast(atan2(b, b.cast(y, dt.float64), b.cast(x, dt.float64)), dt.float32)
    height, width = b.abs(y), b.abs(x)
    steep = b.cmp("gt", height, width)
    above, below = b.select(steep, width, height), b.select(steep, height, width)
    zero, one = b.zero(x), const(b, 1, x)
    # Both infinite: the diagonal. One infinite, or both 0: the axis. Huge: smaller, so that the sum is
    # finite; subnormal: larger, so that products keep their places.
    above_infinite, below_infinite = (b.cmp("eq", v, const(b, INF, x)) for v in (above, below))
    above = b.select(above_infinite, one, b.select(below_infinite, zero, above))
    below = b.select(b.or_(below_infinite, b.cmp("eq", below, zero)), one, below)
    factor = b.select(b.cmp("gt", below, const(b, 2.0**1000, x)), const(b, 0.25, x), one)
    factor = b.select(b.cmp("lt", below, const(b, 2.0**-900, x)), const(b, 2.0**100, x), factor)
    angle = _atan_ratio(b, b.mul(above, factor), b.mul(below, factor))
    left = b.cmp("lt", raw(b, x), b.zero(raw(b, x)))
    for mask, (high, low) in ((steep, _HALF_PI[64]), (left, _PI[64])):
        angle = b.select(mask, b.add(const(b, high, x), b.sub(const(b, low, x), angle)), angle)
    angle = b.select(b.cmp("uno", x, y), const(b, NAN, x), angle)
    return b.copysign(angle, y)
