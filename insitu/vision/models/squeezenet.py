"""SqueezeNet 1.1: few channels of 1 x 1 windows, of which 1 x 1 and 3 x 3 windows make many again."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu import nn
from insitu.arguments import checked
from insitu.nn.functional import Symbol
from insitu.vision.models.whole import COMMON, Shape, check_least, top, whole
from insitu.vision.preprocessing import preprocess_input as _preprocess

#: Few and many channels of each block; None is pooling.
_BLOCKS = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))


def preprocess_input(x: Any) -> si.Array:
    """Pictures from 0 to 255 as torchvision's weights of SqueezeNet want them."""
    return _preprocess(x, "torch")


@checked(**COMMON)
def SqueezeNet(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None,
    classes: int = 1000, classifier_activation: Any = "softmax", name: str = "squeezenet",
) -> Any:  # fmt: skip
    """SqueezeNet in version 1.1, which classifies by a convolution and a mean over all places.

    Parameters
    ----------
    include_top : bool
        Whether to have the convolution that classifies.
    weights : path, optional
        A safetensors file or one of Keras, whose layers have the names of this model; default: random weights.
    input_shape : (height, width, channels)
        At least 32 x 32; None stands for any height or width.
    pooling : "avg", "max" or None
        Without the top: one number for each channel, or all places.
    classes : int
    classifier_activation : str, callable or None
        None gives logits.
    name : str

    Returns
    -------
    Functional
        1,235,496 parameters with its top.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer (2016), SqueezeNet: AlexNet-level accuracy with 50x fewer parameters.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.models.SqueezeNet(input_shape=(64, 64, 3)).count_params()
    1235496
    """
    check_least("SqueezeNet", input_shape, 32)
    inputs = nn.Input(input_shape)
    x = nn.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(inputs)
    x = nn.MaxPooling2D(3, strides=2, name="pool1")(x)
    for k, channels in enumerate(_BLOCKS, 2):
        x = nn.MaxPooling2D(3, strides=2, name=f"pool{k}")(x) if channels is None else _fire(x, *channels, f"fire{k}")
    if not include_top:
        return whole(inputs, top(x, pooling), weights, name)
    x = nn.Dropout(0.5, name="dropout")(x)
    x = nn.Conv2D(classes, 1, activation="relu", name="predictions_conv")(x)
    x = nn.GlobalAveragePooling2D(name="avg_pool")(x)
    return whole(inputs, nn.Activation(classifier_activation, name="predictions")(x), weights, name)


def _fire(x: Symbol, few: int, many: int, name: str) -> Symbol:
    x = nn.Conv2D(few, 1, activation="relu", name=f"{name}_squeeze")(x)
    near = nn.Conv2D(many, 1, activation="relu", name=f"{name}_expand1x1")(x)
    far = nn.Conv2D(many, 3, padding="same", activation="relu", name=f"{name}_expand3x3")(x)
    return nn.Concatenate(name=f"{name}_concat")([near, far])  # type: ignore[no-any-return]
