"""Weights from Keras' HDF5 files: those of Keras 3 (``.weights.h5``), and those that Keras 1 and 2 wrote (``.h5``). Needs h5py.

A file of Keras 3 has a group for each layer, called by its class and number (``layers/conv2d_1/vars``), in which the weights are ``0``, ``1``
and so on; since version 3.6 an attribute tells the layer's own name. Older files have groups by the layers' names, whose attribute
``weight_names`` lists the weights in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import insitu as si
from insitu import registry
from insitu.errors import ArgumentError, FileFormatError, ShapeError
from insitu.nn.layer import Layer

if TYPE_CHECKING:
    from insitu.nn.model import Model

Values = np.ndarray[Any, Any]

#: Endings of such files.
ENDINGS = (".h5", ".hdf5")


class Group(NamedTuple):
    """The weights of a layer: where they stand in the file, and the layer's name where the file tells it."""

    place: str
    name: str | None
    values: list[Values]


def load_weights(model: Model, path: str) -> None:
    """Read the weights of a built model.

    Raises
    ------
    ArgumentError
        If h5py is not installed.
    FileFormatError
        If there is no such file, or it holds no weights of Keras.
    ShapeError
        If layers or shapes differ; nothing is changed then.
    """
    groups, old = _read(path)
    layers = [(place, layer) for place, layer in (_top(model) if old else places(model)) if layer.weights]
    changes: list[tuple[si.Variable, Values]] = []
    for layer, values in _matched(model, path, layers, groups, old):
        # older files have the weights that are not trained behind all others, also those of models inside
        weights = sorted(layer.weights, key=lambda w: not w.trainable) if old else layer.weights
        have, found = [tuple(w.shape) for w in weights], [v.shape for v in values]
        if have != found:
            raise ShapeError(
                f'load_weights: the layer "{layer.name}" has other weights in the file "{path}".',
                expected=", ".join(map(str, have)),
                received=", ".join(map(str, found)),
                fix="build the model as it was when the weights were saved: the same input, classes and top",
                slug="weights-file",
                argument="path",
            )
        changes += zip(weights, values, strict=True)
    for weight, value in changes:
        weight.assign(si.asarray(value.astype(weight.dtype.numpy)))


def _matched(model: Model, path: str, layers: Sequence[tuple[str, Layer]], groups: Sequence[Group], old: bool) -> list[tuple[Layer, list[Values]]]:
    """Each layer with its weights: by the layers' names, else by their classes and numbers, or, as Keras reads older files, by their order."""
    named = {g.name: g.values for g in groups}
    if len(named) == len(groups) and named.keys() == {layer.name for _, layer in layers} and len(named) == len(layers):
        return [(layer, named[layer.name]) for _, layer in layers]
    placed = {g.place: g.values for g in groups}
    if not old and placed.keys() == {place for place, _ in layers}:
        return [(layer, placed[place]) for place, layer in layers]
    if old and len(groups) == len(layers):
        return [(layer, g.values) for (_, layer), g in zip(layers, groups, strict=True)]
    wanted, found = [layer.name for _, layer in layers], [g.name or g.place for g in groups]
    missing, extra = ([n for n in first if n not in second] for first, second in ((wanted, found), (found, wanted)))
    raise ShapeError(
        f'load_weights: the file "{path}" does not fit the model "{model.name}".',
        expected=f"{len(wanted)} layers with weights" + (f", also {_first(missing)}" if missing else ""),
        received=f"{len(found)} layers" + (f", also {_first(extra)}" if extra else ""),
        fix="build the model as it was when the weights were saved: the same layers, names and top",
        slug="weights-file",
        argument="path",
    )


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


# -- the model's side -----------------------------------------------------------------------------------------
def places(model: Model, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers of a model and of the models inside it, each with the name of its group in a file of Keras 3."""
    from insitu.nn.model import Model

    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = registry.words(type(layer).__name__)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        place = f"{prefix}layers/{kind}" + (f"_{number}" if number else "")
        if isinstance(layer, Model):
            yield from places(layer, place + "/")
        else:
            yield place, layer


def _top(model: Model) -> Iterator[tuple[str, Layer]]:
    """The layers of a model itself, of which an older file has a group each, also for models inside."""
    yield from ((layer.name, layer) for layer in model.layers)


# -- the file's side -------------------------------------------------------------------------------------------
def _read(path: str) -> tuple[list[Group], bool]:
    """The weights of each layer that has some, and whether the file is of the older kind."""
    h5py = _h5py()
    if not os.path.exists(path):
        raise FileFormatError(
            f'load_weights: there is no file "{path}".',
            expected="a file of weights",
            received="nothing of this name",
            fix="check the path; relative ones start at " + os.getcwd(),
            slug="file-not-found",
            argument="path",
        )
    try:
        with h5py.File(path, "r") as file:
            stored = file.get("model_weights", file)
            old = "layer_names" in stored.attrs or "layer_names0" in stored.attrs
            groups = _old(stored) if old else _new(h5py, stored)
    except OSError as error:
        raise FileFormatError(
            f'load_weights: "{path}" is no HDF5 file that can be read.',
            expected="a file that Keras' save_weights wrote",
            received=str(error),
            fix="check the path, and whether the file was copied as a whole",
            slug="file-foreign",
            argument="path",
        ) from error
    if not groups:
        raise FileFormatError(
            f'load_weights: "{path}" holds no weights of Keras.',
            expected='groups "layers/.../vars", or the attribute "layer_names"',
            received="an HDF5 file without these",
            fix="save the model with Keras' model.save_weights",
            slug="file-foreign",
            argument="path",
        )
    return groups, old


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ArgumentError(
            "load_weights: Keras' files need h5py, which is not installed.",
            expected="h5py",
            received="no module h5py",
            fix="pip install 'insitu[keras]'",
            slug="weights-h5py",
            argument="path",
        ) from error
    return h5py


def _old(file: Any) -> list[Group]:
    found = []
    for name in map(_text, _listed(file, "layer_names")):
        weights = [np.asarray(file[name][_text(weight)]) for weight in _listed(file[name], "weight_names")]
        if weights:
            found.append(Group(name, name, weights))
    return found


def _listed(group: Any, name: str) -> list[Any]:
    """An attribute that is a list, cut into parts ``name0``, ``name1``, ... where it is too long for one."""
    if name in group.attrs:
        return list(group.attrs[name])
    parts: list[Any] = []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [item for part in parts for item in part]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _new(h5py: Any, file: Any) -> list[Group]:
    found = []

    def visit(place: str, item: Any) -> None:
        if place.startswith("layers/") and place.endswith("/vars") and isinstance(item, h5py.Group) and len(item):
            name = _text(item.attrs["name"]) if "name" in item.attrs else None
            found.append(Group(place.removesuffix("/vars"), name, [np.asarray(item[str(k)]) for k in range(len(item))]))

    file.visititems(visit)
    return found
