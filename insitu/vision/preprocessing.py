"""How networks want their pictures: the three ways in which published weights were trained."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import Checked, Choice, checked
from insitu.errors import ShapeError

#: Means of blue, green and red over the pictures of ImageNet, from 0 to 255 (VGG, original ResNet).
CAFFE_MEANS = (103.939, 116.779, 123.68)
#: Means and standard deviations of red, green and blue, from 0 to 1 (torchvision).
TORCH_MEANS, TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@checked(x=Checked("pictures with their channels last"), mode=Choice("caffe", "tf", "torch"))
def preprocess_input(x: Any, mode: str = "caffe") -> si.Array:
    """Pictures as published weights want them.

    Parameters
    ----------
    x : array_like, shape (..., 3)
        Red, green and blue from 0 to 255, the channels last.
    mode : "caffe", "tf" or "torch"
        ``"caffe"``: blue, green, red, without their means over ImageNet (VGG16, VGG19, ResNet50 and ResNet101 of Keras). ``"tf"``: from -1 to 1
        (MobileNetV2 of Keras). ``"torch"``: from 0 to 1, then without mean and standard deviation over ImageNet (torchvision).

    Returns
    -------
    Array of float32, the shape of ``x``

    Raises
    ------
    ShapeError
        If the last axis has not three channels.

    Examples
    --------
    >>> import insitu as si
    >>> si.vision.preprocess_input([[0, 127.5, 255]], "tf")
    Array([[-1.,  0.,  1.]], dtype=float32)
    """
    pictures = si.asarray(x).astype(si.float32)
    if pictures.ndim < 1 or pictures.shape[-1] != 3:
        raise ShapeError(
            "preprocess_input needs pictures in colour.",
            expected="(..., height, width, 3): red, green and blue last",
            received=str(pictures.shape),
            fix='read them with color_mode="rgb", or repeat the grey channel: si.repeat(x, 3, axis=-1)',
            slug="vision-channels",
            argument="x",
        )
    if mode == "tf":
        return pictures / 127.5 - 1
    if mode == "torch":
        return (pictures / 255 - si.asarray(TORCH_MEANS)) / si.asarray(TORCH_DEVIATIONS)
    return si.flip(pictures, axis=-1) - si.asarray(CAFFE_MEANS)
