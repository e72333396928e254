"""A model as the content of a file, and back: architecture, weights, and the state of its training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu import optim
from insitu.data.batches import Batches
from insitu.errors import ArgumentError, FileFormatError, ShapeError
from insitu.nn.context import blank_weights
from insitu.nn.layer import Layer, deserialize, serialize

if TYPE_CHECKING:
    from insitu.nn.model import Model

Tensors = dict[str, np.ndarray[Any, Any]]
Metadata = dict[str, str]

#: Names in files of what is no weight begin so.
_OPTIMIZER, _SUMS = "optimizer/", "sums/"


# -- models -----------------------------------------------------------------------------------------
def model_to_file(model: Model, include_optimizer: bool = True) -> tuple[Tensors, Metadata]:
    """Tensors and metadata; what `model_from_file` could not read back is refused here.

    Raises
    ------
    ArgumentError
        If the model has no weights yet, or holds functions that have no name to find them by.
    """
    _check_built(model)
    architecture = serialize(model)
    text = _text(architecture)
    with blank_weights():
        deserialize(architecture)
    tensors, metadata = _state(model) if include_optimizer else (_weights(model), {})
    names = json.dumps([v.name for v in model.weights])
    return tensors, {"kind": "model", "architecture": text, "weights": names, **metadata}


def model_from_file(tensors: Tensors, metadata: Metadata) -> Any:
    """The model that `model_to_file` described, with its weights and the state of its training.

    Raises
    ------
    ArgumentError
        If a class in it is not known here.
    KeyError
        If a tensor is missing.
    """
    with blank_weights():
        model: Any = deserialize(json.loads(metadata["architecture"]))
    names = json.loads(metadata["weights"])
    if set(names) != {v.name for v in model.weights}:
        # layers inside a class of the user's are numbered anew, but go on under the names they had
        for v, name in zip(model.weights, names, strict=True):
            v.name = name
    if "training" in metadata:
        training = json.loads(metadata["training"])
        model.compile(optim.get(training["optimizer"]), **training["settings"])
        if "undecayed" in training:
            weights, spared = named(model.weights), training["undecayed"]
            model.optimizer.exclude_from_weight_decay([weights[n] for n in spared["weights"]], spared["var_names"])
    _set_state(model, tensors, metadata)
    return model


def _state(model: Model, described: bool = True) -> tuple[Tensors, Metadata]:
    """Weights, optimizer and random state; with ``described``, also from what to make the optimizer, losses and metrics again."""
    tensors = _weights(model)
    random: dict[str, Any] = {"layers": [g.state for g in model.generators]}
    if model._order is not None:
        random["order"] = model._order.state
    metadata = {"random": json.dumps(random)}
    if model.optimizer is not None and model.settings is not None:
        metadata["training"] = _text(_training(model) if described else {})
        tensors |= {name: np.asarray(v) for name, v in optimizer_state(model).items()}
    return tensors, metadata


def _training(model: Model) -> dict[str, Any]:
    """What `compile` was given, as JSON values, and which weights do not decay."""
    if model.settings is None or model.optimizer is None:
        return {}
    spared = [name for name, v in named(model.weights).items() if v in model.optimizer.undecayed]
    return {
        "optimizer": optim.serialize(model.optimizer),
        "settings": model.settings.get_config(),
        "undecayed": {"weights": spared, "var_names": model.optimizer.undecayed_names},
    }


def check_described(model: Model) -> None:
    """Raise `ArgumentError` if a file cannot hold the configuration of the model, its losses or metrics; nothing is made for it."""
    _text(serialize(model))
    _text(_training(model))


def _text(configuration: Any) -> str:
    """A configuration as JSON.

    Raises
    ------
    ArgumentError
        For a value that a file cannot hold, with the class and the name of the argument.
    """
    try:
        return json.dumps(configuration)
    except TypeError:
        owner, argument, value = _no_json(configuration, "", "") or ("", "", configuration)
    fix = "return what the object can be made again from, and make it in from_config"
    if isinstance(value, Layer):
        fix = f"return si.nn.serialize(self.{argument}), and take it back in from_config by si.nn.deserialize"
    elif hasattr(value, "tolist"):
        fix = f"return self.{argument}.tolist()"
    raise ArgumentError(
        f"{owner} cannot be stored: its get_config holds more than plain values.",
        expected="text, numbers, True, False, None, and lists and dicts of these with text as keys",
        received=f"{argument}: {type(value).__name__}",
        fix=fix,
        slug="save-config",
    ) from None


def _no_json(value: Any, owner: str, argument: str) -> tuple[str, str, Any] | None:
    """The first value that is no JSON, with the class and the argument it belongs to."""
    if isinstance(value, dict):
        owner, argument = value.get("class_name", owner), "" if "class_name" in value else argument
        inner = [(argument or str(name), v) for name, v in value.items() if name != "config"]
        inner += [(str(name), v) for name, v in value["config"].items()] if isinstance(value.get("config"), dict) else []
    elif isinstance(value, list | tuple):
        inner = [(argument, v) for v in value]
    else:
        return None if value is None or isinstance(value, str | int | float) else (owner, argument, value)
    return next((found for name, v in inner if (found := _no_json(v, owner, name)) is not None), None)


def optimizer_state(model: Model) -> dict[str, si.Variable]:
    """The optimizer's variables for the weights of this model, by their names in files: slots begin with their weight's."""
    if model.optimizer is None:
        return {}
    slots = model.optimizer.slots_by_variable
    found = {v.name: v for v in model.optimizer.numbers}
    found |= {f"{name}/{slot}": s for name, v in named(model.weights).items() for slot, s in slots.get(v, {}).items()}
    return {_OPTIMIZER + name: v for name, v in found.items()}


def _set_state(model: Model, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    _fill(named(model.weights), tensors)
    random = json.loads(metadata.get("random", "{}"))
    if "layers" in random:
        for generator, state in zip(model.generators, random["layers"], strict=True):
            generator.state = state
    if "order" in random:
        model.order.state = random["order"]
    if model.optimizer is not None and "training" in metadata:
        # weights that had a step, whether they are frozen by now or not; others that can be trained may have had none
        begun = {name.removeprefix(_OPTIMIZER).rpartition("/")[0] for name in tensors if name.startswith(_OPTIMIZER)}
        model.optimizer.build([v for name, v in named(model.weights).items() if name in begun])
        _fill(optimizer_state(model), tensors)


def _weights(model: Model) -> Tensors:
    return {name: np.asarray(v) for name, v in named(model.weights).items()}


def named(variables: Sequence[si.Variable]) -> dict[str, si.Variable]:
    """Each variable by its name; a name that comes again gets a number."""
    return dict(zip(numbered([v.name for v in variables]), variables, strict=True))


def numbered(names: Sequence[str]) -> list[str]:
    """The names, each once: one that comes again gets a number."""
    found: dict[str, None] = {}
    for given in names:
        name, number = given, 2
        while name in found:
            name, number = f"{given}#{number}", number + 1
        found[name] = None
    return list(found)


def _fill(variables: Mapping[str, si.Variable], tensors: Mapping[str, Any]) -> None:
    for name, v in variables.items():
        v.assign(si.asarray(np.array(tensors[name])))


# -- a training under way ------------------------------------------------------------------------------
def training_state(model: Model) -> tuple[Tensors, Metadata]:
    """What a training needs to go on at this very step: also the place in the epoch, its order, and the sums so far."""
    tensors, metadata = _state(model, described=False)  # functions without a name cannot be stored, and need not be
    epoch, step = model.position
    place: dict[str, Any] = {"epoch": epoch, "step": step}
    fit = model.now_fitting
    if fit is not None and isinstance(fit.source.data, Batches):
        place["data"] = fit.source.data.state()
    if fit is not None and step:
        # the order of this epoch is drawn again from the state at its beginning
        place["order"], place["examples"] = fit.source.order_state, fit.done
        tensors |= {f"{_SUMS}{i}": np.asarray(v) for i, v in enumerate(fit.steps.state)}
    return tensors, {**metadata, "kind": "training", "place": json.dumps(place)}


def set_training_state(model: Model, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Put a model back to what `training_state` gave; within `fit`, the loop goes on from there.

    Raises
    ------
    FileFormatError
        If the state is that of another model; nothing is changed then.
    """
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_weights)
    wanted = {name: v.shape for name, v in (named(model.weights) | optimizer_state(model)).items()}
    wrong = [n for n, shape in wanted.items() if n not in tensors or tuple(tensors[n].shape) != tuple(shape)]
    if wrong or "place" not in metadata:
        raise FileFormatError(
            f'The backup is of another model than "{model.name}".',
            expected=f'"{wrong[0]}" of shape {tuple(wanted[wrong[0]])}' if wrong else "a state of training",
            received=f"shape {tuple(tensors[wrong[0]].shape)}" if wrong and wrong[0] in tensors else "none",
            fix="delete the backup to begin anew, or build the model as it was",
            slug="backup-other-model",
        )
    place, fit = json.loads(metadata["place"]), model.now_fitting
    if fit is not None and isinstance(fit.source.data, Batches) and "data" in place:
        fit.source.data.set_state(place["data"])
    _set_state(model, tensors, metadata)
    model.position = (place["epoch"], place["step"])
    if fit is not None and place["step"]:
        model.order.state, fit.done = place["order"], place["examples"]
        for i, v in enumerate(fit.steps.state):
            v.assign(si.asarray(np.array(tensors[f"{_SUMS}{i}"])))


# -- weights alone ------------------------------------------------------------------------------------
def save_weights(model: Model, path: Any) -> None:
    """Write the weights to a safetensors file."""
    from insitu.io.files import save_content

    _check_built(model)
    tensors = _weights(model)
    save_content(path, tensors, {"kind": "weights", "names": json.dumps(list(tensors))})


def load_weights(model: Model, path: Any) -> None:
    """Read the weights from a safetensors file, or from one of Keras.

    Raises
    ------
    ShapeError
        If names or shapes differ; nothing is changed then.
    """
    from insitu.io.container import read
    from insitu.nn import keras_files

    _check_built(model)
    if isinstance(path, str | os.PathLike) and os.fspath(path).endswith(keras_files.ENDINGS) and not _is_safetensors(path):
        keras_files.load_weights(model, os.fspath(path))
        return
    content = read(path)
    tensors = {n: t for n, t in content.tensors.items() if not n.startswith(_OPTIMIZER)}
    variables = named(model.weights)
    key = {"model": "weights", "weights": "names"}.get(content.metadata.get("kind", ""), "")
    stored = numbered(json.loads(content.metadata.get(key, "[]"))) or list(tensors)
    if set(tensors) == set(stored) != set(variables) and [_end(n) for n in stored] == [_end(n) for n in variables]:
        # layers that were numbered otherwise: their order, the last parts of the names and the shapes tell
        tensors = {name: tensors[n] for name, n in zip(variables, stored, strict=True)}
    problems = _differences(tensors, variables)
    if problems:
        raise ShapeError(
            f'load_weights: the file "{path}" does not fit the model "{model.name}".',
            expected="; ".join(f"{n} {tuple(variables[n].shape)}" for n in problems[:3] if n in variables) or f"{len(variables)} weights",
            received="; ".join(f"{n} {tuple(tensors[n].shape)}" for n in problems[:3] if n in tensors) or f"none of the name {problems[0]}",
            fix="build the model as it was when the weights were saved",
            slug="weights-file",
            argument="path",
        )
    for name, v in variables.items():
        v.assign(si.asarray(np.array(tensors[name]).astype(v.dtype.numpy)))


def _is_safetensors(path: Any) -> bool:
    """Whether a file begins as those of `save_weights`, also under one of Keras' names, which Keras' own programs must use."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def _end(name: str) -> str:
    return name.rpartition("/")[2].partition("#")[0]


def _differences(tensors: Mapping[str, Any], variables: Mapping[str, si.Variable]) -> list[str]:
    names: Iterable[str] = dict.fromkeys([*variables, *tensors])
    return [n for n in names if n not in tensors or n not in variables or tuple(tensors[n].shape) != tuple(variables[n].shape)]


def _check_built(model: Model) -> None:
    if not model.built:
        raise ArgumentError(
            f'save: the model "{model.name}" has no weights yet.',
            expected="a model that was built",
            received="a model that has never seen the shape of its input",
            fix="train it first, or call model.build((None, 784))",
            slug="save-not-built",
        )
