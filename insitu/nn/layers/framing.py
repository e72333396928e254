"""Layers that change the extents of grids: ZeroPadding, Cropping, UpSampling."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import Choice, checked, written
from insitu.arguments.grids import PER_AXIS, Frame, Pairs, frame
from insitu.errors import ShapeError
from insitu.nn.layers.grids import Grid
from insitu.nn.shapes import Shape


class _Framing(Grid):
    """Widths before and after each axis of positions; 1 axis has one pair."""

    def framed(self, widths: Pairs, ndim: int) -> list[tuple[int, int]]:
        """A pair for each axis of a batch."""
        made = [(0, 0)] * ndim
        for axis, pair in zip(self.position_axes, widths, strict=True):
            made[axis] = pair
        return made

    def listed(self, widths: Pairs) -> list[Any]:
        """Widths as they stand in a configuration."""
        return list(widths[0]) if self.rank == 1 else [list(pair) for pair in widths]


class _ZeroPadding(_Framing):
    @checked(padding=Frame())
    def __init__(self, padding: Any = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.padding: Pairs = frame(self.rank).check(self.owner, "padding", padding)

    def call(self, x: si.Array) -> si.Array:
        return si.pad(x, self.framed(self.padding, x.ndim))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.listed(self.padding)}


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the steps of sequences.

    Parameters
    ----------
    padding : int or (int, int)
        How many on both sides, or before and after.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ZeroPadding1D((2, 0))(si.ones((1, 2, 1)))[0, :, 0]
    Array([0., 0., 1., 1.], dtype=float32)
    """

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Zeros around pictures.

    Parameters
    ----------
    padding : int or sequence
        One number for all sides, or for height and width each a number or a pair (before, after).
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other widths.
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ZeroPadding2D(((1, 0), 2))(si.ones((1, 4, 4, 3))).shape
    (1, 5, 8, 3)
    """

    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes; as `ZeroPadding2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.ZeroPadding3D()(si.ones((1, 4, 4, 4, 3))).shape
    (1, 6, 6, 6, 3)
    """

    rank = 3


class _Cropping(_Framing):
    @checked(cropping=Frame())
    def __init__(self, cropping: Any = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.cropping: Pairs = frame(self.rank).check(self.owner, "cropping", cropping)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        for axis, (before, after) in zip(self.position_axes, self.cropping, strict=True):
            have = shape[axis]
            if have is not None and before + after >= have:
                raise ShapeError(
                    f"{self.owner} takes {before + after} positions off axis {axis}, which has {have}.",
                    expected=f"more than {before + after} positions on axis {axis}",
                    received=written(shape),
                    fix="crop less, or pass larger grids",
                    slug="cropping-extent",
                    argument="x",
                )

    def call(self, x: si.Array) -> si.Array:
        pairs = self.framed(self.cropping, x.ndim)
        return x[tuple([slice(a, n - b) for (a, b), n in zip(pairs, x.shape, strict=True)])]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.listed(self.cropping)}


class Cropping1D(_Cropping):
    """Sequences without some of their first and last steps.

    Parameters
    ----------
    cropping : int or (int, int)
        How many on both sides, or before and after.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if nothing would be left.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Cropping1D((1, 0))(si.asarray([[[1.0], [2.0], [3.0]]]))[0, :, 0]
    Array([2., 3.], dtype=float32)
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), data_format: str | None = None, **options: Any) -> None:
        super().__init__(cropping, data_format, **options)


class Cropping2D(_Cropping):
    """Pictures without some of their border.

    Parameters
    ----------
    cropping : int or sequence
        One number for all sides, or for height and width each a number or a pair (before, after).
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other widths.
    ShapeError
        On use, if the input has another rank, or nothing would be left.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Cropping2D(((1, 0), 2))(si.ones((1, 8, 8, 3))).shape
    (1, 7, 4, 3)
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **options: Any) -> None:
        super().__init__(cropping, data_format, **options)


class Cropping3D(_Cropping):
    """Volumes without some of their border; as `Cropping2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Cropping3D()(si.ones((1, 8, 7, 6, 3))).shape
    (1, 6, 5, 4, 3)
    """

    rank = 3


class _UpSampling(Grid):
    @checked(size=PER_AXIS, interpolation=Choice("nearest", "bilinear"))
    def __init__(self, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest", **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.size, self.interpolation = self.per_axis("size", size), interpolation

    def call(self, x: si.Array) -> si.Array:
        extents = [x.shape[axis] * times for axis, times in zip(self.position_axes, self.size, strict=True)]
        return si.resize(x, extents, method=self.interpolation, data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "interpolation": self.interpolation}


class UpSampling1D(_UpSampling):
    """Sequences made longer by a whole factor; as `UpSampling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.UpSampling1D(2)(si.asarray([[[1.0], [2.0]]]))[0, :, 0]
    Array([1., 1., 2., 2.], dtype=float32)
    """

    rank = 1


class UpSampling2D(_UpSampling):
    """Pictures made larger by whole factors.

    Parameters
    ----------
    size : int or sequence of int
        The factors of height and width.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    interpolation : {"nearest", "bilinear"}
        As the methods of `insitu.resize`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other factors or names.
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.UpSampling2D((1, 3), interpolation="bilinear")(si.ones((1, 4, 4, 3))).shape
    (1, 4, 12, 3)
    """

    rank = 2


class UpSampling3D(_UpSampling):
    """Volumes made larger by whole factors; as `UpSampling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.UpSampling3D()(si.ones((1, 4, 4, 2, 3))).shape
    (1, 8, 8, 4, 3)
    """

    rank = 3


__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D",
]  # fmt: skip
