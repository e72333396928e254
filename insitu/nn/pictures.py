"""Pictures in a terminal and as PNG: digits in grey, weights in blue and red; which hidden nodes speak for a class.

In a terminal they are half blocks with colours, or shades where there is no colour.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.text import Text

from insitu.errors import ArgumentError, FileFormatError, ShapeError

if TYPE_CHECKING:
    from insitu.nn.layer import Layer
    from insitu.nn.model import Model

Picture = np.ndarray[Any, Any]

_SHADES, _PLAIN_SHADES = " ░▒▓█", " .:*#"
_BLUE, _RED = np.array([33, 102, 172]), np.array([178, 24, 43])
#: Edge of a pixel in a PNG file, in its pixels.
_ZOOM = 8


class Contribution(NamedTuple):
    """What a hidden node adds to the score of a class: the mean of activation times weight over the examples."""

    node: int
    value: float


def plot(
    layer: Layer, path: Any = None, units: Sequence[int] | None = None, input_shape: Sequence[int] | None = None, columns: int | None = None,
    show: bool = True,
) -> list[Picture]:  # fmt: skip
    """Show a layer's weights as pictures, one for each unit: red adds to the unit, blue takes away.

    Parameters
    ----------
    layer : Layer
        With a kernel: (features, units), or (height, width, channels, filters) of which the mean over the channels is shown.
    path : str or path, optional
        A PNG file to write as well; needs Pillow (``pip install insitu[images]``).
    units : sequence of int, optional
        Which units; default: all.
    input_shape : (int, int), optional
        Rows and columns of a picture; default: the one nearest to a square.
    columns : int, optional
        Pictures in a row of the file; default: about as many as rows.
    show : bool
        Whether to print them.

    Returns
    -------
    list of numpy.ndarray
        The pictures, each scaled so that its largest weight is 1.

    Raises
    ------
    ArgumentError
        If the layer has no such kernel, a unit does not exist, or Pillow is missing.
    ShapeError
        If the weights of a unit do not fill the shape.
    FileFormatError
        If the file cannot be written.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.nn.Sequential([si.nn.Input((64,)), si.nn.Dense(3)])
    >>> [p.shape for p in model.layers[0].plot(show=False)]
    [(8, 8), (8, 8), (8, 8)]
    """
    found = _weights_as_pictures(layer, units, input_shape)
    numbers = range(len(found)) if units is None else units
    if show:
        gallery(Console(), found, [str(n) for n in numbers], signed=True)
    if path is not None:
        save(path, found, columns)
    return found


def contributions(model: Model, x: Any, cls: int, top: int = 5) -> list[Contribution]:
    """The nodes of the last hidden layer that contribute most to a class, over examples.

    Parameters
    ----------
    model : Model
        Ends in a Dense layer that follows the hidden one.
    x : array_like, shape (examples, ...)
        Such as all examples of the class.
    cls : int
        Number of the class.
    top : int
        How many nodes.

    Returns
    -------
    list of Contribution
        The largest first.

    Raises
    ------
    ArgumentError
        If the model does not end so, or has no such class.

    Examples
    --------
    >>> import insitu as si
    >>> (x, y), _ = si.data.digits()
    >>> model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(4, activation="relu"), si.nn.Dense(10)])
    >>> model.build((None, 8, 8))
    >>> len(contributions(model, x[y == 3], 3, top=2))
    2
    """
    import insitu as si
    from insitu.nn.layers import Dense

    dense = [layer for layer in model.layers if isinstance(layer, Dense)]
    if len(dense) < 2 or dense[-1] is not model.layers[-1] or dense[-1].kernel is None:
        raise ArgumentError(
            f'contributions: the model "{model.name}" does not end in a hidden and an output layer.',
            expected="a built model whose last layer is Dense, with another Dense before it",
            received=", ".join(type(layer).__name__ for layer in model.layers) or "no layers",
            fix="pass a model such as Sequential([Flatten(), Dense(25, activation='sigmoid'), Dense(10)])",
            slug="pictures-model",
        )
    kernel = dense[-1].kernel.numpy()
    if not 0 <= cls < kernel.shape[1]:
        raise ArgumentError(
            f"contributions: there is no class {cls}.",
            expected=f"a number from 0 to {kernel.shape[1] - 1}",
            received=repr(cls),
            fix="pass the number of a class",
            slug="pictures-unit",
            argument="cls=",
        )
    hidden = si.asarray(x)
    for layer in model.layers[:-1]:
        hidden = layer(hidden, training=False)
    values = np.asarray(hidden).mean(0) * kernel[:, cls]
    return [Contribution(int(i), float(values[i])) for i in np.argsort(-values, kind="stable")[:top]]


def plot_contributions(model: Model, x: Any, cls: int, top: int = 5, input_shape: Sequence[int] | None = None) -> list[Contribution]:
    """Show the hidden nodes that contribute most to a class as pictures; arguments as for `contributions`.

    A node's picture is its weights; behind further Dense layers it is the product of their kernels up to the node, that is
    what it looks for where all nodes before it are active.
    """
    from insitu.nn.layers import Dense

    found = contributions(model, x, cls, top)
    kernels = [layer.kernel.numpy() for layer in model.layers if isinstance(layer, Dense) and layer.kernel is not None]
    seen = kernels[0]
    for kernel in kernels[1:-1]:
        seen = seen @ kernel
    shape = _picture_shape(model, len(seen), input_shape)
    pictures = [_scaled(seen[:, c.node].reshape(shape)) for c in found]
    gallery(Console(), pictures, [f"{c.node}: {c.value:+.2f}" for c in found], signed=True)
    return found


def save(path: Any, pictures: Sequence[Picture], columns: int | None = None) -> None:
    """Write pictures with values from -1 (blue) to 1 (red) side by side into one PNG file, whole or not at all.

    Raises
    ------
    ArgumentError
        If Pillow is missing.
    FileFormatError
        If the file cannot be written.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError(
            "plot: writing a PNG file needs Pillow, which is not installed.",
            expected="Pillow",
            received="no module PIL",
            fix="pip install 'insitu[images]'",
            slug="pictures-pillow",
            argument="path=",
        ) from error
    sheet = np.repeat(np.repeat(_sheet([_coloured(p) for p in pictures], columns), _ZOOM, 0), _ZOOM, 1)
    place = Path(path)
    partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        Image.fromarray(sheet).save(partial, format="PNG")
        os.replace(partial, place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FileFormatError(
            f'plot: "{place}" cannot be written.',
            expected="a file in a folder that exists and may be written",
            received=str(error),
            fix="make the folder first, or choose another",
            slug="file-not-writable",
            argument="path=",
        ) from error


def _weights_as_pictures(layer: Layer, units: Sequence[int] | None, input_shape: Sequence[int] | None) -> list[Picture]:
    kernel = next((np.asarray(w) for w in layer.weights if w.ndim in (2, 4)), None)
    if kernel is None:
        raise ArgumentError(
            f'plot: {type(layer).__name__} "{layer.name}" has no weights to show.',
            expected="a built layer with a kernel, such as Dense",
            received="no weights" if not layer.weights else ", ".join(str(tuple(w.shape)) for w in layer.weights),
            fix="plot the first Dense layer: model.layers[1].plot()" if layer.built else "build the model first: model.build((None, 784))",
            slug="pictures-layer",
        )
    flat = np.moveaxis(kernel.mean(2) if kernel.ndim == 4 else kernel, -1, 0)
    chosen = range(len(flat)) if units is None else units
    wrong = next((u for u in chosen if not 0 <= u < len(flat)), None)
    if wrong is not None:
        raise ArgumentError(
            f'plot: "{layer.name}" has no unit {wrong}.',
            expected=f"numbers from 0 to {len(flat) - 1}",
            received=repr(list(chosen)),
            fix="leave units out to see all",
            slug="pictures-unit",
            argument="units=",
        )
    shape = kernel.shape[:2] if kernel.ndim == 4 else _picture_shape(layer, flat.shape[1], input_shape)
    return [_scaled(flat[u].reshape(shape)) for u in chosen]


def _scaled(picture: Picture) -> Picture:
    """So that the largest weight is 1."""
    made = picture.astype(np.float64)
    return made / (np.abs(made).max() or 1.0)


def _picture_shape(layer: Layer, features: int, given: Sequence[int] | None) -> tuple[int, int]:
    if given is not None:
        if len(given) != 2 or math.prod(given) != features:
            raise ShapeError(
                f'plot: the {features} weights of a unit of "{layer.name}" do not fill a picture of that shape.',
                expected=f"two numbers whose product is {features}",
                received=f"input_shape={tuple(given)}",
                fix="leave input_shape out",
                slug="pictures-shape",
                argument="input_shape=",
            )
        return int(given[0]), int(given[1])
    rows = next(n for n in range(math.isqrt(features), 0, -1) if features % n == 0)
    return rows, features // rows


def _coloured(picture: Picture) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """White at 0, blue at -1, red at 1."""
    strength = np.clip(np.abs(picture), 0, 1)[..., None]
    ink = np.where(picture[..., None] < 0, _BLUE, _RED)
    return np.asarray(np.rint(255 + (ink - 255) * strength), np.uint8)


def _sheet(pictures: Sequence[np.ndarray[Any, Any]], columns: int | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of one size in rows, a grey pixel between them."""
    across = columns or math.ceil(math.sqrt(len(pictures)))
    height, width = pictures[0].shape[0] + 1, pictures[0].shape[1] + 1
    sheet = np.full((math.ceil(len(pictures) / across) * height + 1, across * width + 1, 3), 160, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = k // across * height + 1, k % across * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = picture
    return sheet


def gallery(console: Console, pictures: Sequence[Picture], captions: Sequence[str], signed: bool = False) -> None:
    """Print pictures side by side, as many in a row as the terminal is wide, with a caption under each.

    Parameters
    ----------
    console : rich.console.Console
    pictures : sequence of arrays, shape (height, width)
        Values from 0 (paper) to 1 (ink); with ``signed``, from -1 (blue) over 0 (white) to 1 (red).
    captions : sequence of str
    signed : bool
    """
    coloured = console.color_system is not None
    drawn = [half_blocks(p, signed) if coloured else shades(np.abs(p), _SHADES if _can_show_blocks(console) else _PLAIN_SHADES) for p in pictures]
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


def half_blocks(picture: Picture, signed: bool = False) -> list[Text]:
    """Two pixels per character, one above the other: the block's colour and the paper's."""
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    colour = _signed if signed else _grey
    return [
        Text.assemble(*[("▀", Style(color=colour(top), bgcolor=colour(bottom))) for top, bottom in zip(upper, lower, strict=True)])
        for upper, lower in zip(picture[::2], picture[1::2], strict=True)
    ]


def shades(picture: Picture, signs: str) -> list[Text]:
    """One pixel per two characters, darker signs for more ink."""
    levels = np.clip(np.rint(picture * (len(signs) - 1)), 0, len(signs) - 1).astype(int)
    return [Text("".join(signs[v] * 2 for v in row)) for row in levels]


def _grey(ink: float) -> str:
    level = round(255 * (1 - min(max(float(ink), 0.0), 1.0)))
    return f"#{level:02x}{level:02x}{level:02x}"


def _signed(value: float) -> str:
    red, green, blue = _coloured(np.asarray(value))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _can_show_blocks(console: Console) -> bool:
    try:
        (_SHADES + "▀").encode(console.encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
