"""Whether targets fit a model's output: the checks of losses and metrics, before and while they compute."""

from __future__ import annotations

import insitu as si
from insitu.array.array import Array
from insitu.errors import ShapeError

Shape = tuple[int | None, ...]


def shapes_differ(owner: str, target: Shape, output: Shape, expected: str, fix: str) -> ShapeError:
    """The error for targets that do not fit the model's output.

    Parameters
    ----------
    owner : str
        ``"loss NAME"`` or ``"metric NAME"``.
    target, output : tuple of int or None
        Their shapes, None for the batch.
    expected, fix : str
        Parts of the message.
    """
    return ShapeError(
        f"The targets do not fit the model's output for the {owner}.",
        expected=f"targets of shape {expected}".replace("None", "batch"),
        received=f"targets of shape {target}, output of shape {output}".replace("None", "batch"),
        fix=fix,
        slug="metric-shapes" if owner.startswith("metric ") else "loss-shapes",
        argument="y|y_true",
    )


def check_equal(owner: str, target: Shape, output: Shape) -> None:
    """Raise `ShapeError` unless targets have the output's shape; a last axis of length 1 may be missing on one side."""
    if target != output and (*target, 1) != output and target != (*output, 1):
        raise shapes_differ(owner, target, output, f"{output}", equal_fix(target, output))


def check_labels(owner: str, target: Shape, output: Shape) -> None:
    """Raise `ShapeError` unless there is one class number for each row of scores in the output."""
    _check_classes(owner, target, output)
    if len(output) > 1 and (target == output[:-1] or target == (*output[:-1], 1)):
        return
    if len(output) < 2:
        raise shapes_differ(owner, target, output, "(None,), and an output with a score for each class", "end the model with Dense(classes)")
    if target == output:
        fix = f"these look like one-hot rows: use {_other(owner, 'categorical')}, or pass y.argmax(-1)"
    elif len(output) > 2:
        fix = "flatten the examples: begin the model with Flatten()"
    else:
        fix = "pass one whole number per example"
    raise shapes_differ(owner, target, output, f"{output[:-1]}, one whole number per example", fix)


def check_rows(owner: str, target: Shape, output: Shape) -> None:
    """Raise `ShapeError` unless there is one row of probabilities for each row of the output."""
    _check_classes(owner, target, output)
    if target == output and len(output) > 1:
        return
    numbers = target == output[:-1] or target == (*output[:-1], 1)
    fix = f"these look like class numbers: use {_other(owner, 'sparse_categorical')}" if numbers else equal_fix(target, output)
    raise shapes_differ(owner, target, output, f"{output}, one row of probabilities per example", fix)


def _check_classes(owner: str, target: Shape, output: Shape) -> None:
    """One class alone always has probability 1: nothing could be learned, or be wrong."""
    if len(output) > 1 and output[-1] == 1:
        kind = "accuracy" if "accuracy" in owner else "crossentropy"
        fix = f'use "binary_{kind}" and a sigmoid for one output, or give the last layer one unit for each class'
        raise shapes_differ(owner, target, output, "(None,), and an output with a score for each of at least 2 classes", fix)


def _other(owner: str, kind: str) -> str:
    """The loss or metric that takes the other kind of labels."""
    if not owner.startswith("metric "):
        return f'loss="{kind}_crossentropy"'
    return f'"{kind}_crossentropy"' if "crossentropy" in owner else f'"{kind}_accuracy"'


def equal_fix(target: Shape, output: Shape) -> str:
    """How to make targets and output equal in shape."""
    if target == output[:-1] and len(target) == 1 and output[-1] is not None and output[-1] > 1:
        return "for class numbers, use a sparse_categorical loss; for one number per example, end the model with one unit: Dense(1)"
    if target[-1:] != output[-1:] and len(target) == len(output):
        return f"give the last layer {target[-1]} units" if len(target) > 1 else "pass one row of targets per example"
    return "make the model's output and the targets equal in shape"


def floating(x: Array) -> Array:
    """An array that can be computed with: half precision, whole numbers and truth values become float32."""
    return x if x.dtype.is_float and x.dtype.bits >= 32 else x.astype(si.float32)


def same_rank(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Both with the same number of axes, where one lacks a last axis of length 1: put in beside one axis, taken away beside more."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, si.expand_dims(y_pred, axis=-1)) if y_pred.ndim == 1 else (si.squeeze(y_true, axis=-1), y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (si.expand_dims(y_true, axis=-1), y_pred) if y_true.ndim == 1 else (y_true, si.squeeze(y_pred, axis=-1))
    return y_true, y_pred


def alike(owner: str, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Targets and predictions in the predictions' dtype and of one shape; a single number is a target for all.

    Raises
    ------
    ShapeError
        If the shapes differ. They are not broadcast: (n,) against (n, 1) would make n x n differences.
    """
    y_pred = floating(y_pred)
    y_true, y_pred = same_rank(y_true.astype(y_pred.dtype), y_pred)
    if y_true.ndim and tuple(y_true.shape) != tuple(y_pred.shape):
        raise shapes_differ(
            owner, tuple(y_true.shape), tuple(y_pred.shape), f"{tuple(y_pred.shape)}", "reshape the targets to the predictions' shape"
        )
    return y_true, y_pred
