"""Layers that scale their input: Rescaling, Normalization, UnitNormalization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import insitu as si
from insitu.arguments import AXES, FLAG, Numbers, checked, written
from insitu.array.tree import flatten
from insitu.data.examples import is_array
from insitu.data.feed import Arrays, feed
from insitu.errors import ArgumentError, ShapeError
from insitu.nn.declared import DATA
from insitu.nn.layer import OneInput
from insitu.nn.layers.activating import closed
from insitu.nn.shapes import Shape, checked_axes
from insitu.nn.vectors import unit

Values = np.ndarray[Any, Any]

#: Numbers that `Normalization.adapt` takes at a time, so that large data are not copied as a whole.
_BLOCK = 1 << 20


SCALE = Numbers(fix="Rescaling(1 / 255) turns bytes into numbers from 0 to 1")


class Rescaling(OneInput):
    """``x * scale + offset``: ``Rescaling(1 / 255)`` turns bytes into numbers from 0 to 1.

    Parameters
    ----------
    scale, offset : float or array_like
        An array broadcasts with the input: one number for each channel, for example.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For something else than finite numbers.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Rescaling(1 / 127.5, offset=-1)(si.asarray([[0.0, 255.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    @checked(scale=SCALE, offset=SCALE)
    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def check_input(self, shape: Shape) -> None:
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            kept = np.shape(value)
            pairs = zip(reversed(kept), reversed(shape), strict=False)
            if len(kept) > len(shape) or any(n is not None and 1 not in (m, n) and m != n for m, n in pairs):
                raise ShapeError(
                    f'Rescaling "{self.name}": {name} does not broadcast with the input.',
                    expected=f"one number, or one for each of the {shape[-1]} entries of the last axis",
                    received=f"{name} of shape {kept} for an input of shape {written(shape)}",
                    fix=f"pass {shape[-1]} numbers, or one",
                    slug="broadcast-shapes",
                    argument="x",
                )

    def call(self, x: si.Array) -> si.Array:
        scale, offset = [si.asarray(v, dtype=self.dtype) if isinstance(v, list) else v for v in (self.scale, self.offset)]
        return x.astype(self.dtype) * scale + offset

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Moments:
    """Mean and variance of blocks of numbers that come one by one, along all axes but ``kept``.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, equations 2.1.
    """

    def __init__(self, kept: Sequence[int]) -> None:
        self.kept = kept
        self.count = 0
        self.mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, block: Values) -> None:
        """Take a block in."""
        others = tuple(i for i in range(block.ndim) if i not in self.kept)
        block = block.astype(np.float64)
        new, mean = int(np.prod([block.shape[i] for i in others])), block.mean(others)
        total, apart = self.count + new, mean - self.mean
        self._squares = self._squares + block.var(others) * new + apart * apart * (self.count * new / total)
        self.mean = self.mean + apart * (new / total)
        self.count = total

    @property
    def variance(self) -> Any:
        """Mean square of the distance to the mean."""
        return self._squares / self.count


class Normalization(OneInput):
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

    Raises
    ------
    ArgumentError
        If only one of mean and variance is given, or a variance is negative.
    ShapeError
        On use, if an axis does not exist or has no fixed length, or the given numbers do not fit.

    Notes
    -----
    Weights, if mean and variance are not given: ``mean`` and ``variance`` with the lengths of ``axis``, and ``count``, how many
    numbers each comes from. As in Keras, deviations below 1e-7 count as 1e-7, which keeps constant features finite.

    Examples
    --------
    >>> import insitu as si
    >>> layer = si.nn.Normalization()
    >>> layer.adapt([[1.0, 10.0], [3.0, 30.0]])
    >>> layer(si.asarray([[1.0, 30.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    @checked(axis=AXES | None, mean=Numbers() | None, variance=Numbers() | None, invert=FLAG)
    def __init__(self, axis: int | Sequence[int] | None = -1, mean: Any = None, variance: Any = None, invert: bool = False, **options: Any) -> None:
        super().__init__(**options)
        owner = f'Normalization "{self.name}"'
        if (mean is None) != (variance is None) or (variance is not None and np.min(variance) < 0):
            raise ArgumentError(
                f"{owner}: mean and variance go together, and a variance is not negative.",
                expected="both, or none of them and a call of adapt",
                received="only the mean" if variance is None else "only the variance" if mean is None else f"variance={variance!r}",
                fix="layer.adapt(x_train)",
                slug="normalization-values",
            )
        self.axis, self.invert = axis, invert
        self._given: Any = None if mean is None else [mean, variance]
        self._kept: tuple[int, ...] = ()
        self._broadcast: list[int] = []
        self.mean: si.Variable | Values | None = None
        self.variance: si.Variable | Values | None = None
        self.count: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        owner = f'Normalization "{self.name}"'
        self._kept = tuple(sorted(checked_axes(owner, () if self.axis is None else self.axis, len(input_shape))))
        closed(owner, input_shape, self._kept)
        shape = [input_shape[i] or 0 for i in self._kept]
        self._broadcast = [n or 0 if i in self._kept else 1 for i, n in enumerate(input_shape)]
        if self._given is None:
            self.mean = self.add_weight(shape, "zeros", "mean", trainable=False)
            self.variance = self.add_weight(shape, "ones", "variance", trainable=False)
            self.count = self.add_weight((), "zeros", "count", trainable=False, dtype="int64")
            return
        found = [np.asarray(value, self.dtype.numpy) for value in self._given]
        try:
            self.mean, self.variance = [np.array(np.broadcast_to(v, shape)) for v in found]
        except ValueError:
            raise ShapeError(
                f"{owner}: the mean and the variance do not fit the input.",
                expected=f"numbers of shape {tuple(shape)}, or one for all",
                received=f"mean {found[0].shape}, variance {found[1].shape}",
                fix="give one number for each feature",
                slug="normalization-values",
            ) from None

    @checked(data=DATA)
    def adapt(self, data: Any) -> None:
        """Take mean and variance from data.

        Parameters
        ----------
        data : array_like of shape (examples, ...), or batches
            Batches: a `Dataset`, a list of arrays, or another iterable of arrays or of tuples ``(x, ...)``.

        Raises
        ------
        ArgumentError
            If mean and variance were given.
        ShapeError
            If the examples have another shape than before.
        UserError
            For data that are no numbers, or empty.
        """
        if self._given is not None:
            raise ArgumentError(
                f'Normalization "{self.name}" was given its mean and variance.',
                expected="a layer that was made without them",
                received="a call of adapt",
                fix="Normalization().adapt(x_train), or no call of adapt",
                slug="normalization-values",
            )
        moments: Moments | None = None
        for block in _blocks(data):
            if moments is None:
                self.prepare((None, *block.shape[1:]))
                moments = Moments(self._kept)
            lengths = [n for i, n in enumerate(block.shape) if i in self._kept]
            if block.ndim != len(self._broadcast) or lengths != [self._broadcast[i] for i in self._kept]:
                raise ShapeError(
                    f'Normalization "{self.name}" was built for examples of another shape.',
                    expected=str(self.input_shape).replace("None", "batch", 1),
                    received=str(block.shape),
                    fix="make a new layer for other data",
                    slug="normalization-values",
                )
            moments.add(block)
        if moments is None or not isinstance(self.mean, si.Variable) or not isinstance(self.variance, si.Variable) or self.count is None:
            return
        self.mean.assign(si.asarray(moments.mean, dtype=self.dtype))
        self.variance.assign(si.asarray(moments.variance, dtype=self.dtype))
        self.count.assign(si.asarray(moments.count, dtype=si.int64))

    def call(self, x: si.Array) -> si.Array:
        found = [w.value if isinstance(w, si.Variable) else si.asarray(w) for w in (self.mean, self.variance)]
        mean, variance = [si.reshape(w, tuple(self._broadcast)) for w in found]
        deviation = si.maximum(si.sqrt(variance), 1e-7)
        x = x.astype(self.dtype)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        mean, variance = self._given or (None, None)
        axis = list(self.axis) if isinstance(self.axis, tuple) else self.axis
        return {**super().get_config(), "axis": axis, "invert": self.invert, "mean": mean, "variance": variance}


def _blocks(data: Any) -> Iterator[Values]:
    """The data in pieces, with examples along the first axis."""
    several = isinstance(data, list | tuple) and len(data) > 0 and all(is_array(d) and np.ndim(d) for d in data)
    found = feed(iter(data) if several else data, function="adapt", names=("data", "y"))
    if not isinstance(found, Arrays):
        for x, _, _ in found:
            yield from _cut(flatten(x)[0][0])
        return
    yield from _cut(flatten(found.x)[0][0])


def _cut(x: Values) -> Iterator[Values]:
    rows = max(1, _BLOCK // max(1, x[0].size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


class UnitNormalization(OneInput):
    """Vectors along ``axis`` scaled to length 1; those shorter than 1e-12 stay near 0.

    Parameters
    ----------
    axis : int or sequence of int
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the axis does not exist.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.UnitNormalization()(si.asarray([[3.0, 4.0]]))
    Array([[0.6, 0.8]], dtype=float32)
    """

    @checked(axis=AXES)
    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def check_input(self, shape: Shape) -> None:
        checked_axes(f'UnitNormalization "{self.name}"', self.axis, len(shape))

    def call(self, x: si.Array) -> si.Array:
        return unit(x, self.axis, 1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": list(self.axis) if isinstance(self.axis, tuple) else self.axis}
