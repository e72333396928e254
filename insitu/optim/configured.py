"""Objects whose attributes are their arguments: read back for configurations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from insitu.errors import ArgumentError


def arguments_of(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a class can be made with: its arguments by name, and whether it passes others on."""
    found = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]  # the constructor of a class, not of an instance
    kinds = {p.kind for p in found.values()}
    named = {n: p for n, p in found.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    return named, inspect.Parameter.VAR_KEYWORD in kinds


class Configured:
    """Objects whose attributes are the arguments that they were made with."""

    def kept(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes of these names.

        Raises
        ------
        ArgumentError
            If one does not exist, so that no equal object could be made.
        """
        missing = next((name for name in names if not hasattr(self, name)), None)
        if missing is not None:
            owner = type(self).__name__
            raise ArgumentError(
                f"{owner} cannot be stored: its argument {missing} is not kept.",
                expected=f"an attribute of the name {missing}, or a get_config",
                received="neither",
                fix=f"set self.{missing} = {missing} in {owner}.__init__",
                slug="config-not-kept",
            )
        return {name: getattr(self, name) for name in names}
