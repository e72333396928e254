"""The arguments of optimizers and schedules: declared once, checked when set, read back for configurations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from insitu.errors import ArgumentError


class Range(NamedTuple):
    """The values an argument may have: from ``low`` to ``high``, without the ends that are ``open``.

    ``kind`` is ``"number"``, ``"whole"`` or ``"flag"``; ``optional`` ones may also be None.
    """

    low: float = float("-inf")
    high: float = float("inf")
    open: str = ""
    kind: str = "number"
    optional: bool = False

    def __contains__(self, value: object) -> bool:
        if value is None:
            return self.optional
        if self.kind == "flag" or isinstance(value, bool | np.bool_):
            return self.kind == "flag" and (isinstance(value, bool | np.bool_) or value in (0, 1))
        if not isinstance(value, int | float | np.number) or (self.kind == "whole" and not hasattr(value, "__index__")):
            return False
        above = value > self.low if "l" in self.open else value >= self.low
        below = value < self.high if "h" in self.open else value <= self.high
        return bool(above and below and np.isfinite(value))

    def __str__(self) -> str:
        if self.kind == "flag":
            return "True or False"
        noun = "a whole number" if self.kind == "whole" else "a number"
        low, high = f"{self.low:g}", f"{self.high:g}"
        if self.high == float("inf"):
            text = f"{noun} above {low}" if "l" in self.open else f"{noun} of at least {low}"
        elif self.low == float("-inf"):
            text = f"{noun} below {high}" if "h" in self.open else f"{noun} of at most {high}"
        else:
            text = f"{noun} from {low}{' (excluded)' if 'l' in self.open else ''} to {high}{' (excluded)' if 'h' in self.open else ''}"
        return f"{text}, or None" if self.optional else text

    def taken(self, owner: str, argument: str, value: Any) -> Any:
        """``value`` as a float, an int, a bool, or None.

        Raises
        ------
        ArgumentError
            If it is none of the values it may be.
        """
        if value not in self:
            raise ArgumentError(
                f"{owner}: {argument} is out of its range.",
                expected=str(self),
                received=repr(value),
                fix=f"pass {argument}={self.example()}",
                slug="optimizer-range",
                argument=f"{argument}=",
            )
        return None if value is None else {"number": float, "whole": int, "flag": bool}[self.kind](value)

    def example(self) -> Any:
        """A value in the range."""
        if self.kind == "flag":
            return True
        if self.kind == "whole":
            return int(self.low) + 3
        return next(x for x in (0.5, 2.0, -0.5, self.low, self.high) if x in self)


NOT_NEGATIVE, POSITIVE, DECAY, SHARE = Range(0), Range(0, open="l"), Range(0, 1, "h"), Range(0, 1)
FLAG = Range(kind="flag")


def arguments_of(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a class can be made with: its arguments by name, and whether it passes others on."""
    found = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]  # the constructor of a class, not of an instance
    kinds = {p.kind for p in found.values()}
    named = {n: p for n, p in found.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    return named, inspect.Parameter.VAR_KEYWORD in kinds


class Configured:
    """Objects whose attributes are the arguments that they were made with."""

    #: What the numbers and flags among the arguments may be.
    ranges: ClassVar[Mapping[str, Range]] = {}

    def set_arguments(self, **values: Any) -> None:
        """Check arguments against ``ranges`` and keep them as attributes.

        Raises
        ------
        ArgumentError
            For a value that is out of its range.
        """
        for argument, value in values.items():
            setattr(self, argument, self.ranges[argument].taken(type(self).__name__, argument, value))

    def kept(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes of these names.

        Raises
        ------
        ArgumentError
            If one does not exist, so that no equal object could be made.
        """
        missing = next((name for name in names if not hasattr(self, name)), None)
        if missing is not None:
            owner = type(self).__name__
            raise ArgumentError(
                f"{owner} cannot be stored: its argument {missing} is not kept.",
                expected=f"an attribute of the name {missing}, or a get_config",
                received="neither",
                fix=f"set self.{missing} = {missing} in {owner}.__init__",
                slug="config-not-kept",
            )
        return {name: getattr(self, name) for name in names}
