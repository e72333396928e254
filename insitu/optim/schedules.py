"""Learning rates that follow the number of steps, with Keras' names, defaults and formulas.

A schedule is called with the step count, an array, inside the compiled step, so that nothing is compiled anew.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import insitu as si
from insitu.arguments import ARRAY, CONFIG, FLAG, NOT_NEGATIVE, NUMBER, POSITIVE, TEXT, Checked, Instance, Number, Several, Whole, checked
from insitu.errors import ArgumentError, UserError
from insitu.optim.configured import Configured, arguments_of
from insitu.registry import check_config, find, words


class LearningRateSchedule(Configured):
    """Base class: a subclass defines ``__call__(step)``.

    Its ``get_config`` reads the arguments of ``__init__`` from attributes of the same names.

    Examples
    --------
    >>> import insitu as si
    >>> class Halving(si.optim.schedules.LearningRateSchedule):
    ...     def __init__(self, rate):
    ...         self.rate = rate
    ...     def __call__(self, step):
    ...         return self.rate * 0.5 ** step
    >>> optimizer = si.optim.SGD(Halving(0.1))
    >>> optimizer.learning_rate
    Array(0.1, dtype=float32)
    """

    classes: ClassVar[dict[str, type[LearningRateSchedule]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        LearningRateSchedule.classes[cls.__name__] = cls

    def __call__(self, step: Any) -> Any:
        """The learning rate for the step with this number (from 0), of shape ().

        Parameters
        ----------
        step : Array
            int64 of shape (). Within a compiled step its value is not known: use `si.where`, not ``if``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule.

        Raises
        ------
        ArgumentError
            If an argument is not kept as an attribute.
        """
        return self.kept({} if type(self).__init__ is object.__init__ else arguments_of(type(self))[0])

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items() if v is not None)})"


def rate(schedule: LearningRateSchedule, iterations: si.Array) -> si.Array:
    """What a schedule gives for a step.

    Returns
    -------
    Array
        float32 of shape ().

    Raises
    ------
    ArgumentError
        If it is not one number.
    """
    found = schedule(iterations)
    try:
        array = None if found is None else si.asarray(found)
    except (UserError, TypeError, ValueError):
        array = None
    if array is None or array.shape != () or array.dtype is si.bool:
        raise ArgumentError(
            f"The schedule {type(schedule).__name__} gave no learning rate.",
            expected="one number",
            received=repr(found) if array is None else f"shape {tuple(array.shape)}, {array.dtype.name}",
            fix="let __call__ return a number in every case",
            slug="schedule-return",
        )
    return array.astype(si.float32)


def _float(step: Any) -> si.Array:
    return si.asarray(step).astype(si.float32)


def _power(base: float, exponent: si.Array) -> si.Array:
    return si.pow(si.full((), base, dtype=si.float32), exponent)


class _Decay(LearningRateSchedule):
    """The arguments of decays by a rate within a number of steps."""

    @checked("optimizer-range", initial_learning_rate=NOT_NEGATIVE, decay_steps=POSITIVE, decay_rate=NOT_NEGATIVE, staircase=FLAG, name=TEXT | None)
    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False, name: str | None = None) -> None:
        self.name = name or type(self).__name__
        self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase = initial_learning_rate, decay_steps, decay_rate, staircase

    def _quotient(self, step: Any) -> si.Array:
        quotient = _float(step) / self.decay_steps
        return si.floor(quotient) if self.staircase else quotient


class ExponentialDecay(_Decay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        Not negative.
    decay_steps : float
        Steps within which the rate is multiplied by ``decay_rate``; positive.
    decay_rate : float
        Not negative.
    staircase : bool
        Take the whole part of the quotient, so that the rate falls in steps.
    name : str, optional

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.optim.schedules.ExponentialDecay(0.1, 10, 0.5)(20)), 4)
    0.025
    """

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        return self.initial_learning_rate * _power(self.decay_rate, self._quotient(step))


class InverseTimeDecay(_Decay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters and errors as for `ExponentialDecay`.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.optim.schedules.InverseTimeDecay(0.1, 10, 0.5)(20)), 4)
    0.05
    """

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        return self.initial_learning_rate / (1 + self.decay_rate * self._quotient(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` while the step is at most ``boundaries[i]``, the last value after the last boundary.

    Parameters
    ----------
    boundaries : sequence of float
        Steps, in increasing order; at least one.
    values : sequence of float
        Rates, one more than boundaries; not negative.
    name : str

    Raises
    ------
    ArgumentError
        For other numbers, or another number of them.

    Examples
    --------
    >>> import insitu as si
    >>> schedule = si.optim.schedules.PiecewiseConstantDecay([100], [0.5, 0.25])
    >>> schedule(100), schedule(101)
    (Array(0.5, dtype=float32), Array(0.25, dtype=float32))
    """

    @checked(boundaries=Several(NUMBER, slug="schedule-values"), values=Several(NOT_NEGATIVE, slug="schedule-values"), name=TEXT | None)
    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstantDecay") -> None:
        rising = all(a < b for a, b in itertools.pairwise(boundaries))
        if not rising or len(values) != len(boundaries) + 1:
            raise ArgumentError(
                "PiecewiseConstantDecay needs rising boundaries and one value more than boundaries.",
                expected="a rate before, between and after the boundaries, none of them negative",
                received=f"boundaries={boundaries!r}, values={values!r}",
                fix="PiecewiseConstantDecay([1000], [0.1, 0.01])",
                slug="schedule-values",
                argument="values=",
            )
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        at = si.asarray(step)
        found = si.full((), self.values[-1], dtype=si.float32)
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            found = si.where(at <= boundary, si.full((), value, dtype=si.float32), found)
        return found


class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``, and ``end`` from ``decay_steps`` on.

    Parameters
    ----------
    initial_learning_rate, end_learning_rate : float
        Not negative.
    decay_steps : float
        Positive.
    power : float
        1 for a straight line; not negative.
    cycle : bool
        Go on with the next multiple of ``decay_steps`` at the end.
    name : str

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> schedule = si.optim.schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.5)
    >>> schedule(5), schedule(20)
    (Array(0.75, dtype=float32), Array(0.5, dtype=float32))
    """

    @checked(
        "optimizer-range",
        initial_learning_rate=NOT_NEGATIVE,
        decay_steps=POSITIVE,
        end_learning_rate=NOT_NEGATIVE,
        power=NOT_NEGATIVE,
        cycle=FLAG,
        name=TEXT | None,
    )
    def __init__(
        self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 0.0001, power: float = 1.0, cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:  # fmt: skip
        self.name = name
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle = end_learning_rate, power, cycle

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        at, steps = _float(step), si.full((), self.decay_steps, dtype=si.float32)
        if self.cycle:
            steps = steps * si.where(at == 0, 1.0, si.ceil(at / self.decay_steps))
        else:
            at = si.minimum(at, steps)
        left = si.pow(1 - at / steps, si.full((), self.power, dtype=si.float32))
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate down to ``alpha`` times it (Loshchilov and Hutter 2016), after a linear warm-up.

    Parameters
    ----------
    initial_learning_rate : float
        Not negative.
    decay_steps : float
        Length of the half cosine; positive.
    alpha : float
        The last rate as a share of the highest; not negative.
    name : str
    warmup_target : float, optional
        The rate rises from ``initial_learning_rate`` to this within ``warmup_steps``, and falls from there.
    warmup_steps : int
        Not negative.

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> schedule = si.optim.schedules.CosineDecay(0.0, 100, warmup_target=1.0, warmup_steps=10)
    >>> [round(float(schedule(at)), 2) for at in (0, 5, 10, 60, 110)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    @checked(
        "optimizer-range",
        initial_learning_rate=NOT_NEGATIVE,
        decay_steps=POSITIVE,
        alpha=NOT_NEGATIVE,
        warmup_target=NOT_NEGATIVE | None,
        warmup_steps=Whole(0),
        name=TEXT | None,
    )
    def __init__(
        self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0, name: str = "CosineDecay", warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:  # fmt: skip
        self.name = name
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def _decayed(self, step: si.Array, top: float) -> si.Array:
        done = si.minimum(step, self.decay_steps) / self.decay_steps
        return top * ((1 - self.alpha) * (0.5 * (1 + si.cos(math.pi * done))) + self.alpha)

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        at = _float(step)
        if self.warmup_target is None:
            return self._decayed(at, self.initial_learning_rate)
        rise = self.warmup_target - self.initial_learning_rate
        rising = rise * (at / max(self.warmup_steps, 1)) + self.initial_learning_rate
        return si.where(at < self.warmup_steps, rising, self._decayed(at - self.warmup_steps, self.warmup_target))


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other, each ``t_mul`` times as long and ``m_mul`` times as high (Loshchilov and Hutter 2016).

    Parameters
    ----------
    initial_learning_rate : float
        Not negative.
    first_decay_steps : float
        Positive.
    t_mul : float
        At least 1.
    m_mul, alpha : float
        Not negative; ``alpha`` is the lowest rate as a share of the initial one.
    name : str

    Raises
    ------
    ArgumentError
        For values out of these ranges.

    Examples
    --------
    >>> import insitu as si
    >>> schedule = si.optim.schedules.CosineDecayRestarts(1.0, 10, m_mul=0.5)
    >>> [round(float(schedule(at)), 2) for at in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    @checked(
        "optimizer-range",
        initial_learning_rate=NOT_NEGATIVE,
        first_decay_steps=POSITIVE,
        t_mul=Number(1),
        m_mul=NOT_NEGATIVE,
        alpha=NOT_NEGATIVE,
        name=TEXT | None,
    )
    def __init__(
        self, initial_learning_rate: float, first_decay_steps: float, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0,
        name: str = "CosineDecayRestarts",
    ) -> None:  # fmt: skip
        self.name = name
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha = t_mul, m_mul, alpha

    def _before(self, restart: si.Array) -> si.Array:
        """Where a decay begins, in units of ``first_decay_steps``."""
        return (_power(self.t_mul, restart) - 1) / (self.t_mul - 1)

    @checked(step=ARRAY)
    def __call__(self, step: Any) -> si.Array:
        done = _float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            restart = si.floor(done)
            within = done - restart
        else:
            restart = si.floor(si.log(1 + done * (self.t_mul - 1)) / math.log(self.t_mul))
            # the logarithm is rounded: a step at the very beginning of a decay must not count as the end of the one before
            restart = si.where(self._before(restart + 1) <= done, restart + 1, restart)
            restart = si.where(self._before(restart) > done, restart - 1, restart)
            within = (done - self._before(restart)) / _power(self.t_mul, restart)
        wave = 0.5 * _power(self.m_mul, restart) * (1 + si.cos(math.pi * within))
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)


@checked(identifier=Checked("a schedule or its configuration"))
def get(identifier: Any) -> LearningRateSchedule:
    """The schedule that a schedule or its configuration means.

    Parameters
    ----------
    identifier : LearningRateSchedule or dict
        What `serialize` gave.

    Raises
    ------
    ArgumentError
        If there is no class of that name.

    Examples
    --------
    >>> get({"class_name": "InverseTimeDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}})
    InverseTimeDecay(initial_learning_rate=0.1, decay_steps=10.0, decay_rate=0.5, staircase=False, name='InverseTimeDecay')
    """
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    table = {words(name): cls for name, cls in LearningRateSchedule.classes.items() if not name.startswith("_")}
    described = identifier if isinstance(identifier, Mapping) else {"class_name": identifier}
    return find("schedule", table, described.get("class_name"), "see si.optim.schedules").from_config(
        check_config("schedule", described.get("config", {}))
    )


@checked(schedule=Instance(LearningRateSchedule, "a schedule", slug="schedule-unknown"))
def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """The configuration from which `get` makes the schedule again.

    Examples
    --------
    >>> serialize(PiecewiseConstantDecay([10], [0.1, 0.01]))["class_name"]
    'PiecewiseConstantDecay'
    """
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}
