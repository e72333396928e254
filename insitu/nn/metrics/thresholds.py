"""What happens to positives and negatives at thresholds: counts, precision and recall. Formulas and defaults are Keras'."""

from __future__ import annotations

from typing import Any, ClassVar

import insitu as si
from insitu.arguments import ARRAY, COUNT, SHARE, Several, Whole, checked
from insitu.array.array import Array
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape, alike, shapes_differ
from insitu.nn.metrics.base import Metric, check_equal, ratio

_THRESHOLD = SHARE.about(fix="apply a sigmoid to scores first, or leave thresholds out for 0.5")
THRESHOLDS = _THRESHOLD | Several(_THRESHOLD)


class Thresholded(Metric):
    """Base class: weighted numbers of predictions above and below thresholds, for targets of 0 and others.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1. A prediction is positive if it is larger; with several there is one result for each.
    top_k : int, optional
        Only the ``k`` largest of the last axis can be positive.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional
    """

    #: Which numbers are kept, of "true_positives", "false_positives", "true_negatives", "false_negatives".
    kinds: ClassVar[tuple[str, ...]] = ()

    @checked(thresholds=THRESHOLDS | None, top_k=COUNT | None, class_id=Whole(0) | None)
    def __init__(self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self._several = isinstance(self.thresholds, list) and len(self.thresholds) > 1
        self._levels = [0.5 if top_k is None else -si.inf] if self.thresholds is None else _as_list(self.thresholds)
        self.counts = self.add_variable((len(self.kinds), len(self._levels)), dtype="float64", name="counts")

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions of shape (batch, ...), with weights of shape (batch,) or (batch, ...)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        weights = None if sample_weight is None else aligned(si.asarray(sample_weight).astype(p.dtype), p, self.name)
        if self.top_k is not None:
            p = only_top(p, self.top_k)
        if self.class_id is not None:
            y, p = (a[..., self.class_id : self.class_id + 1] for a in (y, p))
            weights = weights if weights is None or weights.shape[-1] == 1 else weights[..., self.class_id : self.class_id + 1]
        ones = si.ones((1,) * p.ndim, dtype=p.dtype) if weights is None else weights
        weight = si.reshape(si.broadcast_to(ones, p.shape), (-1,))
        truth, above = si.reshape(y != 0, (-1,)), si.reshape(p, (-1,)) > si.asarray(self._levels, dtype=p.dtype)[:, None]
        cases = {
            "true_positives": lambda: truth & above,
            "false_positives": lambda: ~truth & above,
            "true_negatives": lambda: ~(truth | above),
            "false_negatives": lambda: truth & ~above,
        }
        found = [si.sum(si.where(cases[kind](), weight, 0), axis=-1) for kind in self.kinds]
        self.counts.assign(self.counts.value + si.stack(found).astype(si.float64))

    def _shown(self, values: Array) -> Array:
        return values if self._several else values[0]

    def check_shapes(self, target: Shape, output: Shape) -> None:
        if len(output) > 1 and target in (output[:-1], (*output[:-1], 1)) and output[-1] != 1:
            fix = "pass one-hot targets: si.one_hot(y, classes); for class numbers there is ConfusionMatrix"
            raise shapes_differ(f"metric {self.name}", target, output, f"{output}, 0 or 1 for each entry of the output", fix)
        check_equal(self, target, output)
        size = output[-1] if len(output) > 1 else 1
        if self.class_id is not None and size is not None and self.class_id >= size:
            raise shapes_differ(f"metric {self.name}", target, output, f"with more than {self.class_id} classes", f"pass class_id below {size}")


class _Count(Thresholded):
    """Base class of the four numbers."""

    @checked(thresholds=THRESHOLDS | None)
    def __init__(self, thresholds: Any = None, name: str | None = None) -> None:
        super().__init__(thresholds, name=name)

    def result(self) -> Array:
        """The number, float64; one for each of several thresholds."""
        return self._shown(self.counts.value[0])

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self.thresholds}


class TruePositives(_Count):
    """The weighted number of predictions above the threshold whose target is not 0.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        0.5 by default.
    name : str, optional

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.TruePositives()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8]))
    2.0
    """

    kinds = ("true_positives",)


class FalsePositives(_Count):
    """The weighted number of predictions above the threshold whose target is 0.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        0.5 by default.
    name : str, optional

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.FalsePositives()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8]))
    1.0
    """

    kinds = ("false_positives",)


class TrueNegatives(_Count):
    """The weighted number of predictions not above the threshold whose target is 0.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        0.5 by default.
    name : str, optional

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.TrueNegatives()([0, 1, 1, 0], [0.1, 0.2, 0.7, 0.8]))
    1.0
    """

    kinds = ("true_negatives",)


class FalseNegatives(_Count):
    """The weighted number of predictions not above the threshold whose target is not 0.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        0.5 by default.
    name : str, optional

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.FalseNegatives()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8]))
    1.0
    """

    kinds = ("false_negatives",)


class Precision(Thresholded):
    """The share of true positives among the positive predictions, ``tp / (tp + fp)``; 0 where there are none.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default. A prediction is positive if it is larger; with several there is one result for each.
    top_k : int, optional
        Only the ``k`` largest of the last axis are positive; without thresholds, all of them.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a threshold is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.Precision()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8])) == 2 / 3
    True
    """

    kinds = ("true_positives", "false_positives")

    def result(self) -> Array:
        """``tp / (tp + fp)``, float64; one for each of several thresholds."""
        return self._shown(ratio(self.counts.value[0], self.counts.value[0] + self.counts.value[1]))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}


class Recall(Thresholded):
    """The share of the positive targets that are predicted, ``tp / (tp + fn)``; 0 where there are none.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default. A prediction is positive if it is larger; with several there is one result for each.
    top_k : int, optional
        Only the ``k`` largest of the last axis are positive; without thresholds, all of them.
    class_id : int, optional
        Look only at this entry of the last axis.
    name : str, optional

    Raises
    ------
    ArgumentError
        If a threshold is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.Recall()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8])) == 2 / 3
    True
    """

    kinds = ("true_positives", "false_negatives")

    def result(self) -> Array:
        """``tp / (tp + fn)``, float64; one for each of several thresholds."""
        return self._shown(ratio(self.counts.value[0], self.counts.value[0] + self.counts.value[1]))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}


def only_top(p: Array, k: int) -> Array:
    """The ``k`` largest entries of the last axis; the others become minus infinity."""
    size = p.shape[-1]
    _, places = si.topk(p, min(k, size))
    chosen = si.any(si.expand_dims(places, axis=-1) == si.arange(size, dtype=places.dtype), axis=-2)
    return si.where(chosen, p, -si.inf)


def _as_list(thresholds: Any) -> list[float]:
    return thresholds if isinstance(thresholds, list) else [thresholds]
