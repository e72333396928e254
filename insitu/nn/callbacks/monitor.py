"""`MonitorCallback`: what callbacks share that watch one of the logs for improvement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu.arguments import NUMBER, Text, checked
from insitu.errors import ArgumentError, CallbackWarning, warn
from insitu.nearest import nearest
from insitu.nn.callbacks.callback import Callback, Logs
from insitu.nn.callbacks.writing import MODE
from insitu.registry import words

#: Words in names of metrics, where the metric itself does not say whether more is better.
_MORE = {"acc", "accuracy", "precision", "recall", "sensitivity", "specificity", "auc", "f1", "fbeta", "iou", "r2", "similarity", "information"}
_LESS = {"loss", "error", "mse", "mae", "mape", "msle", "rmse", "crossentropy", "entropy", "divergence", "poisson", "hinge", "cosh", "huber"}


MONITOR = Text("a name in the logs", ("val_loss",), slug="callback-argument")


class MonitorCallback(Callback):
    """Base class of callbacks that ask whether a number of the logs has become better.

    Parameters
    ----------
    monitor : str
        Name in the logs of an epoch.
    mode : "auto", "min" or "max"
        Whether less or more is better; "auto" looks at the class of the model's metric of that name, and then at the name.
    baseline : float, optional
        The value to be better than at first; default: the first one counts as better.
    min_delta : float
        A smaller change is no improvement.

    Raises
    ------
    ArgumentError
        For arguments that are none of these; before the first step, if the name does not exist or "auto" does not know it.
    """

    #: Whether a training without the monitored name is refused before it begins.
    needs_monitor: bool = True

    @checked("callback-argument", monitor=MONITOR, mode=MODE, baseline=NUMBER | None, min_delta=NUMBER)
    def __init__(self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0) -> None:
        self.monitor, self.mode, self.best, self.min_delta = monitor, mode, baseline, abs(min_delta)
        self._expected = self._warned = False

    def check_names(self, names: Sequence[str]) -> None:
        """Raise an error if the monitored name does not exist, or if it is not known whether less or more is better."""
        if self.needs_monitor:
            if self.monitor not in names:
                raise self._missing(names)
            self._expected = True
            self._wants_more()

    def current(self, logs: Logs) -> float | None:
        """The monitored number; None where the logs lack it, which is said once if it was never to be expected."""
        value = (logs or {}).get(self.monitor)
        if value is not None and not np.ndim(value):
            return float(value)
        if not self._warned and (value is not None or not self._expected):
            self._warned = True
            warn(self._missing([n for n, v in (logs or {}).items() if not np.ndim(v)]), CallbackWarning)
        return None

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``. NaN is better than nothing."""
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        return value - self.min_delta > reference if self._wants_more() else value + self.min_delta < reference

    def _wants_more(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        known = [m for m in getattr(self.model, "metrics", None) or () if name == m.name or name.endswith("_" + m.name)]
        for text in (*(words(type(m).__name__) for m in known), name.lower()):
            parts = set(text.split("_"))
            if parts & (_LESS | _MORE):
                return not parts & _LESS
        raise ArgumentError(
            f'{type(self).__name__}: whether less or more of "{self.monitor}" is better cannot be told from its name.',
            expected='mode="min" or mode="max"',
            received='mode="auto"',
            fix='pass mode="max" if more is better, mode="min" if less is',
            slug="callback-mode",
            argument="monitor=",
        )

    def _missing(self, names: Sequence[str]) -> ArgumentError:
        shown = ", ".join(f'"{n}"' for n in names) or "(nothing)"
        lacks_validation = self.monitor.startswith("val_") and not any(n.startswith("val_") for n in names)
        near = self.monitor.removeprefix("val_") if lacks_validation else nearest(self.monitor, names)
        fix = f'watch one of these, such as monitor="{near if near in names else next(iter(names), "loss")}"'
        return ArgumentError(
            f'{type(self).__name__}: the logs of an epoch have no number "{self.monitor}" to monitor.',
            expected=f"one of {shown}",
            received=f'monitor="{self.monitor}"' + (", in a training without validation data" if lacks_validation else ""),
            fix=f"pass validation_data=(x, y) to fit, or {fix}" if lacks_validation else fix,
            slug="callback-monitor",
            argument="callbacks",
        )

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def set_state(self, state: Any) -> None:
        self.best = state["best"]
