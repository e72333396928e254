"""Clipping of gradients by value, by the norm of each, and by the norm of all."""

from __future__ import annotations

from collections.abc import Sequence

import insitu as si


def clip(grads: Sequence[si.Array], norm: float | None, value: float | None, global_norm: float | None) -> list[si.Array]:
    """The gradients, clipped in the one way that is chosen.

    Parameters
    ----------
    grads : sequence of arrays
    norm : float, optional
        A gradient whose Euclidean norm is larger is scaled down to it.
    value : float, optional
        Values are clipped to this on both sides.
    global_norm : float, optional
        As ``norm``, for all gradients as one vector (Pascanu, Mikolov and Bengio 2013, algorithm 1).

    Examples
    --------
    >>> import insitu as si
    >>> clip([si.asarray([3.0, 4.0])], 1.0, None, None)
    [Array([0.6, 0.8], dtype=float32)]
    """
    if norm is not None:
        return [g * (norm / si.maximum(_norm([g]), norm)).astype(g.dtype) for g in grads]
    if value is not None:
        return [si.clip(g, -value, value) for g in grads]
    if global_norm is not None and grads:
        scale = global_norm / si.maximum(_norm(grads), global_norm)
        return [g * scale.astype(g.dtype) for g in grads]
    return list(grads)


def _norm(grads: Sequence[si.Array]) -> si.Array:
    # 16 bits are too few for a sum of squares: float16 ends at 65504
    wide = [g.astype(si.float32) if g.dtype.itemsize < 4 else g for g in grads]
    total = si.sum(wide[0] * wide[0])
    for g in wide[1:]:
        total = total + si.sum(g * g).astype(total.dtype)
    return si.sqrt(total)
