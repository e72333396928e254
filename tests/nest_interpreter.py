"""A plain interpreter of loop-nest expressions: NumPy arrays of axis positions in, an array of values out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from insitu.codegen import nest
from insitu.dtypes import DType

Values = np.ndarray[Any, Any]


def run(x: nest.Expr, axes: Mapping[str, Values], buffers: Mapping[str, Values]) -> Values:
    """The expression at every position at once. ``axes`` are int64 arrays of one length; ``buffers`` are flat.

    A load outside of its buffer where the guard is true fails.
    """
    n = len(next(iter(axes.values()))) if axes else 1
    memo: dict[nest.Expr, Values] = {}

    def value(e: nest.Expr) -> Values:
        if e not in memo:
            with np.errstate(all="ignore"):
                out = evaluated(e)
            assert out.dtype == e.dtype.numpy, (e, out.dtype)
            if e.lo is not None and out.size:
                assert out.min() >= e.lo
            if e.hi is not None and out.size:
                assert out.max() <= e.hi
            memo[e] = out
        return memo[e]

    def evaluated(e: nest.Expr) -> Values:
        if e.op == "const":
            return np.full(n, e.attr, e.dtype.numpy)
        if e.op == "axis":
            return axes[e.attr].astype(np.int64)
        if e.op == "load":
            return load(e, buffers[e.attr])
        args = [value(a) for a in e.args]
        if e.op == "cast":
            return cast(args[0], e.dtype)
        if e.op == "bitcast":
            return args[0].view(e.dtype.numpy)
        if e.op == "select":
            return np.where(*args)
        return operation(e.op, args, e.args[0].dtype).astype(e.dtype.numpy)

    def load(e: nest.Expr, buffer: Values) -> Values:
        assert buffer.dtype == e.dtype.numpy
        at = value(e.args[0])
        inside = value(e.args[1]) if len(e.args) > 1 else np.ones(n, bool)
        assert ((at[inside] >= 0) & (at[inside] < buffer.size)).all(), f"{e} reads outside of its buffer"
        out = np.zeros(n, e.dtype.numpy)
        out[inside] = buffer[at[inside]]
        return out

    return value(x)


def cast(x: Values, dtype: DType) -> Values:
    """Conversion with saturation, and to 16-bit floats from float64 in one rounding."""
    if dtype.is_integer and x.dtype.kind not in "biu":
        exact = [0 if math.isnan(v) else max(dtype.min, min(dtype.max, int(v) if math.isfinite(v) else (dtype.max if v > 0 else dtype.min)))
                 for v in x.astype(np.float64).tolist()]  # fmt: skip
        return np.array(exact, dtype.numpy)
    if dtype.kind == "f" and dtype.bits == 16 and x.dtype == np.float64:
        near = x.astype(np.float32)
        bits = near.view(np.uint32)
        far = np.where(np.abs(near.astype(np.float64)) > np.abs(x), bits - 1, bits) | (near.astype(np.float64) != x)
        x = far.astype(np.uint32).view(np.float32)
    return x.astype(dtype.numpy)


_FUNCTIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "rem": np.fmod, "floordiv": np.floor_divide, "mod": np.mod,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "min": np.minimum, "max": np.maximum, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "rint": np.rint, "copysign": np.copysign, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert, "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip
_SMOOTH = {
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "erf": np.vectorize(math.erf, otypes=[np.float64]), "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power,
}  # fmt: skip


def operation(name: str, args: list[Values], dtype: DType) -> Values:
    """One pure operation in the operands' dtype; smooth functions through float64."""
    if name == "mulhi":
        return ((args[0].astype(np.uint64) * args[1].astype(np.uint64)) >> np.uint64(32)).astype(dtype.numpy)
    if name == "pow" and dtype.is_integer:
        return np.array([_power(x, y, dtype) for x, y in zip(args[0].tolist(), args[1].tolist(), strict=True)], dtype.numpy)
    if name in ("floordiv", "mod", "rem") and dtype.is_integer:
        whole = {"floordiv": lambda x, y: x // y, "mod": lambda x, y: x % y, "rem": lambda x, y: int(math.copysign(1, x)) * (abs(x) % abs(y))}[name]
        exact = [whole(x, y) if y else 0 for x, y in zip(args[0].tolist(), args[1].tolist(), strict=True)]
        return np.array([_wrapped(v, dtype) for v in exact], dtype.numpy)
    if name in _SMOOTH:
        return np.asarray(_SMOOTH[name](*[a.astype(np.float64) for a in args]))
    return np.asarray(_FUNCTIONS[name](*args))


def _power(x: int, y: int, dtype: DType) -> int:
    out = x**y if y >= 0 else 0 if x == 0 else int(float(x) ** y)
    return _wrapped(out, dtype)


def _wrapped(value: int, dtype: DType) -> int:
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.kind == "i" and value >> (dtype.bits - 1) else value
