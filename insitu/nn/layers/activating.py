"""Activations with arguments or weights as layers: ReLU, LeakyReLU, PReLU, ELU, Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.nn import activations, constraints, initializers, regularizers
from insitu.nn.layer import Layer
from insitu.nn.layers.core import built, named_parts
from insitu.nn.shapes import Shape


class ReLU(Layer):
    """``max(x, 0)``, limited to ``max_value``; ``negative_slope * (x - threshold)`` below ``threshold``."""

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, float(negative_slope), float(threshold)

    def call(self, x: si.Array) -> si.Array:
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


class LeakyReLU(Layer):
    """``x`` where positive, ``negative_slope * x`` elsewhere."""

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = float(negative_slope)

    def call(self, x: si.Array) -> si.Array:
        return activations.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(Layer):
    """``x`` where positive, ``alpha * x`` elsewhere, with a learned ``alpha`` for each place of an example.

    Parameters
    ----------
    alpha_initializer, alpha_regularizer, alpha_constraint : str or callable, optional
    shared_axes : sequence of int, optional
        Axes along which ``alpha`` is one number, counted with the batch.
    **options
        As for `Layer`.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers.
    """

    def __init__(
        self, alpha_initializer: Any = "zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: Sequence[int] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer, self.alpha_constraint = regularizers.get(alpha_regularizer), constraints.get(alpha_constraint)
        self.shared_axes = None if shared_axes is None else tuple(shared_axes)
        self.alpha: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        shape = [1 if i in (self.shared_axes or ()) else n or 1 for i, n in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(shape, self.alpha_initializer, "alpha", regularizer=self.alpha_regularizer, constraint=self.alpha_constraint)

    def call(self, x: si.Array) -> si.Array:
        return si.where(x > 0, x, built(self.alpha) * x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "shared_axes": None if self.shared_axes is None else list(self.shared_axes),
            **named_parts(regularizers.serialize, alpha_regularizer=self.alpha_regularizer),
            **named_parts(constraints.serialize, alpha_constraint=self.alpha_constraint),
        }


class ELU(Layer):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = float(alpha)

    def call(self, x: si.Array) -> si.Array:
        return activations.elu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` along ``axis``."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, x: si.Array) -> si.Array:
        return activations.softmax(x, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
