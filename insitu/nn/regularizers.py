"""Terms of the loss that keep weights small, with Keras' names, defaults and formulas.

A regularizer is called with an array and returns one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import insitu as si
from insitu.array.checks import choice_error
from insitu.errors import ArgumentError
from insitu.nn import registry


def _factor(owner: str, argument: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ArgumentError(
            f"{owner}: {argument} must be a number that is not negative.",
            expected="a number such as 0.01",
            received=repr(value),
            fix=f"pass {argument}=0.01",
            slug="regularizer-factor",
            argument=f"{argument}=",
        )
    return float(value)


class Regularizer:
    """Base class: a subclass defines ``__call__(x)`` and ``get_config``.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.regularizers.L2(0.5)(si.asarray([1.0, 2.0])))
    2.5
    """

    classes: ClassVar[dict[str, type[Regularizer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Regularizer.classes[cls.__name__] = cls

    def __call__(self, x: si.Array) -> si.Array:
        """The term of the loss, of shape ()."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x**2)``; both 0 by default."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("L1L2", "l1", l1), _factor("L1L2", "l2", l2)

    def __call__(self, x: si.Array) -> si.Array:
        return self.l1 * si.sum(si.abs(x)) + self.l2 * si.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """``l1 * sum(|x|)``."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("L1", "l1", l1)

    def __call__(self, x: si.Array) -> si.Array:
        return self.l1 * si.sum(si.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """``l2 * sum(x**2)``."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("L2", "l2", l2)

    def __call__(self, x: si.Array) -> si.Array:
        return self.l2 * si.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean size of the products of different rows (``mode="rows"``) or columns, each scaled to length 1.

    Half the sum over the off-diagonal products, divided by the number of pairs.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("OrthogonalRegularizer", "factor", factor)
        if mode not in ("rows", "columns"):
            raise choice_error("OrthogonalRegularizer", "mode", mode, ("rows", "columns"))
        self.mode = mode

    def __call__(self, x: si.Array) -> si.Array:
        rows = x if self.mode == "rows" else x.mT
        rows = rows / si.maximum(si.sqrt(si.sum(rows * rows, axis=1, keepdims=True)), 1e-12)
        products = si.abs(si.matmul(rows, rows.mT)) * (1 - si.eye(rows.shape[0], dtype=rows.dtype))
        count = rows.shape[0] * (rows.shape[0] - 1) / 2
        return self.factor * 0.5 * si.sum(products) / max(count, 1)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def get(identifier: Any) -> Any:
    """The regularizer that a name, a configuration, a class or a function means; None stays None.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.regularizers.get("l2")
    L2(l2=0.01)
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    return registry.make("regularizer", Regularizer.classes, identifier, 'pass a name such as "l2", or a function of an array')


def serialize(regularizer: Any) -> dict[str, Any]:
    """The configuration from which `get` makes the regularizer again.

    Raises
    ------
    ArgumentError
        For a function that is not registered.
    """
    return registry.config_of("regularizer", regularizer)
