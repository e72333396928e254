"""Areas under curves over all thresholds, and points on them. Formulas and defaults are Keras'.

Predictions are sorted into the intervals between thresholds as they come; a metric keeps one histogram of the positive
and one of the negative targets, from which `rates` counts what lies above each threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import ARRAY, COUNT, FLAG, NOT_NEGATIVE, REFUSED, SHARE, Choice, Several, Whole, checked
from insitu.array.array import Array
from insitu.nn import activations
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape, alike, shapes_differ
from insitu.nn.metrics.base import Metric, check_equal, ratio

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "majoring", "minoring")


class Word(Choice):
    """One of some texts, in whatever case."""

    def take(self, value: Any) -> Any:
        return next((a for a in self.allowed if isinstance(value, str) and a.lower() == value.lower()), REFUSED)


class Histogrammed(Metric):
    """Base class: weighted histograms of predictions for positive and for negative targets, between thresholds.

    Attributes
    ----------
    num_thresholds : int
    histograms : Variable or None
        float64 of shape (2, thresholds, labels): positive and negative targets; entry ``j`` holds the predictions above
        threshold ``j - 1`` and not above ``j``.
    """

    def __init__(self, name: str | None, num_thresholds: int, levels: Sequence[float] | None) -> None:
        super().__init__(name)
        self.num_thresholds = num_thresholds
        self._levels = levels  # the thresholds between 0 and 1; None if all distances are equal
        self.histograms: si.Variable | None = None

    def _add(self, truth: Array, p: Array, weights: Array, least: int) -> None:
        """Take in values of shape (examples, labels); predictions that are 0 go into interval ``least``."""
        labels = p.shape[1]
        histograms = self._made(labels)
        p = si.clip(p, 0.0, 1.0)
        if self._levels is None:
            at = si.ceil(p * (self.num_thresholds - 1)).astype(si.int64)
        else:
            at = si.searchsorted(si.asarray(self._levels, dtype=p.dtype), p).astype(si.int64) + 1
        at = si.where(p > 0, at, least)
        every = si.broadcast_to(weights.astype(si.float64), p.shape)
        column = si.broadcast_to(si.arange(labels, dtype=si.int64), p.shape)
        side = si.where(truth, 0, 1).astype(si.int64)
        place = si.reshape((side * self.num_thresholds + at) * labels + column, (-1,))
        flat = si.reshape(histograms.value, (-1,)).at[place].add(si.reshape(every, (-1,)))
        histograms.assign(si.reshape(flat, histograms.shape))

    def _made(self, labels: int) -> si.Variable:
        if self.histograms is None:
            self.histograms = self.add_variable((2, self.num_thresholds, labels), dtype="float64", name="histograms")
        return self.histograms

    def rates(self) -> tuple[Array, Array, Array, Array]:
        """Weighted numbers of true positives, false positives, true negatives and false negatives, shape (thresholds, labels)."""
        if self.histograms is None:
            none = si.zeros((self.num_thresholds, 1), dtype=si.float64)
            return none, none, none, none
        counts = self.histograms.value
        up_to = si.cumulative_sum(counts, axis=1)
        above = up_to[:, -1:, :] - up_to
        return above[0], above[1], up_to[1], up_to[0]


class AUC(Histogrammed):
    """The area under the ROC or the precision-recall curve, from sums over thresholds.

    Davis, J. and Goadrich, M. (2006): The relationship between precision-recall and ROC curves (interpolation); Flach, P.
    and Kull, M. (2015): Precision-recall-gain curves.

    Parameters
    ----------
    num_thresholds : int
        At equal distances from 0 to 1; at least 2.
    curve : str
        ``"ROC"``: recall over the share of negatives above the threshold; ``"PR"``: precision over recall;
        ``"PRGAIN"``: precision gain over recall gain.
    summation_method : str
        The height of the area between two thresholds: ``"interpolation"``, ``"majoring"`` (the larger) or ``"minoring"``.
    name : str, optional
    thresholds : sequence of float, optional
        Other thresholds between 0 and 1; ends below 0 and above 1 are added.
    multi_label : bool
        Whether each entry of the last axis has a curve of its own; the mean of their areas is taken.
    num_labels : int, optional
        Their number, only with ``multi_label``.
    label_weights : sequence of float, optional
        With ``multi_label`` the weights of that mean, otherwise of the values of each label.
    from_logits : bool
        Whether predictions are logits.

    Raises
    ------
    ArgumentError
        If an argument is none of these.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    @checked(
        num_thresholds=Whole(2), curve=Word(*_CURVES), summation_method=Word(*_SUMMATIONS), thresholds=Several(SHARE) | None, multi_label=FLAG,
        num_labels=COUNT | None, label_weights=Several(NOT_NEGATIVE) | None, from_logits=FLAG,
    )  # fmt: skip
    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation", name: str | None = None,
        thresholds: Any = None, multi_label: bool = False, num_labels: int | None = None, label_weights: Any = None, from_logits: bool = False,
    ) -> None:  # fmt: skip
        self.curve, self.summation_method = curve, summation_method
        self.thresholds = None if thresholds is None else sorted(thresholds)
        count = num_thresholds if self.thresholds is None else len(self.thresholds) + 2
        super().__init__(name, count, self.thresholds)
        self.multi_label, self.from_logits, self.num_labels, self.label_weights = multi_label, from_logits, num_labels, label_weights
        if not self.multi_label:
            self._made(1)
        elif self.num_labels is not None:
            self._made(self.num_labels)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        if len(output) > 1 and target in (output[:-1], (*output[:-1], 1)) and output[-1] != 1:
            raise shapes_differ(
                f"metric {self.name}", target, output, f"{output}, 0 or 1 for each entry", "pass one-hot targets: si.one_hot(y, classes)"
            )
        check_equal(self, target, output)
        labels = output[-1] if len(output) == 2 else None
        if self.multi_label and (labels is None or (self.num_labels or labels) != labels):
            wanted = f"(None, {self.num_labels or 'labels'})"
            raise shapes_differ(
                f"metric {self.name}", target, output, f"{wanted}, and an output like them", "give the output one unit for each label"
            )
        if self.multi_label and labels is not None:
            self._made(labels)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets (0 and others) and predictions of shape (batch, ...), with weights of shape (batch,) or (batch, ...)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        weights = si.ones((1,) * p.ndim, dtype=p.dtype)
        if sample_weight is not None:
            weights = aligned(si.asarray(sample_weight).astype(p.dtype), p, self.name)
        if self.multi_label and p.ndim != 2:
            raise shapes_differ(f"metric {self.name}", tuple(y.shape), tuple(p.shape), "(None, labels)", "pass arrays of two axes")
        if self.from_logits:
            p = activations.sigmoid(p)
        if not self.multi_label:
            if self.label_weights is not None:
                weights = weights * si.asarray(self.label_weights, dtype=p.dtype)
            y, p, weights = (si.reshape(si.broadcast_to(a, p.shape), (-1, 1)) for a in (y, p, weights))
        self._add(y != 0, p, weights, least=1)

    def result(self) -> Array:
        """The area, float64."""
        tp, fp, tn, fn = self.rates()
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_pr(tp, fp, fn)
        else:
            x, y = _curve(self.curve, tp, fp, tn, fn)
            if self.summation_method == "interpolation":
                heights = (y[:-1] + y[1:]) / 2
            else:
                heights = (si.minimum if self.summation_method == "minoring" else si.maximum)(y[:-1], y[1:])
            areas = (x[:-1] - x[1:]) * heights
        by_label = si.sum(areas, axis=0)
        if self.multi_label and self.label_weights is not None:
            weights = si.asarray(self.label_weights, dtype=si.float64)
            return ratio(si.sum(by_label * weights), si.sum(weights))
        return si.mean(by_label)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name, "num_thresholds": self.num_thresholds, "curve": self.curve, "summation_method": self.summation_method,
            "thresholds": self.thresholds, "multi_label": self.multi_label, "num_labels": self.num_labels, "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }  # fmt: skip


def _curve(curve: str, tp: Array, fp: Array, tn: Array, fn: Array) -> tuple[Array, Array]:
    """The points of a curve, one for each threshold: x and y."""
    recall = ratio(tp, tp + fn)
    if curve == "ROC":
        return ratio(fp, fp + tn), recall
    if curve == "PR":
        return recall, ratio(tp, tp + fp)
    odds = ratio(tp + fn, tn + fp)
    recall_gain = si.where(tp == 0, 0.0, 1 - odds * ratio(fn, tp))
    precision_gain = si.where(tp == 0, 1.0, 1 - odds * ratio(fp, tp))
    return si.maximum(recall_gain, 0.0), precision_gain


def _interpolated_pr(tp: Array, fp: Array, fn: Array) -> Array:
    """Areas under the precision-recall curve between thresholds: true positives grow linearly with the positives (Davis and Goadrich)."""
    grown, positives = tp[:-1] - tp[1:], tp + fp
    slope = ratio(grown, si.maximum(positives[:-1] - positives[1:], 0))
    intercept = tp[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    growth = si.where(both, ratio(positives[:-1], si.maximum(positives[1:], 0)), 1.0)
    return ratio(slope * (grown + intercept * si.log(growth)), si.maximum(tp[1:] + fn[1:], 0))
