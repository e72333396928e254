"""Metrics with Keras' names: means over the examples of one number per example."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.array.array import Array
from insitu.nn import losses, registry

Shape = tuple[int | None, ...]


class Metric:
    """Base class: ``call`` gives one number per example; logs show the mean over all examples."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or registry.words(type(self).__name__)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """One number per example, shape (batch, ...)."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def scores(self, y_pred: Array, logits: Array | None) -> Array:
        """What ``call`` shall take as predictions: the model's output."""
        return y_pred

    def __call__(self, y_true: Any, y_pred: Any) -> Array:
        return si.mean(self.call(si.asarray(y_true), si.asarray(y_pred)))

    def per_example(self, y_true: Array, y_pred: Array, logits: Array | None) -> Array:
        """One number per example, shape (batch,), of the compute dtype."""
        each = self.call(y_true, self.scores(y_pred, logits)).astype(y_pred.dtype)
        return each if each.ndim == 1 else si.mean(each, axis=tuple(range(1, each.ndim)))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {"name": self.name}


class _ByRank(Metric):
    """Depends only on which prediction is largest, which logits tell as well."""

    def scores(self, y_pred: Array, logits: Array | None) -> Array:
        return y_pred if logits is None else logits


class SparseCategoricalAccuracy(_ByRank):
    """1 where the largest prediction stands at the label, a whole number; else 0."""

    def call(self, y_true: Array, y_pred: Array) -> Array:
        labels = si.squeeze(y_true, axis=-1) if y_true.ndim == y_pred.ndim else y_true
        return si.argmax(y_pred, axis=-1) == labels.astype(si.int64)


class CategoricalAccuracy(_ByRank):
    """1 where the largest prediction and the largest target stand at the same place; else 0."""

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return si.argmax(y_pred, axis=-1) == si.argmax(y_true, axis=-1)


class BinaryAccuracy(Metric):
    """The share of predictions on the right side of ``threshold``.

    Parameters
    ----------
    name : str, optional
    threshold : float
    """

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def call(self, y_true: Array, y_pred: Array) -> Array:
        y = y_true if tuple(y_true.shape) == tuple(y_pred.shape) else si.reshape(y_true, y_pred.shape)
        right = (y_pred > self.threshold) == (y.astype(y_pred.dtype) > 0.5)
        return si.mean(right.astype(y_pred.dtype), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class MeanAbsoluteError(Metric):
    """``|y - p|``, averaged over the last axis."""

    def call(self, y_true: Array, y_pred: Array) -> Array:
        y = y_true if tuple(y_true.shape) == tuple(y_pred.shape) else si.reshape(y_true, y_pred.shape)
        return si.mean(si.abs(y_pred - y.astype(y_pred.dtype)), axis=-1)


class LossMetric(Metric):
    """A loss, or a function ``f(y_true, y_pred)``, as a metric."""

    def __init__(self, loss: losses.Loss, name: str | None = None) -> None:
        super().__init__(name or loss.name)
        self.loss = loss

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return self.loss.call(y_true, y_pred)

    def per_example(self, y_true: Array, y_pred: Array, logits: Array | None) -> Array:
        return self.loss.per_example(y_true, y_pred, None, "").astype(y_pred.dtype)


CLASSES: tuple[type[Metric], ...] = (SparseCategoricalAccuracy, CategoricalAccuracy, BinaryAccuracy, MeanAbsoluteError)
TABLE: dict[str, type[Metric]] = {registry.words(c.__name__): c for c in CLASSES} | {"mae": MeanAbsoluteError}


def get(identifier: Any, target: Shape, output: Shape) -> Metric:
    """The metric that a name, a function or a metric means for targets and outputs of these shapes.

    ``"accuracy"`` becomes the binary, sparse or categorical accuracy, whichever fits.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, dict):
        identifier = identifier["name"]
    if callable(identifier):
        return LossMetric(losses.get(identifier))
    if identifier in ("accuracy", "acc"):
        return _accuracy(target, output)(identifier)
    if identifier in losses.TABLE:
        return LossMetric(losses.get(identifier), identifier)
    return registry.find("metric", TABLE, identifier, 'pass a name such as "accuracy", or a function')(identifier)


def known(identifier: Any) -> None:
    """Raise `ArgumentError` if no metric has that name."""
    if isinstance(identifier, str):
        get(identifier, (None,), (None, 2))


def _accuracy(target: Shape, output: Shape) -> type[Metric]:
    if output[-1:] == (1,) or len(output) < 2:
        return BinaryAccuracy
    return SparseCategoricalAccuracy if len(target) < len(output) or target[-1:] == (1,) else CategoricalAccuracy
