"""Checks of what constructors of callbacks are given."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from insitu.array.checks import integer_argument, whole
from insitu.errors import ArgumentError, FileFormatError


def number(owner: str, name: str, value: Any, low: float = -np.inf, below: float = np.inf) -> float:
    """A finite number from ``low`` on that is smaller than ``below``.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= float(value) < below:
        limits = [f"from {low:g} on"] if low > -np.inf else []
        limits += [f"below {below:g}"] if below < np.inf else []
        wanted = " ".join(["a number", *limits])
        raise refused(owner, name, value, wanted, f"pass {wanted}")
    return float(value)


def refused(owner: str, name: str, value: Any, wanted: str, fix: str) -> ArgumentError:
    """The error for an argument of a constructor."""
    return ArgumentError(
        f"{owner}: {name} must be {wanted}.",
        expected=wanted,
        received=f"{name}={value!r}",
        fix=fix,
        slug="callback-argument",
        argument=f"{name}=",
    )


def path(owner: str, name: str, value: Any) -> str:
    """A path as text.

    Raises
    ------
    ArgumentError
        If it is none, or empty.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise refused(owner, name, value, "a path: a str or a pathlib.Path that is not empty", f'pass {name}="runs/first"')
    return text


def frequency(owner: str, value: Any) -> int | None:
    """``save_freq``: None for "epoch", else a number of batches.

    Raises
    ------
    ArgumentError
        For another value.
    """
    if isinstance(value, str) and value == "epoch":
        return None
    if isinstance(value, bool) or whole(value) is None:
        raise refused(owner, "save_freq", value, '"epoch" or a number of batches', 'pass save_freq="epoch"')
    return integer_argument(owner, "save_freq", value, 1)


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
        argument="path",
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
