"""The handwritten digits that come with the package (source and licence: ``digits-attribution.txt``)."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

from insitu.errors import FileFormatError

FloatArray = np.ndarray[Any, np.dtype[np.float32]]
LabelArray = np.ndarray[Any, np.dtype[np.int64]]
Part = tuple[FloatArray, LabelArray]

COUNT = 1797
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def digits() -> tuple[Part, Part]:
    """1,797 real handwritten digits of 8 x 8 grey pixels, split into training and test data.

    The test part is every fifth example of each class, so that both parts hold the ten digits in
    equal shares. The same thirteen people wrote both parts.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x``: float32 NumPy arrays of shape (1442, 8, 8) and (355, 8, 8) with values from 0 (paper) to
        1 (ink) in steps of 1/16. ``y``: int64, shapes (1442,) and (355,), values 0 to 9.

    Raises
    ------
    FileFormatError
        If the file in the installed package is damaged.

    Examples
    --------
    >>> import insitu as si
    >>> (x_train, y_train), (x_test, y_test) = si.data.digits()
    >>> x_train.shape, x_test.shape
    ((1442, 8, 8), (355, 8, 8))

    References
    ----------
    Alpaydin, E. and Kaynak, C. (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.
    """
    images, labels = _everything()
    held_out = np.zeros(COUNT, bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[4::5]] = True
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out])


def _everything() -> Part:
    """All examples in the order of the original file."""
    from importlib import resources  # imported late: it takes as long to load as the rest of this room

    packed = resources.files("insitu.data").joinpath("digits.bin").read_bytes()
    try:
        raw = zlib.decompress(packed)
    except zlib.error:
        raw = b""
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise FileFormatError(
            "data.digits: the file digits.bin of the installed package is damaged.",
            expected=f"{COUNT} pictures with sha256 {SHA256[:16]}...",
            received=f"{len(packed)} bytes with another content",
            fix="install the package again: pip install --force-reinstall --no-deps insitu",
            slug="file-damaged",
        )
    values = np.frombuffer(raw, np.uint8)
    images = values[: COUNT * 64].reshape(COUNT, 8, 8).astype(np.float32) / np.float32(16)
    return images, values[COUNT * 64 :].astype(np.int64)
