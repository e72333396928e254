"""Activation functions with Keras' names and formulas.

Each takes an array of any shape and floating dtype and returns one of the same shape and dtype.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import insitu as si
from insitu import ops
from insitu.array.array import Array
from insitu.graph.node import Node
from insitu.nn import registry

Activation = Callable[[Array], Array]
F = TypeVar("F", bound=Callable[..., Any])

#: Every activation by name.
TABLE: dict[str, Activation] = {}


#: While set: the node of each softmax or sigmoid made so far -> what it was made from, and its name.
_logits: contextvars.ContextVar[dict[Node, tuple[Array, str]] | None] = contextvars.ContextVar("logits", default=None)


@contextlib.contextmanager
def remember_logits() -> Iterator[None]:
    """While inside, `logits_of` knows what each softmax and sigmoid was computed from."""
    token = _logits.set({})
    try:
        yield
    finally:
        _logits.reset(token)


def logits_of(probabilities: Array) -> tuple[Array, str] | None:
    """The logits that ``softmax`` or ``sigmoid`` took to make these probabilities, with that name; None where it is not known.

    Losses compute from the logits where they can, which is more exact than from probabilities and saves work.
    """
    known = _logits.get()
    return None if known is None else known.get(probabilities._node)


def _remembered(result: Array, logits: Array, name: str) -> Array:
    known = _logits.get()
    if known is not None:
        known[result._node] = (logits, name)
    return result


def _register(function: F) -> F:
    TABLE[function.__name__] = function
    return function


@_register
def linear(x: Array) -> Array:
    """``x``."""
    return x


@_register
def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """``max(x, 0)``; the derivative at 0 is 0, and NaN stays NaN.

    ``max_value`` is an upper limit; below ``threshold`` the result is ``negative_slope * (x - threshold)``.
    """
    below = (x - threshold) * negative_slope if negative_slope else 0
    result = si.where(x <= threshold, below, x)
    return result if max_value is None else si.where(result >= max_value, max_value, result)


@_register
def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``."""
    return si.where(x <= 0, 0, si.where(x >= 6, 6, x))


@_register
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """``x`` where positive, ``negative_slope * x`` elsewhere."""
    return si.where(x > 0, x, x * negative_slope)


@_register
def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    return si.where(x > 0, x, si.expm1(si.where(x > 0, 0, x)) * alpha)


@_register
def selu(x: Array) -> Array:
    """``scale * elu(x, alpha)`` with the constants of Klambauer et al. (2017)."""
    return elu(x, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946


@_register
def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``."""
    return _remembered(Array(ops.sigmoid(x._node)), x, "sigmoid")


@_register
def log_sigmoid(x: Array) -> Array:
    """``log(sigmoid(x))``."""
    return -softplus(-x)


@_register
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return si.tanh(x)


@_register
def softplus(x: Array) -> Array:
    """``log(1 + exp(x))``, without overflow."""
    return relu(x) + si.log1p(si.exp(-si.abs(x)))


@_register
def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``."""
    return x / (1 + si.abs(x))


@_register
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish."""
    return x * sigmoid(x)


@_register
def gelu(x: Array, approximate: bool = False) -> Array:
    """``x * P(X <= x)`` for a standard normal ``X``; ``approximate`` takes the tanh form of Hendrycks and Gimpel (2016)."""
    if approximate:
        return x * 0.5 * (1 + si.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return x * 0.5 * (1 + Array(ops.erf((x * 0.7071067811865476)._node)))


@_register
def mish(x: Array) -> Array:
    """``x * tanh(softplus(x))``."""
    return x * si.tanh(softplus(x))


@_register
def exponential(x: Array) -> Array:
    """``exp(x)``."""
    return si.exp(x)


@_register
def hard_sigmoid(x: Array) -> Array:
    """``x / 6 + 0.5``, clipped to 0 and 1."""
    return relu6(x + 3) * (1 / 6)


@_register
def hard_silu(x: Array) -> Array:
    """``x * hard_sigmoid(x)``, also called hard swish."""
    return x * hard_sigmoid(x)


@_register
def softmax(x: Array, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along the axis, computed from the differences to the largest value."""
    e = si.exp(x - si.stop_gradient(si.max(x, axis=axis, keepdims=True)))
    result = e / si.sum(e, axis=axis, keepdims=True)
    return _remembered(result, x, "softmax") if axis in (-1, x.ndim - 1) else result


@_register
def log_softmax(x: Array, axis: int = -1) -> Array:
    """``log(softmax(x))``, without computing the quotient."""
    shifted: Array = x - si.stop_gradient(si.max(x, axis=axis, keepdims=True))
    return shifted - si.log(si.sum(si.exp(shifted), axis=axis, keepdims=True))


@_register
def celu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere (Barron 2017)."""
    return si.where(x > 0, x, si.expm1(si.where(x > 0, 0, x) / alpha) * alpha)


@_register
def glu(x: Array, axis: int = -1) -> Array:
    """The first half along the axis times the sigmoid of the second half (Dauphin et al. 2016)."""
    first, second = si.split(x, 2, axis=axis)
    return first * sigmoid(second)


@_register
def hard_tanh(x: Array) -> Array:
    """``x``, clipped to -1 and 1."""
    return si.where(x <= -1, -1, si.where(x >= 1, 1, x))


@_register
def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` where its size is above ``threshold``, else 0."""
    return si.where(si.abs(x) > threshold, x, 0)


@_register
def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` moved towards 0 by ``threshold``, and 0 within it."""
    return si.where(x > threshold, x - threshold, si.where(x < -threshold, x + threshold, 0))


@_register
def tanh_shrink(x: Array) -> Array:
    """``x - tanh(x)``."""
    return x - si.tanh(x)


@_register
def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """``x`` above ``threshold``, else ``default_value``."""
    return si.where(x > threshold, x, default_value)


@_register
def squareplus(x: Array, b: float = 4.0) -> Array:
    """``(x + sqrt(x**2 + b)) / 2`` (Barron 2021)."""
    return (x + si.sqrt(x * x + b)) / 2


@_register
def sparse_plus(x: Array) -> Array:
    """0 up to -1, ``x`` from 1 on, ``(x + 1)**2 / 4`` between."""
    return si.where(x <= -1, 0, si.where(x >= 1, x, (x + 1) * (x + 1) * 0.25))


@_register
def sparse_sigmoid(x: Array) -> Array:
    """0 up to -1, 1 from 1 on, ``(x + 1) / 2`` between."""
    return si.where(x <= -1, 0, si.where(x >= 1, 1, (x + 1) * 0.5))


@_register
def sparsemax(x: Array, axis: int = -1) -> Array:
    """The point of the probability simplex nearest to ``x`` (Martins and Astudillo 2016, algorithm 1)."""
    rows = si.moveaxis(x, axis, -1)
    ordered = si.flip(si.sort(rows, axis=-1), axis=-1)
    counts = si.arange(1, rows.shape[-1] + 1, dtype=x.dtype)
    sums = si.cumulative_sum(ordered, axis=-1)
    inside = (1 + counts * ordered > sums).astype(x.dtype)
    support = si.sum(inside, axis=-1, keepdims=True)
    excess = (si.sum(ordered * inside, axis=-1, keepdims=True) - 1) / support
    return si.moveaxis(relu(rows - excess), -1, axis)


TABLE |= {"swish": silu, "hard_swish": hard_silu}


def get(identifier: str | Activation | Mapping[str, str] | None) -> Activation:
    """The activation that a name or a function means; None means `linear`.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.activations.get("relu")(si.asarray([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, Mapping):
        return registry.find_function(identifier["function"])
    return registry.find("activation", TABLE, identifier, 'pass a name such as "relu", or a function')


def serialize(activation: Activation) -> str | dict[str, str]:
    """What `get` finds the activation by again: its name, or that of a registered function.

    Raises
    ------
    ArgumentError
        For a function that is not registered.
    """
    name = next((name for name, f in TABLE.items() if f is activation), None)
    return registry.config_of("activation", activation) if name is None else name
