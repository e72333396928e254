"""Single points on the curves over all thresholds. Formulas and defaults are Keras'."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, SHARE, Whole, checked
from insitu.array.array import Array
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape, alike
from insitu.nn.metrics.base import check_equal, ratio
from insitu.nn.metrics.curves import Histogrammed


class _AtPoint(Histogrammed):
    """Base class: the largest value of one rate where another has at least a given value."""

    argument = ""

    def __init__(self, value: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(name, num_thresholds, None)
        self.value, self.class_id = value, class_id
        self._made(1)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets (0 and others) and predictions of shape (batch, ...), with weights of shape (batch,) or (batch, ...)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        weights = si.ones((1,) * p.ndim, dtype=p.dtype)
        if sample_weight is not None:
            weights = aligned(si.asarray(sample_weight).astype(p.dtype), p, self.name)
        y, p, weights = (si.broadcast_to(a, p.shape) for a in (y, p, weights))
        if self.class_id is not None:
            y, p, weights = (a[..., self.class_id] for a in (y, p, weights))
        y, p, weights = (si.reshape(a, (-1, 1)) for a in (y, p, weights))
        self._add(y != 0, p, weights, least=0)

    def _best(self, wanted: Array, given: Array) -> Array:
        best: Array = si.max(si.where(given >= self.value, wanted, 0.0))
        return best

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, self.argument: self.value, "num_thresholds": self.num_thresholds, "class_id": self.class_id}


class SensitivityAtSpecificity(_AtPoint):
    """The largest sensitivity (recall) where the specificity, the share of negatives below the threshold, is at least ``specificity``.

    Parameters
    ----------
    specificity : float
        From 0 to 1.
    num_thresholds : int
        Thresholds tried, at equal distances from 0 to 1.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    argument = "specificity"

    @checked(specificity=SHARE, num_thresholds=Whole(2), class_id=Whole(0) | None)
    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(specificity, num_thresholds, class_id, name)

    def result(self) -> Array:
        """The rate, float64; 0 if no threshold is good enough."""
        tp, fp, tn, fn = self.rates()
        return self._best(ratio(tp, tp + fn), ratio(tn, tn + fp))


class SpecificityAtSensitivity(_AtPoint):
    """The largest specificity, the share of negatives below the threshold, where the sensitivity (recall) is at least ``sensitivity``.

    Parameters
    ----------
    sensitivity : float
        From 0 to 1.
    num_thresholds : int
        Thresholds tried, at equal distances from 0 to 1.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.6666666666666666
    """

    argument = "sensitivity"

    @checked(sensitivity=SHARE, num_thresholds=Whole(2), class_id=Whole(0) | None)
    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name)

    def result(self) -> Array:
        """The rate, float64; 0 if no threshold is good enough."""
        tp, fp, tn, fn = self.rates()
        return self._best(ratio(tn, tn + fp), ratio(tp, tp + fn))


class PrecisionAtRecall(_AtPoint):
    """The largest precision where the recall is at least ``recall``.

    Parameters
    ----------
    recall : float
        From 0 to 1.
    num_thresholds : int
        Thresholds tried, at equal distances from 0 to 1.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    argument = "recall"

    @checked(recall=SHARE, num_thresholds=Whole(2), class_id=Whole(0) | None)
    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(recall, num_thresholds, class_id, name)

    def result(self) -> Array:
        """The rate, float64; 0 if no threshold is good enough."""
        tp, fp, _, fn = self.rates()
        return self._best(ratio(tp, tp + fp), ratio(tp, tp + fn))


class RecallAtPrecision(_AtPoint):
    """The largest recall where the precision is at least ``precision``.

    Parameters
    ----------
    precision : float
        From 0 to 1.
    num_thresholds : int
        Thresholds tried, at equal distances from 0 to 1.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.5
    """

    argument = "precision"

    @checked(precision=SHARE, num_thresholds=Whole(2), class_id=Whole(0) | None)
    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(precision, num_thresholds, class_id, name)

    def result(self) -> Array:
        """The rate, float64; 0 if no threshold is good enough."""
        tp, fp, _, fn = self.rates()
        return self._best(ratio(tp, tp + fn), ratio(tp, tp + fp))
