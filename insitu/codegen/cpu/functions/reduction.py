"""Arguments of sin, cos and tan reduced by multiples of pi or pi / 2, for the whole range.

Up to a limit, Cody and Waite's subtraction of ``q`` times pi in parts. Beyond it, Payne and
Hanek's product (1983) with the bits of ``1 / (2 pi)``, for one lane after the other: that path
runs only if some lane needs it, and only such lanes take its result.
"""

from __future__ import annotations

import dataclasses

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.functions.common import (
    INF,
    MAGIC,
    NAN,
    bits_of,
    const,
    exponent_field,
    fast_two_sum,
    rarely,
    raw,
    two_product,
    two_sum,
)

#: pi in parts whose products with q are exact: with fma whole floats for float32, else few bits.
_PI_32_FMA = (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15)
_PI_32 = (3.140625, 0.0009675025939941406, 1.5099067240953445e-07, 5.126688136514179e-12)
_PI_64 = (3.1415926534682512, 1.2154201012607932e-10, 4.044532497422333e-21, 1.69568553207378e-31)
_PI_PAIR = (3.141592653589793, 1.2246467991473532e-16)
#: Largest argument of the Cody-Waite path.
LIMIT_32_FMA, LIMIT_32, LIMIT_64 = 65536.0, 12000.0, 1048576.0
#: 64 zero bits, then the first 1,280 bits of 1 / (2 pi).
_TURN_BITS = (
    0x0, 0x28BE60DB9391054A, 0x7F09D5F47D4D3770, 0x36D8A5664F10E410, 0x7F9458EAF7AEF158, 0x6DC91B8E909374B8, 0x01924BBA82746487,
    0x3F877AC72C4A69CF, 0xBA208D7D4BAED121, 0x3A671C09AD17DF90, 0x4E64758E60D4CE7D, 0x272117E2EF7E4A0E, 0xC7FE25FFF7816603,
    0xFBCBC462D6829B47, 0xDB4D9FB3C9F2C26D, 0xD3D18FD9A797FA8B, 0x5D49EEB1FAF97C5E, 0xCF41CE7DE294A4BA, 0x9AFED7EC47E35742,
    0x1580CC11BF1EDAEA, 0xFC33EF0826BD0D87,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Reduced:
    """``|x| = k * unit + r + r_low``; ``low_bits`` is an integer whose lowest bit is that of k."""

    r: Value
    r_low: Value
    low_bits: Value


def reduce_angle(b: Emitter, size: Value, half: bool = False, unit: float = 1.0) -> Reduced:
    """``|x|`` less the nearest multiple of ``unit * pi`` (unit 1 or 1/2), with the multiple's lowest bit.

    ``half`` moves the argument by ``unit * pi / 2`` first. float32 gets one part of r, float64 two.
    """
    n = bits_of(size)
    moved = b.fma(size, const(b, 0.3183098861837907 / unit, size), const(b, 0.5, size)) if half else None
    magic = const(b, MAGIC[n], size)
    if moved is None:
        total = b.fma(size, const(b, 0.3183098861837907 / unit, size), magic)
        q = b.sub(total, magic)
    else:
        total = b.add(moved, magic)
        q = b.sub(b.sub(total, magic), const(b, 0.5, size))
    low_bits = raw(b, total)
    if n == 32:
        limit = LIMIT_32_FMA if b.target.fma else LIMIT_32
        r, r_low = size, b.zero(size)
        for part in _PI_32_FMA if b.target.fma else _PI_32:
            r = b.fma(q, const(b, -part * unit, size), r)
        usual = [r, low_bits]
    else:
        limit = LIMIT_64
        r, r_low = _subtract_64(b, size, q, unit)
        usual = [r, low_bits, r_low]
    far = b.cmp("gt", size, const(b, limit, size))
    out = rarely(b, far, usual, lambda: _all_lanes(b, size, half, unit, len(usual)))
    return Reduced(out[0], out[2] if n == 64 else r_low, out[1])


def _subtract_64(b: Emitter, size: Value, q: Value, unit: float) -> tuple[Value, Value]:
    first, second, third, fourth = (const(b, -part * unit, size) for part in _PI_64)
    head, error = two_sum(b, b.fma(q, first, size), b.mul(q, second))
    return two_sum(b, head, b.fma(q, fourth, b.fma(q, third, error)))


def _all_lanes(b: Emitter, size: Value, half: bool, unit: float, parts: int) -> list[Value]:
    """Payne-Hanek in each lane; infinity gives NaN."""
    n = bits_of(size)
    if size.lanes == 1:
        found = _one_lane(b, size, half, unit)
    else:
        start = [b.zero(size), b.zero(raw(b, size)), b.zero(size)][:parts]
        with b.loop(0, size.lanes, 1, start) as loop:
            one = _one_lane(b, b.extract(size, loop.index), half, unit)
            loop.next = [b.insert(vector, value, loop.index) for vector, value in zip(loop.values, one, strict=False)]
        found = loop.results
    finite = b.cmp("lt", size, const(b, INF, size))
    return [b.select(finite, found[0], const(b, NAN, size)), *found[1 : 3 if n == 64 else 2]]


def _one_lane(b: Emitter, size: Value, half: bool, unit: float) -> list[Value]:
    """r, the multiple's lowest bit and the low part of r, for one scalar."""
    turn, rest = _turns(b, b.cast(size, dt.float64))
    u64, per_turn = dt.uint64, 1 if unit == 1.0 else 2
    if half:
        turn = b.add(turn, b.const(1 << (63 - per_turn), u64))
    # k = round(2 * per_turn * turns); what is left, in units, is a signed fraction of 128 bits.
    k = b.shr(b.add(turn, b.const(1 << (63 - per_turn), u64)), 64 - per_turn)
    high = b.intrinsic("llvm.fshl.i64", (turn, rest, b.const(per_turn, u64)), u64)
    low = b.shl(rest, per_turn)
    negative = b.cmp("lt", b.bitcast(high, dt.int64), b.const(0, dt.int64))
    carry = b.cast(b.cmp("eq", low, b.zero(low)), u64)
    high = b.select(negative, b.add(b.not_(high), carry), high)
    low = b.select(negative, b.neg(low), low)
    r, r_low = _radians(b, high, low, unit)
    r, r_low = (b.select(negative, b.neg(v), v) for v in (r, r_low))
    if size.dtype is dt.float32:
        return [b.cast(r, dt.float32), b.cast(b.bitcast(k, dt.int64), dt.int32)]
    return [r, b.bitcast(k, dt.int64), r_low]


def _turns(b: Emitter, x: Value) -> tuple[Value, Value]:
    """The fraction of ``x / (2 pi)`` as 128 bits: ``m * 2**e`` times the window of bits from e on."""
    name, u64, i64 = "@insitu_turn_bits", dt.uint64, dt.int64
    if not any(line.startswith(name) for line in b.globals):
        words = ", ".join(f"i64 {word if word < 1 << 63 else word - (1 << 64)}" for word in _TURN_BITS)
        b.globals.append(f"{name} = private unnamed_addr constant [{len(_TURN_BITS)} x i64] [{words}], align 64")
    whole = b.bitcast(x, u64)
    fraction = b.or_(b.and_(whole, b.const((1 << 52) - 1, u64)), b.const(1 << 52, u64))
    position = b.sub(b.bitcast(b.shr(whole, 52), i64), b.const(1075 - 64, i64))
    # Lanes below the limit come here too; their result is not used, but the window must exist.
    position = b.select(b.cmp("lt", position, b.zero(position)), b.zero(position), position)
    first = b.shr(position, 6)
    words4 = [b.load(b.offset(Value(name, None), b.add(first, b.const(k, i64)), u64), u64) for k in range(4)]
    by = b.bitcast(b.and_(position, b.const(63, i64)), u64)
    w0, w1, w2 = (b.intrinsic("llvm.fshl.i64", (words4[k], words4[k + 1], by), u64) for k in range(3))
    carried = _high_product(b, fraction, w2)
    middle = b.add(b.mul(fraction, w1), carried)
    overflow = b.cast(b.cmp("lt", middle, carried), u64)
    return b.add(b.add(b.mul(fraction, w0), _high_product(b, fraction, w1)), overflow), middle


def _high_product(b: Emitter, a: Value, c: Value) -> Value:
    """The upper half of a 64 by 64 bit product."""
    wide = [b.emit(f"zext {v!r} to i128", None).text for v in (a, c)]
    product = b.emit(f"mul i128 {wide[0]}, {wide[1]}", None).text
    upper = b.emit(f"lshr i128 {product}, 64", None).text
    return b.emit(f"trunc i128 {upper} to i64", dt.uint64)


def _radians(b: Emitter, high: Value, low: Value, unit: float) -> tuple[Value, Value]:
    """``(high : low) * 2**-128 * unit * pi`` as an unevaluated sum of two doubles."""
    u64, i64 = dt.uint64, dt.int64
    shift = b.intrinsic("llvm.ctlz.i64", (high, b.const(False, dt.bool_)), u64)
    top = b.intrinsic("llvm.fshl.i64", (high, low, shift), u64)
    rest = b.shl(low, b.and_(shift, b.const(63, u64)))
    head = b.cast(b.bitcast(b.shr(top, 11), i64), dt.float64)
    below = b.or_(b.shl(b.and_(top, b.const(2047, u64)), 42), b.shr(rest, 22))
    tail = b.cast(b.bitcast(below, i64), dt.float64)
    power = exponent_field(b, b.sub(b.const(1023, u64), shift), head)
    head = b.mul(b.mul(head, const(b, 2.0**-53, head)), power)
    tail = b.mul(b.mul(tail, const(b, 2.0**-106, head)), power)
    pi, pi_low = (const(b, part * unit, head) for part in _PI_PAIR)
    product, error = two_product(b, head, pi)
    return fast_two_sum(b, product, b.fma(tail, pi, b.fma(head, pi_low, error)))
