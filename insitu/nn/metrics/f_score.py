"""The F score: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, POSITIVE, Choice, Number, checked
from insitu.array.array import Array
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape, alike, shapes_differ
from insitu.nn.losses.regression import EPSILON
from insitu.nn.metrics.base import Metric, check_equal

_AVERAGES = ("micro", "macro", "weighted")


class FBetaScore(Metric):
    """``(1 + beta^2) * precision * recall / (beta^2 * precision + recall)`` of each class, for one-hot or 0-1 targets.

    Van Rijsbergen, C. J. (1979): Information Retrieval. Formula and defaults are Keras'.

    Parameters
    ----------
    average : str or None
        ``"micro"``: one score from all classes' numbers; ``"macro"``: the mean of the classes' scores; ``"weighted"``:
        weighted by the classes' true numbers; None: one score for each class.
    beta : float
        How many times recall counts as much as precision.
    threshold : float, optional
        Predictions above it are positive; None: the largest of each example is.
    name : str

    Raises
    ------
    ArgumentError
        If an argument is none of these.

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric.update_state([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.8]])
    >>> [round(x, 4) for x in metric.result().tolist()]
    [0.5556, 0.8333]
    """

    @checked(average=Choice(*_AVERAGES) | None, beta=POSITIVE, threshold=Number(0, 1, open="l") | None)
    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str = "fbeta_score") -> None:
        super().__init__(name)
        self.average, self.beta, self.threshold = average, beta, threshold
        #: Per class: weighted numbers of true positives, of positive predictions, of positive targets.
        self.counts: si.Variable | None = None

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)
        if len(output) > 2:
            raise shapes_differ(f"metric {self.name}", target, output, "(None, classes)", "flatten the output: end the model with Flatten()")
        classes = output[-1] if len(output) == 2 and output[-1] else 1
        if classes == 1 and self.threshold is None:
            fix = f"pass {type(self).__name__}(threshold=0.5), or give the output one unit for each class"
            raise shapes_differ(f"metric {self.name}", target, output, "(None, classes): the largest of each example is the positive one", fix)
        self._counts(classes)

    def _counts(self, classes: int) -> si.Variable:
        if self.counts is None:
            self.counts = self.add_variable((3, 1 if self.average == "micro" else classes), dtype="float64", name="counts")
        return self.counts

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions of shape (batch, classes) or (batch,), with weights of shape (batch,)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        if p.ndim > 2:
            raise shapes_differ(f"metric {self.name}", tuple(y.shape), tuple(p.shape), "(None, classes)", "reshape both to two axes")
        y, p = (si.reshape(a, (-1, 1) if p.ndim < 2 else p.shape) for a in (y, p))
        if self.threshold is None:
            positive = (p >= si.max(p, axis=-1, keepdims=True)) & (si.abs(p) > 1e-9)
        else:
            positive = p > self.threshold
        chosen = positive.astype(p.dtype)
        if sample_weight is not None:
            weights = aligned(si.asarray(sample_weight).astype(p.dtype), p, self.name)
            chosen, truth = chosen * weights, y * weights
        else:
            truth = y
        found = si.stack([si.sum(term, axis=0) for term in (chosen * y, chosen, truth)]).astype(si.float64)
        if self.average == "micro":
            found = si.sum(found, axis=1, keepdims=True)
        counts = self._counts(p.shape[1])
        counts.assign(counts.value + found)

    def result(self) -> Array:
        """The score, float64; one for each class without ``average``."""
        if self.counts is None:
            return si.asarray(0.0, dtype=si.float64)
        true_positives, chosen, truth = si.unstack(self.counts.value)
        precision, recall = true_positives / (chosen + EPSILON), true_positives / (truth + EPSILON)
        weight = self.beta**2
        score = (1 + weight) * precision * recall / (weight * precision + recall + EPSILON)
        if self.average == "weighted":
            return si.sum(score * (truth / (si.sum(truth) + EPSILON)))
        return score if self.average is None else si.mean(score)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """``2 * precision * recall / (precision + recall)`` of each class, for one-hot or 0-1 targets.

    Parameters
    ----------
    average : str or None
        ``"micro"``, ``"macro"``, ``"weighted"``, or None for one score for each class; see `FBetaScore`.
    threshold : float, optional
        Predictions above it are positive; None: the largest of each example is.
    name : str

    Raises
    ------
    ArgumentError
        If an argument is none of these.

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.F1Score(threshold=0.5)
    >>> metric.update_state([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.8]])
    >>> [round(x, 4) for x in metric.result().tolist()]
    [0.6667, 0.6667]
    """

    @checked(average=Choice(*_AVERAGES) | None, threshold=Number(0, 1, open="l") | None)
    def __init__(self, average: str | None = None, threshold: float | None = None, name: str = "f1_score") -> None:
        super().__init__(average, 1.0, threshold, name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "threshold": self.threshold}
