"""What `fit` leaves behind."""

from __future__ import annotations

from typing import Any


class History:
    """Losses and metrics of each epoch.

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
    """

    def __init__(self, **params: Any) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params = params
        self.first_step_seconds = 0.0

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items())
        return f"<History: {len(self.epoch)} epochs{', ' if last else ''}{last}>"
