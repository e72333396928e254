"""The base class of initializers, and those that draw nothing: Zeros, Ones, Constant, Identity, given values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu.arguments import CONFIG, DTYPE, NUMBER, SHAPE, Constraint, Numbers, checked
from insitu.dtypes import as_dtype
from insitu.errors import ShapeError

Shape = tuple[int, ...]
#: What an initializer is called with.
WEIGHT: dict[str, Constraint] = {"shape": SHAPE, "dtype": DTYPE}


class Initializer:
    """Base class: a subclass defines ``__call__(shape, dtype)`` and ``get_config``. Functions of these arguments do as well.

    Examples
    --------
    >>> import insitu as si
    >>> class Sevens(si.nn.initializers.Initializer):
    ...     def __call__(self, shape, dtype="float32"):
    ...         return si.full(shape, 7, dtype=dtype)
    >>> si.nn.Dense(1, kernel_initializer="sevens", use_bias=False)(si.ones((1, 2)))
    Array([[14.]], dtype=float32)
    """

    classes: ClassVar[dict[str, type[Initializer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Initializer.classes[cls.__name__] = cls

    @checked()
    def __init__(self) -> None:
        pass

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        """An array of that shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The initializer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class Zeros(Initializer):
    """All 0."""

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.zeros(shape, dtype=as_dtype(dtype))


class Ones(Initializer):
    """All 1."""

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.ones(shape, dtype=as_dtype(dtype))


class Constant(Initializer):
    """All ``value``.

    Examples
    --------
    >>> import insitu as si
    >>> Constant(0.5)((2,))
    Array([0.5, 0.5], dtype=float32)
    """

    @checked(value=NUMBER)
    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.full(shape, self.value, dtype=as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Identity(Initializer):
    """The identity matrix times ``gain``; a matrix that is not square gets as much of it as fits.

    Examples
    --------
    >>> import insitu as si
    >>> Identity(2.0)((2, 3))
    Array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    @checked(gain=NUMBER)
    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if len(shape) != 2:
            raise needs_matrix("Identity", shape)
        return si.eye(*shape, dtype=as_dtype(dtype)) * self.gain

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class Given(Initializer):
    """Values that are given as an array."""

    @checked(values=Numbers())
    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if self.values.shape != tuple(shape):
            raise ShapeError(
                "The initial values do not fit the weight.",
                expected=f"shape {tuple(shape)}",
                received=f"shape {self.values.shape}",
                fix="give one value for each weight",
                slug="initializer-shape",
                argument="shape",
            )
        return si.asarray(self.values).astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values.tolist()}


def needs_matrix(name: str, shape: Shape) -> ShapeError:
    """The error for a weight with too few axes."""
    return ShapeError(
        f"{name}: the weight is no matrix.",
        expected="two axes" if name == "Identity" else "two axes or more",
        received=f"shape {tuple(shape)}",
        fix='use "glorot_uniform", which takes any shape',
        slug="initializer-shape",
        argument="shape",
    )
