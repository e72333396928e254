"""Convolution layers that see each channel by itself: DepthwiseConv, and SeparableConv, which mixes the channels afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import COUNT, FLAG, checked
from insitu.arguments.grids import CAUSAL, PADDING, PER_AXIS
from insitu.nn import constraints, initializers, regularizers
from insitu.nn.declared import ACTIVATION, CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layers.convolution import Convolution
from insitu.nn.layers.core import built
from insitu.nn.shapes import Shape


class _DepthwiseConv(Convolution):
    output_axes = (-2, -1)

    @checked(
        kernel_size=PER_AXIS, strides=PER_AXIS, padding=PADDING, depth_multiplier=COUNT, dilation_rate=PER_AXIS,
        activation=ACTIVATION, use_bias=FLAG, depthwise_initializer=INITIALIZER, bias_initializer=INITIALIZER, depthwise_regularizer=REGULARIZER,
        bias_regularizer=REGULARIZER, activity_regularizer=REGULARIZER, depthwise_constraint=CONSTRAINT, bias_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, (bias_initializer, bias_regularizer, bias_constraint),
            activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = depthwise_initializer
        self.depthwise_regularizer, self.depthwise_constraint = depthwise_regularizer, depthwise_constraint
        self.kernel: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, "kernel", regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.finish(input_shape, channels * self.depth_multiplier)

    def convolved(self, x: si.Array) -> si.Array:
        kernel = built(self.kernel)
        return si.depthwise_conv(x.astype(kernel.dtype), kernel, **self.windows)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
        }


class DepthwiseConv1D(_DepthwiseConv):
    """A convolution of each channel of a sequence by itself; as `DepthwiseConv2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.DepthwiseConv1D(3)(si.ones((2, 10, 4))).shape
    (2, 8, 4)
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """A convolution of each channel of a picture by itself, with ``depth_multiplier`` kernels each.

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias
        As for `Conv2D`.
    depth_multiplier : int
        Channels of the output for each one of the input.
    depthwise_initializer, bias_initializer : str, initializer or callable
    depthwise_regularizer, bias_regularizer, activity_regularizer : str, regularizer or callable, optional
    depthwise_constraint, bias_constraint : str, constraint or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2D`.

    Notes
    -----
    ``kernel``: (*kernel_size, channels, depth_multiplier), ``bias``: (channels * depth_multiplier,).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(si.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 6)
    """

    rank = 2


class _SeparableConv(Convolution):
    @checked(
        filters=COUNT, kernel_size=PER_AXIS, strides=PER_AXIS, padding=CAUSAL, dilation_rate=PER_AXIS,
        depth_multiplier=COUNT, activation=ACTIVATION, use_bias=FLAG, depthwise_initializer=INITIALIZER, pointwise_initializer=INITIALIZER,
        bias_initializer=INITIALIZER, depthwise_regularizer=REGULARIZER, pointwise_regularizer=REGULARIZER, bias_regularizer=REGULARIZER,
        activity_regularizer=REGULARIZER, depthwise_constraint=CONSTRAINT, pointwise_constraint=CONSTRAINT, bias_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, (bias_initializer, bias_regularizer, bias_constraint),
            activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self.filters, self.depth_multiplier = filters, depth_multiplier
        self.depthwise_initializer, self.pointwise_initializer = depthwise_initializer, pointwise_initializer
        self.depthwise_regularizer, self.pointwise_regularizer = depthwise_regularizer, pointwise_regularizer
        self.depthwise_constraint, self.pointwise_constraint = depthwise_constraint, pointwise_constraint
        self.depthwise_kernel: si.Variable | None = None
        self.pointwise_kernel: si.Variable | None = None

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, "depthwise_kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            (*[1] * self.rank, channels * self.depth_multiplier, self.filters), self.pointwise_initializer, "pointwise_kernel",
            regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint,
        )  # fmt: skip
        self.finish(input_shape, self.filters)

    @property
    def output_kernel(self) -> si.Variable | None:
        return self.pointwise_kernel

    def convolved(self, x: si.Array) -> si.Array:
        kernel = built(self.depthwise_kernel)
        return si.separable_conv(x.astype(kernel.dtype), kernel, built(self.pointwise_kernel), **self.windows)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "pointwise_regularizer": regularizers.serialize(self.pointwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
            "pointwise_constraint": constraints.serialize(self.pointwise_constraint),
        }


class SeparableConv1D(_SeparableConv):
    """A convolution of each channel of a sequence by itself, and then one of all channels at each step; as `SeparableConv2D`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.SeparableConv1D(4, 3)(si.ones((2, 10, 3))).shape
    (2, 8, 4)
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A convolution of each channel of a picture by itself, and then one of all channels at each position.

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias
        As for `Conv2D`.
    depth_multiplier : int
        Channels between the two for each one of the input.
    depthwise_initializer, pointwise_initializer, bias_initializer : str, initializer or callable
    depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer : str, regularizer or callable, optional
    depthwise_constraint, pointwise_constraint, bias_constraint : str, constraint or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2D`.

    Notes
    -----
    ``depthwise_kernel``: (*kernel_size, channels, depth_multiplier), ``pointwise_kernel``: (1, 1, channels * depth_multiplier,
    filters), ``bias``: (filters,).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.SeparableConv2D(4, 3)(si.ones((2, 8, 8, 3))).shape
    (2, 6, 6, 4)
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

__all__ = ["DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D"]
