"""Initial values of weights with Keras' names and formulas, drawn from `insitu.random`.

An initializer is called with a shape and a dtype and returns an array. ``fan_in`` and ``fan_out`` are the inputs
and outputs of one unit: for a matrix its rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import insitu as si
from insitu.array.checks import choice_error
from insitu.dtypes import as_dtype
from insitu.errors import ShapeError
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


class TruncatedNormal(_Random):
    """Normal with the given mean and standard deviation, drawn again beyond two deviations."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        drawn: si.Array = self.generator.truncated_normal(self.mean, self.stddev, shape)
        return drawn.astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class VarianceScaling(_Random):
    """Numbers of variance ``scale / n``, where ``n`` is ``fan_in``, ``fan_out`` or their mean, by ``mode``.

    ``distribution`` is ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.
    """

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None) -> None:
        super().__init__(seed)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise choice_error("VarianceScaling", "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        if distribution not in kinds:
            raise choice_error("VarianceScaling", "distribution", distribution, kinds)
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        inputs, outputs = fans(shape)
        count = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return RandomUniform(-limit, limit, self.seed)(shape, dtype)
        if self.distribution == "untruncated_normal":
            return RandomNormal(0.0, math.sqrt(variance), self.seed)(shape, dtype)
        # a normal of deviation 1 that is cut off at two deviations has this deviation
        return TruncatedNormal(0.0, math.sqrt(variance) / 0.87962566103423978, self.seed)(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class _Scaled(VarianceScaling):
    """A variance scaling with fixed settings, of which only the seed is an argument."""

    settings: tuple[float, str, str] = (1.0, "fan_in", "truncated_normal")

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.settings, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Scaled):
    """Uniform within ``±sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010)."""

    settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio 2010)."""

    settings = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform within ``±sqrt(6 / fan_in)`` (He et al. 2015)."""

    settings = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance ``2 / fan_in`` (He et al. 2015)."""

    settings = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform within ``±sqrt(3 / fan_in)`` (LeCun et al. 1998)."""

    settings = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance ``1 / fan_in`` (LeCun et al. 1998)."""

    settings = (1.0, "fan_in", "truncated_normal")


class Orthogonal(_Random):
    """Orthonormal rows or columns, whichever are fewer, times ``gain`` (Saxe et al. 2013); axes before the last count as one."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if len(shape) < 2:
            raise _needs_matrix("Orthogonal", shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = np.asarray(self.generator.standard_normal((max(rows, columns), min(rows, columns)), dtype="float64"))
        q, r = np.linalg.qr(drawn)
        q = q * np.sign(np.diagonal(r))
        made = (q if rows >= columns else q.T).reshape(shape) * self.gain
        return si.asarray(made).astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


class Identity:
    """The identity matrix times ``gain``; a matrix that is not square gets as much of it as fits."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if len(shape) != 2:
            raise _needs_matrix("Identity", shape)
        return si.eye(*shape, dtype=as_dtype(dtype)) * self.gain

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class Given:
    """Values that are given as an array."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if self.values.shape != tuple(shape):
            raise ShapeError(
                "The initial values do not fit the weight.",
                expected=f"shape {tuple(shape)}",
                received=f"shape {self.values.shape}",
                fix="give one value for each weight",
                slug="initializer-shape",
            )
        return si.asarray(self.values).astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values.tolist()}


def _needs_matrix(name: str, shape: Shape) -> ShapeError:
    return ShapeError(
        f"{name}: the weight is no matrix.",
        expected="two axes" if name == "Identity" else "two axes or more",
        received=f"shape {tuple(shape)}",
        fix='use "glorot_uniform", which takes any shape',
        slug="initializer-shape",
    )


def fans(shape: Shape) -> tuple[int, int]:
    """``(fan_in, fan_out)``: axes before the last two (a kernel's window) count on both sides."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


CLASSES = (
    Zeros, Ones, Constant, Identity, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, GlorotNormal, GlorotUniform,
    HeNormal, HeUniform, LecunNormal, LecunUniform, Given,
)  # fmt: skip
TABLE: dict[str, type[Any]] = {registry.words(c.__name__): c for c in CLASSES}
TABLE |= {"uniform": RandomUniform, "normal": RandomNormal, "one": Ones, "zero": Zeros}


def get(identifier: Any) -> Initializer:
    """The initializer that a name, a configuration, a class or a function means.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if isinstance(identifier, si.Array | np.ndarray):
        return Given(identifier)
    if callable(identifier) and not isinstance(identifier, type):
        return identifier  # type: ignore[no-any-return]
    fix = 'pass a name such as "glorot_uniform", or a function of (shape, dtype)'
    made: Initializer = registry.make("initializer", {**{c.__name__: c for c in CLASSES}, **TABLE}, identifier, fix)
    return made


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The configuration from which `get` makes the initializer again.

    Raises
    ------
    ArgumentError
        For a function that is not registered.
    """
    return registry.config_of("initializer", initializer)
