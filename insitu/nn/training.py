"""The compiled steps of training and testing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu import ops
from insitu.array.array import Array
from insitu.array.tree import flatten, map_leaves
from insitu.data.examples import len_of
from insitu.graph import origins
from insitu.nn import activations, context
from insitu.nn.objectives import Objectives, target_leaves
from insitu.optim import Optimizer
from insitu.transform.autodiff import backward

if TYPE_CHECKING:
    from insitu.data.feed import Arrays
    from insitu.nn.model import Model

Logs = dict[str, Any]

#: Seconds that one native call of many steps may take: Ctrl-C and the display wait for its end.
BLINK = 0.05


def gradients(loss: Array, values: Sequence[Array]) -> list[Array | None]:
    """Derivatives of a scalar with respect to arrays it was computed from; None where it does not depend on one."""
    one = ops.constant(1.0, loss.dtype)
    found = backward([loss._node], [one], [v._node for v in values])
    return [None if g is None else Array(g) for g in found]


class Steps:
    """One model's compiled steps for one set of objectives and one optimizer.

    Sums of losses and the metrics' states are variables that the steps change, so that a step gives Python nothing to do.
    """

    def __init__(self, model: Model, objectives: Objectives, optimizer: Optimizer) -> None:
        self.model, self.objectives, self.optimizer = model, objectives, optimizer
        self._zero = si.asarray(np.zeros((), np.float64))
        self.sums = [si.Variable(np.zeros((), np.float64), name=f"sum of {n}", trainable=False) for n in objectives.loss_labels]
        self.train = si.compile(self._train)
        self.train_taken = si.compile(self._train_taken)
        self.test = si.compile(self._test)
        for name, step in (("training", self.train), ("training", self.train_taken), ("test", self.test)):
            step.__name__ = f'the {name} step of "{model.name}"'
        #: whether a batch may hold examples that do not count: not where layers add losses of whole batches
        self.may_overlap = objectives.sums_over_batch

        #: what `test` was called with last: inputs, targets, weights and examples to skip
        self.last_tested: tuple[Any, Any, Any, int] = (None, None, None, 0)

    # -- the steps ---------------------------------------------------------------------------------
    def _objective(self, x: Any, y: Any, weight: Any, mask: Array | None, training: bool) -> Array:
        """The loss of a batch; adds to the sums and lets the metrics take the batch in."""
        objectives, n = self.objectives, len_of(x)
        with activations.remember_logits(), context.collect_losses() as added:
            outputs = flatten(self.model(x, training=training))[0]
            targets = target_leaves(y, objectives.names, "fit")
            masks = [mask] * len(outputs)
            weights = [_both(w, mask) for w in _spread(weight, objectives.names)]
            values = objectives.values(targets, outputs, weights)
            objectives.update_metrics(targets, outputs, masks, weights)
            extra = [v.regularizer(v.value) for v in self.model.trainable_weights if v.regularizer is not None] + added
            # functions of the user show only now whether they give one number for a whole batch
            self.may_overlap = self.may_overlap and not added and objectives.sums_over_batch
        counted: Any = n if mask is None else si.sum(mask).astype(si.float64)
        for k, (total, value) in enumerate(zip(self.sums, values, strict=True)):
            batch_sum = value.astype(si.float64) * n
            for term in extra if k == 0 else ():
                batch_sum = batch_sum + term.astype(si.float64) * counted
            total.assign(total.value + batch_sum)
        loss = values[0]
        for term in extra:
            loss = loss + term.astype(loss.dtype)
        return loss

    def _train(self, x: Any, y: Any, weight: Any) -> None:
        variables = self.model.trainable_weights
        values = [v.value for v in variables]
        loss = self._objective(x, y, weight, None, training=True)
        found = gradients(loss, values)
        with origins.inside(f"the optimizer {type(self.optimizer).__name__}"):
            self.optimizer.apply(found, variables)

    def _train_taken(self, x: Any, y: Any, weight: Any, rows: Array) -> None:
        self._train(*[map_leaves(lambda a: si.take(a, rows, axis=0), tree) for tree in (x, y, weight)])

    def _test(self, x: Any, y: Any, weight: Any, skip: Array) -> None:
        """``skip``: examples at the front that an earlier batch has counted already."""
        n = len_of(x)
        mask = (si.arange(n, dtype=si.int64) >= skip).astype(si.float32)
        self._objective(x, y, weight, mask, training=False)

    # -- the sums ------------------------------------------------------------------------------------
    def reset(self) -> None:
        """Begin new sums."""
        for variable in self.sums:
            variable.assign(self._zero)
        for metric in self.objectives.all_metrics:
            metric.reset_state()

    @contextlib.contextmanager
    def own_sums(self) -> Iterator[None]:
        """New sums within; those of an epoch under way, in which a callback tests or trains, are there again afterwards."""
        before = [v.value for v in self.state] if self.model.now_fitting is not None else []
        self.reset()
        try:
            yield
        finally:
            for variable, value in zip(self.state, before, strict=False):
                variable.assign(value)

    def means(self, count: int) -> Logs:
        """Losses and metrics of the ``count`` examples since `reset`."""
        losses = [float(total.value) / max(count, 1) for total in self.sums]
        found = [si.asarray(m.result()) for m in self.objectives.all_metrics]
        si.evaluate(*found)
        metrics = [float(v) if not v.ndim else v for v in map(np.asarray, found)]
        return dict(zip(self.names, [*losses, *metrics], strict=True))

    @property
    def names(self) -> list[str]:
        """Of what `means` gives."""
        return [*self.objectives.loss_labels, *self.objectives.labels]

    @property
    def state(self) -> list[si.Variable]:
        """Everything that `means` is computed from."""
        return [*self.sums, *[v for m in self.objectives.all_metrics for v in m.variables]]

    # -- runs over arrays ----------------------------------------------------------------------------
    def run_rows(self, data: Arrays, batch: int, order: Any, first: int, last: int, single: bool) -> Iterator[tuple[int, int]]:
        """Steps ``first`` to ``last`` over arrays in an order of examples (None: as they are).

        As many steps as take `BLINK` run in one native call (one at a time if ``single``); gives the number of steps
        and of examples of each call.
        """
        x, y, weight = map_leaves(as_array, data.peek())
        full, step, pace = data.count // batch, first, 1
        while step < last:
            steps = 1 if single or step >= full else min(pace, min(last, full) - step)
            rows = slice(step * batch, min((step + steps) * batch, data.count))
            begin = time.perf_counter()
            if order is not None:
                self.train_taken.run_many(x, y, weight, order[rows], steps=steps, split=[3])
            else:
                self.train.run_many(*data.rows(rows).peek(), steps=steps, split=[0, 1, 2])
            # a slow call may have compiled, so the pace only falls to half at a time
            pace = max(pace // 2, 1, min(8 * pace, int(steps * BLINK / (time.perf_counter() - begin))))
            yield steps, rows.stop - rows.start
            step += steps

    def run_test(self, data: Arrays, batch: int) -> Iterator[int]:
        """Test on arrays in batches of one length, of which the last overlaps the one before; gives the examples counted."""
        batch = min(batch, data.count)
        for start in range(0, data.count, batch):
            at = min(start, data.count - batch) if self.may_overlap else start
            part = data.rows(slice(at, at + batch)).peek()
            self.last_tested = *part, start - at
            self.test(*part, np.asarray(start - at))
            yield min(start + batch, data.count) - start


def as_array(data: Any) -> si.Array:
    """An array on the same memory."""
    return si.asarray(data, copy=False)


def _both(weight: Any, mask: Array | None) -> Any:
    if weight is None or mask is None:
        return mask if weight is None else weight
    return weight * (mask if weight.ndim == 1 else si.reshape(mask, (mask.shape[0],) + (1,) * (weight.ndim - 1)))


def _spread(weight: Any, names: Sequence[str]) -> list[Any]:
    """Sample weights for each output, from one array for all, or one for each."""
    if weight is None or isinstance(weight, Array):
        return [weight] * len(names)
    return target_leaves(weight, names, "fit")
