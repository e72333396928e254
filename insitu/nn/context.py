"""What holds while layers are called: training or not, losses they add, traces that weights stay out of."""

from __future__ import annotations

import contextlib
import contextvars
import weakref
from collections.abc import Iterator
from typing import Any

import insitu as si
from insitu.array.variable import traces

#: While set, new weights hold zeros instead of initial values: they are about to be read from a file.
_blank: contextvars.ContextVar[bool] = contextvars.ContextVar("blank", default=False)
_planning: contextvars.ContextVar[bool] = contextvars.ContextVar("planning", default=False)
_training: contextvars.ContextVar[bool] = contextvars.ContextVar("training", default=False)
#: What was added in the latest call of a layer that nobody collected from.
_latest: weakref.WeakKeyDictionary[Any, list[si.Array]] = weakref.WeakKeyDictionary()
_added: contextvars.ContextVar[list[si.Array] | None] = contextvars.ContextVar("added losses", default=None)


@contextlib.contextmanager
def blank_weights() -> Iterator[None]:
    """While inside, new weights hold zeros, and no random numbers are drawn for them."""
    token = _blank.set(True)
    try:
        yield
    finally:
        _blank.reset(token)


def weights_are_blank() -> bool:
    """Whether a `blank_weights` is open."""
    return _blank.get()


@contextlib.contextmanager
def planning() -> Iterator[None]:
    """While inside, initial values of weights stay uncomputed: nothing is compiled to find out whether a training is possible."""
    token = _planning.set(True)
    try:
        yield
    finally:
        _planning.reset(token)


def is_planning() -> bool:
    """Whether a `planning` is open."""
    return _planning.get()


@contextlib.contextmanager
def training(value: bool) -> Iterator[None]:
    """While inside, layers that are called without ``training`` take this value."""
    token = _training.set(value)
    try:
        yield
    finally:
        _training.reset(token)


def is_training() -> bool:
    """The value of the innermost `training`; False outside."""
    return _training.get()


@contextlib.contextmanager
def collect_losses() -> Iterator[list[si.Array]]:
    """While inside, the list fills with what layers add by ``add_loss`` and activity regularizers."""
    found: list[si.Array] = []
    token = _added.set(found)
    try:
        yield found
    finally:
        _added.reset(token)


def remember_losses(layer: Any) -> contextlib.AbstractContextManager[None]:
    """While inside, what is added is kept for `latest_losses`, if nobody collects it."""
    return _NOTHING if _added.get() is not None else _remembering(layer)


_NOTHING = contextlib.nullcontext()


@contextlib.contextmanager
def _remembering(layer: Any) -> Iterator[None]:
    with collect_losses() as found:
        yield
    _latest[layer] = found


def latest_losses(layer: Any) -> list[si.Array]:
    """What was added in the latest call of this layer; nothing if it was called by another layer or in `fit`."""
    return _latest.get(layer, [])


def add_loss(value: Any) -> None:
    """Append to the innermost `collect_losses`; nothing happens where nobody collects."""
    if (found := _added.get()) is not None:
        found.append(si.asarray(value))


@contextlib.contextmanager
def outside_traces() -> Iterator[None]:
    """While inside, variables are made and read as if no function were being traced: weights belong to no program."""
    kept, traces.open = traces.open, []
    try:
        yield
    finally:
        traces.open = kept
