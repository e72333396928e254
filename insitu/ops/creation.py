"""Values made from nothing: constants, positions, random bits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.dtypes import DType
from insitu.errors import InternalError
from insitu.graph.node import REGISTRY, Attrs, Aval, Load, Node, Primitive, apply, aval, register
from insitu.ops.elementwise import Sample, Values
from insitu.ops.rules import checked_shape, literal, literal_value, normal_axis


@register
class Constant(Primitive):
    name = "constant"
    meaning = "one number, a scalar"
    attributes = ("value", "dtype")
    arity = 0
    kind = "view"
    no_gradient = "it has no inputs"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        return aval((), attrs[1])

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        return np.asarray(literal_value(*attrs), attrs[1].numpy)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        return nest.const(literal_value(*node.attrs), node.attrs[1])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        values: Sequence[tuple[Any, DType]] = (
            (0.1, dt.float32), (-0.0, dt.float64), (1e30, dt.float16), (float("nan"), dt.float32), (3.14159, dt.bfloat16),
            (1 / 3, dt.float64), (True, dt.bool_), (-5, dt.int8), (2**64 - 1, dt.uint64), (float("-inf"), dt.float32),
        )  # fmt: skip
        for value, dtype in values:
            yield (literal(value, dtype), dtype), ()


_CONSTANT = REGISTRY["constant"]


def constant(value: Any, dtype: DType) -> Node:
    """A scalar constant, rounded to the dtype.

    Raises
    ------
    ArgumentError
        If an integer dtype cannot hold the value.
    """
    return Node(_CONSTANT, (), (literal(value, dtype), dtype), aval((), dtype))


@register
class Iota(Primitive):
    name = "iota"
    meaning = "the position along an axis"
    attributes = ("shape", "axis", "dtype")
    arity = 0
    kind = "view"
    no_gradient = "it has no inputs"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        return aval(attrs[0], attrs[2])

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        shape, axis, dtype = attrs
        column = [1] * len(shape)
        column[axis] = shape[axis]
        return np.broadcast_to(np.arange(shape[axis]).reshape(column), shape).astype(dtype.numpy)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        return nest.cast(index[node.attrs[1]], node.attrs[2])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for attrs in (((7,), 0, dt.int64), ((3, 5), 1, dt.float32), ((2, 3, 4), 1, dt.uint8), ((0, 2), 1, dt.int32)):
            yield attrs, ()


_IOTA = REGISTRY["iota"]


def iota(shape: Sequence[int], axis: int = 0, dtype: DType = dt.int64) -> Node:
    """The position along an axis, of a numeric dtype.

    Raises
    ------
    ShapeError
        If the shape has no such axis.
    """
    checked = checked_shape("arange", shape)
    return apply(_IOTA, (), (checked, normal_axis("arange", axis, aval(checked, dtype)), dtype))


#: Elements that share blocks of four words.
BLOCKS = 1024
_M0, _M1, _W0, _W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85


def _word(value: int) -> nest.Expr:
    return nest.const(value, dt.uint32)


@register
class RandomBits(Primitive):
    """Philox-4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    The key is the input. Elements share the four words of a block, 256 elements by 256: element f is word ``f // 256 % 4`` of the
    block whose counter is ``f // 1024 * 256 + f % 256`` in two 32-bit words (and two zeros).
    """

    name = "random_bits"
    meaning = "32 random bits for each element, from its flat index and a key"
    attributes = ("shape",)
    kind = "view"
    no_gradient = "random bits do not depend smoothly on their key"

    def infer(self, attrs: Attrs, *avals: Aval) -> Aval:
        if avals[0] is not aval((2,), dt.uint32):
            raise InternalError(f"the key of random_bits is uint32[2], not {avals[0]}")
        return aval(attrs[0], dt.uint32)

    def reference(self, attrs: Attrs, *arrays: Values) -> Values:
        shape = attrs[0]
        count = int(np.prod(shape, dtype=np.int64))
        number = np.arange(-(-count // BLOCKS) * BLOCKS // 4, dtype=np.uint64)
        counter = [number & np.uint64(0xFFFFFFFF), number >> np.uint64(32), np.zeros_like(number), np.zeros_like(number)]
        words = np.stack([w.reshape(-1, BLOCKS // 4) for w in philox(counter, [int(k) for k in arrays[0]])], axis=1)
        return words.reshape(-1)[:count].reshape(shape)

    def element(self, node: Node, index: tuple[nest.Expr, ...], load: Load, guard: nest.Expr | None) -> nest.Expr:
        flat, stride = nest.index(0), 1
        for at, extent in zip(reversed(index), reversed(node.shape), strict=True):
            flat = nest.op("add", flat, nest.op("mul", at, nest.index(stride)))
            stride *= extent
        part = nest.index(BLOCKS // 4)
        whole, rest = nest.op("floordiv", flat, nest.index(BLOCKS)), nest.op("mod", flat, part)
        counter = nest.op("add", nest.op("mul", whole, part), rest)
        low = nest.cast(counter, dt.uint32)
        high = nest.cast(nest.op("shr", counter, nest.index(32)), dt.uint32) if stride > 1 << 34 else _word(0)
        words: list[nest.Expr] = [low, high, _word(0), _word(0)]
        keys = [load(0, (nest.index(k),), guard) for k in (0, 1)]
        for turn in range(10):
            first = (nest.op("mulhi", words[0], _word(_M0)), nest.op("mul", words[0], _word(_M0)))
            second = (nest.op("mulhi", words[2], _word(_M1)), nest.op("mul", words[2], _word(_M1)))
            step = [nest.op("add", k, _word(turn * w & 0xFFFFFFFF)) for k, w in zip(keys, (_W0, _W1), strict=True)]
            words = [
                nest.op("xor", nest.op("xor", second[0], words[1]), step[0]), second[1],
                nest.op("xor", nest.op("xor", first[0], words[3]), step[1]), first[1],
            ]  # fmt: skip
        return nest.pick(nest.op("mod", nest.op("floordiv", flat, part), nest.index(4)), 4, words.__getitem__)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield ((1,),), (np.zeros(2, np.uint32),)
        for shape in ((), (5,), (3, 4), (2, 1, 3), (0, 2), (5, 513), (4, 512)):
            yield (shape,), (rng.integers(0, 1 << 32, 2, dtype=np.uint32),)


_RANDOM_BITS = REGISTRY["random_bits"]


def philox(counter: Sequence[Values], key: Sequence[int]) -> list[Values]:
    """The four words of Philox-4x32-10 for arrays of counter words (uint64 holding 32 bits), in NumPy."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        a, b = x0 * np.uint64(_M0), x2 * np.uint64(_M1)
        x0, x1, x2, x3 = (b >> shift) ^ x1 ^ np.uint64(k0), b & low, (a >> shift) ^ x3 ^ np.uint64(k1), a & low
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return [np.asarray(x).astype(np.uint32) for x in (x0, x1, x2, x3)]


def random_bits(key: Node, shape: Sequence[int]) -> Node:
    """32 random bits for each element of the shape, from a key of two uint32."""
    return apply(_RANDOM_BITS, (key,), (checked_shape("random", shape),))
