"""Rates that follow the size of past gradients: RMSprop, Adagrad, Adadelta, Ftrl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import insitu as si
from insitu.arguments import FLAG, NOT_NEGATIVE, POSITIVE, SHARE, Number, checked
from insitu.optim.base import DECAY, Optimizer

Arrays = Mapping[str, si.Array]


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square.

    ``v = rho * v + (1 - rho) * g*g``, then ``w -= rate * g / sqrt(v + epsilon)``; ``centered`` subtracts the square of the
    mean gradient from ``v``; ``momentum`` sums the steps.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    rho : float
        Decay of the mean square; from 0 to below 1.
    momentum : float
        From 0 to 1.
    epsilon : float
        Positive.
    centered : bool
    **options
        As for `Optimizer`.

    References
    ----------
    Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6.5; Graves (2013) for the centred form.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.RMSprop(0.01, centered=True)
    RMSprop(learning_rate=0.01, rho=0.9, momentum=0.0, epsilon=1e-07, centered=True)
    """

    @checked("optimizer-range", rho=DECAY, momentum=SHARE, epsilon=POSITIVE, centered=FLAG)
    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7, centered: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.slots = ("velocity", *(("momentum",) if self.momentum else ()), *(("average_gradient",) if self.centered else ()))

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        v = slots["velocity"] * self.rho + grad * grad * (1 - self.rho)
        kept, spread = {"velocity": v}, v
        if self.centered:
            mean = slots["average_gradient"] * self.rho + grad * (1 - self.rho)
            kept["average_gradient"] = mean
            spread = v - mean * mean
        change = scalars["learning_rate"] * grad / si.sqrt(spread + self.epsilon)
        if self.momentum:
            kept["momentum"] = change = slots["momentum"] * self.momentum + change
        return param - change, kept


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares (Duchi, Hazan and Singer 2011).

    ``a += g*g``, then ``w -= rate * g / sqrt(a + epsilon)``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    initial_accumulator_value : float
        What ``a`` begins with; not negative.
    epsilon : float
        Positive.
    **options
        As for `Optimizer`.

    Raises
    ------
    ArgumentError
        For values out of their ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Adagrad(0.1)
    Adagrad(learning_rate=0.1, initial_accumulator_value=0.1, epsilon=1e-07)
    """

    slots = ("accumulator",)
    slot_values = {"accumulator": "initial_accumulator_value"}

    @checked("optimizer-range", initial_accumulator_value=NOT_NEGATIVE, epsilon=POSITIVE)
    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        a = slots["accumulator"] + grad * grad
        return param - scalars["learning_rate"] * grad / si.sqrt(a + self.epsilon), {"accumulator": a}


class Adadelta(Optimizer):
    """Steps whose size follows the ratio of past steps to past gradients (Zeiler 2012).

    ``a = rho * a + (1 - rho) * g*g``, ``d = sqrt(b + epsilon) / sqrt(a + epsilon) * g``, ``b = rho * b + (1 - rho) * d*d``,
    ``w -= rate * d``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    rho : float
        From 0 to below 1.
    epsilon : float
        Positive.
    **options
        As for `Optimizer`.

    Raises
    ------
    ArgumentError
        For values out of their ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Adadelta(1.0)
    Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-07)
    """

    slots = ("accumulated_gradient", "accumulated_change")

    @checked("optimizer-range", rho=DECAY, epsilon=POSITIVE)
    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.epsilon = rho, epsilon

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        a = slots["accumulated_gradient"] * self.rho + grad * grad * (1 - self.rho)
        change = si.sqrt(slots["accumulated_change"] + self.epsilon) * grad / si.sqrt(a + self.epsilon)
        b = slots["accumulated_change"] * self.rho + change * change * (1 - self.rho)
        return param - scalars["learning_rate"] * change, {"accumulated_gradient": a, "accumulated_change": b}


class Ftrl(Optimizer):
    """Follow the regularised leader, with penalties that make weights exactly 0.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    learning_rate_power : float
        At most 0; 0 keeps the rate fixed.
    initial_accumulator_value : float
        Not negative.
    l1_regularization_strength, l2_regularization_strength : float
        Penalties; not negative.
    l2_shrinkage_regularization_strength : float
        An L2 penalty on the gradient's side only; not negative.
    beta : float
        Not negative.
    **options
        As for `Optimizer`.

    References
    ----------
    McMahan et al. (2013), Ad click prediction: a view from the trenches, algorithm 1.

    Examples
    --------
    >>> import insitu as si
    >>> w = si.Variable([0.0, 0.0])
    >>> si.optim.Ftrl(1.0, l1_regularization_strength=0.5).apply([si.asarray([0.4, 2.0])], [w])
    >>> w.value[0]
    Array(0., dtype=float32)
    """

    slots = ("accumulator", "linear")
    slot_values = {"accumulator": "initial_accumulator_value"}

    @checked(
        "optimizer-range", learning_rate_power=Number(high=0), initial_accumulator_value=NOT_NEGATIVE, l1_regularization_strength=NOT_NEGATIVE,
        l2_regularization_strength=NOT_NEGATIVE, l2_shrinkage_regularization_strength=NOT_NEGATIVE, beta=NOT_NEGATIVE,
    )  # fmt: skip
    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **options)
        self.learning_rate_power, self.initial_accumulator_value, self.beta = learning_rate_power, initial_accumulator_value, beta
        self.l1_regularization_strength, self.l2_regularization_strength = l1_regularization_strength, l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength

    def _rooted(self, x: si.Array) -> si.Array:
        return si.sqrt(x) if self.learning_rate_power == -0.5 else si.pow(x, si.full((), -self.learning_rate_power, dtype=x.dtype))

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        rate, old = scalars["learning_rate"], slots["accumulator"]
        l2 = self.l2_regularization_strength + self.beta / (2 * rate)
        used = grad + 2 * self.l2_shrinkage_regularization_strength * param
        new = old + grad * grad
        linear = slots["linear"] + used - (self._rooted(new) - self._rooted(old)) / rate * param
        quadratic = self._rooted(new) / rate + 2 * l2
        l1 = self.l1_regularization_strength
        return (si.clip(linear, -l1, l1) - linear) / quadratic, {"accumulator": new, "linear": linear}
