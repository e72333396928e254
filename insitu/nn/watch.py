"""The loss while `fit` runs: where it is no finite number, the training stops and the cause is named."""

from __future__ import annotations

import collections
import ctypes
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu.array.evaluate import evaluate_nodes
from insitu.array.finite import Cause, described, first_cause, times, traced
from insitu.array.tree import flatten, map_leaves
from insitu.array.variable import Variable
from insitu.data.examples import len_of
from insitu.data.feed import Batches
from insitu.errors import DataWarning, NotFiniteError, warn
from insitu.nn.callbacks.terminate_on_nan import TerminateOnNaN
from insitu.nn.training import Steps, as_array
from insitu.runtime import system

if TYPE_CHECKING:
    from insitu.nn.planning import Plan
    from insitu.nn.sources import Source

Batch = tuple[Any, Any, Any]
Rows = np.ndarray[Any, Any] | None

#: A copy of the state is made when the last one took less than this share of the time since then.
_SHARE = 0.005
#: Seconds between two looks: which step it was is found afterwards.
_LOOK_EVERY = 0.001
#: Bytes of batches that are held to go through again, and the share of the memory that copies may take.
_HELD_BYTES, _COPY_SHARE = 256 << 20, 1 / 8
#: Epochs over which a copy is kept at most.
_PASSES = 16


def loss_is_finite(steps: Steps) -> bool:
    """Whether the sum of the losses is a finite number: a look into memory, which no program reads or writes meanwhile."""
    memory = steps.sums[0]._node.memory
    return memory is None or math.isfinite(ctypes.c_double.from_address(memory.ptr).value)


class Watch:
    """Looks at the loss after each native call, and finds out which step and which operation spoilt it.

    The steps are deterministic: from a copy of the state, made from time to time, those after it run again one by one
    until one gives a loss or a weight that is not finite. The graph of that step is then evaluated node by node.

    Parameters
    ----------
    plan : Plan
    source : Source
    """

    def __init__(self, plan: Plan, source: Source) -> None:
        self.plan, self.steps, self.source = plan, plan.steps, source
        self.mode: str = plan.options["nan"]
        if any(isinstance(c, TerminateOnNaN) for c in plan.callbacks.callbacks):
            self.mode = "ignore"  # the callback decides
        self._copies = _Copies(plan.written if self.mode != "ignore" else [])
        self._weights = plan.model.trainable_weights
        self._may_copy = self._copies.nbytes <= system.usable_memory() * _COPY_SHARE
        #: epoch and first step of each part of an epoch since the copy
        self._passes: list[tuple[int, int]] = []
        self._due = self._next_look = 0.0
        #: batches from which on they take much room, as far as is known
        self._most = 4
        self._known = False
        self._held = source.held = [] if self.mode != "ignore" and isinstance(plan.training, Batches) else None

    # -- while it runs -------------------------------------------------------------------------------
    def begin(self, epoch: int, step: int) -> None:
        """An epoch begins, or goes on, at that step."""
        if self.mode == "ignore":
            return
        if time.perf_counter() >= self._due or len(self._passes) >= _PASSES:
            self._copy(epoch, step)
        else:
            self._passes.append((epoch, step))

    def after(self, epoch: int, step: int, now: float, must: bool = False) -> None:
        """The first ``step`` steps of the epoch are done; ``now`` is the time, and a look may wait a little unless it ``must`` be.

        Raises
        ------
        NotFiniteError
            If the loss is not finite any more; the model is as it was before the step that spoilt it.
        """
        if self.mode == "ignore" or (now < self._next_look and self._known and not must):
            return
        self._next_look = now + _LOOK_EVERY
        if not loss_is_finite(self.steps):
            self._tell(epoch, step)
        elif now >= self._due or (self._held and len(self._held) >= self._most and self._holds_much(self._held)):
            self._copy(epoch, step)

    def tested(self, epoch: int, step: int) -> None:
        """A step of a validation is done.

        Raises
        ------
        NotFiniteError
            If the loss is not finite any more.
        """
        test = self.plan.test_steps
        if self.mode == "ignore" or test is None or loss_is_finite(test):
            return
        x, y, weight, skip = test.last_tested
        cause = _cause(test, test._test, (x, y, weight, np.asarray(skip)), None)
        self._stop(f"the validation loss is {_loss_word(test)} at step {step} of the validation after epoch {epoch + 1}", cause, len_of(x), None)

    def _copy(self, epoch: int, step: int) -> None:
        begin = time.perf_counter()
        if self._known and not all(map(_is_finite, self._weights)):
            self._tell(epoch, step)
        if self._held is not None:
            self._held.clear()
        self._passes = [(epoch, step)]
        self.source.orders = {k: order for k, order in self.source.orders.items() if k == epoch}
        if self._may_copy:
            self._copies.take()
            self._known = True
        now = time.perf_counter()
        self._due = now + (now - begin) / _SHARE

    def _holds_much(self, held: list[Any]) -> bool:
        """Whether the batches that could be needed again take much room: rather one more copy than all of them."""
        self._most = max(4, _HELD_BYTES // max(1, sum(a.nbytes for a in flatten(held[0][2])[0] if a is not None)))
        return len(held) >= self._most

    # -- when it has happened ------------------------------------------------------------------------
    def _tell(self, epoch: int, step: int) -> None:
        fine = loss_is_finite(self.steps)
        what, at, target = "weights are not finite after step" if fine else f"the loss is {_loss_word(self.steps)} at step", step, None
        spoilt = _Copies(self._copies.variables)
        if self.mode == "warn":
            spoilt.take()
        _, _, batch, rows = collections.deque(self._since(epoch, step), 1)[0]
        found = self._again(epoch, step) if self._known else None
        if found is not None:
            epoch, at, target, batch, rows = found
        cause = _cause(self.steps, self.steps._train, batch, target)
        if self.mode == "warn":
            spoilt.put_back()
        if target is not None:
            what = f'"{target.name}" is not finite after step'
        self._stop(f"{what} {at} of epoch {epoch + 1}", cause, len_of(batch[0]), rows)

    def _again(self, epoch: int, last: int) -> tuple[int, int, Variable | None, Batch, Rows] | None:
        """Run the steps since the copy once more, up to the first that spoils the loss or a weight; the state is then that before it.

        Gives epoch and number of the step, from 1, the weight, the batch and its rows; None if all is finite this time.
        """
        self._copies.put_back()
        for here, step, batch, rows in self._since(epoch, last):
            self._copies.take()
            self.steps.train(*batch)
            found: Variable | None = None
            if loss_is_finite(self.steps):
                found = next((v for v in self._weights if not _is_finite(v)), None)
                if found is None:
                    continue
            self._copies.put_back()
            return here, step + 1, found, batch, rows
        return None

    def _since(self, epoch: int, last: int) -> Iterator[tuple[int, int, Batch, Rows]]:
        """Epoch, step, batch and numbers of its examples of each step since the copy, up to the first ``last`` of that epoch."""
        data = self.plan.training
        if isinstance(data, Batches):
            for here, step, batch in list(self._held or []):
                yield here, step, batch, None
            return
        for here, first in self._passes:
            order = self.source.orders.get(here)
            for step in range(first, last if here == epoch else self.source.steps or 0):
                rows = np.arange(step * self.source.batch, min((step + 1) * self.source.batch, data.count))
                rows = rows if order is None else order[rows]
                part = data.rows(rows)
                yield here, step, part.peek(), rows

    def _stop(self, what: str, cause: Cause | None, n: int, rows: Rows) -> None:
        error = _error(what, cause, n, rows)
        if self.mode == "warn":
            self.mode = "ignore"
            warn(error, DataWarning)
            return
        raise error


class _Copies:
    """Copies of the values of variables."""

    def __init__(self, variables: list[Variable]) -> None:
        self.variables = variables
        self.nbytes = sum(v._node.aval.nbytes for v in variables)
        self._values: list[np.ndarray[Any, Any]] = []

    def take(self) -> None:
        """Copy the values that the variables have now."""
        pending = [v._node for v in self.variables if v._node.memory is None]
        if pending:
            evaluate_nodes(pending)
        if not self._values:
            self._values = [np.empty(v.shape, v.dtype.numpy) for v in self.variables]
        for v, value in zip(self.variables, self._values, strict=True):
            np.copyto(value, v._node.memory.view(v.shape, v.dtype.numpy))

    def put_back(self) -> None:
        """Give the variables the values that were copied."""
        for v, value in zip(self.variables, self._values, strict=True):
            v.assign(si.asarray(value))


def _is_finite(v: Variable) -> bool:
    memory = v._node.memory
    if memory is None:
        return True
    value = memory.view(v.shape, v.dtype.numpy)
    # a sum is finite only if all its terms are; where it is not, they may be large
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(np.sum(value))) or bool(np.isfinite(value.astype(np.float64)).all())


def _loss_word(steps: Steps) -> str:
    value = float(steps.sums[0].numpy())
    return "NaN" if math.isnan(value) else "infinite"


def _cause(steps: Steps, step: Any, batch: tuple[Any, ...], target: Variable | None) -> Cause | None:
    """What spoils the loss of a step, or a variable that it changes, from the state as it is."""
    total = steps.sums[0]
    kept = total.numpy()
    if not np.isfinite(kept):  # where the state is that after the step
        total.assign(si.asarray(np.zeros_like(kept)))
    _, trace, origins = traced(step, *[map_leaves(as_array, part) for part in batch])
    found = first_cause(trace.now[total if target is None else target], origins)
    total.assign(si.asarray(kept))
    return found


def _error(what: str, cause: Cause | None, n: int, rows: Rows) -> NotFiniteError:
    usual = "make the learning rate smaller, clip the gradients (clipnorm=1.0), and look for numbers that are too large in the data"
    if cause is None:
        received = "numbers that became too large in between: the steps before are no longer known"
        return NotFiniteError(f"fit: {what}.", expected="a finite loss", received=received, fix=usual, slug="loss-not-finite")
    if cause.origin is None:
        name = "the data" if cause.node.shape[:1] == (n,) else "a weight"
        told = f"fit: {what}: {name} held {cause.word} before it."
        received = f"{cause.word} at {list(cause.at)} of {cause.node.shape} {cause.node.dtype.name}, {times(cause.many)}"
        clean = "leave out such examples or put numbers in (np.nan_to_num)"
        return NotFiniteError(told, expected="a finite loss", received=received, fix=clean if name == "the data" else usual, slug="loss-not-finite")
    example = ""
    if cause.at and cause.node.shape[0] == n:
        example = f" in example {cause.at[0]} of the batch" + ("" if rows is None else f" (example {rows[cause.at[0]]} of x)")
    return NotFiniteError(
        f"fit: {what}: {cause.operation} gave {cause.word} first{cause.place}.",
        expected="a finite loss",
        received=described(cause, example or " "),
        fix=cause.fix(),
        slug="loss-not-finite",
    )
