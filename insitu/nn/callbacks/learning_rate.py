"""`LearningRateScheduler` and `ReduceLROnPlateau`: other learning rates in the course of a training."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from insitu.arguments import NOT_NEGATIVE, NUMBER, Function, Number, Whole, checked
from insitu.errors import ArgumentError
from insitu.nn.callbacks.callback import Callback, Logs
from insitu.nn.callbacks.monitor import MONITOR, MonitorCallback
from insitu.nn.callbacks.writing import MODE, VERBOSE
from insitu.output import say


def learning_rate_of(model: Any) -> float:
    """The optimizer's learning rate now."""
    return float(np.asarray(model.optimizer.learning_rate))


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch. It stands in the logs as ``learning_rate``.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)`` or ``schedule(epoch)`` gives the new rate; epochs count from 0.
    verbose : 0 or 1
        1 says what is set.

    Raises
    ------
    ArgumentError
        If ``schedule`` cannot be called; during training, if it gives no number.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile(si.optim.SGD(1.0), "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> halve = si.nn.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> model.fit(x, x[:, :1], epochs=3, callbacks=[halve], verbose=0).history["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    adds_names = ("learning_rate",)

    @checked(schedule=Function("callback-argument", "pass lambda epoch, rate: rate * 0.9"), verbose=VERBOSE)
    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self._epoch: int | None = None
        self._done: int | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """No epoch has its rate yet."""
        self._epoch = self._done = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the rate, unless this epoch was begun before an interruption: its rate was restored."""
        self._epoch = epoch
        if epoch == self._done:
            return
        before = learning_rate_of(self.model)
        rate = self._number(self.schedule(epoch, before) if _takes_two(self.schedule) else self.schedule(epoch))
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = learning_rate_of(self.model)

    def _number(self, value: Any) -> float:
        array = np.asarray(value)
        if array.ndim == 0 and array.dtype.kind in "fiu" and 0 <= float(array) < np.inf:
            return float(array)
        raise ArgumentError(
            "LearningRateScheduler: schedule gave no learning rate.",
            expected="a number that is not negative",
            received=repr(value),
            fix="let the function return a float in every case: return rate",
            slug="schedule-return",
            argument="callbacks",
        )

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The rate of that epoch is set already."""
        self._done = state["epoch"]


def _takes_two(schedule: Callable[..., Any]) -> bool:
    """Whether a function can be called with epoch and rate; one that tells nothing of its arguments is taken to."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate with a factor when a number of the logs has stopped improving.

    The rate stands in the logs as ``learning_rate``.

    Parameters
    ----------
    monitor : str
        Name in the logs of an epoch.
    factor : float
        Smaller than 1; the new rate is ``rate * factor``.
    patience : int
        Epochs without improvement after which the rate is reduced.
    verbose : 0 or 1
        1 says what is set.
    mode : "auto", "min" or "max"
        Whether less or more is better.
    min_delta : float
        A smaller change is no improvement.
    cooldown : int
        Epochs after a reduction in which none is counted.
    min_lr : float
        The rate is not made smaller than this.

    Raises
    ------
    ArgumentError
        For arguments that are none of these; by `fit`, before the first step, if the name does not exist.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile(si.optim.SGD(0.0), "mse")
    >>> model.optimizer.learning_rate = 1.0
    >>> x = np.zeros((4, 2), np.float32)
    >>> reduce = si.nn.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1)
    >>> model.fit(x, x[:, :1], epochs=4, callbacks=[reduce], verbose=0).history["learning_rate"]
    [1.0, 1.0, 0.5, 0.25]
    """

    adds_names = ("learning_rate",)

    @checked(
        "callback-argument", monitor=MONITOR, factor=Number(0, 1, open="h"), patience=Whole(0), verbose=VERBOSE, mode=MODE, min_delta=NUMBER,
        cooldown=Whole(0), min_lr=NOT_NEGATIVE,
    )  # fmt: skip
    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0, mode: str = "auto",
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor, self.min_lr, self.patience, self.cooldown, self.verbose = factor, min_lr, patience, cooldown, verbose
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin anew, so that one object serves several trainings."""
        self.best, self.wait, self.cooldown_counter = None, 0, 0
        # an optimizer with a schedule refuses a rate: that is told now and not after hours
        self.model.optimizer.learning_rate = learning_rate_of(self.model)

    def in_cooldown(self) -> bool:
        """Whether a reduction was not long ago."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Count, and reduce."""
        if logs is not None:
            logs["learning_rate"] = learning_rate_of(self.model)
        current = self.current(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int) -> bool:
        old = learning_rate_of(self.model)
        if old <= np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the counts."""
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]
