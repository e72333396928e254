"""`BackupAndRestore`: a training that goes on after an interruption as if there had been none."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu.arguments import FLAG, PATH, checked
from insitu.errors import ArgumentError, FileFormatError, UserError
from insitu.io import container, files
from insitu.nn.callbacks import writing
from insitu.nn.callbacks.callback import Callback, Logs
from insitu.nn.callbacks.files import File
from insitu.nn.callbacks.writing import SAVE_FREQ
from insitu.version import __version__

if TYPE_CHECKING:
    from insitu.nn.planning import Plan

_PLACE = "callbacks"


class BackupAndRestore(Callback):
    """Store the state of the training, and go on from it when `fit` is called again after an interruption.

    The state is one file, ``backup.insitu`` in a folder of its own: weights, optimizer, random generators, place in the order
    of the data, sums of the metrics and the states of all callbacks. It is written whole or not at all, so that whenever
    the process is killed the last state is there, and a training that goes on from it ends with the same bits as one that
    was never interrupted. Program, data and arguments must be the same.

    Parameters
    ----------
    backup_dir : str or path
        Folder for the file; made if it is missing. One training has one folder.
    save_freq : "epoch" or int
        "epoch", or a number of batches.
    delete_checkpoint : bool
        Whether the file is deleted when the training has come to its end.

    Raises
    ------
    ArgumentError
        For arguments that are none of these.
    FileFormatError
        Before the first step, if the folder cannot be written, or if the file in it is damaged or of another training.

    Examples
    --------
    >>> import insitu as si, numpy as np, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> x = np.zeros((4, 2), np.float32)
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> backup = si.nn.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    >>> model.fit(x, x[:, :1], epochs=2, callbacks=[backup], verbose=0).epoch
    [0, 1]
    >>> os.listdir(folder)
    ['backup.insitu']
    >>> model.fit(x, x[:, :1], epochs=3, callbacks=[backup], verbose=0).epoch
    [0, 1, 2]
    """

    order = 3
    lazy_logs = True

    @checked("callback-argument", backup_dir=PATH, save_freq=SAVE_FREQ, delete_checkpoint=FLAG)
    def __init__(self, backup_dir: str | os.PathLike[str], save_freq: str | int = "epoch", delete_checkpoint: bool = True) -> None:
        self.backup_dir, self.save_freq, self.delete_checkpoint = os.fspath(backup_dir), save_freq, delete_checkpoint
        self._batches = writing.EveryBatches(save_freq) if isinstance(save_freq, int) else None

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.backup_dir, "backup.insitu")

    def wants(self, hook: str) -> bool:
        """Batches are of interest only with a number of them."""
        if hook == "on_train_batch_end" and type(self).on_train_batch_end is BackupAndRestore.on_train_batch_end:
            return self._batches is not None
        return super().wants(hook)

    # -- the stages --------------------------------------------------------------------------------------
    def files(self, plan: Plan) -> list[File]:
        """The file, and the new one that replaces it."""
        return [File(self.backup_dir, plan.report.weight_bytes + plan.report.optimizer_bytes, 2, is_folder=True)]

    def on_train_begin(self, logs: Logs = None) -> None:
        """Go on from the file, if there is one."""
        writing.make_folder("BackupAndRestore", self.backup_dir)
        for left_over in Path(self.backup_dir).glob(".insitu-*.tmp"):  # of a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        if self.path.exists():
            self._restore()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Store after each ``save_freq``-th batch. A training that stops here is not stored: it would not stop again."""
        if self._batches is not None and self._batches.due(batch) and not self.model.stop_training:
            self._store()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Store after each epoch."""
        if self._batches is None:
            self._store()

    def on_train_end(self, logs: Logs = None) -> None:
        """Delete the file, and the folder if nothing else is in it."""
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.rmdir(self.backup_dir)

    # -- the file ----------------------------------------------------------------------------------------
    def _store(self) -> None:
        tensors, metadata = self.model.training_state()
        own: dict[str, np.ndarray[Any, Any]] = {}
        states = self._together.get_state() if self._together is not None else {}
        outline = files.outline(states, _PLACE, own)
        facts = {
            "insitu": __version__,
            "callbacks": json.dumps(outline),
            "stopped": json.dumps(bool(self.model.stop_training)),
            "same": json.dumps(self._must_be_same()),
            "names": json.dumps(self._names()),
        }
        container.write(self.path, {**tensors, **own}, {**metadata, **facts})

    def _restore(self) -> None:
        try:
            tensors, metadata = content = container.read(self.path)
            self._check(json.loads(metadata.get("same", "{}")))
            here = self._renamed(json.loads(metadata.get("names", "[]")))
            self.model.set_training_state({here.get(k, k): v for k, v in tensors.items() if not k.startswith(_PLACE + "/")}, metadata)
        except (FileFormatError, ArgumentError) as error:
            raise self._refused(error) from error
        if self._together is not None:
            self._together.set_state(files.rebuild(json.loads(metadata["callbacks"]), content))
        self.model.stop_training = json.loads(metadata["stopped"])

    def _names(self) -> list[str]:
        """Names of the model's and the optimizer's tensors, in their order."""
        from insitu.nn.saving import named, optimizer_state  # the room of `nn` is made after this one

        return [*named(self.model.weights), *optimizer_state(self.model)]

    def _renamed(self, stored: list[str]) -> dict[str, str]:
        """Stored names to those here: a model that is made again in one process numbers its layers anew (``dense_1``)."""
        here = self._names()
        return dict(zip(stored, here, strict=True)) if len(stored) == len(here) else {}

    def _must_be_same(self) -> dict[str, Any]:
        """What must be the same when it goes on, beside what the model checks."""
        within = self._batches is not None
        return {"optimizer": type(self.model.optimizer).__name__, "steps per epoch": (self.params or {}).get("steps") if within else None}

    def _check(self, stored: dict[str, Any]) -> None:
        for name, here in self._must_be_same().items():
            there = stored.get(name)
            if here is not None and there is not None and here != there:
                raise FileFormatError(
                    "The backup is of another training.",
                    expected=f"{name}: {here}",
                    received=f"{name}: {there}",
                    fix=f'delete "{self.path}" to begin anew, or give each training a backup_dir of its own',
                    slug="backup-other-model",
                )

    def _refused(self, error: UserError) -> FileFormatError:
        slug = error.slug
        own = f'load: "{self.path}" '
        reason = error.what.removeprefix(own) if error.what.startswith(own) else f"cannot be used. {error.what}"
        return FileFormatError(
            f'BackupAndRestore: "{self.path}" {reason}',
            expected=error.expected,
            received=error.received,
            fix=f'delete "{self.path}" to begin anew' if slug != "backup-other-model" else error.fix,
            slug=slug,
        )

    def get_state(self) -> dict[str, Any]:
        return {"batches": None if self._batches is None else self._batches.get_state()}

    def set_state(self, state: Any) -> None:
        """Go on with the count of batches."""
        if self._batches is not None and state["batches"] is not None:
            self._batches.set_state(state["batches"])
