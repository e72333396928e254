"""Losses for images: focal cross-entropies, overlaps of regions, and total variation. Formulas and defaults are Keras' where it has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXES, AXIS, FLAG, NOT_NEGATIVE, NUMBER, SHARE, Numbers, checked
from insitu.arguments.grids import FORMAT, check_rank, position_axes
from insitu.array.array import Array
from insitu.nn import activations
from insitu.nn.losses.base import Loss
from insitu.nn.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy
from insitu.nn.losses.fit import alike
from insitu.nn.losses.regression import EPSILON


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """``-(1 - q)**gamma * log q`` with q the probability of what is true, averaged over an axis.

    Examples that are easy weigh less: with gamma 2 and q = 0.9 a hundredth of what they weigh in the cross-entropy.

    Parameters
    ----------
    apply_class_balancing : bool
        Weigh ones by ``alpha`` and zeros by ``1 - alpha``.
    alpha : float
        From 0 to 1.
    gamma : float
        How much less easy examples weigh; 0 gives the cross-entropy.
    from_logits, label_smoothing, axis, reduction, name
        As for `BinaryCrossentropy`.

    Raises
    ------
    ArgumentError
        If a number is out of range.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, equations 4 and 5.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.BinaryFocalCrossentropy()([[1.0]], [[0.9]])), 6)
    0.001054
    """

    @checked(apply_class_balancing=FLAG, alpha=SHARE, gamma=NOT_NEGATIVE)
    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
        label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "binary_focal_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.apply_class_balancing, self.alpha, self.gamma = apply_class_balancing, alpha, gamma

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``-(1 - q)**gamma * log q``, balanced if wanted."""
        plain = super().terms(y_true, y_pred)
        y, p = alike(f"loss {self.name}", y_true, y_pred)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        ones, zeros = (activations.sigmoid(p), activations.sigmoid(-p)) if self.from_logits else (p, 1 - p)
        wrong = y * zeros + (1 - y) * ones
        each = wrong**self.gamma * plain
        return each * (y * self.alpha + (1 - y) * (1 - self.alpha)) if self.apply_class_balancing else each

    def get_config(self) -> dict[str, Any]:
        return {"apply_class_balancing": self.apply_class_balancing, "alpha": self.alpha, "gamma": self.gamma, **super().get_config()}


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """``-sum(alpha * (1 - p)**gamma * y * log p)`` over the classes, for rows ``y`` of probabilities.

    Parameters
    ----------
    alpha : float or sequence of float
        A weight for all classes, or for each.
    gamma : float
        How much less easy examples weigh; 0 gives the cross-entropy times alpha.
    from_logits, label_smoothing, axis, reduction, name
        As for `CategoricalCrossentropy`.

    Raises
    ------
    ArgumentError
        If a number is out of range.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, equation 5.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.CategoricalFocalCrossentropy(alpha=1.0)([[1, 0]], [[0.9, 0.1]])), 6)
    0.001054
    """

    @checked(alpha=Numbers(fix="pass one number, or one for each class"), gamma=NOT_NEGATIVE)
    def __init__(
        self, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str = "categorical_focal_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.alpha, self.gamma = alpha, gamma

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``-sum(alpha * (1 - p)**gamma * y * log p)`` over the classes."""
        known = activations.logits_of(y_pred) if self.axis in (-1, y_pred.ndim - 1) and not self.from_logits else None
        from_logits = self.from_logits or (known is not None and known[1] == "softmax")
        y, p = alike(f"loss {self.name}", y_true, known[0] if known is not None and from_logits else y_pred)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing / p.shape[self.axis]
        if from_logits:
            log_p = activations.log_softmax(p, axis=self.axis)
            p = si.exp(log_p)
        else:
            p = si.clip(p / si.sum(p, axis=self.axis, keepdims=True), EPSILON, 1.0 - EPSILON)
            log_p = si.log(p)
        # one weight for each class stands along the last axis, as in Keras
        alpha = si.asarray(self.alpha, dtype=p.dtype) if isinstance(self.alpha, list) else self.alpha
        return -si.sum(alpha * (1 - p) ** self.gamma * y * log_p, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "gamma": self.gamma, **super().get_config()}


class _Overlap(Loss):
    """Losses of regions: sums over ``axis``, by default over everything, so that a batch is one region."""

    @checked(axis=AXES | None)
    def __init__(self, reduction: str | None, name: str, axis: int | Sequence[int] | None) -> None:
        super().__init__(name, reduction)
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)

    @property
    def adds_examples(self) -> bool:
        return False

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": list(self.axis) if isinstance(self.axis, tuple) else self.axis}


class Dice(_Overlap):
    """``1 - 2 * sum(y * p) / (sum(y) + sum(p))``: how little two regions overlap.

    Parameters
    ----------
    reduction : str or None
        See `Loss`.
    name : str
    axis : int or sequence of int, optional
        What is summed over; default: everything, the batch too. ``axis=(1, 2, 3)`` gives a loss for each image.

    References
    ----------
    Milletari, Navab and Ahmadi (2016), V-Net, section 3.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.Dice()([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 4)
    0.3333
    """

    @checked(axis=AXES | None)
    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "dice", axis: int | Sequence[int] | None = None) -> None:
        super().__init__(reduction, name, axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """The loss of each region."""
        y, p = alike(f"loss {self.name}", y_true, y_pred)
        return 1 - 2 * si.sum(y * p, axis=self.axis) / (si.sum(y, axis=self.axis) + si.sum(p, axis=self.axis) + EPSILON)


class Tversky(_Overlap):
    """``1 - s / (s + alpha * sum(y * (1 - p)) + beta * sum((1 - y) * p))`` with ``s = sum(y * p)``.

    With alpha and beta 0.5 it is `Dice`; a larger alpha makes misses cost more, a larger beta false alarms.

    Parameters
    ----------
    alpha, beta : float
    reduction, name, axis
        As for `Dice`.

    References
    ----------
    Salehi, Erdogmus and Gholipour (2017), Tversky loss function for image segmentation using 3D fully convolutional deep networks.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.Tversky(alpha=0.8, beta=0.2)([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 4)
    0.4444
    """

    @checked(alpha=NUMBER, beta=NUMBER)
    def __init__(
        self, alpha: float = 0.5, beta: float = 0.5, reduction: str | None = "sum_over_batch_size", name: str = "tversky",
        axis: int | Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction, name, axis)
        self.alpha, self.beta = alpha, beta

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """The loss of each region."""
        y, p = alike(f"loss {self.name}", y_true, y_pred)
        both, missed, false = si.sum(y * p, axis=self.axis), si.sum(y * (1 - p), axis=self.axis), si.sum((1 - y) * p, axis=self.axis)
        return 1 - both / (both + missed * self.alpha + false * self.beta + EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "beta": self.beta, **super().get_config()}


@checked(y_true=ARRAY, y_pred=ARRAY, apply_class_balancing=FLAG, alpha=SHARE, gamma=NOT_NEGATIVE, from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
def binary_focal_crossentropy(
    y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
    label_smoothing: float = 0.0, axis: int = -1,
) -> Array:  # fmt: skip
    """Mean over an axis of ``-(1 - q)**gamma * log q``; see `BinaryFocalCrossentropy`.

    Parameters
    ----------
    y_true : array_like
        From 0 to 1, shape (batch, ..., n).
    y_pred : array_like
        Probabilities or logits of that shape.
    apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis
        See `BinaryFocalCrossentropy`.

    Returns
    -------
    Array
        Shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.binary_focal_crossentropy([[1.0]], [[0.9]], True)[0]), 6)
    0.000263
    """
    loss = BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing)
    return si.mean(loss.terms(si.asarray(y_true), si.asarray(y_pred)), axis=axis)


@checked(y_true=ARRAY, y_pred=ARRAY, alpha=Numbers(), gamma=NOT_NEGATIVE, from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
def categorical_focal_crossentropy(
    y_true: Any, y_pred: Any, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """``-sum(alpha * (1 - p)**gamma * y * log p)`` over the classes; see `CategoricalFocalCrossentropy`.

    Parameters
    ----------
    y_true : array_like
        Rows of probabilities, shape (batch, ..., classes).
    y_pred : array_like
        Probabilities or logits of that shape.
    alpha, gamma, from_logits, label_smoothing, axis
        See `CategoricalFocalCrossentropy`.

    Returns
    -------
    Array
        Shape (batch, ...).

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.categorical_focal_crossentropy([[0, 1]], [[0.1, 0.9]])[0]), 6)
    0.000263
    """
    return CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis).call(si.asarray(y_true), si.asarray(y_pred))


@checked(y_true=ARRAY, y_pred=ARRAY, axis=AXES | None)
def dice(y_true: Any, y_pred: Any, axis: int | Sequence[int] | None = None) -> Array:
    """``1 - 2 * sum(y * p) / (sum(y) + sum(p))``; see `Dice`.

    Parameters
    ----------
    y_true, y_pred : array_like of shape (batch, ...)
    axis : int or sequence of int, optional
        What is summed over; default: everything.

    Returns
    -------
    Array

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.dice([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], axis=1)
    Array([0., 1.], dtype=float32)
    """
    return Dice(axis=axis).call(si.asarray(y_true), si.asarray(y_pred))


@checked(y_true=ARRAY, y_pred=ARRAY, alpha=NUMBER, beta=NUMBER, axis=AXES | None)
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: int | Sequence[int] | None = None) -> Array:
    """``1 - s / (s + alpha * sum(y * (1 - p)) + beta * sum((1 - y) * p))``; see `Tversky`.

    Parameters
    ----------
    y_true, y_pred : array_like of shape (batch, ...)
    alpha, beta : float
    axis : int or sequence of int, optional
        What is summed over; default: everything.

    Returns
    -------
    Array

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.tversky([[1.0, 1.0]], [[0.5, 0.5]], axis=1)[0]), 4)
    0.3333
    """
    return Tversky(alpha, beta, axis=axis).call(si.asarray(y_true), si.asarray(y_pred))


@checked(images=ARRAY, data_format=FORMAT)
def total_variation(images: Any, data_format: str | None = None) -> Array:
    """Sum of the distances between neighbours in each image: how rough it is. Small for smooth images, which style transfer asks for.

    Parameters
    ----------
    images : array_like of shape (batch, height, width, channels)
        Also sequences or volumes.
    data_format : {"channels_last", "channels_first"}, optional
        Default: "channels_last".

    Returns
    -------
    Array of shape (batch,)
        Not divided by the number of pixels, as in TensorFlow's ``tf.image.total_variation``.

    Raises
    ------
    ShapeError
        If the axes do not fit.

    References
    ----------
    Rudin, Osher and Fatemi (1992), Nonlinear total variation based noise removal algorithms; here along the axes (anisotropic).

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.losses.total_variation(si.asarray([[[[1.0], [3.0]], [[1.0], [0.0]]]]))
    Array([6.], dtype=float32)
    """
    x = si.asarray(images)
    x = x if x.dtype.is_float else x.astype(si.float32)
    rank = check_rank("total_variation", x.shape, data_format)
    total: Any = 0
    for axis in position_axes(rank, data_format):
        head = (slice(None),) * axis
        total = total + si.sum(si.abs(x[(*head, slice(1, None))] - x[(*head, slice(None, -1))]), axis=tuple(range(1, x.ndim)))
    return si.asarray(total)
