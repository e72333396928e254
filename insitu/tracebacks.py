"""Tracebacks that end at the user's own line: frames inside insitu are hidden for a `UserError`."""

from __future__ import annotations

import sys
from types import TracebackType

from insitu.config import config
from insitu.errors import UserError, is_inside


def install() -> None:
    """Make Python's handler of uncaught exceptions leave out insitu's frames (``INSITU_TRACEBACK=full`` shows them).

    Every other exception goes to the handler that was there before, untouched.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, UserError) and config.traceback != "full":
            trace = user_frames(trace)
            error.__traceback__, error.__suppress_context__ = trace, True  # Python prints what the exception itself carries
        before(kind, error, trace)

    sys.excepthook = hook


def user_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without insitu's frames."""
    frames = []
    while trace is not None:
        if not is_inside(trace.tb_frame.f_code.co_filename):
            frames.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for one in reversed(frames):
        kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return kept
