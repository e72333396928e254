"""Pieces that several elementary functions share: constants, polynomials, error-free sums, powers of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
from insitu.errors import InternalError

INF = float("inf")
NAN = float("nan")

#: Explicit fraction bits and exponent bias by width.
FRACTION = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}
#: Adding it leaves an integer in the low bits: 1.5 * 2**fraction.
MAGIC = {32: 1.5 * 2.0**23, 64: 1.5 * 2.0**52}


def bits_of(x: Value) -> int:
    """Width of a float32 or float64 value.

    Raises
    ------
    InternalError
        For any other type: 16-bit floats must be converted before.
    """
    if x.dtype is dt.float32 or x.dtype is dt.float64:
        return x.dtype.bits
    raise InternalError(f"an elementary function of {x!r}; only float32 and float64 are computed")


def integer(x: Value) -> dt.DType:
    """The signed integer type as wide as the value."""
    return dt.int32 if bits_of(x) == 32 else dt.int64


def const(b: Emitter, value: float | int | bool, like: Value) -> Value:
    """A constant with the type and lanes of another value."""
    if like.dtype is None:
        raise InternalError("a constant like a pointer")
    return b.const(value, like.dtype, like.lanes)


def raw(b: Emitter, x: Value) -> Value:
    """The bits of a float as a signed integer."""
    return b.bitcast(x, integer(x))


def horner(b: Emitter, x: Value, coefficients: Sequence[float]) -> Value:
    """``c0 + x * (c1 + x * (c2 + ...))``, one fma a step."""
    out = const(b, coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        out = b.fma(out, x, const(b, c, x))
    return out


def clamp_low(b: Emitter, x: Value, low: float) -> Value:
    """At least ``low``; NaN stays NaN."""
    limit = const(b, low, x)
    return b.select(b.cmp("lt", x, limit), limit, x)


def clamp_high(b: Emitter, x: Value, high: float) -> Value:
    """At most ``high``; NaN stays NaN."""
    limit = const(b, high, x)
    return b.select(b.cmp("gt", x, limit), limit, x)


def fast_two_sum(b: Emitter, a: Value, c: Value) -> tuple[Value, Value]:
    """``a + c`` as rounded sum and exact error; needs ``|a| >= |c|`` or ``a == 0`` (Dekker 1971)."""
    total = b.add(a, c)
    return total, b.sub(c, b.sub(total, a))


def two_sum(b: Emitter, a: Value, c: Value) -> tuple[Value, Value]:
    """``a + c`` as rounded sum and exact error, for any order of magnitude (Knuth, TAOCP 4.2.2)."""
    total = b.add(a, c)
    part = b.sub(total, a)
    return total, b.add(b.sub(a, b.sub(total, part)), b.sub(c, part))


def halves(b: Emitter, a: Value) -> tuple[Value, Value]:
    """Upper and lower half of the significand (Dekker's split with a mask, so that it cannot overflow)."""
    keep = -(1 << (12 if bits_of(a) == 32 else 27))
    high = b.bitcast(b.and_(raw(b, a), b.const(keep, integer(a), a.lanes)), a.dtype)  # type: ignore[arg-type]
    return high, b.sub(a, high)


def two_product(b: Emitter, a: Value, c: Value) -> tuple[Value, Value]:
    """``a * c`` as rounded product and error: one fma, or Dekker's product where there is none."""
    product = b.mul(a, c)
    if b.target.fma:
        return product, b.fma(a, c, b.neg(product))
    a1, a0 = halves(b, a)
    c1, c0 = halves(b, c)
    error = b.sub(b.mul(a1, c1), product)
    error = b.add(b.add(error, b.mul(a1, c0)), b.mul(a0, c1))
    return product, b.add(error, b.mul(a0, c0))


def round_with_magic(b: Emitter, x: Value, factor: float, offset: int) -> tuple[Value, Value]:
    """``q = rint(x * factor)`` as a float, and an integer whose low bits hold ``q + offset``.

    The integer's bits above the exponent field's width are not meaningful: shift them out.
    """
    n = bits_of(x)
    magic = const(b, MAGIC[n] + offset, x)
    moved = b.fma(x, const(b, factor, x), magic)
    return b.sub(moved, magic), b.bitcast(moved, dt.from_kind("u", n))


def exponent_field(b: Emitter, low_bits: Value, like: Value) -> Value:
    """The float whose exponent field is the integer's low bits and whose fraction is 0."""
    return b.bitcast(b.shl(low_bits, FRACTION[bits_of(like)]), like.dtype)  # type: ignore[arg-type]


def scale(b: Emitter, x: Value, q: Value, biased: Value) -> Value:
    """``x * 2**q``, rounded once, also where the result is subnormal or overflows.

    ``biased`` holds ``q + 2 * bias`` in its low bits (see `round_with_magic`) and ``|q|`` stays
    below twice the bias. Two multiplications by halves of the power; AVX-512 has one instruction
    that gives the same bits.
    """
    n = bits_of(x)
    if b.target.masks and x.lanes * n in (128, 256, 512, 1024):
        return _scalef(b, x, q)
    half = b.shr(biased, 1)
    other = b.sub(biased, half)
    return b.mul(b.mul(x, exponent_field(b, half, x)), exponent_field(b, other, x))


def _scalef(b: Emitter, x: Value, q: Value) -> Value:
    """AVX-512's instruction; a vector wider than the target's is done in halves, which LLVM cannot do for it."""
    width = x.lanes * bits_of(x)
    if width > b.target.vector_bits:
        middle = x.lanes // 2
        parts = [_scalef(b, *(b.shuffle(v, None, range(k, k + middle)) for v in (x, q))) for k in (0, middle)]
        return b.shuffle(parts[0], parts[1], range(x.lanes))
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits_of(x) == 32 else 'pd'}.{width}"
    mask = b.const(-1, dt.int16 if x.lanes == 16 else dt.int8)
    mode = (b.const(4, dt.int32),) if width == 512 else ()
    return b.intrinsic(name, (x, q, x, mask, *mode), x.dtype, x.lanes)


def any_lane(b: Emitter, mask: Value) -> Value:
    """Whether the mask holds in at least one lane, as a scalar."""
    if mask.lanes == 1:
        return mask
    return b.intrinsic(f"llvm.vector.reduce.or.v{mask.lanes}i1", (mask,), dt.bool_)


def rarely(b: Emitter, mask: Value, usual: Sequence[Value], rare: Callable[[], Sequence[Value]]) -> list[Value]:
    """The values ``usual``, lanes of ``mask`` replaced by those of ``rare()``, which runs only if there is such a lane."""
    then, after, before = b.name("rare"), b.name("common"), b.block_name
    b.branch(then, any_lane(b, mask), after)
    b.block(then)
    mixed = [b.select(mask, new, old) for new, old in zip(rare(), usual, strict=True)]
    end = b.block_name
    b.branch(after)
    b.block(after)
    return [
        b.emit(f"phi {llvm_type(old.dtype, old.lanes)} [ {new.text}, %{end} ], [ {old.text}, %{before} ]", old.dtype, old.lanes)
        for new, old in zip(mixed, usual, strict=True)
    ]
