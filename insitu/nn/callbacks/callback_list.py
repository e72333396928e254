"""`CallbackList`: what the loops of training, testing and predicting call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu.arguments import CONFIG, FLAG, FUNCTION, Instance, Whole, checked
from insitu.errors import ArgumentError
from insitu.nn.callbacks.callback import BATCH_HOOKS, Callback
from insitu.nn.callbacks.history import History
from insitu.nn.callbacks.progbar_logger import ProgbarLogger
from insitu.nn.declared import CALLBACKS
from insitu.nn.layer import Layer

if TYPE_CHECKING:
    from insitu.nn.sources import Interruptible

#: Logs as a loop passes them: at once, or as a function that computes them if a callback reads them.
LoopLogs = MutableMapping[str, Any] | Callable[[], MutableMapping[str, Any]] | None
LOGS = Instance(MutableMapping, "a dict of names to numbers", ({},), slug="callback-argument", fix='pass a dict: {"loss": 0.5}') | FUNCTION | None
POSITION = Whole(0, slug="callback-argument")


class CallbackList:
    """Tells several callbacks of each stage; for loops of one's own too.

    They are told in the order given, except that `History` comes after the user's and `BackupAndRestore` last of all, so
    that it stores what the others have become.

    Parameters
    ----------
    callbacks : Callback, or list of Callback (and lists of them), optional
    model : Model, optional
    params : dict, optional
        ``epochs``, ``steps`` and ``verbose``.
    add_history, add_progbar : bool
        Whether to add a `History` and a `ProgbarLogger` if there is none.
    displayed : bool
        Whether the loop shows its progress itself; a `ProgbarLogger` is silent then.
    **more
        Further entries of ``params``.

    Raises
    ------
    ArgumentError
        If one of them is no callback.

    Examples
    --------
    >>> import insitu as si
    >>> callbacks = si.nn.callbacks.CallbackList(add_history=True, epochs=2)
    >>> callbacks.on_train_begin()
    >>> for epoch in range(2):
    ...     callbacks.on_epoch_begin(epoch)
    ...     callbacks.on_epoch_end(epoch, {"loss": 1 / (epoch + 1)})
    >>> callbacks.on_train_end()
    >>> callbacks.history.history
    {'loss': [1.0, 0.5]}
    """

    @checked(
        "callback-argument",
        callbacks=CALLBACKS, model=Instance(Layer, "a model") | None, params=CONFIG | None, add_history=FLAG, add_progbar=FLAG, displayed=FLAG,
    )  # fmt: skip
    def __init__(
        self, callbacks: Any = None, model: Any = None, params: Mapping[str, Any] | None = None, *,
        add_history: bool = False, add_progbar: bool = False, displayed: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        found = list(_flat(callbacks))
        if add_history and not any(isinstance(c, History) for c in found):
            found.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in found):
            found.append(ProgbarLogger())
        self.callbacks: list[Callback] = []
        self.displayed = displayed
        #: What takes Ctrl-C while `fit` runs: it does not wait for callbacks of the user's.
        self.keys: Interruptible | None = None
        self.params: dict[str, Any] = {**(params or {}), **more}
        self._model = model
        self._epoch_logs: MutableMapping[str, Any] = {}
        self._hooks: dict[str, list[Callback]] = {}
        for callback in found:
            self.append(callback)

    @checked(callback=Instance(Callback, "a callback", slug="callback-type"))
    def append(self, callback: Callback) -> None:
        """Add one, at its place."""
        self.callbacks = sorted([*self.callbacks, callback], key=lambda c: c.order)
        callback._together = self
        callback.set_params(self.params)
        if self._model is not None:
            callback.set_model(self._model)
        self._hooks = {hook: [c for c in self.callbacks if c.wants(hook)] for hooks in BATCH_HOOKS.values() for hook in hooks}

    @property
    def model(self) -> Any:
        return self._model

    @property
    def history(self) -> History:
        """The first `History` among the callbacks; an empty one if there is none."""
        return next((c for c in self.callbacks if isinstance(c, History)), History())

    # -- what a loop needs to know -------------------------------------------------------------------
    @property
    def needs_train_batches(self) -> bool:
        """Whether a callback wants to be told of batches of training; otherwise the loop may run many steps at once."""
        return self._needs("train")

    @property
    def needs_test_batches(self) -> bool:
        """Whether a callback wants to be told of batches of tests."""
        return self._needs("test")

    @property
    def needs_predict_batches(self) -> bool:
        """Whether a callback wants to be told of batches of predictions."""
        return self._needs("predict")

    def _needs(self, stage: str) -> bool:
        return any(self._hooks.get(hook) for hook in BATCH_HOOKS[stage])

    def check_names(self, names: Sequence[str]) -> None:
        """Before the first step: see that the logs of an epoch will have what the callbacks watch.

        Nothing is refused where a callback of the user's may add names to the logs.

        Raises
        ------
        ArgumentError
            If a monitored name, or one in the name of a checkpoint, does not exist.
        """
        if any(c.wants("on_epoch_end") and (not _is_ours(c) or "on_epoch_end" in vars(c)) for c in self.callbacks):
            return
        known = [*names, *(n for c in self.callbacks for n in c.adds_names)]
        for callback in self.callbacks:
            callback.check_names(known)

    # -- the states of all ---------------------------------------------------------------------------
    def get_state(self) -> dict[str, Any]:
        """The states of all callbacks: class name (with a number, where it comes again) to state."""
        return {name: c.get_state() for name, c in self._named()}

    def set_state(self, states: Mapping[str, Any]) -> None:
        """Give the callbacks the states they had; those that were not there begin anew."""
        for name, callback in self._named():
            if name in states:
                callback.set_state(states[name])

    def _named(self) -> list[tuple[str, Callback]]:
        seen: dict[str, int] = {}
        named = []
        for c in self.callbacks:
            base = type(c).__name__
            seen[base] = seen.get(base, 0) + 1
            named.append((base if seen[base] == 1 else f"{base}#{seen[base]}", c))
        return named

    # -- the stages ------------------------------------------------------------------------------------
    @checked(logs=LOGS)
    def on_train_begin(self, logs: LoopLogs = None) -> None:
        """See `Callback`, as for all that follow."""
        self._tell("on_train_begin", logs)

    @checked(logs=LOGS)
    def on_train_end(self, logs: LoopLogs = None) -> None:
        """Without ``logs``, those of the last epoch are passed."""
        self._tell("on_train_end", self._epoch_logs if logs is None else logs)

    @checked(epoch=POSITION, logs=LOGS)
    def on_epoch_begin(self, epoch: int, logs: LoopLogs = None) -> None:
        self._tell("on_epoch_begin", logs, epoch)

    @checked(epoch=POSITION, logs=LOGS)
    def on_epoch_end(self, epoch: int, logs: LoopLogs = None) -> None:
        """What callbacks add to the logs stands in ``logs`` afterwards."""
        self._epoch_logs = numbers(logs)
        self._tell("on_epoch_end", self._epoch_logs, epoch)

    @checked(batch=POSITION, logs=LOGS)
    def on_train_batch_begin(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_train_batch_begin", batch, logs)

    @checked(batch=POSITION, logs=LOGS)
    def on_train_batch_end(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_train_batch_end", batch, logs)

    @checked(logs=LOGS)
    def on_test_begin(self, logs: LoopLogs = None) -> None:
        self._tell("on_test_begin", logs)

    @checked(logs=LOGS)
    def on_test_end(self, logs: LoopLogs = None) -> None:
        self._tell("on_test_end", logs)

    @checked(batch=POSITION, logs=LOGS)
    def on_test_batch_begin(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_test_batch_begin", batch, logs)

    @checked(batch=POSITION, logs=LOGS)
    def on_test_batch_end(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_test_batch_end", batch, logs)

    @checked(logs=LOGS)
    def on_predict_begin(self, logs: LoopLogs = None) -> None:
        self._tell("on_predict_begin", logs)

    @checked(logs=LOGS)
    def on_predict_end(self, logs: LoopLogs = None) -> None:
        self._tell("on_predict_end", logs)

    @checked(batch=POSITION, logs=LOGS)
    def on_predict_batch_begin(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_predict_batch_begin", batch, logs)

    @checked(batch=POSITION, logs=LOGS)
    def on_predict_batch_end(self, batch: int, logs: LoopLogs = None) -> None:
        self._tell_batch("on_predict_batch_end", batch, logs)

    def _tell(self, hook: str, logs: LoopLogs, *epoch: int) -> None:
        given = numbers(logs)
        for callback in self.callbacks:
            with self._stoppable(callback, hook):
                getattr(callback, hook)(*epoch, given)

    def _stoppable(self, callback: Callback, hook: str) -> contextlib.AbstractContextManager[None]:
        own = not _is_ours(callback) or hook in vars(callback)
        return self.keys.at_once() if own and self.keys is not None else contextlib.nullcontext()

    def _tell_batch(self, hook: str, batch: int, logs: LoopLogs) -> None:
        told = self._hooks.get(hook)
        if not told:
            return
        lazy = ReadLate(logs)
        for callback in told:
            given = lazy if callback.lazy_logs else lazy.read()
            with self._stoppable(callback, hook):
                getattr(callback, hook)(batch, given)


class ReadLate(MutableMapping[str, Any]):
    """Logs of a batch that are computed when the first value is read.

    Parameters
    ----------
    logs : dict, or function that returns one
    """

    def __init__(self, logs: LoopLogs) -> None:
        self._logs = logs
        self._values: MutableMapping[str, Any] | None = None

    def read(self) -> MutableMapping[str, Any]:
        """The logs as a dict."""
        if self._values is None:
            self._values = numbers(self._logs)
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self.read()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.read()[name] = value

    def __delitem__(self, name: str) -> None:
        del self.read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


def numbers(logs: LoopLogs) -> MutableMapping[str, Any]:
    """The logs with Python floats in place of arrays of one number; the same object, if it was no function."""
    given = logs() if callable(logs) else logs
    if given is None:
        return {}
    if not isinstance(given, MutableMapping):
        raise LOGS.refusal("a stage of training", "logs", given)
    for name, value in given.items():
        if isinstance(value, si.Array | si.Variable | np.ndarray | np.generic):
            array = np.asarray(value)
            given[name] = array if array.ndim else array.item()
    return given


def _is_ours(callback: Callback) -> bool:
    return type(callback).__module__.startswith("insitu.nn.callbacks.")


def _flat(callbacks: Any) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, list | tuple):
        for entry in callbacks:
            yield from _flat(entry)
        return
    if not isinstance(callbacks, Callback):
        is_class = isinstance(callbacks, type) and issubclass(callbacks, Callback)
        raise ArgumentError(
            "callbacks holds something that is no callback.",
            expected="objects of si.nn.callbacks.Callback or of a subclass",
            received=f"the class {callbacks.__name__}" if isinstance(callbacks, type) else type(callbacks).__name__,
            fix=f"make an object of it: {callbacks.__name__}(...)"
            if is_class
            else "derive the class from si.nn.callbacks.Callback, or wrap a function: si.nn.callbacks.LambdaCallback(on_epoch_end=f)",
            slug="callback-type",
            argument="callbacks=",
        )
    yield callbacks
