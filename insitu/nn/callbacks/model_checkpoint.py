"""`ModelCheckpoint`: keep files of the model while it is trained."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from insitu.arguments import FLAG, NUMBER, PATH, checked
from insitu.errors import ArgumentError
from insitu.nn.callbacks import writing
from insitu.nn.callbacks.callback import Logs
from insitu.nn.callbacks.files import File
from insitu.nn.callbacks.monitor import MONITOR, MonitorCallback
from insitu.nn.callbacks.writing import MODE, SAVE_FREQ, VERBOSE
from insitu.output import say

if TYPE_CHECKING:
    from insitu.nn.planning import Plan


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, after each epoch or after some batches.

    A file is written whole or not at all. Folders are made where they are missing.

    Parameters
    ----------
    filepath : str or path
        Name of the file; ``{epoch:02d}`` (from 1), ``{batch}`` (from 1, with a number as ``save_freq``) and names of the
        logs such as ``{val_loss:.2f}`` are filled in.
    monitor : str
        Name in the logs of an epoch, for ``save_best_only``.
    verbose : 0 or 1
        1 says what is saved.
    save_best_only : bool
        Whether to save only when the monitored number is better than ever.
    save_weights_only : bool
        Whether to save the weights alone (``model.save_weights``) instead of the model (``model.save``).
    mode : "auto", "min" or "max"
        Whether less or more is better.
    save_freq : "epoch" or int
        "epoch", or a number of batches.
    initial_value_threshold : float, optional
        The value to be better than at first.

    Raises
    ------
    ArgumentError
        For arguments that are none of these; by `fit`, before the first step, if a name does not exist, or if the model holds
        functions that a file cannot name.
    FileFormatError
        Before the first step, if the folder cannot be written.

    Examples
    --------
    >>> import insitu as si, numpy as np, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> keep = si.nn.callbacks.ModelCheckpoint(os.path.join(folder, "{epoch:02d}-{loss:.1f}.insitu"), monitor="loss")
    >>> history = model.fit(x, x[:, :1], epochs=2, callbacks=[keep], verbose=0)
    >>> sorted(os.listdir(folder))
    ['01-0.0.insitu', '02-0.0.insitu']
    """

    lazy_logs = True

    @checked(
        "callback-argument", filepath=PATH, verbose=VERBOSE, save_best_only=FLAG, save_weights_only=FLAG, save_freq=SAVE_FREQ,
        initial_value_threshold=NUMBER | None, monitor=MONITOR, mode=MODE,
    )  # fmt: skip
    def __init__(
        self, filepath: str | os.PathLike[str], monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", save_freq: str | int = "epoch", initial_value_threshold: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath, self.save_freq = os.fspath(filepath), save_freq
        self._batches = writing.EveryBatches(save_freq) if isinstance(save_freq, int) else None
        self.fields = _fields(self.filepath, self._batches is not None)
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self._epoch = 0

    @property
    def needs_monitor(self) -> bool:  # type: ignore[override]
        return self.save_best_only

    def check_names(self, names: Sequence[str]) -> None:
        """Raise an error if the monitored name or one in the file's name does not exist."""
        super().check_names(names)
        # logs of batches have no validation in them
        have = names if self._batches is None else [n for n in names if not n.startswith("val_")]
        for field in self.fields:
            if field not in have:
                raise self._unknown(field, have)

    def files(self, plan: Plan) -> list[File]:
        """One file, or one for each epoch or so many batches where the name has a number in it; the model must be one that a file can hold."""
        if not self.save_weights_only:
            from insitu.nn.saving import check_described  # the room of `nn` is made after this one

            check_described(plan.model)
        every = plan.epochs if self._batches is None else plan.epochs * (plan.extent[0] or 0) // self._batches.every
        many = not self.save_best_only and ("{epoch" in self.filepath or "{batch" in self.filepath)
        report = plan.report
        size = report.weight_bytes + (0 if self.save_weights_only else report.optimizer_bytes)
        return [File(self.filepath, size, max(every, 1) + 1 if many else 2)]

    def on_train_begin(self, logs: Logs = None) -> None:
        """See that the folder may be written."""
        folder = os.path.dirname(self.filepath)
        if "{" not in folder:
            writing.make_folder("ModelCheckpoint", folder or ".")

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Remember the number."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save after each ``save_freq``-th batch."""
        if self._batches is not None and self._batches.due(batch):
            self._consider(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save after each epoch."""
        if self._batches is None:
            self._consider(epoch, None, logs)

    def wants(self, hook: str) -> bool:
        """Batches are of interest only with a number of them."""
        if hook == "on_train_batch_end" and type(self).on_train_batch_end is ModelCheckpoint.on_train_batch_end:
            return self._batches is not None
        return super().wants(hook)

    def _consider(self, epoch: int, batch: int | None, logs: Logs) -> None:
        if self.save_best_only:
            current = self.current(logs)
            if current is None and self._expected:
                return  # an epoch without validation
            if current is not None and not self._is_best(current, epoch):
                return
        place = self._place(epoch, batch, logs)
        writing.make_folder("ModelCheckpoint", os.path.dirname(place) or ".")
        if self.save_weights_only:
            self.model.save_weights(place)
        else:
            self.model.save(place)
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: saved {'weights' if self.save_weights_only else 'model'} to {place}")

    def _is_best(self, current: float, epoch: int) -> bool:
        before = "nothing" if self.best is None else f"{self.best:.5f}"
        better = self.is_improvement(current, self.best)
        if self.verbose:
            say(
                f"\nEpoch {epoch + 1}: {self.monitor} " + (f"improved from {before} to {current:.5f}" if better else f"did not improve from {before}")
            )
        if better:
            self.best = current
        return better

    def _place(self, epoch: int, batch: int | None, logs: Logs) -> str:
        values = {name: (logs or {})[name] for name in self.fields if name in (logs or {})} if self.fields else {}
        missing = [name for name in self.fields if name not in values]
        if missing:
            raise self._unknown(missing[0], list(logs or {}))
        if batch is not None:
            values["batch"] = batch + 1
        return self.filepath.format(**{**values, "epoch": epoch + 1})

    def _unknown(self, field: str, names: Sequence[str]) -> ArgumentError:
        own = ["epoch"] if self._batches is None else ["epoch", "batch"]
        return ArgumentError(
            f'ModelCheckpoint: "{{{field}}}" in filepath names nothing in the logs.',
            expected="of " + ", ".join([*own, *names]),
            received=f'filepath="{self.filepath}"',
            fix="pass validation_data=(x, y) to fit, or leave the name out" if field.startswith("val_") else "leave the name out",
            slug="checkpoint-filepath",
            argument=self.filepath,
        )

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": None if self._batches is None else self._batches.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the best value and the count of batches."""
        self.best = state["best"]
        if self._batches is not None and state["batches"] is not None:
            self._batches.set_state(state["batches"])


def _fields(filepath: str, batches: bool) -> list[str]:
    """The names of logs in a file's name.

    Raises
    ------
    ArgumentError
        If it cannot be filled in.
    """
    own = {"epoch": 1, "batch": 1} if batches else {"epoch": 1}
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(filepath) if name is not None]
        if not all(name.isidentifier() for name in names):
            raise ValueError("only names may stand in the braces")
        filepath.format(**dict.fromkeys(names, 0.5) | own)
    except (ValueError, LookupError) as error:
        raise ArgumentError(
            "ModelCheckpoint: the name of the file cannot be filled in.",
            expected='names of the logs in braces, with a format where wanted: "{epoch:02d}-{val_loss:.2f}.insitu"',
            received=f'filepath="{filepath}" ({error})',
            fix="write {{ and }} for braces that are meant to stay",
            slug="checkpoint-filepath",
            argument=filepath,
        ) from None
    return [name for name in dict.fromkeys(names) if name not in own]
