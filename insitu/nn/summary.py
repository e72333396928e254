"""The table that `Model.summary` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insitu.nn.layer import Layer, Shape
    from insitu.nn.model import Model


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
    shape = model.input_shape
    for layer in model.layers:
        shape = None if shape is None else layer.compute_output_shape(shape)
        rows.append((f"{layer.name} ({type(layer).__name__})", _shape(shape), _count(layer)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    if not model.built:
        return "\n".join([f'Model "{model.name}"', "", *lines, "", "  not built yet: the numbers come with the shape of the input"])
    total, trained = model.count_params(), sum(w.size for w in model.trainable_weights)
    size = sum(w.size * w.dtype.itemsize for w in model.weights)
    return "\n".join([f'Model "{model.name}"', "", *lines, "", f"  parameters: {total:,} (trainable {trained:,}), {_bytes(size)}"])


def _shape(shape: Shape | None) -> str:
    return "?" if shape is None else f"({', '.join('batch' if n is None and i == 0 else str(n) for i, n in enumerate(shape))})"


def _count(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "?"


def _bytes(size: int) -> str:
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value, _ = value / 1024, units.pop(0)
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.1f} {units[0]}"
