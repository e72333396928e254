"""Transposed convolution layers: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import COUNT, FLAG, checked
from insitu.arguments.grids import PADDING, PER_AXIS, PerAxis, check_output_padding
from insitu.nn import constraints, initializers, regularizers
from insitu.nn.declared import ACTIVATION, CONSTRAINT, INITIALIZER, REGULARIZER
from insitu.nn.layers.convolution import Convolution
from insitu.nn.layers.core import built
from insitu.nn.layers.grids import Grid, check_channels
from insitu.nn.shapes import Shape


class _ConvTranspose(Convolution):
    output_axes = (-2,)

    @checked(
        filters=COUNT, kernel_size=PER_AXIS, strides=PER_AXIS, padding=PADDING, output_padding=PerAxis(0) | None,
        dilation_rate=PER_AXIS, activation=ACTIVATION, use_bias=FLAG, kernel_initializer=INITIALIZER, bias_initializer=INITIALIZER,
        kernel_regularizer=REGULARIZER, bias_regularizer=REGULARIZER, activity_regularizer=REGULARIZER, kernel_constraint=CONSTRAINT,
        bias_constraint=CONSTRAINT,
    )  # fmt: skip
    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        self.filters = filters
        self.output_padding = check_output_padding(self.owner, output_padding, self.strides)
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = kernel_initializer, kernel_regularizer, kernel_constraint
        self.kernel: si.Variable | None = None

    def check_input(self, shape: Shape) -> None:
        Grid.check_input(self, shape)
        check_channels(self, shape, self._channels)

    def build(self, input_shape: Shape) -> None:
        channels = self.channels_of(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, channels), self.kernel_initializer, "kernel", regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.finish(input_shape, self.filters)

    def convolved(self, x: si.Array) -> si.Array:
        kernel = built(self.kernel)
        return si.conv_transpose(x.astype(kernel.dtype), kernel, output_padding=self.output_padding, **self.windows)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "output_padding": None if self.output_padding is None else list(self.output_padding),
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
        }


class Conv1DTranspose(_ConvTranspose):
    """The transposed convolution of sequences; as `Conv2DTranspose`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv1DTranspose(4, 3, strides=2, padding="same")(si.ones((2, 5, 3))).shape
    (2, 10, 4)
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """The transposed convolution of pictures: each position is spread over a window of the result, which grows with the strides.

    Parameters
    ----------
    filters, kernel_size, strides, data_format, dilation_rate, activation, use_bias
        As for `Conv2D`.
    padding : {"valid", "same"}
        "same": ``n * stride`` positions come out. "valid": those that the windows reach, and at least ``n * stride``.
    output_padding : int or sequence of int, optional
        How many positions more at the end, less than the stride: the result then has ``(n - 1) * stride + reach + output_padding``
        positions, for "same" ``(n - 1) * stride + reach % 2 + output_padding``. The reach is that of a window, dilation counted.
    kernel_initializer, bias_initializer : str, initializer or callable
    kernel_regularizer, bias_regularizer, activity_regularizer : str, regularizer or callable, optional
    kernel_constraint, bias_constraint : str, constraint or callable, optional
    **options
        As for `Layer`.

    Raises
    ------
    ArgumentError
        For other numbers or names.
    ShapeError
        On use, if the input has another rank or number of channels.

    Notes
    -----
    ``kernel``: (*kernel_size, filters, channels), ``bias``: (filters,).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv2DTranspose(4, 3, strides=2, padding="same")(si.ones((2, 5, 5, 3))).shape
    (2, 10, 10, 4)
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """The transposed convolution of volumes; as `Conv2DTranspose`.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.Conv3DTranspose(4, 2, strides=2)(si.ones((2, 3, 3, 3, 3))).shape
    (2, 6, 6, 6, 4)
    """

    rank = 3

    @checked()
    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], strides: int | Sequence[int] = 1, padding: str = "valid",
        data_format: str | None = None, output_padding: int | Sequence[int] | None = None, *more: Any, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, *more, **options)  # Keras has this order here


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose", "Convolution2DTranspose", "Convolution3DTranspose"]
