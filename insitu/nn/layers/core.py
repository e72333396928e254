"""Dense, and Activation for its function alone."""

from __future__ import annotations

import math
from typing import Any

import insitu as si
from insitu.arguments import FLAG, Whole, checked, written
from insitu.errors import InternalError, ShapeError
from insitu.nn import activations, constraints, initializers, regularizers
from insitu.nn.declared import ACTIVATION, CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layer import Layer, OneInput
from insitu.nn.shapes import Shape


def built(weight: si.Variable | None) -> si.Array:
    """The value of a weight that ``build`` has made."""
    if weight is None:
        raise InternalError("a layer was used before it was built")
    return weight.value


class Dense(OneInput):
    """A fully connected layer: ``activation(x @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
        Length of the output's last axis.
    activation : str, callable or layer, optional
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

    @checked(
        units=Whole(1, slug="dense-units", fix="pass the number of outputs, such as Dense(10)"), activation=ACTIVATION, use_bias=FLAG,
        kernel_initializer=INITIALIZER, bias_initializer=INITIALIZER, kernel_regularizer=REGULARIZER, bias_regularizer=REGULARIZER,
        activity_regularizer=REGULARIZER, kernel_constraint=CONSTRAINT, bias_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self,
        units: int,
        activation: Any = None,
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
        self.units, self.use_bias = units, use_bias
        self.activation: activations.Activation = activation
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.kernel: si.Variable | None = None
        self.bias: si.Variable | None = None

    def check_input(self, shape: Shape) -> None:
        if len(shape) < 2:
            raise ShapeError(
                f'Dense "{self.name}" needs examples with at least one axis of features.',
                expected="(batch, ..., features), 2 axes or more",
                received=f"{written(shape)}, {len(shape)} axis" if shape else "a single number",
                fix="add an axis: x[:, None] for one feature per example, x[None, :] for one example",
                slug="dense-input-rank",
                argument="x",
            )
        if self.kernel is not None and shape[-1] != self.kernel.shape[0]:
            features = self.kernel.shape[0]
            fits = len(shape) > 2 and None not in shape[1:] and math.prod(n for n in shape[1:] if n is not None) == features
            raise ShapeError(
                f'Dense "{self.name}" was built for {features} features, but this input has {shape[-1]}.',
                expected=f"(batch, ..., {features})",
                received=written(shape),
                fix="flatten the examples first: add Flatten() before this layer"
                if fits
                else f"pass examples with {features} features, or build a new model",
                slug="dense-input-features",
                argument="x",
            )

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ShapeError(
                f'Dense "{self.name}" needs to know the number of features before it can make its kernel.',
                expected="(batch, ..., features) with a number of features",
                received=written(input_shape),
                fix="give all axes of an example a length, without the batch: Input((784,)), or model.build((None, 784))",
                slug="dense-input-features",
                argument="x",
            )
        self.kernel = self.add_weight(
            (features, self.units), self.kernel_initializer, "kernel", regularizer=self.kernel_regularizer, constraint=self.kernel_constraint
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, "bias", regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )
        if isinstance(self.activation, Layer):
            self.activation.prepare((*input_shape[:-1], self.units))

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
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Activation(OneInput):
    """An activation as a layer of its own.

    Parameters
    ----------
    activation : str, callable or layer
    **options
        As for `Layer`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Activation("relu")(si.asarray([[-1.0, 2.0]]))
    Array([[0., 2.]], dtype=float32)
    """

    @checked(activation=ACTIVATION)
    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation: activations.Activation = activation

    def build(self, input_shape: Shape) -> None:
        if isinstance(self.activation, Layer):
            self.activation.prepare(input_shape)

    def call(self, x: si.Array) -> si.Array:
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
