"""Pictures read at other places than their pixels: the core of rotations, translations and zooms."""

from __future__ import annotations

from typing import Any

from insitu import dtypes as dt
from insitu.array.array import Array
from insitu.array.creation import arange
from insitu.array.elementwise import clip, floor, minimum, where
from insitu.array.shaping import expand_dims, reshape
from insitu.array.taking import take

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


def picked(images: Array, rows: Array, columns: Array) -> Array:
    """The pixels at whole positions of each picture.

    Parameters
    ----------
    images : Array of shape (batch, height, width, channels)
    rows, columns : Array of integers, broadcastable to (batch, new_height, new_width)
        Inside the pictures.

    Returns
    -------
    Array of shape (batch, new_height, new_width, channels)
    """
    batch, height, width, channels = images.shape
    kind = dt.int32 if images.size < 1 << 31 else dt.int64
    first = reshape(arange(batch, dtype=kind) * (height * width), (batch, 1, 1))
    return take(reshape(images, (batch * height * width, channels)), first + rows.astype(kind) * width + columns.astype(kind), axis=0)


def sampled(
    images: Array, rows: Array, columns: Array, interpolation: str = "bilinear", fill_mode: str = "reflect", fill_value: float = 0.0
) -> Array:
    """Pictures at any positions, of which each is counted in pixels from the centre of the first.

    Parameters
    ----------
    images : Array of shape (batch, height, width, channels)
        Floating.
    rows, columns : Array, floating, broadcastable to (batch, new_height, new_width)
    interpolation : "bilinear" or "nearest"
        The four pixels around, weighted by how near they are, or the nearest.
    fill_mode : str
        What lies outside: ``"reflect"`` (c b a | a b c | c b a), ``"wrap"`` (a b c | a b c | a b c), ``"nearest"`` (a a a | a b c | c c c)
        or ``"constant"``, which is ``fill_value``.
    fill_value : float

    Returns
    -------
    Array of shape (batch, new_height, new_width, channels)

    Examples
    --------
    >>> import insitu as si
    >>> picture = si.asarray([[[[0.0], [10.0]]]])
    >>> sampled(picture, si.zeros((1, 1, 4)), si.asarray([[[-1.0, 0.25, 1.0, 3.0]]]))[0, 0, :, 0]
    Array([ 0. ,  2.5, 10. ,  0. ], dtype=float32)
    """
    height, width = images.shape[1:3]

    def pixel(i: Array, j: Array) -> Array:
        found = picked(images, _inside(i, height, fill_mode), _inside(j, width, fill_mode))
        if fill_mode != "constant":
            return found
        known = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        return where(expand_dims(known, axis=-1), found, fill_value)

    if interpolation == "nearest":
        return pixel(floor(rows + 0.5), floor(columns + 0.5))
    top, left = floor(rows), floor(columns)
    down, right = expand_dims(rows - top, axis=-1).astype(images.dtype), expand_dims(columns - left, axis=-1).astype(images.dtype)
    above = pixel(top, left) * (1 - right) + pixel(top, left + 1) * right
    below = pixel(top + 1, left) * (1 - right) + pixel(top + 1, left + 1) * right
    return above * (1 - down) + below * down


def _inside(position: Array, count: int, fill_mode: str) -> Any:
    """The pixel that stands for a whole position on an axis of ``count`` pixels."""
    if fill_mode == "wrap":
        position = position - floor(position / count) * count  # vectors of it are cheaper than remainders
    elif fill_mode == "reflect":
        turned = position - floor(position / (2 * count)) * (2 * count)
        position = minimum(turned, 2 * count - 1 - turned)
    return clip(position, 0, count - 1)
