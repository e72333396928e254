"""The table that `Model.summary` shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from insitu.array.tree import map_leaves
from insitu.nn.layer import Layer
from insitu.nn.model import Functional, Model
from insitu.nn.report import size_text
from insitu.nn.sequential import Sequential
from insitu.nn.shapes import is_shape


def table(model: Model) -> str:
    """Layers with their output shapes and parameter counts, as text.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.nn.Sequential([si.nn.Dense(10, name="digits")], name="small")
    >>> model.build((None, 64))
    >>> print(table(model))
    Model "small"
    <BLANKLINE>
      layer           output shape  parameters
      digits (Dense)   (batch, 10)         650
    <BLANKLINE>
      parameters: 650 (trainable 650), 2.5 KiB
    """
    rows = [("layer", "output shape", "parameters")]
    for layer, shape in _layers(model):
        rows.append((f"{layer.name} ({type(layer).__name__})", _shape(shape), _count(layer)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    if not model.built:
        return "\n".join([f'Model "{model.name}"', "", *lines, "", "  not built yet: the numbers come with the shape of the input"])
    total, trained = model.count_params(), sum(w.size for w in model.trainable_weights)
    size = sum(w.size * w.dtype.itemsize for w in model.weights)
    return "\n".join([f'Model "{model.name}"', "", *lines, "", f"  parameters: {total:,} (trainable {trained:,}), {size_text(size)}"])


def _layers(model: Model) -> Iterator[tuple[Layer, Any]]:
    """The layers with the shapes of their outputs, None where they are not known."""
    if isinstance(model, Functional):
        shapes = {call.layer: map_leaves(lambda s: s.shape, call.result) for call in model._calls}
        yield from ((layer, shapes[layer]) for layer in model.layers)
        return
    shape = model.input_shape if isinstance(model, Sequential) else None
    for layer in model.layers:
        shape = None if shape is None else layer.compute_output_shape(shape)
        yield layer, shape


def _shape(shape: Any) -> str:
    if shape is not None and not is_shape(shape):
        return ", ".join(_shape(s) for s in (shape.values() if isinstance(shape, dict) else shape))
    return "?" if shape is None else f"({', '.join('batch' if n is None and i == 0 else str(n) for i, n in enumerate(shape))})"


def _count(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "?"
