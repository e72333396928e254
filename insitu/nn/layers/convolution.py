"""Convolution layers over 1, 2 or 3 axes: Conv1D, Conv2D, Conv3D, and what those of channels by themselves and transposed ones share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import insitu as si
from insitu.arguments import COUNT, FLAG, checked, written
from insitu.arguments.grids import CAUSAL, PADDING, PER_AXIS, check_window
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import activations, constraints, initializers, regularizers
from insitu.nn.declared import ACTIVATION, CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layer import Layer
from insitu.nn.layers.activating import closed
from insitu.nn.layers.core import built
from insitu.nn.layers.grids import Grid, check_channels
from insitu.nn.shapes import Shape, infer


class Convolution(Grid):
    """Windows, an activation and a bias: what all convolution layers have."""

    #: The axes of `output_kernel` that make up the channels of the output, counted from the end.
    output_axes: ClassVar[tuple[int, ...]] = (-1,)

    def __init__(
        self, kernel_size: Any, strides: Any, padding: str, data_format: str | None, dilation_rate: Any, activation: Any, use_bias: bool,
        bias: tuple[Any, Any, Any], /, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format=data_format, **options)
        self.kernel_size, self.strides = self.per_axis("kernel_size", kernel_size), self.per_axis("strides", strides)
        self.dilation_rate = self.per_axis("dilation_rate", dilation_rate)
        if padding == "causal" and self.rank != 1:
            raise PADDING.refusal(self.owner, "padding", padding)
        self.padding = padding
        self.activation: activations.Activation = activation
        self.use_bias = use_bias
        self.bias_initializer, self.bias_regularizer, self.bias_constraint = bias
        self.bias: si.Variable | None = None
        self._channels: int | None = None

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        check_channels(self, shape, self._channels)
        if self.padding == "valid":
            check_window(self.owner, shape, self.data_format, self.kernel_size, self.dilation_rate, ((0, 0),) * self.rank)

    def channels_of(self, shape: Shape) -> int:
        """The channels of the first input, which those after it must have."""
        closed(self.owner, shape, (self.channel_axis,))
        self._channels = shape[self.channel_axis] or 0
        return self._channels

    def finish(self, input_shape: Shape, outputs: int) -> None:
        """Make the bias, and the weights of an activation that is a layer."""
        if self.use_bias:
            self.bias = self.add_weight((outputs,), self.bias_initializer, "bias", regularizer=self.bias_regularizer, constraint=self.bias_constraint)
        if isinstance(self.activation, Layer):
            self.activation.prepare(infer(self.convolved, input_shape, self.dtype).shape)

    def convolved(self, x: si.Array) -> si.Array:
        """The result without bias and activation."""
        raise NotImplementedError(f"{type(self).__name__} has no convolved")

    def call(self, x: si.Array) -> si.Array:
        y = self.convolved(x)
        return self.activation(y if self.bias is None else y + self.along_channels(self.bias.value))

    @property
    def output_kernel(self) -> si.Variable | None:
        """The kernel that makes the channels of the output."""
        found: si.Variable | None = vars(self).get("kernel")
        return found

    @property
    def windows(self) -> dict[str, Any]:
        """Arguments of the functions in `insitu.array.convolution`."""
        return {"strides": self.strides, "padding": self.padding, "dilation": self.dilation_rate, "data_format": self.data_format}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "dilation_rate": list(self.dilation_rate),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class _Conv(Convolution):
    @checked(
        filters=COUNT, kernel_size=PER_AXIS, strides=PER_AXIS, padding=CAUSAL, dilation_rate=PER_AXIS, groups=COUNT,
        activation=ACTIVATION, use_bias=FLAG, kernel_initializer=INITIALIZER, bias_initializer=INITIALIZER, kernel_regularizer=REGULARIZER,
        bias_regularizer=REGULARIZER, activity_regularizer=REGULARIZER, kernel_constraint=CONSTRAINT, bias_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
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
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, (bias_initializer, bias_regularizer, bias_constraint),
            activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self.filters, self.groups = filters, groups
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = kernel_initializer, kernel_regularizer, kernel_constraint
        self.kernel: si.Variable | None = None
        if filters % groups:
            raise ArgumentError(
                f"{self.owner}: {filters} filters cannot be cut into {groups} equal groups.",
                expected=f"filters that are a multiple of groups={groups}",
                received=f"filters={filters}",
                fix=f"filters={-(-filters // groups) * groups}",
                slug="conv-groups",
                argument="filters=|groups=",
            )

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{self.owner}: {channels} channels cannot be cut into {self.groups} equal groups.",
                expected=f"a number of channels that is a multiple of {self.groups}",
                received=written(input_shape),
                fix="choose groups that divide the channels and the filters",
                slug="conv-groups",
                argument="x",
            )
        self.kernel = self.add_weight(
            (*self.kernel_size, channels // self.groups, self.filters), self.kernel_initializer, "kernel", regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.finish(input_shape, self.filters)

    def convolved(self, x: si.Array) -> si.Array:
        kernel = built(self.kernel)
        return si.conv(x.astype(kernel.dtype), kernel, groups=self.groups, **self.windows)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
        }


class Conv1D(_Conv):
    """A convolution over the steps of sequences; as `Conv2D`, and ``padding`` can be "causal".

    With "causal", zeros stand before the sequence only: no result sees what comes after it.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv1D(4, 3, padding="causal", dilation_rate=2)(si.ones((2, 10, 3))).shape
    (2, 10, 4)
    """

    rank = 1


class Conv2D(_Conv):
    """A convolution over height and width of pictures: ``activation(conv(x, kernel) + bias)``.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or sequence of int
        Taps of a window on each axis.
    strides : int or sequence of int
        From one window to the next.
    padding : {"valid", "same"}
        "valid": windows inside only. "same": zeros around, so that ``ceil(n / stride)`` positions come out; the odd one comes after.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".
    dilation_rate : int or sequence of int
        From one tap to the next.
    groups : int
        Channels and filters are cut into so many parts, and each part of the filters sees its part of the channels.
    activation : str, callable or layer, optional
        None is the identity.
    use_bias : bool
    kernel_initializer, bias_initializer : str, initializer or callable
    kernel_regularizer, bias_regularizer, activity_regularizer : str, regularizer or callable, optional
    kernel_constraint, bias_constraint : str, constraint or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other numbers or names, or if ``groups`` does not divide ``filters``.
    ShapeError
        On use, if the input has another rank or number of channels, is smaller than a window, or ``groups`` does not divide
        its channels.

    Notes
    -----
    ``kernel``: (*kernel_size, channels // groups, filters), ``bias``: (filters,). Input (batch, height, width, channels), output
    (batch, new height, new width, filters).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv2D(8, 3, activation="relu")(si.ones((2, 28, 28, 1))).shape
    (2, 26, 26, 8)
    """

    rank = 2


class Conv3D(_Conv):
    """A convolution over depth, height and width of volumes; as `Conv2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv3D(4, 3, strides=2, padding="same")(si.ones((1, 5, 6, 7, 2))).shape
    (1, 3, 3, 4, 4)
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D

__all__ = ["Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"]
