"""Learning rates that follow the number of steps, with Keras' names, defaults and formulas.

A schedule is called with the step count, an array, inside the compiled step, so that nothing is compiled anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import insitu as si
from insitu.errors import ArgumentError
from insitu.optim.arguments import NOT_NEGATIVE, POSITIVE, count, number


class LearningRateSchedule:
    """Base class: a subclass defines ``__call__(step)`` and ``get_config``.

    Examples
    --------
    >>> import insitu as si
    >>> class Halving(si.optim.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / (1 + step.astype(si.float32))
    >>> round(float(Halving()(si.asarray(1))), 4)
    0.05
    """

    classes: ClassVar[dict[str, type[LearningRateSchedule]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        LearningRateSchedule.classes[cls.__name__] = cls

    def __call__(self, step: Any) -> si.Array:
        """The learning rate for the step with this number (from 0), float32 of shape ()."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items() if v is not None)})"


def _float(step: Any) -> si.Array:
    return si.asarray(step).astype(si.float32)


def _power(base: float, exponent: si.Array) -> si.Array:
    return si.pow(si.full((), base, dtype=si.float32), exponent)


class _Configured(LearningRateSchedule):
    """A schedule whose attributes are its arguments."""

    _names: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names}


class ExponentialDecay(_Configured):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; ``staircase`` takes the whole part of the quotient.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.optim.schedules.ExponentialDecay(0.1, 10, 0.5)(si.asarray(20))), 4)
    0.025
    """

    _names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False, name: str = "ExponentialDecay"
    ) -> None:
        self.initial_learning_rate = number("ExponentialDecay", "initial_learning_rate", initial_learning_rate, NOT_NEGATIVE)
        self.decay_steps = number("ExponentialDecay", "decay_steps", decay_steps, POSITIVE)
        self.decay_rate = number("ExponentialDecay", "decay_rate", decay_rate, NOT_NEGATIVE)
        self.staircase, self.name = bool(staircase), name

    def __call__(self, step: Any) -> si.Array:
        quotient = _float(step) / self.decay_steps
        return self.initial_learning_rate * _power(self.decay_rate, si.floor(quotient) if self.staircase else quotient)


class InverseTimeDecay(_Configured):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; ``staircase`` takes the whole part of the quotient."""

    _names = ExponentialDecay._names

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False, name: str = "InverseTimeDecay"
    ) -> None:
        self.initial_learning_rate = number("InverseTimeDecay", "initial_learning_rate", initial_learning_rate, NOT_NEGATIVE)
        self.decay_steps = number("InverseTimeDecay", "decay_steps", decay_steps, POSITIVE)
        self.decay_rate = number("InverseTimeDecay", "decay_rate", decay_rate, NOT_NEGATIVE)
        self.staircase, self.name = bool(staircase), name

    def __call__(self, step: Any) -> si.Array:
        quotient = _float(step) / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (si.floor(quotient) if self.staircase else quotient))


class PiecewiseConstantDecay(_Configured):
    """``values[i]`` while the step is at most ``boundaries[i]``, the last value after the last boundary."""

    _names = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstantDecay") -> None:
        if len(values) != len(boundaries) + 1 or not boundaries:
            raise ArgumentError(
                "PiecewiseConstantDecay needs one value more than boundaries.",
                expected="values before, between and after the boundaries",
                received=f"{len(boundaries)} boundaries, {len(values)} values",
                fix="PiecewiseConstantDecay([1000], [0.1, 0.01])",
                slug="schedule-values",
                argument="values=",
            )
        self.boundaries, self.values, self.name = list(boundaries), [float(v) for v in values], name

    def __call__(self, step: Any) -> si.Array:
        at = si.asarray(step)
        rate = si.full((), self.values[-1], dtype=si.float32)
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = si.where(at <= boundary, si.full((), value, dtype=si.float32), rate)
        return rate


class PolynomialDecay(_Configured):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``, and ``end`` from ``decay_steps`` on.

    ``cycle`` goes on with the next multiple of ``decay_steps`` instead.
    """

    _names = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 0.0001, power: float = 1.0, cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = number("PolynomialDecay", "initial_learning_rate", initial_learning_rate, NOT_NEGATIVE)
        self.decay_steps = number("PolynomialDecay", "decay_steps", decay_steps, POSITIVE)
        self.end_learning_rate = number("PolynomialDecay", "end_learning_rate", end_learning_rate, NOT_NEGATIVE)
        self.power, self.cycle, self.name = number("PolynomialDecay", "power", power, NOT_NEGATIVE), bool(cycle), name

    def __call__(self, step: Any) -> si.Array:
        at, steps = _float(step), si.full((), self.decay_steps, dtype=si.float32)
        if self.cycle:
            steps = steps * si.where(at == 0, 1.0, si.ceil(at / self.decay_steps))
        else:
            at = si.minimum(at, steps)
        left = si.pow(1 - at / steps, si.full((), self.power, dtype=si.float32))
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate


class CosineDecay(_Configured):
    """Half a cosine from the initial rate down to ``alpha`` times it (Loshchilov and Hutter 2016), after a linear warm-up.

    With ``warmup_target`` the rate rises from ``initial_learning_rate`` to the target within ``warmup_steps`` and falls
    from there within ``decay_steps``.
    """

    _names = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str = "CosineDecay", warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:  # fmt: skip
        self.initial_learning_rate = number("CosineDecay", "initial_learning_rate", initial_learning_rate, NOT_NEGATIVE)
        self.decay_steps = number("CosineDecay", "decay_steps", decay_steps, POSITIVE)
        self.alpha, self.name = number("CosineDecay", "alpha", alpha, NOT_NEGATIVE), name
        self.warmup_target = None if warmup_target is None else number("CosineDecay", "warmup_target", warmup_target, NOT_NEGATIVE)
        self.warmup_steps = count("CosineDecay", "warmup_steps", warmup_steps, 0)

    def _decayed(self, step: si.Array, top: float) -> si.Array:
        done = si.minimum(step, self.decay_steps) / self.decay_steps
        return top * ((1 - self.alpha) * (0.5 * (1 + si.cos(math.pi * done))) + self.alpha)

    def __call__(self, step: Any) -> si.Array:
        at = _float(step)
        if self.warmup_target is None:
            return self._decayed(at, self.initial_learning_rate)
        rise = self.warmup_target - self.initial_learning_rate
        rising = rise * (at / max(self.warmup_steps, 1)) + self.initial_learning_rate
        return si.where(at < self.warmup_steps, rising, self._decayed(at - self.warmup_steps, self.warmup_target))


class CosineDecayRestarts(_Configured):
    """Cosine decays one after the other, each ``t_mul`` times as long and ``m_mul`` times as high (Loshchilov and Hutter 2016)."""

    _names = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0,
        name: str = "CosineDecayRestarts",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = number("CosineDecayRestarts", "initial_learning_rate", initial_learning_rate, NOT_NEGATIVE)
        self.first_decay_steps = number("CosineDecayRestarts", "first_decay_steps", first_decay_steps, POSITIVE)
        self.t_mul, self.m_mul = number("CosineDecayRestarts", "t_mul", t_mul, POSITIVE), number("CosineDecayRestarts", "m_mul", m_mul, NOT_NEGATIVE)
        self.alpha, self.name = number("CosineDecayRestarts", "alpha", alpha, NOT_NEGATIVE), name

    def __call__(self, step: Any) -> si.Array:
        done = _float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            restart = si.floor(done)
            within = done - restart
        else:
            restart = si.floor(si.log(1 - done * (1 - self.t_mul)) / math.log(self.t_mul))
            before = (1 - _power(self.t_mul, restart)) / (1 - self.t_mul)
            within = (done - before) / _power(self.t_mul, restart)
        wave = 0.5 * _power(self.m_mul, restart) * (1 + si.cos(math.pi * within))
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)


def get(identifier: Any) -> LearningRateSchedule:
    """The schedule that a schedule or its configuration means.

    Raises
    ------
    ArgumentError
        If there is no class of that name.
    """
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    from insitu.nn.registry import find, words  # late: the room of models stands above this one

    table = {words(name): cls for name, cls in LearningRateSchedule.classes.items()}
    return find("schedule", table, identifier.get("class_name"), "see si.optim.schedules").from_config(identifier.get("config", {}))


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """The configuration from which `get` makes the schedule again."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}
