"""MobileNetV2: blocks that widen their channels, convolve each by itself, and narrow them again."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu import nn
from insitu.arguments import POSITIVE, checked
from insitu.nn.functional import Symbol
from insitu.vision.models.whole import COMMON, Shape, check_least, top, whole
from insitu.vision.preprocessing import preprocess_input as _preprocess

#: Widening, channels, blocks and strides of the first of them.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def preprocess_input(x: Any) -> si.Array:
    """Pictures from 0 to 255 as Keras' weights of MobileNetV2 want them: from -1 to 1."""
    return _preprocess(x, "tf")


@checked(**COMMON, alpha=POSITIVE)
def MobileNetV2(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None,
    classes: int = 1000, classifier_activation: Any = "softmax", alpha: float = 1.0, name: str = "mobilenetv2",
) -> Any:  # fmt: skip
    """MobileNetV2, made for telephones.

    Parameters
    ----------
    include_top : bool
        Whether to have the dense layer that classifies.
    weights : path, optional
        A safetensors file or one of Keras, whose layers have the names of this model; default: random weights.
    input_shape : (height, width, channels)
        At least 32 x 32; None stands for any height or width.
    pooling : "avg", "max" or None
        Without the top: one number for each channel, or all places.
    classes : int
    classifier_activation : str, callable or None
        None gives logits.
    alpha : float
        What the numbers of channels are multiplied by.
    name : str

    Returns
    -------
    Functional
        3,538,984 parameters with its top.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    Sandler, Howard, Zhu, Zhmoginov and Chen (2018), MobileNetV2: inverted residuals and linear bottlenecks.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.models.MobileNetV2(include_top=False, input_shape=(32, 32, 3), alpha=0.35).output_shape
    (None, 1, 1, 1280)
    """
    check_least("MobileNetV2", input_shape, 32)
    inputs = nn.Input(input_shape)
    x = nn.Conv2D(_channels(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1")(inputs)
    x = nn.ReLU(6.0, name="Conv1_relu")(_normalized(x, "bn_Conv1"))
    number = 0
    for widening, channels, blocks, strides in _STAGES:
        for k in range(blocks):
            x = _block(x, widening, _channels(channels * alpha), 1 if k else strides, f"block_{number}" if number else "expanded_conv")
            number += 1
    x = nn.Conv2D(max(1280, _channels(1280 * alpha)), 1, use_bias=False, name="Conv_1")(x)
    x = nn.ReLU(6.0, name="out_relu")(_normalized(x, "Conv_1_bn"))
    if not include_top:
        return whole(inputs, top(x, pooling), weights, name)
    x = nn.GlobalAveragePooling2D(name="global_average_pooling2d")(x)
    return whole(inputs, nn.Dense(classes, activation=classifier_activation, name="predictions")(x), weights, name)


def _block(x: Symbol, widening: int, channels: int, strides: int, name: str) -> Symbol:
    before = x
    if widening != 1:
        x = nn.Conv2D(widening * int(x.shape[-1] or 0), 1, use_bias=False, name=f"{name}_expand")(x)
        x = nn.ReLU(6.0, name=f"{name}_expand_relu")(_normalized(x, f"{name}_expand_BN"))
    padding = "same"
    if strides == 2:
        x, padding = nn.ZeroPadding2D([_around(x.shape[axis] or 0) for axis in (1, 2)], name=f"{name}_pad")(x), "valid"
    x = nn.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False, name=f"{name}_depthwise")(x)
    x = nn.ReLU(6.0, name=f"{name}_depthwise_relu")(_normalized(x, f"{name}_depthwise_BN"))
    x = _normalized(nn.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x), f"{name}_project_BN")
    return nn.Add(name=f"{name}_add")([before, x]) if strides == 1 and before.shape[-1] == channels else x


def _around(extent: int) -> tuple[int, int]:
    """Zeros before and after an axis that is halved, so that the windows lie as in Keras."""
    return (1, 1) if extent % 2 else (0, 1)


def _channels(wanted: float) -> int:
    """The multiple of 8 next to a number, but no more than a tenth below it."""
    found = max(8, int(wanted + 4) // 8 * 8)
    return found + 8 if found < 0.9 * wanted else found


def _normalized(x: Symbol, name: str) -> Symbol:
    return nn.BatchNormalization(momentum=0.999, epsilon=1e-3, name=name)(x)  # type: ignore[no-any-return]
