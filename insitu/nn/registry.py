"""Names to classes and functions: how strings in programs and files become objects."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from insitu.errors import ArgumentError

T = TypeVar("T")


def words(name: str) -> str:
    """``SparseCategoricalCrossentropy`` -> ``sparse_categorical_crossentropy``, as Keras names things."""
    out = ""
    for i, letter in enumerate(name):
        starts = letter.isupper() and i > 0 and (not name[i - 1].isupper() or (i + 1 < len(name) and name[i + 1].islower()))
        out += ("_" if starts else "") + letter.lower()
    return out


def find(kind: str, table: Mapping[str, T], identifier: Any, fix: str) -> T:
    """The entry of that name.

    Raises
    ------
    ArgumentError
        If there is none; similar names are proposed. The slug is ``<kind>-unknown``.
    """
    if isinstance(identifier, str):
        found = table.get(identifier, table.get(identifier.lower(), table.get(words(identifier))))
        if found is not None:
            return found
    near = difflib.get_close_matches(str(identifier).lower(), table, 1, 0.6)
    raise ArgumentError(
        f"There is no {kind} {identifier!r}.",
        expected="one of " + ", ".join(sorted(table)),
        received=repr(identifier),
        fix=f'did you mean "{near[0]}"?' if near else fix,
        slug=f"{kind}-unknown",
        argument=str(identifier),
    )


def name_of(table: Mapping[str, Callable[..., Any]], function: Callable[..., Any]) -> str:
    """The registered name of a function; its own name if it has none."""
    for name, f in table.items():
        if f is function:
            return name
    return getattr(function, "__name__", type(function).__name__)
