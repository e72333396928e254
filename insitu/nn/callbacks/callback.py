"""`Callback`: something that is told of each stage of training, testing and predicting."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insitu.nn.callbacks.files import File
    from insitu.nn.planning import Plan

#: What a stage tells: names to numbers.
Logs = MutableMapping[str, Any] | None

#: The hooks that are called for each batch, by what runs.
BATCH_HOOKS = {stage: (f"on_{stage}_batch_begin", f"on_{stage}_batch_end") for stage in ("train", "test", "predict")}


class Callback:
    """Base class: override the hooks that are of interest; all of them do nothing here.

    ``logs`` holds the loss and the metrics as Python floats (arrays where a metric is an array): in ``on_epoch_end`` those
    of the epoch, with ``val_`` in front those of the validation data; in the ``_batch_end`` hooks the means so far in this
    epoch. What a callback adds to the logs of an epoch, the later ones and `History` see too. A hook for batches costs
    a look at values in each step; `fit` runs without looking where no callback has one.

    A training that `BackupAndRestore` resumes equals an uninterrupted one only if callbacks that remember something between
    epochs give it in ``get_state`` and take it back in ``set_state``.

    Attributes
    ----------
    params : dict or None
        ``epochs``, ``steps`` of an epoch (None where unknown) and ``verbose``.
    model : Model or None

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> class StopAt(si.nn.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.5:
    ...             self.model.stop_training = True
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> len(model.fit(x, x[:, :1], epochs=9, callbacks=[StopAt()], verbose=0).epoch)
    1
    """

    #: Callbacks of a list are told in the order of this number, and of one number in the order given.
    order: int = 0
    #: Names that the callback adds to the logs of an epoch.
    adds_names: tuple[str, ...] = ()
    #: Whether it takes logs of batches that are computed when they are read, and are not kept.
    lazy_logs: bool = False

    params: dict[str, Any] | None = None
    _model: Any = None
    #: The `CallbackList` it belongs to while a loop runs.
    _together: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before anything begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before anything begins."""
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    # -- what may be overridden ------------------------------------------------------------------------
    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch, with its logs; not called when an error or Ctrl-C ends the training."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After training and validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After the step."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Another name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Another name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before `evaluate`, and before the validation of an epoch."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After the last batch."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of `evaluate` or of validation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before the first batch."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After the last batch."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch; ``logs["outputs"]`` are the model's outputs."""

    # -- what a resumed training needs -----------------------------------------------------------------
    def get_state(self) -> dict[str, Any]:
        """What the callback remembers between epochs and batches: plain Python values and arrays, in dicts and lists."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave; called after ``on_train_begin``."""

    # -- what lists ask --------------------------------------------------------------------------------
    def check_names(self, names: Sequence[str]) -> None:
        """Raise an error if the callback needs another name than these in the logs of an epoch."""

    def files(self, plan: Plan) -> Sequence[File]:
        """What the callback will write in the training that is planned: `fit` sees beforehand that it can."""
        return ()

    def wants(self, hook: str) -> bool:
        """Whether the callback overrides a hook, in its class or, like `LambdaCallback`, on the object."""
        names = (hook, hook.replace("train_", "")) if hook in BATCH_HOOKS["train"] else (hook,)
        return any(n in vars(self) or getattr(type(self), n) is not getattr(Callback, n) for n in names)

    def __getstate__(self) -> dict[str, Any]:
        """Without the model and the other callbacks of the last training."""
        return {k: v for k, v in vars(self).items() if k not in ("_model", "_together")}
