"""Constraints of grids: sequences, pictures and volumes with channels. Functions of arrays and layers check by the same ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from insitu.arguments.kinds import REFUSED, Choice, Constraint, Whole, written
from insitu.errors import ArgumentError, ShapeError, many_axes

#: Widths before and after, for each axis of positions.
Pairs = tuple[tuple[int, int], ...]

#: What a batch of grids is called, and its axes of positions, by their number.
NOUNS = {1: "sequences", 2: "images", 3: "volumes"}
POSITIONS = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}


class Padding(Choice):
    """Padding by its name, in capitals too, as in Keras; taken in small letters."""

    def __init__(self, *allowed: str, slug: str, fix: str) -> None:
        super().__init__(*allowed, slug=slug, fix=fix)
        self.borders = ["full", "sames", ""]

    def take(self, value: Any) -> Any:
        return super().take(value.lower() if isinstance(value, str) else value)

    def __str__(self) -> str:
        return super().__str__().replace('"causal"', 'for sequences "causal"')


#: Where the channels stand: last, also for None, or behind the batch.
FORMAT = Choice("channels_last", "channels_first") | None
PADDING = Padding("valid", "same", slug="conv-padding", fix='padding="same" keeps the extents, padding="valid" adds nothing')
#: With one axis of positions there is also padding before it only.
CAUSAL = Padding(*PADDING.allowed, "causal", slug="conv-padding", fix=PADDING.remedy)
#: More of it would leave the numbers that kernels count positions with.
_WIDTH = Whole(0, 2**31 - 1)


class PerAxis(Constraint):
    """A whole number for all axes of positions, or a tuple or list with one for each; taken as a tuple.

    A declaration has rank 0, for as many axes as there are: who knows their number checks by `per_axis`.
    """

    slug = "conv-per-axis"
    inside = True
    fits = (2, 1)
    borders = (0, (0,), (2.0,), "2", [[2]], (None,), (2, 2, 2, 2), [2], (2, 3), (2, 3, 4))

    def __init__(self, least: int = 1, rank: int = 0) -> None:
        self.number, self.rank = Whole(least), rank

    def take(self, value: Any) -> Any:
        found = tuple([self.number.take(v) for v in _for_each(value, self.rank)])
        return found if _fits(len(found), self.rank) and REFUSED not in found else REFUSED

    def __str__(self) -> str:
        many = f"of {self.rank} of them" if self.rank > 1 else "of one" if self.rank else "with one for each axis of positions"
        return f"{self.number}, or a tuple {many}"

    def fix(self, argument: str, value: Any) -> str:
        usual = self.number.smallest + 1
        each = f", or one for each axis: {argument}={(usual,) * self.rank}" if self.rank > 1 else ""
        return f"pass {argument}={usual}{each}"


PER_AXIS = PerAxis()


class Frame(Constraint):
    """Widths before and after: a number for all axes of positions, or for each a number or a pair (before, after); taken as pairs.

    A declaration has rank 0, as of `PerAxis`; see `frame`.
    """

    slug = "grid-frame"
    inside = True
    fits = (1, 0)
    borders = (-1, (1, -1), (1.5, 2), ((1, 2),), ((1, 2), (3, 4)), (1, 2), ((1, 2, 3), 1), "11", [None], [[1, 2], [0, 0], [3, 0]])

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank

    def take(self, value: Any) -> Any:
        each = _for_each(value, self.rank)
        if self.rank == 1 and len(each) == 2:  # the pair alone
            each = (each,)
        pairs = tuple([tuple([_WIDTH.take(w) for w in _for_each(v, 2)]) for v in each])
        return pairs if _fits(len(pairs), self.rank) and all(len(p) == 2 and REFUSED not in p for p in pairs) else REFUSED

    def __str__(self) -> str:
        pair = "a pair (before, after)" if self.rank == 1 else "for each axis a number or a pair (before, after)"
        return f"a whole number that is not negative, or {pair}"


def _for_each(value: Any, count: int) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,) * max(count, 1)


def _fits(count: int, rank: int) -> bool:
    return count == rank if rank else count in POSITIONS


@functools.cache
def per_axis(rank: int, least: int = 1) -> PerAxis:
    """`PerAxis` for a number of axes."""
    return PerAxis(least, rank)


@functools.cache
def frame(rank: int) -> Frame:
    """`Frame` for a number of axes."""
    return Frame(rank)


@functools.cache
def around(rank: int = 0) -> Constraint:
    """Padding by a name, or by numbers as `frame` takes them."""
    return (CAUSAL if rank < 2 else PADDING) | Frame(rank)


# -- shapes ------------------------------------------------------------------------------------------
def axes_of(rank: int, data_format: str | None, batch: bool = True) -> str:
    """The axes of a grid by their names.

    Examples
    --------
    >>> axes_of(2, "channels_first", batch=False)
    '(channels, height, width)'
    """
    inner = ["channels", *POSITIONS[rank]] if data_format == "channels_first" else [*POSITIONS[rank], "channels"]
    return f"({', '.join(['batch', *inner] if batch else inner)})"


def position_axes(rank: int, data_format: str | None) -> tuple[int, ...]:
    """The axes of a grid's positions.

    Examples
    --------
    >>> position_axes(2, "channels_first")
    (2, 3)
    """
    first = 2 if data_format == "channels_first" else 1
    return tuple(range(first, first + rank))


def check_rank(owner: str, shape: Sequence[int | None], data_format: str | None, ranks: Sequence[int] = tuple(POSITIONS)) -> int:
    """The number of axes of positions of a grid, which must be one of ``ranks``.

    Raises
    ------
    ShapeError
        If the array has too few or too many axes.
    """
    if len(shape) - 2 in ranks:
        return len(shape) - 2
    rank = min(ranks, key=lambda r: abs(r + 2 - len(shape)))
    wanted = axes_of(rank, data_format, batch=False)
    fix = f"give each example the shape {wanted}, by si.reshape or a Reshape layer"
    if len(shape) == rank + 1:
        first = data_format == "channels_first"
        fix = f"add a channel axis: x[{':, None' if first else '..., None'}]  →  "
        fix += written((shape[0], 1, *shape[1:]) if first else (*shape, 1))
        if rank > 1 and not first and shape[-1] in (1, 3, 4):
            fix += f"; but if x is one of the {NOUNS[rank]}, a batch axis: x[None]"
    elif len(shape) - 2 in POSITIONS:
        fix = f"use the layer for {NOUNS[len(shape) - 2]}, or {fix}"
    raise ShapeError(
        f"{owner} needs {NOUNS[rank]} of shape {wanted}, but each example has shape {tuple(shape[1:])}.",
        expected=f"{axes_of(rank, data_format)}, {rank + 2} axes",
        received=f"{written(shape)}, {many_axes(len(shape))}",
        fix=fix,
        slug="conv-input-rank",
        argument="x",
    )


def check_window(
    owner: str, shape: Sequence[int | None], data_format: str | None, window: Sequence[int], dilation: Sequence[int], padding: Pairs
) -> None:
    """Check that a window fits into a padded grid at least once. A grid without positions has no windows, and may be small.

    Raises
    ------
    ShapeError
        If it does not.
    """
    for axis, size, apart, added in zip(position_axes(len(window), data_format), window, dilation, padding, strict=True):
        reach, have = apart * (size - 1) + 1, shape[axis]
        if have and have + sum(added) < reach:
            raise ShapeError(
                f"{owner}: the window covers {reach} positions, but axis {axis} of the input has {have + sum(added)}"
                f"{' with its padding' * any(added)}.",
                expected=f"at least {reach} positions on axis {axis}",
                received=f"{written(shape)}, window {tuple(window)}" + (f", dilation {tuple(dilation)}" if max(dilation) > 1 else ""),
                fix='use a smaller window, larger pictures, or padding="same"',
                slug="conv-window",
                argument="x",
            )


def check_proportions(owner: str, crop: bool, pad: bool) -> None:
    """Check that pictures are not to keep their proportions in two ways.

    Raises
    ------
    ArgumentError
        If they are.
    """
    if crop and pad:
        raise ArgumentError(
            f"{owner}: pictures keep their proportions by cutting or by margins, not by both.",
            expected="crop_to_aspect_ratio=True or pad_to_aspect_ratio=True",
            received="both",
            fix="leave one of them out",
            slug="image-proportions",
            argument="pad_to_aspect_ratio=",
        )


def check_output_padding(owner: str, value: Any, strides: Sequence[int]) -> tuple[int, ...] | None:
    """The positions at the end of a transposed convolution, for each axis; None stays.

    Raises
    ------
    ArgumentError
        If they are no numbers, or not smaller than the strides.
    """
    if value is None:
        return None
    found: tuple[int, ...] = per_axis(len(strides), 0).check(owner, "output_padding", value)
    for more, step in zip(found, strides, strict=True):
        if more >= step:
            raise ArgumentError(
                f"{owner}: output_padding must be smaller than the stride {step}.",
                expected=f"0 to {step - 1}",
                received=f"output_padding={value!r}",
                fix="leave output_padding out",
                slug="conv-output-padding",
                argument="output_padding=",
            )
    return found
