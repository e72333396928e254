"""Losses with Keras' names, defaults and formulas, as classes and as functions.

A loss object is called with the true values, the predictions and, if need be, sample weights, and returns one number,
the mean over the examples; `Loss.call` and the functions give one number per example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from insitu import registry
from insitu.arguments import Checked, Instance, checked
from insitu.nn.losses.base import FunctionLoss, Loss
from insitu.nn.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from insitu.nn.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from insitu.nn.losses.images import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    Dice,
    Tversky,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    dice,
    total_variation,
    tversky,
)
from insitu.nn.losses.probabilistic import KLDivergence, Poisson, kl_divergence, poisson
from insitu.nn.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge",
    "CosineSimilarity", "Dice", "FunctionLoss", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge",
    "Tversky", "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge", "cosine_similarity", "dice", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize",
    "sparse_categorical_crossentropy", "squared_hinge", "total_variation", "tversky",
]  # fmt: skip

#: Each function and the class of losses that computes it.
FUNCTIONS: dict[Callable[..., Any], type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy, binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy, categorical_crossentropy: CategoricalCrossentropy,
    categorical_hinge: CategoricalHinge, dice: Dice, tversky: Tversky,
    cosine_similarity: CosineSimilarity, hinge: Hinge, huber: Huber, kl_divergence: KLDivergence, log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError, mean_absolute_percentage_error: MeanAbsolutePercentageError, mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError, poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy, squared_hinge: SquaredHinge,
}  # fmt: skip

#: Every loss by name.
TABLE: dict[str, type[Loss]] = {function.__name__: cls for function, cls in FUNCTIONS.items()} | {
    "bce": BinaryCrossentropy, "huber_loss": Huber, "kld": KLDivergence, "kullback_leibler_divergence": KLDivergence, "logcosh": LogCosh,
    "mae": MeanAbsoluteError, "mape": MeanAbsolutePercentageError, "mse": MeanSquaredError, "msle": MeanSquaredLogarithmicError,
}  # fmt: skip


@checked(identifier=Checked("a name, a loss or a function", ("mse",)))
def get(identifier: Any) -> Loss:
    """The loss that a name, a class, a configuration, a function or a loss means.

    Parameters
    ----------
    identifier : str, Loss, type, dict or callable
        A name as in Keras, such as ``"mean_squared_error"``, ``"MeanSquaredError"`` or ``"mse"``; what `serialize` gave;
        or a function ``f(y_true, y_pred)`` that gives one number per example.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, dict):
        cls = registry.find("loss", Loss.classes, identifier.get("class_name"), "import the module that defines the class before loading")
        return cls.from_config(registry.check_config("loss", identifier.get("config", {})))
    if callable(identifier):
        known = next((cls for function, cls in FUNCTIONS.items() if function is identifier), None)
        return FunctionLoss(registry.taking("loss", identifier, "y_true", "y_pred")) if known is None else known()
    return registry.find("loss", TABLE, identifier, 'pass a name such as "sparse_categorical_crossentropy", or a function')()


@checked(loss=Instance(Loss, "a loss", (MeanSquaredError(),), slug="loss-unknown"))
def serialize(loss: Loss) -> dict[str, Any]:
    """The configuration from which `get` makes the loss again, as JSON values.

    Raises
    ------
    ArgumentError
        For a Python function that is not registered, which a file cannot hold.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.serialize(si.nn.losses.Huber(2.0))
    {'class_name': 'Huber', 'config': {'delta': 2.0, 'name': 'huber_loss', 'reduction': 'sum_over_batch_size'}}
    """
    return {"class_name": type(loss).__name__, "config": loss.get_config()}
