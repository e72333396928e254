"""Pictures of another size: Resizing and CenterCrop."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import COUNT, FLAG, NUMBER, Choice, checked, written
from insitu.arguments.grids import check_proportions
from insitu.errors import ShapeError
from insitu.nn.layers.grids import Grid
from insitu.nn.shapes import Shape

INTERPOLATION = Choice("bilinear", "nearest")


class Sized(Grid):
    """A layer that gives pictures of ``height`` x ``width``. Inside it works on channels that stand last."""

    @checked(height=COUNT, width=COUNT)
    def __init__(self, height: int, width: int, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.height, self.width = height, width

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        extents = [shape[axis] for axis in self.position_axes]
        if None in extents or 0 in extents:
            raise ShapeError(
                f"{self.owner} needs to know the size of the pictures.",
                expected="a height and a width of at least 1",
                received=written(shape),
                fix="give them in Input: si.nn.Input((32, 32, 3))",
                slug="image-size",
                argument="x",
            )

    def call(self, x: si.Array, training: bool = False) -> si.Array:
        x = x.astype(self.dtype)
        if self.data_format == "channels_first":
            return si.permute_dims(self.changed(si.permute_dims(x, (0, 2, 3, 1)), training), (0, 3, 1, 2))
        return self.changed(x, training)

    def changed(self, x: si.Array, training: bool) -> si.Array:
        """Pictures of the size, from pictures with their channels last."""
        raise NotImplementedError(f"{type(self).__name__} changes nothing")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        down, across = self.position_axes
        shape[down], shape[across] = self.height, self.width
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


def centre(x: si.Array, height: int, width: int) -> si.Array:
    """The part of pictures around their centre."""
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def filled(x: si.Array, height: int, width: int, interpolation: str = "bilinear") -> si.Array:
    """Pictures that fill a size: their largest part of its proportions, resized."""
    down, across = int(x.shape[2] * height / width), int(x.shape[1] * width / height)
    part = centre(x, max(min(x.shape[1], down), 1), max(min(x.shape[2], across), 1))
    return si.resize(part, (height, width), method=interpolation)


class Resizing(Sized):
    """Pictures in another size.

    Parameters
    ----------
    height, width : int
        Of the result.
    interpolation : "bilinear" or "nearest"
        Nothing is smoothed before pictures are made smaller.
    crop_to_aspect_ratio : bool
        Whether to cut the pictures around their centre instead of changing their proportions.
    pad_to_aspect_ratio : bool
        Whether to put the pictures between margins instead.
    fill_mode : "constant"
    fill_value : float
        Of the margins.
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
    >>> si.nn.Resizing(24, 32)(si.ones((2, 50, 50, 3))).shape
    (2, 24, 32, 3)
    """

    @checked(
        interpolation=INTERPOLATION, crop_to_aspect_ratio=FLAG, pad_to_aspect_ratio=FLAG, fill_mode=Choice("constant"), fill_value=NUMBER
    )  # fmt: skip
    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant", fill_value: float = 0.0, data_format: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(height, width, data_format, **options)
        check_proportions(self.owner, crop_to_aspect_ratio, pad_to_aspect_ratio)
        self.interpolation, self.fill_mode, self.fill_value = interpolation, fill_mode, fill_value
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio

    def changed(self, x: si.Array, training: bool) -> si.Array:
        if self.crop_to_aspect_ratio:
            return filled(x, self.height, self.width, self.interpolation)
        if self.pad_to_aspect_ratio:
            down = max(int(x.shape[2] * self.height / self.width) - x.shape[1], 0)
            across = max(int(x.shape[1] * self.width / self.height) - x.shape[2], 0)
            margins = [(0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)]
            x = si.pad(x, margins, constant_values=self.fill_value)
        return si.resize(x, (self.height, self.width), method=self.interpolation)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "interpolation": self.interpolation, "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio, "fill_mode": self.fill_mode, "fill_value": self.fill_value,
        }  # fmt: skip


class CenterCrop(Sized):
    """The part of pictures around their centre; smaller pictures are enlarged until they fill it.

    Parameters
    ----------
    height, width : int
        Of the result.
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
    >>> si.nn.CenterCrop(2, 2)(si.reshape(si.arange(16.0), (1, 4, 4, 1)))[0, :, :, 0]
    Array([[ 5.,  6.],
           [ 9., 10.]], dtype=float32)
    """

    def changed(self, x: si.Array, training: bool) -> si.Array:
        if x.shape[1] >= self.height and x.shape[2] >= self.width:
            return centre(x, self.height, self.width)
        return filled(x, self.height, self.width)


__all__ = ["CenterCrop", "Resizing"]
