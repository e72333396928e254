"""Activations that grow with their input: the rectifiers, their smooth kin, and shrinkage."""

from __future__ import annotations

import insitu as si
from insitu import ops
from insitu.arguments import ARRAY, FLAG, NOT_NEGATIVE, NUMBER, POSITIVE, checked
from insitu.array.array import Array
from insitu.nn.activations.inputs import of_array
from insitu.nn.activations.squashing import hard_sigmoid, sigmoid


@checked(x=ARRAY)
@of_array
def linear(x: Array) -> Array:
    """``x`` itself."""
    return x


@checked(x=ARRAY, negative_slope=NUMBER, max_value=NUMBER | None, threshold=NUMBER)
@of_array
def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """``max(x, 0)``; the derivative at 0 is 0, and NaN stays NaN.

    ``max_value`` is an upper limit; up to ``threshold`` the result is ``negative_slope * (x - threshold)``.

    Examples
    --------
    >>> relu(si.asarray([-1.0, 2.0, 9.0]), negative_slope=0.5, max_value=6.0)
    Array([-0.5,  2. ,  6. ], dtype=float32)
    """
    below = (x - threshold) * negative_slope if negative_slope else 0
    result = si.where(x <= threshold, below, x)
    return result if max_value is None else si.where(result >= max_value, max_value, result)


@checked(x=ARRAY)
@of_array
def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``.

    Examples
    --------
    >>> relu6(si.asarray([-1.0, 2.0, 9.0]))
    Array([0., 2., 6.], dtype=float32)
    """
    return si.where(x <= 0, 0, si.where(x >= 6, 6, x))


@checked(x=ARRAY, negative_slope=NUMBER)
@of_array
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """``x`` where positive, ``negative_slope * x`` elsewhere (Maas et al. 2013).

    Examples
    --------
    >>> leaky_relu(si.asarray([-1.0, 2.0]), negative_slope=0.5)
    Array([-0.5,  2. ], dtype=float32)
    """
    return si.where(x > 0, x, x * negative_slope)


@checked(x=ARRAY, alpha=NUMBER)
@of_array
def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al. 2016).

    Examples
    --------
    >>> elu(si.asarray([-1.0, 2.0])).round(4)
    Array([-0.6321,  2.    ], dtype=float32)
    """
    return si.where(x > 0, x, si.expm1(si.where(x > 0, 0, x)) * alpha)


@checked(x=ARRAY)
@of_array
def selu(x: Array) -> Array:
    """``1.0507 * elu(x, 1.6733)``, with the constants of Klambauer et al. (2017) in full.

    Examples
    --------
    >>> selu(si.asarray([-1.0, 2.0])).round(4)
    Array([-1.1113,  2.1014], dtype=float32)
    """
    return elu(x, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946


@checked(x=ARRAY, alpha=POSITIVE)
@of_array
def celu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere (Barron 2017).

    Examples
    --------
    >>> celu(si.asarray([-1.0, 2.0]), alpha=0.5).round(4)
    Array([-0.4323,  2.    ], dtype=float32)
    """
    return si.where(x > 0, x, si.expm1(si.where(x > 0, 0, x) / alpha) * alpha)


@checked(x=ARRAY, approximate=FLAG)
@of_array
def gelu(x: Array, approximate: bool = False) -> Array:
    """``x * P(X <= x)`` for a standard normal ``X``; ``approximate`` takes the tanh form of Hendrycks and Gimpel (2016).

    Examples
    --------
    >>> gelu(si.asarray([-1.0, 2.0])).round(4)
    Array([-0.1587,  1.9545], dtype=float32)
    """
    if approximate:
        return x * 0.5 * (1 + si.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return x * 0.5 * (1 + Array(ops.erf((x * 0.7071067811865476)._node)))


@checked(x=ARRAY)
@of_array
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish (Ramachandran et al. 2017).

    Examples
    --------
    >>> silu(si.asarray([-1.0, 2.0])).round(4)
    Array([-0.2689,  1.7616], dtype=float32)
    """
    return x * sigmoid(x)


@checked(x=ARRAY)
@of_array
def hard_silu(x: Array) -> Array:
    """``x * hard_sigmoid(x)``, also called hard swish (Howard et al. 2019).

    Examples
    --------
    >>> hard_silu(si.asarray([-4.0, 0.0, 4.0]))
    Array([-0.,  0.,  4.], dtype=float32)
    """
    return x * hard_sigmoid(x)


@checked(x=ARRAY)
@of_array
def softplus(x: Array) -> Array:
    """``log(1 + exp(x))``, without overflow.

    Examples
    --------
    >>> softplus(si.asarray([0.0, 100.0])).round(4)
    Array([  0.6931, 100.    ], dtype=float32)
    """
    # not abs(x), whose derivative at 0 is 0: the sum's is sigmoid(x) everywhere
    return si.where(x > 0, x, 0) + si.log1p(si.exp(si.where(x > 0, -x, x)))


@checked(x=ARRAY)
@of_array
def log_sigmoid(x: Array) -> Array:
    """``log(sigmoid(x))``, without underflow.

    Examples
    --------
    >>> log_sigmoid(si.asarray([-100.0, 0.0])).round(4)
    Array([-100.    ,   -0.6931], dtype=float32)
    """
    return -softplus(-x)


@checked(x=ARRAY)
@of_array
def mish(x: Array) -> Array:
    """``x * tanh(softplus(x))`` (Misra 2019).

    Examples
    --------
    >>> mish(si.asarray([-1.0, 2.0])).round(4)
    Array([-0.3034,  1.944 ], dtype=float32)
    """
    return x * si.tanh(softplus(x))


@checked(x=ARRAY, b=NUMBER)
@of_array
def squareplus(x: Array, b: float = 4.0) -> Array:
    """``(x + sqrt(x**2 + b)) / 2`` (Barron 2021).

    Examples
    --------
    >>> squareplus(si.asarray([-1.0, 0.0])).round(4)
    Array([0.618, 1.   ], dtype=float32)
    """
    return (x + si.sqrt(x * x + b)) / 2


@checked(x=ARRAY)
@of_array
def sparse_plus(x: Array) -> Array:
    """0 up to -1, ``x`` from 1 on, ``(x + 1)**2 / 4`` between.

    Examples
    --------
    >>> sparse_plus(si.asarray([-2.0, 0.0, 2.0]))
    Array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return si.where(x <= -1, 0, si.where(x >= 1, x, (x + 1) * (x + 1) * 0.25))


@checked(x=ARRAY)
@of_array
def exponential(x: Array) -> Array:
    """``exp(x)``."""
    return si.exp(x)


@checked(x=ARRAY, threshold=NOT_NEGATIVE)
@of_array
def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` where its size is above ``threshold``, else 0.

    Examples
    --------
    >>> hard_shrink(si.asarray([-1.0, 0.25]))
    Array([-1.,  0.], dtype=float32)
    """
    return si.where(si.abs(x) > threshold, x, 0)


@checked(x=ARRAY, threshold=NOT_NEGATIVE)
@of_array
def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` moved towards 0 by ``threshold``, and 0 within it.

    Examples
    --------
    >>> soft_shrink(si.asarray([-1.0, 0.25]))
    Array([-0.5,  0. ], dtype=float32)
    """
    return si.where(x > threshold, x - threshold, si.where(x < -threshold, x + threshold, 0))


@checked(x=ARRAY)
@of_array
def tanh_shrink(x: Array) -> Array:
    """``x - tanh(x)``."""
    return x - si.tanh(x)


@checked(x=ARRAY, threshold=NUMBER, default_value=NUMBER)
@of_array
def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """``x`` above ``threshold``, else ``default_value``.

    Examples
    --------
    >>> si.nn.activations.threshold(si.asarray([-1.0, 2.0]), 0.5, 9.0)
    Array([9., 2.], dtype=float32)
    """
    return si.where(x > threshold, x, default_value)
