"""The pieces of a line of progress: numbers, durations, rates, the curve of the loss; and how they fit a window."""

from __future__ import annotations

import itertools
import math
import numbers as kinds
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=*#"
#: Most values that a `Trace` keeps.
_KEPT = 512


class Part(NamedTuple):
    """A piece of the line: what to write, and how long it stays where there is little room."""

    #: Higher ones stay longer.
    rank: int
    #: Texts for it, the longest first.
    forms: tuple[str, ...]


def single_numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are one real number; the others, such as a confusion matrix or a text, do not fit into a line.

    Examples
    --------
    >>> import numpy as np
    >>> single_numbers({"loss": np.float32(0.5), "matrix": np.eye(2), "note": "warm"})
    {'loss': 0.5}
    """
    found = {}
    for name, value in logs.items():
        if isinstance(value, kinds.Real) or (getattr(value, "ndim", None) == 0 and hasattr(value, "__float__")):
            found[name] = float(value)
    return found


def number(value: float) -> str:
    """Four decimals; four digits and a power of ten for very small and large ones.

    Examples
    --------
    >>> number(0.30123), number(1e-5), number(float("nan"))
    ('0.3012', '1e-05', 'nan')
    """
    return f"{value:.4g}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e5 else f"{value:.4f}"


def seconds(value: float) -> str:
    """A duration that was measured: ``0.42 s``, ``12.3 s``, ``2:05``.

    Examples
    --------
    >>> seconds(0.42), seconds(12.34), seconds(125), seconds(3725)
    ('0.42 s', '12.3 s', '2:05', '1:02:05')
    """
    if value < 59.95:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"


def about(value: float) -> str:
    """A duration that is only estimated.

    Examples
    --------
    >>> about(0.42), about(12.34), about(125)
    ('0.4 s', '12 s', '2:05')
    """
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s" if value < 59.5 else seconds(value)


def rate(value: float) -> tuple[str, str]:
    """Examples per second, long and short.

    Examples
    --------
    >>> rate(0.25), rate(3658.2), rate(1.25e6)
    (('0.25 examples/s', '0.25/s'), ('3,658 examples/s', '3.7k/s'), ('1,250,000 examples/s', '1.2M/s'))
    """
    if value < 10:
        return f"{value:.2g} examples/s", f"{value:.2g}/s"
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value:,.0f} examples/s", f"{value / unit:.{1 if value < 10 * unit else 0}f}{sign}/s"
    return f"{value:,.0f} examples/s", f"{value:.0f}/s"


def curve(values: Sequence[float], width: int, signs: str = BARS) -> str:
    """A row of blocks as high as the values, of at most ``width``: means of neighbours where there are more values.

    The heights are on a scale of logarithms if all values are positive, as losses first fall fast and then slowly.

    Examples
    --------
    >>> curve([4.0, 2.0, 1.0, 0.0], 4)
    '█▅▃▁'
    >>> curve([100.0, 10.0, 1.0], 4)
    '█▅▁'
    """
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2 or width < 2:
        return ""
    parts = min(width, len(finite))
    cuts = [len(finite) * k // parts for k in range(parts + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)]
    if min(means) > 0:
        means = [math.log(m) for m in means]
    low, high = min(means), max(means)
    scale = (len(signs) - 1) / (high - low) if high > low else 0.0
    return "".join(signs[round((m - low) * scale)] if math.isfinite(m) else signs[-1] for m in means)


class Trace:
    """The losses so far, at equal distances. Where they grow many, neighbours are put together.

    Examples
    --------
    >>> trace = Trace()
    >>> for k in range(100_000):
    ...     trace.add(float(-k))
    >>> len(trace.values) <= 512, curve(trace.values, 8)
    (True, '█▇▆▅▄▃▂▁')
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self._sum, self._count, self._each = 0.0, 0, 1

    def add(self, value: float) -> None:
        """The next loss; one that is not finite leaves no mark."""
        if not math.isfinite(value):
            return
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count < self._each:
            return
        self.values.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self.values) == _KEPT:
            self.values = [(a + b) / 2 for a, b in zip(self.values[::2], self.values[1::2], strict=True)]
            self._each *= 2


def length(text: str) -> int:
    """Columns that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # imported late: a pipe hardly ever needs it

    return cell_len(text)


def fitted(parts: Sequence[Part], width: int | None) -> str:
    """The parts in one line of at most ``width`` columns.

    Parts of a high rank find room first, the first among equals, all of them in their shortest form; what room is left makes them
    longer. The one of the highest rank always stays, cut off if need be.

    Examples
    --------
    >>> parts = [Part(2, ("Epoch 1/9", "1/9")), Part(3, ("loss 0.5",)), Part(1, ("0.42 s",))]
    >>> [fitted(parts, n) for n in (40, 22, 16, 10, 6)]
    ['Epoch 1/9  loss 0.5  0.42 s', '1/9  loss 0.5  0.42 s', '1/9  loss 0.5', 'loss 0.5', 'loss 0']
    """
    if width is None:
        return "  ".join(part.forms[0] for part in parts)
    order = sorted(range(len(parts)), key=lambda i: -parts[i].rank)
    chosen: dict[int, str] = {}

    def room() -> int:
        return width - sum(map(length, chosen.values())) - 2 * len(chosen)

    for i in order:
        if not chosen or length(parts[i].forms[-1]) <= room():
            chosen[i] = parts[i].forms[-1]
    for i in order:
        if i in chosen:
            free = room() + 2 + length(chosen[i])
            chosen[i] = next((form for form in parts[i].forms if length(form) <= free), chosen[i])
    line = "  ".join(chosen[i] for i in sorted(chosen))
    return line if length(line) <= width else line[: max(width, 0)]
