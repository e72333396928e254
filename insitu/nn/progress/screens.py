"""Where progress is shown: a terminal whose last line is drawn again and again, a notebook's cell, or plain lines."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar

from insitu.nn.progress.words import BARS, length
from insitu.output import is_terminal, say, takes, written

#: Seconds between two drawings.
REDRAW = 0.1
#: Columns of a line in a notebook, and lines until a new output begins.
_CELL_WIDTH, _CELL_LINES = 100, 100
_SIGNS = BARS + "━╌"


class Screen:
    """Plain lines, as for a pipe, a file, or a terminal that cannot move its cursor.

    Attributes
    ----------
    live : bool
        Whether a line can be drawn again.
    fancy : bool
        Whether it takes blocks and lines, not only ASCII.
    """

    live = False

    def __init__(self) -> None:
        self.fancy = takes(_SIGNS)

    @property
    def width(self) -> int | None:
        """Columns of a line; None where it may have any length. The last column stays empty: some terminals break the line after it."""
        return max(shutil.get_terminal_size((100, 24)).columns - 1, 1) if is_terminal() else None

    @property
    def shows_curves(self) -> bool:
        return is_terminal()

    def draw(self, line: str) -> None:
        """Show a line that the next drawing replaces."""

    def write(self, line: str) -> None:
        """Show a line that stays."""
        say(line)

    def close(self) -> None:
        """Leave everything as it was before the first drawing."""


class Terminal(Screen):
    """The last line is drawn again; what else is printed meanwhile goes above it."""

    live = True
    #: The one whose line is drawn now; a terminal has one last line.
    drawing: ClassVar[Terminal | None] = None

    def __init__(self) -> None:
        super().__init__()
        self._live: Any = None
        self._columns = 0

    def draw(self, line: str) -> None:
        """Show a line in place of the one drawn before."""
        from rich.text import Text  # imported late: a pipe never needs it

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True)
            self._live.start()
            Terminal.drawing = self
        else:
            self._climb()
        self._columns = length(line)
        self._live.update(Text(written(line), no_wrap=True, overflow="crop"), refresh=True)

    def _climb(self) -> None:
        """Wipe what the drawn line takes beyond one row: a terminal that was made narrower has broken it into several."""
        rows = -(-self._columns // self._live.console.width) - 1
        if rows > 0:
            from rich.control import Control
            from rich.segment import ControlType

            self._live.console.control(Control(*[(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)] * rows))

    def write(self, line: str) -> None:
        """Show a line that stays."""
        self.close()
        super().write(line)

    def close(self) -> None:
        """Wipe the drawn line and show the cursor again."""
        if self._live is not None:
            self._climb()
            live, self._live = self._live, None
            Terminal.drawing = None
            live.stop()


class Cell(Screen):
    """An output of a notebook's cell that is replaced as a whole, so that what else is printed does not run into it.

    Parameters
    ----------
    display : callable
        IPython's.
    """

    live = True
    shows_curves = True
    width = _CELL_WIDTH

    def __init__(self, display: Callable[..., Any]) -> None:
        self.fancy = True
        self._display, self._handle, self._drawn = display, None, 0.0
        self._lines: list[str] = []
        self._pending = False

    def draw(self, line: str) -> None:
        """Show a line below those that stay."""
        self._show([*self._lines, line])
        self._pending = True

    def write(self, line: str) -> None:
        """Show a line that stays; a short time later if the output was replaced just now."""
        self._lines.append(line)
        self._pending = True
        if len(self._lines) >= _CELL_LINES:
            self.close()
            self._handle, self._lines = None, []
        elif time.perf_counter() - self._drawn >= REDRAW:
            self.close()

    def close(self) -> None:
        """Show the lines that stay, and no others."""
        if self._pending:
            self._show(self._lines)
            self._pending = False

    def _show(self, lines: list[str]) -> None:
        content = {"text/plain": "\n".join(lines)}
        self._drawn = time.perf_counter()
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def screen(verbose: int) -> Screen:
    """What there is to show progress on. ``verbose``: 1 for a live one where there is one, 2 for plain lines."""
    if verbose and Terminal.drawing is not None:  # one loop within another: the outer one draws its line again later
        Terminal.drawing.close()
    display = _notebook() if verbose == 1 else None
    if display is not None:
        return Cell(display)
    movable = is_terminal() and os.environ.get("TERM") != "dumb" and not _is_taken()
    return Terminal() if verbose == 1 and movable else Screen()


def _is_taken() -> bool:
    """Whether somebody's live display of rich has the last line of the terminal already."""
    return hasattr(sys.stdout, "rich_proxied_file")


def _notebook() -> Callable[..., Any] | None:
    """IPython's `display` in a notebook; None elsewhere. Elsewhere nothing is imported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and "ipykernel" in sys.modules else None
    if not hasattr(shell, "kernel") or is_terminal():
        return None
    return importlib.import_module("IPython.display").display  # type: ignore[no-any-return]
