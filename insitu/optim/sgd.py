"""Gradient descent with and without momentum, and by signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import insitu as si
from insitu.arguments import FLAG, SHARE, checked
from insitu.optim.base import DECAY, Optimizer

Arrays = Mapping[str, si.Array]


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Without momentum ``w = w - rate * g``. With momentum ``v = momentum * v - rate * g``, then
    ``w = w + v``, or with Nesterov's form ``w = w + momentum * v - rate * g``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    momentum : float
        From 0 to 1.
    nesterov : bool
    **options
        As for `Optimizer`.

    Raises
    ------
    ArgumentError
        For a negative learning rate or a momentum outside 0 to 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    @checked("optimizer-range", momentum=SHARE, nesterov=FLAG)
    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("momentum",) if self.momentum else ()

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        change = grad * scalars["learning_rate"]
        if not self.momentum:
            return param - change, {}
        v = slots["momentum"] * self.momentum - change
        return param + (v * self.momentum - change if self.nesterov else v), {"momentum": v}


class Lion(Optimizer):
    """Steps of one length, by the sign of an interpolated momentum.

    ``w = w - rate * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m = beta_2 * m + (1 - beta_2) * g``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    beta_1, beta_2 : float
        From 0 to below 1.
    **options
        As for `Optimizer`.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, program 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Lion(1e-4)
    Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99)
    """

    slots = ("momentum",)

    @checked("optimizer-range", beta_1=DECAY, beta_2=DECAY)
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        m = slots["momentum"]
        change = scalars["learning_rate"] * si.sign(m * self.beta_1 + grad * (1 - self.beta_1))
        return param - change, {"momentum": m * self.beta_2 + grad * (1 - self.beta_2)}
