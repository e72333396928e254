"""Losses that ask for a margin. Formulas and defaults are Keras'."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, checked
from insitu.array.array import Array
from insitu.nn.losses import fit
from insitu.nn.losses.base import Loss, MeanOverLastAxis
from insitu.nn.losses.fit import Shape, alike


class Hinge(MeanOverLastAxis):
    """``max(1 - y * p, 0)``, averaged over the last axis, for targets of -1 and 1.

    Targets of 0 and 1 are taken as -1 and 1, if a batch holds no others.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.Hinge()([[-1.0, 1.0]], [[-2.0, 0.5]])
    Array(0.25, dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``max(1 - y * p, 0)``."""
        return _margins("loss hinge", y_true, y_pred)


class SquaredHinge(MeanOverLastAxis):
    """``max(1 - y * p, 0)**2``, averaged over the last axis, for targets of -1 and 1.

    Targets of 0 and 1 are taken as -1 and 1, if a batch holds no others.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.SquaredHinge()([[-1.0, 1.0]], [[-2.0, 0.5]])
    Array(0.125, dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``max(1 - y * p, 0)**2``."""
        return si.square(_margins("loss squared_hinge", y_true, y_pred))


class CategoricalHinge(Loss):
    """``max(1 + max((1 - y) * p) - sum(y * p), 0)`` over the last axis, for one-hot rows ``y``.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.CategoricalHinge()([[0, 1]], [[0.5, 1.0]])
    Array(0.5, dtype=float32)
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge") -> None:
        super().__init__(name, reduction)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``max(1 + max((1 - y) * p) - sum(y * p), 0)`` over the last axis."""
        return categorical_hinge(y_true, y_pred)

    def fits(self, owner: str, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` unless there is one row for each row of the output."""
        if target == output[:-1] or target == (*output[:-1], 1) != output:
            raise fit.shapes_differ(owner, target, output, f"{output}, one one-hot row per example", "pass si.one_hot(y, classes)")
        super().fits(owner, target, output)


@checked(y_true=ARRAY, y_pred=ARRAY)
def hinge(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0)``; see `Hinge`.

    Parameters
    ----------
    y_true : array_like
        -1 and 1, or 0 and 1, shape (batch, ..., n).
    y_pred : array_like
        Scores of that shape.

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
    >>> si.nn.losses.hinge([[-1.0, 1.0]], [[-2.0, 0.5]])
    Array([0.25], dtype=float32)
    """
    return si.mean(_margins("loss hinge", si.asarray(y_true), si.asarray(y_pred)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def squared_hinge(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0)**2``; see `SquaredHinge`.

    Parameters
    ----------
    y_true : array_like
        -1 and 1, or 0 and 1, shape (batch, ..., n).
    y_pred : array_like
        Scores of that shape.

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
    >>> si.nn.losses.squared_hinge([[-1.0, 1.0]], [[-2.0, 0.5]])
    Array([0.125], dtype=float32)
    """
    return si.mean(si.square(_margins("loss squared_hinge", si.asarray(y_true), si.asarray(y_pred))), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def categorical_hinge(y_true: Any, y_pred: Any) -> Array:
    """``max(1 + max((1 - y) * p) - sum(y * p), 0)`` over the last axis; see `CategoricalHinge`.

    Parameters
    ----------
    y_true : array_like
        One-hot rows, shape (batch, ..., classes).
    y_pred : array_like
        Scores of that shape.

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
    >>> si.nn.losses.categorical_hinge([[0, 1]], [[0.5, 1.0]])
    Array([0.5], dtype=float32)
    """
    y, p = alike("loss categorical_hinge", si.asarray(y_true), si.asarray(y_pred))
    return si.maximum(si.max((1 - y) * p, axis=-1) - si.sum(y * p, axis=-1) + 1, 0)


def _margins(owner: str, y_true: Array, y_pred: Array) -> Array:
    y, p = alike(owner, y_true, y_pred)
    signs = si.where(si.all((y == 0) | (y == 1)), 2 * y - 1, y)
    return si.maximum(1 - signs * p, 0)
