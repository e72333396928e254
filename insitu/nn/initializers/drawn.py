"""Initializers that draw random numbers, with the variances that keep signals and gradients at one size from layer to layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import insitu as si
from insitu.arguments import NOT_NEGATIVE, NUMBER, POSITIVE, SEED, Choice, Number, checked
from insitu.dtypes import as_dtype
from insitu.nn.initializers.fixed import WEIGHT, Initializer, Shape, needs_matrix


class _Random(Initializer):
    """Draws from ``seed``'s own generator, or from the default one that `insitu.random.seed` fixes."""

    @checked(seed=SEED)
    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    @property
    def generator(self) -> Any:
        return si.random if self.seed is None else si.random.default_rng(self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


def _drawn(draw: Any, first: float, second: float, shape: Shape, dtype: Any) -> si.Array:
    """Random numbers of a distribution with two parameters; narrow types and integers are rounded from float32."""
    kind = as_dtype(dtype)
    numbers: si.Array = draw(first, second, shape, dtype=kind if kind is si.float64 else si.float32)
    return numbers.astype(kind)


class RandomNormal(_Random):
    """Normal with the given mean and standard deviation.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
        The same numbers at each call; default: the next ones of the default generator.

    Examples
    --------
    >>> import insitu as si
    >>> w = RandomNormal(stddev=0.1, seed=0)((100, 100))
    >>> bool(abs(w.std() - 0.1) < 0.01)
    True
    """

    @checked(mean=NUMBER, stddev=NOT_NEGATIVE, seed=SEED)
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return _drawn(self.generator.normal, self.mean, self.stddev, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal with the given mean and standard deviation, restricted to within two deviations of the mean.

    The numbers that come out vary less than ``stddev`` says: by 0.88 of it.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
        The same numbers at each call; default: the next ones of the default generator.

    Examples
    --------
    >>> import insitu as si
    >>> w = TruncatedNormal(stddev=0.1, seed=0)((100, 100))
    >>> bool(si.max(si.abs(w)) <= 0.2)
    True
    """

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return _drawn(self.generator.truncated_normal, self.mean, self.stddev, shape, dtype)


class RandomUniform(_Random):
    """Uniform from ``minval`` to ``maxval``.

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
        The same numbers at each call; default: the next ones of the default generator.

    Examples
    --------
    >>> import insitu as si
    >>> w = RandomUniform(0.0, 0.1, seed=0)((100, 100))
    >>> bool(si.min(w) >= 0), bool(si.max(w) < 0.1)
    (True, True)
    """

    @checked(minval=NUMBER, maxval=NUMBER, seed=SEED)
    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, Number(minval).check("RandomUniform", "maxval", maxval)

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        return _drawn(self.generator.uniform, self.minval, self.maxval, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class VarianceScaling(_Random):
    """Numbers of variance ``scale / n``, where ``n`` is a unit's number of inputs or outputs, or their mean.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
    seed : int, optional
        The same numbers at each call; default: the next ones of the default generator.

    Raises
    ------
    ArgumentError
        If an argument is none of these.

    Examples
    --------
    >>> import insitu as si
    >>> w = VarianceScaling(2.0, "fan_out", "uniform", seed=0)((100, 200))
    >>> bool(abs(w.var() - 2 / 200) < 0.001)
    True
    """

    @checked(
        scale=POSITIVE, mode=Choice("fan_in", "fan_out", "fan_avg"), seed=SEED,
        distribution=Choice("truncated_normal", "untruncated_normal", "uniform"),
    )  # fmt: skip
    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None) -> None:
        super().__init__(seed)
        self.scale, self.mode, self.distribution = scale, mode, distribution

    @checked(**WEIGHT)
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

    @checked(seed=SEED)
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
    """Orthonormal rows or columns, whichever are fewer, times ``gain`` (Saxe et al. 2013); axes before the last count as one.

    The random numbers are ours, their factorization is NumPy's: the last bits may differ between computers.

    Examples
    --------
    >>> import insitu as si
    >>> w = Orthogonal(seed=0)((4, 3))
    >>> bool(si.max(si.abs(w.mT @ w - si.eye(3))) < 1e-5)
    True
    """

    @checked(gain=NUMBER, seed=SEED)
    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    @checked(**WEIGHT)
    def __call__(self, shape: Shape, dtype: Any = "float32") -> si.Array:
        if len(shape) < 2:
            raise needs_matrix("Orthogonal", shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = np.asarray(self.generator.standard_normal((max(rows, columns), min(rows, columns)), dtype="float64"))
        q, r = np.linalg.qr(drawn)
        q = np.where(np.diagonal(r) < 0, -q, q)  # so that every orthogonal matrix is as likely (Mezzadri 2007)
        made = (q if rows >= columns else q.T).reshape(shape) * self.gain
        return si.asarray(made).astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


def fans(shape: Shape) -> tuple[int, int]:
    """``(fan_in, fan_out)``: axes before the last two (a kernel's window) count on both sides."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
