"""The progress line of `fit` and `evaluate`: live in a terminal, one line per epoch in a pipe."""

from __future__ import annotations

import sys
import time
from typing import Any

from insitu.errors import ArgumentError

_BAR = 20


def level(verbose: Any, function: str) -> int:
    """``verbose`` as 0 (silent), 1 (live line) or 2 (one line per epoch); "auto" is 1.

    Raises
    ------
    ArgumentError
        For another value.
    """
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise ArgumentError(
        f"{function}: verbose says how much to show.",
        expected='"auto", 0 (nothing), 1 (a live line) or 2 (one line per epoch)',
        received=repr(verbose),
        fix="leave verbose out",
        slug="verbose",
        argument="verbose=",
    )


def numbers(logs: dict[str, float]) -> str:
    """``loss 0.3012  accuracy 0.9123``."""
    return "  ".join(f"{name} {value:.4g}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e5 else f"{name} {value:.4f}" for name, value in logs.items())


def seconds(value: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2:05``."""
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"


class Progress:
    """Shows how far a loop over epochs or batches is; a context manager.

    Parameters
    ----------
    verbose : int
        0, 1 or 2.
    epochs : int
        0 for a single pass without a number.
    examples, batch : int
        Examples in an epoch, and in a batch.
    """

    def __init__(self, verbose: int, epochs: int, examples: int, batch: int) -> None:
        self.verbose, self.epochs, self.examples, self.batch = verbose, epochs, examples, batch
        self.steps = -(-examples // batch)
        self._live: Any = None
        self._epoch = 0
        self._start = time.perf_counter()
        self._trained: float | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def begin(self, epoch: int) -> None:
        """A new epoch, counted from 0."""
        self._epoch, self._start, self._trained = epoch, time.perf_counter(), None

    def trained(self) -> None:
        """The steps are done; what follows in this epoch (validation) does not count as time per example."""
        self._trained = time.perf_counter()

    def look(self, done: int, logs: dict[str, float]) -> None:
        """The epoch so far."""
        if self.verbose != 1 or not _is_terminal():
            return
        spent = time.perf_counter() - self._start
        left = spent / done * (self.examples - done)
        full = round(_BAR * done / self.examples)
        line = f"{self._title()}{'━' * full}{'╌' * (_BAR - full)} {-(-done // self.batch)}/{self.steps}  {numbers(logs)}"
        self._show(f"{line}  {done / spent:,.0f} examples/s  {seconds(left)} left")

    def end(self, logs: dict[str, float]) -> None:
        """The epoch's last line."""
        if not self.verbose:
            return
        now = time.perf_counter()
        rate = self.examples / max((self._trained or now) - self._start, 1e-9)
        line = f"{self._title()}{self.steps}/{self.steps}  {numbers(logs)}  {rate:,.0f} examples/s  {seconds(now - self._start)}"
        self._stop()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _title(self) -> str:
        if not self.epochs:
            return ""
        width = len(str(self.epochs))
        return f"Epoch {self._epoch + 1:>{width}}/{self.epochs}  "

    def _show(self, line: str) -> None:
        from rich.text import Text  # imported late: a pipe never needs it

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _is_terminal() -> bool:
    return bool(getattr(sys.stdout, "isatty", lambda: False)())
