"""What weights are held to after each step, with Keras' names, defaults and formulas.

A constraint is called with an array and returns one of the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import insitu as si
from insitu import registry
from insitu.arguments import ARRAY, AXES, CONFIG, NOT_NEGATIVE, SHARE, Checked, Number, checked

#: Keeps divisions by norms finite.
EPSILON = 1e-7


class Constraint:
    """Base class: a subclass defines ``__call__(w)`` and ``get_config``.

    Examples
    --------
    >>> import insitu as si
    >>> class Small(si.nn.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return si.clip(w, -1, 1)
    >>> Small()(si.asarray([0.5, -2.0]))
    Array([ 0.5, -1. ], dtype=float32)
    """

    classes: ClassVar[dict[str, type[Constraint]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Constraint.classes[cls.__name__] = cls

    @checked()
    def __init__(self) -> None:
        pass

    def __call__(self, w: si.Array) -> si.Array:
        """The nearest allowed weights."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """The constraint that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class NonNeg(Constraint):
    """Negative weights become 0.

    Examples
    --------
    >>> import insitu as si
    >>> NonNeg()(si.asarray([1.0, -2.0]))
    Array([1., 0.], dtype=float32)
    """

    @checked(w=ARRAY)
    def __call__(self, w: si.Array) -> si.Array:
        w = si.asarray(w)
        return si.where(w >= 0, w, 0)


class _OfNorm(Constraint):
    """Constraints on the Euclidean norm along ``axis``: 0 for a Dense kernel, whose columns belong to units."""

    @checked(axis=AXES)
    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def _norm(self, w: si.Array) -> si.Array:
        return si.sqrt(si.sum(w * w, axis=self.axis, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis if isinstance(self.axis, int) else list(self.axis)}


class MaxNorm(_OfNorm):
    """Norms above ``max_value`` are scaled down to it (Srivastava et al. 2014).

    Examples
    --------
    >>> import insitu as si
    >>> MaxNorm(1.0)(si.asarray([[3.0, 0.6], [4.0, 0.0]])).round(4)
    Array([[0.6, 0.6],
           [0.8, 0. ]], dtype=float32)
    """

    @checked(max_value=NOT_NEGATIVE, axis=AXES)
    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    @checked(w=ARRAY)
    def __call__(self, w: si.Array) -> si.Array:
        w = si.asarray(w)
        norm = self._norm(w)
        return w * (si.clip(norm, 0, self.max_value) / (EPSILON + norm))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, **super().get_config()}


class UnitNorm(_OfNorm):
    """Every norm becomes 1.

    Examples
    --------
    >>> import insitu as si
    >>> UnitNorm()(si.asarray([[3.0], [4.0]])).round(4)
    Array([[0.6],
           [0.8]], dtype=float32)
    """

    @checked(w=ARRAY)
    def __call__(self, w: si.Array) -> si.Array:
        w = si.asarray(w)
        return w / (EPSILON + self._norm(w))


class MinMaxNorm(_OfNorm):
    """Norms are moved into ``min_value`` to ``max_value``: by the share ``rate`` of the way.

    Examples
    --------
    >>> import insitu as si
    >>> MinMaxNorm(max_value=1.0, rate=0.5)(si.asarray([[3.0], [4.0]])).round(4)
    Array([[1.8],
           [2.4]], dtype=float32)
    """

    @checked(min_value=NOT_NEGATIVE, max_value=NOT_NEGATIVE, rate=SHARE, axis=AXES)
    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.min_value, self.rate = min_value, rate
        self.max_value = Number(min_value).check("MinMaxNorm", "max_value", max_value)

    @checked(w=ARRAY)
    def __call__(self, w: si.Array) -> si.Array:
        w = si.asarray(w)
        norm = self._norm(w)
        wanted = self.rate * si.clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm
        return w * (wanted / (EPSILON + norm))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, **super().get_config()}


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


@checked(identifier=Checked("a name, a function or a configuration", ("max_norm",)))
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
    if identifier is None:
        return None
    if callable(identifier) and not isinstance(identifier, type):
        return registry.taking("constraint", identifier, "x")
    return registry.make("constraint", Constraint.classes, identifier, 'pass a name such as "max_norm", or a function of an array')


@checked(constraint=Checked("a constraint", (abs,)))
def serialize(constraint: Any) -> dict[str, Any] | None:
    """The configuration from which `get` makes the constraint again; None for None.

    Raises
    ------
    ArgumentError
        For a function that is not registered.

    Examples
    --------
    >>> serialize(NonNeg())
    {'class_name': 'NonNeg', 'config': {}}
    """
    return None if constraint is None else registry.config_of("constraint", constraint)
