"""From random bits to distributions: pure functions of a key, a shape and a dtype, on nodes."""

from __future__ import annotations

import math

from insitu import dtypes as dt
from insitu import ops
from insitu.array import scalars
from insitu.dtypes import DType
from insitu.graph.node import Node

Shape = tuple[int, ...]

_TWO32 = 1 << 32
_WORD = 0xFFFFFFFF

# Giles, "Approximating the erfinv function", GPU Computing Gems (Jade), 2011, table 5: polynomials in
# w - 2.5 for w < 5 and in sqrt(w) - 3 above, where w = -log((1 - x)(1 + x)), highest power first.
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _c(value: float, like: Node) -> Node:
    return scalars.constant(value, like.aval.dtype)


def _two_words(key: Node, shape: Shape) -> tuple[Node, Node]:
    """Two random words for each element: those at twice its position, and the next."""
    bits = ops.random_bits(key, (*shape, 2))
    zeros = (0,) * len(shape)
    first = ops.slice_(bits, (*zeros, 0), (*shape, 1))
    second = ops.slice_(bits, (*zeros, 1), (*shape, 2))
    return ops.reshape(first, shape), ops.reshape(second, shape)


def bits64(key: Node, shape: Shape) -> Node:
    """64 random bits for each element, uint64."""
    high, low = (ops.cast(w, dt.uint64) for w in _two_words(key, shape))
    return ops.or_(ops.shl(high, _c(32, high)), low)


def _top_bits(word: Node, count: int, dtype: DType) -> Node:
    """The highest ``count`` bits of each word as a float, exact."""
    wide = dt.int64 if word.aval.dtype.bits == 64 else dt.int32
    # through a signed type: vectors convert those to floats, and the sign bit is clear
    whole = ops.bitcast(ops.shr(word, _c(word.aval.dtype.bits - count, word)), wide)
    return ops.cast(whole, dtype)


def uniform(key: Node, shape: Shape, dtype: DType) -> Node:
    """Multiples of 2^-b in [0, 1), where b is the width of the type's significand."""
    if dtype is dt.float64:
        unit = _top_bits(bits64(key, shape), 53, dtype)
        return ops.mul(unit, _c(2.0**-53, unit))
    count = {dt.float32: 24, dt.float16: 11, dt.bfloat16: 8}[dtype]
    unit = _top_bits(ops.random_bits(key, shape), count, dt.float32)
    return ops.cast(ops.mul(unit, _c(2.0**-count, unit)), dtype)


def _open_uniform(key: Node, shape: Shape, dtype: DType) -> Node:
    """Uniform numbers in (0, 1]: 1 - u, exact."""
    unit = uniform(key, shape, dtype)
    return ops.sub(_c(1.0, unit), unit)


def normal_from(key: Node, shape: Shape, dtype: DType) -> Node:
    """Standard normal numbers."""
    if dtype is dt.float64:
        both = bits64(key, (*shape, 2))
        zeros = (0,) * len(shape)
        first = ops.reshape(ops.slice_(both, (*zeros, 0), (*shape, 1)), shape)
        second = ops.reshape(ops.slice_(both, (*zeros, 1), (*shape, 2)), shape)
        u = _top_bits(first, 53, dtype)
        u = ops.mul(ops.add(u, _c(1.0, u)), _c(2.0**-53, u))
        angle = ops.mul(_top_bits(second, 53, dtype), _c(2 * math.pi * 2.0**-53, u))
        return ops.mul(ops.sqrt(ops.mul(ops.log(u), _c(-2.0, u))), ops.cos(angle))
    unit = _top_bits(ops.random_bits(key, shape), 24, dt.float32)
    # odd multiples of 2^-24 between -1 and 1, none of them 0 or an end
    x = ops.sub(ops.mul(ops.add(unit, _c(0.5, unit)), _c(2.0**-23, unit)), _c(1.0, unit))
    return ops.cast(ops.mul(inverse_erf(x), _c(math.sqrt(2), x)), dtype)


def inverse_erf(x: Node) -> Node:
    """The number whose error function is x, for float32; relative error about 1e-6."""
    one = _c(1.0, x)
    w = ops.neg(ops.log(ops.mul(ops.sub(one, x), ops.add(one, x))))
    centre = _polynomial(ops.sub(w, _c(2.5, x)), _CENTRE)
    tail = _polynomial(ops.sub(ops.sqrt(ops.max_(w, _c(5.0, x))), _c(3.0, x)), _TAIL)
    return ops.mul(ops.where(ops.lt(w, _c(5.0, x)), centre, tail), x)


def _polynomial(x: Node, coefficients: tuple[float, ...]) -> Node:
    out = _c(coefficients[0], x)
    for c in coefficients[1:]:
        out = ops.add(ops.mul(out, x), _c(c, x))
    return out


def truncated_from(key: Node, shape: Shape, dtype: DType, low: float, high: float) -> Node:
    """Standard normal numbers restricted to [low, high]: the inverse error function of a uniform number."""
    kind = dtype.compute
    a, b = math.erf(low / math.sqrt(2)), math.erf(high / math.sqrt(2))
    unit = uniform(key, shape, kind)
    x = ops.add(ops.mul(unit, _c(b - a, unit)), _c(a, unit))
    limit = 1.0 - 2.0**-24
    narrow = ops.min_(ops.max_(ops.cast(x, dt.float32), scalars.constant(-limit, dt.float32)), scalars.constant(limit, dt.float32))
    out = ops.cast(inverse_erf(narrow), kind)
    if kind is dt.float64:
        for _ in range(2):  # Newton's steps from float32 to float64
            slope = ops.mul(ops.exp(ops.neg(ops.mul(out, out))), _c(2 / math.sqrt(math.pi), out))
            out = ops.sub(out, ops.div(ops.sub(ops.erf(out), x), slope))
    out = ops.mul(out, _c(math.sqrt(2), out))
    return ops.cast(ops.min_(ops.max_(out, _c(low, out)), _c(high, out)), dtype)


def exponential_from(key: Node, shape: Shape, dtype: DType, positive: bool = False) -> Node:
    """Exponential numbers of mean 1; 0 among them only if not ``positive``."""
    kind = dtype.compute
    if positive:
        count = 53 if kind is dt.float64 else 24
        word = bits64(key, shape) if kind is dt.float64 else ops.random_bits(key, shape)
        u = _top_bits(word, count - 1, kind)
        return ops.cast(ops.neg(ops.log(ops.mul(ops.add(u, _c(0.5, u)), _c(2.0 ** (1 - count), u)))), dtype)
    return ops.cast(ops.abs(ops.log(_open_uniform(key, shape, kind))), dtype)


def integers_below(key: Node, shape: Shape, count: int, first: int, dtype: DType) -> Node:
    """Whole numbers from ``first``, ``count`` of them: the upper half of 64 random bits times ``count``."""
    if count == _TWO32 * _TWO32:
        out = bits64(key, shape)
    else:
        high, low = (ops.cast(w, dt.uint64) for w in _two_words(key, shape))
        shift, mask = _c(32, high), _c(_WORD, high)
        top, bottom = _c(count >> 32, high), _c(count & _WORD, high)
        carry = ops.add(ops.mul(high, bottom), ops.shr(ops.mul(low, bottom), shift))
        out = ops.shr(carry, shift)
        if count >= _TWO32:
            middle = ops.add(ops.mul(low, top), ops.and_(carry, mask))
            out = ops.add(ops.add(ops.mul(high, top), out), ops.shr(middle, shift))
    out = ops.add(out, _c(first % (_TWO32 * _TWO32), out))
    return ops.cast(out if dtype.kind == "u" else ops.bitcast(out, dt.int64), dtype)
