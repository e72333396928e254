"""The public callables of insitu, found by looking at its modules and classes, and arguments that they take."""

from __future__ import annotations

import inspect
import io
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.console import Console

import insitu as si
from insitu import arguments
from insitu.arguments import constraints_of, parameters_of

MODULES = [
    si, si.data, si.io, si.nn, si.nn.activations, si.nn.callbacks, si.nn.constraints, si.nn.initializers, si.nn.losses, si.nn.metrics,
    si.nn.pictures, si.nn.regularizers, si.optim, si.optim.schedules, si.vision, si.vision.models, si.debug,
]  # fmt: skip
RANDOM = [
    "bernoulli", "choice", "default_rng", "exponential", "gumbel", "integers", "lognormal", "normal", "permutation", "random", "seed", "shuffle",
    "standard_exponential", "standard_normal", "truncated_normal", "uniform",
]  # fmt: skip
#: Names that nobody calls, and why.
LEFT_OUT = {
    "Array": "made by functions; its methods are called",
    "Contribution": "a named tuple",
    "DType": "there are thirteen of them",
    "Symbol": "made by Input",
    "as_dtype": "the declarations stand on it; each dtype argument is given to it",
    "config": "an object whose settings are assigned; see test_runtime_config",
    "rate": "called by optimizers with a schedule",
    "register": "the declarations stand on it; see test_nn_models",
}
#: Methods that insitu calls with values of its own and a subclass defines; what users call around them has checked the arguments.
HOOKS = {
    # of layers, behind __call__, build and compute_output_shape
    "along_channels", "arranged", "axes", "broadcast", "call", "changed", "channels_of", "check_fit", "check_input", "check_shapes", "check_values",
    "convolved", "differ", "drawn", "each", "finish", "framed", "listed", "merged", "per_axis", "places", "prepare", "scaled",
    # of models, behind fit, evaluate, predict and save
    "check_compiled", "fixed_output_names", "forward", "prepared", "set_training_state", "steps_for_targets", "to_file_content", "training_state",
    # of losses, metrics, optimizers and callbacks
    "Confusion.add", "counted", "current", "files", "fits", "is_improvement", "kept", "rate_at", "scalars", "step", "take_in", "terms", "wants",
    "CallbackList.set_state", "CallbackList.check_names", "Callback.set_model", "Callback.set_params", "Callback.set_state", "Callback.check_names",
    *[f"Callback.{n}" for n in dir(si.nn.callbacks.Callback) if n.startswith("on_")],
}  # fmt: skip
#: Methods that run what a subclass defines, so that each class is asked and not only the first that has the method.
RUNNING = {"__call__", "Layer.build", "Layer.compute_output_shape", "update_state"}


def is_ours(value: Any) -> bool:
    return getattr(value, "__module__", "").startswith("insitu")


def public() -> dict[str, Callable[..., Any]]:
    """Every public class and function by its name, each once."""
    found: dict[int, tuple[str, Callable[..., Any]]] = {}
    for module in MODULES:
        names = list(getattr(module, "__all__", None) or vars(module))
        names += [n for n in ("load", "save") if module is si]
        for name in sorted(names):
            value = getattr(module, name, None)
            there = hasattr(module, "__all__") or getattr(value, "__module__", "") == module.__name__
            if callable(value) and is_ours(value) and there and not name.startswith("_") and not isinstance(value, types.ModuleType):
                found.setdefault(id(value), (f"{module.__name__.replace('insitu', 'si')}.{name}", value))
    random = {f"si.random.{name}": getattr(si.random, name) for name in RANDOM}
    return {name: value for name, value in found.values() if name.rpartition(".")[2] not in LEFT_OUT} | random


def doubled(x: Any) -> Any:
    return 2 * x


class Passing(si.nn.Layer):
    """The simplest layer."""

    def call(self, x: Any) -> Any:
        return x


class Squared(si.nn.losses.Loss):
    """The simplest loss."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return si.mean((y_true - y_pred) ** 2, axis=-1)


class Halving(si.optim.schedules.LearningRateSchedule):
    """The simplest schedule."""

    @arguments.checked()
    def __init__(self) -> None:
        pass

    def __call__(self, step: Any) -> Any:
        return 0.5**step


def small_model() -> Any:
    model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(4, activation="relu"), si.nn.Dense(2)])
    model.compile("sgd", "mse")
    return model


def functional_model() -> Any:
    x = si.nn.Input((4,))
    model = si.nn.Model(x, si.nn.Dense(2)(x))
    model.compile("sgd", "mse")
    return model


SUBJECTS: dict[str, Callable[[], Any]] = {
    # objects that functions give
    "si.ones(...)": lambda: si.ones((2, 3)),
    "si.ones(...).at": lambda: si.ones((2, 3)).at,
    "si.ones(...).at[0]": lambda: si.ones((2, 3)).at[0],
    "si.compile(...)": lambda: si.compile(lambda: si.ones(2)),
    "si.random.default_rng(...)": lambda: si.random.default_rng(0),
    # base classes, of which a subclass is the subject
    "si.nn.Layer": Passing,
    "si.nn.losses.Loss": Squared,
    "si.nn.constraints.Constraint": si.nn.constraints.NonNeg,
    "si.nn.initializers.Initializer": si.nn.initializers.Zeros,
    "si.nn.regularizers.Regularizer": si.nn.regularizers.L2,
    "si.nn.metrics.Metric": lambda: si.nn.metrics.Mean(),
    "si.optim.Optimizer": lambda: si.optim.SGD(),
    "si.optim.schedules.LearningRateSchedule": Halving,
    # models, which are made once: compiling them takes long
    "si.nn.Functional": functional_model,
    "si.nn.Model": functional_model,
    # what the arguments that fit on their own do not make
    "si.nn.Sequential": lambda: si.nn.Sequential([si.nn.Dense(2)]),
    "si.optim.schedules.PiecewiseConstantDecay": lambda: si.optim.schedules.PiecewiseConstantDecay([1], [0.5, 0.1]),
}
#: Subjects that methods of all values share.
SHARED = {name: SUBJECTS[name]() for name in ("si.nn.Functional", "si.nn.Model")}


def is_among(names: set[str], cls: type, name: str) -> bool:
    """Whether a method is named alone, or behind its class or a base of it."""
    return name in names or any(f"{owner.__name__}.{name}" in names for owner in cls.__mro__)


def methods_of(cls: type) -> dict[str, Callable[..., Any]]:
    """The methods of a class that users call, by name: those that insitu defines under public names, and calls of its objects."""
    found = {}
    for name in dir(cls):
        method = inspect.getattr_static(cls, name)
        function = getattr(method, "__func__", method)
        hidden = is_among(HOOKS, cls, name)
        if inspect.isfunction(function) and is_ours(function) and not hidden and (name[0] != "_" or name in ("__call__", "__getitem__")):
            found[name] = function
    return found


def methods() -> dict[str, Callable[[], Callable[..., Any]]]:
    """Every public method by its name, each once; a function that gives it, bound to an object on which nothing was called yet."""
    found: dict[str, Callable[[], Callable[..., Any]]] = {}
    seen: set[Any] = {value for value in public().values() if not isinstance(value, type)}  # methods of arrays are functions, too
    subjects = SUBJECTS | {n: subject_of(n, c) for n, c in public().items() if isinstance(c, type) and n not in SUBJECTS}
    for subject, make in subjects.items():
        cls = type(SHARED[subject] if subject in SHARED else make())
        for name, function in methods_of(cls).items():
            takes = len(inspect.signature(function).parameters) > 1
            if takes and (function not in seen or is_among(RUNNING, cls, name)):
                found[f"{subject}.{name}"] = lambda s=subject, n=name, m=make: getattr(SHARED[s] if s in SHARED else m(), n)
            seen.add(function)
    return found


def subject_of(name: str, cls: type) -> Callable[[], Any]:
    return lambda: cls(**usual(name, cls))


X, Y = np.ones((6, 4), np.float32), np.ones((6, 2), np.float32)
GRID, KERNEL = np.ones((1, 5, 5, 2), np.float32), np.ones((2, 2, 2, 2), np.float32)
CONSOLE = Console(file=io.StringIO())
INPUT, ONES = si.nn.Input((4,)), np.ones(2, np.float32)
POOLED = {"x": GRID, "pool_size": 2}
#: Arguments for functions that need some that belong together; for methods by their own name.
FITTING: dict[str, dict[str, Any]] = {
    "si.vjp": {"function": doubled, "primals": (np.ones(2, np.float32),)},
    "si.jvp": {"function": doubled, "primals": [np.ones(2, np.float32)], "tangents": [np.ones(2, np.float32)]},
    "si.tensordot": {"axes": 1},
    "si.split": {"indices_or_sections": 2},
    "si.data.save_image": {"path": "a.png"},
    "si.nn.losses.FunctionLoss": {"function": si.nn.losses.mean_squared_error},
    "si.nn.metrics.MeanMetricWrapper": {"fn": si.nn.losses.mean_squared_error},
    "si.nn.metrics.IoU": {"target_class_ids": [0]},
    "si.nn.pictures.gallery": {"console": CONSOLE, "pictures": [np.ones((2, 2))], "captions": ["ones"]},
    "si.nn.pictures.legend": {"console": CONSOLE},
    "si.nn.pictures.plot": {"layer": small_model().layers[0]},
    "si.nn.pictures.contributions": {"model": small_model(), "x": X, "cls": 1},
    "si.nn.pictures.plot_contributions": {"model": small_model(), "x": X, "cls": 1},
    "si.nn.pictures.save": {"pictures": [np.ones((2, 2))]},
    "si.nn.serialize": {"layer": si.nn.Flatten()},
    "si.nn.deserialize": {"config": si.nn.serialize(si.nn.Flatten())},
    "si.optim.serialize": {"optimizer": si.optim.SGD()},
    "si.optim.schedules.serialize": {"schedule": si.optim.schedules.InverseTimeDecay(0.1, 2, 0.5)},
    "si.optim.schedules.get": {"identifier": si.optim.schedules.InverseTimeDecay(0.1, 2, 0.5)},
    "si.vision.preprocess_input": {"x": [[0.0, 1.0, 2.0]]},
    "si.conv": {"x": GRID, "kernel": KERNEL},
    "si.conv_transpose": {"x": GRID, "kernel": KERNEL},
    "si.depthwise_conv": {"x": GRID, "kernel": KERNEL},
    "si.separable_conv": {"x": GRID, "depthwise_kernel": KERNEL, "pointwise_kernel": np.ones((1, 1, 4, 2), np.float32)},
    "si.max_pool": POOLED,
    "si.average_pool": POOLED,
    "si.adaptive_average_pool": {"x": GRID, "output_size": 2},
    "si.extract_patches": {"x": GRID, "size": 2},
    "si.resize": {"x": GRID, "size": 2},
    "si.nn.Lambda": {"function": lambda x: x},
    "si.nn.Normalization.adapt": {"data": X},
    "si.nn.Functional": {"inputs": INPUT, "outputs": si.nn.Dense(2)(INPUT)},
    "si.nn.Sequential.add": {"layer": si.nn.Dense(2)},
    "si.nn.callbacks.CallbackList.append": {"callback": si.nn.callbacks.History()},
    "si.optim.Optimizer.apply": {"grads": [ONES], "variables": [si.Variable(ONES)]},
    "si.optim.Optimizer.build": {"variables": [si.Variable(ONES)]},
    "si.optim.Optimizer.finalize_variable_values": {"variables": [si.Variable(ONES)]},
    "si.optim.Optimizer.init": {"params": [ONES]},
    "si.optim.Optimizer.update": {"grads": [ONES], "params": [ONES], "state": si.optim.SGD().init([ONES])},
    "check": {"x": X, "y": Y, "verbose": 0},
    "evaluate": {"x": X, "y": Y, "verbose": 0},
    "fit": {"x": X, "y": Y, "verbose": 0},
    "predict": {"x": X},
    "predict_on_batch": {"x": X},
    "test_on_batch": {"x": X, "y": Y},
    "train_on_batch": {"x": X, "y": Y},
    "get_layer": {"index": 0},
    "optimize_for_inference": {"x": X},
    "compile": {"loss": "mse"},
}


def usual(name: str, target: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that the callable takes: the needed ones."""
    declared = constraints_of(target)
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [n for n, p in parameters_of(target).items() if p.default is p.empty and p.kind not in kinds]
    together = FITTING.get(name, FITTING.get(name.rpartition(".")[2], {}))
    return {n: declared[n].fits[0] for n in needed if n in declared and n not in together} | together


def called(target: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], given: dict[str, Any]) -> Any:
    """The result of a call, computed."""
    args, kwargs = [], dict(given)
    for n, p in parameters.items():
        if p.kind is p.POSITIONAL_ONLY and n in kwargs:
            args.append(kwargs.pop(n))
        elif p.kind is p.VAR_POSITIONAL and n in kwargs:
            value = kwargs.pop(n)
            args += value if isinstance(value, list | tuple) else [value]
    result = target(*args, **kwargs)
    if isinstance(result, si.Array):
        si.evaluate(result)
    return result
