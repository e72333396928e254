"""Vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence

import insitu as si


def unit(x: si.Array, axis: int | Sequence[int] = -1, epsilon: float = 1e-7) -> si.Array:
    """Vectors along ``axis`` divided by their Euclidean length, or by ``epsilon`` where that is larger; whole numbers become float32.

    Examples
    --------
    >>> import insitu as si
    >>> unit(si.asarray([[3.0, 4.0], [0.0, 0.0]]))
    Array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    dtype = x.dtype if x.dtype.is_float else si.float32
    x = x.astype(dtype.compute)  # squares of half precision could be too large for it
    squares = si.sum(x * x, axis=axis if isinstance(axis, int) else tuple(axis), keepdims=True)
    # the limit is inside the root, so that the derivative at 0 is finite
    return (x / si.sqrt(si.maximum(squares, max(epsilon * epsilon, float(si.finfo(x.dtype).smallest_normal))))).astype(dtype)
