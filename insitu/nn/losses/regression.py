"""Losses for real values. Formulas and defaults are Keras'."""

from __future__ import annotations

import math
from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXIS, POSITIVE, checked
from insitu.array.array import Array
from insitu.nn.losses.base import Loss, MeanOverLastAxis
from insitu.nn.losses.fit import alike

#: Keras' epsilon: keeps divisions and logarithms from 0.
EPSILON = 1e-7


class MeanSquaredError(MeanOverLastAxis):
    """``(y - p)**2``, averaged over the last axis.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.MeanSquaredError()([[0.0, 2.0]], [[1.0, 4.0]])
    Array(2.5, dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``(y - p)**2``."""
        y, p = alike("loss mean_squared_error", y_true, y_pred)
        return si.square(p - y)


class MeanAbsoluteError(MeanOverLastAxis):
    """``|y - p|``, averaged over the last axis; its derivative where both are equal is 0.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.MeanAbsoluteError()([[0.0, 2.0]], [[1.0, 4.0]])
    Array(1.5, dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``|y - p|``."""
        y, p = alike("loss mean_absolute_error", y_true, y_pred)
        return si.abs(p - y)


class MeanAbsolutePercentageError(MeanOverLastAxis):
    """``100 * |y - p| / max(|y|, 1e-7)``, averaged over the last axis.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    Array(25., dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_percentage_error") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``100 * |y - p| / max(|y|, 1e-7)``."""
        y, p = alike("loss mean_absolute_percentage_error", y_true, y_pred)
        return 100.0 * si.abs((y - p) / si.maximum(si.abs(y), EPSILON))


class MeanSquaredLogarithmicError(MeanOverLastAxis):
    """``(log(1 + y) - log(1 + p))**2``, averaged over the last axis; values below 1e-7 count as 1e-7.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 4)
    0.4805
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_logarithmic_error") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``(log(1 + y) - log(1 + p))**2``."""
        y, p = alike("loss mean_squared_logarithmic_error", y_true, y_pred)
        return si.square(si.log1p(si.maximum(p, EPSILON)) - si.log1p(si.maximum(y, EPSILON)))


class Huber(MeanOverLastAxis):
    """``d**2 / 2`` for differences ``d`` up to ``delta``, beyond ``delta * (|d| - delta / 2)``; averaged over the last axis.

    Huber, P. J. (1964): Robust estimation of a location parameter.

    Parameters
    ----------
    delta : float
        Where the parabola goes over into lines.
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]])
    Array(1.5, dtype=float32)
    """

    @checked(delta=POSITIVE)
    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str = "huber_loss") -> None:
        super().__init__(name, reduction)
        self.delta = delta

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``d**2 / 2`` or ``delta * (|d| - delta / 2)``."""
        y, p = alike("loss huber", y_true, y_pred)
        d = p - y
        size = si.abs(d)
        return si.where(size <= self.delta, 0.5 * si.square(d), self.delta * (size - 0.5 * self.delta))

    def get_config(self) -> dict[str, Any]:
        return {"delta": self.delta, **super().get_config()}


class LogCosh(MeanOverLastAxis):
    """``log(cosh(y - p))``, averaged over the last axis: near 0 half the square, far from it the distance less log 2.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.LogCosh()([[0.0]], [[1.0]])), 4)
    0.4338
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``log(cosh(p - y))``."""
        y, p = alike("loss log_cosh", y_true, y_pred)
        gap = p - y
        size = si.where(gap < 0, -gap, gap)  # not abs: its slope of 0 at 0 would lose the second derivative there
        # log cosh a = a + log((1 + exp(-2a)) / 2); in this form it neither overflows nor loses small a
        return size + si.log1p(0.5 * si.expm1(-2.0 * size))


class CosineSimilarity(Loss):
    """``-cos`` of the angle between ``y`` and ``p``: -1 for equal directions, 1 for opposite ones, 0 for a vector of zeros.

    Parameters
    ----------
    axis : int
        Along which the vectors lie.
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.CosineSimilarity()([[2.0, 0.0]], [[4.0, 0.0]])
    Array(-1., dtype=float32)
    """

    @checked(axis=AXIS)
    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "cosine_similarity") -> None:
        super().__init__(name, reduction)
        self.axis = axis

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``-sum(y * p) / (|y| |p|)`` over the axis."""
        return cosine_similarity(y_true, y_pred, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis, **super().get_config()}


@checked(y_true=ARRAY, y_pred=ARRAY)
def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """``mean((y_true - y_pred)**2)`` over the last axis; see `MeanSquaredError`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.mean_squared_error([[0.0, 2.0]], [[1.0, 4.0]])
    Array([2.5], dtype=float32)
    """
    return si.mean(MeanSquaredError().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """``mean(|y_true - y_pred|)`` over the last axis; see `MeanAbsoluteError`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.mean_absolute_error([[0.0, 2.0]], [[1.0, 4.0]])
    Array([1.5], dtype=float32)
    """
    return si.mean(MeanAbsoluteError().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``100 |y_true - y_pred| / |y_true|``; see `MeanAbsolutePercentageError`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]])
    Array([25.], dtype=float32)
    """
    return si.mean(MeanAbsolutePercentageError().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``(log(1 + y_true) - log(1 + y_pred))**2``; see `MeanSquaredLogarithmicError`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n), values from 0 on.

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.losses.mean_squared_logarithmic_error([[3.0]], [[3.0]])[0])
    0.0
    """
    return si.mean(MeanSquaredLogarithmicError().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY, delta=POSITIVE)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Array:
    """Mean over the last axis of Huber's function of the differences; see `Huber`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).
    delta : float

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.huber([[0.0, 0.0]], [[1.0, 3.0]])
    Array([1.5], dtype=float32)
    """
    return si.mean(Huber(delta).terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def log_cosh(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``log(cosh(y_true - y_pred))``; see `LogCosh`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.losses.log_cosh([[1.0, 2.0]], [[1.0, 2.0]])[0])
    0.0
    """
    return si.mean(LogCosh().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY, axis=AXIS)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """``-cos`` of the angle between ``y_true`` and ``y_pred`` along an axis; see `CosineSimilarity`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Shape (batch, ..., n).
    axis : int

    Returns
    -------
    Array
        Without that axis.

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.cosine_similarity([[2.0, 0.0]], [[4.0, 0.0]])
    Array([-1.], dtype=float32)
    """
    y, p = alike("loss cosine_similarity", si.asarray(y_true), si.asarray(y_pred))
    return -si.sum(_unit(y, axis) * _unit(p, axis), axis=axis)


def _unit(x: Array, axis: int) -> Array:
    # a vector shorter than EPSILON is divided by EPSILON; the maximum keeps the derivative at 0 finite
    length_squared = si.sum(si.square(x), axis=axis, keepdims=True)
    return x * si.rsqrt(si.maximum(length_squared, math.pow(EPSILON, 2)))
