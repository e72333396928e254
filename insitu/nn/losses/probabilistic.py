"""Losses for distributions and counts. Formulas and defaults are Keras'."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, checked
from insitu.array.array import Array
from insitu.nn.losses.base import Loss, MeanOverLastAxis
from insitu.nn.losses.fit import alike
from insitu.nn.losses.regression import EPSILON


class KLDivergence(Loss):
    """``sum(y * log(y / p))`` over the last axis: the Kullback-Leibler divergence of ``p`` from ``y``, in nats.

    Both are kept between 1e-7 and 1. Kullback, S. and Leibler, R. A. (1951): On information and sufficiency.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence") -> None:
        super().__init__(name, reduction)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``sum(y * log(y / p))`` over the last axis."""
        return kl_divergence(y_true, y_pred)


class Poisson(MeanOverLastAxis):
    """``p - y * log(p + 1e-7)``, averaged over the last axis: the likelihood of counts ``y`` with Poisson rates ``p``.

    The term ``log(y!)``, which does not depend on ``p``, is left out.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.Poisson()([[2.0]], [[1.0]])), 4)
    1.0
    """

    @checked()
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson") -> None:
        super().__init__(name, reduction)

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``p - y * log(p + 1e-7)``."""
        y, p = alike("loss poisson", y_true, y_pred)
        return p - y * si.log(p + EPSILON)


@checked(y_true=ARRAY, y_pred=ARRAY)
def kl_divergence(y_true: Any, y_pred: Any) -> Array:
    """``sum(y_true * log(y_true / y_pred))`` over the last axis; see `KLDivergence`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Probabilities, shape (batch, ..., n).

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
    >>> float(si.nn.losses.kl_divergence([[0.5, 0.5]], [[0.5, 0.5]])[0])
    0.0
    """
    y, p = alike("loss kl_divergence", si.asarray(y_true), si.asarray(y_pred))
    y = si.clip(y, EPSILON, 1.0)
    return si.sum(y * si.log(y / si.clip(p, EPSILON, 1.0)), axis=-1)


@checked(y_true=ARRAY, y_pred=ARRAY)
def poisson(y_true: Any, y_pred: Any) -> Array:
    """Mean over the last axis of ``y_pred - y_true * log(y_pred + 1e-7)``; see `Poisson`.

    Parameters
    ----------
    y_true, y_pred : array_like
        Counts and rates, shape (batch, ..., n).

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
    >>> si.nn.losses.poisson([[0.0, 0.0]], [[1.0, 2.0]])
    Array([1.5], dtype=float32)
    """
    return si.mean(Poisson().terms(si.asarray(y_true), si.asarray(y_pred)), axis=-1)
