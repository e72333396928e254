"""Checks before the first step: what is wrong is said in milliseconds, not after an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

import insitu as si
from insitu.errors import ArgumentError, DTypeError, ShapeError
from insitu.nn import losses
from insitu.nn.layer import Shape

Examples = np.ndarray[Any, Any]


def examples(value: Any, function: str, argument: str) -> Examples:
    """The data as a C-contiguous NumPy array, without a copy where possible.

    Raises
    ------
    DTypeError
        If it holds something else than numbers.
    ShapeError
        If it has no axis of examples, or rows of unequal length.
    ArgumentError
        If it is empty.
    """
    try:
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            f"{function}: the rows of {argument} have unequal lengths.",
            expected="examples of one shape",
            received=str(error),
            fix="make all examples equal in shape",
            slug="data-ragged",
            argument=f"{argument}=",
        ) from error
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise DTypeError(
            f"{function}: {argument} must hold numbers.",
            expected="an array of a floating, integer or boolean type",
            received=f"{array.shape} {array.dtype}",
            fix="give each text a number first: np.unique(y, return_inverse=True)[1]" if array.dtype.kind in "US" else "convert it with astype",
            slug="data-dtype",
            argument=f"{argument}=",
        )
    if not array.ndim:
        raise ShapeError(
            f"{function}: {argument} must have an axis of examples.",
            expected="(examples, ...)",
            received="a single number",
            fix=f"pass a list or an array: {argument}=[...]",
            slug="data-rank",
            argument=f"{argument}=",
        )
    if not len(array):
        raise ArgumentError(
            f"{function}: {argument} holds no examples.",
            expected="at least one example",
            received=f"{array.shape} {array.dtype}",
            fix="check how the data were read or split",
            slug=f"{function}-empty-data",
            argument=f"{argument}=",
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def pair(x: Any, y: Any, function: str, names: tuple[str, str] = ("x", "y")) -> tuple[Examples, Examples]:
    """Inputs and targets, equal in number.

    Raises
    ------
    UserError
        As `examples`; `ShapeError` if their lengths differ; `ArgumentError` without targets.
    """
    if y is None:
        raise ArgumentError(
            f"{function}: there are no targets.",
            expected="the true values, one per example",
            received=f"{names[1]}=None",
            fix=f"pass them: model.{function}(x, y)",
            slug=f"{function}-no-targets",
        )
    inputs, targets = examples(x, function, names[0]), examples(y, function, names[1])
    if len(inputs) != len(targets):
        raise ShapeError(
            f"{function}: {names[0]} and {names[1]} hold different numbers of examples.",
            expected="one target per example",
            received=f"{names[0]}: {inputs.shape} {inputs.dtype}, {names[1]}: {targets.shape} {targets.dtype}",
            fix=f"take both from the same {min(len(inputs), len(targets))} examples",
            slug=f"{function}-lengths-differ",
            argument=f"{names[1]}=",
        )
    return inputs, targets


def whole_number(value: Any, function: str, argument: str, least: int) -> int:
    """``value`` as an int of at least ``least``.

    Raises
    ------
    ArgumentError
        If it is none; the slug is the argument's name, as in ``batch-size``.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ArgumentError(
            f"{function}: {argument} must be a whole number of at least {least}.",
            expected=f"an int from {least} on",
            received=repr(value),
            fix=f"pass {argument}={'32' if argument == 'batch_size' else '10'}",
            slug=argument.replace("_", "-"),
            argument=f"{argument}=",
        )
    return int(value.__index__())


def targets(y: Examples, output: Shape, loss: losses.Loss, function: str, argument: str = "y") -> Examples:
    """The targets in a form the loss takes: shapes checked, labels in range.

    Raises
    ------
    ShapeError
        If targets and output do not fit the loss.
    DTypeError, ArgumentError
        For sparse labels that are not whole numbers, or out of range.
    """
    loss.check_shapes((None, *y.shape[1:]), output)
    if not isinstance(loss, losses.SparseCategoricalCrossentropy):
        return y
    classes = output[-1]
    if y.dtype.kind == "f":
        if not np.array_equal(y, np.rint(y)):
            raise DTypeError(
                f"{function}: the loss {loss.name} needs class numbers, but {argument} holds fractions.",
                expected="whole numbers",
                received=f"{y.dtype} values such as {y[y != np.rint(y)].flat[0]}",
                fix='use a loss for real values such as loss="mean_squared_error", or round the labels',
                slug="labels-dtype",
                argument=f"{argument}=",
            )
        y = y.astype(np.int32)
    low, high = int(y.min()), int(y.max())
    if classes is not None and (low < 0 or high >= classes):
        raise ArgumentError(
            f"{function}: {argument} holds class numbers that the model's output does not have.",
            expected=f"whole numbers from 0 to {classes - 1} (the output has {classes} classes)",
            received=f"values from {low} to {high}",
            fix=f"give the last layer {high + 1} units" if low >= 0 else "number the classes from 0",
            slug="labels-out-of-range",
            argument=f"{argument}=",
        )
    return y


def split(x: Examples, y: Examples, fraction: Any) -> tuple[tuple[Examples, Examples], tuple[Examples, Examples]]:
    """The first part for training, the last ``fraction`` for validation.

    Raises
    ------
    ArgumentError
        If one part would be empty.
    """
    good = isinstance(fraction, int | float) and 0 < fraction < 1
    at = int(len(x) * (1 - fraction)) if good else 0
    if not 0 < at < len(x):
        raise ArgumentError(
            "fit: validation_split must leave examples for training and for validation.",
            expected="a number between 0 and 1",
            received=f"{fraction!r} of {len(x)} examples",
            fix="pass validation_split=0.1",
            slug="validation-split",
            argument="validation_split=",
        )
    return (x[:at], y[:at]), (x[at:], y[at:])


def validation_pair(value: Any) -> tuple[Any, Any]:
    """The two parts of ``validation_data``.

    Raises
    ------
    ArgumentError
        If it is no pair.
    """
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    raise ArgumentError(
        "fit: validation_data must be a pair.",
        expected="validation_data=(x, y)",
        received=f"{type(value).__name__}" + (f" of {len(value)} parts" if hasattr(value, "__len__") else ""),
        fix="pass validation_data=(x_test, y_test)",
        slug="validation-data",
        argument="validation_data=",
    )


def as_array(data: Examples) -> si.Array:
    """An array on the same memory."""
    return si.asarray(data, copy=False)
