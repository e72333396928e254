"""The pure operations of the loop nest on values of the `Emitter`, scalar or vector.

Each gives the same bits for any number of lanes, and none can trap: integer division by zero gives 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.convert import convert
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.dtypes import DType
from insitu.errors import InternalError

_BIT_OPERATIONS = frozenset({"select", "neg", "abs", "copysign"})


def operate(b: Emitter, name: str, args: Sequence[Value]) -> Value:
    """The result of one of `nest.OPERATIONS`.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    name : str
        The operation.
    args : sequence of Value
        Its operands; scalars are splatted where others have lanes.

    Raises
    ------
    InternalError
        For an operation that its operands' type does not have.
    """
    lanes = max(a.lanes for a in args)
    args = [b.splat(a, lanes) for a in args]
    dtype: DType = args[-1].dtype  # type: ignore[assignment]
    if dtype.kind == "f" and dtype.bits == 16:
        return _short(b, name, args, dtype)
    special = _SPECIAL.get((name, dtype.kind))
    if special is not None:
        return special(b, *args)
    simple = _SIMPLE.get(name)
    if simple is not None:
        return simple(b, *args)
    from insitu.codegen.cpu.functions import FUNCTIONS  # late: importing them takes longer than most kernels need

    if dtype.kind != "f" or name not in FUNCTIONS:
        raise InternalError(f"code generator: no operation {name} on {dtype.name}")
    return FUNCTIONS[name](b, *args)


def _short(b: Emitter, name: str, args: Sequence[Value], dtype: DType) -> Value:
    """Operations on 16-bit floats: on their bits where only bits move, else through float32."""
    if name in _BIT_OPERATIONS:
        bits = [a if a.kind == "b" else b.bitcast(a, dt.uint16) for a in args]
        sign, rest = (b.const(m, dt.uint16, args[-1].lanes) for m in (0x8000, 0x7FFF))
        if name == "select":
            out = b.select(*bits)
        elif name == "neg":
            out = b.xor(bits[0], sign)
        elif name == "abs":
            out = b.and_(bits[0], rest)
        else:
            out = b.or_(b.and_(bits[0], rest), b.and_(bits[1], sign))
        return b.bitcast(out, dtype)
    out = operate(b, name, [a if a.kind == "b" else convert(b, a, dt.float32) for a in args])
    return out if out.kind == "b" else convert(b, out, dtype)


# -- integers ------------------------------------------------------------------------------------
def _truncated(b: Emitter, x: Value, y: Value) -> Value:
    """x / y toward zero; 0 where y is 0; the most negative number by -1 wraps."""
    zero = b.cmp("eq", y, b.zero(y))
    one = b.const(1, x.dtype, x.lanes)  # type: ignore[arg-type]
    if x.kind == "u":
        return b.select(zero, b.zero(x), _quotient(b, x, b.select(zero, one, y)))
    minus = b.cmp("eq", y, b.const(-1, x.dtype, x.lanes))  # type: ignore[arg-type]
    quotient = _quotient(b, x, b.select(b.or_(zero, minus), one, y))
    return b.select(zero, b.zero(x), b.select(minus, b.neg(x), quotient))


def _quotient(b: Emitter, x: Value, y: Value) -> Value:
    """Division by a safe divisor. CPUs have no vector division of integers; up to 32 bits the division of
    floats twice as precise truncates to the exact quotient.
    """
    bits = x.dtype.bits  # type: ignore[union-attr]
    if x.lanes == 1 or bits == 64 or not y.text.startswith("%"):
        return b.div(x, y)
    wide = dt.float32 if bits <= 16 else dt.float64
    middle = dt.int32 if bits <= 16 else x.dtype
    quotient = b.div(*(b.cast(b.cast(v, middle), wide) for v in (x, y)))  # type: ignore[arg-type]
    if bits <= 16:
        return b.cast(b.emit(f"fptosi {quotient!r} to <{x.lanes} x i32>", dt.int32, x.lanes), x.dtype)  # type: ignore[arg-type]
    if x.kind == "i":
        return b.emit(f"fptosi {quotient!r} to <{x.lanes} x i32>", dt.int32, x.lanes)
    # below 2**32 the integer part can be read from the mantissa after adding 2**52, rounded down first
    return _low_bits(b, b.trunc(quotient))


def _low_bits(b: Emitter, whole: Value) -> Value:
    """uint32 of a float64 that is a whole number below 2**32."""
    shifted = b.add(whole, b.const(2.0**52, dt.float64, whole.lanes))
    return b.cast(b.bitcast(shifted, dt.uint64), dt.uint32)


def _remainder(b: Emitter, x: Value, y: Value) -> Value:
    """x - trunc(x / y) * y, with the sign of x; 0 where y is 0."""
    zero = b.cmp("eq", y, b.zero(y))
    return b.select(zero, b.zero(x), b.sub(x, b.mul(_truncated(b, x, y), y)))


def _wrong_side(b: Emitter, remainder: Value, y: Value) -> Value:
    """Where a truncated remainder and the divisor have different signs."""
    differ = b.cmp("lt", b.xor(remainder, y), b.zero(y))
    return b.and_(differ, b.cmp("ne", remainder, b.zero(y)))


def _floordiv(b: Emitter, x: Value, y: Value) -> Value:
    quotient = _truncated(b, x, y)
    if x.kind == "u":
        return quotient
    wrong = _wrong_side(b, b.sub(x, b.mul(quotient, y)), y)
    wrong = b.and_(wrong, b.cmp("ne", y, b.zero(y)))
    return b.select(wrong, b.sub(quotient, b.const(1, x.dtype, x.lanes)), quotient)  # type: ignore[arg-type]


def _modulo(b: Emitter, x: Value, y: Value) -> Value:
    rest = _remainder(b, x, y)
    return rest if x.kind == "u" else b.select(_wrong_side(b, rest, y), b.add(rest, y), rest)


def _shift_left(b: Emitter, x: Value, by: Value) -> Value:
    fits, amount = _amount(b, x, by)
    return b.select(fits, b.shl(x, amount), b.zero(x))


def _shift_right(b: Emitter, x: Value, by: Value) -> Value:
    fits, amount = _amount(b, x, by)
    if x.kind == "i":
        return b.shr(x, b.select(fits, amount, b.const(x.dtype.bits - 1, x.dtype, x.lanes)))  # type: ignore[union-attr, arg-type]
    return b.select(fits, b.shr(x, amount), b.zero(x))


def _amount(b: Emitter, x: Value, by: Value) -> tuple[Value, Value]:
    """Whether the shift amount is below the width (a negative one is not), and an amount that always is."""
    bits = x.dtype.bits  # type: ignore[union-attr]
    unsigned = b.bitcast(by, dt.from_kind("u", bits))
    fits = b.cmp("lt", unsigned, b.const(bits, unsigned.dtype, x.lanes))  # type: ignore[arg-type]
    return fits, b.select(fits, by, b.zero(by))


def _multiply_high(b: Emitter, x: Value, y: Value) -> Value:
    """The upper half of the double-width product, read as unsigned."""
    dtype: DType = x.dtype  # type: ignore[assignment]
    unsigned = dt.from_kind("u", dtype.bits)
    x, y = b.bitcast(x, unsigned), b.bitcast(y, unsigned)
    if dtype.bits < 64:
        wide = dt.from_kind("u", 2 * dtype.bits)
        return b.bitcast(b.cast(b.shr(b.mul(b.cast(x, wide), b.cast(y, wide)), dtype.bits), unsigned), dtype)
    if x.lanes == 1:  # one instruction of the CPU
        wider = [b.emit(f"zext {v!r} to i128", None).text for v in (x, y)]
        product = b.emit(f"mul i128 {wider[0]}, {wider[1]}", None).text
        return b.bitcast(b.emit(f"trunc i128 {b.emit(f'lshr i128 {product}, 64', None).text} to i64", unsigned), dtype)
    low = b.const(0xFFFFFFFF, unsigned, x.lanes)
    (x0, x1), (y0, y1) = ((b.and_(v, low), b.shr(v, 32)) for v in (x, y))
    across, back = b.mul(x1, y0), b.mul(x0, y1)
    middle = b.add(b.shr(b.mul(x0, y0), 32), b.add(b.and_(across, low), b.and_(back, low)))
    high = b.add(b.add(b.mul(x1, y1), b.shr(middle, 32)), b.add(b.shr(across, 32), b.shr(back, 32)))
    return b.bitcast(high, dtype)


def _integer_power(b: Emitter, x: Value, y: Value) -> Value:
    """x**y by squaring, wrapping; a negative exponent gives the truncated reciprocal (0, 1 or -1)."""
    dtype: DType = x.dtype  # type: ignore[assignment]
    one = b.const(1, dtype, x.lanes)
    with b.loop(0, dtype.bits - (dtype.kind == "i"), 1, [one, x, y]) as turn:
        total, square, exponent = turn.values
        odd = b.cmp("ne", b.and_(exponent, one), b.zero(one))
        turn.next = [b.select(odd, b.mul(total, square), total), b.mul(square, square), b.shr(exponent, 1)]
    result = turn.results[0]
    if dtype.kind == "u":
        return result
    odd = b.cmp("ne", b.and_(y, one), b.zero(one))
    unit = b.select(b.cmp("eq", x, one), one, b.select(b.cmp("eq", x, b.neg(one)), b.select(odd, b.neg(one), one), b.zero(x)))
    return b.select(b.cmp("lt", y, b.zero(y)), unit, result)


def _integer_sign(b: Emitter, x: Value) -> Value:
    one = b.const(1, x.dtype, x.lanes)  # type: ignore[arg-type]
    positive = b.select(b.cmp("gt", x, b.zero(x)), one, b.zero(x))
    return positive if x.kind == "u" else b.select(b.cmp("lt", x, b.zero(x)), b.neg(one), positive)


# -- floats --------------------------------------------------------------------------------------
def _float_sign(b: Emitter, x: Value) -> Value:
    """-1, 0 (of either zero), 1; NaN stays NaN."""
    one = b.const(1, x.dtype, x.lanes)  # type: ignore[arg-type]
    out = b.select(b.cmp("gt", x, b.zero(x)), one, b.select(b.cmp("lt", x, b.zero(x)), b.neg(one), b.zero(x)))
    return b.select(b.cmp("uno", x, x), x, out)


def _rsqrt(b: Emitter, x: Value) -> Value:
    return b.div(b.const(1, x.dtype, x.lanes), b.sqrt(x))  # type: ignore[arg-type]


def _same(b: Emitter, x: Value) -> Value:
    return x


_SIMPLE: dict[str, Callable[..., Value]] = {
    "add": Emitter.add, "sub": Emitter.sub, "mul": Emitter.mul, "neg": Emitter.neg, "abs": Emitter.abs,
    "min": Emitter.min, "max": Emitter.max, "and": Emitter.and_, "or": Emitter.or_, "xor": Emitter.xor, "not": Emitter.not_,
    "select": Emitter.select, "eq": lambda b, x, y: b.cmp("eq", x, y), "ne": lambda b, x, y: b.cmp("ne", x, y),
    "lt": lambda b, x, y: b.cmp("lt", x, y), "le": lambda b, x, y: b.cmp("le", x, y),
}  # fmt: skip

_INTEGER: dict[str, Callable[..., Value]] = {
    "div": _truncated, "rem": _remainder, "floordiv": _floordiv, "mod": _modulo, "fma": lambda b, x, y, z: b.add(b.mul(x, y), z),
    "sign": _integer_sign, "floor": _same, "ceil": _same, "trunc": _same, "rint": _same, "shl": _shift_left, "shr": _shift_right,
    "mulhi": _multiply_high, "pow": _integer_power,
}  # fmt: skip

#: What depends on the kind of the operands (of the last one, for ``select``).
_SPECIAL: dict[tuple[str, str], Callable[..., Value]] = {
    **{(name, kind): emit for name, emit in _INTEGER.items() for kind in "iu"},
    ("div", "f"): Emitter.div, ("fma", "f"): Emitter.fma, ("sign", "f"): _float_sign, ("sqrt", "f"): Emitter.sqrt,
    ("rsqrt", "f"): _rsqrt, ("copysign", "f"): Emitter.copysign, ("floor", "f"): Emitter.floor, ("ceil", "f"): Emitter.ceil,
    ("trunc", "f"): Emitter.trunc, ("rint", "f"): Emitter.rint,
    ("add", "b"): Emitter.or_, ("mul", "b"): Emitter.and_, ("sub", "b"): Emitter.xor, ("min", "b"): Emitter.and_,
    ("max", "b"): Emitter.or_, ("abs", "b"): _same, ("lt", "b"): lambda b, x, y: b.and_(b.not_(x), y),
    ("le", "b"): lambda b, x, y: b.or_(b.not_(x), y),
}  # fmt: skip
