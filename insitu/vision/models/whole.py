"""What all networks share: their arguments, the top that classifies, and reading weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from insitu import nn
from insitu.arguments import COUNT, FLAG, REFUSED, TEXT, Choice, Constraint, Lengths, Path
from insitu.errors import ArgumentError
from insitu.nn.declared import ACTIVATION
from insitu.nn.functional import Symbol


class _Weights(Path):
    """A path, or None for random weights."""

    slug = "vision-weights"
    remedy = 'pass the path of a file: weights="resnet50.weights.h5"; insitu downloads none'

    def __init__(self) -> None:
        super().__init__(slug=self.slug, fix=self.remedy)

    def take(self, value: Any) -> Any:
        return REFUSED if isinstance(value, str) and value == "imagenet" else super().take(value)


PICTURE = Lengths(
    1,
    unknown=True,
    single=False,
    rule=lambda n: len(n) == 3 and n[2] is not None,
    words="a shape (height, width, channels), with None for a height and width of any length",
    slug="input-shape",
    fix="pass (224, 224, 3)",
)

#: Height, width and channels.
Shape = tuple[int | None, int | None, int]

#: The constraints of the arguments that networks have in common.
COMMON: dict[str, Constraint] = {
    "include_top": FLAG, "weights": _Weights() | None, "input_shape": PICTURE, "pooling": Choice("avg", "max") | None, "classes": COUNT,
    "classifier_activation": ACTIVATION, "name": TEXT,
}  # fmt: skip


def top(x: Symbol, pooling: str | None) -> Symbol:
    """What comes out of a network without its top: all channels at all places, or their means or maxima."""
    if pooling == "avg":
        return nn.GlobalAveragePooling2D(name="avg_pool")(x)  # type: ignore[no-any-return]
    return nn.GlobalMaxPooling2D(name="max_pool")(x) if pooling == "max" else x


def whole(inputs: Symbol, outputs: Symbol, weights: str | os.PathLike[str] | None, name: str) -> Any:
    """The model, with its weights from a file if there is one."""
    model = nn.Functional(inputs, outputs, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def check_least(model: str, shape: Sequence[int | None], least: int) -> None:
    """Refuse pictures of which nothing would be left.

    Raises
    ------
    ArgumentError
        If they are smaller than ``least`` x ``least``.
    """
    if any(n is not None and n < least for n in shape[:2]):
        raise ArgumentError(
            f"{model}: the pictures are too small for this network.",
            expected=f"at least {least} x {least} pixels",
            received=f"input_shape={tuple(shape)}",
            fix=f"enlarge them: si.nn.Resizing({least}, {least}) or si.data.load_image(path, target_size=({least}, {least}))",
            slug="vision-size",
            argument="input_shape=",
        )
