"""Models made for inference: batch normalizations folded into the layers they follow."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import insitu as si
from insitu.array.tree import flatten, map_leaves, unflatten
from insitu.errors import ArgumentError
from insitu.nn import activations
from insitu.nn.functional import Call, Input, Symbol
from insitu.nn.layer import Layer
from insitu.nn.layers.convolution import Convolution
from insitu.nn.layers.core import Dense
from insitu.nn.layers.normalizing import BatchNormalization
from insitu.nn.model import Functional, Model
from insitu.nn.sequential import Sequential
from insitu.nn.shapes import map_shapes, shape_leaves

Values = np.ndarray[Any, Any]

#: Examples that are drawn for the check where none are given, and the length of their open axes.
_EXAMPLES, _OPEN = 4, 64


def optimized(model: Model, x: Any, tolerance: float) -> Model:
    """What `Model.optimize_for_inference` returns."""
    if x is not None:
        model.prepared(map_leaves(np.asarray, x))
    if not isinstance(model, Sequential | Functional) or not model.built:
        raise ArgumentError(
            f'optimize_for_inference: the layers of "{model.name}" are not known.',
            expected="a Sequential or functional model that is built",
            received=f"a {type(model).__name__}" + ("" if model.built else ", not built"),
            fix="build it first: model.build((None, 784)), or pass examples: model.optimize_for_inference(x)"
            if isinstance(model, Sequential)
            else "make the model of layers that are called on symbols: si.nn.Model(inputs, outputs)",
            slug="inference-model",
        )
    made = folded(model)
    made.constant_weights = True
    _check(model, made, drawn(model) if x is None else x, tolerance)
    return made


def _check(model: Model, made: Model, x: Any, tolerance: float) -> None:
    """Compare the outputs of both models on a batch."""
    before, after = [flatten(m(x, training=False))[0] for m in (model, made)]
    for name, a, b in zip(model.output_names or ["output"], before, after, strict=False):
        one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
        scale = np.abs(one).max(initial=0.0)
        away = float(np.abs(one - other).max(initial=0.0) / scale) if scale else float(np.abs(other).max(initial=0.0))
        if not away <= tolerance:
            raise ArgumentError(
                f'optimize_for_inference: folded, the output "{name}" of "{model.name}" differs by more than the tolerance.',
                expected=f"at most {tolerance:g} of its largest value",
                received=f"{away:.0e}" if np.isfinite(away) else "numbers that are not finite",
                fix="look for moving variances that are negative or not finite"
                if not np.isfinite(away)
                else "pass examples as they occur, or a larger tolerance=...",
                slug="inference-differs",
                argument="tolerance=",
            )


def drawn(model: Model) -> Any:
    """A batch of the model's input shapes: normal numbers, or zeros where whole numbers are expected."""
    rng = np.random.default_rng(0)
    leaves, structure = flatten(map_shapes(lambda s: np.empty(0), model.input_shape))
    kinds = model._dtypes or [s.dtype for s in getattr(model, "inputs", [])] or [model.dtype] * len(leaves)
    made = []
    for shape, kind in zip(shape_leaves(model.input_shape), kinds, strict=True):
        lengths = [(_OPEN if k else _EXAMPLES) if n is None else n for k, n in enumerate(shape)]
        made.append((rng.standard_normal(lengths) if kind.is_float else np.zeros(lengths)).astype(kind.numpy))
    return unflatten(structure, made)


def folded(model: Model) -> Model:
    """A copy of a model without the batch normalizations that could be folded; models inside are folded, too."""
    if isinstance(model, Sequential):
        return _folded_row(model)
    return _folded_graph(model) if isinstance(model, Functional) else copy.deepcopy(model)


def _folded_row(model: Sequential) -> Sequential:
    layers: list[Layer] = []
    for layer in model.layers:
        if layers and isinstance(layer, BatchNormalization) and foldable(layers[-1], layer):
            fold(layers[-1], layer)
        else:
            layers.append(_replacement(layer))
    made = Sequential(name=model.name, dtype=model.dtype)
    made.given_shape, made._dtypes = model.given_shape or model.input_shape, list(model._dtypes)
    for layer in layers:
        made.add(layer)
    return made


def _folded_graph(model: Functional) -> Functional:
    calls = model._calls
    calls_of = {layer: [c for c in calls if c.layer is layer] for layer in model.layers}
    readers: dict[int, int] = {}
    for symbol in [*model.outputs, *[s for c in calls for s in flatten(c.arguments)[0]]]:
        readers[id(symbol)] = readers.get(id(symbol), 0) + 1
    now: dict[int, Symbol] = {}
    made: dict[Layer, Layer] = {}
    for symbol in model.inputs:
        now[id(symbol)] = Input(symbol.shape[1:], dtype=symbol.dtype, name=symbol.name)
    for call in calls:
        layer, given = call.layer, flatten(call.arguments)[0]
        origin = given[0].call if len(given) == 1 else None
        if (
            origin is not None
            and isinstance(layer, BatchNormalization)
            and readers[id(given[0])] == len(calls_of[origin.layer]) == len(calls_of[layer]) == 1
            and not _in_training(call)
            and foldable(made[origin.layer], layer)
        ):
            fold(made[origin.layer], layer)
            # what reads the normalization reads the layer before it
            now[id(call.result)] = now[id(given[0])]
            made[layer] = made[origin.layer]
            continue
        if layer not in made:
            made[layer] = _replacement(layer)
        result = made[layer](*map_leaves(lambda s: now[id(s)], call.arguments), **call.options)
        for symbol, new in zip(flatten(call.result)[0], flatten(result)[0], strict=True):
            now[id(symbol)] = new
    trees = [map_leaves(lambda s: now[id(s)], tree) for tree in (model._input_tree, model._output_tree)]
    return Functional(*trees, name=model.name, dtype=model.dtype)


def _in_training(call: Call) -> bool:
    """Whether a call always normalizes by its batch."""
    return bool(call.options.get("training"))


def _replacement(layer: Layer) -> Layer:
    return folded(layer) if isinstance(layer, Model) else copy.deepcopy(layer)


# -- one pair of layers ----------------------------------------------------------------------------------
def foldable(layer: Layer, normalization: BatchNormalization) -> bool:
    """Whether a batch normalization right behind a layer can become part of it: one without an activation, along the outputs' axis."""
    if not isinstance(layer, Dense | Convolution) or layer.activation is not activations.linear or layer.input_shape is None:
        return False
    ndim = len(layer.input_shape)
    axis = layer.channel_axis if isinstance(layer, Convolution) else ndim - 1
    return normalization.built and normalization.axes(ndim) == (axis,)


def fold(layer: Any, normalization: BatchNormalization) -> None:
    """Scale a layer's kernel and shift its bias so that it gives what the normalization behind it gave.

    Parameters
    ----------
    layer : Dense or convolution layer
        Changed in place.
    normalization : BatchNormalization

    Notes
    -----
    With the factor a and the shift b of the normalization: ``(x * k + c) * a + b = x * (k * a) + (c * a + b)``. The products are
    made in float64 and rounded once.
    """
    factor, shift = _factor_and_shift(normalization)
    axes = (-1,) if isinstance(layer, Dense) else layer.output_axes
    kernel: Any = layer.kernel if isinstance(layer, Dense) else layer.output_kernel
    along = [n if k in axes else 1 for k, n in zip(range(-kernel.ndim, 0), kernel.shape, strict=True)]
    _change(kernel, factor.reshape(along), np.zeros(()))
    if layer.bias is None:
        layer.use_bias = True
        layer.bias = layer.add_weight(factor.shape, "zeros", "bias")
    _change(layer.bias, factor, shift)


def _factor_and_shift(normalization: BatchNormalization) -> tuple[Values, Values]:
    """As the normalization's own method, in float64."""
    weights = (normalization.gamma, normalization.beta, normalization.moving_mean, normalization.moving_variance)
    gamma, beta, mean, variance = [
        np.asarray(default if w is None else w.numpy(), np.float64) for w, default in zip(weights, (1, 0, 0, 1), strict=True)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):  # what is not finite is found by the check
        factor = gamma / np.sqrt(variance + normalization.epsilon)
        return factor, beta - mean * factor


def _change(variable: si.Variable, factor: Values, shift: Values) -> None:
    variable.assign(si.asarray((variable.numpy().astype(np.float64) * factor + shift).astype(variable.dtype.numpy)))
