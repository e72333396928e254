"""The compiled steps of training, testing and predicting, and the loops over batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu import ops
from insitu.array.array import Array
from insitu.errors import InternalError
from insitu.nn.checks import Examples, as_array
from insitu.nn.layer import Shape
from insitu.nn.losses import Loss
from insitu.nn.metrics import Metric
from insitu.optim import Optimizer
from insitu.transform.autodiff import backward

if TYPE_CHECKING:
    from insitu.nn.model import Model

#: Seconds between two looks at the running sums.
LOOK_EVERY = 0.25

Look = Callable[[int, dict[str, float]], None]


def gradients(loss: Array, values: Sequence[Array]) -> list[Array | None]:
    """Derivatives of a scalar with respect to arrays it was computed from; None where it does not depend on one."""
    one = ops.constant(1.0, loss.dtype)
    found = backward([loss._node], [one], [v._node for v in values])
    return [None if g is None else Array(g) for g in found]


class Steps:
    """One model's compiled steps for one loss, one set of metrics and one optimizer.

    Sums of losses and metrics are variables that the steps add to, so that a step gives Python nothing to do.
    """

    def __init__(self, model: Model, loss: Loss, metrics: Sequence[Metric], optimizer: Optimizer) -> None:
        self.model, self.loss, self.metrics, self.optimizer = model, loss, list(metrics), optimizer
        self.names = ["loss", *[m.name for m in metrics]]
        self._zero = as_array(np.zeros((), np.float64))
        self.sums = [si.Variable(np.zeros((), np.float64), name=f"sum of {n}", trainable=False) for n in self.names]
        #: When the first step of training ended, on the clock of `time.perf_counter`.
        self.first_step_at: float | None = None
        self.train = si.compile(self._train)
        self.train_taken = si.compile(self._train_taken)
        self.test = si.compile(self._test)

    # -- the steps ---------------------------------------------------------------------------------
    def _forward(self, x: Array, y: Array, training: bool) -> list[Array]:
        """Loss and metrics of each example."""
        output, logits, activation = self.model.call_with_logits(x, training=training)
        each = [self.loss.per_example(y, output, logits, activation)]
        return [*each, *[m.per_example(y, output, logits) for m in self.metrics]]

    def _train(self, x: Array, y: Array) -> None:
        variables = self.model.trainable_weights
        values = [v.value for v in variables]
        totals = [si.sum(each) for each in self._forward(x, y, training=True)]
        grads = gradients(totals[0] / x.shape[0], values)
        self.optimizer.apply(grads, variables)
        self._add(totals)

    def _train_taken(self, x: Array, y: Array, rows: Array) -> None:
        self._train(si.take(x, rows, axis=0), si.take(y, rows, axis=0))

    def _test(self, x: Array, y: Array, skip: Array) -> None:
        """``skip``: examples at the front that an earlier batch has counted already."""
        counted = si.arange(x.shape[0], dtype=si.int64) >= skip
        self._add([si.sum(si.where(counted, each, 0)) for each in self._forward(x, y, training=False)])

    def _add(self, totals: Sequence[Array]) -> None:
        for variable, total in zip(self.sums, totals, strict=True):
            variable.assign(variable.value + total.astype(si.float64))

    # -- the sums ------------------------------------------------------------------------------------
    def reset(self) -> None:
        """Begin new sums."""
        for variable in self.sums:
            variable.assign(self._zero)

    def means(self, count: int) -> dict[str, float]:
        """Loss and metrics of the ``count`` examples since `reset`."""
        return {name: float(v.value) / count for name, v in zip(self.names, self.sums, strict=True)}

    # -- the loops -----------------------------------------------------------------------------------
    def run_epoch(self, x: Examples, y: Examples, batch: int, shuffle: bool, look: Look) -> dict[str, float]:
        """One epoch of training. ``look`` is called a few times per second with the examples done and the means so far."""
        self.reset()
        count, following = len(x), time.perf_counter() + LOOK_EVERY
        if shuffle:
            order = np.asarray(si.random.permutation(count))
            all_x, all_y, step = as_array(x), as_array(y), self.train_taken
        for start in range(0, count, batch):
            if shuffle:
                step(all_x, all_y, order[start : start + batch])
            else:
                self.train(x[start : start + batch], y[start : start + batch])
            if (now := time.perf_counter()) >= following:
                done = min(start + batch, count)
                look(done, self.means(done))
                following = now + LOOK_EVERY
            if self.first_step_at is None:
                self.first_step_at = now
        return self.means(count)

    def run_test(self, x: Examples, y: Examples, batch: int, look: Look) -> dict[str, float]:
        """Loss and metrics of a data set. All batches have one length: the last overlaps the one before."""
        self.reset()
        count, following = len(x), time.perf_counter() + LOOK_EVERY
        batch = min(batch, count)
        for start in range(0, count, batch):
            at = min(start, count - batch)
            self.test(x[at : at + batch], y[at : at + batch], np.asarray(start - at))
            if time.perf_counter() >= following:
                done = min(start + batch, count)
                look(done, self.means(done))
                following = time.perf_counter() + LOOK_EVERY
        return self.means(count)


def run_predict(forward: Callable[[Any], Array], x: Examples, batch: int, output: Shape) -> Examples:
    """Outputs of all examples, in batches of one length: the last overlaps the one before, with the same bits."""
    count = len(x)
    batch = min(batch, count)
    result: Examples | None = None
    for start in range(0, count, batch):
        at = min(start, count - batch)
        part = np.asarray(forward(x[at : at + batch]))
        if result is None:
            result = np.empty((count, *part.shape[1:]), part.dtype)
        result[at : at + batch] = part
    if result is None:
        raise InternalError(f"predict met no examples for an output of shape {output}")
    return result
