"""`EarlyStopping`: end a training that no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from insitu.arguments import FLAG, NUMBER, Whole, checked
from insitu.nn.callbacks.callback import Logs
from insitu.nn.callbacks.monitor import MONITOR, MonitorCallback
from insitu.nn.callbacks.writing import MODE, VERBOSE
from insitu.output import say


class EarlyStopping(MonitorCallback):
    """Stop when a number of the logs has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        Name in the logs of an epoch.
    min_delta : float
        A smaller change is no improvement.
    patience : int
        Epochs without improvement after which training stops.
    verbose : 0 or 1
        1 says when it stops.
    mode : "auto", "min" or "max"
        Whether less or more is better.
    baseline : float, optional
        Value that must be reached: epochs that are not better than it count as without improvement.
    restore_best_weights : bool
        Whether the model ends with the weights of its best epoch instead of the last.
    start_from_epoch : int
        Epochs before this one are not looked at.

    Raises
    ------
    ArgumentError
        For arguments that are none of these; by `fit`, before the first step, if the name does not exist.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile(si.optim.SGD(0.0), "mse")
    >>> x = np.ones((4, 2), np.float32)
    >>> stop = si.nn.callbacks.EarlyStopping(monitor="loss", patience=2)
    >>> model.fit(x, x[:, :1], epochs=20, callbacks=[stop], verbose=0).epoch
    [0, 1, 2]
    """

    @checked(
        "callback-argument", monitor=MONITOR, min_delta=NUMBER, patience=Whole(0), verbose=VERBOSE, mode=MODE, baseline=NUMBER | None,
        restore_best_weights=FLAG, start_from_epoch=Whole(0),
    )  # fmt: skip
    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0, mode: str = "auto",
        baseline: float | None = None, restore_best_weights: bool = False, start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.start_from_epoch, self.baseline = patience, start_from_epoch, baseline
        self.verbose, self.restore_best_weights = verbose, restore_best_weights
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[np.ndarray[Any, Any]] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin anew, so that one object serves several trainings."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Count, and stop."""
        current = self.current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        better = self.is_improvement(current, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Give the model its best weights."""
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        names = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the count and the best weights."""
        self.best, self.wait = state["best"], state["wait"]
        self.stopped_epoch, self.best_epoch = state["stopped_epoch"], state["best_epoch"]
        stored = state["best_weights"]
        self.best_weights = None if stored is None else [np.asarray(w) for w in stored]
