"""What softmax and sigmoid were computed from, for losses that need it."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from insitu.arguments import ARRAY, checked
from insitu.array.array import Array
from insitu.graph.node import Node

#: While set: the node of each softmax or sigmoid made so far -> what it was made from, and its name.
_logits: contextvars.ContextVar[dict[Node, tuple[Array, str]] | None] = contextvars.ContextVar("logits", default=None)


@contextlib.contextmanager
def remember_logits() -> Iterator[dict[Node, tuple[Array, str]]]:
    """While inside, `logits_of` knows what each softmax and sigmoid was computed from; one inside another shares its notes."""
    known = _logits.get()
    found: dict[Node, tuple[Array, str]] = {} if known is None else known
    token = _logits.set(found)
    try:
        yield found
    finally:
        _logits.reset(token)


@checked(probabilities=ARRAY)
def logits_of(probabilities: Array) -> tuple[Array, str] | None:
    """The logits that ``softmax`` or ``sigmoid`` took to make these probabilities, with that name; None where it is not known.

    Losses compute from the logits where they can, which is more exact than from probabilities and saves work.
    """
    known = _logits.get()
    return None if known is None else known.get(probabilities._node)


def remembered(result: Array, logits: Array, name: str) -> Array:
    """``result``, of which `logits_of` will know the logits."""
    known = _logits.get()
    if known is not None:
        known[result._node] = (logits, name)
    return result
