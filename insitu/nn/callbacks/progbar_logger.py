"""`ProgbarLogger`: the progress line, for loops of one's own."""

from __future__ import annotations

import time
from typing import Any

from insitu.nn.callbacks.callback import Callback, Logs

#: Seconds between two looks at the values.
LOOK_EVERY = 0.25


class ProgbarLogger(Callback):
    """Shows epoch, step, loss and metrics while a loop runs.

    `fit`, `evaluate` and `predict` show the same by themselves (see ``verbose``), so that it does nothing there. In a loop of
    one's own it goes into a `CallbackList`.

    Examples
    --------
    >>> import insitu as si
    >>> callbacks = si.nn.callbacks.CallbackList(add_progbar=True, epochs=1, steps=2, verbose=0)
    >>> callbacks.on_train_begin()
    >>> callbacks.on_epoch_begin(0)
    >>> callbacks.on_train_batch_end(0, {"loss": 0.5})
    >>> callbacks.on_epoch_end(0, {"loss": 0.25})
    """

    order = 2
    lazy_logs = True

    def __init__(self) -> None:
        self._line: Any = None
        self._fitting = False
        self._following = 0.0

    def _begin(self, epochs: int, epoch: int = 0) -> None:
        from insitu.nn import progress  # the room of `nn` is made after this one

        if self._together is not None and self._together.displayed:
            return
        if self._line is None:
            params = self.params or {}
            self._line = progress.Progress(progress.level(params.get("verbose", 1)), epochs, params.get("steps"), None)
            self._line.__enter__()
        self._line.begin(epoch)
        self._following = time.perf_counter() + LOOK_EVERY

    def _look(self, batch: int, logs: Logs) -> None:
        if self._line is not None and time.perf_counter() >= self._following:
            self._line.look(batch + 1, None, dict(logs or {}))
            self._following = time.perf_counter() + LOOK_EVERY

    def _end(self, logs: Logs) -> None:
        if self._line is not None:
            self._line.end(dict(logs or {}))

    def _close(self) -> None:
        if self._line is not None:
            self._line.__exit__(None, None, None)
            self._line = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Validation belongs to an epoch from now on."""
        self._fitting = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Begin a line."""
        self._begin((self.params or {}).get("epochs", 0), epoch)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the values a few times per second."""
        self._look(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """The epoch's last line."""
        self._end(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        """Leave the terminal as it was."""
        self._fitting = False
        self._close()

    def on_test_begin(self, logs: Logs = None) -> None:
        """Begin a line, unless an epoch has one."""
        if self._fitting:
            if self._line is not None:
                self._line.trained()
        else:
            self._begin(0)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the values a few times per second."""
        if not self._fitting:
            self._look(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """The last line."""
        if not self._fitting:
            self._end(logs)
            self._close()

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Begin a line."""
        self._begin(0)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Count; outputs are not shown."""
        self._look(batch, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        """The last line."""
        self._end(None)
        self._close()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_line": None, "_fitting": False}
