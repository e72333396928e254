"""Pooling layers: one value for each window, or for each channel of an example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import FLAG, checked
from insitu.arguments.grids import PADDING, PER_AXIS, check_window
from insitu.nn.layers.grids import Grid
from insitu.nn.shapes import Shape


class _Pooling(Grid):
    """Windows of ``pool_size`` positions; ``strides`` (default: ``pool_size``) from one to the next."""

    @checked(pool_size=PER_AXIS, strides=PER_AXIS | None, padding=PADDING)
    def __init__(
        self, pool_size: int | Sequence[int] = 2, strides: int | Sequence[int] | None = None, padding: str = "valid",
        data_format: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format=data_format, **options)
        self.pool_size = self.per_axis("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self.per_axis("strides", strides)
        self.padding = padding

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.padding == "valid":
            check_window(self.owner, shape, self.data_format, self.pool_size, (1,) * self.rank, ((0, 0),) * self.rank)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": list(self.pool_size), "strides": list(self.strides), "padding": self.padding}


class _MaxPooling(_Pooling):
    def call(self, x: si.Array) -> si.Array:
        return si.max_pool(x, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)


class _AveragePooling(_Pooling):
    def call(self, x: si.Array) -> si.Array:
        return si.average_pool(x, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)


class MaxPooling1D(_MaxPooling):
    """The greatest value of each window of a sequence, by channel; as `MaxPooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.MaxPooling1D(2)(si.asarray([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    Array([3., 2.], dtype=float32)
    """

    rank = 1


class MaxPooling2D(_MaxPooling):
    """The greatest value of each window of a picture, by channel; the gradient goes to the first of equal ones.

    Parameters
    ----------
    pool_size : int or sequence of int
        Positions of a window on each axis.
    strides : int or sequence of int, optional
        From one window to the next; default: ``pool_size``.
    padding : {"valid", "same"}
        "same": windows over the border, so that ``ceil(n / stride)`` positions come out; outside lies nothing that could win.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other numbers or names.
    ShapeError
        On use, if the input has another rank, or is smaller than a window.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.MaxPooling2D()(si.ones((2, 9, 8, 3))).shape
    (2, 4, 4, 3)
    """

    rank = 2


class MaxPooling3D(_MaxPooling):
    """The greatest value of each window of a volume, by channel; as `MaxPooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.MaxPooling3D()(si.ones((2, 4, 9, 8, 3))).shape
    (2, 2, 4, 4, 3)
    """

    rank = 3


class AveragePooling1D(_AveragePooling):
    """The mean of each window of a sequence, by channel; as `AveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AveragePooling1D(2)(si.asarray([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    Array([2., 1.], dtype=float32)
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window of a picture, by channel; positions outside do not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        As for `MaxPooling2D`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AveragePooling2D(3, strides=2, padding="same")(si.ones((2, 9, 8, 3))).shape
    (2, 5, 4, 3)
    """

    rank = 2


class AveragePooling3D(_AveragePooling):
    """The mean of each window of a volume, by channel; as `AveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AveragePooling3D()(si.ones((2, 4, 9, 8, 3))).shape
    (2, 2, 4, 4, 3)
    """

    rank = 3


class _GlobalPooling(Grid):
    """All positions of an example as one window."""

    @checked(keepdims=FLAG)
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.keepdims = keepdims

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, x: si.Array) -> si.Array:
        return si.max(x, axis=self.position_axes, keepdims=self.keepdims)


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, x: si.Array) -> si.Array:
        return si.mean(x, axis=self.position_axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The greatest value of a sequence, by channel; as `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalMaxPooling1D()(si.ones((2, 5, 3))).shape
    (2, 3)
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The greatest value of a picture, by channel.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    keepdims : bool
        Keep the axes of positions with length 1.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalMaxPooling2D(keepdims=True)(si.ones((2, 5, 4, 3))).shape
    (2, 1, 1, 3)
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The greatest value of a volume, by channel; as `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalMaxPooling3D()(si.ones((2, 5, 4, 3, 6))).shape
    (2, 6)
    """

    rank = 3


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of a sequence, by channel; as `GlobalAveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalAveragePooling1D()(si.asarray([[[1.0], [3.0]]]))
    Array([[2.]], dtype=float32)
    """

    rank = 1


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of a picture, by channel.

    Parameters
    ----------
    data_format, keepdims
        As for `GlobalMaxPooling2D`.
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalAveragePooling2D()(si.ones((2, 5, 4, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean of a volume, by channel; as `GlobalAveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.GlobalAveragePooling3D()(si.ones((2, 5, 4, 3, 6))).shape
    (2, 6)
    """

    rank = 3


class _AdaptiveAveragePooling(Grid):
    """Windows that cut each axis into ``output_size`` parts."""

    @checked(output_size=PER_AXIS)
    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format=data_format, **options)
        self.output_size = self.per_axis("output_size", output_size)

    def call(self, x: si.Array) -> si.Array:
        return si.adaptive_average_pool(x, self.output_size, data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": list(self.output_size)}


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Means that cut a sequence of any length into ``output_size`` parts, by channel; as `AdaptiveAveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AdaptiveAveragePooling1D(2)(si.ones((2, 5, 3))).shape
    (2, 2, 3)
    """

    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Means that cut a picture of any extents into ``output_size`` parts on each axis, by channel.

    Parameters
    ----------
    output_size : int or sequence of int
        Positions that come out on each axis; part i of n positions goes from ``floor(i * n / out)`` to ``ceil((i + 1) * n / out)``.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AdaptiveAveragePooling2D((7, 7))(si.ones((2, 9, 16, 3))).shape
    (2, 7, 7, 3)
    """

    rank = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Means that cut a volume of any extents into ``output_size`` parts on each axis, by channel; as `AdaptiveAveragePooling2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.AdaptiveAveragePooling3D(2)(si.ones((2, 5, 4, 3, 6))).shape
    (2, 2, 2, 2, 6)
    """

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip
