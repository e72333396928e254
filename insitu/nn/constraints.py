"""What weights are held to after each step, with Keras' names, defaults and formulas.

A constraint is called with an array and returns one of the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import insitu as si
from insitu.nn import registry

#: Keeps divisions by norms finite.
EPSILON = 1e-7


class Constraint:
    """Base class: a subclass defines ``__call__(w)`` and ``get_config``.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.constraints.NonNeg()(si.asarray([1.0, -2.0]))
    Array([1., 0.], dtype=float32)
    """

    classes: ClassVar[dict[str, type[Constraint]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Constraint.classes[cls.__name__] = cls

    def __call__(self, w: si.Array) -> si.Array:
        """The nearest allowed weights."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """The constraint that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class NonNeg(Constraint):
    """Negative weights become 0."""

    def __call__(self, w: si.Array) -> si.Array:
        return si.where(w >= 0, w, 0)


class _OfNorm(Constraint):
    """Constraints on the Euclidean norm along ``axis``: 0 for a Dense kernel, whose columns belong to units."""

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def _norm(self, w: si.Array) -> si.Array:
        return si.sqrt(si.sum(w * w, axis=self.axis, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis if isinstance(self.axis, int) else list(self.axis)}


class MaxNorm(_OfNorm):
    """Norms above ``max_value`` are scaled down to it (Srivastava et al. 2014)."""

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = float(max_value)

    def __call__(self, w: si.Array) -> si.Array:
        norm = self._norm(w)
        return w * (si.clip(norm, 0, self.max_value) / (EPSILON + norm))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, **super().get_config()}


class UnitNorm(_OfNorm):
    """Every norm becomes 1."""

    def __call__(self, w: si.Array) -> si.Array:
        return w / (EPSILON + self._norm(w))


class MinMaxNorm(_OfNorm):
    """Norms are moved into ``min_value`` to ``max_value``: by the share ``rate`` of the way."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.min_value, self.max_value, self.rate = float(min_value), float(max_value), float(rate)

    def __call__(self, w: si.Array) -> si.Array:
        norm = self._norm(w)
        wanted = self.rate * si.clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm
        return w * (wanted / (EPSILON + norm))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, **super().get_config()}


def get(identifier: Any) -> Any:
    """The constraint that a name, a configuration, a class or a function means; None stays None.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.constraints.get("max_norm")
    MaxNorm(max_value=2.0, axis=0)
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    return registry.make("constraint", Constraint.classes, identifier, 'pass a name such as "max_norm", or a function of an array')


def serialize(constraint: Any) -> dict[str, Any]:
    """The configuration from which `get` makes the constraint again.

    Raises
    ------
    ArgumentError
        For a function that is not registered.
    """
    return registry.config_of("constraint", constraint)
