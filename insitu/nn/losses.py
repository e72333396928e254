"""Losses with Keras' names, defaults and formulas.

A loss is called with the true values and the predictions and returns one number, the mean over the examples;
`Loss.call` gives one number per example. Where a model ends in softmax or sigmoid, training computes the loss
from the logits, which is more exact than from probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import insitu as si
from insitu.array.array import Array
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import activations, registry

#: Probabilities are kept this far from 0 and 1 before a logarithm.
EPSILON = 1e-7

Shape = tuple[int | None, ...]


class Loss:
    """Base class: ``call`` gives the loss of each example; the object itself their mean."""

    #: The activation whose logits `call_logits` takes; empty if there is no such form.
    activation = ""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or registry.words(type(self).__name__)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Loss per example, shape (batch, ...) without the last axis."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def call_logits(self, y_true: Array, logits: Array) -> Array:
        """As ``call``, for predictions before the activation."""
        raise NotImplementedError(f"{type(self).__name__} has no form for logits")

    def __call__(self, y_true: Any, y_pred: Any) -> Array:
        return si.mean(self.call(si.asarray(y_true), si.asarray(y_pred)))

    def per_example(self, y_true: Array, y_pred: Array, logits: Array | None, activation: str) -> Array:
        """Loss of each example, shape (batch,), from the logits where they are known; further axes are averaged."""
        usable = logits is not None and activation == self.activation and not getattr(self, "from_logits", False)
        each = self.call_logits(y_true, logits) if usable and logits is not None else self.call(y_true, y_pred)
        return each if each.ndim == 1 else si.mean(each, axis=tuple(range(1, each.ndim)))

    def check_shapes(self, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` if targets of that shape do not fit outputs of that shape."""
        if target != output and not _same_but_for_last_one(target, output):
            raise shapes_differ(self.name, target, output, f"{output}", _equal_fix(target, output))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss."""
        return {"name": self.name}


class _WithLogits(Loss):
    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits = bool(from_logits)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, **super().get_config()}


class SparseCategoricalCrossentropy(_WithLogits):
    """``-log p[y]`` for whole numbers ``y`` from 0 to classes - 1.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits; otherwise they are probabilities.
    name : str, optional

    Examples
    --------
    >>> import insitu as si
    >>> loss = si.nn.losses.SparseCategoricalCrossentropy()
    >>> round(float(loss(si.asarray([1, 0]), si.asarray([[0.5, 0.5], [0.25, 0.75]]))), 4)
    1.0397
    """

    activation = "softmax"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.call_logits(y_true, y_pred)
        return -_at_label(si.log(_clipped(y_pred)), y_true)

    def call_logits(self, y_true: Array, logits: Array) -> Array:
        shifted = logits - si.stop_gradient(si.max(logits, axis=-1, keepdims=True))
        return si.log(si.sum(si.exp(shifted), axis=-1)) - _at_label(shifted, y_true)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        if target == output[:-1] or (target[-1:] == (1,) and target[:-1] == output[:-1]):
            return
        if target == output:
            fix = 'these look like one-hot rows: use loss="categorical_crossentropy", or pass y.argmax(-1)'
        elif len(output) > 2:
            fix = "flatten the examples: begin the model with Flatten()"
        else:
            fix = "pass one whole number per example"
        raise shapes_differ(self.name, target, output, f"{output[:-1]}, one whole number per example", fix)


class CategoricalCrossentropy(_WithLogits):
    """``-sum(y * log p)`` over the last axis, for rows ``y`` of probabilities (one-hot rows, for example).

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits; otherwise probabilities, which are scaled to sum 1.
    name : str, optional
    """

    activation = "softmax"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.call_logits(y_true, y_pred)
        p = y_pred / si.sum(y_pred, axis=-1, keepdims=True)
        return -si.sum(y_true.astype(p.dtype) * si.log(_clipped(p)), axis=-1)

    def call_logits(self, y_true: Array, logits: Array) -> Array:
        return -si.sum(y_true.astype(logits.dtype) * activations.log_softmax(logits), axis=-1)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        if target != output:
            whole = target == output[:-1] or target == (*output[:-1], 1)
            fix = 'these look like class numbers: use loss="sparse_categorical_crossentropy"' if whole else _equal_fix(target, output)
            raise shapes_differ(self.name, target, output, f"{output}, one row of probabilities per example", fix)


class BinaryCrossentropy(_WithLogits):
    """``-(y log p + (1 - y) log(1 - p))``, averaged over the last axis.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits; otherwise probabilities.
    name : str, optional
    """

    activation = "sigmoid"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.call_logits(y_true, y_pred)
        y, p = _as_predictions(y_true, y_pred), _clipped(y_pred)
        return -si.mean(y * si.log(p) + (1 - y) * si.log(1 - p), axis=-1)

    def call_logits(self, y_true: Array, logits: Array) -> Array:
        y = _as_predictions(y_true, logits)
        return si.mean(activations.relu(logits) - logits * y + si.log1p(si.exp(-si.abs(logits))), axis=-1)


class MeanSquaredError(Loss):
    """``(y - p)**2``, averaged over the last axis."""

    def call(self, y_true: Array, y_pred: Array) -> Array:
        difference = y_pred - _as_predictions(y_true, y_pred)
        return si.mean(difference * difference, axis=-1)


class FunctionLoss(Loss):
    """A Python function ``f(y_true, y_pred)`` of arrays as a loss."""

    def __init__(self, function: Callable[[Array, Array], Array]) -> None:
        super().__init__(getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Array, y_pred: Array) -> Array:
        each = self.function(y_true, y_pred)
        return each if each.ndim else si.broadcast_to(each, (y_pred.shape[0],))

    def check_shapes(self, target: Shape, output: Shape) -> None:
        """A function knows best what it takes."""


CLASSES: tuple[type[Loss], ...] = (SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError)
TABLE: dict[str, type[Loss]] = {registry.words(c.__name__): c for c in CLASSES} | {"mse": MeanSquaredError}


def get(identifier: Any) -> Loss:
    """The loss that a name, a class, a configuration, a function or a loss means.

    Raises
    ------
    ArgumentError
        If there is none of that name.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, dict):
        return registry.find("loss", TABLE, identifier.get("class_name"), "pass a name")(**identifier.get("config", {}))
    if callable(identifier):
        return FunctionLoss(identifier)
    return registry.find("loss", TABLE, identifier, 'pass a name such as "sparse_categorical_crossentropy", or a function')()


def serialize(loss: Loss) -> dict[str, Any]:
    """The configuration from which `get` makes the loss again.

    Raises
    ------
    ArgumentError
        For a Python function, which a file cannot hold.
    """
    if isinstance(loss, FunctionLoss):
        raise ArgumentError(
            f"A model whose loss is the function {loss.name} cannot be stored together with its training.",
            expected="a loss of insitu.nn.losses",
            received=f"the function {loss.name}",
            fix="save the weights: si.save(path, model.get_weights())",
            slug="save-function",
        )
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def shapes_differ(name: str, target: Shape, output: Shape, expected: str, fix: str) -> ShapeError:
    """The error for targets that do not fit the model's output."""
    return ShapeError(
        f"The targets do not fit the model's output for the loss {name}.",
        expected=f"targets of shape {expected}".replace("None", "batch"),
        received=f"targets of shape {target}, output of shape {output}".replace("None", "batch"),
        fix=fix,
        slug="loss-shapes",
        argument="y=",
    )


def _equal_fix(target: Shape, output: Shape) -> str:
    if target[-1:] != output[-1:] and len(target) == len(output):
        return f"give the last layer {target[-1]} units" if target else "pass one row of targets per example"
    return "make the model's output and the targets equal in shape"


def _same_but_for_last_one(target: Shape, output: Shape) -> bool:
    """(n,) and (n, 1) hold the same values."""
    return (*target, 1) == output or target == (*output, 1)


def _as_predictions(y_true: Array, y_pred: Array) -> Array:
    y = y_true.astype(y_pred.dtype)
    return y if tuple(y.shape) == tuple(y_pred.shape) else si.reshape(y, y_pred.shape)


def _clipped(p: Array) -> Array:
    return si.clip(p, EPSILON, 1 - EPSILON)


def _at_label(rows: Array, labels: Array) -> Array:
    """``rows[i, labels[i]]`` by comparing every position with the label, which fuses into one pass over the rows."""
    if labels.ndim == rows.ndim:
        labels = si.squeeze(labels, axis=-1)
    labels = labels if labels.dtype.is_integer and labels.dtype.bits < 64 and labels.dtype.is_signed else labels.astype(si.int32)
    positions = si.arange(rows.shape[-1], dtype=labels.dtype)
    return si.sum(si.where(positions == si.expand_dims(labels, axis=-1), rows, 0), axis=-1)
