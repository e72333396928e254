"""Cross-entropies between true and predicted probabilities. Formulas and defaults are Keras'.

Where predictions come from a softmax or sigmoid that training remembers (`activations.remember_logits`), these losses
compute from the logits, which is more exact than from probabilities and saves work.
"""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXIS, FLAG, SHARE, WHOLE, checked
from insitu.array.array import Array
from insitu.nn import activations
from insitu.nn.losses import fit
from insitu.nn.losses.base import Loss, MeanOverLastAxis
from insitu.nn.losses.fit import Shape, alike, floating
from insitu.nn.losses.regression import EPSILON
from insitu.nn.shapes import checked_axes


class BinaryCrossentropy(MeanOverLastAxis):
    """``-(y log p + (1 - y) log(1 - p))``, averaged over an axis.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits ``z``, with ``p = sigmoid(z)``; otherwise they are probabilities, which are kept
        1e-7 away from 0 and 1.
    label_smoothing : float
        From 0 to 1: targets are moved by this share towards 0.5.
    axis : int
        Over which the mean is taken.
    reduction : str or None
        See `Loss`.
    name : str

    Raises
    ------
    ArgumentError
        If the label smoothing is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.25]])), 4)
    0.4904
    """

    @checked(from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(name, reduction)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """``-(y log p + (1 - y) log(1 - p))``."""
        z = _logits(y_pred, "sigmoid", self.from_logits)
        y, p = alike(f"loss {self.name}", y_true, y_pred if z is None else z)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if z is None:
            p = si.clip(p, EPSILON, 1.0 - EPSILON)
            return -(y * si.log(p) + (1 - y) * si.log(1 - p))
        # max(z, 0) - z y + log(1 + exp(-|z|)), written so that the derivative at z = 0 is 1/2 - y
        positive = p >= 0
        return si.where(positive, p, 0) - p * y + si.log1p(si.exp(si.where(positive, -p, p)))

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Loss of each example: the mean of `terms` over ``axis``, if there is one beside the batch."""
        terms = self.terms(y_true, y_pred)
        return terms if terms.ndim < 2 else si.mean(terms, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis, **super().get_config()}


class CategoricalCrossentropy(Loss):
    """``-sum(y * log p)`` over the classes, for rows ``y`` of probabilities (one-hot rows, for example).

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits; otherwise probabilities, which are scaled to sum 1 and kept 1e-7 away from 0 and 1.
    label_smoothing : float
        From 0 to 1: targets are moved by this share towards equal probabilities.
    axis : int
        The axis of the classes.
    reduction : str or None
        See `Loss`.
    name : str

    Raises
    ------
    ArgumentError
        If the label smoothing is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.losses.CategoricalCrossentropy()([[0, 1], [1, 0]], [[0.5, 0.5], [0.25, 0.75]])), 4)
    1.0397
    """

    @checked(from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(name, reduction)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``-sum(y * log p)`` over the classes."""
        z = _logits(y_pred, "softmax", self.from_logits, self.axis)
        y, p = alike("loss categorical_crossentropy", y_true, y_pred if z is None else z)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + self.label_smoothing / p.shape[self.axis]
        log_p = _log_probabilities(p, self.axis) if z is None else activations.log_softmax(p, axis=self.axis)
        return -si.sum(y * log_p, axis=self.axis)

    def fits(self, owner: str, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` unless there is one row of probabilities for each row of the output."""
        fit.check_rows(owner, target, output)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis, **super().get_config()}


class SparseCategoricalCrossentropy(Loss):
    """``-log p[y]`` for whole numbers ``y`` from 0 to classes - 1.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits; otherwise probabilities, which are scaled to sum 1 and kept 1e-7 away from 0 and 1.
    ignore_class : int, optional
        Labels with this number do not count: their loss is 0, and means are taken over the others.
    reduction : str or None
        See `Loss`.
    axis : int
        The axis of the classes.
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> loss = si.nn.losses.SparseCategoricalCrossentropy()
    >>> round(float(loss([1, 0], [[0.5, 0.5], [0.25, 0.75]])), 4)
    1.0397
    """

    @checked(from_logits=FLAG, ignore_class=WHOLE | None, axis=AXIS)
    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None, reduction: str | None = "sum_over_batch_size", axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ) -> None:  # fmt: skip
        super().__init__(name, reduction)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """``-log p[y]``; 0 for the ignored class."""
        z = _logits(y_pred, "softmax", self.from_logits, self.axis)
        p = floating(y_pred if z is None else z)
        classes_last = self.axis in (-1, p.ndim - 1)
        labels = whole(_labels(y_true, p, self.axis))
        if not classes_last:
            p = si.moveaxis(p, self.axis, -1)
        if z is None:
            each = -at_label(_log_probabilities(p, -1), labels)
        else:
            shifted = p - si.stop_gradient(si.max(p, axis=-1, keepdims=True))
            each = si.log(si.sum(si.exp(shifted), axis=-1)) - at_label(shifted, labels)
        return each if self.ignore_class is None else si.where(labels != self.ignore_class, each, 0)

    def counted(self, y_true: Array) -> Array | None:
        """Whether each label is another than ``ignore_class``."""
        return None if self.ignore_class is None else whole(y_true) != self.ignore_class

    @property
    def adds_examples(self) -> bool:
        return self.ignore_class is None and super().adds_examples

    def fits(self, owner: str, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` unless there is one class number for each row of scores."""
        at = self.axis % len(output) if output else -1
        fit.check_labels(owner, target, output if at < 0 else (*output[:at], *output[at + 1 :], output[at]))

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "ignore_class": self.ignore_class, "axis": self.axis, **super().get_config()}


@checked(y_true=ARRAY, y_pred=ARRAY, from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Array:
    """Mean over an axis of ``-(y log p + (1 - y) log(1 - p))``; see `BinaryCrossentropy`.

    Parameters
    ----------
    y_true : array_like
        From 0 to 1, shape (batch, ..., n).
    y_pred : array_like
        Probabilities or logits of that shape.
    from_logits, label_smoothing, axis
        See `BinaryCrossentropy`.

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.losses.binary_crossentropy([[1.0]], [[0.0]], from_logits=True)[0])
    0.6931471824645996
    """
    return si.mean(BinaryCrossentropy(from_logits, label_smoothing).terms(si.asarray(y_true), si.asarray(y_pred)), axis=axis)


@checked(y_true=ARRAY, y_pred=ARRAY, from_logits=FLAG, label_smoothing=SHARE, axis=AXIS)
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Array:
    """``-sum(y * log p)`` over the classes; see `CategoricalCrossentropy`.

    Parameters
    ----------
    y_true : array_like
        Rows of probabilities, shape (batch, ..., classes).
    y_pred : array_like
        Probabilities or logits of that shape.
    from_logits, label_smoothing, axis
        See `CategoricalCrossentropy`.

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.losses.categorical_crossentropy([[1.0, 0.0]], [[0.5, 0.5]])[0])
    0.6931471824645996
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).call(si.asarray(y_true), si.asarray(y_pred))


@checked(y_true=ARRAY, y_pred=ARRAY, from_logits=FLAG, ignore_class=WHOLE | None, axis=AXIS)
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1) -> Array:
    """``-log p[y]``; see `SparseCategoricalCrossentropy`.

    Parameters
    ----------
    y_true : array_like
        Class numbers, shape (batch, ...) or (batch, ..., 1).
    y_pred : array_like
        Probabilities or logits, shape (batch, ..., classes).
    from_logits, ignore_class, axis
        See `SparseCategoricalCrossentropy`.

    Returns
    -------
    Array
        Shape (batch, ...).

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> import insitu as si
    >>> float(si.nn.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0])
    0.6931471824645996
    """
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
    return loss.call(si.asarray(y_true), si.asarray(y_pred))


def at_label(rows: Array, labels: Array) -> Array:
    """``rows[i, labels[i]]`` by comparing every position with the label, which fuses into one pass over the rows; 0 for labels out of range."""
    labels = whole(labels)
    positions = si.arange(rows.shape[-1], dtype=labels.dtype)
    return si.sum(si.where(positions == si.expand_dims(labels, axis=-1), rows, 0), axis=-1)


def whole(labels: Array) -> Array:
    """Class numbers as signed integers of at most 32 bits, which vectors hold many of."""
    return labels if labels.dtype.is_integer and labels.dtype.bits < 64 and labels.dtype.is_signed else labels.astype(si.int32)


def _labels(y_true: Array, p: Array, axis: int) -> Array:
    """Class numbers in the shape of the predictions without the axis of classes."""
    (at,) = checked_axes("sparse_categorical_crossentropy", axis, max(p.ndim, 1))
    if y_true.ndim == p.ndim and y_true.ndim and y_true.shape[at] == 1:
        y_true = si.squeeze(y_true, axis=at)
    shape = (*tuple(p.shape)[:at], *tuple(p.shape)[at + 1 :])
    if tuple(y_true.shape) != shape:
        expected = f"{shape}, one whole number per example"
        fix = (
            "use categorical_crossentropy for one-hot rows"
            if tuple(y_true.shape) == tuple(p.shape)
            else "pass one class number for each row of scores"
        )
        raise fit.shapes_differ("loss sparse_categorical_crossentropy", tuple(y_true.shape), tuple(p.shape), expected, fix)
    return y_true


def _logits(y_pred: Array, activation: str, from_logits: bool, axis: int = -1) -> Array | None:
    """The logits of predictions: themselves, or what a remembered activation over the last axis was computed from; None if not known."""
    if from_logits:
        return y_pred
    known = activations.logits_of(y_pred) if axis in (-1, y_pred.ndim - 1) else None
    return known[0] if known is not None and known[1] == activation else None


def _log_probabilities(p: Array, axis: int) -> Array:
    return si.log(si.clip(p / si.sum(p, axis=axis, keepdims=True), EPSILON, 1.0 - EPSILON))
