"""Tracebacks that end at the user's own line: frames inside insitu are hidden for a `UserError`.

Python's own handler of uncaught exceptions leaves them out by `install`. pytest and IPython look for a mark in the frames
themselves, which each error sets when it is made (`errors.UserError`); and IPython asks an error how it is to be shown.
"""

from __future__ import annotations

import sys
from types import TracebackType

from insitu.errors import UserError, frames_are_hidden, user_frames


def install() -> None:
    """Make Python's handler of uncaught exceptions leave out insitu's frames (``INSITU_TRACEBACK=full`` shows them).

    Every other exception goes to the handler that was there before, untouched.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, UserError) and frames_are_hidden():
            trace = user_frames(trace)
            error.__traceback__, error.__suppress_context__ = trace, True  # Python prints what the exception itself carries
        before(kind, error, trace)

    sys.excepthook = hook
