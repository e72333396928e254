"""`Layer`: weights made on first use, and a function of arrays."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu import registry
from insitu.arguments import ARRAY, CONFIG, DTYPE, FLAG, PATH, SEED, SHAPE, TEXT, Checked, Instance, Listed, arguments_misfit, checked, written
from insitu.array.tree import flatten, map_leaves
from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, ShapeError, UserError
from insitu.graph import origins
from insitu.nn import context, functional, regularizers
from insitu.nn.declared import BATCH_SHAPES, CONSTRAINT, INITIALIZER, INPUTS, REGULARIZER
from insitu.nn.functional import EXAMPLE
from insitu.nn.shapes import Shape, batch_shape, infer, is_shape, map_shapes

NEW_WEIGHTS = Listed("a list of arrays", ([],), slug="weights-shapes", fix="pass what get_weights of an equal model returned")
_counts: dict[str, int] = {}


def settle(weights: Sequence[si.Variable]) -> None:
    """Compute all initial values that are still pending, in one program; not while a training is only planned."""
    if context.is_planning():
        return
    pending = [si.Array(w.node) for w in weights if w.node.memory is None]
    if pending:
        si.evaluate(*pending)


def unique_name(base: str) -> str:
    """``dense``, ``dense_1``, ``dense_2``, ... in the order of the calls."""
    number = _counts.get(base, 0)
    _counts[base] = number + 1
    return f"{base}_{number}" if number else base


class Layer:
    """Base class of layers.

    A subclass makes its weights in ``build(input_shape)`` with `add_weight`, computes in ``call(x)`` (or
    ``call(x, training)``) and tells its arguments in ``get_config``. Layers that it keeps as attributes, alone or
    in lists and dicts, are part of it. Each subclass can be found by its name in files.

    Parameters
    ----------
    name : str, optional
        Default: the class name in Keras' spelling, numbered.
    trainable : bool
        Whether training changes its weights.
    dtype : dtype
        Of its weights; floating inputs are converted to it.
    input_shape : tuple of int, optional
        Shape of one example; the first layer of a `Sequential` is then built at once.
    activity_regularizer : str, regularizer or callable, optional
        Its value for the layer's output, divided by the length of the batch, is added to the loss.

    Examples
    --------
    >>> import insitu as si
    >>> class Scale(si.nn.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(input_shape[-1:], "ones", "factor")
    ...     def call(self, x):
    ...         return x * self.factor.value
    >>> Scale()(si.ones((2, 3))).shape
    (2, 3)
    """

    classes: ClassVar[dict[str, type[Layer]]] = {}
    #: Whether the input may be a list or dict of arrays.
    takes_trees: ClassVar[bool] = True
    _takes_training: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Layer.classes[cls.__name__] = cls
        cls._takes_training = "training" in inspect.signature(cls.call).parameters
        _check_shapes(cls)

    @checked(name=TEXT | None, trainable=FLAG, dtype=DTYPE, input_shape=EXAMPLE | None, activity_regularizer=REGULARIZER)
    def __init__(
        self, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32", input_shape: Any = None, activity_regularizer: Any = None
    ) -> None:
        self.name = name or unique_name(registry.words(type(self).__name__))
        self._trainable, self.dtype = trainable, as_dtype(dtype)
        self.built = False
        self.input_shape: Any = None
        #: of an example before the layers ahead flattened it; pictures of the weights have it
        self.unflattened: Shape | None = None
        #: of the batch, where the constructor was told the shape of an example
        self.given_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self.activity_regularizer = activity_regularizer
        self._weights: list[si.Variable] = []
        self._generators: list[si.random.Generator] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_weights" in vars(self):
            return object.__getattribute__(self, name)  # which says that there is none
        cls = type(self).__name__
        raise ArgumentError(
            f"{cls} was not initialized as a layer.",
            expected=f"{cls}.__init__ begins with super().__init__()",
            received="no call of it",
            fix="write def __init__(self, ..., **options): super().__init__(**options)",
            slug="layer-not-initialized",
        )

    # -- for subclasses ----------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Make the weights. ``input_shape`` begins with the batch axis, whose length is None."""

    def call(self, x: Any) -> Any:
        """The output for an input; array operations only."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's shape, found by tracing ``call``; the layer is built if it is not yet."""
        return map_leaves(lambda spec: spec.shape, infer(self, input_shape, self.dtype))

    @checked(
        shape=SHAPE, initializer=INITIALIZER, name=TEXT, trainable=FLAG, dtype=DTYPE | None, regularizer=REGULARIZER, constraint=CONSTRAINT,
    )  # fmt: skip
    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = "glorot_uniform", name: str = "weight", trainable: bool = True, dtype: Any = None,
        regularizer: Any = None, constraint: Any = None,
    ) -> si.Variable:  # fmt: skip
        """A new weight of this layer.

        Parameters
        ----------
        shape : sequence of int
        initializer : str, initializer, array or callable
            Its value is computed together with those of all the model's weights.
        name : str
        trainable : bool
        dtype : dtype, optional
            Default: the layer's.
        regularizer, constraint : str or callable, optional
            A term of the loss; what is applied to the weight after each step.

        Returns
        -------
        Variable
        """
        kind = self.dtype if dtype is None else dtype
        with context.outside_traces():
            chosen = np.zeros(shape, kind.numpy) if context.weights_are_blank() else initializer(shape, kind)
            weight = si.Variable(chosen, name=f"{self.name}/{name}", trainable=trainable)
        weight.regularizer, weight.constraint = regularizer, constraint
        at = sum(w.trainable for w in self._weights) if trainable else len(self._weights)  # as in Keras, those to train come first
        self._weights.insert(at, weight)
        return weight

    @checked(seed=SEED)
    def add_generator(self, seed: int | None = None) -> si.random.Generator:
        """A generator of random numbers of this layer's own, kept in files with its weights.

        Parameters
        ----------
        seed : int, optional
            Default: one that the default generator gives, so that `insitu.random.seed` decides.
        """
        with context.outside_traces():
            made = si.random.default_rng(seed) if seed is not None else si.random.default_generator().spawn(1)[0]
        self._generators.append(made)
        return made

    @checked(value=ARRAY)
    def add_loss(self, value: Any) -> None:
        """Add a number to the loss of the step that is being traced; for use in ``call``."""
        context.add_loss(value)

    # -- use -----------------------------------------------------------------------------------------
    @checked(x=INPUTS, more=Checked("further arguments of call"), training=FLAG | None)
    def __call__(self, x: Any, *more: Any, training: bool | None = None, **options: Any) -> Any:
        if functional.has_symbols((x, more)):
            return functional.record(self, (x, *more), training, options)
        if more or options:
            misfit = arguments_misfit(type(self).call, _named(self), (self, x, *more), options)
            if misfit is not None:
                raise misfit
        if not self.takes_trees and isinstance(x, list | tuple) and not any(hasattr(leaf, "shape") for leaf in flatten(x)[0]):
            x = si.asarray(x)  # nested lists of numbers
        inputs = map_leaves(self._as_input, x)
        shapes = batch_shape(inputs)
        self.prepare(shapes)
        self.check_fit(_shapes(inputs))
        if training is None:
            training = context.is_training()
        if self._takes_training:
            options["training"] = training
        with context.training(training), origins.inside(self), context.remember_losses(self):
            try:
                result = self.call(inputs, *more, **options)
            except UserError as error:
                named = f'"{self.name}"' in error.what
                error.add_place("" if named else f"{_named(self)}, called on {_described(inputs)}")
                raise
            if self.activity_regularizer is not None:
                for y in flatten(result)[0]:
                    context.add_loss(self.activity_regularizer(y) / (y.shape[0] if y.ndim else 1))
        if origins.are_recorded():
            origins.gave(self, [y._node for y in flatten(result)[0] if isinstance(y, si.Array)])
        return result

    def _as_input(self, x: Any) -> Any:
        x = x if isinstance(x, si.Array) else si.asarray(x)
        if x.dtype.is_float and x.dtype is not self.dtype:
            x = x.astype(self.dtype)
        return x

    def prepare(self, input_shape: Any) -> None:
        """Build once, for a shape (or a list or dict of shapes) whose batch axis is None."""
        if not self.built:
            with context.outside_traces():
                self.build(input_shape)

    def check_fit(self, shape: Any) -> None:
        """Raise `ShapeError` if the layer cannot take an input of that shape, or inputs of these shapes."""
        if not self.takes_trees and not is_shape(shape):
            raise ShapeError(
                f"{_named(self)} takes one array.",
                expected="an array",
                received=f"a {type(shape).__name__} of {len(shape)}",
                fix="join them first: si.nn.Concatenate()([a, b]); or call the layer once for each",
                slug="layer-one-array",
                argument="x|input_shape",
            )
        self.check_input(shape)

    def check_input(self, shape: Any) -> None:
        """Raise `ShapeError` if the layer cannot take an input of that shape."""

    def check_values(self, x: Any) -> None:
        """Raise an error if the layer cannot take these numbers: a tree of NumPy arrays that reach it as the user gave them."""

    # -- parts ---------------------------------------------------------------------------------------
    @property
    def layers(self) -> list[Layer]:
        """The layers that this one keeps as attributes, in the order in which they were assigned."""
        found: list[Layer] = []
        for value in vars(self).values():
            if _may_hold[type(value)]:
                _collect(value, found)
        return list(dict.fromkeys(found))

    @property
    def input(self) -> Any:
        """The symbol, or tree of symbols, that this layer was called with in a functional model."""
        given = functional.last_call(self).arguments
        return given[0] if len(given) == 1 else given

    @property
    def output(self) -> Any:
        """What this layer gave in a functional model."""
        return functional.last_call(self).result

    def _layers_and_trainable(self) -> tuple[list[Layer], list[si.Variable]]:
        """Itself and all layers inside, each once, and the weights that training changes."""
        layers: dict[Layer, bool] = {}  # whether training may change the layer's own weights
        weights: dict[si.Variable, None] = {}

        def walk(layer: Layer, changes: bool) -> None:
            changes = changes and layer._trainable
            if layer not in layers or (changes and not layers[layer]):  # a layer may also be reached through one that is frozen
                layers[layer] = changes
                if changes:
                    weights.update(dict.fromkeys([w for w in layer._weights if w.trainable]))
                for inner in layer.layers:
                    walk(inner, changes)

        walk(self, True)
        return list(layers), list(weights)

    def flattened(self) -> list[Layer]:
        """Itself and all layers inside, each once."""
        return self._layers_and_trainable()[0]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; assigning a value gives it to all layers inside, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        trainable = FLAG.check(_named(self), "trainable", value)
        for layer in self.flattened():
            layer._trainable = trainable

    # -- weights -------------------------------------------------------------------------------------
    @property
    def weights(self) -> list[si.Variable]:
        """All weights: of each layer those to train, then the others, in the order they were made; those of inner layers last."""
        return list(dict.fromkeys([w for layer in self.flattened() for w in layer._weights]))

    @property
    def trainable_weights(self) -> list[si.Variable]:
        """Weights that training changes."""
        return self._layers_and_trainable()[1]

    @property
    def non_trainable_weights(self) -> list[si.Variable]:
        """Weights that training leaves alone."""
        chosen = set(self.trainable_weights)
        return [w for w in self.weights if w not in chosen]

    @property
    def losses(self) -> list[si.Array]:
        """What a training adds to the loss: the regularizers of the weights, and what the layers added in the latest call of this one.

        `Model.fit` adds them by itself; a loop of one's own takes their sum: ``loss = mse(y, model(x)) + sum(model.losses)``.
        """
        own = [w.regularizer(w.value) for w in self.trainable_weights if w.regularizer is not None]
        return [*own, *context.latest_losses(self)]

    variables = weights
    trainable_variables = trainable_weights

    @property
    def generators(self) -> list[si.random.Generator]:
        """The generators of this layer and of those inside it."""
        return [g for layer in self.flattened() for g in layer._generators]

    def count_params(self) -> int:
        """Number of values in all weights."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights as NumPy arrays."""
        return [w.numpy() for w in self.weights]

    @checked(weights=NEW_WEIGHTS)
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all weights new values; ``weights`` as `get_weights` returns them.

        Raises
        ------
        ShapeError
            If their number or a shape differs; nothing is changed then.
        """
        have = self.weights
        new = [np.asarray(w) for w in weights]
        if [w.shape for w in new] != [tuple(v.shape) for v in have]:
            raise ShapeError(
                f'set_weights: the arrays do not fit the weights of "{self.name}".',
                expected=", ".join(f"{v.name} {tuple(v.shape)}" for v in have) or "no arrays (the layer has no weights yet)",
                received=", ".join(str(w.shape) for w in new) or "no arrays",
                fix="pass what get_weights of an equal model returned" if have else "build the model first: model.build(input_shape)",
                slug="weights-shapes",
                argument="weights=",
            )
        for variable, value in zip(have, new, strict=True):
            variable.assign(si.asarray(value.astype(variable.dtype.numpy)))

    @checked(path=PATH | None)
    def plot(self, path: Any = None, **options: Any) -> Any:
        """Show the weights as pictures, one for each unit; see `insitu.nn.pictures.plot`.

        Parameters
        ----------
        path : str or path, optional
            A PNG file to write as well.
        **options
            As `insitu.nn.pictures.plot` takes them.
        """
        from insitu.nn import pictures

        return pictures.plot(self, path, **options)

    # -- configuration -------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The arguments from which `from_config` makes an equal layer, without its weights."""
        config: dict[str, Any] = {"name": self.name}
        if not self.trainable:
            config["trainable"] = False
        if self.dtype is not si.float32:
            config["dtype"] = self.dtype.name
        if self.given_shape is not None:
            config["input_shape"] = list(self.given_shape[1:])
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A layer from what `get_config` returned."""
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_recorded"}  # see functional.calls_of

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


def _check_shapes(cls: type[Layer]) -> None:
    """Let methods of a class check the shapes they are given, and ``build`` note that it has run: the layer is not built again on use."""
    if "build" in vars(cls):
        make = cls.build

        @functools.wraps(make)
        @checked(input_shape=BATCH_SHAPES)
        def build(self: Layer, input_shape: Any) -> None:
            outermost = type(self).build is build  # not where a subclass goes on
            if outermost:
                self.check_fit(input_shape)
            make(self, input_shape)
            if outermost:
                self.input_shape, self.built = input_shape if self.input_shape is None else self.input_shape, True

        cls.build = build  # type: ignore[method-assign]
    if "compute_output_shape" in vars(cls):
        compute = cls.compute_output_shape

        @functools.wraps(compute)
        @checked(input_shape=BATCH_SHAPES)
        def compute_output_shape(self: Layer, input_shape: Any) -> Any:
            self.check_fit(input_shape)
            return compute(self, input_shape)

        cls.compute_output_shape = compute_output_shape  # type: ignore[method-assign]


_check_shapes(Layer)


class OneInput(Layer):
    """A layer of one array: lists and dicts of arrays are refused."""

    takes_trees = False


def _named(layer: Layer) -> str:
    """Who speaks in errors."""
    return f'{type(layer).__name__} "{layer.name}"'


def _shapes(inputs: Any) -> Any:
    return map_leaves(lambda x: tuple(x.shape), inputs)


def _described(inputs: Any) -> str:
    return ", ".join(f"{written((None, *x.shape[1:]))} {x.dtype.name}" for x in flatten(inputs)[0][:4])


class _Holders(dict[type, bool]):
    """Types to whether a value is a layer or may hold some: most attributes are neither."""

    def __missing__(self, cls: type) -> bool:
        found = self[cls] = issubclass(cls, (Layer, list, tuple, dict))
        return found


_may_hold = _Holders()


def _collect(value: Any, found: list[Layer]) -> None:
    """Append the layers that a value is or holds."""
    if isinstance(value, Layer):
        found.append(value)
        return
    for inner in value.values() if isinstance(value, dict) else value:
        if _may_hold[type(inner)]:
            _collect(inner, found)


@checked(layer=Instance(Layer, "a layer"))
def serialize(layer: Layer) -> dict[str, Any]:
    """Class name and configuration of a layer or model, with the shape it was built for where its weights need it.

    Layers that hold others put them so into what ``get_config`` returns.

    Parameters
    ----------
    layer : Layer

    Returns
    -------
    dict
        Without weights. `deserialize` makes an equal layer of it.

    Examples
    --------
    >>> import insitu as si
    >>> class Twice(si.nn.Layer):
    ...     def __init__(self, inner, **options):
    ...         super().__init__(**options)
    ...         self.inner = inner
    ...     def call(self, x):
    ...         return self.inner(self.inner(x))
    ...     def get_config(self):
    ...         return {**super().get_config(), "inner": si.nn.serialize(self.inner)}
    ...     @classmethod
    ...     def from_config(cls, config):
    ...         return cls(**{**config, "inner": si.nn.deserialize(config["inner"])})
    >>> si.nn.deserialize(si.nn.serialize(Twice(si.nn.Dense(3, name="core")))).inner
    <Dense "core">
    """
    found: dict[str, Any] = {"class_name": type(layer).__name__, "config": layer.get_config()}
    if layer.built and layer.input_shape is not None:
        found["build_shape"] = map_shapes(list, layer.input_shape)
    return found


@checked(config=CONFIG)
def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described, built if that one was.

    Parameters
    ----------
    config : dict
        With ``class_name`` and ``config``.

    Raises
    ------
    ArgumentError
        If no layer class of that name is known.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.deserialize({"class_name": "Dense", "config": {"units": 3, "name": "digits"}})
    <Dense "digits">
    """
    name = registry.check_config("layer", config).get("class_name")
    found = registry.find("layer", Layer.classes, name, "import the module that defines the class before loading")
    made: Layer = found.from_config(registry.check_config("layer", config.get("config", {})))
    if not made.built and config.get("build_shape") is not None:
        made.prepare(map_shapes(tuple, config["build_shape"]))
    return made
