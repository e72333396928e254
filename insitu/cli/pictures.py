"""Grey pictures in a terminal: half blocks with grey levels, or shades where there is no colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

Picture = np.ndarray[Any, Any]

_SHADES, _PLAIN_SHADES = " ░▒▓█", " .:*#"


def gallery(console: Console, pictures: Sequence[Picture], captions: Sequence[str]) -> None:
    """Print pictures side by side, as many in a row as the terminal is wide, with a caption under each.

    Parameters
    ----------
    console : rich.console.Console
    pictures : sequence of arrays, shape (height, width)
        Values from 0 (paper) to 1 (ink).
    captions : sequence of str
    """
    coloured = console.color_system is not None
    drawn = [half_blocks(p) if coloured else shades(p, _SHADES if _can_show_blocks(console) else _PLAIN_SHADES) for p in pictures]
    width = max([len(line) for lines in drawn for line in lines] + [len(c) for c in captions]) + 2
    per_row = max(1, (console.width - 2) // width)
    for start in range(0, len(drawn), per_row):
        row = drawn[start : start + per_row]
        for height in range(max(len(lines) for lines in row)):
            line = Text("  ")
            for lines in row:
                line.append_text(lines[height])
                line.append(" " * (width - len(lines[height])))
            console.print(line, overflow="crop", no_wrap=True)
        console.print("  " + "".join(f"{c:<{width}}" for c in captions[start : start + per_row]), highlight=False, markup=False)


def half_blocks(picture: Picture) -> list[Text]:
    """Two pixels per character, one above the other: the block's colour and the paper's."""
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    return [
        Text.assemble(*[("▀", Style(color=_grey(top), bgcolor=_grey(bottom))) for top, bottom in zip(upper, lower, strict=True)])
        for upper, lower in zip(picture[::2], picture[1::2], strict=True)
    ]


def shades(picture: Picture, signs: str) -> list[Text]:
    """One pixel per two characters, darker signs for more ink."""
    levels = np.clip(np.rint(picture * (len(signs) - 1)), 0, len(signs) - 1).astype(int)
    return [Text("".join(signs[v] * 2 for v in row)) for row in levels]


def _grey(ink: float) -> str:
    level = round(255 * (1 - min(max(float(ink), 0.0), 1.0)))
    return f"#{level:02x}{level:02x}{level:02x}"


def _can_show_blocks(console: Console) -> bool:
    try:
        (_SHADES + "▀").encode(console.encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
