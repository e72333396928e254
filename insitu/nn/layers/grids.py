"""What layers for grids share: sequences, pictures and volumes with channels."""

from __future__ import annotations

from typing import Any, ClassVar

import insitu as si
from insitu.arguments import checked, written
from insitu.arguments.grids import FORMAT, NOUNS, axes_of, check_rank, per_axis, position_axes
from insitu.errors import ShapeError
from insitu.nn.layer import OneInput
from insitu.nn.shapes import Shape


class Grid(OneInput):
    """A layer for grids with ``rank`` axes of positions."""

    rank: ClassVar[int] = 2

    @checked(data_format=FORMAT)
    def __init__(self, *, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format or "channels_last"

    @property
    def owner(self) -> str:
        """Who speaks in errors."""
        return f'{type(self).__name__} "{self.name}"'

    def per_axis(self, argument: str, value: Any) -> tuple[int, ...]:
        """An argument for each axis of positions."""
        found: tuple[int, ...] = per_axis(self.rank).check(self.owner, argument, value)
        return found

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return 1 if self.data_format == "channels_first" else self.rank + 1

    @property
    def position_axes(self) -> tuple[int, ...]:
        """The axes of the positions."""
        return position_axes(self.rank, self.data_format)

    def check_input(self, shape: Shape) -> None:
        check_rank(self.owner, shape, self.data_format, (self.rank,))

    def along_channels(self, x: si.Array) -> si.Array:
        """One number for each channel, so shaped that it broadcasts with a grid."""
        return si.reshape(x, (x.shape[0], *[1] * self.rank)) if self.data_format == "channels_first" else x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


def check_channels(layer: Grid, shape: Shape, channels: int | None) -> None:
    """Check that the input has the number of channels that the layer was built for (None: any).

    Raises
    ------
    ShapeError
        If it has another one.
    """
    have = shape[layer.channel_axis]
    if channels is None or have is None or have == channels:
        return
    other = 1 if layer.data_format == "channels_last" else layer.rank + 1
    turned = "channels_first" if layer.data_format == "channels_last" else "channels_last"
    raise ShapeError(
        f"{layer.owner} was built for {channels} channel{'s' * (channels != 1)}, but this input has {have}.",
        expected=axes_of(layer.rank, layer.data_format).replace("channels", str(channels)),
        received=written(shape),
        fix=f'the channels seem to stand elsewhere: {type(layer).__name__}(..., data_format="{turned}")'
        if shape[other] == channels
        else f"pass {NOUNS[layer.rank]} with {channels} channel{'s' * (channels != 1)}, or build a new model",
        slug="conv-input-channels",
        argument="x",
    )
