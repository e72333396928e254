"""`Sequential`: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from insitu.errors import ArgumentError, ShapeError
from insitu.nn.layer import Layer, Shape, deserialize, serialize, settle
from insitu.nn.model import Model


class Sequential(Model):
    """A model whose layers follow one another.

    Parameters
    ----------
    layers : list of Layer, optional
    name : str, optional

    Raises
    ------
    ArgumentError
        If something in the list is no layer, or two layers have one name.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.nn.Sequential([si.nn.Dense(25, activation="sigmoid"), si.nn.Dense(10, activation="softmax")])
    >>> model.build((None, 784))
    >>> model.count_params()
    19885
    """

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self._layers: list[Layer] = []
        for layer in layers or []:
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        return list(self._layers)

    def add(self, layer: Layer) -> None:
        """Append a layer.

        Raises
        ------
        ArgumentError
            If it is no layer, or its name is taken.
        """
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f'Sequential "{self.name}" takes layers.',
                expected="layers such as Dense(10)",
                received=f"{layer!r}",
                fix=f"write {layer.__name__}(...)" if isinstance(layer, type) else "pass a layer of si.nn",
                slug="sequential-layer",
            )
        if any(have.name == layer.name for have in self._layers):
            raise ArgumentError(
                f'Sequential "{self.name}" has a layer "{layer.name}" already.',
                expected="layers with names of their own",
                received=f'"{layer.name}" twice',
                fix="make a new layer for each place, or give them names: Dense(10, name=...)",
                slug="sequential-names",
            )
        self._layers.append(layer)
        if self.built and self.input_shape is not None:
            shape, self.built = self.input_shape, False
            self.build(shape)
        self._forward = None
        self._steps.clear()

    def build(self, input_shape: Shape) -> None:
        """Make all weights for inputs of that shape.

        Parameters
        ----------
        input_shape : tuple
            With the batch axis, whose length is None: ``(None, 784)``.

        Raises
        ------
        ShapeError
            If a layer cannot take what the one before gives.
        """
        if not self._layers:
            raise ArgumentError(
                f'Sequential "{self.name}" has no layers.',
                expected="at least one layer",
                received="an empty list",
                fix="model.add(si.nn.Dense(10))",
                slug="sequential-empty",
            )
        shape = tuple(input_shape) if isinstance(input_shape, Iterable) else ()
        if not shape or not all(n is None or isinstance(n, int) for n in shape):
            raise ShapeError(
                f'Sequential "{self.name}": build needs the shape of a batch.',
                expected="(None, ...): the batch axis, then the shape of an example",
                received=f"{input_shape!r}",
                fix="model.build((None, 784))",
                slug="build-shape",
                argument="input_shape=",
            )
        flowing: Shape = (None, *shape[1:])
        for layer in self._layers:
            layer.prepare(flowing)
            flowing = layer.compute_output_shape(flowing)
        self.input_shape, self.built = (None, *shape[1:]), True
        settle(self.weights)

    def check_input(self, shape: Shape) -> None:
        flowing = shape
        for layer in self._layers:
            layer.check_input(flowing)
            if not layer.built:
                return
            flowing = layer.compute_output_shape(flowing)

    def call(self, x: Any, training: bool = False) -> Any:
        for layer in self._layers:
            x = layer(x, training=training)
        return x

    def call_with_logits(self, x: Any, training: bool = False) -> tuple[Any, Any, str]:
        for layer in self._layers[:-1]:
            x = layer(x, training=training)
        return self._layers[-1].call_with_logits(x, training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "layers": [serialize(layer) for layer in self._layers]}
        if self.input_shape is not None:
            config["build_input_shape"] = list(self.input_shape)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        made = cls([deserialize(c) for c in config["layers"]], name=config.get("name"))
        made.trainable = config.get("trainable", True)
        if "build_input_shape" in config:
            made.build(tuple(config["build_input_shape"]))
        return made
