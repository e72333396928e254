"""The weights of a layer as pictures, one for each unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from insitu.arguments import COUNT, FLAG, PATH, Instance, Lengths, Several, Whole, checked
from insitu.array.checks import whole
from insitu.errors import ArgumentError, ShapeError
from insitu.nn.functional import Symbol
from insitu.nn.layer import Layer
from insitu.nn.pictures import png
from insitu.nn.pictures.drawing import Picture, gallery

#: Most pictures that are shown unless units are named.
_SHOWN = 32


class Pictures(list[Picture]):
    """Pictures, in a list that tells how many they are instead of all their numbers."""

    def __repr__(self) -> str:
        return f"<{len(self)} picture{'s' * (len(self) != 1)}, {' x '.join(map(str, self[0].shape)) if self else 'empty'}>"


LAYER = Instance(Layer, "a layer with a kernel, such as Dense", slug="pictures-layer")
UNITS = Whole(0, slug="pictures-unit") | Several(Whole(0))
PICTURE = Lengths(1, single=False, slug="pictures-shape")


@checked(
    layer=LAYER, path=PATH | None, units=UNITS | None, input_shape=PICTURE | None,
    columns=COUNT | None, show=FLAG,
)  # fmt: skip
def plot(
    layer: Layer, path: Any = None, units: Sequence[int] | int | None = None, input_shape: Sequence[int] | None = None,
    columns: int | None = None, show: bool = True,
) -> Pictures:  # fmt: skip
    """Show a layer's weights as pictures, one for each unit: red adds to the unit, blue takes away.

    Parameters
    ----------
    layer : Layer
        With a kernel: (features, units), or (height, width, channels, filters). Means over the channels are shown.
    path : str or path, optional
        A PNG file to write as well; needs Pillow (``pip install insitu[images]``).
    units : sequence of int, or int, optional
        Which units; default: all, of which the first 32 are shown and all written.
    input_shape : (int, int) or (int, int, int), optional
        Rows, columns and channels of what the layer sees; default: the shape that the examples had before they were flattened
        for this layer, else the one nearest to a square.
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
    >>> model = si.nn.Sequential([si.nn.Input((4, 9)), si.nn.Flatten(), si.nn.Dense(3)])
    >>> model.layers[1].plot(show=False)
    <3 pictures, 4 x 9>
    >>> model.layers[1].plot(show=False, input_shape=(6, 6))
    <3 pictures, 6 x 6>
    """
    kernel = _kernel(layer)
    chosen = _chosen(layer, kernel.shape[-1], units)
    flat = np.moveaxis(kernel, -1, 0)[chosen]
    shape = flat.shape[1:] if kernel.ndim == 4 else picture_shape(layer, flat.shape[1], input_shape)
    found = Pictures(scaled(weights.reshape(shape)) for weights in flat)
    if show:
        limit = _SHOWN if units is None else len(found)
        console = Console()
        gallery(console, found[:limit], [str(n) for n in chosen[:limit]], signed=True)
        if len(found) > limit:
            console.print(Text(f"  {len(found) - limit} more: units=range({limit}, {min(2 * limit, len(found))}), or a file of all: path=..."))
    if path is not None:
        png.save(path, found, columns)
    return found


def scaled(picture: Picture) -> Picture:
    """The mean over the channels, if there are any, so that the largest number is 1."""
    made = picture.astype(np.float64)
    made = made.mean(2) if made.ndim == 3 else made
    return made / (np.abs(made[np.isfinite(made)]).max(initial=0.0) or 1.0)


def picture_shape(layer: Layer, features: int, given: Sequence[int] | None = None) -> tuple[int, ...]:
    """Rows and columns, and channels if there are any, of what a layer sees as ``features`` numbers.

    Raises
    ------
    ShapeError
        If the given shape has another number of them.
    """
    if given is None:
        known = seen_shape(layer)
        return known if fills(known, features) else nearest_to_square(features)
    if not fills(given, features):
        raise ShapeError(
            f'plot: the {features} weights of a unit of "{layer.name}" do not fill a picture of that shape.',
            expected=f"rows and columns whose product is {features}, or rows, columns and channels",
            received=f"input_shape={given!r}",
            fix=f"pass input_shape={nearest_to_square(features)}, or leave input_shape out",
            slug="pictures-shape",
            argument="input_shape=",
        )
    return tuple(int(n) for n in given)


def fills(shape: Any, features: int) -> bool:
    """Whether a shape is one of pictures with ``features`` numbers."""
    good = isinstance(shape, Sequence) and len(shape) in (2, 3) and all(hasattr(n, "__index__") and n > 0 for n in shape)
    return good and math.prod(shape) == features


def nearest_to_square(features: int) -> tuple[int, int]:
    """Rows and columns, as many of both as their product allows.

    Examples
    --------
    >>> nearest_to_square(64), nearest_to_square(12), nearest_to_square(7)
    ((8, 8), (3, 4), (1, 7))
    """
    rows = next(n for n in range(math.isqrt(features), 0, -1) if features % n == 0)
    return rows, features // rows


def seen_shape(layer: Layer) -> Any:
    """The shape of an example before it was flattened for a layer; None where it was not, or nobody knows."""
    calls = vars(layer).get("_recorded")
    if not calls:
        return layer.unflattened
    symbol = calls[-1].arguments[0]
    while isinstance(symbol, Symbol):
        if len(symbol.shape) > 2:
            return symbol.shape[1:]
        if symbol.call is None or symbol.call.layer.weights:
            return None
        symbol = symbol.call.arguments[0]
    return None


def _kernel(layer: Layer) -> Picture:
    kernel = next((w for w in layer.get_weights() if w.ndim in (2, 4) and w.size), None)
    if kernel is None:
        raise ArgumentError(
            f'plot: {type(layer).__name__} "{layer.name}" has no weights to show.',
            expected="a built layer with a kernel, such as Dense",
            received="no weights" if not layer.weights else ", ".join(str(tuple(w.shape)) for w in layer.weights),
            fix="plot the first Dense layer: model.layers[1].plot()" if layer.built else "build the model first: model.build((None, 784))",
            slug="pictures-layer",
        )
    return kernel


def _chosen(layer: Layer, count: int, units: Any) -> list[int]:
    if units is None:
        return list(range(count))
    given = list(units) if isinstance(units, Sequence | np.ndarray) and not isinstance(units, str) else [units]
    found = [whole(u) for u in given]
    if not found or any(u is None or not 0 <= u < count for u in found):
        wrong = next((u for u, n in zip(given, found, strict=True) if n is None or not 0 <= n < count), None)
        raise ArgumentError(
            f'plot: "{layer.name}" has no unit {wrong!r}.' if given else f'plot: no unit of "{layer.name}" is chosen.',
            expected=f"whole numbers from 0 to {count - 1}",
            received=repr(units),
            fix="leave units out to see all",
            slug="pictures-unit",
            argument="units=",
        )
    return [u for u in found if u is not None]
