"""How often predictions are right. Formulas and defaults are Keras'.

Where predictions come from a softmax or sigmoid that training remembers, ranks are taken from the logits, which are in the
same order; the probabilities need not be computed then.
"""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, COUNT, FLAG, NUMBER, checked
from insitu.array.array import Array
from insitu.nn import activations
from insitu.nn.losses import fit
from insitu.nn.losses.crossentropy import at_label, whole
from insitu.nn.losses.fit import Shape, floating, same_rank
from insitu.nn.metrics.base import FUNCTIONS, MeanMetricWrapper, check_equal


class Accuracy(MeanMetricWrapper):
    """How often predictions equal the targets.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    @checked()
    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(accuracy, name)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class BinaryAccuracy(MeanMetricWrapper):
    """How often ``y_pred > threshold`` tells the target, 0 or 1.

    Parameters
    ----------
    name : str
    threshold : float

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.BinaryAccuracy()([1, 1, 0, 0], [0.98, 0.3, 0.2, 0.6]))
    0.5
    """

    @checked(threshold=NUMBER)
    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, threshold=threshold)
        self.threshold = threshold

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold}


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction stands where the largest target stands.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]))
    0.5
    """

    @checked()
    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(categorical_accuracy, name)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        fit.check_rows(f"metric {self.name}", target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction stands at the label, a whole number.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.2, 0.8]]))
    0.5
    """

    @checked()
    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(sparse_categorical_accuracy, name)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        fit.check_labels(f"metric {self.name}", target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the largest target is among the ``k`` largest predictions.

    Parameters
    ----------
    k : int
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]))
    0.5
    """

    @checked(k=COUNT)
    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        self.k = k
        super().__init__(top_k_categorical_accuracy, name, k=self.k)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        fit.check_rows(f"metric {self.name}", target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the ``k`` largest predictions.

    Parameters
    ----------
    k : int
    name : str
    from_sorted_ids : bool
        Whether predictions are class numbers already, the best first.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]))
    0.5
    """

    @checked(k=COUNT, from_sorted_ids=FLAG)
    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", from_sorted_ids: bool = False) -> None:
        self.k, self.from_sorted_ids = k, from_sorted_ids
        super().__init__(sparse_top_k_categorical_accuracy, name, k=self.k, from_sorted_ids=self.from_sorted_ids)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        fit.check_labels(f"metric {self.name}", target, output)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k, "from_sorted_ids": self.from_sorted_ids}


@checked(y_true=ARRAY, y_pred=ARRAY)
def accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where ``y_true == y_pred``, else 0.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ...).

    Returns
    -------
    Array
        float32 of that shape.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.accuracy([1, 2], [1, 3])
    Array([1., 0.], dtype=float32)
    """
    y, p = same_rank(si.asarray(y_true), si.asarray(y_pred))
    return (y.astype(p.dtype) == p).astype(si.float32)


@checked(y_true=ARRAY, y_pred=ARRAY, threshold=NUMBER)
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """1 where ``y_pred > threshold`` tells the target, else 0.

    Parameters
    ----------
    y_true : array_like
        0 or 1, shape (batch, ...).
    y_pred : array_like
        Shape (batch, ...).
    threshold : float

    Returns
    -------
    Array
        float32 of that shape.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.binary_accuracy([1, 1], [0.9, 0.2])
    Array([1., 0.], dtype=float32)
    """
    y, p = same_rank(si.asarray(y_true), floating(si.asarray(y_pred)))
    return ((p > threshold).astype(si.float32) == y.astype(si.float32)).astype(si.float32)


@checked(y_true=ARRAY, y_pred=ARRAY)
def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest prediction stands where the largest target stands, else 0.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., classes).

    Returns
    -------
    Array
        float32 of shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.categorical_accuracy([[0, 1]], [[0.2, 0.8]])
    Array([1.], dtype=float32)
    """
    return (si.argmax(_scores(y_pred), axis=-1) == si.argmax(si.asarray(y_true), axis=-1)).astype(si.float32)


@checked(y_true=ARRAY, y_pred=ARRAY)
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest prediction stands at the label, else 0.

    Parameters
    ----------
    y_true : array_like
        Class numbers, shape (batch, ...) or (batch, ..., 1).
    y_pred : array_like
        Shape (batch, ..., classes).

    Returns
    -------
    Array
        float32 of shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.sparse_categorical_accuracy([1], [[0.2, 0.8]])
    Array([1.], dtype=float32)
    """
    scores = _scores(y_pred)
    return (si.argmax(scores, axis=-1) == _labels(y_true, scores).astype(si.int64)).astype(si.float32)


@checked(y_true=ARRAY, y_pred=ARRAY, k=COUNT)
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """1 where fewer than ``k`` predictions are larger than the one at the largest target, else 0.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., classes).
    k : int

    Returns
    -------
    Array
        float32 of shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.top_k_categorical_accuracy([[0, 0, 1]], [[0.1, 0.7, 0.2]], k=2)
    Array([1.], dtype=float32)
    """
    return _in_top(_scores(y_pred), si.argmax(si.asarray(y_true), axis=-1), k)


@checked(y_true=ARRAY, y_pred=ARRAY, k=COUNT, from_sorted_ids=FLAG)
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Array:
    """1 where fewer than ``k`` predictions are larger than the one at the label, else 0.

    Parameters
    ----------
    y_true : array_like
        Class numbers, shape (batch, ...) or (batch, ..., 1).
    y_pred : array_like
        Shape (batch, ..., classes); class numbers, the best first, with ``from_sorted_ids``.
    k : int
    from_sorted_ids : bool

    Returns
    -------
    Array
        float32 of shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.sparse_top_k_categorical_accuracy([2], [[0.1, 0.7, 0.2]], k=2)
    Array([1.], dtype=float32)
    """
    scores = _scores(y_pred)
    labels = _labels(y_true, scores)
    if from_sorted_ids:
        return si.any(si.expand_dims(labels, axis=-1).astype(scores.dtype) == scores[..., :k], axis=-1).astype(si.float32)
    return _in_top(scores, labels, k)


FUNCTIONS |= {
    f.__name__: f
    for f in (
        accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy, sparse_top_k_categorical_accuracy,
    )
}  # fmt: skip


def _scores(y_pred: Any) -> Array:
    """The predictions, or the logits they were computed from."""
    y_pred = si.asarray(y_pred)
    if not y_pred.ndim:
        raise fit.shapes_differ("metric top_k_categorical_accuracy", (), (), "(batch, ..., classes)", "pass rows of scores, one for each example")
    known = activations.logits_of(y_pred)
    return y_pred if known is None else known[0]


def _labels(y_true: Any, scores: Array) -> Array:
    y_true = si.asarray(y_true)
    return whole(si.squeeze(y_true, axis=-1) if scores.ndim and y_true.ndim == scores.ndim and y_true.shape[-1] == 1 else y_true)


def _in_top(scores: Array, labels: Array, k: int) -> Array:
    there = at_label(scores, labels)
    larger = si.sum((scores > si.expand_dims(si.where(si.isnan(there), -si.inf, there), axis=-1)).astype(si.int32), axis=-1)
    return (larger < k).astype(si.float32)
