"""Pictures in a terminal: half blocks with colours, or shades where there is no colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from insitu.arguments import ARRAYS, FLAG, TEXT, Instance, Several, checked
from insitu.data.examples import numpy_array
from insitu.errors import ShapeError

Picture = np.ndarray[Any, Any]
CONSOLE = Instance(Console, "a console of rich")

#: Signs for more and more ink: of positive numbers, and of negative ones; where blocks can be shown, and where not.
_INK, _OTHER_INK = " ░▒▓█", " ·-=≡"
_PLAIN_INK, _OTHER_PLAIN_INK = " :+*#", " .~-="
_BLUE, _RED, _GREY = np.array([33, 102, 172]), np.array([178, 24, 43]), np.array([128, 128, 128])


@checked(console=CONSOLE, pictures=ARRAYS, captions=Several(TEXT, least=0), signed=FLAG)
def gallery(console: Console, pictures: Sequence[Picture], captions: Sequence[str], signed: bool = False) -> None:
    """Print pictures side by side, as many in a row as the terminal is wide, with a caption under each.

    Pictures that are wider than the terminal are shown smaller, by means of neighbours.

    Parameters
    ----------
    console : rich.console.Console
    pictures : sequence of arrays, shape (height, width)
        Values from 0 (paper) to 1 (ink); with ``signed``, from -1 (blue) over 0 (white) to 1 (red). Numbers that are not finite
        are grey, or "??".
    captions : sequence of str
    signed : bool

    Raises
    ------
    ShapeError
        If a picture has not two axes.

    Examples
    --------
    >>> from rich.console import Console
    >>> gallery(Console(width=40), [np.eye(2), np.ones((2, 2))], ["eye", "ones"])
      ██    ████
        ██  ████
      eye   ones
    """
    if not len(pictures):
        return
    pictures = [np.asarray(numpy_array(p, "gallery", "pictures")) for p in pictures]
    if any(p.ndim != 2 or not p.size or p.dtype.kind not in "biuf" for p in pictures):
        raise ShapeError(
            "gallery: the pictures are no matrices of numbers.",
            expected="arrays of shape (height, width)",
            received=", ".join(f"{p.shape} {p.dtype}" for p in pictures[:5]),
            fix="choose one channel of each picture: x[..., 0]",
            slug="pictures-shape",
            argument="pictures",
        )
    room = max(console.width - 2, 1)
    if _has_colours(console):
        drawn = [half_blocks(_shrunk(p, room), signed) for p in pictures]
    else:
        blocks = _can_show(console, _INK + _OTHER_INK)
        drawn = [shades(_shrunk(p, room // 2), blocks) for p in pictures]
    width = max([len(line) for lines in drawn for line in lines] + [len(c) for c in captions]) + 2
    per_row = max(1, (room + 2) // width)
    per_row = math.ceil(len(drawn) / math.ceil(len(drawn) / per_row))  # rows of about one length
    rows: list[Text] = []
    for start in range(0, len(drawn), per_row):
        row = drawn[start : start + per_row]
        for height in range(max(len(lines) for lines in row)):
            line = Text("  ")
            for lines in row:
                line.append_text(lines[height] if height < len(lines) else Text())
                line.append(" " * (width - (len(lines[height]) if height < len(lines) else 0)))
            line.rstrip()
            rows.append(line)
        rows.append(Text("  " + "".join(f"{c:<{width}}" for c in captions[start : start + per_row]).rstrip()))
    # printed at once, so that a notebook shows it as one output without gaps
    console.print(Text("\n").join(rows), overflow="crop", no_wrap=True, crop=True, highlight=False)


@checked(console=CONSOLE)
def legend(console: Console) -> tuple[str, str]:
    """What stands for positive numbers and what for negative ones in a gallery that is ``signed``.

    Examples
    --------
    >>> from rich.console import Console
    >>> legend(Console(color_system=None))
    ('░▒▓█', '·-=≡')
    """
    if _has_colours(console):
        return "red", "blue"
    blocks = _can_show(console, _INK + _OTHER_INK)
    return (_INK if blocks else _PLAIN_INK)[1:], (_OTHER_INK if blocks else _OTHER_PLAIN_INK)[1:]


def half_blocks(picture: Picture, signed: bool = False) -> list[Text]:
    """Two pixels per character, one above the other: the block's colour and the paper's."""
    colours = coloured(picture) if signed else _greys(picture)
    rows = []
    for k in range(0, len(colours), 2):
        lower = [_name(c) for c in colours[k + 1]] if k + 1 < len(colours) else [None] * len(colours[k])
        rows.append(Text.assemble(*[("▀", Style(color=_name(a), bgcolor=b)) for a, b in zip(colours[k], lower, strict=True)]))
    return rows


def shades(picture: Picture, blocks: bool) -> list[Text]:
    """One pixel per two characters, darker signs for more ink."""
    ink, other = (_INK, _OTHER_INK) if blocks else (_PLAIN_INK, _OTHER_PLAIN_INK)
    levels = np.rint(np.clip(np.nan_to_num(np.abs(picture)), 0, 1) * (len(ink) - 1)).astype(int)
    return [
        Text("".join((other if v < 0 else ink)[n] * 2 if np.isfinite(v) else "??" for v, n in zip(row, line, strict=True)))
        for row, line in zip(picture, levels, strict=True)
    ]


def coloured(picture: Picture) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Colours, shape (..., 3): white at 0, blue at -1, red at 1, grey for what is not finite."""
    finite = np.isfinite(picture)
    values = np.clip(np.where(finite, picture, 0), -1, 1)[..., None]
    mixed = 255 + (np.where(values < 0, _BLUE, _RED) - 255) * np.abs(values)
    return np.asarray(np.rint(np.where(finite[..., None], mixed, _GREY)), np.uint8)


def _greys(picture: Picture) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Colours: white at 0, black at 1."""
    finite = np.isfinite(picture)
    levels = np.where(finite, 255 * (1 - np.clip(np.where(finite, picture, 0), 0, 1)), 128)
    return np.repeat(np.asarray(np.rint(levels), np.uint8)[..., None], 3, -1)


def _name(colour: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _shrunk(picture: Picture, width: int) -> Picture:
    """The picture, or means of its squares of a whole size where it is wider than ``width``."""
    size = -(-picture.shape[1] // max(width, 1))
    if size <= 1:
        return picture
    padded = np.pad(picture, [(0, -n % size) for n in picture.shape], mode="edge")
    tall, wide = (n // size for n in padded.shape)
    return np.asarray(padded.reshape(tall, size, wide, size).mean((1, 3)))


def _has_colours(console: Console) -> bool:
    """Whether there are enough colours to tell weights by; 16 are not."""
    return console.color_system in ("256", "truecolor") and not console.no_color and _can_show(console, "▀")


def _can_show(console: Console, signs: str) -> bool:
    try:
        signs.encode(console.encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
