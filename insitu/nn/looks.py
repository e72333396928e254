"""One look at the data before the first step: their range, and the first number that is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Examples = np.ndarray[Any, Any]

#: Bytes of floating-point data that are looked at; of more, evenly spread pieces that are so large together.
LOOK_BYTES = 256 << 20
#: Elements of a piece: its second pass finds it in the cache.
_PIECE = 1 << 16


class Look(NamedTuple):
    """What one look at an array found.

    Attributes
    ----------
    low, high : float
        The smallest and the largest number that was seen; NaN where ``bad`` is one.
    bad : int or None
        The example with the first NaN or infinity that was seen.
    whole : bool
        Whether every number was looked at.
    """

    low: float
    high: float
    bad: int | None
    whole: bool


def look(array: Examples, limit: int = LOOK_BYTES) -> Look:
    """The range of an array, and its first NaN or infinity, in one pass over at most ``limit`` bytes.

    Examples
    --------
    >>> look(np.asarray([[0.0, 2.0], [np.nan, 1.0]]))
    Look(low=nan, high=nan, bad=1, whole=True)
    """
    flat = array.reshape(-1)
    starts, whole = _pieces(flat.size, flat.itemsize, limit)
    low, high = np.inf, -np.inf
    for start in starts:
        piece = flat[start : start + _PIECE]
        if piece.dtype.kind not in "biu" and piece.dtype.itemsize < 4:
            piece = piece.astype(np.float32)  # NumPy compares halves one by one
        least, most = float(piece.min()), float(piece.max())
        if not (np.isfinite(least) and np.isfinite(most)):
            first = int(np.flatnonzero(~np.isfinite(piece))[0])
            return Look(least, most, (start + first) * len(array) // flat.size, whole)
        low, high = min(low, least), max(high, most)
    return Look(low, high, None, whole)


def _pieces(size: int, itemsize: int, limit: int) -> tuple[Sequence[int], bool]:
    """Where the pieces begin that are looked at, the first and the last among them."""
    count, most = -(-size // _PIECE), max(2, limit // (_PIECE * itemsize))
    if count <= most:
        return range(0, size, _PIECE), True
    return [int(k) * _PIECE for k in np.linspace(0, count - 1, most)], False


def holds_fractions(array: Examples) -> bool:
    """Whether the first numbers of an array are not all whole."""
    piece = array.reshape(-1)[:_PIECE]
    return piece.dtype.kind not in "biu" and not bool(np.array_equal(piece, np.rint(piece)))
