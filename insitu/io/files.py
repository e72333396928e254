"""`save` and `load`: one file for a model, an array, or a tree of arrays."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

import insitu as si
from insitu.arguments import Checked, checked
from insitu.arguments import Path as PathOf
from insitu.errors import ArgumentError, FileFormatError
from insitu.io.container import Content, PathLike, Tensors, read, write


@checked(
    path=PathOf(slug="save-path", fix="the path comes first; swap the arguments: si.save(path, value)"),
    value=Checked("a model, arrays, or a tree of them", ([1.0],)),
)
def save(path: PathLike, value: Any) -> None:
    """Write a model, an array, or a tree of arrays to one file, whole or not at all.

    The file is in the safetensors format. A model's architecture stands in its metadata as JSON, beside
    the version of insitu and a checksum; its weights and the optimizer's state are the tensors.

    Parameters
    ----------
    path : str or path
        The file; an older file of that name is replaced only once the new one is on disk.
    value : Model, array, or dict, list or tuple of these and of plain Python values
        Keys of a dict must be strings.

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    ArgumentError
        If the value is none of the above.

    Examples
    --------
    >>> import insitu as si, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "arrays.safetensors")
    >>> si.save(path, {"w": si.ones((2, 2)), "rates": [0.1, 0.2]})
    >>> si.load(path)["rates"]
    [0.1, 0.2]
    """
    if hasattr(value, "to_file_content"):
        tensors, metadata = value.to_file_content()
    else:
        tensors = {}
        metadata = {"kind": "arrays", "outline": json.dumps(outline(value, "", tensors))}
    save_content(path, tensors, metadata)


def save_content(path: PathLike, tensors: Tensors, metadata: dict[str, str]) -> None:
    """Write tensors and the text beside them, with the version of insitu."""
    if not isinstance(path, str | os.PathLike):
        raise _no_path(path)
    write(path, tensors, {**metadata, "insitu": _version()})


def _no_path(path: Any) -> ArgumentError:
    return ArgumentError(
        "save: the path of the file is missing.",
        expected="a str or a path",
        received=type(path).__name__,
        fix='pass the file\'s name: save("model.insitu")',
        slug="save-path",
        argument="path",
    )


@checked(path=PathOf(slug="load-path", fix="pass the file's name"))
def load(path: PathLike) -> Any:
    """Read what `save` wrote: a model, an array, or a tree of arrays.

    Parameters
    ----------
    path : str or path
        The file. A safetensors file of another program is read as a dict of arrays.

    Returns
    -------
    Model, Array or tree
        A model gives the same predictions, to the bit, as the one that was saved, and goes on training
        with the optimizer's state.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is cut short, damaged, of another format or of a newer version.
    ArgumentError
        If ``path`` is no path.

    Examples
    --------
    >>> import insitu as si, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "x.safetensors")
    >>> si.save(path, si.asarray([1.0, 2.0]))
    >>> si.load(path)
    Array([1., 2.], dtype=float32)
    """
    content = read(path)
    if content.metadata.get("format") != "insitu":
        return {name: si.asarray(a) for name, a in content.tensors.items()}
    try:
        if content.metadata.get("kind") == "model":
            from insitu.nn.saving import model_from_file  # a room for people beside this one

            return model_from_file(content.tensors, content.metadata)
        return rebuild(json.loads(content.metadata["outline"]), content)
    except (KeyError, ValueError) as error:
        if isinstance(error, FileFormatError | ArgumentError):
            raise
        raise FileFormatError(
            f'load: "{path}" does not describe what it holds.',
            expected="the description that save writes into the metadata",
            received=f"{type(error).__name__}: {error}",
            fix="save it again with this version of insitu",
            slug="file-damaged",
            argument="path",
        ) from error


def _version() -> str:
    return str(getattr(si, "__version__", "unknown"))


def outline(value: Any, place: str, tensors: Tensors) -> Any:
    """The tree's structure as JSON; arrays move into ``tensors`` and leave their names."""
    if isinstance(value, np.ndarray | np.generic | si.Array | si.Variable):
        name = place.encode(errors="replace").decode() or "value"
        while name in tensors or name == "__metadata__":  # {"a/b": x, "a": {"b": y}} has one place for two arrays
            name += "_"
        tensors[name] = np.asarray(value)
        return {"tensor": name}
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {"dict": {k: outline(v, f"{place}/{k}" if place else k, tensors) for k, v in value.items()}}
    if type(value) in (list, tuple):
        items = [outline(v, f"{place}/{i}" if place else str(i), tensors) for i, v in enumerate(value)]
        return {type(value).__name__: items}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise ArgumentError(
        f"save: {type(value).__name__} cannot be stored" + (f' (at "{place}").' if place else "."),
        expected="a model, arrays, plain values, or dict, list or tuple of these with text as keys",
        received=type(value).__name__,
        fix="convert it to an array with si.asarray, or leave it out",
        slug="save-value",
        argument="value",
    )


def rebuild(outline: dict[str, Any], content: Content) -> Any:
    """What `outline` described, with the arrays of the content."""
    ((kind, inner),) = outline.items()
    if kind == "tensor":
        return si.asarray(content.tensors[inner])
    if kind == "dict":
        return {k: rebuild(v, content) for k, v in inner.items()}
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](rebuild(v, content) for v in inner)
    if kind == "value":
        return inner
    raise ValueError(f"unknown kind of value {kind!r}")
