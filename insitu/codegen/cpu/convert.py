"""Conversions between element types that never call a library function.

LLVM turns a conversion to or from a 16-bit float into a call (``__truncsfhf2``) where the CPU has
no instruction for it, and nothing in generated code could resolve that call. The conversions here
are integer arithmetic, the same in every lane, rounding to nearest even, with NaN, infinities and
denormals as IEEE 754 has them.
"""

from __future__ import annotations

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
from insitu.dtypes import DType


def convert(b: Emitter, a: Value, dtype: DType) -> Value:
    """The value in another type; float to integer truncates and saturates, NaN gives 0.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    a : Value
        A scalar or vector of any element type.
    dtype : DType
        The type to convert to.

    Examples
    --------
    ::

        half = convert(b, single, dt.float16)
    """
    source: DType = a.dtype  # type: ignore[assignment]
    if source is dtype:
        return a
    if _is_short(source):
        if dtype.kind == "b":
            bits = b.and_(b.bitcast(a, dt.uint16), b.const(0x7FFF, dt.uint16))
            return b.cmp("ne", bits, b.zero(bits))
        single = _widen_bfloat16(b, a) if source is dt.bfloat16 else _widen_float16(b, a)
        return convert(b, single, dtype)
    if _is_short(dtype):
        single = _to_odd(b, a) if source is dt.float64 else convert(b, a, dt.float32)
        return _narrow_bfloat16(b, single) if dtype is dt.bfloat16 else _narrow_float16(b, single)
    return b.cast(a, dtype)


def _is_short(dtype: DType) -> bool:
    return dtype.kind == "f" and dtype.bits == 16


def _half(lanes: int) -> str:
    return "half" if lanes == 1 else f"<{lanes} x half>"


def _word(b: Emitter, a: Value, value: int) -> Value:
    return b.const(value, dt.uint32, a.lanes)


def _widen_bfloat16(b: Emitter, a: Value) -> Value:
    wide = b.cast(b.bitcast(a, dt.uint16), dt.uint32)
    return b.bitcast(b.shl(wide, 16), dt.float32)


def _narrow_bfloat16(b: Emitter, a: Value) -> Value:
    """Round to nearest even in the upper half; a NaN stays one, made quiet."""
    bits = b.bitcast(a, dt.uint32)
    odd = b.and_(b.shr(bits, 16), _word(b, a, 1))
    rounded = b.shr(b.add(bits, b.add(odd, _word(b, a, 0x7FFF))), 16)
    quiet = b.or_(b.shr(bits, 16), _word(b, a, 0x40))
    return b.bitcast(b.cast(b.select(b.cmp("uno", a, a), quiet, rounded), dt.uint16), dt.bfloat16)


def _widen_float16(b: Emitter, a: Value) -> Value:
    """The exponent is moved by 112; a denormal is made by one exact subtraction."""
    if b.target.f16c:
        kind = _half(a.lanes)
        number = b.emit(f"bitcast {a!r} to {kind}", dt.float16, a.lanes)
        return b.emit(f"fpext {kind} {number.text} to {llvm_type(dt.float32, a.lanes)}", dt.float32, a.lanes)
    half = b.cast(b.bitcast(a, dt.uint16), dt.uint32)
    moved = b.shl(b.and_(half, _word(b, a, 0x7FFF)), 13)
    exponent = b.and_(moved, _word(b, a, 0x0F800000))
    normal = b.add(moved, _word(b, a, 112 << 23))
    magic = b.bits_const(113 << 23, dt.float32, a.lanes)
    small = b.sub(b.bitcast(b.add(normal, _word(b, a, 1 << 23)), dt.float32), magic)
    huge = b.add(normal, _word(b, a, 112 << 23))
    nan = b.cmp("gt", b.and_(half, _word(b, a, 0x7FFF)), _word(b, a, 0x7C00))
    huge = b.select(nan, b.or_(huge, _word(b, a, 0x00400000)), huge)
    out = b.select(b.cmp("eq", exponent, _word(b, a, 0)), b.bitcast(small, dt.uint32), normal)
    out = b.select(b.cmp("eq", exponent, _word(b, a, 0x0F800000)), huge, out)
    sign = b.shl(b.and_(half, _word(b, a, 0x8000)), 16)
    return b.bitcast(b.or_(out, sign), dt.float32)


def _narrow_float16(b: Emitter, a: Value) -> Value:
    """Three ranges: beyond the largest half, denormal halves (rounded by an addition), the rest."""
    if b.target.f16c:
        kind = _half(a.lanes)
        number = b.emit(f"fptrunc {_fence(b, a)!r} to {kind}", dt.float16, a.lanes)
        return b.emit(f"bitcast {kind} {number.text} to {llvm_type(dt.float16, a.lanes)}", dt.float16, a.lanes)
    bits = b.bitcast(a, dt.uint32)
    sign = b.and_(bits, _word(b, a, 0x80000000))
    size = b.xor(bits, sign)
    payload = b.or_(b.and_(b.shr(size, 13), _word(b, a, 0x3FF)), _word(b, a, 0x7E00))
    huge = b.select(b.cmp("gt", size, _word(b, a, 255 << 23)), payload, _word(b, a, 0x7C00))
    magic = ((127 - 15) + (23 - 10) + 1) << 23
    shifted = b.add(b.bitcast(size, dt.float32), b.bits_const(magic, dt.float32, a.lanes))
    small = b.sub(b.bitcast(shifted, dt.uint32), _word(b, a, magic))
    odd = b.and_(b.shr(size, 13), _word(b, a, 1))
    rounded = b.add(b.add(size, _word(b, a, (((15 - 127) << 23) + 0xFFF) & 0xFFFFFFFF)), odd)
    out = b.select(b.cmp("lt", size, _word(b, a, 113 << 23)), small, b.shr(rounded, 13))
    out = b.select(b.cmp("ge", size, _word(b, a, (127 + 16) << 23)), huge, out)
    return b.bitcast(b.cast(b.or_(out, b.shr(sign, 16)), dt.uint16), dt.float16)


def _fence(b: Emitter, a: Value) -> Value:
    """The value, kept apart from what made it.

    LLVM joins a rounding from float64 to float32 with the next one to float16 where it can prove the first
    exact, and then calls ``__truncdfhf2``, which nothing in generated code could resolve.
    """
    kind = llvm_type(dt.float32, a.lanes)
    name = "llvm.arithmetic.fence." + ("f32" if a.lanes == 1 else f"v{a.lanes}f32")
    b.declared.setdefault(name, f"declare {kind} @{name}({kind})")
    return b.emit(f"call {kind} @{name}({a!r})", dt.float32, a.lanes)


def _to_odd(b: Emitter, a: Value) -> Value:
    """float64 to float32 rounded to odd, so that rounding once more to 16 bits is right."""
    near = b.cast(a, dt.float32)
    back = b.cast(near, dt.float64)
    bits = b.bitcast(near, dt.uint32)
    above = b.cast(b.cmp("gt", b.abs(back), b.abs(a)), dt.uint32)
    inexact = b.cast(b.cmp("ne", back, a), dt.uint32)
    return b.bitcast(b.or_(b.sub(bits, above), inexact), dt.float32)
