"""Rules for element-wise nodes that keep every bit of the result.

For floats that excludes ``x + 0`` (it turns -0.0 into 0.0), ``x * 0`` and ``x - x`` (NaN, infinities)
and everything that changes the order of roundings. Integers wrap, so their algebra is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from insitu import dtypes as dt
from insitu import ops
from insitu.dtypes import DType
from insitu.graph.node import Node
from insitu.ops.rules import literal_value

Rule = Callable[[Node], Node | None]


def value_of(x: Node) -> float | int | bool | None:
    """The number that every element of the node is, where that is a constant."""
    while x.prim.name == "broadcast_to" and x.memory is None:
        x = x.inputs[0]
    if x.prim.name != "constant" or x.memory is not None:
        return None
    return literal_value(x.attrs[0], x.attrs[1])


def _is(x: Node, name: str) -> bool:
    return x.memory is None and x.prim.name == name


def _stretched(x: Node, like: Node) -> Node:
    return ops.broadcast_to(x, like.shape)


def _all(value: float | int | bool, like: Node) -> Node:
    return ops.full(like.shape, value, like.dtype)


def _plain_zero(value: float | int | bool | None) -> bool:
    """0, but not -0.0."""
    return value is not None and value == 0 and math.copysign(1, value) > 0


def _negative_zero(value: float | int | bool | None) -> bool:
    return value is not None and value == 0 and math.copysign(1, value) < 0


def drop_identity(node: Node) -> Node | None:
    """Identities have done their work when gradients have been taken.

    ::

        %1 = stop_gradient(%0): float32[3]
        %2 = exp(%1): float32[3]

        %1 = exp(%0): float32[3]
    """
    return node.inputs[0]


def neutral_add(node: Node) -> Node | None:
    """Leave out a neutral term; for floats that is -0.0.

    ::

        %1 = constant(value=-0.0, dtype=float32): float32[]
        %2 = add(%0, %1): float32[3]

        %0
    """
    for x, y in (node.inputs, node.inputs[::-1]):
        value = value_of(y)
        if value is not None and value == 0 and (not node.dtype.is_float or _negative_zero(value)):
            return _stretched(x, node)
    return None


def neutral_sub(node: Node) -> Node | None:
    """Leave out ``- 0``; integers also cancel.

    ::

        %1 = constant(value=0.0, dtype=float32): float32[]
        %2 = sub(%0, %1): float32[3]

        %0
    """
    a, b = node.inputs
    if _plain_zero(value_of(b)):
        return _stretched(a, node)
    if a is b and not node.dtype.is_float:
        return _all(0, node)
    return None


def signed_terms(node: Node) -> Node | None:
    """Put a term's sign into the operation.

    ::

        %2 = neg(%1): float32[3]
        %3 = add(%0, %2): float32[3]

        %2 = sub(%0, %1): float32[3]
    """
    a, b = node.inputs
    if _is(b, "neg"):
        return (ops.sub if node.prim.name == "add" else ops.add)(a, b.inputs[0])
    if _is(a, "neg") and node.prim.name == "add":
        return ops.sub(b, a.inputs[0])
    return None


def neutral_mul(node: Node) -> Node | None:
    """Leave out ``* 1``; integers times 0 are 0.

    ::

        %1 = constant(value=1.0, dtype=float32): float32[]
        %2 = mul(%0, %1): float32[3]

        %0
    """
    for x, y in (node.inputs, node.inputs[::-1]):
        value = value_of(y)
        if value is not None and value == 1:
            return _stretched(x, node)
        if value is not None and value == 0 and not node.dtype.is_float:
            return _all(0, node)
    return None


def signed_factors(node: Node) -> Node | None:
    """Two minus signs cancel.

    ::

        %2 = neg(%0): float32[3]
        %3 = neg(%1): float32[3]
        %4 = mul(%2, %3): float32[3]

        %2 = mul(%0, %1): float32[3]
    """
    a, b = node.inputs
    if not (_is(a, "neg") and _is(b, "neg")):
        return None
    return (ops.mul if node.prim.name == "mul" else ops.div)(a.inputs[0], b.inputs[0])


def integer_chain(node: Node) -> Node | None:
    """Join the constants of integer sums and products.

    ::

        %1 = constant(value=2, dtype=int32): int32[]
        %2 = add(%0, %1): int32[3]
        %3 = constant(value=5, dtype=int32): int32[]
        %4 = add(%2, %3): int32[3]

        %1 = constant(value=7, dtype=int32): int32[]
        %2 = add(%0, %1): int32[3]
    """
    if node.dtype.is_float:
        return None
    operation = ops.add if node.prim.name == "add" else ops.mul
    for x, c in (node.inputs, node.inputs[::-1]):
        if value_of(c) is not None and _is(x, node.prim.name):
            for y, d in (x.inputs, x.inputs[::-1]):
                if value_of(d) is not None:
                    return _stretched(operation(y, operation(d, c)), node)
    return None


def easy_division(node: Node) -> Node | None:
    """Divide by 1 not at all, and by a power of two by multiplying.

    ::

        %1 = constant(value=8.0, dtype=float32): float32[]
        %2 = div(%0, %1): float32[3]

        %1 = constant(value=0.125, dtype=float32): float32[]
        %2 = mul(%0, %1): float32[3]
    """
    value = value_of(node.inputs[1])
    if value is None or value == 0 or not math.isfinite(value):
        return None
    if value == 1:
        return _stretched(node.inputs[0], node)
    most = 2.0 ** (14 if node.dtype is dt.float16 else 126)  # its reciprocal is a normal number, too
    if abs(math.frexp(value)[0]) == 0.5 and 1 / most <= abs(value) <= most:
        return ops.mul(node.inputs[0], ops.full(node.inputs[1].shape, 1 / value, node.dtype))
    return None


def integer_division(node: Node) -> Node | None:
    """Whole division by 1, and its remainder.

    ::

        %1 = constant(value=1, dtype=int32): int32[]
        %2 = mod(%0, %1): int32[3]

        %2 = constant(value=0, dtype=int32): int32[]
        %3 = broadcast_to(%2, shape=(3,)): int32[3]
    """
    if node.dtype.is_float or value_of(node.inputs[1]) != 1:
        return None
    return _stretched(node.inputs[0], node) if node.prim.name == "floordiv" else _all(0, node)


def small_power(node: Node) -> Node | None:
    """Multiply instead of raising to the power 0, 1, 2 or 3; divide for -1.

    ::

        %1 = constant(value=2.0, dtype=float32): float32[]
        %2 = pow(%0, %1): float32[3]

        %1 = mul(%0, %0): float32[3]
    """
    x = node.inputs[0]
    value = value_of(node.inputs[1])
    if value is None or value not in (-1, 0, 1, 2, 3) or (value == -1 and not node.dtype.is_float):
        return None
    if node.dtype.compute is not node.dtype and value == 3:
        return None  # the square would be rounded to 16 bits in between
    if value == 0:
        return _all(1, node)
    if value == -1:
        return _stretched(ops.div(ops.constant(1, node.dtype), x), node)
    out = x
    for _ in range(int(value) - 1):
        out = ops.mul(out, x)
    return _stretched(out, node)


def twice(node: Node) -> Node | None:
    """An operation that undoes itself.

    ::

        %1 = neg(%0): float32[3]
        %2 = neg(%1): float32[3]

        %0
    """
    return node.inputs[0].inputs[0] if _is(node.inputs[0], node.prim.name) else None


def plain_absolute(node: Node) -> Node | None:
    """The absolute value forgets a sign.

    ::

        %1 = neg(%0): float32[3]
        %2 = abs(%1): float32[3]

        %1 = abs(%0): float32[3]
    """
    x = node.inputs[0]
    if _is(x, "abs"):
        return x
    return ops.abs(x.inputs[0]) if _is(x, "neg") else None


def same_choice(node: Node) -> Node | None:
    """A choice between equals, or already made, or by a negated condition.

    ::

        %2 = where(%0, %1, %1): float32[3]

        %1
    """
    condition, a, b = node.inputs
    known = value_of(condition)
    if a is b or known is not None:
        return _stretched(a if a is b or known else b, node)
    return ops.where(condition.inputs[0], b, a) if _is(condition, "not") else None


def same_extreme(node: Node) -> Node | None:
    """The larger, or smaller, of one and the same; the same bits of it.

    ::

        %1 = max(%0, %0): float32[3]

        %0
    """
    return node.inputs[0] if node.inputs[0] is node.inputs[1] else None


def same_compared(node: Node) -> Node | None:
    """Comparisons of an integer with itself (a float could be NaN).

    ::

        %1 = eq(%0, %0): bool[3]

        %1 = constant(value=True, dtype=bool): bool[]
        %2 = broadcast_to(%1, shape=(3,)): bool[3]
    """
    a, b = node.inputs
    return _all(node.prim.name in ("eq", "le"), node) if a is b and not a.dtype.is_float else None


def neutral_bits(node: Node) -> Node | None:
    """Logic with constants and with itself.

    ::

        %1 = constant(value=True, dtype=bool): bool[]
        %2 = and(%0, %1): bool[3]

        %0
    """
    name, full = node.prim.name, True if node.dtype is dt.bool_ else -1 if node.dtype.kind == "i" else node.dtype.max
    a, b = node.inputs
    if a is b:
        return _all(0, node) if name == "xor" else a
    for x, y in ((a, b), (b, a)):
        value = value_of(y)
        if value is not None and value == (full if name == "and" else 0):
            return _stretched(x, node)
        if value is not None and name != "xor" and value == (0 if name == "and" else full):
            return _all(value, node)
    return None


def no_shift(node: Node) -> Node | None:
    """Leave out a shift by 0.

    ::

        %1 = constant(value=0, dtype=int32): int32[]
        %2 = shl(%0, %1): int32[3]

        %0
    """
    return _stretched(node.inputs[0], node) if value_of(node.inputs[1]) == 0 else None


def _holds_all(small: DType, big: DType) -> bool:
    """Whether every value of one dtype is a value of the other."""
    if small.kind == "b" or small is big:
        return True
    if big.kind == "f":
        digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[big.name]
        if small.kind != "f":
            return small.bits - (small.kind == "i") <= digits
        return big.bits > small.bits
    return small.is_integer and big.is_integer and small.min >= big.min and small.max <= big.max


def cast_chain(node: Node) -> Node | None:
    """Go straight to the last dtype where the one between loses nothing, or nothing that the last one keeps.

    ::

        %1 = cast(%0, dtype=float32): float32[3]
        %2 = cast(%1, dtype=float16): float16[3]

        %0
    """
    if not _is(node.inputs[0], "cast"):
        return None
    x, middle, last = node.inputs[0].inputs[0], node.inputs[0].dtype, node.dtype
    if x.dtype.is_integer and middle.is_integer and last.is_integer and middle.bits >= last.bits:
        return ops.cast(x, last)
    # wide integers reach 16-bit floats through float32: another rounding than the one from float64
    twice_rounded = x.dtype.is_integer and x.dtype.bits >= 32 and last.is_float and last.bits == 16 and middle is dt.float64
    return ops.cast(x, last) if _holds_all(x.dtype, middle) and not twice_rounded else None


RULES: Mapping[str, Sequence[Rule]] = {
    "identity": (drop_identity,),
    "stop_gradient": (drop_identity,),
    "add": (neutral_add, signed_terms, integer_chain),
    "sub": (neutral_sub, signed_terms),
    "mul": (neutral_mul, signed_factors, integer_chain),
    "div": (easy_division, signed_factors),
    "floordiv": (integer_division,),
    "mod": (integer_division,),
    "fmod": (integer_division,),
    "pow": (small_power,),
    "neg": (twice,),
    "not": (twice,),
    "abs": (plain_absolute,),
    "max": (same_extreme,),
    "min": (same_extreme,),
    "where": (same_choice,),
    "eq": (same_compared,),
    "ne": (same_compared,),
    "lt": (same_compared,),
    "le": (same_compared,),
    "and": (neutral_bits,),
    "or": (neutral_bits,),
    "xor": (neutral_bits,),
    "shl": (no_shift,),
    "shr": (no_shift,),
    "cast": (cast_chain,),
}
