"""Tables of results as plain text."""

from __future__ import annotations

import dataclasses
import math
from typing import Any


@dataclasses.dataclass
class Report:
    """What one benchmark found: a table for people and ``data`` for programs."""

    title: str
    note: str
    head: list[str]
    rows: list[list[str]]
    data: Any

    def text(self) -> str:
        lines = ["", self.title, ""]
        widths = [max(len(row[k]) for row in [self.head, *self.rows]) for k in range(len(self.head))]
        for row in [self.head, ["-" * w for w in widths], *self.rows]:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines += ["  ".join(cells).rstrip()]
        return "\n".join([*lines, *([self.note] if self.note else [])])


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits."""
    if value is None or math.isnan(value):
        return "-"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 6)}f}{unit}"


def percent(share: float) -> str:
    """A share in whole per cent."""
    return f"{100 * share:.0f} %"


def beside(milliseconds: float | None, ratio: float | None) -> str:
    """A time with how many times slower than insitu it is."""
    return number(milliseconds) + (f" ({number(ratio)})" if ratio is not None else "")
