"""Layers that differ in training: Dropout, Gaussian noise, and a term of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu import registry
from insitu.arguments import NOT_NEGATIVE, SEED, Lengths, Number, checked
from insitu.errors import ShapeError
from insitu.nn import regularizers
from insitu.nn.layer import OneInput
from insitu.nn.shapes import Shape

#: A share of the inputs, of which something must be left.
RATE = Number(0, 1, open="h", slug="dropout-rate")
#: The shape of a mask, in which None stands for an axis of the input.
MASK = Lengths(1, unknown=True, single=False, fix="noise_shape=(None, 1, None) gives all steps of a sequence one mask")


class _Random(OneInput):
    """Layers with a generator of their own, which is kept in files."""

    @checked(seed=SEED)
    def __init__(self, seed: int | None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed
        self.generator = self.add_generator(seed)

    def _floating(self, x: si.Array) -> si.Array:
        """The input as floating numbers: whole ones cannot take the noise."""
        return x if x.dtype.is_float else x.astype(self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class Dropout(_Random):
    """In training, numbers become 0 with probability ``rate``, and the others grow by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        From 0 to below 1.
    noise_shape : tuple, optional
        Shape of the mask, which is broadcast: 1 for axes that share it, None for an axis of the input.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If the rate is out of its range, or ``noise_shape`` is no shape.
    ShapeError
        On use, if the mask does not broadcast to the input.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.

    Examples
    --------
    >>> import insitu as si
    >>> y = si.nn.Dropout(0.5, seed=0)(si.ones((1, 1000)), training=True)
    >>> sorted(set(y[0].tolist()))
    [0.0, 2.0]
    """

    @checked(
        rate=RATE, noise_shape=Lengths(1, unknown=True, single=False, fix="noise_shape=(None, 1, None) gives all steps of a sequence one mask") | None
    )
    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate, self.noise_shape = rate, noise_shape

    def check_input(self, shape: Shape) -> None:
        mask = self.noise_shape
        if mask is None or (len(mask) == len(shape) and all(m in (None, 1, n) or n is None for m, n in zip(mask, shape, strict=True))):
            return
        raise ShapeError(
            f'Dropout "{self.name}": the mask does not broadcast to the input.',
            expected=f"noise_shape with {len(shape)} entries: 1, None or the length of the axis",
            received=f"noise_shape={mask} for {str(shape).replace('None', 'batch', 1)}",
            fix=f"noise_shape={(None, *[1] * (len(shape) - 2), None)[: len(shape)]}",
            slug="broadcast-shapes",
            argument="x",
        )

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        x = self._floating(x)
        if not training or self.rate == 0:
            return x
        shape = x.shape if self.noise_shape is None else [n if m is None else m for m, n in zip(self.noise_shape, x.shape, strict=True)]
        kept = self.generator.random(tuple(shape)) >= self.rate
        return si.where(kept, x * (1 / (1 - self.rate)), 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": shape}


class GaussianDropout(_Random):
    """In training, numbers are multiplied by normal ones of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``.

    Parameters
    ----------
    rate : float
        From 0 to below 1; the noise has the variance that `Dropout` of this rate has.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If the rate is out of its range.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, section 10.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GaussianDropout(0.5)(si.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """

    @checked(rate=RATE)
    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = rate

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        x = self._floating(x)
        if not training or self.rate == 0:
            return x
        return x * self.generator.normal(1.0, (self.rate / (1 - self.rate)) ** 0.5, tuple(x.shape)).astype(x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class GaussianNoise(_Random):
    """In training, normal numbers of mean 0 are added.

    Parameters
    ----------
    stddev : float
        Their standard deviation, not negative.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For a negative ``stddev``.

    Examples
    --------
    >>> import insitu as si
    >>> y = si.nn.GaussianNoise(0.1, seed=0)(si.ones((1, 1000)), training=True)
    >>> bool(abs(y.std() - 0.1) < 0.01)
    True
    """

    @checked(stddev=NOT_NEGATIVE)
    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.stddev = stddev

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        x = self._floating(x)
        return x + self.generator.normal(0.0, self.stddev, tuple(x.shape)).astype(x.dtype) if training and self.stddev else x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class ActivityRegularization(OneInput):
    """The input itself, of which ``l1 * sum(|x|) + l2 * sum(x**2)``, divided by the length of the batch, is added to the loss.

    Parameters
    ----------
    l1, l2 : float
        Not negative.
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ActivityRegularization(l2=0.01)(si.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """

    @checked(l1=NOT_NEGATIVE, l2=NOT_NEGATIVE)
    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        if "activity_regularizer" in options:
            raise registry.unknown_argument("ActivityRegularization", "activity_regularizer", ["l1", "l2"])
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **options)
        self.l1, self.l2 = l1, l2

    def call(self, x: si.Array) -> si.Array:
        return x

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config
