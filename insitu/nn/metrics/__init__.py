"""Metrics with Keras' names, defaults and formulas, as classes and as functions.

A metric takes batches in with ``update_state(y_true, y_pred, sample_weight=None)`` and gives its value for all of them with
``result()``; ``reset_state()`` begins anew. `entropy` and `mutual_information` measure discrete variables.
"""

from __future__ import annotations

from typing import Any

from insitu import registry
from insitu.arguments import Checked, Lengths, checked
from insitu.nn import losses
from insitu.nn.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from insitu.nn.losses.fit import Shape
from insitu.nn.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from insitu.nn.metrics.base import FUNCTIONS, Mean, MeanMetricWrapper, Metric, Sum
from insitu.nn.metrics.curves import AUC
from insitu.nn.metrics.f_score import F1Score, FBetaScore
from insitu.nn.metrics.information import entropy, mutual_information
from insitu.nn.metrics.matrix import ConfusionMatrix, IoU, MeanIoU, confusion_matrix
from insitu.nn.metrics.means import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from insitu.nn.metrics.points import PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity
from insitu.nn.metrics.r2 import R2Score
from insitu.nn.metrics.thresholds import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives

__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy", "CategoricalHinge",
    "ConfusionMatrix", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence",
    "LogCoshError", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanMetricWrapper", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Metric", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision",
    "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy", "TrueNegatives",
    "TruePositives", "accuracy", "binary_accuracy", "binary_crossentropy", "categorical_accuracy", "categorical_crossentropy",
    "categorical_hinge", "confusion_matrix", "entropy", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "mutual_information", "poisson", "serialize",
    "sparse_categorical_accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy", "squared_hinge",
    "top_k_categorical_accuracy",
]  # fmt: skip

#: Every metric of targets and predictions that a name alone can mean.
CLASSES: tuple[type[Metric], ...] = (
    AUC, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, CategoricalHinge, ConfusionMatrix, CosineSimilarity,
    F1Score, FBetaScore, FalseNegatives, FalsePositives, Hinge, KLDivergence, LogCoshError, MeanAbsoluteError, MeanAbsolutePercentageError,
    MeanSquaredError, MeanSquaredLogarithmicError, Poisson, Precision, R2Score, Recall, RootMeanSquaredError, SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SquaredHinge, TopKCategoricalAccuracy, TrueNegatives, TruePositives,
)  # fmt: skip

#: Names of metrics; ``"accuracy"`` and ``"crossentropy"`` are chosen by shapes before.
TABLE: dict[str, type[Metric]] = {registry.words(c.__name__): c for c in CLASSES} | {
    "bce": BinaryCrossentropy, "fbeta_score": FBetaScore, "kld": KLDivergence, "logcosh": LogCoshError, "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError, "mse": MeanSquaredError, "msle": MeanSquaredLogarithmicError, "r2": R2Score,
    "rmse": RootMeanSquaredError,
}  # fmt: skip


SHAPES = Lengths(unknown=True)


@checked(identifier=Checked("a name, a metric, a loss or a function", ("mse",)), target=SHAPES, output=SHAPES)
def get(identifier: Any, target: Shape = (None, 1), output: Shape = (None, 1)) -> Metric:
    """The metric that a name, a class, a configuration, a function, a loss or a metric means.

    Parameters
    ----------
    identifier : str, Metric, Loss, type, dict or callable
        A name as in Keras, such as ``"accuracy"``, ``"mae"``, ``"AUC"``, or the name of a loss; what `serialize` gave; a
        loss, or a function ``f(y_true, y_pred)`` that gives one number per example, of which the mean is taken.
    target, output : tuple of int or None
        Shapes of targets and outputs, None for the batch. ``"accuracy"`` (or ``"acc"``) and ``"crossentropy"`` (or
        ``"ce"``) become the binary, sparse or categorical form, whichever fits them.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.get("accuracy", (None,), (None, 10))
    <SparseCategoricalAccuracy "accuracy">
    >>> si.nn.metrics.get("mse").name
    'mse'
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric | losses.Loss):
        identifier = identifier()
        return identifier if isinstance(identifier, Metric) else MeanMetricWrapper(identifier)
    if isinstance(identifier, dict):
        cls = registry.find("metric", Metric.classes, identifier.get("class_name"), "import the module that defines the class before loading")
        return cls.from_config(registry.check_config("metric", identifier.get("config", {})))
    if isinstance(identifier, losses.Loss) or callable(identifier):
        return MeanMetricWrapper(registry.taking("metric", identifier, "y_true", "y_pred"))
    return _named(identifier, target, output)


def _named(name: Any, target: Shape, output: Shape) -> Metric:
    known: dict[str, Any] = {**losses.TABLE, **TABLE, "accuracy": Accuracy, "acc": Accuracy, "crossentropy": None, "ce": None}
    if isinstance(name, str) and name in ("accuracy", "acc", "crossentropy", "ce"):
        kinds = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
        if name in ("crossentropy", "ce"):
            kinds = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)  # type: ignore[assignment]
        return kinds[_kind(target, output)](name)
    cls = registry.find("metric", {k: v for k, v in known.items() if v is not None}, name, 'pass a name such as "accuracy", or a function')
    return cls(name=name) if issubclass(cls, Metric) else MeanMetricWrapper(cls(), name)


def _kind(target: Shape, output: Shape) -> int:
    """0 for one output per example, 1 for class numbers as targets, 2 for rows."""
    if output[-1:] == (1,) or len(output) < 2:
        return 0
    return 1 if len(target) < len(output) or target[-1:] == (1,) else 2


@checked(metric=Checked("a metric, or what get takes", ("mse",)))
def serialize(metric: Any) -> Any:
    """The name or configuration from which `get` makes the metric again, as JSON values; a name stays a name.

    Raises
    ------
    ArgumentError
        For a Python function that is not registered, which a file cannot hold.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.serialize(si.nn.metrics.BinaryAccuracy(threshold=0.3))
    {'class_name': 'BinaryAccuracy', 'config': {'name': 'binary_accuracy', 'threshold': 0.3}}
    >>> si.nn.metrics.serialize("accuracy")
    'accuracy'
    """
    if isinstance(metric, str | dict):
        return metric
    made = get(metric)
    return {"class_name": type(made).__name__, "config": made.get_config()}


__all__ += ["CLASSES", "FUNCTIONS", "TABLE"]
