"""Checks before the first step: what is wrong is said in milliseconds, not after an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insitu.arguments import written
from insitu.data.examples import stem
from insitu.errors import ArgumentError, DataWarning, DTypeError, ShapeError, warn
from insitu.graph.node import Node
from insitu.graph.origins import Origins
from insitu.nn import losses
from insitu.nn.functional import Symbol, inputs_differ
from insitu.nn.layer import Layer
from insitu.nn.looks import look
from insitu.nn.shapes import Shape, shape_leaves

Examples = np.ndarray[Any, Any]


def labels(targets: Sequence[Any], outputs: Sequence[Shape], chosen: Sequence[losses.Loss | None], function: str, name: str = "y") -> None:
    """Check the labels of sparse losses in one look at them: targets, outputs and losses are those of one output each.

    ``name`` is what the targets are called in messages.

    Raises
    ------
    DTypeError, ArgumentError
        For labels that are not whole numbers, or out of range.
    """
    for target, output, loss in zip(targets, outputs, chosen, strict=True):
        if target is not None and isinstance(loss, losses.SparseCategoricalCrossentropy):
            _check_labels(target, output[-1], loss, function, name)


def _check_labels(y: Examples, classes: int | None, loss: losses.SparseCategoricalCrossentropy, function: str, name: str) -> None:
    if y.dtype.kind == "f" and not np.array_equal(y, np.rint(y)):
        raise DTypeError(
            f"{function}: the loss {loss.name} needs class numbers, but {name} holds fractions.",
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
            f"{function}: {name} holds class numbers that the model's output does not have.",
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
    leaves = shape_leaves(shapes)
    if len(leaves) != len(symbols):
        raise inputs_differ(model, [s.name for s in symbols], f"{len(leaves)} shape{'s' * (len(leaves) != 1)}")
    for symbol, shape in zip(symbols, leaves, strict=True):
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


def truth_values(targets: Sequence[Any], chosen: Sequence[losses.Loss | None]) -> None:
    """Warn of targets beyond 0 and 1 for a binary crossentropy, whose minimum is then no prediction."""
    for target, loss in zip(targets, chosen, strict=True):
        if target is None or not isinstance(loss, losses.BinaryCrossentropy) or not target.size:
            continue
        seen = look(target)
        if seen.low < -1e-3 or seen.high > 1 + 1e-3:
            error = ArgumentError(
                f"fit: the loss {loss.name} compares with truth values, and y holds others.",
                expected="numbers from 0 to 1",
                received=f"numbers from {seen.low:g} to {seen.high:g}",
                fix=_truth_fix(seen.low, seen.high),
                slug="labels-not-binary",
                argument="y",
            )
            warn(error, DataWarning)


def _truth_fix(low: float, high: float) -> str:
    if (low, high) == (-1, 1):
        return "pass (y + 1) / 2"
    return "divide the values by 255" if low >= 0 and 64 <= high <= 255 else 'use loss="sparse_categorical_crossentropy" for several classes'


def class_weights(weights: Mapping[int, float] | None, outputs: Sequence[Shape], chosen: Sequence[losses.Loss | None]) -> None:
    """Raise `ArgumentError` if a class that the output does not have is given a weight."""
    loss, classes = chosen[0], outputs[0][-1]
    if isinstance(loss, losses.BinaryCrossentropy):
        classes = 2
    elif not isinstance(loss, losses.CategoricalCrossentropy | losses.SparseCategoricalCrossentropy):
        return
    unknown = next((k for k in weights or () if classes is not None and k >= classes), None)
    if unknown is not None and classes is not None:
        raise ArgumentError(
            f"fit: class_weight names the class {unknown}, which does not exist.",
            expected=f"classes from 0 to {classes - 1}",
            received=f"{weights!r:.200}",
            fix="count the classes from 0",
            slug="class-weight",
            argument="class_weight",
        )


def logits(
    found: Sequence[Node], known: Mapping[Node, tuple[Any, str]], chosen: Sequence[losses.Loss | None], names: Sequence[str]
) -> None:  # fmt: skip
    """Warn if outputs that went through a softmax or sigmoid are taken for logits, or outputs of a linear layer for probabilities.

    ``found`` are the outputs' nodes, ``known`` those that a softmax or sigmoid made, as `activations.remember_logits` gives them.
    """
    for node, loss, name in zip(found, chosen, names, strict=False):
        from_logits = getattr(loss, "from_logits", None)
        if loss is None or from_logits is None:
            continue
        through = known.get(node, (None, ""))[1]
        if from_logits and through:
            error = ArgumentError(
                f'fit: the loss {loss.name} expects logits, but the output "{name}" went through a {through} already.',
                expected="the output of a layer without activation, as from_logits=True says",
                received=f"probabilities from {through}",
                fix="leave out from_logits=True, or the activation",
                slug="logits-expected",
            )
        elif not from_logits and not through and _is_linear(node):
            binary = isinstance(loss, losses.BinaryCrossentropy)
            error = ArgumentError(
                f'fit: the loss {loss.name} expects probabilities, but the output "{name}" is that of a layer without activation.',
                expected="numbers from 0 to 1, " + ("as sigmoid gives them" if binary else "which softmax makes add up to 1"),
                received="logits: any numbers",
                fix=f'give the last layer activation="{"sigmoid" if binary else "softmax"}", or pass from_logits=True to the loss',
                slug="probabilities-expected",
            )
        else:
            continue
        warn(error, DataWarning)


#: Methods by which a class changes what these do in Keras; here a step is compiled as a whole.
_OWN_STEPS = {
    "fit": ("train_step", "compute_loss", "compute_metrics", "make_train_function"),
    "evaluate": ("test_step", "compute_loss", "compute_metrics", "make_test_function"),
    "predict": ("predict_step", "make_predict_function"),
}


def own_steps(model: Layer, function: str) -> None:
    """Raise `ArgumentError` if a model has a method that Keras' function of that name would call, and this one does not."""
    found = next((name for name in _OWN_STEPS[stem(function)] if hasattr(model, name)), None)
    if found is not None:
        raise ArgumentError(
            f"{function}: {type(model).__name__} has a {found} of its own, which would not be called.",
            expected="a model that is trained by the loss and the optimizer of compile",
            received=f"a class that defines {found}, by which Keras lets a class change its steps",
            fix="write the step as a function under si.compile, as examples/custom_step.py does, or give the method another name",
            slug="model-own-steps",
        )


def _is_linear(node: Node) -> bool:
    """Whether a value is a product, or one with something added that does not depend on it."""
    while node.prim.kind == "view" or node.prim.name in ("identity", "add"):
        if node.prim.name == "add":
            products = [i for i in node.inputs if _is_linear(i)]
            return len(products) == 1
        if not node.inputs:
            return False
        node = node.inputs[0]
    return node.prim.kind == "contract"


def broadcasts(order: Sequence[Node], noted: Origins, outputs: Sequence[Node], n: int) -> None:
    """Warn if a loss or metric of the user's makes a table of all examples against all, of targets (n,) and outputs (n, 1)."""
    if n < 2 or not any(node.shape == (n, 1) for node in outputs):
        return
    for node in order:
        origin = noted.of.get(node)
        if origin is None or origin.gradient or node.shape != (n, n) or not origin.scopes or not isinstance(origin.scopes[-1], str):
            continue
        if {(n,), (n, 1)} <= {_base(i).shape for i in node.inputs}:
            error = ArgumentError(
                f"fit: {origin.scopes[-1]} compares each example with every other: targets (batch,) meet outputs (batch, 1).",
                expected="targets and outputs of one shape",
                received=f"(batch,) and (batch, 1), which broadcast to (batch, batch){' at ' + origin.line if origin.line else ''}",
                fix="pass targets of shape (examples, 1): y[:, None]",
                slug="loss-broadcast",
                argument="y",
            )
            warn(error, DataWarning)
            return


def _base(node: Node) -> Node:
    """A value before it was broadcast."""
    while node.prim.name == "broadcast_to" or (node.prim.name == "reshape" and node.inputs[0].prim.name == "broadcast_to"):
        node = node.inputs[0]
    return node
