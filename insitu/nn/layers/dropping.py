"""Dropout of whole channels: SpatialDropout1D, SpatialDropout2D, SpatialDropout3D."""

from __future__ import annotations

from typing import Any

from insitu.arguments import checked
from insitu.nn.layers.grids import Grid
from insitu.nn.layers.noise import Dropout
from insitu.nn.shapes import Shape


class _SpatialDropout(Dropout, Grid):
    """One draw for each channel of each example."""

    @checked()
    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, None, seed, data_format=data_format, **options)
        mask: list[int | None] = [None, *[1] * self.rank, 1]
        mask[self.channel_axis] = None
        self.noise_shape = tuple(mask)

    def check_input(self, shape: Shape) -> None:
        Grid.check_input(self, shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config


class SpatialDropout1D(_SpatialDropout):
    """In training, channels of sequences become 0 with probability ``rate``, and the others grow by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        From 0 to below 1.
    seed : int, optional
        Of the layer's own generator; default: from `insitu.random.seed`.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If the rate is out of its range.
    ShapeError
        On use, if the input has another rank.

    Examples
    --------
    >>> import insitu as si
    >>> y = si.nn.SpatialDropout1D(0.5, seed=0)(si.ones((1, 3, 100)), training=True)
    >>> bool(si.all(y == y[:, :1])), sorted(set(y[0, 0].tolist()))
    (True, [0.0, 2.0])
    """

    rank = 1

    @checked()
    def __init__(self, rate: float, seed: int | None = None, data_format: str | None = None, **options: Any) -> None:
        super().__init__(rate, data_format, seed, **options)


class SpatialDropout2D(_SpatialDropout):
    """In training, channels of pictures become 0 with probability ``rate``, and the others grow by ``1 / (1 - rate)``.

    Neighbours in a picture say much the same, so that dropping single ones would hide little.

    Parameters
    ----------
    rate, data_format, seed
        As for `SpatialDropout1D`.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `SpatialDropout1D`.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.SpatialDropout2D(0.5)(si.ones((1, 1, 1, 2)))
    Array([[[[1., 1.]]]], dtype=float32)
    """

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """In training, channels of volumes become 0 with probability ``rate``; as `SpatialDropout2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.SpatialDropout3D(0.5)(si.ones((2, 2, 2, 2, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank = 3


__all__ = ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]
