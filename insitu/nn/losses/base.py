"""The base class of losses: one number per example, weighted and reduced to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import insitu as si
from insitu import registry
from insitu.arguments import ARRAY, CONFIG, FUNCTION, TEXT, Choice, checked
from insitu.array.array import Array
from insitu.errors import ArgumentError, ShapeError
from insitu.nn.losses import fit
from insitu.nn.losses.fit import Shape

#: How `Loss` objects reduce the losses of a batch.
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


class Loss:
    """Base class: ``call`` gives the loss of each example; the object itself reduces them to one number.

    A class of one's own defines ``call``; nothing needs to be registered.

    Parameters
    ----------
    name : str, optional
        Shown in messages.
    reduction : str or None
        What is made of the losses ``l`` and their weights ``w``: ``"sum_over_batch_size"`` and ``"mean"`` the sum of
        ``l * w`` divided by the number of losses, ``"mean_with_sample_weight"`` divided by the sum of the weights,
        ``"sum"`` the sum, ``"none"`` or None the products ``l * w`` themselves.

    Raises
    ------
    ArgumentError
        If there is no such reduction.

    Examples
    --------
    >>> import insitu as si
    >>> class Fourth(si.nn.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return si.mean((y_pred - y_true) ** 4, axis=-1)
    >>> loss = Fourth()
    >>> loss([[1.0], [2.0]], si.asarray([[1.0], [4.0]]))
    Array(8., dtype=float32)
    >>> loss([[1.0], [2.0]], si.asarray([[1.0], [4.0]]), sample_weight=[1.0, 0.5])
    Array(4., dtype=float32)
    """

    #: Every class of losses by name, for configurations in files.
    classes: ClassVar[dict[str, type[Loss]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Loss.classes[cls.__name__] = cls

    @checked(name=TEXT | None, reduction=Choice(*REDUCTIONS) | None)
    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        self.name = name or registry.words(type(self).__name__)
        self.reduction = reduction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Loss of each example.

        Parameters
        ----------
        y_true : Array
            Targets, shape (batch, ...).
        y_pred : Array
            Predictions, shape (batch, ...).

        Returns
        -------
        Array
            Shape (batch, ...), as a rule without the last axis of the predictions.
        """
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def counted(self, y_true: Array) -> Array | None:
        """Which losses count, as truth values of their shape; None if all do."""
        return None

    @property
    def adds_examples(self) -> bool:
        """Whether a batch's loss is the sum of what each example gives alone, divided by their number.

        Then examples of weight 0 change nothing but the divisor.
        """
        return self.reduction in ("sum_over_batch_size", "mean")

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Array:
        """The loss of a batch.

        Parameters
        ----------
        y_true, y_pred : array_like
            Targets and predictions, shape (batch, ...).
        sample_weight : array_like, optional
            A factor for each example, shape (batch,), or for each value of ``call``.

        Returns
        -------
        Array
            One number; with ``reduction="none"`` one for each value of ``call``.

        Raises
        ------
        ShapeError
            If targets, predictions or weights do not fit each other.
        """
        y_true, y_pred = si.asarray(y_true), si.asarray(y_pred)
        values = self.call(y_true, y_pred)
        weights = None if sample_weight is None else aligned(si.asarray(sample_weight).astype(values.dtype), values, self.name)
        counted = self.counted(y_true)
        if counted is not None:
            mask = si.reshape(counted, values.shape).astype(values.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):  # a mean over those that count
                mask = mask * (values.size / si.maximum(si.sum(mask), 1))
            weights = mask if weights is None else weights * mask
        return _reduced(values, weights, self.reduction)

    def check_shapes(self, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` if targets of that shape do not fit outputs of that shape (None for the batch)."""
        axis = getattr(self, "axis", -1)
        if isinstance(axis, int) and len(output) > 1 and axis in (0, -len(output)):
            raise ShapeError(
                f"The loss {self.name} cannot be taken along axis {axis}, which is that of the examples.",
                expected="an axis of the outputs of an example: -1 is the last",
                received=f"axis={axis} for an output of shape {output}".replace("None", "batch"),
                fix="leave axis out",
                slug="loss-shapes",
            )
        self.fits(f"loss {self.name}", target, output)

    def fits(self, owner: str, target: Shape, output: Shape) -> None:
        """As `check_shapes`; the message speaks of ``owner``, such as ``"metric NAME"`` where the loss is used as a metric."""
        fit.check_equal(owner, target, output)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss, as JSON values."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


def aligned(weights: Array, values: Array, name: str) -> Array:
    """Weights that broadcast to the values: axes of length 1 are put behind weights that have fewer axes.

    Raises
    ------
    ShapeError
        If the axes they share differ in length.
    """
    shape = tuple(weights.shape)
    if weights.ndim == values.ndim + 1 and shape[-1] == 1:
        weights = si.squeeze(weights, axis=-1)
    if weights.ndim < values.ndim:
        weights = si.reshape(weights, (*weights.shape, *[1] * (values.ndim - weights.ndim)))
    if values.ndim and (weights.ndim > values.ndim or any(w not in (1, v) for w, v in zip(weights.shape, values.shape, strict=True))):
        raise ShapeError(
            f"The sample weights do not fit the values of {name}.",
            expected=f"one weight per example, ({values.shape[0]},), or one per value, {tuple(values.shape)}",
            received=f"weights of shape {shape}",
            fix="pass one weight per example",
            slug="sample-weight-shape",
            argument="sample_weight",
        )
    return weights


def _reduced(values: Array, weights: Array | None, reduction: str | None) -> Array:
    each = values if weights is None else values * weights
    if reduction in (None, "none") or not each.ndim:
        return each
    if reduction == "sum":
        return si.sum(each)
    if reduction == "mean_with_sample_weight" and weights is not None:
        total = si.sum(weights) * (each.size / max(weights.size, 1))
        return si.where(total == 0, 0, si.sum(each) / si.where(total == 0, 1, total))
    return si.mean(each)


class MeanOverLastAxis(Loss):
    """Base class of losses that compare number with number: ``terms`` gives one loss for each; an example's is their mean."""

    def terms(self, y_true: Array, y_pred: Array) -> Array:
        """A loss for each prediction, of their shape."""
        raise NotImplementedError(f"{type(self).__name__} has no terms")

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Loss of each example: the mean of `terms` over the last axis, if there is one beside the batch."""
        terms = self.terms(y_true, y_pred)
        return terms if terms.ndim < 2 else si.mean(terms, axis=-1)


class FunctionLoss(Loss):
    """A Python function ``f(y_true, y_pred)`` of arrays as a loss.

    Parameters
    ----------
    function : callable
        Gives one number per example, shape (batch, ...), or one for the batch. Targets that are no whole numbers come in
        the predictions' dtype.
    name : str, optional
        The function's name by default.
    reduction : str or None
        See `Loss`.

    Examples
    --------
    >>> import insitu as si
    >>> loss = si.nn.losses.get(lambda y, p: si.sum(si.abs(y - p), axis=-1))
    >>> loss([[0.0, 1.0]], [[0.5, 0.0]])
    Array(1.5, dtype=float32)
    """

    @checked(function=FUNCTION, name=TEXT | None)
    def __init__(self, function: Callable[[Array, Array], Array], name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(name or getattr(function, "__name__", registry.words(type(function).__name__)), reduction)
        self.function = function
        self._whole_batch = False

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """What the function gives."""
        if y_true.dtype.is_float and y_pred.dtype.is_float:
            y_true = y_true.astype(y_pred.dtype)
        found = self.function(y_true, y_pred)
        if found is None:
            raise ArgumentError(
                f"The function {self.name} gave nothing back.",
                expected="an array: one number per example, or one for the batch",
                received="None",
                fix="end it with return: return si.mean((y_true - y_pred) ** 2, axis=-1)",
                slug="loss-function",
            )
        values = si.asarray(found)
        self._whole_batch = not values.ndim
        return values

    @property
    def adds_examples(self) -> bool:
        """Whether the function gave one number per example when it was last called."""
        return not self._whole_batch and super().adds_examples

    def fits(self, owner: str, target: Shape, output: Shape) -> None:
        """A function knows best what it takes."""

    def get_config(self) -> dict[str, Any]:
        """The name under which the function is registered.

        Raises
        ------
        ArgumentError
            If it is not registered: a file cannot hold the function itself.
        """
        return {"function": function_name(self.function), **super().get_config()}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: dict[str, Any]) -> FunctionLoss:
        """The loss of a registered function."""
        return cls(**{**config, "function": registry.find_function(config.get("function", ""))})


def function_name(function: Callable[..., Any]) -> str:
    """The registered name of a function of the user.

    Raises
    ------
    ArgumentError
        If it has none.
    """
    found = registry.registered_name(function)
    if found is None:
        name = getattr(function, "__name__", repr(function))
        raise ArgumentError(
            f"The function {name} cannot be stored in a file: it is not registered.",
            expected="a function with @si.nn.register, or a loss or metric of insitu",
            received=f"the function {name}",
            fix="put @si.nn.register above its definition, or save the weights alone",
            slug="save-function",
        )
    return found
