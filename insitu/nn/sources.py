"""Epochs of training and testing over arrays in memory and over batches that come one by one."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

import insitu as si
from insitu.data.examples import len_of
from insitu.data.feed import Arrays, Batches
from insitu.errors import ArgumentError
from insitu.nn import checks
from insitu.nn.objectives import target_leaves
from insitu.nn.training import Steps

State = dict[str, Any]


class Source:
    """What an epoch of training goes over.

    Parameters
    ----------
    data : Arrays or Batches
    batch : int
        Length of a batch of arrays; batches that come have their own.
    shuffle : bool
        Whether arrays are taken in a new random order each epoch.
    generator : Generator
        Where the orders come from.
    limit : int, optional
        Steps of an epoch; default: all there are.
    begin : int
        The epoch at which the training begins, if nothing was interrupted.
    keys : Interruptible

    Attributes
    ----------
    steps, examples : int or None
        Of an epoch; None where they are not known before it ends.
    order_state : dict
        The generator's state at the beginning of this epoch, from which its order follows.
    """

    def __init__(
        self, data: Arrays | Batches, batch: int, shuffle: bool, generator: si.random.Generator, limit: int | None, begin: int, keys: Interruptible
    ) -> None:  # fmt: skip
        self.data, self.batch, self.shuffle, self.generator, self.limit, self.begin = data, batch, shuffle, generator, limit, begin
        self.keys = keys
        self.order_state: State = generator.state
        self.steps, self.examples = epoch_extent(data, batch, limit)
        self._going: Iterator[Any] | None = None
        #: the order of the examples in each epoch since the watch has emptied it; None as they are
        self.orders: dict[int, np.ndarray[Any, Any] | None] = {}
        #: epoch, step and batch of each step since the watch has emptied it; None if nobody wants them
        self.held: list[Any] | None = None

    def epoch(self, steps: Steps, number: int, first: int, single: bool) -> Iterator[tuple[int, int]]:
        """Run an epoch from step ``first`` on; gives the number of steps (1 if ``single``) and examples each time."""
        self.order_state = self.generator.state
        if isinstance(self.data, Arrays):
            order = self.orders[number] = self._order(self.data.count, number)
            yield from steps.run_rows(self.data, self.batch, order, first, self.steps or 0, single)
            return
        for k, (x, y, weight) in enumerate(self.keys.during(self._batches(number))):
            if k >= first:
                if self.held is not None:
                    self.held.append((number, k, (x, y, weight)))
                if k:  # the first one was looked at before
                    check_labels(steps, self.data, y, f"y of batch {k}")
                steps.train(x, y, weight)
                yield 1, len_of(x)

    def _order(self, count: int, number: int) -> np.ndarray[Any, Any] | None:
        """The order of the examples in an epoch; where epochs are short, one without shuffling begins where the one before stopped."""
        if self.shuffle:
            return np.asarray(self.generator.permutation(count))
        taken = (self.steps or 0) * self.batch
        return None if taken >= count else np.roll(np.arange(count), (self.begin - number) * taken)

    def _batches(self, number: int) -> Iterator[Any]:
        """The batches of an epoch. With a limit, the next epoch goes on where this one stops, and begins anew at the end."""
        data = self.data
        if isinstance(data, Arrays):
            return
        if self.limit is None:
            data.set_epoch(number)
            yield from data
            return
        if self._going is None:
            data.set_epoch(self.begin)
            self._going = iter(data)
            for k in range((number - self.begin) * self.limit):  # what was trained on before an interruption
                self._next(data, k % self.limit)
        for done in range(self.limit):
            yield self._next(data, done)

    def _next(self, data: Batches, done: int) -> Any:
        """The next batch, of the data's next epoch after the last. ``done``: how many this epoch has had."""
        found = next(self._going or iter(()), None)
        if found is None and data.restartable:
            self._going = iter(data)
            found = next(self._going, None)
        if found is None:
            raise ends_early("steps_per_epoch", done, self.limit or 0)
        return found


def ends_early(argument: str, done: int, wanted: int) -> ArgumentError:
    """The error for a generator with fewer batches than ``argument``, steps_per_epoch or validation_steps, asks for."""
    what = "epoch" if argument == "steps_per_epoch" else "validation"
    return ArgumentError(
        f"fit: the generator ended before the {what} did.",
        expected=f"{wanted} batches ({argument})",
        received=f"{done} batches",
        fix=f"let the generator repeat (while True), pass fewer {argument}, or pass a function that makes a new generator",
        slug="data-ends-early",
        argument=f"{argument}=",
    )


def check_end(data: Arrays | Batches, limit: int | None, function: str, argument: str, name: str = "x") -> None:
    """Raise `ArgumentError` for a data set without end of which ``argument`` does not limit the batches: nothing would come after them."""
    if isinstance(data, Batches) and data.source is not None and data.source.endless and limit is None:
        raise ArgumentError(
            f"{function}: the data have no end.",
            expected=f"a data set that ends, or a number of batches ({argument})",
            received="a data set that is repeated for ever",
            fix=f"leave repeat() out, as each epoch begins anew without it, or pass {argument}",
            slug="data-endless",
            argument=f"{name}=",
        )


def extent(data: Arrays | Batches, batch: int, limit: int | None) -> tuple[int | None, int | None]:
    """Steps and examples of a pass of at most ``limit`` steps; None where they are not known."""
    every = -(-data.count // batch) if isinstance(data, Arrays) else data.steps
    steps = every if limit is None or every is None else min(limit, every)
    return steps, min(steps * batch, data.count) if isinstance(data, Arrays) and steps is not None else None


def epoch_extent(data: Arrays | Batches, batch: int, limit: int | None) -> tuple[int | None, int | None]:
    """Steps and examples of an epoch of training: batches begin anew where it is longer than they are, so that a limit is reached."""
    return extent(data, batch, limit) if isinstance(data, Arrays) or limit is None else (limit, None)


def test_steps(steps: Steps, data: Arrays | Batches, batch: int, limit: int | None, keys: Interruptible | None) -> Iterator[int]:
    """Test on all data, or on ``limit`` batches; gives the number of examples of each step."""
    if isinstance(data, Arrays):
        yield from itertools.islice(steps.run_test(data, batch), limit)
        return
    nothing, done = np.asarray(0), 0
    following = data.following(limit)
    for x, y, weight in following if keys is None else keys.during(following):
        check_labels(steps, data, y, f"{'' if keys is None else 'validation '}y of batch {done}")
        done += 1
        steps.last_tested = x, y, weight, 0
        steps.test(x, y, weight, nothing)
        yield len_of(x)
    if not done:
        raise ends_early("validation_steps", 0, limit or 1)


def check_labels(steps: Steps, data: Batches, y: Any, name: str) -> None:
    """Refuse labels of a batch that its output does not have: they would count as no class at all."""
    objectives = steps.objectives
    targets = target_leaves(y, objectives.names, data.function)
    checks.labels(targets, objectives.outputs, objectives.losses, data.function, name)


class Interruptible:
    """While inside, the first Ctrl-C waits for the end of a step, so that no step is half done; the second does not wait.

    Nor does the first one where code of the user's runs: see `at_once`. Only the main thread gets signals; elsewhere nothing changes.
    """

    def __init__(self) -> None:
        self._asked = self._at_once = False
        self._before: Any = None

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._asked and exception[0] is None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        if self._asked or self._at_once:
            raise KeyboardInterrupt
        self._asked = True

    def check(self) -> None:
        """Stop here if Ctrl-C was pressed."""
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While inside, Ctrl-C does not wait: a callback or the data take their time, and no step runs."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def during(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches; Ctrl-C does not wait for the next one."""
        while True:
            with self.at_once():
                found = next(batches, None)
            if found is None:
                return
            yield found
