"""Checks of the numbers and axes that layers and their parts are made with."""

from __future__ import annotations

import math
import numbers
from typing import Any

from insitu.errors import ArgumentError
from insitu.nn.shapes import checked_axes as checked_axes


def number(owner: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """``value`` as a finite float from ``low`` to ``high``.

    Raises
    ------
    ArgumentError
        If it is none.

    Examples
    --------
    >>> number("ELU", "alpha", 1)
    1.0
    """
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not good or not low <= value <= high or not math.isfinite(value):
        limits = f" from {low:g} to {high:g}" if high < math.inf else f" of at least {low:g}" if low > -math.inf else ""
        raise ArgumentError(
            f"{owner}: {argument} is a number{limits}.",
            expected=f"a finite number{limits}",
            received=repr(value),
            fix=f"leave {argument} out to use the default" if good else f"pass one number: {argument}={max(low, 0.5):g}",
            slug="argument-range",
            argument=f"{argument}=",
        )
    return float(value)


def axes(owner: str, axis: Any) -> int | tuple[int, ...]:
    """An axis as an int, or several as a tuple.

    Raises
    ------
    ArgumentError
        If it is neither.

    Examples
    --------
    >>> axes("Softmax", [1, 2])
    (1, 2)
    """
    several = isinstance(axis, list | tuple)
    found = list(axis) if several else [axis]
    if not all(hasattr(a, "__index__") and not isinstance(a, bool) for a in found):
        raise ArgumentError(
            f"{owner}: axes are whole numbers.",
            expected="an int, or a tuple of them",
            received=repr(axis),
            fix="count the axes from 0, or from the end: -1 is the last",
            slug="argument-integer",
            argument=f"{axis!r}",
        )
    whole = tuple([int(a) for a in found])
    return whole if several else whole[0]
