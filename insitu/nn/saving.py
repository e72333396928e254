"""A model as the content of a file, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import insitu as si
from insitu import optim
from insitu.errors import ArgumentError
from insitu.nn import losses, metrics
from insitu.nn.layer import blank_weights, deserialize, serialize

if TYPE_CHECKING:
    from insitu.nn.model import Model

Tensors = dict[str, np.ndarray[Any, Any]]


def model_to_file(model: Model) -> tuple[Tensors, dict[str, str]]:
    """Tensors and metadata; what `model_from_file` could not read back is refused here.

    Raises
    ------
    ArgumentError
        If the model has no weights yet, or holds functions that have no name to find them by.
    """
    if not model.built:
        raise ArgumentError(
            f'save: the model "{model.name}" has no weights yet.',
            expected="a model that was built",
            received="a model that has never seen the shape of its input",
            fix="train it first, or call model.build((None, 784))",
            slug="save-not-built",
        )
    architecture = serialize(model)
    with blank_weights():
        deserialize(architecture)
    metadata = {"kind": "model", "architecture": json.dumps(architecture)}
    tensors = {name: np.asarray(v.value) for name, v in _named(model.weights).items()}
    if model.optimizer is not None and model.loss is not None:
        metadata["training"] = json.dumps(
            {
                "optimizer": {"class_name": type(model.optimizer).__name__, "config": model.optimizer.get_config()},
                "loss": losses.serialize(model.loss),
                "metrics": [_metric_config(m) for m in model.metric_identifiers],
            }
        )
        for name, v in _named(model.optimizer.variables).items():
            tensors[f"optimizer/{name}"] = np.asarray(v.value)
    return tensors, metadata


def model_from_file(tensors: Tensors, metadata: dict[str, str]) -> Any:
    """The model that `model_to_file` described, with its weights and the optimizer's state.

    Raises
    ------
    ArgumentError
        If a class in it is not known here.
    KeyError
        If a tensor is missing.
    """
    with blank_weights():
        model = deserialize(json.loads(metadata["architecture"]))
    _fill(model.weights, tensors, "")
    if "training" in metadata:
        training = json.loads(metadata["training"])
        model.compile(optim.get(training["optimizer"]), losses.get(training["loss"]), training["metrics"])  # type: ignore[attr-defined]
        optimizer: optim.Optimizer = model.optimizer  # type: ignore[attr-defined]
        if any(name.startswith("optimizer/") and name.count("/") > 1 for name in tensors) or not optimizer.slots:
            optimizer.build(model.trainable_weights)
        _fill(optimizer.variables, tensors, "optimizer/")
    return model


def _named(variables: Sequence[si.Variable]) -> dict[str, si.Variable]:
    """Each variable by its name; a name that comes again gets a number."""
    named: dict[str, si.Variable] = {}
    for v in variables:
        name, number = v.name, 2
        while name in named:
            name, number = f"{v.name}#{number}", number + 1
        named[name] = v
    return named


def _fill(variables: Sequence[si.Variable], tensors: Tensors, prefix: str) -> None:
    for name, v in _named(variables).items():
        v.assign(si.asarray(np.array(tensors[prefix + name])))


def _metric_config(identifier: Any) -> str:
    if isinstance(identifier, str):
        return identifier
    if isinstance(identifier, metrics.Metric) and not isinstance(identifier, metrics.LossMetric):
        return identifier.name
    raise ArgumentError(
        "A model with a function as a metric cannot be stored together with its training.",
        expected="metrics of insitu.nn.metrics",
        received=f"{getattr(identifier, '__name__', identifier)!r}",
        fix="save the weights: si.save(path, model.get_weights())",
        slug="save-function",
    )
