"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import insitu as si
from insitu.errors import ArgumentError
from insitu.optim.base import Optimizer


class Adam(Optimizer):
    """Adaptive moment estimation, in the formulation with one corrected rate per step.

    With ``t`` counted from 1: ``m += (g - m) * (1 - beta_1)``, ``v += (g*g - v) * (1 - beta_2)``,
    ``rate_t = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)``, ``w -= rate_t * m / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float
        Decay of the first and second moment; from 0 to below 1.
    epsilon : float
        Keeps the division finite; positive.
    name : str, optional

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Adam(1e-3)
    Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07)

    References
    ----------
    Kingma and Ba (2014), Adam: A method for stochastic optimization, section 2 (the efficient form).
    """

    slots = ("momentum", "velocity")

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, name: str | None = None
    ) -> None:
        super().__init__(learning_rate, name)
        for argument, value, fits, expected in (
            ("beta_1", beta_1, 0 <= beta_1 < 1, "a number from 0 to below 1, such as 0.9"),
            ("beta_2", beta_2, 0 <= beta_2 < 1, "a number from 0 to below 1, such as 0.999"),
            ("epsilon", epsilon, epsilon > 0, "a small positive number such as 1e-7"),
        ):
            if not fits:
                raise ArgumentError(
                    f"Adam: {argument} is out of its range.",
                    expected=expected,
                    received=repr(value),
                    fix=f"leave {argument} out to use the default",
                    slug="optimizer-adam-range",
                    argument=f"{argument}=",
                )
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def scalars(self, iterations: si.Array) -> dict[str, si.Array]:
        rate = super().scalars(iterations)["rate"]
        t = (iterations + 1).astype(rate.dtype)
        # beta ** t as arrays, so that the step count is an input of the compiled step
        first, second = (si.pow(si.full((), beta, dtype=rate.dtype), t) for beta in (self.beta_1, self.beta_2))
        return {"rate": rate * si.sqrt(1 - second) / (1 - first)}

    def step(
        self, grad: si.Array, param: si.Array, slots: Mapping[str, si.Array], scalars: Mapping[str, si.Array]
    ) -> tuple[si.Array, dict[str, si.Array]]:
        m, v = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1 - self.beta_1)
        v = v + (grad * grad - v) * (1 - self.beta_2)
        change = m * scalars["rate"].astype(param.dtype) / (si.sqrt(v) + self.epsilon)
        return param - change, {"momentum": m, "velocity": v}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
