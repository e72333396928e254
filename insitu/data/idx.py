"""Reader of IDX files, the format of the MNIST family.

The format (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code, the number of axes, one
big-endian 32-bit length per axis, then the values, big-endian, last axis fastest. Files may be gzipped.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from insitu.errors import FileFormatError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read one IDX file, gzipped or not.

    Parameters
    ----------
    path : str or path
        The file. Where it is missing, the same name with or without ``.gz`` is tried.

    Returns
    -------
    numpy.ndarray
        Shape and dtype as the file says, in the machine's byte order.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is no IDX file, or its size does not fit its header.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    >>> read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    found = _existing(Path(path))
    data = _bytes(found)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise FileFormatError(
            f'read_idx: "{found}" is not an IDX file.',
            expected="a file that begins with 0x0000, a type code (0x08 to 0x0e) and the number of axes",
            received=f"a file that begins with 0x{data[:4].hex()}" if data else "an empty file",
            fix="pass an original MNIST file such as train-images-idx3-ubyte.gz",
            slug="file-foreign",
        )
    axes, dtype = data[3], np.dtype(_TYPES[data[2]])
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", data[4:start]) if len(data) >= start else ()
    size = math.prod(shape) * dtype.itemsize
    if not shape or len(data) - start != size:
        shown = " x ".join(map(str, shape)) if shape else f"{axes} axes"
        raise FileFormatError(
            f'read_idx: "{found}" has another length than its header says.',
            expected=f"{size} bytes of values for {shown}" if shape else f"a header of {start} bytes",
            received=f"{max(len(data) - start, 0)} bytes of values",
            fix="the file was cut short or changed: download it again",
            slug="file-truncated",
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _existing(path: Path) -> Path:
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    for candidate in (path, other):
        if candidate.is_file():
            return candidate
    raise FileFormatError(
        f'read_idx: there is no file "{path}".',
        expected=f"{path.name} or {other.name} in {path.parent}",
        received="no file of either name" if path.parent.is_dir() else f'no folder "{path.parent}"',
        fix="check the path; the examples read the folder that INSITU_DATA_DIR names",
        slug="file-not-found",
    )


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise FileFormatError(
            f'read_idx: "{path}" is a damaged gzip file.',
            expected="a whole gzip file",
            received=f"{len(data)} bytes; {error}",
            fix="download the file again",
            slug="file-damaged",
        ) from error
