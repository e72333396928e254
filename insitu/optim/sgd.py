"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import insitu as si
from insitu.errors import ArgumentError
from insitu.optim.base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Without momentum ``w = w - rate * g``. With momentum ``v = momentum * v - rate * g``, then
    ``w = w + v``, or with Nesterov's form ``w = w + momentum * v - rate * g``.

    Parameters
    ----------
    learning_rate : float
    momentum : float
        From 0 to 1.
    nesterov : bool
    name : str, optional

    Raises
    ------
    ArgumentError
        For a negative learning rate or a momentum outside 0 to 1.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)

    References
    ----------
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, name: str | None = None) -> None:
        super().__init__(learning_rate, name)
        if not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
            raise ArgumentError(
                "SGD: momentum must lie between 0 and 1.",
                expected="a number from 0 to 1",
                received=repr(momentum),
                fix="pass momentum=0.9",
                slug="optimizer-momentum",
                argument="momentum=",
            )
        self.momentum, self.nesterov = float(momentum), bool(nesterov)
        if self.momentum:
            self.slots = ("momentum",)  # only with momentum is there anything to keep

    def step(
        self, grad: si.Array, param: si.Array, slots: Mapping[str, si.Array], scalars: Mapping[str, si.Array]
    ) -> tuple[si.Array, dict[str, si.Array]]:
        move = grad * scalars["rate"].astype(param.dtype)
        if not self.momentum:
            return param - move, {}
        velocity = slots["momentum"] * self.momentum - move
        if self.nesterov:
            return param + (velocity * self.momentum - move), {"momentum": velocity}
        return param + velocity, {"momentum": velocity}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
