"""The base class of metrics: variables that batches are taken into, and the number they give; sums and means."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu import registry
from insitu.arguments import ARRAY, CONFIG, DTYPE, FUNCTION, SHAPE, TEXT, Checked, checked
from insitu.array.array import Array
from insitu.nn import initializers, losses
from insitu.nn.losses import fit
from insitu.nn.losses.base import FunctionLoss, aligned, function_name
from insitu.nn.losses.fit import Shape, floating

#: Functions of insitu that configurations may name: those of losses, and those of metrics beside them.
FUNCTIONS: dict[str, Callable[..., Any]] = {f.__name__: f for f in losses.FUNCTIONS}


class Metric:
    """Base class: ``update_state`` takes a batch into variables, ``result`` gives the metric of all batches so far.

    A class of one's own makes its variables with `add_variable` and defines ``update_state`` and ``result``; nothing
    needs to be registered. Both may be called inside functions under `insitu.compile`.

    Parameters
    ----------
    name : str, optional
        Shown in logs.

    Examples
    --------
    >>> import insitu as si
    >>> class Largest(si.nn.metrics.Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name)
    ...         self.most = self.add_variable(shape=(), name="most")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.most.assign(si.maximum(self.most.value, si.max(si.abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.most.value
    >>> metric = Largest()
    >>> metric.update_state(si.asarray([1.0, 2.0]), si.asarray([1.0, 5.0]))
    >>> metric.update_state(si.asarray([1.0]), si.asarray([0.0]))
    >>> metric.result()
    Array(3., dtype=float32)
    """

    #: Every class of metrics by name, for configurations in files.
    classes: ClassVar[dict[str, type[Metric]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Metric.classes[cls.__name__] = cls

    @checked(name=TEXT | None)
    def __init__(self, name: str | None = None) -> None:
        self.name = name or registry.words(type(self).__name__)
        self._own: list[tuple[si.Variable, Array]] = []

    @checked(shape=SHAPE, initializer=Checked("the name of an initializer, or a value", ("zeros", 0.5)), dtype=DTYPE, name=TEXT)
    def add_variable(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = "float32", name: str = "variable") -> si.Variable:
        """A new variable of the metric's state; `reset_state` gives it its first value again.

        Parameters
        ----------
        shape : tuple of int
        initializer : str, callable or array_like
            An initializer of `insitu.nn.initializers`, or the value itself.
        dtype : DType
        name : str

        Returns
        -------
        Variable
        """
        if isinstance(initializer, str) and initializer == "zeros":
            value = si.zeros(shape, dtype=dtype)
        elif isinstance(initializer, str) or callable(initializer):
            # the value as it is now, so that a metric may be built inside a traced function
            value = si.asarray(np.array(initializers.get(initializer)(shape)), dtype=dtype)
        else:
            value = si.broadcast_to(si.asarray(initializer, dtype=dtype), shape)
        si.evaluate(value)
        variable = si.Variable(value, name=f"{self.name}/{name}", trainable=False)
        self._own.append((variable, value))
        return variable

    add_weight = add_variable  # another name of it in Keras

    @property
    def variables(self) -> list[si.Variable]:
        """The state: the metric's own variables and those of metrics it has as attributes."""
        return [v for v, _ in self._own] + [v for m in vars(self).values() if isinstance(m, Metric) for v in m.variables]

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable, first in self._own:
            variable.assign(first)
        for part in vars(self).values():
            if isinstance(part, Metric):
                part.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch in: ``update_state(y_true, y_pred, sample_weight=None)``, all array_like of shape (batch, ...)."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state")

    def result(self) -> Any:
        """The metric of all batches since the last `reset_state`, an Array."""
        raise NotImplementedError(f"{type(self).__name__} has no result")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`update_state`, then `result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    @property
    def adds_examples(self) -> bool:
        """Whether examples of weight 0 change nothing, and batches give what their examples give one by one."""
        return True

    def check_shapes(self, target: Shape, output: Shape) -> None:
        """Raise `ShapeError` if targets of that shape do not fit outputs of that shape (None for the batch).

        Metrics whose variables depend on the number of classes make them here.
        """

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric, as JSON values."""
        return {"name": self.name}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


class Sum(Metric):
    """The sum of all values, each times its weight.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.Sum()
    >>> metric.update_state([1.0, 3.0], sample_weight=[1.0, 0.5])
    >>> float(metric.result())
    2.5
    """

    @checked()
    def __init__(self, name: str = "sum") -> None:
        super().__init__(name)
        self.total = self.add_variable(dtype="float64", name="total")

    @checked(values=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of shape (batch, ...) with weights of shape (batch,) or (batch, ...)."""
        values = floating(si.asarray(values))
        if sample_weight is not None:
            values = values * aligned(si.asarray(sample_weight).astype(values.dtype), values, self.name)
        self.total.assign(self.total.value + si.sum(values).astype(si.float64))

    def result(self) -> Array:
        """The sum, float64."""
        return self.total.value


class Averaged(Metric):
    """Base class of metrics that are a mean: the sum of the values and their number, both in float64."""

    @checked()
    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.total = self.add_variable(dtype="float64", name="total")
        self.count = self.add_variable(dtype="float64", name="count")

    def take_in(self, values: Any, sample_weight: Any) -> None:
        """Add values of shape (batch, ...) with weights of shape (batch,) or (batch, ...), or None."""
        values = floating(si.asarray(values))
        count: Any = values.shape[0] if values.ndim else 1
        if sample_weight is not None:
            weights = aligned(si.asarray(sample_weight).astype(values.dtype), values, self.name)
            each = count / weights.shape[0] if values.ndim else 1  # one weight may hold for all
            count = si.sum(_samplewise(weights)).astype(si.float64) * each
            values = values * weights
        self.total.assign(self.total.value + si.sum(_samplewise(values)).astype(si.float64))
        self.count.assign(self.count.value + count)

    def result(self) -> Array:
        """The mean, float64; 0 if nothing was taken in."""
        return _quotient(self.total.value, self.count.value)  # type: ignore[no-any-return]


class Mean(Averaged):
    """The mean of all values, weighted; an example with several values counts with their mean.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.Mean()
    >>> metric.update_state([1.0, 3.0])
    >>> metric.update_state([8.0, 0.0], sample_weight=[1.0, 0.0])
    >>> float(metric.result())
    4.0
    """

    @checked()
    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)

    @checked(values=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values of shape (batch, ...) with weights of shape (batch,) or (batch, ...)."""
        self.take_in(values, sample_weight)


def _samplewise(values: Array) -> Array:
    """The mean of each example, shape (batch,)."""
    return values if values.ndim < 2 else si.mean(values, axis=tuple(range(1, values.ndim)))


def ratio(dividend: Array, divisor: Array) -> Array:
    """A quotient that is 0 where the divisor is 0."""
    none = divisor == 0
    return si.where(none, 0, dividend / si.where(none, 1, divisor))


#: For two numbers, whose graph would take longer to build than to run: a training looks at them for each batch.
_quotient = si.compile(ratio)


class MeanMetricWrapper(Averaged):
    """The mean over all examples of a loss, or of what a function ``f(y_true, y_pred)`` gives.

    Parameters
    ----------
    fn : callable or Loss
        Gives one number per example, shape (batch, ...), or one for the batch, which counts as often as it has examples.
    name : str, optional
        The function's name by default.
    **kwargs
        Further arguments of the function.

    Examples
    --------
    >>> import insitu as si
    >>> metric = si.nn.metrics.MeanMetricWrapper(lambda y, p: si.abs(y - p), name="distance")
    >>> metric.update_state([1.0, 2.0], [1.0, 5.0])
    >>> float(metric.result())
    1.5
    """

    @checked(fn=FUNCTION, name=TEXT | None)
    def __init__(self, fn: Any, name: str | None = None, **kwargs: Any) -> None:
        self.fn, self.kwargs = fn, kwargs
        self.loss: losses.Loss
        if isinstance(fn, losses.Loss):
            self.loss = fn
        else:
            called = name or getattr(fn, "__name__", registry.words(type(fn).__name__))
            self.loss = FunctionLoss(functools.partial(fn, **kwargs) if kwargs else fn, called)
        super().__init__(name or self.loss.name)

    @checked(y_true=ARRAY, y_pred=ARRAY, sample_weight=ARRAY | None)
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in targets and predictions of shape (batch, ...), with weights of shape (batch,) or of the function's values."""
        y_true, y_pred = si.asarray(y_true), si.asarray(y_pred)
        values = floating(self.loss.call(y_true, y_pred))
        counted = self.loss.counted(y_true)
        if counted is not None:
            mask = si.reshape(counted, values.shape).astype(values.dtype)
            sample_weight = mask if sample_weight is None else mask * aligned(si.asarray(sample_weight).astype(values.dtype), values, self.name)
        elif sample_weight is None and not values.ndim and y_pred.ndim:
            sample_weight = np.float32(y_pred.shape[0])
        self.take_in(values, sample_weight)

    @property
    def adds_examples(self) -> bool:
        return not isinstance(self.loss, FunctionLoss) or self.loss.adds_examples

    def check_shapes(self, target: Shape, output: Shape) -> None:
        self.loss.fits(f"metric {self.name}", target, output)

    def get_config(self) -> dict[str, Any]:
        """Name, function and its arguments.

        Raises
        ------
        ArgumentError
            If the function is not registered: a file cannot hold the function itself.
        """
        if isinstance(self.fn, losses.Loss):
            return {"fn": losses.serialize(self.fn), "name": self.name}
        known = next((name for name, f in FUNCTIONS.items() if f is self.fn), None)
        return {"fn": known or function_name(self.fn), "name": self.name, **self.kwargs}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric that `get_config` described."""
        fn = config.get("fn")
        if isinstance(fn, dict):
            return cls(**{**config, "fn": losses.get(fn)})
        if isinstance(fn, str):
            return cls(**{**config, "fn": FUNCTIONS[fn] if fn in FUNCTIONS else registry.find_function(fn)})
        return cls(**config)


class LossMean(MeanMetricWrapper):
    """Base class of metrics that are the mean of a loss of insitu: subclasses make the loss and hand it over."""

    def __init__(self, loss: losses.Loss, name: str) -> None:
        super().__init__(loss, name)

    def get_config(self) -> dict[str, Any]:
        """The name, and the loss' arguments beside its reduction."""
        options = {k: v for k, v in self.loss.get_config().items() if k not in ("name", "reduction")}
        return {"name": self.name, **options}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric that `get_config` described."""
        return cls(**config)


def check_equal(metric: Metric, target: Shape, output: Shape) -> None:
    """Raise `ShapeError` unless targets have the output's shape."""
    fit.check_equal(f"metric {metric.name}", target, output)
