"""U-Net: pictures are halved again and again, and doubled again, each time beside what they were before."""

from __future__ import annotations

from typing import Any

from insitu import nn
from insitu.arguments import COUNT, Number, Whole, checked
from insitu.errors import ArgumentError
from insitu.nn.functional import Symbol
from insitu.vision.models.whole import COMMON, Shape, whole

_ARGUMENTS = {name: COMMON[name] for name in ("weights", "input_shape", "classes", "classifier_activation", "name")}


@checked(**_ARGUMENTS, filters=COUNT, depth=Whole(1, 8), dropout=Number(0, 1, open="h", slug="dropout-rate"))
def UNet(
    weights: Any = None, input_shape: Shape = (256, 256, 3), classes: int = 1, classifier_activation: Any = "sigmoid",
    filters: int = 64, depth: int = 4, dropout: float = 0.0, name: str = "unet",
) -> Any:  # fmt: skip
    """U-Net, which says for each pixel what it belongs to. Its convolutions keep the size of the pictures.

    Parameters
    ----------
    weights : path, optional
        A safetensors file or one of Keras, whose layers have the names of this model; default: random weights.
    input_shape : (height, width, channels)
        Height and width divisible by ``2 ** depth``; None stands for any that is.
    classes : int
        Channels of the result.
    classifier_activation : str, callable or None
        ``"sigmoid"`` for one class or classes that overlap, ``"softmax"`` for classes that do not, None for logits.
    filters : int
        Channels of the first convolutions; each halving doubles them.
    depth : int
        How often the pictures are halved.
    dropout : float
        Share of the values that a step of training leaves out where the pictures are smallest.
    name : str

    Returns
    -------
    Functional
        Output (batch, height, width, classes).

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    Ronneberger, Fischer and Brox (2015), U-Net: convolutional networks for biomedical image segmentation.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.models.UNet(input_shape=(32, 48, 1), filters=8, depth=3).output_shape
    (None, 32, 48, 1)
    """
    step = 1 << depth
    if any(n is not None and n % step for n in input_shape[:2]):
        fitting = tuple(-(-(n or step) // step) * step for n in input_shape[:2])
        raise ArgumentError(
            f"UNet: pictures that are halved {depth} times must be divisible by {step}.",
            expected=f"height and width as multiples of {step}",
            received=f"input_shape={tuple(input_shape)}",
            fix=f"bring them to a size that is: si.nn.Resizing{fitting}, or pass a smaller depth",
            slug="vision-size",
            argument="input_shape=",
        )
    x = inputs = nn.Input(input_shape)
    before = []
    for k in range(depth):
        x = _twice(x, filters << k, f"down{k + 1}")
        before.append(x)
        x = nn.MaxPooling2D(2, name=f"down{k + 1}_pool")(x)
    x = _twice(x, filters << depth, "middle")
    if dropout:
        x = nn.Dropout(dropout, name="middle_dropout")(x)
    for k in reversed(range(depth)):
        x = nn.Conv2DTranspose(filters << k, 2, strides=2, name=f"up{k + 1}_conv0")(x)
        x = nn.Concatenate(name=f"up{k + 1}_concat")([before[k], x])
        x = _twice(x, filters << k, f"up{k + 1}")
    return whole(inputs, nn.Conv2D(classes, 1, activation=classifier_activation, name="predictions")(x), weights, name)


def _twice(x: Symbol, channels: int, name: str) -> Symbol:
    x = nn.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}_conv1")(x)
    return nn.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}_conv2")(x)  # type: ignore[no-any-return]
