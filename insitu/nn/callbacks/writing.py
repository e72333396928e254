"""What callbacks share that write files: folders that may be written, counted batches, and the constraints of their arguments."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from insitu.arguments import FLAG, Choice, Whole
from insitu.errors import FileFormatError

SAVE_FREQ = Choice("epoch") | Whole(1)
MODE = Choice("auto", "min", "max", slug="argument-choice")
VERBOSE = Whole(0, 2) | FLAG


def make_folder(owner: str, folder: str | Path) -> None:
    """Make a folder and the folders above it where they are missing, and see that it may be written.

    Raises
    ------
    FileFormatError
        If not.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        probe = Path(folder, f".insitu-{secrets.token_hex(8)}.tmp")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise not_writable(owner, folder, error) from error


def not_writable(owner: str, place: str | Path, error: OSError) -> FileFormatError:
    """The error for a file or folder that the system does not let write."""
    return FileFormatError(
        f'{owner}: "{place}" cannot be written.',
        expected="a folder that exists or can be made, may be written and has room",
        received=error.strerror or str(error),
        fix="choose another path, or make room",
        slug="file-not-writable",
        argument="path|callbacks",
    )


class EveryBatches:
    """Counts batches over the epochs; due at each ``every``-th.

    Parameters
    ----------
    every : int
    """

    def __init__(self, every: int) -> None:
        self.every, self.seen = every, 0
        self.last: int | None = None

    def due(self, batch: int) -> bool:
        """Take in a batch; a number that is not above the last one begins an epoch."""
        self.seen += batch + 1 if self.last is None or batch <= self.last else batch - self.last
        self.last = batch
        if self.seen < self.every:
            return False
        self.seen = 0
        return True

    def get_state(self) -> dict[str, Any]:
        return {"seen": self.seen, "last": self.last}

    def set_state(self, state: dict[str, Any]) -> None:
        self.seen, self.last = state["seen"], state["last"]
