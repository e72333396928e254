"""Layers that show a training each picture in another way: turned, moved, zoomed, cut, in another light. Other uses see it as it is.

Each example has random numbers of its own, which follow from the state of the layer's generator and the example's place in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import NUMBER, REFUSED, SEED, Choice, Constraint, Number, checked
from insitu.array.sampling import FILL_MODES, INTERPOLATIONS, picked, sampled
from insitu.nn.layers.grids import Grid
from insitu.nn.layers.sizing import Sized, filled

Factor = float | Sequence[float]


class Range(Constraint):
    """A number f, taken as the range (-f, f), or a pair of numbers, taken as the range between them.

    With ``apart`` the numbers are distances below and above something: f is taken as (f, f), and a pair stays in its order.
    """

    slug = "augment-range"

    def __init__(self, low: float, high: float, open: str = "", apart: bool = False) -> None:
        self.number, self.apart = Number(low, high, open), apart
        below = "1 - 0.1 to 1 + 0.1" if apart else "-0.1 to 0.1"
        self.remedy = f"pass a share: 0.1 draws from {below}, a pair (0, 0.1) from {'1 to 1 + 0.1' if apart else '0 to 0.1'}"
        self.fits = (0.1, (0.0, 0.1))
        self.borders = (2.0, -2.0, (0.1,), (0.1, 0.2, 0.3), ("0", 1), [[0.1, 0.2]], (0.2, 0.1))

    def take(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            both = [self.number.take(v) for v in value]
            if len(both) != 2 or REFUSED in both:
                return REFUSED
            return tuple(both) if self.apart else tuple(sorted(both))
        found = self.number.take(value)
        return found if found is REFUSED else (found, found) if self.apart else (-abs(found), abs(found))

    def __str__(self) -> str:
        return f"{self.number}, or a pair of them"


class ValueRange(Constraint):
    """The smallest and the largest value of pictures."""

    slug = "augment-range"
    fits = ((0, 255), (0.0, 1.0), (-1.0, 1.0))
    borders = ((1, 0), (0, 0), (0,), 255, ("0", 1))
    remedy = "pass the smallest and the largest value of the pictures: (0, 1) or (0, 255)"

    def take(self, value: Any) -> Any:
        both = [NUMBER.take(v) for v in value] if isinstance(value, list | tuple) else []
        return tuple(both) if len(both) == 2 and REFUSED not in both and both[0] < both[1] else REFUSED

    def __str__(self) -> str:
        return "a pair (low, high) of numbers, the first the smaller one"


VALUES = ValueRange()
FILL, INTERPOLATION = Choice(*FILL_MODES), Choice(*INTERPOLATIONS)


class _Augmentation(Grid):
    """A layer with a generator of its own that changes pictures in training."""

    @checked(seed=SEED)
    def __init__(self, seed: int | None, data_format: str | None, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.seed = seed
        self.generator = self.add_generator(seed)

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        x = x.astype(self.dtype)
        if not training:
            return x
        first = self.data_format == "channels_first"
        y = self.changed(si.permute_dims(x, (0, 2, 3, 1)) if first else x).astype(self.dtype)
        return si.permute_dims(y, (0, 3, 1, 2)) if first else y

    def changed(self, x: si.Array) -> si.Array:
        """The pictures, with their channels last, as training sees them."""
        raise NotImplementedError(f"{type(self).__name__} changes nothing")

    def drawn(self, x: si.Array, bounds: tuple[float, float]) -> si.Array:
        """A number for each picture, of shape (batch, 1, 1)."""
        return self.generator.uniform(*bounds, (x.shape[0], 1, 1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class RandomFlip(_Augmentation):
    """In training, half of the pictures are mirrored.

    Parameters
    ----------
    mode : "horizontal", "vertical" or "horizontal_and_vertical"
        Left and right change places, top and bottom, or both, each for pictures of its own.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    data_format : "channels_last" or "channels_first", optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> flip = si.nn.RandomFlip("horizontal", seed=0)
    >>> picture = si.reshape(si.arange(2.0), (1, 1, 2, 1))
    >>> flip(picture).tolist() == picture.tolist()
    True
    """

    @checked(mode=Choice("horizontal_and_vertical", "horizontal", "vertical"))
    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None, **options: Any) -> None:
        super().__init__(seed, data_format, **options)
        self.mode = mode

    def changed(self, x: si.Array) -> si.Array:
        for axis, name in ((2, "horizontal"), (1, "vertical")):
            if name in self.mode:
                x = si.where(self.generator.random((x.shape[0], 1, 1, 1)) < 0.5, si.flip(x, axis=axis), x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class _Placed(_Augmentation):
    """Pictures read at other places than their pixels."""

    @checked(fill_mode=FILL, interpolation=INTERPOLATION, fill_value=NUMBER)
    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, data_format: str | None, **options: Any
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **options)
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def changed(self, x: si.Array) -> si.Array:
        height, width = x.shape[1:3]
        rows = si.reshape(si.arange(height, dtype=si.float32), (1, height, 1)) - (height - 1) / 2
        columns = si.reshape(si.arange(width, dtype=si.float32), (1, 1, width)) - (width - 1) / 2
        rows, columns = self.places(x, rows, columns)
        return sampled(x, rows + (height - 1) / 2, columns + (width - 1) / 2, self.interpolation, self.fill_mode, self.fill_value)

    def places(self, x: si.Array, rows: si.Array, columns: si.Array) -> tuple[si.Array, si.Array]:
        """Where to read for pixels that are so many rows and columns from the centre, counted from there too."""
        raise NotImplementedError(f"{type(self).__name__} places nothing")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fill_mode": self.fill_mode, "interpolation": self.interpolation, "fill_value": self.fill_value}


class RandomRotation(_Placed):
    """In training, each picture is turned around its centre by an angle of its own.

    Parameters
    ----------
    factor : float or (float, float)
        Shares of a full turn: 0.1 draws from -36 to 36 degrees. Positive angles turn counter-clockwise.
    fill_mode : "reflect", "wrap", "constant" or "nearest"
        What is seen outside of the picture: itself mirrored, repeated, the ``fill_value``, its border.
    interpolation : "bilinear" or "nearest"
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    fill_value : float
    data_format : "channels_last" or "channels_first", optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> quarter = si.nn.RandomRotation((0.25, 0.25), interpolation="nearest")
    >>> quarter(si.reshape(si.arange(4.0), (1, 2, 2, 1)), training=True)[0, :, :, 0]
    Array([[1., 3.],
           [0., 2.]], dtype=float32)
    """

    @checked(factor=Range(-1, 1))
    def __init__(
        self, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
        data_format: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        self.factor: tuple[float, float] = factor  # type: ignore[assignment]  # as the constraint takes it

    def places(self, x: si.Array, rows: si.Array, columns: si.Array) -> tuple[si.Array, si.Array]:
        angle = self.drawn(x, self.factor) * (2 * si.pi)
        along, across = si.cos(angle), si.sin(angle)
        return across * columns + along * rows, along * columns - across * rows

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


class RandomTranslation(_Placed):
    """In training, each picture is moved by distances of its own.

    Parameters
    ----------
    height_factor, width_factor : float or (float, float)
        Shares of the height, where positive ones move down, and of the width, where they move right: 0.1 draws from -0.1 to 0.1.
    fill_mode, interpolation, seed, fill_value, data_format
        As for `RandomRotation`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> down = si.nn.RandomTranslation((0.5, 0.5), 0.0, fill_mode="constant")
    >>> down(si.ones((1, 2, 2, 1)), training=True)[0, :, :, 0]
    Array([[0., 0.],
           [1., 1.]], dtype=float32)
    """

    @checked(height_factor=Range(-1, 1), width_factor=Range(-1, 1))
    def __init__(
        self, height_factor: Factor, width_factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, data_format: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        self.height_factor: tuple[float, float] = height_factor  # type: ignore[assignment]  # as the constraint takes it
        self.width_factor: tuple[float, float] = width_factor  # type: ignore[assignment]

    def places(self, x: si.Array, rows: si.Array, columns: si.Array) -> tuple[si.Array, si.Array]:
        return rows - self.drawn(x, self.height_factor) * x.shape[1], columns - self.drawn(x, self.width_factor) * x.shape[2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height_factor": list(self.height_factor), "width_factor": list(self.width_factor)}


class RandomZoom(_Placed):
    """In training, each picture is seen from nearer or further away.

    Parameters
    ----------
    height_factor : float or (float, float)
        Shares by which more of the height is seen: -0.2 enlarges, 0.2 makes smaller, and 0.2 alone draws from -0.2 to 0.2.
    width_factor : float or (float, float), optional
        As for the height; by default the width changes with the height, which keeps the proportions.
    fill_mode, interpolation, seed, fill_value, data_format
        As for `RandomRotation`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> out = si.nn.RandomZoom((1.0, 1.0), fill_mode="constant", interpolation="nearest")
    >>> float(out(si.ones((1, 8, 8, 1)), training=True).sum())
    16.0
    """

    @checked(height_factor=Range(-1, 1, "l"), width_factor=Range(-1, 1, "l") | None)
    def __init__(
        self, height_factor: Factor, width_factor: Factor | None = None, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        self.height_factor: tuple[float, float] = height_factor  # type: ignore[assignment]  # as the constraint takes it
        self.width_factor: tuple[float, float] | None = width_factor  # type: ignore[assignment]

    def places(self, x: si.Array, rows: si.Array, columns: si.Array) -> tuple[si.Array, si.Array]:
        down = 1 + self.drawn(x, self.height_factor)
        across = down if self.width_factor is None else 1 + self.drawn(x, self.width_factor)
        return rows * down, columns * across

    def get_config(self) -> dict[str, Any]:
        width = None if self.width_factor is None else list(self.width_factor)
        return {**super().get_config(), "height_factor": list(self.height_factor), "width_factor": width}


class RandomContrast(_Augmentation):
    """In training, the distances of a picture's values from their mean, channel by channel, are multiplied by a number of its own.

    Parameters
    ----------
    factor : float or (float, float)
        The number is drawn from ``1 - factor`` to ``1 + factor``, or from ``1 - factor[0]`` to ``1 + factor[1]``.
    value_range : (float, float)
        Of the pictures; the result is clipped to it.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    data_format : "channels_last" or "channels_first", optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> grey = si.nn.RandomContrast(0.0)
    >>> grey(si.asarray([[[[10.0], [20.0]]]]), training=True)[0, 0, :, 0]
    Array([10., 20.], dtype=float32)
    """

    @checked(factor=Range(0, 1, apart=True), value_range=VALUES)
    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, data_format: str | None = None, **options: Any
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **options)
        self.factor: tuple[float, float] = factor  # type: ignore[assignment]  # as the constraint takes it
        self.value_range = value_range

    def changed(self, x: si.Array) -> si.Array:
        less, more = self.factor
        mean = si.mean(x, axis=(1, 2), keepdims=True)
        times = si.expand_dims(self.drawn(x, (1 - less, 1 + more)), axis=-1)
        return si.clip((x - mean) * times + mean, *self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "value_range": list(self.value_range)}


class RandomBrightness(_Augmentation):
    """In training, a number of its own is added to all values of each picture.

    Parameters
    ----------
    factor : float or (float, float)
        Shares of the range of values: 0.2 draws from -0.2 to 0.2, where 1 makes everything white and -1 black.
    value_range : (float, float)
        Of the pictures; the result is clipped to it.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    data_format : "channels_last" or "channels_first", optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> lighter = si.nn.RandomBrightness((0.5, 0.5), value_range=(0, 1))
    >>> lighter(si.asarray([[[[0.25], [0.75]]]]), training=True)[0, 0, :, 0]
    Array([0.75, 1.  ], dtype=float32)
    """

    @checked(factor=Range(-1, 1), value_range=VALUES)
    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, data_format: str | None = None, **options: Any
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **options)
        self.factor: tuple[float, float] = factor  # type: ignore[assignment]  # as the constraint takes it
        self.value_range = value_range

    def changed(self, x: si.Array) -> si.Array:
        low, high = self.value_range
        return si.clip(x + si.expand_dims(self.drawn(x, self.factor), axis=-1) * (high - low), low, high)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "value_range": list(self.value_range)}


class RandomCrop(Sized):
    """In training, a part of each picture at a place of its own; otherwise the largest part of the result's proportions, resized.

    Parameters
    ----------
    height, width : int
        Of the result. Smaller pictures are enlarged until they fill it, in training too.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    data_format : "channels_last" or "channels_first", optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        On use, if the input is no batch of pictures.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.RandomCrop(24, 24, seed=0)(si.ones((2, 28, 28, 1)), training=True).shape
    (2, 24, 24, 1)
    """

    @checked(seed=SEED)
    def __init__(self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **options: Any) -> None:
        super().__init__(height, width, data_format, **options)
        self.seed = seed
        self.generator = self.add_generator(seed)

    def changed(self, x: si.Array, training: bool) -> si.Array:
        batch, down, across = x.shape[:3]
        if not training or down < self.height or across < self.width:
            return filled(x, self.height, self.width)
        top = self.generator.integers(0, down - self.height + 1, (batch, 1, 1))
        left = self.generator.integers(0, across - self.width + 1, (batch, 1, 1))
        rows = si.reshape(si.arange(self.height), (1, self.height, 1))
        columns = si.reshape(si.arange(self.width), (1, 1, self.width))
        return picked(x, top + rows, left + columns)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


__all__ = ["RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"]
