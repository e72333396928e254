"""The standard output: lines for whoever reads what a program writes, in signs that the output has."""

from __future__ import annotations

import sys
from typing import Any


def say(text: str) -> None:
    """Write a line, if there is an output."""
    file = output()
    if file is not None:
        file.write(written(text) + "\n")
        file.flush()


def output() -> Any:
    """The standard output; None where there is none, as under pythonw, or none any more."""
    return None if getattr(sys.stdout, "closed", False) else sys.stdout


def is_terminal() -> bool:
    """Whether the output is read by a person as it is written."""
    return bool(getattr(output(), "isatty", lambda: False)())


def written(text: str) -> str:
    """A text with question marks for signs that the output lacks."""
    encoding = _encoding()
    return text if encoding is None else text.encode(encoding, "replace").decode(encoding)


def takes(text: str) -> bool:
    """Whether the output is known to have all signs of a text."""
    return _encoding() is not None and written(text) == text


def _encoding() -> str | None:
    """That of the output; None where it takes any text, as one in memory does."""
    found: str | None = getattr(getattr(sys.stdout, "rich_proxied_file", sys.stdout), "encoding", None)
    return found
