"""The operations room: every primitive, each with its shape rule, gradient, reference and lowering, and functions on nodes.

Functions promote dtypes, normalise axes, leave out what changes nothing, and return a `Node`.
"""

from insitu.ops.arithmetic import abs, add, copysign, div, floordiv, fmod, max_, min_, mod, mul, neg, pow, sign, sub
from insitu.ops.composed import full, isfinite, isinf, isnan, ones_like, square, sum_to, swap_last, zeros_like
from insitu.ops.contraction import matmul
from insitu.ops.conversion import bitcast, cast, identity, stop_gradient
from insitu.ops.convolution import conv, conv_input, conv_weight, max_pool, windows
from insitu.ops.creation import constant, iota, random_bits
from insitu.ops.exponential import erf, exp, expm1, log, log1p, rsqrt, sigmoid, sqrt, tanh
from insitu.ops.indexing import scatter, take, take_along_axis
from insitu.ops.logic import and_, eq, ge, gt, le, lt, ne, not_, or_, shl, shr, where, xor
from insitu.ops.mixing import conv_squares, conv_squares_weight, mix
from insitu.ops.panels import from_panels, to_panels
from insitu.ops.reduction import argmax, argmin, reduce_max, reduce_min, reduce_prod, reduce_sum
from insitu.ops.resampling import resample
from insitu.ops.rounding import ceil, floor, rint, trunc
from insitu.ops.scan import cumprod, cumsum
from insitu.ops.shaping import broadcast_to, permute, reshape
from insitu.ops.slicing import concat, flip, pad, slice_
from insitu.ops.sorting import argsort, sort
from insitu.ops.trigonometric import acos, acosh, asin, asinh, atan, atan2, atanh, cos, cosh, sin, sinh, tan

__all__ = [
    "abs", "acos", "acosh", "add", "and_", "argmax", "argmin", "argsort", "asin", "asinh", "atan", "atan2", "atanh", "bitcast",
    "broadcast_to", "cast", "ceil", "concat", "constant", "conv", "conv_input", "conv_squares", "conv_squares_weight",
    "conv_weight", "copysign", "cos", "cosh", "cumprod", "cumsum", "div", "eq", "erf", "exp", "expm1", "flip", "floor", "floordiv",
    "fmod", "from_panels", "full", "ge", "gt", "identity", "iota", "isfinite", "isinf", "isnan", "le", "log", "log1p", "lt",
    "matmul", "max_", "max_pool", "min_", "mix", "mod", "mul", "ne", "neg", "not_", "ones_like", "or_", "pad", "permute", "pow",
    "random_bits", "reduce_max", "reduce_min", "reduce_prod", "reduce_sum", "resample", "reshape", "rint", "rsqrt", "scatter",
    "shl", "shr", "sigmoid", "sign", "sin", "sinh", "slice_", "sort", "sqrt", "square", "stop_gradient", "sub", "sum_to",
    "swap_last", "take", "take_along_axis", "tan", "tanh", "to_panels", "trunc", "where", "windows", "xor", "zeros_like",
]  # fmt: skip
