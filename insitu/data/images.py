"""Pictures in files: reading them as arrays, bringing them to a size, and writing them. Pillow decodes and encodes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from insitu.arguments import ARRAY, FLAG, Choice, Lengths, checked
from insitu.arguments import Path as PathConstraint
from insitu.arguments.grids import check_proportions
from insitu.data.examples import numpy_array
from insitu.errors import ArgumentError, FileFormatError, ShapeError

Image = np.ndarray[Any, np.dtype[np.uint8]]

#: Pillow's modes by Keras' names.
MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
#: Pillow's filters by the names in use.
FILTERS = {
    "nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS", "lanczos3": "LANCZOS", "area": "BOX", "box": "BOX",
    "hamming": "HAMMING",
}  # fmt: skip
#: Endings of files that folders of pictures are searched for.
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")

COLOR_MODE = Choice(*MODES)
INTERPOLATION = Choice(*FILTERS)
SIZE = Lengths(1, single=False, rule=lambda n: len(n) == 2, words="a pair (height, width) of whole numbers", fix="pass (height, width): (224, 224)")
FILE = PathConstraint(slug="image-file", fix='pass the path of a picture: "cat.png"')


def pillow(function: str, argument: str) -> ModuleType:
    """The module ``PIL.Image``.

    Raises
    ------
    ArgumentError
        If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError(
            f"{function}: pictures in files need Pillow, which is not installed.",
            expected="Pillow",
            received="no module PIL",
            fix="pip install 'insitu[images]'",
            slug="pictures-pillow",
            argument=argument,
        ) from error
    return Image


@checked(
    path=FILE, color_mode=COLOR_MODE, target_size=SIZE | None, interpolation=INTERPOLATION, crop_to_aspect_ratio=FLAG, pad_to_aspect_ratio=FLAG,
)  # fmt: skip
def load_image(
    path: str | os.PathLike[str], color_mode: str = "rgb", target_size: Sequence[int] | None = None, interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
) -> Image:  # fmt: skip
    """One picture of a file (PNG, JPEG, and what else Pillow reads) as an array. Needs Pillow: ``pip install 'insitu[images]'``.

    Parameters
    ----------
    path : str or path
    color_mode : "rgb", "rgba" or "grayscale"
        What the picture is converted to.
    target_size : (height, width), optional
        Default: the size it has.
    interpolation : str
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"area"``, ``"box"`` or ``"hamming"``. All but the first mean over
        the pixels that a smaller picture leaves out.
    crop_to_aspect_ratio : bool
        Whether to cut the picture around its centre instead of changing its proportions.
    pad_to_aspect_ratio : bool
        Whether to put the picture between black margins instead.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width, channels)
        With 3, 4 or 1 channels, from 0 to 255. As it is stored: a camera's note of how it was held (EXIF) does not turn it, as in Keras.

    Raises
    ------
    FileFormatError
        If there is no such file, or it holds no picture.
    ArgumentError
        If an argument cannot have its value, or Pillow is missing.

    Examples
    --------
    >>> import insitu as si, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "x.png")
    >>> si.data.save_image(path, np.full((4, 6, 3), 7, np.uint8))
    >>> si.data.load_image(path, target_size=(2, 3)).shape
    (2, 3, 3)
    """
    check_proportions("load_image", crop_to_aspect_ratio, pad_to_aspect_ratio)
    return decoded(path, "load_image", color_mode, target_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)


def decoded(
    path: str | os.PathLike[str], function: str, color_mode: str, size: Sequence[int] | None, interpolation: str, crop: bool, pad: bool
) -> Image:
    """What `load_image` gives; ``function`` is whose mistake it is called."""
    pil = pillow(function, "path")
    try:
        with pil.open(path) as opened:
            picture = _in_bytes(opened, pil)
            if picture.mode != MODES[color_mode]:
                picture = picture.convert(MODES[color_mode])
            if size is not None:
                picture = _resized(picture, size, getattr(pil.Resampling, FILTERS[interpolation]), crop, pad, pil)
            found = np.array(picture)
    except FileNotFoundError as error:
        raise FileFormatError(
            f'{function}: there is no file "{os.fspath(path)}".',
            expected="a picture",
            received=error.strerror or str(error),
            fix="check the path; relative ones start at " + os.getcwd(),
            slug="file-not-found",
            argument="path",
        ) from error
    except Exception as error:  # decoders fail with errors of all kinds
        raise FileFormatError(
            f'{function}: "{os.fspath(path)}" holds no picture that can be read.',
            expected="a whole PNG or JPEG file, or another that Pillow reads",
            received=_said(error, path),
            fix="open it in a viewer, and take it away or replace it if that shows nothing",
            slug="image-file",
            argument="path",
        ) from error
    return found if found.ndim == 3 else found[..., None]


def _said(error: Exception, path: str | os.PathLike[str]) -> str:
    if os.path.isdir(path):
        return "a folder"
    try:
        bytes_ = os.path.getsize(path)
    except OSError:
        return f"{type(error).__name__}: {error}"
    return "an empty file" if not bytes_ else f"{bytes_} bytes, of which Pillow says: {error}"


def _in_bytes(picture: Any, pil: ModuleType) -> Any:
    """Pictures with 16 bits for each pixel keep the upper 8, where Pillow would cut numbers above 255 to 255."""
    if not picture.mode.startswith("I"):
        return picture
    return pil.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _resized(picture: Any, size: Sequence[int], resampling: Any, crop: bool, pad: bool, pil: ModuleType) -> Any:
    """To (height, width); the part of the picture, or of its frame, that has the proportions of the size is computed in whole pixels, as in Keras."""
    height, width = size
    w, h = picture.size
    if crop:
        across, down = min(w, max(1, int(h * width / height))), min(h, max(1, int(w * height / width)))
        left, top = (w - across) // 2, (h - down) // 2
        picture = picture.crop((left, top, left + across, top + down))
    elif pad:
        across, down = max(w, int(h * width / height)), max(h, int(w * height / width))
        framed = pil.new(picture.mode, (across, down))
        framed.paste(picture, ((across - w) // 2, (down - h) // 2))
        picture = framed
    return picture if picture.size == (width, height) else picture.resize((width, height), resampling)


@checked(path=FILE, image=ARRAY, scale=FLAG)
def save_image(path: str | os.PathLike[str], image: Any, scale: bool = True) -> None:
    """Write a picture to a file, whole or not at all; the ending of its name tells the format. Needs Pillow: ``pip install 'insitu[images]'``.

    Parameters
    ----------
    path : str or path
        Such as ``"cat.png"`` or ``"cat.jpg"``.
    image : array_like, shape (height, width) or (height, width, channels)
        1 (grey), 3 (red, green, blue) or 4 channels (with opacity).
    scale : bool
        Whether floating numbers are stretched so that the smallest is black and the largest white. Otherwise they are rounded and
        clipped to 0 to 255. Bytes are written as they are; of booleans, True is white.

    Raises
    ------
    ShapeError
        If the array is no picture.
    FileFormatError
        If the file cannot be written; an older one stays as it was.
    ArgumentError
        If the format is unknown or cannot hold the picture, or Pillow is missing.

    Examples
    --------
    >>> import insitu as si, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "x.png")
    >>> si.data.save_image(path, si.asarray([[0.0, 0.5], [0.5, 1.0]]))
    >>> si.data.load_image(path, "grayscale")[..., 0]
    array([[  0, 128],
           [128, 255]], dtype=uint8)
    """
    from insitu.io.container import write_whole  # imported late: reading data needs none of it

    pil = pillow("save_image", "path")
    pixels = _pixels(numpy_array(image, "save_image", "image"), scale)
    pil.init()
    ending = os.path.splitext(path)[1].lower()
    if ending not in pil.EXTENSION or pil.EXTENSION[ending] not in pil.SAVE:
        raise ArgumentError(
            f'save_image: no format of pictures has the ending "{ending}".',
            expected='a name that ends with ".png", ".jpg", or another format that Pillow writes',
            received=f'"{os.fspath(path)}"',
            fix=f'add it: "{os.fspath(path)}.png"',
            slug="image-file",
            argument="path",
        )
    made = io.BytesIO()
    picture = pil.fromarray(pixels)
    if ending in (".jpg", ".jpeg") and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    try:
        picture.save(made, format=pil.EXTENSION[ending])
    except (OSError, ValueError) as error:  # each format has limits of its own
        raise ArgumentError(
            f'save_image: the format of "{os.fspath(path)}" cannot hold this picture.',
            expected="a picture that the format can hold",
            received=f"{pixels.shape}, of which Pillow says: {error}",
            fix="write it as PNG",
            slug="image-file",
            argument="path",
        ) from error
    write_whole(Path(path), [made.getbuffer()], "save_image")


def _pixels(image: np.ndarray[Any, Any], scale: bool) -> Image:
    shape = image.shape
    if image.ndim == 3 and shape[-1] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and shape[-1] not in (3, 4)) or not image.size or image.dtype.kind not in "biuf":
        one = image.ndim == 4
        raise ShapeError(
            "save_image: this array is no picture.",
            expected="(height, width), or (height, width, channels) with 1, 3 or 4 channels, of numbers",
            received=f"{shape} {image.dtype}",
            fix="write the pictures of a batch one by one: image[0]" if one else "move the channels to the end: np.moveaxis(image, 0, -1)",
            slug="image-shape",
            argument="image",
        )
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    values = np.nan_to_num(image.astype(np.float64)) * (255 if image.dtype == bool else 1)
    if scale and image.dtype.kind == "f":
        values -= values.min()
        values *= 255 / (values.max() or 1)
    return np.ascontiguousarray((values.clip(0, 255) + 0.5).astype(np.uint8))
