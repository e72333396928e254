"""`Sequential`: layers one after the other."""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from insitu.arguments import CONFIG, Checked, Listed, checked, written
from insitu.array.tree import flatten
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import activations
from insitu.nn.checks import names_differ
from insitu.nn.functional import Input, Symbol, rows
from insitu.nn.layer import Layer, deserialize, serialize, settle
from insitu.nn.model import Model
from insitu.nn.shapes import Shape, is_shape

LAYERS = Listed("a list of layers", ([],), slug="sequential-layer", fix="put the layers into a list: Sequential([Dense(10)])")


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

    takes_trees = False

    @checked(layers=LAYERS | None)
    def __init__(self, layers: Sequence[Any] | None = None, name: str | None = None, **options: Any) -> None:
        if isinstance(layers, Layer) or not isinstance(layers, Iterable | None):
            raise ArgumentError(
                "Sequential takes its layers in a list.",
                expected="Sequential([Dense(16), Dense(1)])",
                received=_described(layers),
                fix="put square brackets around the layers",
                slug="sequential-layer",
                argument="layers",
            )
        super().__init__(name=name, **options)
        self._layers: list[Layer] = []
        self.output_shape: Any = None
        #: an input and what each layer makes of it, as far as somebody asked for it
        self._symbols: list[Any] = []
        for layer in layers or []:
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        return list(self._layers)

    @checked(layer=Checked("a layer, or an Input before all others"))
    def add(self, layer: Any) -> None:
        """Append a layer, or begin with an `Input`.

        Raises
        ------
        ArgumentError
            If it is no layer, or its name is taken.
        """
        if isinstance(layer, Symbol) and not self._layers:
            self.given_shape, self._dtypes = layer.shape, [layer.dtype]
            return
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f'Sequential "{self.name}" takes layers.',
                expected="layers such as Dense(10), after an Input if there is one",
                received=_described(layer),
                fix=_layer_fix(layer),
                slug="sequential-layer",
                argument="layers|layer",
            )
        names_differ([*self._layers, layer], self.name)
        if any(have is layer for have in self._layers):
            raise ArgumentError(
                f'Sequential "{self.name}" has this layer already.',
                expected="a layer for each place",
                received=f'"{layer.name}" twice',
                fix="make a second layer, or share it in a functional model",
                slug="sequential-names",
                argument="layers",
            )
        if not self._layers and self.given_shape is None:
            self.given_shape = layer.given_shape
        self._layers.append(layer)
        rows[layer] = weakref.ref(self)
        shape = self.input_shape if self.built else self.given_shape
        self.built = False
        if shape is not None:
            self.prepare(shape)
        self._forward = None
        self._forget_steps()

    def pop(self) -> None:
        """Remove the last layer.

        Raises
        ------
        ArgumentError
            If there is none.
        """
        if not self._layers:
            raise self._empty()
        del rows[self._layers.pop()]
        del self._symbols[len(self._layers) + 1 :]
        self._forward = None
        self._forget_steps()

    def symbols(self) -> list[Any]:
        """An input and what each layer makes of it: the layers as a graph, for models of some of them.

        Raises
        ------
        ArgumentError
            If the shape of the input is not known.
        """
        if not self.built or not self._layers:
            raise ArgumentError(
                f'Sequential "{self.name}" does not know its input yet.',
                expected="a model that begins with an Input, or was built",
                received=f"{len(self._layers)} layers, not built" if self._layers else "no layers",
                fix="begin with si.nn.Input((784,)), or call model.build((None, 784))",
                slug="functional-no-call",
            )
        made = self._symbols
        if not made:
            made.append(Input(self.input_shape[1:], dtype=self._dtypes[0] if self._dtypes else self.dtype))
        for layer in self._layers[len(made) - 1 :]:
            made.append(layer(made[-1]))
        return made

    @property
    def inputs(self) -> list[Symbol]:
        """The input as a symbol, alone in a list."""
        return self.symbols()[:1]

    @property
    def outputs(self) -> list[Symbol]:
        """What the last layer gives, as symbols."""
        return flatten(self.symbols()[-1])[0]

    @property
    def input(self) -> Symbol:
        """The input as a symbol."""
        return self.inputs[0]

    @property
    def output(self) -> Any:
        """What the last layer gives, as a symbol or a tree of symbols."""
        return self.symbols()[-1]

    def build(self, input_shape: Any) -> None:
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
            raise self._empty()
        flowing: Any = (None, *input_shape[1:])
        self.input_shape, self.built = flowing, True
        wide: Any = None
        for layer in self._layers:
            layer.prepare(flowing)
            if is_shape(flowing) and len(flowing) > 2:
                wide = flowing[1:]
            layer.unflattened = wide
            if layer.weights:
                wide = None
            flowing = layer.compute_output_shape(flowing)
        self.output_shape = flowing
        settle(self.weights)

    def _empty(self) -> ArgumentError:
        return ArgumentError(
            f'Sequential "{self.name}" has no layers.',
            expected="at least one layer",
            received="an empty list",
            fix="model.add(si.nn.Dense(10))",
            slug="sequential-empty",
        )

    def arranged(self, x: Any) -> Any:
        """A list or tuple of one array is that array, as for functional models."""
        return x[0] if isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape") else x

    def check_input(self, shape: Any) -> None:
        if not shape:
            raise ShapeError(
                f'Sequential "{self.name}": the shape of a batch has at least one axis.',
                expected="(None, ...): the batch axis, then the shape of an example",
                received=f"{shape!r}",
                fix="model.build((None, 784))",
                slug="build-shape",
                argument="x|input_shape",
            )
        given = self.given_shape
        if given is not None and is_shape(shape) and len(shape) != len(given):
            raise ShapeError(
                f'"{self.name}" was made for examples with another number of axes.',
                expected=written(given),
                received=written(shape),
                fix=_axes_fix(tuple(given), tuple(shape)),
                slug="model-input-shape",
                argument="x|input_shape",
            )
        flowing = shape
        for layer in self._layers:
            layer.check_input(flowing)
            if not layer.built:
                return
            if None not in flowing[1:] and layer.input_shape is not None and flowing[1:] == layer.input_shape[1:]:
                return  # as it was built, so the layers behind it fit, too
            flowing = layer.compute_output_shape((None, *flowing[1:]))

    def check_values(self, x: Any) -> None:
        if self._layers:
            self._layers[0].check_values(x)

    @property
    def output_names(self) -> list[str]:
        return [self._layers[-1].name] if self._layers else []

    def call(self, x: Any, training: bool = False) -> Any:
        for layer in self._layers:
            x = layer(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        self.prepare(input_shape)
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layers": [serialize(layer) for layer in self._layers]}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_symbols": []}  # made again when somebody asks for them

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        rows.update((layer, weakref.ref(self)) for layer in self._layers)

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        arguments = dict(config)
        return cls([deserialize(c) for c in LAYERS.check(cls.__name__, "layers", arguments.pop("layers", []))], **arguments)


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"the function {value.__name__}" if inspect.isroutine(value) else f"{value!r:.80}"


def _layer_fix(value: Any) -> str:
    if isinstance(value, type):
        return f"write {value.__name__}(...)"
    if isinstance(value, str):
        return f'write si.nn.Activation("{value}")' if value in activations.TABLE else "pass a layer of si.nn"
    return f"wrap it: si.nn.Lambda({value.__name__})" if inspect.isroutine(value) else "pass a layer of si.nn"


def _axes_fix(given: Shape, shape: Shape) -> str:
    known = [n for n in shape[1:] if n is not None]
    if given[1:] == (*shape[1:], 1):
        return "add an axis for the channel: x[..., None]"
    if len(given) == 2 and given[1] == math.prod(known) and len(known) == len(shape) - 1 > 1:
        return f"flatten the examples: x.reshape(-1, {given[1]}), or begin with Input({shape[1:]}) and Flatten()"
    if len(given) == 2 and len(shape) == 1:
        return "one example is a batch of one: x[None]; for one number per example, add an axis: x[:, None]"
    if given[2:] == shape[1:]:
        return f"leave the batch out of the model's input shape: {given[2:]}; for one example, add the batch: x[None]"
    return "reshape the examples, or make the model for their shape"
