"""Reader of IDX files, the format of the MNIST family.

The format (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code, the number of axes, one
big-endian 32-bit length per axis, then the values, big-endian, last axis fastest. Files may be gzipped.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from insitu.arguments import Path as PathOf
from insitu.arguments import checked
from insitu.errors import FileFormatError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 16  # bytes read at once; what they unpack to stays in the cache of a core


@checked(path=PathOf(slug="load-path", fix="pass the file's name"))
def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read one IDX file, gzipped or not.

    Parameters
    ----------
    path : str or path
        The file. Where it is missing, the same name with or without ``.gz`` is tried.

    Returns
    -------
    numpy.ndarray
        Shape and dtype as the file says, in the machine's byte order; it may be changed.

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
    try:
        with open(found, "rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            return _values(found, _unzipped(file) if zipped else iter(lambda: file.read(_CHUNK), b""))
    except (EOFError, zlib.error) as error:
        raise FileFormatError(
            f'read_idx: "{found}" is a damaged gzip file.',
            expected="a whole gzip file",
            received=f"{found.stat().st_size} bytes; {error}",
            fix="delete the file and download it again",
            slug="file-damaged",
            argument="path",
        ) from error
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f'read_idx: "{found}" cannot be read.',
            expected="a file that may be read",
            received=error.strerror or str(error),
            fix="check who may read the file: ls -l",
            slug="file-not-readable",
            argument="path",
        ) from error


def _values(path: Path, chunks: Iterator[bytes | bytearray]) -> np.ndarray[Any, Any]:
    """The array that the chunks of a file hold: it is filled as they come, so that no second copy of a large file exists."""
    data = next(chunks, b"")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise FileFormatError(
            f'read_idx: "{path}" is not an IDX file.',
            expected="a file that begins with 0x0000, a type code (0x08 to 0x0e) and the number of axes",
            received=f"a file that begins with 0x{data[:4].hex()}" if data else "an empty file",
            fix="pass an original MNIST file such as train-images-idx3-ubyte.gz",
            slug="file-foreign",
            argument="path",
        )
    axes, dtype = data[3], np.dtype(_TYPES[data[2]])
    start = 4 + 4 * axes
    if len(data) < start:
        raise _other_length(path, f"a header of {start} bytes", f"{len(data)} bytes")
    shape = struct.unpack(f">{axes}I", data[4:start])
    size = math.prod(shape) * dtype.itemsize
    shown = f"{size} bytes of values for {' x '.join(map(str, shape))}"
    if size > _longest(path):
        raise _other_length(path, shown, f"a file of {path.stat().st_size} bytes")
    values = np.empty(size, np.uint8)
    done = 0
    for chunk in itertools.chain([data[start:]], chunks):
        if done + len(chunk) > size:
            raise _other_length(path, shown, f"at least {done + len(chunk)} bytes of values")
        values[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    if done != size:
        raise _other_length(path, shown, f"{done} bytes of values")
    return values.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _longest(path: Path) -> int:
    """The most bytes a file can hold: deflate shrinks by 1032 at best. A damaged header must not allocate terabytes."""
    return 1032 * path.stat().st_size + 4096


def _other_length(path: Path, expected: str, received: str) -> FileFormatError:
    return FileFormatError(
        f'read_idx: "{path}" has another length than its header says.',
        expected=expected,
        received=received,
        fix="the file was cut short or changed: delete it and download it again",
        slug="file-truncated",
        argument="path",
    )


def _unzipped(file: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file in chunks, its checksum checked."""
    inner = zlib.decompressobj(wbits=31)
    while raw := file.read(_CHUNK):
        while raw:
            if inner.eof:  # a further member, or the zeros that some tools write behind the end
                raw = raw.lstrip(b"\0")
                if not raw:
                    break
                inner = zlib.decompressobj(wbits=31)
            piece = inner.decompress(raw)
            raw = inner.unused_data
            if piece:
                yield piece
    if not inner.eof:
        raise EOFError("the file ends before its end marker")


def _existing(path: Path) -> Path:
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    for candidate in (path, other):
        if candidate.is_file():
            return candidate
    raise FileFormatError(
        f'read_idx: there is no file "{path}".',
        expected=f"{path.name} or {other.name} in {path.parent}",
        received="no file of either name" if path.parent.is_dir() else f'no folder "{path.parent}"',
        fix="check the path",
        slug="file-not-found",
        argument="path",
    )
