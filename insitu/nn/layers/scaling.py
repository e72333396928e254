"""Layers that scale their input: Rescaling, Normalization, UnitNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import insitu as si
from insitu.errors import ArgumentError
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape


class Rescaling(Layer):
    """``x * scale + offset``: ``Rescaling(1 / 255)`` turns bytes into numbers from 0 to 1.

    Parameters
    ----------
    scale, offset : float
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Rescaling(1 / 127.5, offset=-1)(si.asarray([[0.0, 255.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = float(scale), float(offset)

    def call(self, x: si.Array) -> si.Array:
        return x.astype(self.dtype) * self.scale + self.offset

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, with mean and variance of each feature from data.

    Parameters
    ----------
    axis : int, sequence of int or None
        Axes whose places have a mean and a variance of their own; None: one for all.
    mean, variance : array_like, optional
        Given, or found by `adapt`.
    invert : bool
        Undo the normalisation instead.
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> layer = si.nn.Normalization()
    >>> layer.adapt([[1.0, 10.0], [3.0, 30.0]])
    >>> layer(si.asarray([[1.0, 30.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] | None = -1, mean: Any = None, variance: Any = None, invert: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if (mean is None) != (variance is None):
            raise ArgumentError(
                f'Normalization "{self.name}": mean and variance go together.',
                expected="both, or none of them and a call of adapt",
                received="only the mean" if variance is None else "only the variance",
                fix="layer.adapt(x_train)",
                slug="normalization-values",
            )
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
        self.invert = bool(invert)
        self._given = None if mean is None else (np.asarray(mean, np.float32), np.asarray(variance, np.float32))
        self.mean: si.Variable | None = None
        self.variance: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        kept = self._kept(len(input_shape))
        shape = [n or 1 if i in kept else 1 for i, n in enumerate(input_shape)]
        self.mean = self.add_weight(shape, "zeros", "mean", trainable=False)
        self.variance = self.add_weight(shape, "ones", "variance", trainable=False)
        if self._given is not None:
            for weight, value in zip((self.mean, self.variance), self._given, strict=True):
                weight.assign(si.asarray(np.broadcast_to(value.reshape(shape) if value.ndim else value, shape).astype(np.float32)))

    def _kept(self, ndim: int) -> set[int]:
        axes = () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis
        return {a % ndim for a in axes}

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data.

        Parameters
        ----------
        data : array_like, shape (examples, ...)
        """
        x = np.asarray(data, np.float64)
        self.prepare((None, *x.shape[1:]))
        others = tuple(i for i in range(x.ndim) if i not in self._kept(x.ndim))
        for weight, value in ((self.mean, x.mean(others, keepdims=True)), (self.variance, x.var(others, keepdims=True))):
            if weight is not None:
                weight.assign(si.asarray(value.astype(np.float32)))

    def call(self, x: si.Array) -> si.Array:
        mean, variance = [w.value for w in (self.mean, self.variance) if w is not None]
        # Keras' smallest deviation, which keeps constant features finite
        deviation = si.maximum(si.sqrt(variance), 1e-7)
        x = x.astype(self.dtype)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        given = {} if self._given is None else {"mean": self._given[0].tolist(), "variance": self._given[1].tolist()}
        axis = list(self.axis) if isinstance(self.axis, tuple) else self.axis
        return {**super().get_config(), "axis": axis, "invert": self.invert, **given}


class UnitNormalization(Layer):
    """Vectors along ``axis`` scaled to length 1."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, x: si.Array) -> si.Array:
        squares = si.sum(x * x, axis=self.axis, keepdims=True)
        return x / si.sqrt(si.maximum(squares, 1e-12))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
