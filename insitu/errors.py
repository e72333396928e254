"""Errors in six parts: what is wrong, the user's line, expected, received, the fix, a slug.

There are two families. A `UserError` can be mended by the author of the program and is
raised at the author's own line. An `InternalError` is a mistake of insitu.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from types import FrameType, TracebackType
from typing import Any

from insitu.carets import pointer
from insitu.provenance import made_at

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class UserError(Exception):
    """A mistake in the program that uses insitu, told so that its author can mend it.

    Parameters
    ----------
    what : str
        One sentence: what is wrong, with the function or layer and the argument by name.
    expected, received, fix : str, optional
        The other parts of the message; empty ones are left out.
    slug : str
        The name under which ``insitu explain`` has a page.
    argument : str, optional
        What to put the caret under: a parameter's name, which is found among the keyword and the positional arguments of the user's
        call, ``x1`` or ``x2`` for an operand, or text of the line.
    """

    def __init__(self, what: str, *, expected: str = "", received: str = "", fix: str = "", slug: str = "", argument: str = "") -> None:
        self.what, self.expected, self.received, self.fix, self.slug = what, expected, received, fix, slug
        self.where, self.made = _user_line(argument)
        self.place: str | None = None
        _mark_frames()
        super().__init__(self.told())

    def add_place(self, place: str) -> None:
        """Say where inside a model it happened, or by an empty text that the message says so; only the first call counts."""
        if self.place is None:
            self.place = place
            self.args = (self.told(),)

    def told(self, to_silence: str = "") -> str:
        """The message; that of a warning says how ``to_silence`` it."""
        received = "\n".join([self.received, *self.made]) if self.received else ""
        parts = [("in", self.place), ("expected", self.expected), ("received", received), ("to fix", self.fix), ("to silence", to_silence)]
        if self.slug:
            parts.append(("more", f"insitu explain {self.slug}"))
        lines = [f"  {name:<13} {text}".replace("\n", "\n" + " " * 16) for name, text in parts if text]
        if self.where:
            lines = [*self.where, *lines]
        return self.what + ("\n\n" + "\n".join(lines) if lines else "")

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython and notebooks show: the user's own frames, then the message."""
        trace = user_frames(self.__traceback__) if frames_are_hidden() else self.__traceback__
        return "".join(traceback.format_exception(type(self), self, trace, chain=not frames_are_hidden())).splitlines()


class ShapeError(UserError, ValueError):
    """Shapes or axes that do not fit."""


class DTypeError(UserError, TypeError):
    """Data types that do not fit."""


class ArgumentError(UserError, ValueError):
    """An argument with a value the function cannot use."""


class IndexingError(UserError, IndexError):
    """An index that does not fit the array."""


class TraceError(UserError, TypeError):
    """A value was looked at, or changed, where only its shape and dtype are known."""


class FileFormatError(UserError, OSError):
    """A file that is damaged, foreign, or of a newer version."""


class NotFiniteError(UserError, FloatingPointError):
    """A number that is NaN or infinite where it must not be."""


class InternalError(RuntimeError):
    """A mistake of insitu itself; please report it with the text of the error, and the file it names.

    Parameters
    ----------
    what : str
        What has gone wrong.
    report : str, optional
        The path of a file with what is needed to mend it, and none of the user's data.
    """

    def __init__(self, what: str, report: str = "") -> None:
        self.what, self.report = what, report
        sent = f"the file\n  {report}\n  which holds no values of arrays" if report else "this text and the program"
        super().__init__(f"{what}\n\n  This is a mistake in insitu, not in your program. Please report it with {sent}.")


def many_axes(count: int) -> str:
    """How many axes, in words of a message: "1 axis", "2 axes"."""
    return f"{count} ax{'i' if count == 1 else 'e'}s"


class InsituWarning(UserWarning):
    """Something that works, but surely not as meant; its kinds are subclasses, which Python's ``warnings`` filters tell apart."""


class DataWarning(InsituWarning):
    """Data that fit the model, but are surely not as meant."""


class SpeedWarning(InsituWarning):
    """Something that makes the program slower than it need be."""


class CacheWarning(InsituWarning):
    """A folder that kernels cannot be kept in."""


class CallbackWarning(InsituWarning):
    """A callback that cannot do what it was made for."""


def warn(error: UserError, category: type[InsituWarning]) -> None:
    """Say something at the user's line in the form of an error, once for each line and text.

    Parameters
    ----------
    error : UserError
        It is told, not raised.
    category : type
        The kind, which ``warnings.simplefilter("ignore", category)`` silences.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warn(UserError("This is slow.", fix="make it fast", slug="slow"), SpeedWarning)
    >>> print(str(told[0].message).splitlines()[-2])
      to silence    warnings.simplefilter("ignore", si.errors.SpeedWarning)
    """
    text = error.told(to_silence=f'warnings.simplefilter("ignore", si.errors.{category.__name__})')
    frame = user_frame()
    if frame is None:
        warnings.warn(text, category, stacklevel=2)
        return
    seen = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, category, frame.f_code.co_filename, frame.f_lineno, registry=seen)


@functools.cache
def is_inside(file: str) -> bool:
    """Whether a source file belongs to insitu."""
    return file.startswith(_HERE)


def user_frame() -> FrameType | None:
    """The innermost frame that does not belong to insitu (None at the interpreter's top)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def outermost() -> tuple[str, dict[str, Any]]:
    """Name and local names of the function of insitu that the user's line calls."""
    called: FrameType | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame.f_code.co_filename):
        called, frame = frame, frame.f_back
    return ("", {}) if called is None else (called.f_code.co_name, called.f_locals)


def frames_are_hidden() -> bool:
    """Whether errors of the user leave out insitu's own frames: not with ``INSITU_TRACEBACK=full``, or ``config.traceback = "full"``."""
    settings = getattr(sys.modules.get("insitu.config"), "config", None)
    values = {} if settings is None else settings._values  # without a check: it may be this very setting that is wrong
    return bool(values.get("traceback", os.environ.get("INSITU_TRACEBACK", "short").strip()) != "full")


def user_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without insitu's frames, and without those of IPython, which runs a notebook's cells."""
    frames = []
    while trace is not None:
        file, module = trace.tb_frame.f_code.co_filename, str(trace.tb_frame.f_globals.get("__name__", ""))
        if not is_inside(file) and module.partition(".")[0] not in ("IPython", "ipykernel"):
            frames.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for one in reversed(frames):
        kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return kept


def _mark_frames() -> None:
    """Mark insitu's frames on the way to here, so that pytest and IPython hide them: both look for this name in a frame."""
    if not frames_are_hidden():
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_inside(frame.f_code.co_filename) and frame.f_locals is not frame.f_globals:
            frame.f_locals["__tracebackhide__"] = True
        frame = frame.f_back


def _user_line(argument: str) -> tuple[list[str], list[str]]:
    """The user's line with a caret, and where the arrays in it were made; nothing where no line is known, as at the prompt."""
    frame: FrameType | None = sys._getframe(1)
    called: FrameType | None = None
    while frame is not None and is_inside(frame.f_code.co_filename):
        called, frame = frame, frame.f_back
    if frame is None:
        return [], []
    lines, text = pointer(frame, called, argument)
    return lines, made_at(frame, text) if text else []
