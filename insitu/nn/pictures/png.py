"""Pictures in one PNG file."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from insitu.arguments import ARRAYS, COUNT, PATH, checked
from insitu.data.examples import numpy_array
from insitu.data.images import pillow
from insitu.errors import ShapeError
from insitu.io.container import write_whole
from insitu.nn.pictures.drawing import Picture, coloured

#: Edge of a pixel in the file, in its pixels, and the longest side that is made of such large ones.
_ZOOM, _LONGEST = 8, 2048


@checked(path=PATH, pictures=ARRAYS, columns=COUNT | None)
def save(path: Any, pictures: Sequence[Picture], columns: int | None = None) -> None:
    """Write pictures with values from -1 (blue) to 1 (red) side by side into one PNG file, whole or not at all.

    Parameters
    ----------
    path : str or path
    pictures : sequence of arrays, shape (height, width)
        All of one shape; at least one.
    columns : int, optional
        Pictures in a row; default: about as many as rows.

    Raises
    ------
    ArgumentError
        If Pillow is missing, or ``columns`` is no whole number from 1 on.
    FileFormatError
        If the file cannot be written; an older one stays as it was.

    Examples
    --------
    >>> save("eye.png", [np.eye(3), -np.eye(3)])
    """
    image = pillow("plot", "path=")
    found = [np.asarray(numpy_array(p, "save", "pictures")) for p in pictures]
    if not found or any(p.ndim != 2 or p.shape != found[0].shape or not p.size or p.dtype.kind not in "biuf" for p in found):
        raise ShapeError(
            "save: the pictures are not arrays of one shape.",
            expected="one array of shape (height, width) or more, all of one shape",
            received=", ".join(f"{p.shape} {p.dtype}" for p in found[:5]) or "no pictures",
            fix="save them in several files, or resize them first",
            slug="pictures-shape",
            argument="pictures",
        )
    across = math.ceil(math.sqrt(len(pictures))) if columns is None else columns
    sheet = _sheet([coloured(p) for p in found], across)
    zoom = min(max(_LONGEST // max(sheet.shape), 1), _ZOOM)
    made = io.BytesIO()
    image.fromarray(sheet.repeat(zoom, 0).repeat(zoom, 1)).save(made, format="PNG")
    write_whole(Path(path), [made.getbuffer()], "plot")


def _sheet(pictures: Sequence[np.ndarray[Any, Any]], across: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of one size in rows, a grey pixel between them."""
    height, width = pictures[0].shape[0] + 1, pictures[0].shape[1] + 1
    sheet = np.full((math.ceil(len(pictures) / across) * height + 1, across * width + 1, 3), 160, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = k // across * height + 1, k % across * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = picture
    return sheet
