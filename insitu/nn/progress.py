"""The progress of `fit`, `evaluate` and `predict`: live in a terminal or a notebook, one line per epoch in a pipe."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from insitu.errors import ArgumentError

#: Seconds between two redraws of the live line.
_REDRAW = 0.1
_BARS = "▁▂▃▄▅▆▇█"
_SHADES = "_.-=*#"


def level(verbose: Any, function: str) -> int:
    """``verbose`` as 0 (silent), 1 (live line) or 2 (one line per epoch); "auto" is 1.

    Raises
    ------
    ArgumentError
        For another value.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if isinstance(verbose, int | bool) and verbose in (0, 1, 2):
        return int(verbose)
    raise ArgumentError(
        f"{function}: verbose says how much to show.",
        expected='"auto", 0 (nothing), 1 (a live line) or 2 (one line per epoch)',
        received=repr(verbose),
        fix="leave verbose out",
        slug="verbose",
        argument="verbose=",
    )


def numbers(logs: Mapping[str, Any]) -> list[str]:
    """``loss 0.3012``, ``accuracy 0.9123``: one text for each single number.

    Examples
    --------
    >>> numbers({"loss": 0.30123, "rate": 1e-5, "matrix": [[1, 2]]})
    ['loss 0.3012', 'rate 1e-05']
    """
    return [f"{name} {value:.4g}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e5 else f"{name} {value:.4f}" for name, value in _single(logs)]


def _single(logs: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, float(value)) for name, value in logs.items() if getattr(value, "ndim", 0) == 0 and not isinstance(value, list | tuple | dict)]


def seconds(value: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2:05``.

    Examples
    --------
    >>> seconds(0.42), seconds(12.34), seconds(125), seconds(3725)
    ('0.42 s', '12.3 s', '2:05', '1:02:05')
    """
    if value < 59.95:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"


def curve(values: Sequence[float], width: int, signs: str = _BARS) -> str:
    """A row of blocks as high as the values, of at most ``width``: means of neighbours where there are more values.

    Examples
    --------
    >>> curve([4.0, 2.0, 1.0, 0.0], 4)
    '█▅▃▁'
    """
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2 or width < 2:
        return ""
    parts = min(width, len(finite))
    cuts = [len(finite) * k // parts for k in range(parts + 1)]
    means = [math.fsum(finite[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)]
    low, high = min(means), max(means)
    scale = (len(signs) - 1) / (high - low) if high > low else 0.0
    return "".join(signs[round((m - low) * scale)] for m in means)


class Progress:
    """Shows how far a loop over epochs or batches is; a context manager.

    Parameters
    ----------
    verbose : int
        0, 1 or 2.
    epochs : int
        0 for a single pass without a number.
    steps, examples : int, optional
        Of an epoch; None where they are not known.
    """

    def __init__(self, verbose: int, epochs: int, steps: int | None, examples: int | None) -> None:
        self.verbose, self.epochs, self.steps, self.examples = verbose, epochs, steps, examples
        self._live: Any = None
        self._shown = 0
        self._epoch, self._step, self._done, self._first = 0, 0, 0, 0
        self._begin = self._drawn = time.perf_counter()
        self._trained: float | None = None
        self._losses: list[float] = []
        self._fancy = _takes(_BARS + "━╌…")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    # -- what the loops tell ---------------------------------------------------------------------------
    def begin(self, epoch: int) -> None:
        """A new epoch, counted from 0."""
        self._epoch, self._step, self._done, self._first, self._trained = epoch, 0, 0, 0, None
        self._begin = time.perf_counter()

    def look(self, step: int, done: int, logs: Mapping[str, Any]) -> None:
        """The epoch so far: steps and examples done, means of losses and metrics."""
        now = time.perf_counter()
        self._step, self._done = step, done
        if self.verbose != 1 or now - self._drawn < _REDRAW or not _is_live():
            return
        self._drawn = now
        self._show(self._running_line(logs, now))

    def trained(self) -> None:
        """The steps are done; what follows in this epoch (validation) does not count as time per example."""
        self._trained = time.perf_counter()

    def end(self, logs: Mapping[str, Any]) -> None:
        """The epoch's last line."""
        self._losses += [value for name, value in _single(logs) if name == "loss"]
        if not self.verbose:
            return
        now = time.perf_counter()
        examples, steps = self.examples or self._done, self.steps or self._step
        rate = f"{examples / max((self._trained or now) - self._begin, 1e-9):,.0f} examples/s" if examples else ""
        parts = [f"{steps}/{steps}" if steps else "", *numbers(logs), rate, seconds(now - self._begin), self._curve()]
        self._stop()
        # a terminal's line is cut to its width; in a file or a pipe it stays whole
        self._write(self._fitted(self._title(), [p for p in parts if p], _width() if _is_terminal() else 10**6))

    def message(self, text: str) -> None:
        """A line of a callback's own, above the live line."""
        self._stop()
        self._write(text)

    # -- lines -----------------------------------------------------------------------------------------
    def _running_line(self, logs: Mapping[str, Any], now: float) -> str:
        spent, total = max(now - self._begin, 1e-9), self.examples
        share = self._done / total if total else self._step / self.steps if self.steps else None
        parts = [f"{self._step}/{self.steps}" if self.steps else f"step {self._step}", *numbers(logs)]
        parts.append(f"{self._done / spent:,.0f} examples/s" if self._done else "")
        if share:
            left = spent / share - spent
            parts.append(f"{seconds(left)} left" + (f" of {seconds(left + spent / share * self._more_epochs)}" if self._more_epochs else ""))
        parts.append(self._curve())
        width = _width()
        line = self._fitted(self._title(), [p for p in parts if p], width)
        room = min(20, width - len(line) - 3)
        if share is None or room < 4:
            return line
        full = min(room, round(room * share))
        signs = "━╌" if self._fancy else "#-"
        return f"{self._title()}{signs[0] * full}{signs[1] * (room - full)}  {line.removeprefix(self._title())}"

    @property
    def _more_epochs(self) -> int:
        return max(self.epochs - self._epoch - 1, 0)

    def _title(self) -> str:
        if not self.epochs:
            return ""
        width = len(str(self.epochs))
        return f"Epoch {self._epoch + 1:>{width}}/{self.epochs}  " if _width() >= 60 else f"{self._epoch + 1}/{self.epochs} "

    def _curve(self) -> str:
        return curve(self._losses, 12, _BARS if self._fancy else _SHADES) if self.epochs > 1 else ""

    def _fitted(self, title: str, parts: Sequence[str], width: int) -> str:
        """Title and parts in one line. What finds no room is left out, the least important first: the loss stays longest."""
        kept = list(parts)
        order = sorted(range(len(parts)), key=lambda i: _importance(parts[i]))
        for i in order:
            if len(title) + len("  ".join(p for p in kept if p)) < width:
                break
            kept[i] = ""
        line = title + "  ".join(p for p in kept if p)
        return line if len(line) < width else line[: max(width - 1, 1)]

    # -- where it goes ---------------------------------------------------------------------------------
    def _show(self, line: str) -> None:
        if _is_notebook():  # a cell's output follows carriage returns, and has no cursor to move
            sys.stdout.write("\r" + line.ljust(self._shown))
            sys.stdout.flush()
            self._shown = len(line)
            return
        from rich.text import Text  # imported late: a pipe never needs it

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(line, no_wrap=True, overflow="crop"), refresh=True)

    def _stop(self) -> None:
        if self._shown:
            sys.stdout.write("\r" + " " * self._shown + "\r")
            self._shown = 0
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _write(self, line: str) -> None:
        if sys.stdout is None or getattr(sys.stdout, "closed", False):  # as under pythonw, where there is nowhere to show
            return
        if not self._fancy:
            line = line.encode(_encoding(), "replace").decode(_encoding())
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _importance(part: str) -> int:
    """Higher for what stays longer in a narrow window."""
    if part.startswith("loss "):
        return 9
    if "examples/s" in part:
        return 3
    if part.endswith(" left") or " left of " in part:
        return 4
    name = part.split(" ")[0]
    if name.startswith("val_"):
        return 6
    if "/" in name or name == "step":
        return 5
    if not name.isascii() or set(name) <= set(_SHADES):  # the curve
        return 1
    return 2 if part.endswith(" s") or ":" in part else 7


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "ascii"


def _takes(text: str) -> bool:
    try:
        text.encode(_encoding())
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _is_terminal() -> bool:
    return bool(sys.stdout is not None and not getattr(sys.stdout, "closed", False) and getattr(sys.stdout, "isatty", lambda: False)())


def _is_notebook() -> bool:
    return "ipykernel" in sys.modules and not _is_terminal()


def _is_live() -> bool:
    """Whether a line can be drawn again: in a terminal that moves its cursor, or in a notebook."""
    return _is_notebook() or (_is_terminal() and os.environ.get("TERM", "") != "dumb")
