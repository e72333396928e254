"""log and log1p.

Both write ``x = 2**k m`` with m in [sqrt(1/2), sqrt(2)) and ``log x = k ln 2 + log(1 + f)``,
``f = m - 1``. float32 takes ``f - f**2/2 + f**3 P(f)``; float64 the series in ``s = f / (2 + f)``,
``log(1 + f) = f - f**2/2 + s (f**2/2 + s**2 R(s**2))`` (the arrangement of Tang 1990 and of Sun's
fdlibm). P and R are minimax polynomials by Remez exchange.
"""

from __future__ import annotations

from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import BIAS, FRACTION, INF, NAN, bits_of, const, fast_two_sum, horner, integer, raw, two_sum
from insitu.codegen.cpu.functions.exponential import LN2

#: float32: P with relative error 2**-27; float64: R with relative error 2**-59.
_LOG = {
    32: (0.3333333134651184, -0.250008225440979, 0.200012668967247, -0.16623231768608093, 0.1420014649629593,
         -0.1316029131412506, 0.1277884989976883, -0.07659988850355148),
    64: (0.6666666666666734, 0.3999999999941669, 0.285714287420001, 0.22222198609454477, 0.18183562560901292,
         0.1531409345222065, 0.14795538709778724),
}  # fmt: skip
#: Bits of the float nearest to sqrt(1/2).
_SQRT_HALF = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}
_SMALLEST_NORMAL = {32: 2.0**-126, 64: 2.0**-1022}


def split_exponent(b: Emitter, x: Value) -> tuple[Value, Value]:
    """Integer k and m in [sqrt(1/2), sqrt(2)) with ``x = 2**k m``, for positive normal x."""
    n = bits_of(x)
    whole = raw(b, x)
    k = b.shr(b.sub(whole, b.const(_SQRT_HALF[n], integer(x), x.lanes)), FRACTION[n])
    m = b.sub(whole, b.shl(k, FRACTION[n]))
    return k, b.bitcast(m, x.dtype)  # type: ignore[arg-type]


def log_of_parts(b: Emitter, k: Value, f: Value) -> Value:
    """``k ln 2 + log(1 + f)`` with k an integer in float and f in [sqrt(1/2) - 1, sqrt(2) - 1]."""
    n = bits_of(f)
    high, low = LN2[n]
    square = b.mul(f, f)
    half = b.mul(square, const(b, 0.5, f))
    # k ln2_high is exact and, unless 0, larger than f: the sum's rounding error is kept.
    head, error = fast_two_sum(b, b.mul(k, const(b, high, f)), f)
    error = b.fma(k, const(b, low, f), error)
    if n == 32:
        rest = b.fma(b.mul(square, f), horner(b, f, _LOG[n]), b.neg(half))
    else:
        s = b.div(f, b.add(f, const(b, 2, f)))
        z = b.mul(s, s)
        rest = b.sub(b.mul(s, b.fma(z, horner(b, z, _LOG[n]), half)), half)
    return b.add(head, b.add(rest, error))


def log_specials(b: Emitter, x: Value, result: Value, origin: float) -> Value:
    """Infinity at infinity, -infinity at ``origin``, NaN below it and for NaN."""
    edge = const(b, origin, x)
    outside = b.select(b.cmp("eq", x, edge), const(b, -INF, x), const(b, NAN, x))
    inside = b.select(b.cmp("lt", x, const(b, INF, x)), result, const(b, INF, x))
    return b.select(b.cmp("gt", x, edge), inside, outside)


def log(b: Emitter, x: Value) -> Value:
    """Natural logarithm. At most 1 ULP in float32 and in float64; subnormal arguments count in full."""
    n = bits_of(x)
    tiny = b.cmp("lt", x, const(b, _SMALLEST_NORMAL[n], x))
    lifted = b.select(tiny, b.mul(x, const(b, 2.0 ** FRACTION[n], x)), x)
    k, m = split_exponent(b, lifted)
    down = b.select(tiny, const(b, -FRACTION[n], k), b.zero(k))
    exponent = b.cast(b.add(k, down), x.dtype)  # type: ignore[arg-type]
    return log_specials(b, x, log_of_parts(b, exponent, b.sub(m, const(b, 1, x))), 0.0)


def log_of_sum(b: Emitter, u: Value, c: Value, more: Value | None = None) -> Value:
    """``log(u + c)`` for normal positive u and a correction c below its last place; ``more`` is added to log2.

    u is split as ``2**k m`` and ``f = (m - 1) + 2**-k c``, which for k = 0 loses nothing near 1.
    """
    n = bits_of(u)
    k, m = split_exponent(b, u)
    unscale = b.shl(b.sub(b.const(BIAS[n], integer(u), u.lanes), k), FRACTION[n])
    # Beyond 2**100 the correction is nothing, and 2**-k may not be a normal number.
    factor = b.select(b.cmp("lt", u, const(b, 2.0**100, u)), b.bitcast(unscale, u.dtype), b.zero(u))  # type: ignore[arg-type]
    f = b.fma(c, factor, b.sub(m, const(b, 1, u)))
    exponent = b.cast(k, u.dtype)  # type: ignore[arg-type]
    return log_of_parts(b, exponent if more is None else b.add(exponent, more), f)


def log1p(b: Emitter, x: Value) -> Value:
    """``log(1 + x)``, exact to the last places near 0: ``1 + x = u + c`` without error. At most 2 ULP."""
    u, c = two_sum(b, const(b, 1, x), x)
    return b.copysign(log_specials(b, x, log_of_sum(b, u, c), -1.0), x)
