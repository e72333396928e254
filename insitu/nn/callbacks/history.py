"""`History`: losses and metrics of each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from insitu.nn.callbacks.callback import Callback, Logs


class History(Callback):
    """Records the logs of each epoch; `fit` returns one.

    Attributes
    ----------
    history : dict
        Name (``loss``, ``accuracy``, ``val_loss``, ...) to a list with one float per epoch.
    epoch : list of int
        Numbers of the epochs, from 0.
    params : dict
        ``epochs``, ``steps`` per epoch and ``verbose``.
    first_step_seconds : float
        From the call of `fit` to the end of the first step: checks, initial weights, compilation.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> history = model.fit(x, x[:, :1], epochs=2, verbose=0)
    >>> history.epoch, history.history["loss"]
    ([0, 1], [0.0, 0.0])
    """

    order = 1

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.params: dict[str, Any] = {}
        self.first_step_seconds = 0.0

    def set_model(self, model: Any) -> None:
        """Called before anything begins; the model's ``history`` is this one from then on."""
        super().set_model(model)
        model.history = self

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin the numbers of the epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        """Columns of floats are stored as arrays: a long training has thousands of them."""
        columns = {k: np.asarray(v, np.float64) if all(type(e) is float for e in v) else list(v) for k, v in self.history.items()}
        return {"epoch": np.asarray(self.epoch, np.int64), "history": columns}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the epochs before the interruption."""
        self.epoch = np.asarray(state["epoch"]).tolist()
        self.history = {k: list(v) if isinstance(v, list) else np.asarray(v).tolist() for k, v in state["history"].items()}

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items() if isinstance(values[-1], float))
        return f"<History: {len(self.epoch)} epochs{', ' if last else ''}{last}>"
