"""Activations with a limit on both sides, and those that look at a whole axis: sigmoid, tanh, softmax and their kin."""

from __future__ import annotations

import insitu as si
from insitu import ops
from insitu.arguments import ARRAY, AXES, AXIS, checked
from insitu.array.array import Array
from insitu.nn.activations.inputs import of_array
from insitu.nn.activations.logits import remembered


@checked(x=ARRAY)
@of_array
def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> sigmoid(si.asarray([-2.0, 0.0, 100.0])).round(4)
    Array([0.1192, 0.5   , 1.    ], dtype=float32)
    """
    return remembered(Array(ops.sigmoid(x._node)), x, "sigmoid")


@checked(x=ARRAY)
@of_array
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return si.tanh(x)


@checked(x=ARRAY)
@of_array
def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``.

    Examples
    --------
    >>> softsign(si.asarray([-1.0, 0.0, 3.0]))
    Array([-0.5 ,  0.  ,  0.75], dtype=float32)
    """
    return x / (1 + si.abs(x))


@checked(x=ARRAY)
@of_array
def hard_sigmoid(x: Array) -> Array:
    """``x / 6 + 0.5``, clipped to 0 and 1.

    Examples
    --------
    >>> hard_sigmoid(si.asarray([-4.0, 0.0, 4.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return si.where(x <= -3, 0, si.where(x >= 3, 6, x + 3)) * (1 / 6)


@checked(x=ARRAY)
@of_array
def hard_tanh(x: Array) -> Array:
    """``x``, clipped to -1 and 1.

    Examples
    --------
    >>> hard_tanh(si.asarray([-4.0, 0.5, 4.0]))
    Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return si.where(x <= -1, -1, si.where(x >= 1, 1, x))


@checked(x=ARRAY)
@of_array
def sparse_sigmoid(x: Array) -> Array:
    """0 up to -1, 1 from 1 on, ``(x + 1) / 2`` between.

    Examples
    --------
    >>> sparse_sigmoid(si.asarray([-4.0, 0.5, 4.0]))
    Array([0.  , 0.75, 1.  ], dtype=float32)
    """
    return si.where(x <= -1, 0, si.where(x >= 1, 1, (x + 1) * 0.5))


@checked(x=ARRAY, axis=AXES)
@of_array
def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along the axis (or several), computed from the differences to the largest value.

    Examples
    --------
    >>> softmax(si.asarray([1000.0, 1000.0]))
    Array([0.5, 0.5], dtype=float32)
    """
    e = si.exp(x - si.stop_gradient(si.max(x, axis=axis, keepdims=True)))
    result = e / si.sum(e, axis=axis, keepdims=True)
    return remembered(result, x, "softmax") if axis in (-1, x.ndim - 1) else result


@checked(x=ARRAY, axis=AXES)
@of_array
def log_softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """``log(softmax(x))``, without computing the quotient.

    Examples
    --------
    >>> log_softmax(si.asarray([0.0, 1000.0]))
    Array([-1000.,     0.], dtype=float32)
    """
    shifted: Array = x - si.stop_gradient(si.max(x, axis=axis, keepdims=True))
    return shifted - si.log(si.sum(si.exp(shifted), axis=axis, keepdims=True))


@checked(x=ARRAY, axis=AXIS)
@of_array
def sparsemax(x: Array, axis: int = -1) -> Array:
    """The point of the probability simplex nearest to ``x`` (Martins and Astudillo 2016, algorithm 1).

    Examples
    --------
    >>> sparsemax(si.asarray([0.5, 1.0, -1.0]))
    Array([0.25, 0.75, 0.  ], dtype=float32)
    """
    rows = si.moveaxis(x, axis, -1)
    ordered = si.flip(si.sort(rows, axis=-1), axis=-1)
    counts = si.arange(1, rows.shape[-1] + 1, dtype=x.dtype)
    inside = 1 + counts * ordered > si.cumulative_sum(ordered, axis=-1)
    support = si.sum(inside.astype(x.dtype), axis=-1, keepdims=True)
    excess = (si.sum(si.where(inside, ordered, 0), axis=-1, keepdims=True) - 1) / support
    above = rows - excess
    return si.moveaxis(si.where(above <= 0, 0, above), -1, axis)


@checked(x=ARRAY, axis=AXIS)
@of_array
def glu(x: Array, axis: int = -1) -> Array:
    """The first half along the axis times the sigmoid of the second half (Dauphin et al. 2016): the axis becomes half as long.

    Examples
    --------
    >>> glu(si.asarray([4.0, 0.0]))
    Array([2.], dtype=float32)
    """
    first, second = si.split(x, 2, axis=axis)
    return first * sigmoid(second)
