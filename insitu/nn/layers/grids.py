"""What layers for grids share: sequences, pictures and volumes with channels. Where these stand, and numbers for each axis of positions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import insitu as si
from insitu.arguments import REFUSED, Choice, Constraint, Whole
from insitu.errors import ShapeError
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape, written

#: What a batch of grids is called, and its axes of positions, by their number.
NOUNS = {1: "sequences", 2: "images", 3: "volumes"}
POSITIONS = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}

#: Where the channels stand: last, or behind the batch.
FORMAT = Choice("channels_last", "channels_first")
PADDING = Choice("valid", "same", slug="conv-padding", fix='padding="same" keeps the extents, padding="valid" adds nothing')


class PerAxis(Constraint):
    """A whole number for all axes of positions, or a tuple or list with one for each (``rank`` 0: for as many as there are)."""

    slug = "conv-per-axis"
    fits = (2, 1)
    borders = (0, (0,), (2.0,), "2", [[2]], (None,), (2, 2, 2, 2), [2], (2, 3), (2, 3, 4))

    def __init__(self, least: int = 1, rank: int = 0) -> None:
        self.least, self.rank = least, rank

    def take(self, value: Any) -> Any:
        number = Whole(self.least)
        if not isinstance(value, list | tuple):
            found = number.take(value)
            return (found,) * self.rank if self.rank and found is not REFUSED else found
        each = tuple([number.take(v) for v in value])
        good = len(each) == self.rank if self.rank else 1 <= len(each) <= 3
        return each if good and REFUSED not in each else REFUSED

    def __str__(self) -> str:
        many = f"a tuple of {self.rank} of them" if self.rank != 1 else "a tuple of one"
        return f"a whole number of at least {self.least}, or {many if self.rank else 'a tuple with one for each axis of positions'}"


class Frame(Constraint):
    """Widths before and after: a number for all axes of positions, or for each axis a number or a pair (before, after)."""

    slug = "grid-frame"
    fits = (1, 0)
    borders = (-1, (1, -1), (1.5, 2), ((1, 2),), ((1, 2), (3, 4)), (1, 2), ((1, 2, 3), 1), "11", [None], [[1, 2], [0, 0], [3, 0]])

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank

    def take(self, value: Any) -> Any:
        found = Whole(0).take(value)
        if found is not REFUSED:
            return ((found, found),) * self.rank if self.rank else found
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 3:
            return REFUSED
        pairs = tuple([_pair(v) for v in value])
        if REFUSED in pairs or not self.rank:
            return REFUSED if REFUSED in pairs else value
        if self.rank == 1 and len(value) == 2:
            return (tuple(value),) if all(Whole(0).take(v) is not REFUSED for v in value) else REFUSED
        return pairs if len(pairs) == self.rank else REFUSED

    def __str__(self) -> str:
        if self.rank == 1:
            return "a whole number that is not negative, or a pair (before, after)"
        return "a whole number that is not negative, or for each axis of positions a number or a pair (before, after)"


def _pair(value: Any) -> Any:
    number = Whole(0)
    if isinstance(value, list | tuple):
        both = tuple([number.take(v) for v in value])
        return both if len(both) == 2 and REFUSED not in both else REFUSED
    found = number.take(value)
    return found if found is REFUSED else (found, found)


PER_AXIS, FRAME = PerAxis(), Frame()


class Grid(Layer):
    """A layer for grids with ``rank`` axes of positions."""

    rank: ClassVar[int] = 2
    data_format: str = "channels_last"

    def each(self, argument: str, value: Any, kind: Constraint) -> Any:
        """A value for each axis of positions, by `PerAxis` or `Frame` of this layer's rank."""
        return kind.check(f'{type(self).__name__} "{self.name}"', argument, value)

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return 1 if self.data_format == "channels_first" else self.rank + 1

    @property
    def position_axes(self) -> tuple[int, ...]:
        """The axes of the positions."""
        first = 2 if self.data_format == "channels_first" else 1
        return tuple(range(first, first + self.rank))

    def check_input(self, shape: Shape) -> None:
        check_rank(self, shape, (self.rank,), self.data_format)

    def along_channels(self, x: si.Array) -> si.Array:
        """One number for each channel, so shaped that it broadcasts with a grid."""
        return si.reshape(x, (x.shape[0], *[1] * self.rank)) if self.data_format == "channels_first" else x


def axes_of(rank: int, data_format: str, batch: bool = True) -> str:
    """The axes of a grid by their names.

    Examples
    --------
    >>> axes_of(2, "channels_first", batch=False)
    '(channels, height, width)'
    """
    inner = [*POSITIONS[rank], "channels"] if data_format == "channels_last" else ["channels", *POSITIONS[rank]]
    return f"({', '.join(['batch', *inner] if batch else inner)})"


def check_rank(layer: Layer, shape: Shape, ranks: Sequence[int], data_format: str) -> None:
    """Check that a layer gets grids of one of these ranks.

    Raises
    ------
    ShapeError
        If the input has another number of axes.
    """
    if len(shape) - 2 in ranks:
        return
    rank = min(ranks, key=lambda r: abs(r + 2 - len(shape)))
    raise ShapeError(
        f'{type(layer).__name__} "{layer.name}" needs {NOUNS[rank]} of shape {axes_of(rank, data_format, batch=False)}, '
        f"but each example has shape {tuple(shape[1:])}.",
        expected=f"{axes_of(rank, data_format)}, {rank + 2} axes",
        received=f"{written(shape)}, {len(shape)} ax{'i' if len(shape) == 1 else 'e'}s",
        fix=_rank_fix(shape, rank, data_format),
        slug="conv-input-rank",
        argument="x",
    )


def _rank_fix(shape: Shape, rank: int, data_format: str) -> str:
    if len(shape) == rank + 1:
        if data_format == "channels_last":
            return f"add a channel axis: x[..., None]  →  {written((*shape, 1))}"
        return f"add a channel axis: x[:, None]  →  {written((shape[0], 1, *shape[1:]))}"
    if len(shape) > rank + 2:
        return "use the layer for that many axes, or merge axes with Reshape"
    return f"give each example the shape {axes_of(rank, data_format, batch=False)}: add Reshape(...) before this layer"


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
        f'{type(layer).__name__} "{layer.name}" was built for {channels} channel{"s" * (channels != 1)}, but this input has {have}.',
        expected=axes_of(layer.rank, layer.data_format).replace("channels", str(channels)),
        received=written(shape),
        fix=f'the channels seem to stand elsewhere: {type(layer).__name__}(..., data_format="{turned}")'
        if shape[other] == channels
        else f"pass {NOUNS[layer.rank]} with {channels} channel{'s' * (channels != 1)}, or build a new model",
        slug="conv-input-channels",
        argument="x",
    )


def check_window(layer: Grid, shape: Shape, window: Sequence[int], dilation: Sequence[int]) -> None:
    """Check that a window fits into a grid without padding at least once.

    Raises
    ------
    ShapeError
        If it does not.
    """
    for axis, size, apart in zip(layer.position_axes, window, dilation, strict=True):
        reach, have = apart * (size - 1) + 1, shape[axis]
        if have is not None and have < reach:
            raise ShapeError(
                f'{type(layer).__name__} "{layer.name}": the window covers {reach} positions, but axis {axis} of the input has {have}.',
                expected=f"at least {reach} positions on axis {axis}",
                received=f"{written(shape)}, window {tuple(window)}" + (f", dilation {tuple(dilation)}" if max(dilation) > 1 else ""),
                fix='use a smaller window, larger pictures, or padding="same"',
                slug="conv-window",
                argument="x",
            )


@functools.cache
def per_axis(rank: int, least: int = 1) -> PerAxis:
    """`PerAxis` for a number of axes."""
    return PerAxis(least, rank)


@functools.cache
def frame(rank: int) -> Frame:
    """`Frame` for a number of axes."""
    return Frame(rank)
