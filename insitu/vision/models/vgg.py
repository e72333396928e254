"""VGG16 and VGG19: blocks of 3 x 3 convolutions, each followed by max pooling, then two layers of 4096 units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu import nn
from insitu.arguments import checked
from insitu.vision.models.whole import COMMON, Shape, check_least, top, whole
from insitu.vision.preprocessing import preprocess_input as _preprocess

_CHANNELS = (64, 128, 256, 512, 512)


def preprocess_input(x: Any) -> si.Array:
    """Pictures from 0 to 255 as the published weights of VGG want them: blue, green, red, without their means."""
    return _preprocess(x, "caffe")


@checked(**COMMON)
def VGG16(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", name: str = "vgg16",
) -> Any:  # fmt: skip
    """VGG with 13 convolutions and 3 dense layers. As `VGG19`; 138,357,544 parameters with its top."""
    return _vgg((2, 2, 3, 3, 3), include_top, weights, input_shape, pooling, classes, classifier_activation, name)


@checked(**COMMON)
def VGG19(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", name: str = "vgg19",
) -> Any:  # fmt: skip
    """VGG with 16 convolutions and 3 dense layers.

    Parameters
    ----------
    include_top : bool
        Whether to have the dense layers.
    weights : path, optional
        A safetensors file or one of Keras, whose layers have the names of this model; default: random weights.
    input_shape : (height, width, channels)
        At least 32 x 32. Without the top, None stands for any height or width.
    pooling : "avg", "max" or None
        Without the top: one number for each channel, or all places.
    classes : int
    classifier_activation : str, callable or None
        None gives logits.
    name : str

    Returns
    -------
    Functional
        143,667,240 parameters with its top.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    Simonyan and Zisserman (2015), Very deep convolutional networks for large-scale image recognition.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.vision.models.VGG19(include_top=False, input_shape=(32, 32, 3), pooling="avg")
    >>> model.output_shape, model.count_params()
    ((None, 512), 20024384)
    """
    return _vgg((2, 2, 4, 4, 4), include_top, weights, input_shape, pooling, classes, classifier_activation, name)


def _vgg(
    depths: Sequence[int], include_top: bool, weights: Any, input_shape: Shape, pooling: str | None, classes: int, activation: Any, name: str
) -> Any:
    check_least(f"VGG{sum(depths) + 3}", input_shape, 32)
    x = inputs = nn.Input(input_shape)
    for block, (depth, channels) in enumerate(zip(depths, _CHANNELS, strict=True), 1):
        for k in range(1, depth + 1):
            x = nn.Conv2D(channels, 3, padding="same", activation="relu", name=f"block{block}_conv{k}")(x)
        x = nn.MaxPooling2D(2, name=f"block{block}_pool")(x)
    if not include_top:
        return whole(inputs, top(x, pooling), weights, name)
    x = nn.Flatten(name="flatten")(x)
    x = nn.Dense(4096, activation="relu", name="fc1")(x)
    x = nn.Dense(4096, activation="relu", name="fc2")(x)
    x = nn.Dense(classes, activation=activation, name="predictions")(x)
    return whole(inputs, x, weights, name)
