"""Two small networks for digits: LeNet, and the two convolutions that many tutorials begin with."""

from __future__ import annotations

from typing import Any

from insitu import nn
from insitu.arguments import Number, checked
from insitu.vision.models.whole import COMMON, check_least, whole

_ARGUMENTS = {name: COMMON[name] for name in ("weights", "input_shape", "classes", "classifier_activation", "name")}


@checked(**_ARGUMENTS)
def LeNet(
    weights: Any = None, input_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10, classifier_activation: Any = "softmax",
    name: str = "lenet",
) -> Any:  # fmt: skip
    """LeNet-5 with sigmoid-like units: two convolutions with average pooling, then 120 and 84 units.

    Parameters
    ----------
    weights : path, optional
        A safetensors file or one of Keras; default: random weights.
    input_shape : (height, width, channels)
    classes : int
    classifier_activation : str, callable or None
        None gives logits.
    name : str

    Returns
    -------
    Functional
        61,706 parameters for the default arguments.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.models.LeNet().predict(si.zeros((2, 28, 28, 1))).shape
    (2, 10)
    """
    check_least("LeNet", input_shape, 12)
    inputs = nn.Input(input_shape)
    x = nn.Conv2D(6, 5, padding="same", activation="tanh", name="conv1")(inputs)
    x = nn.AveragePooling2D(2, name="pool1")(x)
    x = nn.Conv2D(16, 5, activation="tanh", name="conv2")(x)
    x = nn.AveragePooling2D(2, name="pool2")(x)
    x = nn.Flatten(name="flatten")(x)
    x = nn.Dense(120, activation="tanh", name="fc1")(x)
    x = nn.Dense(84, activation="tanh", name="fc2")(x)
    x = nn.Dense(classes, activation=classifier_activation, name="predictions")(x)
    return whole(inputs, x, weights, name)


@checked(**_ARGUMENTS, dropout=Number(0, 1, open="h", slug="dropout-rate"))
def MNISTNet(
    weights: Any = None, input_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10, classifier_activation: Any = "softmax",
    dropout: float = 0.5, name: str = "mnist_net",
) -> Any:  # fmt: skip
    """Two convolutions of 5 x 5 windows with 32 and 64 channels, each with max pooling, then 1024 units with dropout.

    Parameters
    ----------
    weights : path, optional
        A safetensors file or one of Keras; default: random weights.
    input_shape : (height, width, channels)
    classes : int
    classifier_activation : str, callable or None
        None gives logits.
    dropout : float
        Share of the units that a step of training leaves out.
    name : str

    Returns
    -------
    Functional
        3,274,634 parameters for the default arguments.

    Raises
    ------
    ArgumentError
        If an argument cannot have its value.
    ShapeError
        If the file has other weights.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.models.MNISTNet().count_params()
    3274634
    """
    check_least("MNISTNet", input_shape, 4)
    inputs = nn.Input(input_shape)
    x = nn.Conv2D(32, 5, padding="same", activation="relu", name="conv1")(inputs)
    x = nn.MaxPooling2D(2, name="pool1")(x)
    x = nn.Conv2D(64, 5, padding="same", activation="relu", name="conv2")(x)
    x = nn.MaxPooling2D(2, name="pool2")(x)
    x = nn.Flatten(name="flatten")(x)
    x = nn.Dense(1024, activation="relu", name="fc1")(x)
    x = nn.Dropout(dropout, name="dropout")(x)
    x = nn.Dense(classes, activation=classifier_activation, name="predictions")(x)
    return whole(inputs, x, weights, name)
