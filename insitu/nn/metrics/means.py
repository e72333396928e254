"""Metrics that are the mean of a loss over all examples, and the root of one. Names and defaults are Keras'."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXIS, FLAG, SHARE, WHOLE, checked
from insitu.array.array import Array
from insitu.nn import losses
from insitu.nn.losses.base import Loss
from insitu.nn.losses.fit import Shape, alike
from insitu.nn.metrics.base import Averaged, LossMean, check_equal


class MeanSquaredError(LossMean):
    """The mean of ``(y - p)**2`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.MeanSquaredError()([0.0, 0.0], [1.0, 3.0]))
    5.0
    """

    @checked()
    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(losses.MeanSquaredError(), name)


class RootMeanSquaredError(Averaged):
    """The square root of the mean of ``(y - p)**2`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.RootMeanSquaredError()([0.0, 0.0], [1.0, 7.0]))
    5.0
    """

    @checked()
    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions of shape (batch, ...), with weights of shape (batch,) or (batch, ...)."""
        y, p = alike(f"metric {self.name}", si.asarray(y_true), si.asarray(y_pred))
        self.take_in(si.square(p - y), sample_weight)

    def result(self) -> Array:
        """The root of the mean, float64."""
        return si.sqrt(super().result())

    def check_shapes(self, target: Shape, output: Shape) -> None:
        check_equal(self, target, output)


class MeanAbsoluteError(LossMean):
    """The mean of ``|y - p|`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.MeanAbsoluteError()([0.0, 0.0], [1.0, -3.0]))
    2.0
    """

    @checked()
    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(losses.MeanAbsoluteError(), name)


class MeanAbsolutePercentageError(LossMean):
    """The mean of ``100 * |y - p| / |y|`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.MeanAbsolutePercentageError()([2.0, 4.0], [1.0, 4.0]))
    25.0
    """

    @checked()
    def __init__(self, name: str = "mean_absolute_percentage_error") -> None:
        super().__init__(losses.MeanAbsolutePercentageError(), name)


class MeanSquaredLogarithmicError(LossMean):
    """The mean of ``(log(1 + y) - log(1 + p))**2`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.MeanSquaredLogarithmicError()([2.0, 4.0], [2.0, 4.0]))
    0.0
    """

    @checked()
    def __init__(self, name: str = "mean_squared_logarithmic_error") -> None:
        super().__init__(losses.MeanSquaredLogarithmicError(), name)


class LogCoshError(LossMean):
    """The mean of ``log(cosh(y - p))`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.LogCoshError()([2.0, 4.0], [2.0, 4.0]))
    0.0
    """

    @checked()
    def __init__(self, name: str = "logcosh") -> None:
        super().__init__(losses.LogCosh(), name)


class _Cosine(Loss):
    """The negative of the loss of that name."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__("cosine_similarity")
        self.axis = axis

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return -losses.cosine_similarity(y_true, y_pred, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class CosineSimilarity(LossMean):
    """The mean cosine of the angle between ``y`` and ``p``: 1 for equal directions (the loss of this name has the other sign).

    Parameters
    ----------
    name : str
    axis : int
        Along which the vectors lie.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.CosineSimilarity()([[0.0, 1.0], [1.0, 0.0]], [[0.0, 4.0], [0.0, 2.0]]))
    0.5
    """

    @checked(axis=AXIS)
    def __init__(self, name: str = "cosine_similarity", axis: int = -1) -> None:
        super().__init__(_Cosine(axis), name)


class BinaryCrossentropy(LossMean):
    """The mean of ``-(y log p + (1 - y) log(1 - p))`` over all values; see the loss of this name.

    Parameters
    ----------
    name : str
    from_logits : bool
    label_smoothing : float
    axis : int

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.metrics.BinaryCrossentropy()([1.0, 0.0], [0.5, 0.25])), 4)
    0.4904
    """

    @checked(from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
    def __init__(
        self, name: str = "binary_crossentropy", from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
    ) -> None:  # fmt: skip
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing, axis), name)


class CategoricalCrossentropy(LossMean):
    """The mean of ``-sum(y * log p)`` over all examples; see the loss of this name.

    Parameters
    ----------
    name : str
    from_logits : bool
    label_smoothing : float
    axis : int

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.metrics.CategoricalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 4)
    0.6931
    """

    @checked(from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
    def __init__(
        self, name: str = "categorical_crossentropy", from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
    ) -> None:  # fmt: skip
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name)


class SparseCategoricalCrossentropy(LossMean):
    """The mean of ``-log p[y]`` over all examples; see the loss of this name.

    Labels of ``ignore_class`` do not count, as in the loss. (In Keras they count as 0 where there are no sample weights.)

    Parameters
    ----------
    name : str
    from_logits : bool
    ignore_class : int, optional
    axis : int

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    @checked(from_logits=FLAG, ignore_class=WHOLE | None, axis=AXIS)
    def __init__(
        self, name: str = "sparse_categorical_crossentropy", from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
    ) -> None:  # fmt: skip
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), name)


class KLDivergence(LossMean):
    """The mean of ``sum(y * log(y / p))`` over all examples, in nats.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.metrics.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    @checked()
    def __init__(self, name: str = "kl_divergence") -> None:
        super().__init__(losses.KLDivergence(), name)


class Poisson(LossMean):
    """The mean of ``p - y * log(p)`` over all values.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.Poisson()([[0.0, 0.0]], [[1.0, 2.0]]))
    1.5
    """

    @checked()
    def __init__(self, name: str = "poisson") -> None:
        super().__init__(losses.Poisson(), name)


class Hinge(LossMean):
    """The mean of ``max(1 - y * p, 0)`` over all values, for targets of -1 and 1, or 0 and 1.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.Hinge()([[-1.0, 1.0]], [[-2.0, 0.5]]))
    0.25
    """

    @checked()
    def __init__(self, name: str = "hinge") -> None:
        super().__init__(losses.Hinge(), name)


class SquaredHinge(LossMean):
    """The mean of ``max(1 - y * p, 0)**2`` over all values, for targets of -1 and 1, or 0 and 1.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.SquaredHinge()([[-1.0, 1.0]], [[-2.0, 0.5]]))
    0.125
    """

    @checked()
    def __init__(self, name: str = "squared_hinge") -> None:
        super().__init__(losses.SquaredHinge(), name)


class CategoricalHinge(LossMean):
    """The mean of ``max(1 + max((1 - y) * p) - sum(y * p), 0)`` over all examples, for one-hot rows ``y``.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.CategoricalHinge()([[0, 1]], [[0.5, 1.0]]))
    0.5
    """

    @checked()
    def __init__(self, name: str = "categorical_hinge") -> None:
        super().__init__(losses.CategoricalHinge(), name)
