"""The layers behind arithmetic on symbols and their parts: ``x + y``, ``2 * x``, ``x[:, 0]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.errors import ArgumentError
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


class GetItem(Layer):
    """A part of an array.

    Parameters
    ----------
    key : list
        An entry for each axis in the form of `entry`.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.nn.Input((5, 3))
    >>> x[:, -1].shape, x[..., :2].shape
    ((None, 3), (None, 5, 2))
    """

    takes_trees = False

    def __init__(self, key: Sequence[Any], **options: Any) -> None:
        super().__init__(**{"name": None, **options})
        self.key = list(key)

    def call(self, x: Any) -> Any:
        return x[tuple([slice(*k) if isinstance(k, list) else Ellipsis if k == "..." else k for k in self.key])]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "key": self.key}


def entry(key: Any) -> Any:
    """One entry of an index as a JSON value: a slice is the list of its three parts, an ellipsis its three points.

    Raises
    ------
    ArgumentError
        If it is no number, slice, None or ellipsis.
    """
    parts = [key.start, key.stop, key.step] if isinstance(key, slice) else [key]
    if key is not Ellipsis and not all(k is None or (hasattr(k, "__index__") and not isinstance(k, bool)) for k in parts):
        raise ArgumentError(
            f"A symbol cannot be indexed with {type(key).__name__}.",
            expected="whole numbers, slices, None or ...",
            received=f"{key!r:.80}",
            fix="put other indices into a Lambda: si.nn.Lambda(lambda x: x[:, [0, 2]])(symbol)",
            slug="functional-mixed",
        )
    if key is Ellipsis:
        return "..."
    numbers = [None if k is None else int(k) for k in parts]
    return numbers if isinstance(key, slice) else numbers[0]
