"""Adam and its relatives: AdamW, Adamax, Nadam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import insitu as si
from insitu.arguments import FLAG, POSITIVE, checked
from insitu.optim.base import DECAY, Optimizer

Arrays = Mapping[str, si.Array]


def power(base: float, exponent: si.Array) -> si.Array:
    """``base ** exponent`` with both as arrays, so that the step count is an input of the compiled step."""
    return si.pow(si.full((), base, dtype=exponent.dtype), exponent)


class _TwoMoments(Optimizer):
    """The arguments that Adam and its relatives share."""

    slots: tuple[str, ...] = ("momentum", "velocity")

    @checked("optimizer-range", beta_1=DECAY, beta_2=DECAY, epsilon=POSITIVE)
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon


class Adam(_TwoMoments):
    """Adaptive moment estimation, in the formulation with one corrected rate per step.

    With ``t`` counted from 1: ``m += (g - m) * (1 - beta_1)``, ``v += (g*g - v) * (1 - beta_2)``,
    ``rate_t = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)``, ``w -= rate_t * m / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    beta_1, beta_2 : float
        Decay of the first and second moment; from 0 to below 1.
    epsilon : float
        Keeps the division finite; positive.
    amsgrad : bool
        Divide by the largest second moment so far (Reddi, Kale and Kumar 2018).
    **options
        As for `Optimizer`.

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Adam(1e-3)
    Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07, amsgrad=False)

    References
    ----------
    Kingma and Ba (2014), Adam: A method for stochastic optimization, section 2 (the efficient form).
    """

    @checked("optimizer-range", amsgrad=FLAG)
    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        self.amsgrad = amsgrad
        if self.amsgrad:
            self.slots = ("momentum", "velocity", "velocity_max")

    def scalars(self, iterations: si.Array, rate: si.Array, shared: Arrays) -> dict[str, si.Array]:
        t = (iterations + 1).astype(si.float32)
        return {"rate": rate * si.sqrt(1 - power(self.beta_2, t)) / (1 - power(self.beta_1, t))}

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        m, v = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1 - self.beta_1)
        v = v + (grad * grad - v) * (1 - self.beta_2)
        kept = {"momentum": m, "velocity": v}
        if self.amsgrad:
            kept["velocity_max"] = v = si.maximum(slots["velocity_max"], v)
        return param - m * scalars["rate"] / (si.sqrt(v) + self.epsilon), kept


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.004 by default (Loshchilov and Hutter 2017); arguments as for `Adam`.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.AdamW().weight_decay
    0.004
    """

    @checked("optimizer-range")
    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float | None = 0.004, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)


class Adamax(_TwoMoments):
    """Adam with the largest gradient in place of the second moment (Kingma and Ba 2014, section 7.1).

    ``m += (g - m) * (1 - beta_1)``, ``u = max(beta_2 * u, |g|)``, ``w -= rate * m / ((1 - beta_1**t) * (u + epsilon))``.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, **options
        As for `Adam`.

    Raises
    ------
    ArgumentError
        For values out of their ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Adamax(0.5)
    Adamax(learning_rate=0.5, beta_1=0.9, beta_2=0.999, epsilon=1e-07)
    """

    slots = ("momentum", "norm")

    def scalars(self, iterations: si.Array, rate: si.Array, shared: Arrays) -> dict[str, si.Array]:
        return {"left": 1 - power(self.beta_1, (iterations + 1).astype(si.float32))}

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        m, u = slots["momentum"], slots["norm"]
        m = m + (grad - m) * (1 - self.beta_1)
        u = si.maximum(u * self.beta_2, si.abs(grad))
        return param - scalars["learning_rate"] * m / (scalars["left"] * (u + self.epsilon)), {"momentum": m, "norm": u}


class Nadam(_TwoMoments):
    """Adam with Nesterov's momentum (Dozat 2016), with the momentum schedule ``beta_1 * (1 - 0.96**t / 2)``.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, **options
        As for `Adam`.

    Raises
    ------
    ArgumentError
        For values out of their ranges.

    Examples
    --------
    >>> import insitu as si
    >>> si.optim.Nadam(beta_1=0.8)
    Nadam(learning_rate=0.001, beta_1=0.8, beta_2=0.999, epsilon=1e-07)
    """

    shared = {"momentum_product": 1.0}

    def scalars(self, iterations: si.Array, rate: si.Array, shared: Arrays) -> dict[str, si.Array]:
        t = (iterations + 1).astype(si.float32)
        now, following = (self.beta_1 * (1 - 0.5 * power(0.96, at)) for at in (t, t + 1))
        product = shared["momentum_product"] * now
        return {
            "momentum_product": product,
            "of_momentum": following / (1 - product * following),
            "of_gradient": (1 - now) / (1 - product),
            "left": 1 - power(self.beta_2, t),
        }

    def step(self, grad: si.Array, param: si.Array, slots: Arrays, scalars: Arrays) -> tuple[si.Array, dict[str, si.Array]]:
        m, v = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1 - self.beta_1)
        v = v + (grad * grad - v) * (1 - self.beta_2)
        ahead = scalars["of_momentum"] * m + scalars["of_gradient"] * grad
        change = ahead * scalars["learning_rate"] / (si.sqrt(v / scalars["left"]) + self.epsilon)
        return param - change, {"momentum": m, "velocity": v}
