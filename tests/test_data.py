"""Embedded data and the IDX reader."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from insitu.data import digits, read_idx
from insitu.errors import FileFormatError


def test_digits_have_the_published_counts_and_values():
    (x_train, y_train), (x_test, y_test) = digits()
    assert x_train.shape == (1442, 8, 8) and x_test.shape == (355, 8, 8)
    assert x_train.dtype == x_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.int64
    # class counts of optdigits.tes as the UCI page gives them
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert x_train.min() == 0 and x_train.max() == 1
    assert np.array_equal(x_train * 16, np.rint(x_train * 16))


def test_digits_split_is_fixed_and_in_equal_shares():
    first, second = digits(), digits()
    for a, b in zip(first, second, strict=True):
        assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    share = np.bincount(first[1][1]) / np.bincount(np.concatenate([first[0][1], first[1][1]]))
    assert share.min() > 0.19 and share.max() < 0.21


def test_digits_are_the_original_bytes():
    from insitu.data.digits import _everything

    images, labels = _everything()
    raw = (images * 16).astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()
    assert hashlib.sha256(raw).hexdigest() == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    # the first picture of the set, a zero (published in many tutorials)
    assert (images[0, 0] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and labels[0] == 0


def header(code: int, *shape: int) -> bytes:
    return bytes([0, 0, code, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)


@pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_values(tmp_path, code, dtype, zipped):
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = header(code, 2, 3, 4) + values.astype(">" + dtype).tobytes()
    path = tmp_path / ("a-idx3" + ".gz" * zipped)
    path.write_bytes(gzip.compress(data) if zipped else data)
    for name in ("a-idx3", "a-idx3.gz"):  # either name finds either file
        got = read_idx(tmp_path / name)
        assert got.dtype == values.dtype and np.array_equal(got, values)


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"", "file-foreign"),
        (b"PK\3\4 something", "file-foreign"),
        (header(8, 10)[:6], "file-truncated"),
        (header(8, 10) + bytes(9), "file-truncated"),
        (header(8, 10) + bytes(11), "file-truncated"),
        (gzip.compress(header(8, 10) + bytes(10))[:-9], "file-damaged"),
    ],
)
def test_idx_refuses_what_is_not_whole(tmp_path, content, slug):
    path = tmp_path / "x-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_idx(path)
    assert caught.value.slug == slug and "x-idx1-ubyte" in str(caught.value)


def test_idx_missing_file_says_both_names(tmp_path):
    with pytest.raises(FileFormatError) as caught:
        read_idx(tmp_path / "nowhere.gz")
    assert caught.value.slug == "file-not-found" and "nowhere.gz or nowhere" in str(caught.value)
