"""ResNet: blocks whose input is added to their output. 18 and 34 layers with two 3 x 3 convolutions a block, 50 and 101 with three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import insitu as si
from insitu import nn
from insitu.arguments import FLAG, checked
from insitu.nn.functional import Symbol
from insitu.vision.models.whole import COMMON, Shape, check_least, top, whole
from insitu.vision.preprocessing import preprocess_input as _preprocess

Block = Callable[[Symbol, int, int, str], Symbol]


def preprocess_input(x: Any) -> si.Array:
    """Pictures from 0 to 255 as Keras' weights of ResNet50 and ResNet101 want them: blue, green, red, without their means."""
    return _preprocess(x, "caffe")


@checked(**COMMON, small_images=FLAG)
def ResNet18(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", small_images: bool = False, name: str = "resnet18",
) -> Any:  # fmt: skip
    """ResNet with 18 layers. As `ResNet50`; 11,689,512 parameters that are trained."""
    return _resnet(basic, (2, 2, 2, 2), include_top, weights, input_shape, pooling, classes, classifier_activation, small_images, name)


@checked(**COMMON, small_images=FLAG)
def ResNet34(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", small_images: bool = False, name: str = "resnet34",
) -> Any:  # fmt: skip
    """ResNet with 34 layers. As `ResNet50`; 21,797,672 parameters that are trained."""
    return _resnet(basic, (3, 4, 6, 3), include_top, weights, input_shape, pooling, classes, classifier_activation, small_images, name)


@checked(**COMMON, small_images=FLAG)
def ResNet50(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", small_images: bool = False, name: str = "resnet50",
) -> Any:  # fmt: skip
    """ResNet with 50 layers, in its first version: the strides are those of the first convolution of a block.

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
    small_images : bool
        Whether to begin with a 3 x 3 convolution without strides and pooling, as is usual for pictures of 32 x 32.
    name : str

    Returns
    -------
    Functional
        25,636,712 parameters with its top, as in Keras.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition.

    Examples
    --------
    >>> import insitu as si
    >>> model = si.vision.models.ResNet18(input_shape=(32, 32, 3), classes=10, small_images=True)
    >>> model.output_shape, model.count_params()
    ((None, 10), 11183562)
    """
    return _resnet(bottleneck, (3, 4, 6, 3), include_top, weights, input_shape, pooling, classes, classifier_activation, small_images, name)


@checked(**COMMON, small_images=FLAG)
def ResNet101(
    include_top: bool = True, weights: Any = None, input_shape: Shape = (224, 224, 3), pooling: str | None = None, classes: int = 1000,
    classifier_activation: Any = "softmax", small_images: bool = False, name: str = "resnet101",
) -> Any:  # fmt: skip
    """ResNet with 101 layers. As `ResNet50`; 44,707,176 parameters with its top."""
    return _resnet(bottleneck, (3, 4, 23, 3), include_top, weights, input_shape, pooling, classes, classifier_activation, small_images, name)


def _resnet(
    block: Block, depths: Sequence[int], include_top: bool, weights: Any, input_shape: Shape, pooling: str | None, classes: int, activation: Any,
    small_images: bool, name: str,
) -> Any:  # fmt: skip
    check_least(f"ResNet{sum(depths) * (2 if block is basic else 3) + 2}", input_shape, 8 if small_images else 32)
    plain = block is basic
    inputs = nn.Input(input_shape)
    if small_images:
        x = normalized(nn.Conv2D(64, 3, padding="same", use_bias=not plain, name="conv1_conv")(inputs), "conv1", plain)
        x = nn.ReLU(name="conv1_relu")(x)
    else:
        x = nn.ZeroPadding2D(3, name="conv1_pad")(inputs)
        x = normalized(nn.Conv2D(64, 7, strides=2, use_bias=not plain, name="conv1_conv")(x), "conv1", plain)
        x = nn.ReLU(name="conv1_relu")(x)
        x = nn.ZeroPadding2D(1, name="pool1_pad")(x)
        x = nn.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, depth in enumerate(depths):
        for k in range(depth):
            x = block(x, 64 << stage, 2 if stage and not k else 1, f"conv{stage + 2}_block{k + 1}")
    if not include_top:
        return whole(inputs, top(x, pooling), weights, name)
    x = nn.GlobalAveragePooling2D(name="avg_pool")(x)
    return whole(inputs, nn.Dense(classes, activation=activation, name="predictions")(x), weights, name)


def basic(x: Symbol, channels: int, strides: int, name: str) -> Symbol:
    """Two 3 x 3 convolutions, as in torchvision: no biases, and zeros on both sides also where the strides are 2."""
    shortcut = x
    if strides != 1 or x.shape[-1] != channels:
        shortcut = normalized(nn.Conv2D(channels, 1, strides=strides, use_bias=False, name=f"{name}_0_conv")(x), f"{name}_0", plain=True)
    padding = "same"
    if strides != 1:
        x, padding = nn.ZeroPadding2D(1, name=f"{name}_1_pad")(x), "valid"
    x = normalized(nn.Conv2D(channels, 3, strides, padding, use_bias=False, name=f"{name}_1_conv")(x), f"{name}_1", plain=True)
    x = nn.ReLU(name=f"{name}_1_relu")(x)
    x = normalized(nn.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(x), f"{name}_2", plain=True)
    return nn.ReLU(name=f"{name}_out")(nn.Add(name=f"{name}_add")([shortcut, x]))  # type: ignore[no-any-return]


def bottleneck(x: Symbol, channels: int, strides: int, name: str) -> Symbol:
    """A 3 x 3 convolution between two of 1 x 1, of which the last has four times as many channels; as in Keras."""
    shortcut = x
    if strides != 1 or x.shape[-1] != 4 * channels:
        shortcut = normalized(nn.Conv2D(4 * channels, 1, strides=strides, name=f"{name}_0_conv")(x), f"{name}_0")
    x = nn.ReLU(name=f"{name}_1_relu")(normalized(nn.Conv2D(channels, 1, strides=strides, name=f"{name}_1_conv")(x), f"{name}_1"))
    x = nn.ReLU(name=f"{name}_2_relu")(normalized(nn.Conv2D(channels, 3, padding="same", name=f"{name}_2_conv")(x), f"{name}_2"))
    x = normalized(nn.Conv2D(4 * channels, 1, name=f"{name}_3_conv")(x), f"{name}_3")
    return nn.ReLU(name=f"{name}_out")(nn.Add(name=f"{name}_add")([shortcut, x]))  # type: ignore[no-any-return]


def normalized(x: Symbol, name: str, plain: bool = False) -> Symbol:
    """Batch normalisation with the numbers of Keras' models, or with ``plain`` those of torchvision."""
    epsilon, momentum = (1e-5, 0.9) if plain else (1.001e-5, 0.99)
    return nn.BatchNormalization(momentum=momentum, epsilon=epsilon, name=f"{name}_bn")(x)  # type: ignore[no-any-return]
