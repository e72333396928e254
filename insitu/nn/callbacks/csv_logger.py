"""`CSVLogger`: the logs of each epoch as a row of a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu.arguments import FLAG, PATH, REFUSED, Constraint, checked
from insitu.nn.callbacks import writing
from insitu.nn.callbacks.callback import Callback, Logs
from insitu.nn.callbacks.files import File

if TYPE_CHECKING:
    from insitu.nn.planning import Plan


class Separator(Constraint):
    """A character between the columns of a table."""

    fits = (",", ";")
    borders = ("", ",,", '"', "\n")

    def take(self, value: Any) -> Any:
        return value if isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0' else REFUSED

    def __str__(self) -> str:
        return "one character, no quote and no line break"


class CSVLogger(Callback):
    """Write the logs of each epoch to a file of comma-separated values.

    The first row names the columns: ``epoch`` (from 0), the names of the logs in alphabetic order, and where there is no
    validation a ``val_`` column for each, which says ``NA``. Each row is in the file, whole, when its epoch has ended.

    Parameters
    ----------
    filename : str or path
    separator : str
        One character between two values.
    append : bool
        Whether to go on at the end of a file that is there, instead of replacing it.

    Raises
    ------
    ArgumentError
        For arguments that are none of these.
    FileFormatError
        Before the first step, if the file cannot be written.

    Examples
    --------
    >>> import insitu as si, numpy as np, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> history = model.fit(x, x[:, :1], epochs=2, callbacks=[si.nn.callbacks.CSVLogger(path)], verbose=0)
    >>> open(path).read().split()
    ['epoch,loss,val_loss', '0,0.0,NA', '1,0.0,NA']
    """

    @checked("callback-argument", filename=PATH, separator=Separator(), append=FLAG)
    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        #: Where the next row begins, in bytes; what stands behind it is from before an interruption.
        self._size = 0

    def files(self, plan: Plan) -> list[File]:
        """The file."""
        return [File(self.filename)]

    def on_train_begin(self, logs: Logs = None) -> None:
        """See that the file may be written; what it holds is replaced by the first row."""
        self.keys = None
        try:
            with open(self.filename, "ab") as file:
                self._size = file.tell() if self.append else 0
        except OSError as error:
            raise writing.not_writable("CSVLogger", self.filename, error) from error

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a row."""
        values = logs or {}
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.separator)
        if self.keys is None:
            self.keys = sorted(values)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            if self._size == 0:
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *[_cell(values.get(key, "NA")) for key in self.keys]])
        self._write(text.getvalue().encode())

    def _write(self, rows: bytes) -> None:
        try:
            with open(self.filename, "r+b" if os.path.exists(self.filename) else "w+b", buffering=0) as file:
                file.truncate(min(self._size, file.seek(0, os.SEEK_END)))
                start = file.seek(0, os.SEEK_END)
                try:
                    if file.write(rows) < len(rows):  # the disk is full: writing on tells why
                        file.write(rows)
                except OSError:
                    file.truncate(start)
                    raise
                self._size = start + len(rows)
        except OSError as error:
            raise writing.not_writable("CSVLogger", self.filename, error) from error

    def get_state(self) -> dict[str, Any]:
        return {"keys": self.keys, "size": self._size}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Rows that were written after the state was stored are written again."""
        self.keys, self._size = state["keys"], state["size"]


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and not value.ndim):
        return value
    return f'"[{", ".join(map(str, value))}]"'
