"""Checks of the numbers that optimizers and schedules take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from insitu.errors import ArgumentError


class Range(NamedTuple):
    """The values an argument may have: from ``low`` to ``high``, without the ends that are ``open``."""

    low: float = float("-inf")
    high: float = float("inf")
    open: str = ""

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float | np.number):
            return False
        above = value > self.low if "l" in self.open else value >= self.low
        below = value < self.high if "h" in self.open else value <= self.high
        return bool(above and below and np.isfinite(value))

    def __str__(self) -> str:
        if self.high == float("inf"):
            return f"a number above {self.low:g}" if "l" in self.open else f"a number of at least {self.low:g}"
        return f"a number from {self.low:g}{' (excluded)' if 'l' in self.open else ''} to {self.high:g}{' (excluded)' if 'h' in self.open else ''}"


NOT_NEGATIVE, POSITIVE, DECAY, SHARE = Range(0), Range(0, open="l"), Range(0, 1, "h"), Range(0, 1)


def number(owner: str, argument: str, value: Any, allowed: Range) -> float:
    """``value`` as a float in the range.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if isinstance(value, bool) or value not in allowed:
        raise ArgumentError(
            f"{owner}: {argument} is out of its range.",
            expected=str(allowed),
            received=repr(value),
            fix=f"leave {argument} out to use the default",
            slug="optimizer-range",
            argument=f"{argument}=",
        )
    return float(value)


def count(owner: str, argument: str, value: Any, least: int = 1) -> int:
    """``value`` as an int of at least ``least``.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ArgumentError(
            f"{owner}: {argument} must be a whole number of at least {least}.",
            expected=f"an int from {least} on",
            received=repr(value),
            fix=f"pass {argument}={max(least, 4)}",
            slug="optimizer-range",
            argument=f"{argument}=",
        )
    return int(value.__index__())
