"""Terms of the loss that keep weights small, with Keras' names, defaults and formulas.

A regularizer is called with an array and returns one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import insitu as si
from insitu import registry
from insitu.arguments import ARRAY, CONFIG, NOT_NEGATIVE, Checked, Choice, checked
from insitu.errors import ShapeError
from insitu.nn.vectors import unit


class Regularizer:
    """Base class: a subclass defines ``__call__(x)`` and ``get_config``.

    Examples
    --------
    >>> import insitu as si
    >>> class Range(si.nn.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return si.max(x) - si.min(x)
    >>> float(Range()(si.asarray([1.0, 4.0])))
    3.0
    """

    classes: ClassVar[dict[str, type[Regularizer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Regularizer.classes[cls.__name__] = cls

    @checked()
    def __init__(self) -> None:
        pass

    def __call__(self, x: si.Array) -> si.Array:
        """The term of the loss, of shape ()."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x**2)``; both 0 by default, and 0.01 where the name "l1_l2" stands for it.

    Examples
    --------
    >>> import insitu as si
    >>> float(L1L2(l1=0.5, l2=1.0)(si.asarray([1.0, -2.0])))
    6.5
    """

    @checked(l1=NOT_NEGATIVE, l2=NOT_NEGATIVE)
    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1, l2

    @checked(x=ARRAY)
    def __call__(self, x: si.Array) -> si.Array:
        x = si.asarray(x)
        return self.l1 * si.sum(si.abs(x)) + self.l2 * si.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """``l1 * sum(|x|)``.

    Examples
    --------
    >>> import insitu as si
    >>> float(L1(0.5)(si.asarray([1.0, -2.0])))
    1.5
    """

    @checked(l1=NOT_NEGATIVE)
    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = l1

    @checked(x=ARRAY)
    def __call__(self, x: si.Array) -> si.Array:
        x = si.asarray(x)
        return self.l1 * si.sum(si.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """``l2 * sum(x**2)``.

    Examples
    --------
    >>> import insitu as si
    >>> float(L2(0.5)(si.asarray([1.0, -2.0])))
    2.5
    """

    @checked(l2=NOT_NEGATIVE)
    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = l2

    @checked(x=ARRAY)
    def __call__(self, x: si.Array) -> si.Array:
        x = si.asarray(x)
        return self.l2 * si.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times half the mean size of the products of two different rows (``mode="rows"``) or columns, scaled to length 1.

    As in Keras, the sum over each pair in both orders is divided by the number of pairs.

    Raises
    ------
    ArgumentError
        For a negative factor, or another mode.
    ShapeError
        On use, for an array that is no matrix.

    Examples
    --------
    >>> import insitu as si
    >>> regularizer = OrthogonalRegularizer(factor=1.0)
    >>> float(regularizer(si.asarray([[1.0, 0.0], [0.0, 2.0]]))), float(regularizer(si.asarray([[1.0, 0.0], [2.0, 0.0]])))
    (0.0, 1.0)
    """

    @checked(factor=NOT_NEGATIVE, mode=Choice("rows", "columns"))
    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor, self.mode = factor, mode

    @checked(x=ARRAY)
    def __call__(self, x: si.Array) -> si.Array:
        x = si.asarray(x)
        if x.ndim != 2:
            raise ShapeError(
                "OrthogonalRegularizer: the weight is no matrix.",
                expected="two axes, such as the kernel of a Dense layer has",
                received=f"shape {tuple(x.shape)}",
                fix='use "l2", which takes any shape',
                slug="initializer-shape",
            )
        rows = unit(x if self.mode == "rows" else x.mT)
        products = si.abs(si.matmul(rows, rows.mT)) * (1 - si.eye(rows.shape[0], dtype=rows.dtype))
        pairs = rows.shape[0] * (rows.shape[0] - 1) / 2
        return self.factor * 0.5 * si.sum(products) / max(pairs, 1)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


@checked(identifier=Checked("a name, a function or a configuration", ("l2",)))
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
    if identifier is None:
        return None
    if callable(identifier) and not isinstance(identifier, type):
        return registry.taking("regularizer", identifier, "x")
    if isinstance(identifier, str) and identifier == "l1_l2":
        return L1L2(0.01, 0.01)
    return registry.make("regularizer", Regularizer.classes, identifier, 'pass a name such as "l2", or a function of an array')


@checked(regularizer=Checked("a regularizer", (abs,)))
def serialize(regularizer: Any) -> dict[str, Any] | None:
    """The configuration from which `get` makes the regularizer again; None for None.

    Raises
    ------
    ArgumentError
        For a function that is not registered.

    Examples
    --------
    >>> serialize(L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    return None if regularizer is None else registry.config_of("regularizer", regularizer)
