"""The layer behind arithmetic on symbols: ``x + y``, ``2 * x``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.nn.layer import Layer


class Operation(Layer):
    """An element-wise function or a product of `insitu`, with numbers in fixed places.

    Parameters
    ----------
    function : str
        Such as ``"add"``.
    constants : list
        A number for each operand that is one, None for each operand that comes as input.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.nn.Input((3,))
    >>> (2 * x + 1).shape
    (None, 3)
    """

    def __init__(self, function: str, constants: Sequence[float | None], **options: Any) -> None:
        super().__init__(**{"name": None, **options})
        self.function, self.constants = function, list(constants)

    def call(self, x: Any) -> Any:
        given = iter(x if isinstance(x, list | tuple) else [x])
        return getattr(si, self.function)(*[next(given) if c is None else c for c in self.constants])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function, "constants": self.constants}
