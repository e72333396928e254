"""MNIST and Fashion-MNIST: from the original files in a folder, or from the network."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from insitu.arguments import Path as PathOf
from insitu.arguments import checked
from insitu.data.idx import read_idx
from insitu.errors import FileFormatError, UserError

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
Part = tuple[ByteArray, ByteArray]

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclasses.dataclass(frozen=True)
class _Collection:
    """Where the four files of a data set are, and their sha256 in the order of `FILES` (with ``.gz``)."""

    name: str
    mirrors: tuple[str, ...]
    sha256: tuple[str, ...]


MNIST = _Collection(
    "mnist",
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
FASHION_MNIST = _Collection(
    "fashion_mnist",
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)

FOLDER = PathOf(slug="load-path", fix="pass the folder with the files, or leave path out") | None


@checked(path=FOLDER)
def mnist(path: str | os.PathLike[str] | None = None) -> tuple[Part, Part]:
    """70,000 handwritten digits of 28 x 28 grey pixels, split into training and test data.

    The four original files, with ``.gz`` or without, are read from the folder ``path``; without one from
    ``$INSITU_DATA_DIR/mnist``, else from the user's cache folder. What is in neither is downloaded (11 MB) to the first of these that
    is named; each download is checked by its sha256 and written whole or not at all.

    Parameters
    ----------
    path : str or path, optional
        A folder with the files, which are used as they are.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x``: uint8 NumPy arrays of shape (60000, 28, 28) and (10000, 28, 28), 0 (paper) to 255 (ink).
        ``y``: uint8, shapes (60000,) and (10000,), values 0 to 9.

    Raises
    ------
    FileFormatError
        If a file is missing in the folder, damaged, cut short or of another kind, or cannot be downloaded.

    Examples
    --------
    >>> import insitu as si
    >>> (x_train, y_train), (x_test, y_test) = si.data.mnist("shared/data/mnist")  # doctest: +SKIP
    >>> x_train.shape, x_train.dtype  # doctest: +SKIP
    ((60000, 28, 28), dtype('uint8'))

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, Proc. IEEE 86(11).
    """
    return _load(MNIST, path)


@checked(path=FOLDER)
def fashion_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Part, Part]:
    """70,000 pictures of clothes, 28 x 28 grey pixels in ten classes, in the form of `mnist`.

    The classes: 0 T-shirt or top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    The files are looked for as `mnist` says, in ``$INSITU_DATA_DIR/fashion_mnist``; the download has 31 MB.

    Parameters
    ----------
    path : str or path, optional
        A folder with the files, which are used as they are.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x``: uint8 NumPy arrays of shape (60000, 28, 28) and (10000, 28, 28). ``y``: uint8, values 0 to 9.

    Raises
    ------
    FileFormatError
        As `mnist`.

    Examples
    --------
    >>> import insitu as si
    >>> (x_train, y_train), (x_test, y_test) = si.data.fashion_mnist()  # doctest: +SKIP

    References
    ----------
    Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms, arXiv:1708.07747.
    """
    return _load(FASHION_MNIST, path)


def _load(collection: _Collection, path: str | os.PathLike[str] | None) -> tuple[Part, Part]:
    folder = Path(path).expanduser() if path is not None else _folder(collection)
    x_train, y_train, x_test, y_test = _read_all([folder / name for name in FILES])
    return _part(folder, x_train, y_train), _part(folder, x_test, y_test)


def _folder(collection: _Collection) -> Path:
    """The folder in which all files are, once what is missing there has been downloaded."""
    named = os.environ.get("INSITU_DATA_DIR", "").strip()
    places = [Path(named).expanduser() / collection.name] if named else []
    places.append(_cache() / collection.name)
    for place in places:
        if all(_there(place, name) for name in FILES):
            return place
    from insitu.data.download import download  # imported late: the network's modules take longer to load than everything else here

    place = places[0]
    for name, sha256 in zip(FILES, collection.sha256, strict=True):
        if not _there(place, name):
            download(f"data.{collection.name}", place / f"{name}.gz", collection.mirrors, sha256)
    return place


def _cache() -> Path:
    import platformdirs  # imported late: who names a folder does not need it

    return Path(platformdirs.user_cache_dir("insitu", appauthor=False)) / "data"


def _there(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def _read_all(paths: list[Path]) -> list[np.ndarray[Any, Any]]:
    """Each file's array. The second half is unpacked beside the first, on another core."""
    found: dict[Path, np.ndarray[Any, Any]] = {}

    def ahead() -> None:
        for path in paths[2:]:
            try:
                found[path] = read_idx(path)
            except UserError:
                return  # it is met again below, where the user's line is known

    worker = threading.Thread(target=ahead, name="insitu-read-idx", daemon=True)
    worker.start()
    first = [read_idx(path) for path in paths[:2]]
    worker.join()
    return first + [found[path] if path in found else read_idx(path) for path in paths[2:]]


def _part(folder: Path, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Part:
    """Images with their labels, if they are of this family."""
    if images.shape[1:] == (28, 28) and labels.shape == images.shape[:1] and images.dtype == labels.dtype == np.uint8:
        return images, labels
    raise FileFormatError(
        f'The files in "{folder}" are not those of MNIST or Fashion-MNIST.',
        expected="images of shape (n, 28, 28) and n labels, both uint8",
        received=f"images {images.shape} {images.dtype}, labels {labels.shape} {labels.dtype}",
        fix="read other IDX files one by one: si.data.read_idx(file)",
        slug="file-foreign",
        argument="folder",
    )
