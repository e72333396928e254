"""What callbacks write: found possible before the first step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from insitu.errors import FileFormatError
from insitu.nn.callbacks.writing import not_writable
from insitu.nn.report import size_text

if TYPE_CHECKING:
    from insitu.nn.callbacks.callback import Callback
    from insitu.nn.planning import Plan


class File(NamedTuple):
    """Something that a callback will write.

    Attributes
    ----------
    path : str
        A file, or a folder for files.
    nbytes : int
        Of one file; 0 for little.
    copies : int
        How many there will be at one time; a file that is replaced is there twice for a moment.
    is_folder : bool
    """

    path: str
    nbytes: int = 0
    copies: int = 1
    is_folder: bool = False


def check_files(callbacks: Iterable[Callback], plan: Plan) -> list[str]:
    """See that everything that callbacks will write can be written and has room; a line about each.

    Raises
    ------
    FileFormatError
        If a file cannot be written, or the disk has no room.
    """
    told: list[str] = []
    needs: dict[int, tuple[str, int]] = {}
    for callback in callbacks:
        for file in callback.files(plan):
            owner = type(callback).__name__
            folder = writable_folder(owner, file)
            device = os.stat(folder).st_dev
            needs[device] = folder, needs.get(device, ("", 0))[1] + file.nbytes * file.copies
            told.append(f"{owner} {file.path}" + (f", {file.copies} x {size_text(file.nbytes)}" if file.nbytes else ""))
    for folder, need in needs.values():
        free = shutil.disk_usage(folder).free
        if need > free:
            raise FileFormatError(
                "fit: what this training saves does not fit on the disk.",
                expected=f"at most {size_text(free)}, which are free at {folder}",
                received=f"{size_text(need)}: " + "; ".join(told),
                fix="make room, save on another disk, or keep only the best: save_best_only=True and a filepath without {epoch}",
                slug="disk-full",
                argument="callbacks",
            )
    return told


def writable_folder(owner: str, file: File) -> str:
    """The nearest folder above a file that exists.

    Raises
    ------
    FileFormatError
        If the file cannot be written there.
    """
    folder = os.path.abspath(file.path)
    if os.path.isdir(folder) and not file.is_folder:
        raise not_writable(owner, file.path, IsADirectoryError(0, "it is a folder"))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if os.path.isfile(folder):
        if file.is_folder or folder != os.path.abspath(file.path):
            raise not_writable(owner, file.path, NotADirectoryError(0, f"{folder} is a file"))
        folder = os.path.dirname(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_writable(owner, file.path, PermissionError(0, f"{folder} may not be written"))
    return folder
