"""One file of named tensors with text beside them: the safetensors format with a checksum.

The format (https://huggingface.co/docs/safetensors): the header's length as eight little-endian bytes, the
header as JSON ``{name: {"dtype", "shape", "data_offsets"}, "__metadata__": {str: str}}``, then the values,
little-endian, in row-major order and without gaps. Files of insitu carry in the metadata ``format``
("insitu"), ``version`` and ``checksum``, the sha256 of everything else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from insitu import dtypes as dt
from insitu.errors import DTypeError, FileFormatError

FORMAT, VERSION = "insitu", 1
NAMES = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip
_BY_CODE = {code: name for name, code in NAMES.items()}
_LONGEST_HEADER = 100_000_000  # the library's own limit

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
    """
    arrays = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in tensors.items()}
    table, position = {}, 0
    for name in sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n)):  # wide types first: every tensor is aligned
        size = arrays[name].nbytes
        table[name] = {"dtype": _code(arrays[name].dtype), "shape": list(arrays[name].shape), "data_offsets": [position, position + size]}
        position += size
    data = [_little_endian(arrays[name]) for name in table]
    texts = {"format": FORMAT, "version": str(VERSION), **metadata}
    texts["checksum"] = _checksum(texts, table, data)
    header = json.dumps({"__metadata__": texts, **table}, ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    _replace(Path(path), [len(header).to_bytes(8, "little"), header, *data])


def read(path: PathLike) -> Content:
    """Read and check a file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is cut short, damaged, of another format or of a newer version.
    """
    place = Path(path)
    raw = _bytes(place)
    table, texts, start = _header(place, raw)
    tensors = _tensors(place, raw, table, start)
    if texts.get("format") == FORMAT:
        _check_version(place, texts)
        given = texts.pop("checksum", "")
        if given != _checksum(texts, table, [raw[start:]]):
            raise _refuse(
                place, "is damaged: its content does not fit its checksum", "sha256 " + given[:16], "another sha256", _AGAIN, "file-damaged"
            )
    return Content(tensors, texts)


_AGAIN = "take a copy from before the damage, or save the model again"


def _code(dtype: np.dtype[Any]) -> str:
    name = NAMES.get(dtype.name)
    if name is None:
        raise DTypeError(
            f"save: arrays of type {dtype} cannot be stored.",
            expected="one of " + ", ".join(NAMES),
            received=str(dtype),
            fix="convert the array first, for example with astype",
            slug="save-dtype",
        )
    return name


def _little_endian(array: np.ndarray[Any, Any]) -> memoryview:
    swapped = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return swapped.reshape(-1).view(np.uint8).data


def _checksum(texts: Mapping[str, str], table: Mapping[str, Any], data: list[memoryview]) -> str:
    digest = hashlib.sha256(json.dumps([dict(texts), dict(table)], sort_keys=True).encode())
    for part in data:
        digest.update(part)
    return digest.hexdigest()


def _replace(path: Path, parts: list[Any]) -> None:
    """Write beside the place, put it on disk, then take the place in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(beside, "xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise FileFormatError(
            f'save: "{path}" cannot be written.',
            expected="a folder that exists, may be written and has room",
            received=error.strerror or str(error),
            fix="choose another path, or make room" if path.parent.is_dir() else f'make the folder first: mkdir -p "{path.parent}"',
            slug="file-not-writable",
        ) from error


def _bytes(path: Path) -> memoryview:
    try:
        return memoryview(path.read_bytes())
    except OSError as error:
        raise FileFormatError(
            f'load: there is no file "{path}".' if isinstance(error, FileNotFoundError) else f'load: "{path}" cannot be read.',
            expected="a file that save wrote",
            received=error.strerror or str(error),
            fix="check the path; relative ones start at " + os.getcwd(),
            slug="file-not-found" if isinstance(error, FileNotFoundError) else "file-not-readable",
        ) from error


def _refuse(path: Path, why: str, expected: str, received: str, fix: str, slug: str) -> FileFormatError:
    return FileFormatError(f'load: "{path}" {why}.', expected=expected, received=received, fix=fix, slug=slug)


def _foreign(path: Path, received: str) -> FileFormatError:
    return _refuse(path, "is not a file of insitu", "a safetensors file that save wrote", received, "check the path", "file-foreign")


def _header(path: Path, raw: memoryview) -> tuple[dict[str, Any], dict[str, str], int]:
    """The table of tensors, the metadata, and where the values begin."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 9 or length > _LONGEST_HEADER or raw[8] != ord("{"):
        raise _foreign(path, f"{len(raw)} bytes that begin with {bytes(raw[:8])!r}" if len(raw) else "an empty file")
    start = 8 + length
    if start > len(raw):
        raise _refuse(path, "was cut short", f"a header of {length} bytes", f"{len(raw) - 8} bytes of it", _AGAIN, "file-truncated")
    try:
        table = json.loads(bytes(raw[8:start]))
    except ValueError as error:
        raise _refuse(path, "is damaged: its header is not JSON", "a JSON object", str(error), _AGAIN, "file-damaged") from error
    texts = table.pop("__metadata__", {}) if isinstance(table, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
        raise _foreign(path, "a header of another form")
    return table, texts, start


def _tensors(path: Path, raw: memoryview, table: dict[str, Any], start: int) -> Tensors:
    sizes = {name: _entry(path, name, entry) for name, entry in table.items()}
    end, size = 0, len(raw) - start
    for name in sorted(sizes, key=lambda n: table[n]["data_offsets"]):
        if table[name]["data_offsets"][0] != end:
            raise _refuse(
                path,
                "is damaged: its tensors overlap or leave gaps",
                f'"{name}" at byte {end}',
                f"byte {table[name]['data_offsets'][0]}",
                _AGAIN,
                "file-damaged",
            )
        end = table[name]["data_offsets"][1]
    if size != end:
        why, slug = ("was cut short", "file-truncated") if size < end else ("is damaged: it is longer than its header says", "file-damaged")
        raise _refuse(path, why, f"{end} bytes of values", f"{size} bytes", _AGAIN, slug)
    return {
        name: np.frombuffer(raw, dtype, math.prod(shape), start + table[name]["data_offsets"][0]).reshape(shape)
        if math.prod(shape)
        else np.empty(shape, dtype)
        for name, (dtype, shape) in sizes.items()
    }


def _entry(path: Path, name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and shape of one line of the table."""
    fields = (entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")) if isinstance(entry, dict) else (None, None, None)
    code, shape, offsets = fields
    whole = all(isinstance(v, list) and all(type(n) is int and n >= 0 for n in v) for v in (shape, offsets))
    if not isinstance(code, str) or not isinstance(shape, list) or not isinstance(offsets, list) or not whole or len(offsets) != 2:
        raise _foreign(path, f'a header of another form (tensor "{name}")')
    if code not in _BY_CODE:
        raise _refuse(
            path, f'holds a tensor "{name}" of an unknown type', ", ".join(_BY_CODE), code, "convert it with the program that made it", "file-dtype"
        )
    dtype = dt.BY_NAME[_BY_CODE[code]].numpy
    if math.prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        raise _refuse(
            path,
            f'is damaged: tensor "{name}" has another size than its shape',
            f"{shape} {code}",
            f"{offsets[1] - offsets[0]} bytes",
            _AGAIN,
            "file-damaged",
        )
    return dtype.newbyteorder("<") if dtype.kind != "V" else dtype, tuple(shape)


def _check_version(path: Path, texts: Mapping[str, str]) -> None:
    version = texts.get("version", "")
    if not version.isdecimal():
        raise _refuse(path, "is damaged: it names no format version", "a number", repr(version), _AGAIN, "file-damaged")
    if int(version) > VERSION:
        made = f" (written by insitu {texts['insitu']})" if "insitu" in texts else ""
        raise _refuse(
            path, "has a newer format than this insitu reads", f"format version up to {VERSION}", f"version {version}{made}",
            "install a newer insitu: pip install --upgrade insitu", "file-newer-version",
        )  # fmt: skip
