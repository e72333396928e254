"""One file of named tensors with text beside them: a safetensors file with a checksum.

The safetensors library writes and checks the format (https://huggingface.co/docs/safetensors). Files of insitu
carry in its metadata ``format`` ("insitu"), ``version`` and ``checksum``, the sha256 of all texts and tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from insitu import dtypes as dt
from insitu.errors import ArgumentError, DTypeError, FileFormatError
from insitu.nearest import nearest

FORMAT, VERSION = "insitu", 1
_MARK = "insitu-sha256:"  # a checksum of ours, known as such even where the word in ``format`` is damaged
_CODES = {
    "BOOL": dt.bool_, "I8": dt.int8, "I16": dt.int16, "I32": dt.int32, "I64": dt.int64,
    "U8": dt.uint8, "U16": dt.uint16, "U32": dt.uint32, "U64": dt.uint64,
    "F16": dt.float16, "BF16": dt.bfloat16, "F32": dt.float32, "F64": dt.float64,
}  # fmt: skip
_LONGEST_HEADER = 100_000_000  # the library reads none that is longer
_AGAIN = "take a copy from before the damage, or save the model again"
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize

Tensors = dict[str, np.ndarray[Any, Any]]
PathLike = str | os.PathLike[str]


class Content(NamedTuple):
    """What a file holds: tensors by name, and the text beside them."""

    tensors: Tensors
    metadata: dict[str, str]


def write(path: PathLike, tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> None:
    """Write the file whole or not at all: an older file of that name stays intact until the new one is on disk.

    Raises
    ------
    FileFormatError
        If the folder is missing or cannot be written, or the disk is full.
    DTypeError
        If a tensor has a type that the format lacks.
    ArgumentError
        If names and texts are longer than the format allows.
    """
    arrays = {name: _storable(a) for name, a in tensors.items()}
    texts = {"format": FORMAT, "version": str(VERSION), **metadata}
    texts["checksum"] = _checksum(texts, arrays)
    try:
        raw = safetensors.numpy.save(arrays, texts)
    except safetensors.SafetensorError as error:
        if "header too large" not in str(error):
            raise
        raise _too_long("more") from error  # newer versions of the library refuse to write what none of them reads
    write_whole(Path(path), _in_order(raw))


def read(path: PathLike) -> Content:
    """Read and check a file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is cut short, damaged, of another format or of a newer version.
    """
    place = Path(path)
    raw = _bytes(place)
    try:
        entries = dict(_deserialize(raw))
    except safetensors.SafetensorError as error:
        raise _broken(place, raw, str(error)) from error
    texts: dict[str, str] = json.loads(_header(raw)).get("__metadata__") or {}
    tensors = {name: _array(place, name, **entry) for name, entry in entries.items()}
    if texts.get("format") == FORMAT or texts.get("checksum", "").startswith(_MARK):
        _check(place, texts, tensors)
    return Content(tensors, texts)


def _check(path: Path, texts: dict[str, str], tensors: Tensors) -> None:
    """Check version and checksum, and take the checksum out."""
    version = texts.get("version", "")
    if version.isdecimal() and int(version[:9]) > VERSION:
        made = f"version {version[:9]}, written by insitu {texts.get('insitu', '(unknown)')}"
        newer = "install a newer insitu: pip install --upgrade insitu"
        raise _refuse(path, "has a newer format than this insitu reads", f"version up to {VERSION}", made, "file-newer-version", newer)
    given, found = texts.pop("checksum", "none"), _checksum(texts, tensors)
    if given != found:
        raise _refuse(path, "is damaged: its content does not fit its checksum", found[:30], given[:30], "file-damaged")


def _storable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in row-major, native order."""
    if array.dtype.name not in dt.BY_NAME:
        raise DTypeError(
            f"save: arrays of type {array.dtype} cannot be stored.",
            expected="one of " + ", ".join(dt.BY_NAME),
            received=str(array.dtype),
            fix="convert the array first, for example with astype",
            slug="save-dtype",
            argument="value",
        )
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _array(path: Path, name: str, dtype: str, shape: list[int], data: bytearray) -> np.ndarray[Any, Any]:
    if dtype not in _CODES:
        fix = "convert it with the program that made it"
        raise _refuse(path, f'holds a tensor "{name}" of an unknown type', ", ".join(_CODES), dtype, "file-dtype", fix)
    return np.ndarray(shape, _CODES[dtype].numpy, data)


def _checksum(texts: Mapping[str, str], tensors: Tensors) -> str:
    table = [(name, a.dtype.name, a.shape) for name, a in sorted(tensors.items())]
    digest = hashlib.sha256(json.dumps([dict(texts), table], sort_keys=True).encode())
    for name, _, _ in table:
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return _MARK + digest.hexdigest()


def _header(raw: bytes) -> bytes:
    return raw[8 : 8 + int.from_bytes(raw[:8], "little")]


def _in_order(raw: bytes) -> list[bytes | memoryview]:
    """The file's parts with the texts sorted: the library writes them in another order in each run."""
    header = _header(raw)
    table = json.loads(header)
    table["__metadata__"] = dict(sorted(table["__metadata__"].items()))
    ordered = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode().ljust(len(header))
    if len(ordered) > _LONGEST_HEADER:
        raise _too_long(f"{len(ordered)} bytes")
    return [len(ordered).to_bytes(8, "little"), ordered, memoryview(raw)[8 + len(header) :]]


def _too_long(received: str) -> ArgumentError:
    return ArgumentError(
        "save: the names and plain Python values are too long for one file.",
        expected=f"at most {_LONGEST_HEADER} bytes of text",
        received=received,
        fix="turn long lists of numbers into arrays: si.asarray(values)",
        slug="save-too-long",
    )


def write_whole(path: Path, parts: Sequence[bytes | memoryview], function: str = "save") -> None:
    """Write beside the place, put it on disk, then take the place in one step. A link stays one: what it leads to is replaced.

    Raises
    ------
    FileFormatError
        If that fails, or the place is a pipe or a device; an older file stays as it was. ``function`` is whose mistake it is called.
    """
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".insitu-{secrets.token_hex(8)}.tmp")
    try:
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise OSError("a pipe or a device, of which no file can take the place")
        try:
            with open(beside, "xb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise FileFormatError(
            f'{function}: "{path}" cannot be written.',
            expected="a folder that exists, may be written and has room",
            received=error.strerror or str(error),
            fix=_write_fix(path),
            slug="file-not-writable",
            argument="path",
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise FileFormatError(
            f'load: there is no file "{path}".' if missing else f'load: "{path}" cannot be read.',
            expected="a file that save wrote",
            received=error.strerror or str(error),
            fix=_read_fix(path),
            slug="file-not-found" if missing else "file-not-readable",
            argument="path",
        ) from error


def _write_fix(path: Path) -> str:
    if path.is_dir():
        return f'name a file in that folder: "{path / "model.insitu"}"'
    return "choose another path, or make room" if path.parent.is_dir() else f'make the folder first: mkdir -p "{path.parent}"'


def _read_fix(path: Path) -> str:
    if path.is_dir():
        return f'name a file in that folder, such as "{next((p for p in sorted(path.iterdir()) if p.is_file()), path / "model.insitu")}"'
    with contextlib.suppress(OSError):
        near = nearest(path.name, [p.name for p in sorted(path.parent.iterdir())])
        if near:
            return f'did you mean "{path.parent / near}"?'
    return "check the path; relative ones start at " + os.getcwd()


#: How files of other programs begin, and how their content is read.
_FOREIGN = {
    b"\x93NUMPY": "this is a file of NumPy: np.load reads it, si.asarray takes the array",
    b"\x89HDF": "this is an HDF5 file, as Keras and h5py write: h5py reads it, model.set_weights takes the arrays",
    b"PK\x03\x04": "this is a zip file, as np.savez, PyTorch and Keras write: open it with what wrote it, and pass the arrays on",
    b"\x80": "this is a pickle: read it with pickle.load, if you trust its origin",
}


def _foreign_fix(raw: bytes) -> str:
    return next((text for start, text in _FOREIGN.items() if raw.startswith(start)), "check the path")


def _refuse(path: Path, why: str, expected: str, received: str, slug: str, fix: str = _AGAIN) -> FileFormatError:
    return FileFormatError(f'load: "{path}" {why}.', expected=expected, received=received, fix=fix, slug=slug, argument="path")


def _broken(path: Path, raw: bytes, reason: str) -> FileFormatError:
    """What is wrong with a file that the library refuses: another format, an end that is missing, or damage."""
    length = int.from_bytes(raw[:8], "little")
    if raw[8:9] != b"{" or length > _LONGEST_HEADER:
        received = f"{len(raw)} bytes that begin with {raw[:8]!r}" if raw else "an empty file"
        return _refuse(path, "is not a file of insitu", "a safetensors file that save wrote", received, "file-foreign", _foreign_fix(raw))
    try:
        table = json.loads(_header(raw)) if 8 + length <= len(raw) else {}
        end = 8 + length + max((entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"), default=0)
        cut = end > len(raw)
    except (ValueError, TypeError, LookupError, RecursionError):
        cut = False
    if cut:
        return _refuse(path, "was cut short", f"at least {end} bytes", f"{len(raw)} bytes", "file-truncated")
    return _refuse(path, "is damaged", "a safetensors file that save wrote", reason, "file-damaged")
