"""A folder with one subfolder of pictures for each class as a `Dataset` that decodes ahead of training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu.arguments import COUNT, FLAG, SEED, Checked, Choice, Number, checked
from insitu.arguments import Path as PathConstraint
from insitu.arguments.grids import FORMAT, check_proportions
from insitu.array.random import default_generator
from insitu.config import config
from insitu.data.dataset import Dataset
from insitu.data.images import COLOR_MODE, ENDINGS, INTERPOLATION, SIZE, decoded, pillow
from insitu.data.order import permutation
from insitu.errors import ArgumentError, FileFormatError, UserError
from insitu.output import say

_NAME = "image_dataset_from_directory"
#: What the order is drawn from that divides training from validation; the orders of the epochs have the numbers from 0 on.
_DIVIDING = (1 << 64) - 1
_ACROSS = "one folder for all pictures of a class: pictures/cat/1.jpg, pictures/dog/1.jpg"


@dataclasses.dataclass(frozen=True)
class Found:
    """Paths of pictures, the number of the class of each (None without labels), and the names of the classes."""

    paths: list[str]
    labels: np.ndarray[Any, np.dtype[np.int64]] | None
    class_names: list[str]

    def part(self, order: Any) -> Found:
        return Found([self.paths[i] for i in order], None if self.labels is None else self.labels[order], self.class_names)


class ImageFolder(Dataset):
    """The data set of `image_dataset_from_directory`.

    Attributes
    ----------
    class_names : list of str
        In the order of the labels.
    file_paths : list of str
        Of all pictures, in the order before shuffling.
    """

    class_names: list[str]
    file_paths: list[str]


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads the picture of a number, with its label."""

    paths: list[str]
    labels: np.ndarray[Any, Any] | None
    first: bool
    color_mode: str
    size: Sequence[int]
    interpolation: str
    crop: bool
    pad: bool

    def __call__(self, i: int) -> Any:
        picture: np.ndarray[Any, Any] = decoded(self.paths[i], _NAME, self.color_mode, self.size, self.interpolation, self.crop, self.pad)
        if self.first:
            picture = np.ascontiguousarray(np.moveaxis(picture, -1, 0))
        image = picture.astype(np.float32)
        return image if self.labels is None else (image, self.labels[i])


@checked(
    directory=PathConstraint(slug="image-folder", fix='pass the path of a folder: "pictures"'), labels=Checked('"inferred", None or numbers'),
    label_mode=Choice("int", "categorical", "binary") | None, class_names=Checked("a list of names, or None"), color_mode=COLOR_MODE,
    batch_size=COUNT | None, image_size=SIZE, shuffle=FLAG, seed=SEED, validation_split=Number(0, 1, open="lh", slug="image-split") | None,
    subset=Choice("training", "validation", "both") | None, interpolation=INTERPOLATION, follow_links=FLAG, crop_to_aspect_ratio=FLAG,
    pad_to_aspect_ratio=FLAG, data_format=FORMAT, verbose=FLAG,
)  # fmt: skip
def image_dataset_from_directory(
    directory: str | os.PathLike[str], labels: Any = "inferred", label_mode: str | None = "int", class_names: Sequence[str] | None = None,
    color_mode: str = "rgb", batch_size: int | None = 32, image_size: Sequence[int] = (256, 256), shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, interpolation: str = "bilinear", follow_links: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, data_format: str | None = None, verbose: bool = True,
) -> Any:  # fmt: skip
    """Pictures of a folder with one subfolder for each class, decoded ahead of training. Needs Pillow: ``pip install 'insitu[images]'``.

    Parameters
    ----------
    directory : str or path
        ``pictures/cat/1.jpg``, ``pictures/dog/1.jpg``, ...; deeper folders belong to their class.
    labels : "inferred", None, or sequence of int
        The classes are the subfolders, there are none, or numbers for all pictures in the order of their paths.
    label_mode : "int", "categorical", "binary" or None
        int32 numbers, float32 rows with a single 1, float32 0 and 1 of shape (batch, 1), or no labels.
    class_names : list of str, optional
        The names of the subfolders in the order of their numbers; default: sorted.
    color_mode : "rgb", "rgba" or "grayscale"
    batch_size : int, optional
        None gives single pictures.
    image_size : (height, width)
    shuffle : bool
        Whether each epoch has a new order. Otherwise the pictures come class by class, sorted by their paths.
    seed : int, optional
        Of the orders, and of the cut into two parts. Default: drawn from the default generator (see `insitu.random.seed`).
    validation_split : float, optional
        Share of the pictures that is kept for validation.
    subset : "training", "validation" or "both", optional
        Which part to give, with ``validation_split``.
    interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio
        As for `load_image`.
    follow_links : bool
        Whether to enter folders that are links.
    data_format : "channels_last" or "channels_first", optional
    verbose : bool
        Whether to tell how many pictures there are.

    Returns
    -------
    Dataset, or with ``subset="both"`` two
        Of ``(images, labels)``, or of images alone; the images float32 from 0 to 255, (batch, height, width, channels). It has the attributes
        ``class_names`` and ``file_paths``.

    Raises
    ------
    FileFormatError
        If there is no such folder, or, when it is read, a file that is no picture.
    ArgumentError
        If there are no pictures or classes, or the labels or parts do not fit.

    Examples
    --------
    >>> import insitu as si, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("cat", "dog"):
    ...     os.mkdir(os.path.join(folder, name))
    ...     si.data.save_image(os.path.join(folder, name, "1.png"), np.zeros((5, 5, 3), np.uint8))
    >>> train = si.data.image_dataset_from_directory(folder, image_size=(8, 8), seed=1)
    Found 2 pictures of 2 classes.
    >>> train.class_names, [(x.shape, y.shape) for x, y in train]
    (['cat', 'dog'], [((2, 8, 8, 3), (2,))])
    """
    pillow(_NAME, "directory")
    check_proportions(_NAME, crop_to_aspect_ratio, pad_to_aspect_ratio)
    _check_parts(validation_split, subset, shuffle, seed)
    mode = None if labels is None else label_mode
    found = _search(os.fspath(directory), labels, class_names, follow_links)
    if verbose:
        counted = "" if labels is None else f" of {len(found.class_names)} class{'es' * (len(found.class_names) != 1)}"
        say(f"Found {len(found.paths)} picture{'s' * (len(found.paths) != 1)}{counted}.")
    chosen = default_generator().spawn(1)[0].state["state"] if shuffle and seed is None else seed
    targets = _targets(found, mode)

    def made(part: Found, coded: np.ndarray[Any, Any] | None) -> ImageFolder:
        first = data_format == "channels_first"
        reader = _Reader(part.paths, coded, first, color_mode, image_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)
        numbers = Dataset(np.arange(len(part.paths)))
        ordered = numbers.shuffle(seed=chosen) if shuffle else numbers
        pictures = ordered.map(reader, num_parallel_calls=config.threads)
        ready = ImageFolder((pictures if batch_size is None else pictures.batch(batch_size)).prefetch()._stage)
        ready.class_names, ready.file_paths = part.class_names, part.paths
        return ready

    if validation_split is None:
        return made(found, targets)
    order = permutation(chosen or 0, _DIVIDING, len(found.paths)) if shuffle else np.arange(len(found.paths))
    held_out = int(validation_split * len(order))
    cut = len(order) - held_out
    if not 0 < cut < len(order):
        raise _split_error(
            "leaves one part without pictures.", "a share that gives both parts some", f"{validation_split:g} of {len(order)}",
            f"validation_split={max(0.1, round(1 / len(order), 2)):g}" if len(order) > 1 else "use more pictures",
        )  # fmt: skip
    parts = {"training": order[:cut], "validation": order[cut:]}
    wanted = [made(found.part(at), None if targets is None else targets[at]) for name, at in parts.items() if subset in (name, "both")]
    return tuple(wanted) if subset == "both" else wanted[0]


# -- what there is ------------------------------------------------------------------------------------
def _search(directory: str, labels: Any, class_names: Any, follow_links: bool) -> Found:
    if not os.path.isdir(directory):
        raise FileFormatError(
            f'{_NAME}: there is no folder "{directory}".',
            expected=_ACROSS,
            received="a file" if os.path.exists(directory) else "nothing of this name",
            fix="check the path; relative ones start at " + os.getcwd(),
            slug="image-folder",
            argument="directory",
        )
    if isinstance(labels, str) and labels == "inferred":
        names = _classes(directory, class_names)
        each = [_pictures(os.path.join(directory, name), follow_links) for name in names]
        paths = [path for group in each for path in group]
        numbers: np.ndarray[Any, np.dtype[np.int64]] | None = np.repeat(np.arange(len(names), dtype=np.int64), [len(group) for group in each])
    else:
        paths, names = _pictures(directory, follow_links), []
        numbers = None if labels is None else _numbers(labels, paths)
        if numbers is not None:
            names = [str(n) for n in np.unique(numbers)] if class_names is None else list(class_names)
    if not paths:
        raise ArgumentError(
            f'{_NAME}: there are no pictures in "{directory}".',
            expected="files that end with " + ", ".join(ENDINGS),
            received=", ".join(f"{name}/" for name in names[:5]) + " without such files" if names else "none",
            fix="check the path, and the endings of the files",
            slug="image-folder",
            argument="directory",
        )
    return Found(paths, numbers, names)


def _classes(directory: str, class_names: Any) -> list[str]:
    """The subfolders, in the order of the classes."""
    with os.scandir(directory) as entries:
        folders = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not folders:
        loose = _pictures(directory, False)
        raise ArgumentError(
            f'{_NAME}: "{directory}" has no subfolders, so there are no classes.',
            expected=_ACROSS,
            received=f"{len(loose)} picture{'s' * (len(loose) != 1)} in the folder itself" if loose else "an empty folder",
            fix="move the pictures of each class into a subfolder, or pass labels=None" if loose else "check the path",
            slug="image-classes",
            argument="directory",
        )
    if class_names is None:
        return folders
    given = list(class_names) if isinstance(class_names, list | tuple) else [class_names]
    if sorted(map(str, given)) != folders:
        raise ArgumentError(
            f"{_NAME}: class_names are not the names of the subfolders.",
            expected=", ".join(folders[:10]) + (", ..." if len(folders) > 10 else ""),
            received=", ".join(map(str, given[:10])) or "none",
            fix="leave class_names out, or name each subfolder once",
            slug="image-classes",
            argument="class_names=",
        )
    return given


def _pictures(folder: str, follow_links: bool) -> list[str]:
    """Paths of the pictures of a folder and those inside, sorted."""
    found = []
    for root, _, files in os.walk(folder, followlinks=follow_links):
        found += [os.path.join(root, name) for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    return sorted(found)


def _numbers(labels: Any, paths: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The labels that were given, one for each path."""
    array = np.asarray(labels)
    if array.shape != (len(paths),) or array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise ArgumentError(
            f"{_NAME}: labels must be one whole number for each picture, in the order of their paths.",
            expected=f'"inferred", None, or {len(paths)} numbers from 0 on',
            received=f"an array of shape {array.shape}, {array.dtype}" if array.ndim else repr(labels),
            fix='labels="inferred" takes the names of the subfolders as classes',
            slug="image-classes",
            argument="labels=",
        )
    return array.astype(np.int64)


def _targets(found: Found, mode: str | None) -> np.ndarray[Any, Any] | None:
    """The labels in the form that was asked for."""
    if mode is None or found.labels is None:
        return None
    if mode == "int":
        return found.labels.astype(np.int32)
    classes = len(found.class_names)
    if mode == "categorical":
        return np.equal(found.labels[:, None], np.arange(max(classes, int(found.labels.max()) + 1))).astype(np.float32)
    if classes != 2:
        raise ArgumentError(
            f'{_NAME}: label_mode="binary" is for two classes.',
            expected="2 subfolders",
            received=f"{classes}: " + ", ".join(found.class_names[:10]),
            fix='label_mode="int" or "categorical"',
            slug="image-classes",
            argument="label_mode=",
        )
    return found.labels[:, None].astype(np.float32)


# -- parts --------------------------------------------------------------------------------------------
def _check_parts(split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if (split is None) != (subset is None):
        raise _split_error(
            "needs both, validation_split and subset, or neither.", 'validation_split=0.2, subset="both"',
            f"validation_split={split}, subset={subset!r}", 'pass subset="both"' if subset is None else "pass validation_split=0.2",
        )  # fmt: skip
    if split is not None and subset != "both" and shuffle and seed is None:
        raise _split_error(
            "needs a seed, or the two parts, which are asked for one by one, would share pictures.", "the same seed in both calls",
            "seed=None", 'pass seed=0 in both calls, or ask for subset="both"',
        )  # fmt: skip


def _split_error(what: str, expected: str, received: str, fix: str) -> UserError:
    return ArgumentError(f"{_NAME} {what}", expected=expected, received=received, fix=fix, slug="image-split", argument="subset=")
