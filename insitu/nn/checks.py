"""Checks before the first step: what is wrong is said in milliseconds, not after an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu.errors import ArgumentError, DTypeError, ShapeError
from insitu.nn import losses
from insitu.nn.functional import Symbol
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape, shape_leaves, written

Examples = np.ndarray[Any, Any]


def whole_number(value: Any, function: str, argument: str, least: int) -> int:
    """``value`` as an int of at least ``least``.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ArgumentError(
            f"{function}: {argument} must be a whole number of at least {least}.",
            expected=f"an int from {least} on",
            received=repr(value),
            fix=f"pass {argument}={'32' if argument == 'batch_size' else '10'}",
            slug="batch-size" if argument == "batch_size" else "epochs" if argument == "epochs" else "fit-count",
            argument=f"{argument}=",
        )
    return int(value.__index__())


def optional_number(value: Any, function: str, argument: str) -> int | None:
    """As `whole_number`, with None for no limit."""
    return None if value is None else whole_number(value, function, argument, 1)


def labels(targets: Sequence[Any], outputs: Sequence[Shape], chosen: Sequence[losses.Loss | None], function: str) -> None:
    """Check the labels of sparse losses in one look at them: targets, outputs and losses are those of one output each.

    Raises
    ------
    DTypeError, ArgumentError
        For labels that are not whole numbers, or out of range.
    """
    for target, output, loss in zip(targets, outputs, chosen, strict=True):
        if target is not None and isinstance(loss, losses.SparseCategoricalCrossentropy):
            _check_labels(target, output[-1], loss, function)


def _check_labels(y: Examples, classes: int | None, loss: losses.SparseCategoricalCrossentropy, function: str) -> None:
    if y.dtype.kind == "f" and not np.array_equal(y, np.rint(y)):
        raise DTypeError(
            f"{function}: the loss {loss.name} needs class numbers, but y holds fractions.",
            expected="whole numbers",
            received=f"{y.dtype} values such as {y[y != np.rint(y)].flat[0]}",
            fix='use a loss for real values such as loss="mean_squared_error", or round the labels',
            slug="labels-dtype",
            argument="y=",
        )
    counted = y if loss.ignore_class is None else y[y != loss.ignore_class]
    low, high = (int(counted.min()), int(counted.max())) if counted.size else (0, 0)
    if classes is not None and (low < 0 or high >= classes):
        raise ArgumentError(
            f"{function}: y holds class numbers that the model's output does not have.",
            expected=f"whole numbers from 0 to {classes - 1} (the output has {classes} classes)",
            received=f"values from {low} to {high}",
            fix=_labels_fix(low, high, classes),
            slug="labels-out-of-range",
            argument="y=",
        )


def _labels_fix(low: int, high: int, classes: int) -> str:
    if low == 1 and high == classes:
        return f"count the classes from 0 (y - 1), or give the last layer {high + 1} units"
    if low >= 0:
        return f"give the last layer {high + 1} units, or look for labels that are wrong"
    return "count the classes from 0; for classes -1 and 1, pass (y + 1) // 2" if (low, high) == (-1, 1) else "count the classes from 0"


def names_differ(layers: Sequence[Layer], model: str) -> None:
    """Raise `ArgumentError` if two layers have one name."""
    seen: dict[str, Layer] = {}
    for layer in layers:
        if seen.setdefault(layer.name, layer) is not layer:
            raise ArgumentError(
                f'"{model}" has a layer "{layer.name}" already.',
                expected="layers with names of their own",
                received=f'"{layer.name}" twice',
                fix="make a new layer for each place, or give them names: Dense(10, name=...)",
                slug="sequential-names",
            )


def inputs_fit(shapes: Any, symbols: Sequence[Symbol], model: str) -> None:
    """Raise `ShapeError` if the inputs of a functional model have other shapes than its symbols."""
    for symbol, shape in zip(symbols, shape_leaves(shapes), strict=True):
        fits = len(shape) == len(symbol.shape) and all(m is None or n is None or m == n for m, n in zip(symbol.shape, shape, strict=True))
        if not fits:
            raise ShapeError(
                f'The input "{symbol.name}" of the model "{model}" has another shape.',
                expected=written(symbol.shape),
                received=written(shape),
                fix="add the missing axis, or reshape the examples" if len(shape) != len(symbol.shape) else "pass examples of that shape",
                slug="model-input-shape",
                argument="x",
            )
