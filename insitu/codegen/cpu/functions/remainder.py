"""Remainders and floor division, of floats, with NumPy's meaning.

``rem`` has the dividend's sign (C's fmod and %), ``mod`` the divisor's, and ``floordiv`` rounds
towards minus infinity. Remainders are exact, whatever the quotient.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import BIAS, INF, NAN, bits_of, const, exponent_field, halves, rarely, raw

#: Quotient bits that one exact step takes, a multiple of 3: with fma, and without.
_STEP = {(32, True): 21, (64, True): 48, (32, False): 9, (64, False): 24}
#: Largest binary exponent of a quotient: the largest float over the smallest subnormal.
_LONGEST = {32: 277, 64: 2098}


def rem(b: Emitter, x: Value, y: Value) -> Value:
    """The remainder of the quotient rounded towards zero."""
    size, divisor = b.abs(x), b.abs(y)
    step = _STEP[bits_of(x), b.target.fma]
    limit = b.mul(divisor, const(b, 2.0**step, x))
    usual = _take_multiple(b, size, divisor)
    left = rarely(b, b.cmp("ge", size, limit), [usual], lambda: [_long_division(b, size, divisor, step)])[0]
    wrong = b.or_(b.cmp("eq", divisor, b.zero(x)), b.cmp("eq", size, const(b, INF, x)))
    wrong = b.or_(wrong, b.cmp("uno", x, y))
    return b.copysign(b.select(wrong, const(b, NAN, x), left), x)


def _take_multiple(b: Emitter, size: Value, divisor: Value) -> Value:
    """``size`` less the whole multiple of ``divisor``, exact for quotients of few bits."""
    n = b.trunc(b.div(size, divisor))
    if b.target.fma:
        left = b.fma(b.neg(n), divisor, size)
    else:
        high, low = halves(b, divisor)
        left = b.sub(b.sub(size, b.mul(n, high)), b.mul(n, low))
    # The rounded quotient may be one too large, or (as its own truncation) one too small.
    left = b.select(b.cmp("lt", left, b.zero(left)), b.add(left, divisor), left)
    left = b.select(b.cmp("ge", left, divisor), b.sub(left, divisor), left)
    return b.select(b.cmp("lt", size, divisor), size, left)


def _long_division(b: Emitter, size: Value, divisor: Value, step: int) -> Value:
    """Multiples of ``divisor * 2**(step * j)`` taken for falling j; such a product is exact or infinite."""
    n = bits_of(size)
    top = -(-_LONGEST[n] // step)
    kind = dt.from_kind("u", n)
    with b.loop(0, top + 1, 1, [size]) as loop:
        exponent = b.sub(b.const(top, dt.int64), loop.index)
        field = b.add(b.mul(exponent, b.const(step // 3, dt.int64)), b.const(BIAS[n], dt.int64))
        scalar = exponent_field(b, b.cast(b.bitcast(field, dt.uint64), kind), Value("", size.dtype))
        factor = b.splat(scalar, size.lanes)
        larger = b.mul(b.mul(b.mul(divisor, factor), factor), factor)
        left = loop.values[0]
        loop.next = [b.select(b.cmp("le", larger, left), _take_multiple(b, left, larger), left)]
    return loop.results[0]


def mod(b: Emitter, x: Value, y: Value) -> Value:
    """The remainder with the divisor's sign (Python's %)."""
    left, zero = rem(b, x, y), b.zero(x)
    differ = b.cmp("lt", b.xor(raw(b, left), raw(b, y)), b.zero(raw(b, x)))
    moved = b.select(differ, b.add(left, y), left)
    return b.select(b.cmp("eq", left, zero), b.copysign(zero, y), moved)


def floordiv(b: Emitter, x: Value, y: Value) -> Value:
    """The quotient rounded down, as ``numpy.floor_divide``."""
    zero, one = b.zero(x), const(b, 1, x)
    left = rem(b, x, y)
    quotient = b.div(b.sub(x, left), y)
    differ = b.and_(b.cmp("lt", b.xor(raw(b, left), raw(b, y)), b.zero(raw(b, x))), b.cmp("ne", left, zero))
    differ = b.and_(differ, b.cmp("ord", left, left))
    quotient = b.select(differ, b.sub(quotient, one), quotient)
    down = b.floor(quotient)
    down = b.select(b.cmp("gt", b.sub(quotient, down), const(b, 0.5, x)), b.add(down, one), down)
    plain = b.div(x, y)
    down = b.select(b.cmp("eq", quotient, zero), b.copysign(zero, plain), down)
    return b.select(b.cmp("eq", y, zero), plain, down)
