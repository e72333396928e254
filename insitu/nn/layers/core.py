"""Layers that compute with weights: Dense and Embedding; Activation and Lambda for functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import insitu as si
from insitu.errors import ArgumentError, DTypeError, InternalError, ShapeError
from insitu.nn import activations, constraints, initializers, registry, regularizers
from insitu.nn.layer import Layer
from insitu.nn.shapes import Shape


def built(weight: si.Variable | None) -> si.Array:
    """The value of a weight that ``build`` has made."""
    if weight is None:
        raise InternalError("a layer was used before it was built")
    return weight.value


def named_parts(serialize: Callable[[Any], Any], **parts: Any) -> dict[str, Any]:
    """Configurations of the parts that are not None, by name."""
    return {name: serialize(part) for name, part in parts.items() if part is not None}


class Dense(Layer):
    """A fully connected layer: ``activation(x @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
        Length of the output's last axis.
    activation : str or callable, optional
        None is the identity.
    use_bias : bool
    kernel_initializer, bias_initializer : str, initializer or callable
    kernel_regularizer, bias_regularizer : str, regularizer or callable, optional
        Terms of the loss.
    activity_regularizer : str, regularizer or callable, optional
    kernel_constraint, bias_constraint : str, constraint or callable, optional
        What the weights are held to after each step.
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If ``units`` is no positive whole number, or a name is unknown.
    ShapeError
        On use, if the input has fewer than two axes or another number of features than before.

    Notes
    -----
    ``kernel``: (features, units), ``bias``: (units,), float32. Input (batch, ..., features), output (batch, ..., units).

    Examples
    --------
    >>> import insitu as si
    >>> layer = si.nn.Dense(3, activation="relu")
    >>> layer(si.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        units: int,
        activation: str | activations.Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        if isinstance(units, bool) or not hasattr(units, "__index__") or int(units) < 1:
            raise ArgumentError(
                f'Dense "{self.name}": units must be a positive whole number.',
                expected="an int of at least 1",
                received=repr(units),
                fix="pass the number of outputs, such as Dense(10)",
                slug="dense-units",
            )
        self.units, self.use_bias = int(units), bool(use_bias)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel: si.Variable | None = None
        self.bias: si.Variable | None = None

    def check_input(self, shape: Shape) -> None:
        if len(shape) < 2:
            raise ShapeError(
                f'Dense "{self.name}" needs examples with at least one axis of features.',
                expected="(batch, ..., features), 2 axes or more",
                received=f"{shape}, {len(shape)} axis" if shape else "a single number",
                fix="add an axis: x[:, None] for one feature per example, x[None, :] for one example",
                slug="dense-input-rank",
            )
        if self.kernel is not None and shape[-1] != self.kernel.shape[0]:
            features = self.kernel.shape[0]
            fits = len(shape) > 2 and None not in shape[1:] and math.prod(n for n in shape[1:] if n is not None) == features
            raise ShapeError(
                f'Dense "{self.name}" was built for {features} features, but this input has {shape[-1]}.',
                expected=f"(batch, ..., {features})",
                received=f"{shape}",
                fix="flatten the examples first: add Flatten() before this layer"
                if fits
                else f"pass examples with {features} features, or build a new model",
                slug="dense-input-features",
            )

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ShapeError(
                f'Dense "{self.name}" needs to know the number of features before it can make its kernel.',
                expected="(batch, ..., features) with a number of features",
                received=f"{input_shape}",
                fix="give the last axis a length: model.build((None, 784))",
                slug="dense-input-features",
            )
        self.kernel = self.add_weight(
            (features, self.units), self.kernel_initializer, "kernel", regularizer=self.kernel_regularizer, constraint=self.kernel_constraint
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, "bias", regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )

    def call(self, x: si.Array) -> si.Array:
        kernel = built(self.kernel)
        y = si.matmul(x.astype(kernel.dtype), kernel)
        return self.activation(y if self.bias is None else y + self.bias.value)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            **named_parts(regularizers.serialize, kernel_regularizer=self.kernel_regularizer, bias_regularizer=self.bias_regularizer),
            **named_parts(constraints.serialize, kernel_constraint=self.kernel_constraint, bias_constraint=self.bias_constraint),
        }


class Activation(Layer):
    """An activation as a layer of its own.

    Parameters
    ----------
    activation : str or callable
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Activation("relu")(si.asarray([[-1.0, 2.0]]))
    Array([[0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, x: si.Array) -> si.Array:
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Embedding(Layer):
    """A row of a table for each whole number: (batch, ...) becomes (batch, ..., output_dim).

    Parameters
    ----------
    input_dim : int
        Rows: the numbers are from 0 to ``input_dim - 1``.
    output_dim : int
        Length of a row.
    embeddings_initializer : str, initializer or callable
    embeddings_regularizer, embeddings_constraint : str or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        If a dimension is no positive whole number.
    DTypeError
        On use, for numbers that cannot be whole (booleans).

    Notes
    -----
    ``embeddings``: (input_dim, output_dim). Numbers out of range are not noticed inside a compiled step: check them before.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Embedding(10, 4)(si.asarray([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform", embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        for argument, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
                raise ArgumentError(
                    f'Embedding "{self.name}": {argument} must be a positive whole number.',
                    expected="an int of at least 1",
                    received=repr(value),
                    fix="pass the number of words and the length of their vectors: Embedding(1000, 16)",
                    slug="embedding-dimensions",
                    argument=f"{argument}=",
                )
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer, self.embeddings_constraint = regularizers.get(embeddings_regularizer), constraints.get(embeddings_constraint)
        self.embeddings: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, "embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip

    def call(self, x: si.Array) -> si.Array:
        if x.dtype is si.bool:
            raise DTypeError(
                f'Embedding "{self.name}" needs whole numbers.',
                expected=f"numbers from 0 to {self.input_dim - 1}",
                received=f"{tuple(x.shape)} {x.dtype.name}",
                fix='convert them: x.astype("int32")',
                slug="embedding-dtype",
            )
        return si.take(built(self.embeddings), x if x.dtype.is_integer else x.astype(si.int32), axis=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            **named_parts(regularizers.serialize, embeddings_regularizer=self.embeddings_regularizer),
            **named_parts(constraints.serialize, embeddings_constraint=self.embeddings_constraint),
        }


class Lambda(Layer):
    """A function of arrays as a layer.

    Parameters
    ----------
    function : callable
        Takes the input, and returns the output; array operations only.
    output_shape : tuple, optional
        Shape of an example of the output; found by tracing if it is not given.
    arguments : dict, optional
        Keyword arguments of the function.
    **options
        As for `Layer`.

    Notes
    -----
    A model with a Lambda can be stored if the function is registered: `insitu.nn.register`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Lambda(lambda x: x * 2)(si.ones((1, 2)))
    Array([[2., 2.]], dtype=float32)
    """

    def __init__(self, function: Any, output_shape: Any = None, arguments: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(function, Mapping):
            function = registry.find_function(function["function"])
        if not callable(function):
            raise ArgumentError(
                f'Lambda "{self.name}" takes a function of an array.',
                expected="a callable such as lambda x: x * 2",
                received=repr(function),
                fix="pass the function itself, without calling it",
                slug="lambda-function",
                argument="function=",
            )
        self.function, self.arguments = function, dict(arguments or {})
        self.output_shape = None if output_shape is None else tuple(output_shape)

    def call(self, x: Any) -> Any:
        return self.function(x, **self.arguments)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return super().compute_output_shape(input_shape) if self.output_shape is None else (input_shape[0], *self.output_shape)

    def get_config(self) -> dict[str, Any]:
        shape = None if self.output_shape is None else list(self.output_shape)
        return {**super().get_config(), "function": registry.config_of("Lambda", self.function), "output_shape": shape, "arguments": self.arguments}
