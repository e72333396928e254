"""The loops of `Model.fit`, `evaluate` and `predict`."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import math
import numbers
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu.array.tree import flatten, map_leaves, unflatten
from insitu.data.examples import len_of
from insitu.data.feed import Arrays, Batches, feed, no_targets, validation
from insitu.errors import ArgumentError
from insitu.nn import checks, progress
from insitu.nn.callbacks import CallbackList, History
from insitu.nn.layer import settle
from insitu.nn.objectives import target_leaves
from insitu.nn.sources import Interruptible, Source, check_end, extent, test_steps
from insitu.nn.training import Logs, Steps
from insitu.nn.watch import Watch

if TYPE_CHECKING:
    from insitu.nn.model import Model
    from insitu.nn.planning import Plan

#: Seconds between two looks at the running sums.
LOOK_EVERY = 0.25
#: Examples in a batch of arrays where nobody says it.
USUAL_BATCH = 32


class Fit:
    """One call of `Model.fit`: what was planned is made ready by the constructor, and `run` trains.

    Parameters
    ----------
    plan : Plan
    started : float
        When ``fit`` was called.
    """

    def __init__(self, plan: Plan, started: float) -> None:
        model, options = plan.model, plan.options
        self.plan, self.model, self.held_out, self.options, self.started = plan, model, plan.held_out, options, started
        self.steps, self.test_steps, self.callbacks, self.report = plan.steps, plan.test_steps, plan.callbacks, plan.report
        self.keys = self.callbacks.keys = Interruptible()
        settle(model.weights)
        begin, limit = options["initial_epoch"], options["steps_per_epoch"]
        self.source = Source(plan.training, options["batch_size"], options["shuffle"], model.order, limit, begin, self.keys)
        self.watch = Watch(plan, self.source)
        self.display = progress.Progress(options["verbose"], options["epochs"], self.source.steps, self.source.examples)
        self.first_step_at: float | None = None
        #: Examples in the steps of this epoch so far, which the sums are divided by; stored with them.
        self.done = 0

    def run(self) -> History:
        """Train; returns the history."""
        model, epochs = self.model, self.options["epochs"]
        model.stop_training, model.position = False, (self.options["initial_epoch"], 0)
        with self.keys, self.display:
            model.now_fitting = self
            if self.options["verbose"] == 2:
                self.display.message(f"{self.report}\n")
            try:
                self.callbacks.on_train_begin()
                begin, first = model.position
                self._skip_validations(begin)
                for epoch in range(begin, epochs):
                    if model.stop_training:  # also one that was restored
                        break
                    self._epoch(epoch, first if epoch == begin else 0)
                self.steps.optimizer.finalize_variable_values(model.trainable_weights)
                self.callbacks.on_train_end()
            finally:
                model.now_fitting = None
        return self.history

    @property
    def history(self) -> History:
        return self.callbacks.history

    def _skip_validations(self, epoch: int) -> None:
        """Let a generator go on behind what was tested on before an interruption."""
        held_out, limit = self.held_out, self.options["validation_steps"]
        if isinstance(held_out, Batches) and not held_out.restartable:
            for _ in range(self.plan.validations_before(epoch)):
                collections.deque(held_out.following(limit), 0)

    def _epoch(self, epoch: int, first: int) -> None:
        self.display.begin(epoch, first, self.done if first else 0)
        self.callbacks.on_epoch_begin(epoch)
        logs = self._train(epoch, first)
        self.display.trained(self.model.position[1], self.done)
        if self.held_out is not None and self.test_steps is not None and (epoch + 1) % self.options["validation_freq"] == 0:
            tested = run_test(self.test_steps, self.held_out, self.options["validation_batch_size"], self.options["validation_steps"],
                              self.callbacks, self.keys, watch=functools.partial(self.watch.tested, epoch))  # fmt: skip
            logs |= {f"val_{name}": value for name, value in tested.items()}
        if self.history.first_step_seconds == 0.0 and self.first_step_at is not None:
            self.history.first_step_seconds = self.first_step_at - self.started
        self.model.position = (epoch + 1, 0)
        self.callbacks.on_epoch_end(epoch, logs)
        self.display.end(logs)

    def _train(self, epoch: int, first: int) -> Logs:
        """The steps of an epoch from ``first`` on; a restored callback has set the sums for the steps before."""
        steps, source, model = self.steps, self.source, self.model
        if not first:
            steps.reset()
            self.done = 0
        self.watch.begin(epoch, first)
        step, following = first, time.perf_counter() + LOOK_EVERY
        watched = self.callbacks.needs_train_batches
        running = source.epoch(steps, epoch, first, watched)
        while True:
            if watched and (source.steps is None or step < source.steps):
                self.callbacks.on_train_batch_begin(step)
            ran = next(running, None)
            if ran is None:
                break
            now = time.perf_counter()
            self.watch.after(epoch, step + ran[0], now, watched)
            step, self.done = step + ran[0], self.done + ran[1]
            model.position = (epoch, step)
            if self.first_step_at is None:
                self.first_step_at = now
            if watched:
                self.callbacks.on_train_batch_end(step - 1, functools.partial(steps.means, self.done))
            if now >= following:
                self.display.look(step, self.done, steps.means(self.done))
                following = now + LOOK_EVERY
            self.keys.check()
            if model.stop_training:
                running.close()  # type: ignore[attr-defined]
                break
        self.watch.after(epoch, step, time.perf_counter(), must=True)
        return steps.means(self.done)


def run_test(steps: Steps, data: Arrays | Batches, batch: int, limit: int | None, callbacks: CallbackList, keys: Interruptible | None = None,
             look: Any = None, watch: Any = None) -> Logs:  # fmt: skip
    """Loss and metrics of a data set."""
    steps.reset()
    callbacks.on_test_begin()
    done, following = 0, time.perf_counter() + LOOK_EVERY
    running, known = test_steps(steps, data, batch, limit, keys), extent(data, batch, limit)[0]
    step, watched = 0, callbacks.needs_test_batches
    while True:
        if watched and (known is None or step < known):
            callbacks.on_test_batch_begin(step)
        count = next(running, None)
        if count is None:
            break
        done, step = done + count, step + 1
        if watch is not None:
            watch(step)
        if watched:
            callbacks.on_test_batch_end(step - 1, functools.partial(steps.means, done))
        if keys is not None:
            keys.check()
        if look is not None and time.perf_counter() >= following:
            look(step, done, steps.means(done))
            following = time.perf_counter() + LOOK_EVERY
    logs = steps.means(done)
    callbacks.on_test_end(logs)
    return logs


def steps_for(model: Model, data: Arrays | Batches, function: str) -> Steps:
    """The compiled steps for data of these shapes; `fit` looks at the labels later, as it plans everything before."""
    x, y, _ = data.peek()
    if y is None:
        raise no_targets(function, isinstance(data, Batches))
    prepared = model.prepared(x)
    steps = model.steps_for_targets(y, prepared, function)
    if function != "fit":
        checks.labels(target_leaves(y, model.output_names, function), prepared.outputs, steps.objectives.losses, function)
    return steps


def evaluate(
    model: Model, x: Any, y: Any, sample_weight: Any, batch_size: int | None, verbose: Any, limit: int | None, callbacks: Any
) -> Logs:  # fmt: skip
    """Loss and metrics of a data set, shown as they come."""
    model.check_compiled("evaluate")
    data, batch, shown = feed(x, y, sample_weight, function="evaluate"), batch_size or USUAL_BATCH, progress.level(verbose)
    check_end(data, limit, "evaluate", "steps")
    steps = steps_for(model, data, "evaluate")
    total, examples = extent(data, batch, limit)
    listeners = CallbackList(callbacks, model, {"steps": total, "verbose": shown}, displayed=True)
    with progress.Progress(shown, 0, total, examples) as line, steps.own_sums():
        logs = run_test(steps, data, batch, limit, listeners, look=line.look)
        line.end(logs)
    return logs


def predict(model: Model, x: Any, batch_size: int | None, verbose: Any, limit: int | None, callbacks: Any) -> Any:
    """The model's outputs for all examples, a tree of arrays; batches of arrays have one length, the last overlaps the one before."""
    checks.own_steps(model, "predict")
    data, batch, shown = feed(x, function="predict"), batch_size or USUAL_BATCH, progress.level(verbose)
    check_end(data, limit, "predict", "steps")
    model.prepared(data.peek()[0])
    total, examples = extent(data, batch, limit)
    listeners = CallbackList(callbacks, model, {"steps": total, "verbose": shown}, displayed=True)
    parts: list[list[np.ndarray[Any, Any]]] = []
    structure: Any = None
    done = 0
    with progress.Progress(shown, 0, total, examples) as line:
        listeners.on_predict_begin()
        for step, (inputs, skip) in enumerate(_predict_batches(data, batch, limit)):
            listeners.on_predict_batch_begin(step)
            leaves, structure = flatten(model.forward(inputs))
            found = [np.asarray(leaf)[skip:] for leaf in leaves]
            parts.append(found)
            done += len(found[0])
            listeners.on_predict_batch_end(step, {"outputs": unflatten(structure, found)})
            line.look(step + 1, done, {})
        listeners.on_predict_end()
        line.end({})
    return unflatten(structure, [np.concatenate(column) if len(column) > 1 else np.array(column[0]) for column in zip(*parts, strict=True)])


def _predict_batches(data: Arrays | Batches, batch: int, limit: int | None) -> Iterator[tuple[Any, int]]:
    if isinstance(data, Arrays):
        batch = min(batch, data.count)
        for start in itertools.islice(range(0, data.count, batch), limit):
            at = min(start, data.count - batch)
            yield data.rows(slice(at, at + batch)).x, start - at
        return
    for x, _, _ in itertools.islice(data, limit):
        yield x, 0


def prepare_fit(
    x: Any, y: Any, sample_weight: Any, class_weight: Any, split: Any, validation_data: Any
) -> tuple[Arrays | Batches, Arrays | Batches | None]:
    """Training and validation data from what ``fit`` was given."""
    data = feed(x, y, sample_weight, function="fit")
    held_out: Arrays | Batches | None = None
    if validation_data is not None:
        held_out = validation(validation_data)
    elif split:
        if not isinstance(data, Arrays):
            raise _split_needs_arrays(split)
        data, held_out = data.split(split)
    if class_weight is not None:
        data = with_class_weight(data, class_weight)
    return data, held_out


def train_on_batch(model: Model, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Logs:
    """One step on one batch; its loss and metrics before the step."""
    model.check_compiled("train_on_batch")
    data = feed(x, y, sample_weight, function="train_on_batch")
    if class_weight is not None:
        data = with_class_weight(data, class_weight)
    steps = steps_for(model, data, "train_on_batch")
    batch = data.peek()
    with steps.own_sums():
        steps.train(*batch)
        return steps.means(len_of(batch[0]))


def test_on_batch(model: Model, x: Any, y: Any, sample_weight: Any) -> Logs:
    """Loss and metrics of one batch."""
    model.check_compiled("test_on_batch")
    data = feed(x, y, sample_weight, function="test_on_batch")
    steps = steps_for(model, data, "test_on_batch")
    batch = data.peek()
    with steps.own_sums():
        steps.test(*batch, np.asarray(0))
        return steps.means(len_of(batch[0]))


def predict_on_batch(model: Model, x: Any) -> Any:
    """The outputs of one batch, a tree of arrays."""
    checks.own_steps(model, "predict_on_batch")
    inputs = feed(x, function="predict_on_batch").peek()[0]
    model.prepared(inputs)
    return map_leaves(np.array, model.forward(inputs))


def _split_needs_arrays(fraction: Any) -> ArgumentError:
    """The error for ``validation_split`` with batches."""
    return ArgumentError(
        "fit: validation_split needs arrays, of which a part can be kept back.",
        expected="x and y as arrays, or validation_data",
        received=f"validation_split={fraction!r} with batches",
        fix="pass validation_data=(x_test, y_test)",
        slug="validation-split",
        argument="validation_split=",
    )


def with_class_weight(data: Arrays | Batches, class_weight: Mapping[int, float]) -> Arrays | Batches:
    """The same data with the weights of the classes multiplied into those of the examples.

    Raises
    ------
    ArgumentError
        If it is no dict of numbers, or the data have no single array of class numbers or one-hot rows.
    """
    real = numbers.Real | np.bool_
    good = isinstance(class_weight, Mapping) and all(
        isinstance(k, real) and float(k).is_integer() and isinstance(v, real) for k, v in class_weight.items()
    )
    single = len(flatten(data.peek()[1])[0]) == 1
    if not good or not single or not class_weight:
        raise ArgumentError(
            "fit: class_weight gives a factor for each class number.",
            expected="a dict such as {0: 1.0, 1: 5.0}, and one output",
            received=repr(class_weight) if not good or not class_weight else "several outputs",
            fix=_class_weight_fix(class_weight),
            slug="class-weight",
            argument="class_weight=",
        )
    odd = next((k for k, w in class_weight.items() if k < 0 or not 0 <= w < math.inf), None)
    if odd is not None:
        raise ArgumentError(
            f"fit: class_weight cannot use {odd}: {class_weight[odd]}.",
            expected="class numbers from 0 on, with finite factors from 0 on",
            received=f"{dict(class_weight)!r:.200}",
            fix="count the classes from 0, and pass numbers such as 1.0",
            slug="class-weight",
            argument="class_weight",
        )
    classes = np.asarray(sorted(class_weight), np.int64)
    factors = np.asarray([class_weight[k] for k in sorted(class_weight)], np.float32)

    def weigh(y: Any, weight: Any) -> Any:
        labels = np.asarray(flatten(y)[0][0])
        if labels.ndim > 1:
            labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[..., 0]
        labels = labels.astype(np.int64)
        place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        own = np.where(classes[place] == labels, factors[place], np.float32(1))
        return own if weight is None else own * np.asarray(flatten(weight)[0][0], np.float32)

    if isinstance(data, Arrays):
        return dataclasses.replace(data, weight=weigh(data.y, data.weight))

    return data.mapped(lambda x, y, weight: (x, y, weigh(y, weight)))


def _class_weight_fix(given: Any) -> str:
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if isinstance(given, list | tuple) and 0 < len(given) <= 10 and all(isinstance(v, int | float) for v in given):
        return f"class_weight={dict(enumerate(given))}"
    return "pass sample_weight for other things"
