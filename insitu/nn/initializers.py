"""Initial values of weights with Keras' names and formulas, drawn from `insitu.random`.

An initializer is called with a shape and a dtype and returns an array. ``fan_in`` and ``fan_out`` are the inputs
and outputs of one unit: for a matrix its rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import insitu as si
from insitu.dtypes import as_dtype
from insitu.nn import registry

Shape = tuple[int, ...]
Initializer = Callable[..., Any]


class Zeros:
    """All 0."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.zeros(shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {}


class Ones:
    """All 1."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.ones(shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {}


class Constant:
    """All ``value``."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return si.full(shape, self.value, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class _Random:
    """Draws from ``seed``'s own generator, or from the default one that `insitu.random.seed` fixes."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    @property
    def generator(self) -> Any:
        return si.random if self.seed is None else si.random.default_rng(self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomNormal(_Random):
    """Normal with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        drawn: si.Array = self.generator.normal(self.mean, self.stddev, shape)
        return drawn.astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(_Random):
    """Uniform from ``minval`` to ``maxval``."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        drawn: si.Array = self.generator.uniform(self.minval, self.maxval, shape)
        return drawn.astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class GlorotUniform(_Random):
    """Uniform within ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010)."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        limit = math.sqrt(6 / max(1, sum(fans(shape))))
        return RandomUniform(-limit, limit, self.seed)(shape, dtype)


class HeUniform(_Random):
    """Uniform within ``±sqrt(6 / fan_in)`` (He et al. 2015)."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        limit = math.sqrt(6 / max(1, fans(shape)[0]))
        return RandomUniform(-limit, limit, self.seed)(shape, dtype)


def fans(shape: Shape) -> tuple[int, int]:
    """``(fan_in, fan_out)``: axes before the last two (a kernel's window) count on both sides."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


CLASSES = (Zeros, Ones, Constant, RandomNormal, RandomUniform, GlorotUniform, HeUniform)
TABLE: dict[str, type[Any]] = {registry.words(c.__name__): c for c in CLASSES}


def get(identifier: Any) -> Initializer:
    """The initializer that a name, a configuration, a class or a function means.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if isinstance(identifier, Mapping):
        found = registry.find("initializer", TABLE, identifier.get("class_name"), 'pass a name such as "glorot_uniform"')
        return found(**identifier.get("config", {}))  # type: ignore[no-any-return]
    if isinstance(identifier, type):
        return identifier()  # type: ignore[no-any-return]
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    made = registry.find("initializer", TABLE, identifier, 'pass a name such as "glorot_uniform", or a function of (shape, dtype)')
    return made()  # type: ignore[no-any-return]


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The configuration from which `get` makes the initializer again."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    return {"class_name": type(initializer).__name__, "config": config}
