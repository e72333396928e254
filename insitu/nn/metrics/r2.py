"""The coefficient of determination."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, Choice, Whole, checked
from insitu.array.array import Array
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape, alike, shapes_differ
from insitu.nn.metrics.base import Metric, check_equal


class R2Score(Metric):
    """The share of the targets' variance that predictions explain, ``1 - sum((y - p)**2) / sum((y - mean(y))**2)``.

    1 for perfect predictions, 0 for always predicting the mean, less for worse ones. Sums are kept in float64.
    Wright, S. (1921): Correlation and causation; the adjusted form is of Ezekiel, M. (1930).

    Parameters
    ----------
    class_aggregation : str or None
        For several outputs ``"uniform_average"``, ``"variance_weighted_average"``, or None for one score per output.
    num_regressors : int
        If not 0, the score is adjusted for that number of independent regressors.
    name : str

    Raises
    ------
    ArgumentError
        If there is no such aggregation, or a negative number of regressors.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]))
    0.5714285714285716
    """

    @checked(class_aggregation=Choice("uniform_average", "variance_weighted_average") | None, num_regressors=Whole(0))
    def __init__(self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str = "r2_score") -> None:
        super().__init__(name)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(dtype="float64", name="num_samples")
        #: Per output: sum of targets, of their squares, of squared errors, of weights.
        self.sums: si.Variable | None = None

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)
        if len(output) > 2:
            raise shapes_differ(f"metric {self.name}", target, output, "(None, outputs)", "flatten the output: end the model with Flatten()")
        self._sums(output[-1] if len(output) == 2 and output[-1] else 1)

    def _sums(self, outputs: int) -> si.Variable:
        if self.sums is None:
            self.sums = self.add_variable((4, outputs), dtype="float64", name="sums")
        return self.sums

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions of shape (batch, outputs) or (batch,), with weights of shape (batch,)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        if p.ndim > 2:
            raise shapes_differ(f"metric {self.name}", tuple(y.shape), tuple(p.shape), "(None, outputs)", "reshape both to two axes")
        y, p = (si.reshape(a, (-1, 1) if p.ndim < 2 else p.shape).astype(si.float64) for a in (y, p))
        weights = si.ones((1, 1), dtype=si.float64)
        if sample_weight is not None:
            weights = aligned(si.asarray(sample_weight).astype(si.float64), p, self.name)
        every = si.broadcast_to(weights, p.shape)
        added = [si.sum(term, axis=0) for term in (y * every, y * y * every, si.square(y - p) * every, every)]
        sums = self._sums(p.shape[1])
        sums.assign(sums.value + si.stack(added))
        self.num_samples.assign(self.num_samples.value + p.size)

    def result(self) -> Array:
        """The score, float64; one per output with ``class_aggregation=None``."""
        if self.sums is None:
            return si.asarray(0.0, dtype=si.float64)
        total, squares, errors, count = si.unstack(self.sums.value)
        variance = squares - total * (total / count)
        scores = 1 - errors / variance
        scores = si.where(si.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = si.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = si.sum(variance * scores) / si.sum(variance)
        if self.num_regressors:
            left = self.num_samples.value - 1 - self.num_regressors
            adjusted = 1 - (1 - scores) * (self.num_samples.value - 1) / si.where(left > 0, left, 1)
            scores = si.where(left > 0, adjusted, scores)
        return scores

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
