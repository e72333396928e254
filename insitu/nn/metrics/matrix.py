"""Confusion matrices, and the overlap of true and predicted classes."""

from __future__ import annotations

from typing import Any

import insitu as si
from insitu.arguments import ARRAY, AXIS, COUNT, FLAG, TEXT, WHOLE, Choice, Several, Whole, checked
from insitu.array.array import Array
from insitu.errors import ArgumentError
from insitu.nn.losses import fit
from insitu.nn.losses.base import aligned
from insitu.nn.losses.fit import Shape
from insitu.nn.metrics.base import Metric, ratio

_NORMALIZATIONS = ("true", "pred", "all")


@checked(y_true=ARRAY, y_pred=ARRAY, num_classes=COUNT, sample_weight=ARRAY | None)
def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int, sample_weight: Any = None) -> Array:
    """How many pairs have the one class number as target and the other as prediction.

    Parameters
    ----------
    y_true, y_pred : array_like of int
        Class numbers from 0 to ``num_classes - 1``, equal in shape; pairs with others are not counted.
    num_classes : int
    sample_weight : array_like, optional
        Of the same shape; what each pair counts.

    Returns
    -------
    Array
        float64 of shape (num_classes, num_classes): rows for targets, columns for predictions.

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import insitu as si
    >>> si.nn.metrics.confusion_matrix([0, 0, 1], [0, 1, 1], num_classes=2)
    Array([[1., 1.],
           [0., 1.]], dtype=float64)
    """
    n = num_classes
    y, p = fit.same_rank(si.asarray(y_true), si.asarray(y_pred))
    if tuple(y.shape) != tuple(p.shape):
        raise fit.shapes_differ(
            "metric confusion_matrix", tuple(y.shape), tuple(p.shape), f"{tuple(p.shape)}", "pass one class number for each target"
        )
    weights = si.ones((1,) * p.ndim, dtype=si.float64)
    if sample_weight is not None:
        weights = aligned(si.asarray(sample_weight).astype(si.float64), p, "confusion_matrix")
    weights = si.reshape(si.broadcast_to(weights, p.shape), (-1,))
    y, p = (si.reshape(a, (-1,)).astype(si.int64) for a in (y, p))
    known = (y >= 0) & (y < n) & (p >= 0) & (p < n)
    place = si.where(known, y * n + p, 0)
    return si.reshape(si.zeros(n * n, dtype=si.float64).at[place].add(si.where(known, weights, 0)), (n, n))


class Confusion(Metric):
    """Base class of metrics that keep a confusion matrix, whose number of classes is given or follows from the output.

    Parameters
    ----------
    num_classes : int, optional
    name : str, optional
    ignore_class : int, optional
        Targets with this number do not count.
    """

    @checked(num_classes=COUNT | None, ignore_class=WHOLE | None)
    def __init__(self, num_classes: int | None = None, name: str | None = None, ignore_class: int | None = None) -> None:
        super().__init__(name)
        self.num_classes, self.ignore_class = num_classes, ignore_class
        self.counts: si.Variable | None = None
        if self.num_classes is not None:
            self._made(self.num_classes)

    def _made(self, classes: int) -> si.Variable:
        if self.counts is None:
            self.counts = self.add_variable((classes, classes), dtype="float64", name="confusion_matrix")
        return self.counts

    def add(self, y_true: Array, y_pred: Array, sample_weight: Any, classes: int) -> None:
        """Count pairs of class numbers, equal in shape."""
        counts = self._made(classes)
        if self.ignore_class is not None:
            y_true = si.where(y_true == self.ignore_class, -1, y_true.astype(si.int64))
        counts.assign(counts.value + confusion_matrix(y_true, y_pred, classes, sample_weight))


class ConfusionMatrix(Confusion):
    """How often examples of each class are predicted as each class.

    Predictions are scores for each class, of which the largest wins; with one output and two classes, probabilities of
    class 1; or class numbers. Targets are class numbers or one-hot rows.

    Parameters
    ----------
    num_classes : int, optional
        By default the length of the output's last axis; 2 for an output of one.
    name : str
    normalize : str, optional
        ``"true"`` makes each row (a target) sum to 1, ``"pred"`` each column, ``"all"`` the whole; None counts.

    Raises
    ------
    ArgumentError
        If there is no such normalisation.

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.ConfusionMatrix()
    >>> metric.update_state([0, 0, 1], [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    >>> metric.result()
    Array([[1., 1.],
           [0., 1.]], dtype=float64)
    """

    @checked(num_classes=COUNT | None, normalize=Choice(*_NORMALIZATIONS) | None)
    def __init__(self, num_classes: int | None = None, name: str = "confusion_matrix", normalize: str | None = None) -> None:
        super().__init__(num_classes, name)
        self.normalize = normalize

    def _classes(self, output: Shape) -> int:
        last = output[-1] if len(output) > 1 else None
        return self.num_classes or (2 if last in (None, 1) else int(last or 2))

    def check_shapes(self, target: Shape, output: Shape) -> None:
        classes = self._classes(output)
        if len(output) > 1 and output[-1] == classes and classes > 1:
            if target != output:
                fit.check_labels(f"metric {self.name}", target, output)
        else:
            fit.check_equal(f"metric {self.name}", target, output)
        self._made(classes)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions, with weights of shape (batch,)."""
        y, p = si.asarray(y_true), si.asarray(y_pred)
        classes = self._classes(tuple(p.shape))
        if p.ndim > 1 and p.shape[-1] == classes and classes > 1:
            y = si.argmax(y, axis=-1) if tuple(y.shape) == tuple(p.shape) else y
            p = si.argmax(p, axis=-1)
        elif p.dtype.is_float and classes == 2:
            p = (p > 0.5).astype(si.int64)
        self.add(*fit.same_rank(y, p), sample_weight, classes)

    def result(self) -> Array:
        """float64 of shape (classes, classes): rows for targets, columns for predictions."""
        if self.counts is None:
            return si.zeros((2, 2), dtype=si.float64)
        counts = self.counts.value
        if self.normalize is None:
            return counts
        axes = {"true": (1,), "pred": (0,), "all": (0, 1)}[self.normalize]
        return ratio(counts, si.broadcast_to(si.sum(counts, axis=axes, keepdims=True), counts.shape))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "num_classes": self.num_classes, "normalize": self.normalize}


class IoU(Confusion):
    """Intersection over union ``tp / (tp + fp + fn)`` of true and predicted regions, averaged over some classes.

    Jaccard, P. (1901). Classes that are neither true nor predicted anywhere do not count. Arguments are Keras'.

    Parameters
    ----------
    num_classes : int
    target_class_ids : sequence of int
        The classes whose mean is taken.
    name : str, optional
    ignore_class : int, optional
        Targets with this number do not count.
    sparse_y_true, sparse_y_pred : bool
        Whether targets and predictions are class numbers; otherwise the largest entry of ``axis`` is taken.
    axis : int

    Raises
    ------
    ArgumentError
        If a target class is out of range.

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    @checked(
        num_classes=COUNT, name=TEXT | None, target_class_ids=Several(Whole(0)), ignore_class=WHOLE | None, sparse_y_true=FLAG, sparse_y_pred=FLAG,
        axis=AXIS,
    )  # fmt: skip
    def __init__(
        self, num_classes: int, target_class_ids: Any, name: str | None = None, ignore_class: int | None = None, sparse_y_true: bool = True,
        sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, name or ("iou" if type(self) is IoU else "mean_iou"), ignore_class)
        self.target_class_ids = list(target_class_ids)
        if max(self.target_class_ids, default=0) >= num_classes:
            raise ArgumentError(
                f"IoU: there is no class {max(self.target_class_ids)} among {num_classes} classes.",
                expected=f"whole numbers from 0 to {num_classes - 1}",
                received=f"target_class_ids={list(target_class_ids)!r}",
                fix=f"pass target_class_ids=range({num_classes})",
                slug="argument-range",
                argument="target_class_ids",
            )
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis

    def check_shapes(self, target: Shape, output: Shape) -> None:
        kept = [
            shape if sparse or not shape else (*shape[: self.axis % len(shape)], *shape[self.axis % len(shape) + 1 :])
            for shape, sparse in ((target, self.sparse_y_true), (output, self.sparse_y_pred))
        ]
        if kept[0] not in (kept[1], (*kept[1], 1)) and (*kept[0], 1) != kept[1]:
            fix = "pass sparse_y_pred=False for scores of each class, sparse_y_true=False for one-hot targets"
            raise fit.shapes_differ(f"metric {self.name}", target, output, f"{kept[1]} of class numbers", fix)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions, with weights of shape (batch,) or of the class numbers."""
        y, p = si.asarray(y_true), si.asarray(y_pred)
        y = y if self.sparse_y_true else si.argmax(y, axis=self.axis)
        p = p if self.sparse_y_pred else si.argmax(p, axis=self.axis)
        self.add(*fit.same_rank(y, p), sample_weight, self.num_classes or 1)

    def result(self) -> Array:
        """The mean over the target classes, float64."""
        counts = self._made(self.num_classes or 1).value
        hits = si.diagonal(counts)
        union = si.sum(counts, axis=0) + si.sum(counts, axis=1) - hits
        chosen = si.asarray(self.target_class_ids)
        hits, union = si.take(hits, chosen, axis=0), si.take(union, chosen, axis=0)
        return ratio(si.sum(ratio(hits, union)), si.sum((union > 0).astype(si.float64)))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name, "num_classes": self.num_classes, "target_class_ids": self.target_class_ids, "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true, "sparse_y_pred": self.sparse_y_pred, "axis": self.axis,
        }  # fmt: skip


class MeanIoU(IoU):
    """Intersection over union ``tp / (tp + fp + fn)``, averaged over all classes; see `IoU`.

    Parameters
    ----------
    num_classes : int
    name : str, optional
    ignore_class : int, optional
    sparse_y_true, sparse_y_pred : bool
    axis : int

    Examples
    --------
    >>> import insitu as si
    >>> round(float(si.nn.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    @checked(num_classes=COUNT, name=TEXT | None, ignore_class=WHOLE | None, sparse_y_true=FLAG, sparse_y_pred=FLAG, axis=AXIS)
    def __init__(
        self, num_classes: int, name: str | None = None, ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, list(range(num_classes)), name, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "target_class_ids"}
