"""Entropy and mutual information of discrete variables."""

from __future__ import annotations

import math
from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXIS, Number, checked
from insitu.array.array import Array
from insitu.errors import ShapeError
from insitu.nn.losses.fit import floating


@checked(p=ARRAY, axis=AXIS, base=Number(1, open="l") | None)
def entropy(p: Any, axis: int = -1, base: float | None = None) -> Array:
    """Shannon's entropy ``H(X) = -sum_x p(x) log p(x)`` of a discrete variable ``X``, where ``0 log 0`` is 0.

    The expected surprise at a value of ``X``: 0 if one value is certain, ``log n`` if ``n`` values are equally likely.
    Shannon, C. E. (1948): A mathematical theory of communication.

    Parameters
    ----------
    p : array_like
        Probabilities or counts of the values, from 0 on; they are scaled to sum 1 along the axis. Counts give the
        entropy of the sample, which is on average less than that of the variable.
    axis : int
        Along which the values lie.
    base : float, optional
        Of the logarithm: 2 gives bits; None is e and gives nats.

    Returns
    -------
    Array
        Without that axis.

    Raises
    ------
    ArgumentError
        If the base is not above 1.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.entropy([0.5, 0.25, 0.25], base=2))
    1.5
    >>> float(si.nn.metrics.entropy([3, 3, 3, 3], base=2))
    2.0
    """
    p = floating(si.asarray(p))
    p = p / si.sum(p, axis=axis, keepdims=True)
    return 0.0 - si.sum(_times_log("entropy", p, p, base), axis=axis)


@checked(joint=ARRAY, base=Number(1, open="l") | None)
def mutual_information(joint: Any, base: float | None = None) -> Array:
    """``I(X; Y) = sum_xy p(x, y) log(p(x, y) / (p(x) p(y)))`` of two discrete variables, where ``0 log 0`` is 0.

    How much knowing one variable tells of the other, ``H(X) + H(Y) - H(X, Y)``: 0 if they are independent, ``H(X)`` if
    ``Y`` determines ``X``. Shannon, C. E. (1948): A mathematical theory of communication.

    Parameters
    ----------
    joint : array_like
        Probabilities or counts of the pairs, from 0 on, shape (..., m, n); they are scaled to sum 1. `confusion_matrix`
        counts the pairs of two sequences. Counts give the value of the sample, which is on average more than that of
        the variables.
    base : float, optional
        Of the logarithm: 2 gives bits; None is e and gives nats.

    Returns
    -------
    Array
        Shape (...).

    Raises
    ------
    ShapeError
        If ``joint`` has fewer than two axes.
    ArgumentError
        If the base is not above 1.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.metrics.mutual_information([[0.5, 0.0], [0.0, 0.5]], base=2))
    1.0
    >>> float(si.nn.metrics.mutual_information([[1, 1], [1, 1]]))
    0.0
    """
    p = floating(si.asarray(joint))
    if p.ndim < 2:
        raise ShapeError(
            "mutual_information needs a table of pairs.",
            expected="(..., m, n): one row for each value of the one variable, one column for each of the other",
            received=f"shape {tuple(p.shape)}",
            fix="count the pairs: si.nn.metrics.confusion_matrix(x, y, num_classes)",
            slug="matrix-rank",
            argument="joint",
        )
    p = p / si.sum(p, axis=(-2, -1), keepdims=True)
    independent = si.sum(p, axis=-1, keepdims=True) * si.sum(p, axis=-2, keepdims=True)
    return si.sum(_times_log("mutual_information", p, p / si.where(p > 0, independent, 1), base), axis=(-2, -1))


def _times_log(function: str, p: Array, q: Array, base: float | None) -> Array:
    """``p * log(q)``, 0 where p is 0; NaN for negative p."""
    q = si.where(p == 0, 1, q)
    logarithm = si.log2(q) if base == 2 else si.log(q) if base is None else si.log(q) * (1 / math.log(base))
    return si.where(p == 0, 0, p * logarithm)
