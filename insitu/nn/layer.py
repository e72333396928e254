"""`Layer`: weights made on first use, and a function of arrays."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import insitu as si
from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import initializers, registry

Shape = tuple[int | None, ...]

_counts: dict[str, int] = {}


#: While set, new weights hold zeros instead of initial values: they are about to be read from a file.
_blank: contextvars.ContextVar[bool] = contextvars.ContextVar("blank", default=False)


@contextlib.contextmanager
def blank_weights() -> Iterator[None]:
    """While inside, new weights hold zeros, and no random numbers are drawn for them."""
    token = _blank.set(True)
    try:
        yield
    finally:
        _blank.reset(token)


def settle(weights: Sequence[si.Variable]) -> None:
    """Compute all initial values that are still pending, in one program."""
    pending = [w.value for w in weights if w.node.memory is None]
    if pending:
        si.evaluate(*pending)


def unique_name(base: str) -> str:
    """``dense``, ``dense_1``, ``dense_2``, ... in the order of the calls."""
    number = _counts.get(base, 0)
    _counts[base] = number + 1
    return f"{base}_{number}" if number else base


class Layer:
    """Base class of layers.

    A subclass makes its weights in ``build(input_shape)`` with `add_weight`, computes in ``call(x)`` (or
    ``call(x, training)``) and tells its arguments in ``get_config``. Each subclass can be found by its name in files.

    Parameters
    ----------
    name : str, optional
        Default: the class name in Keras' spelling, numbered.
    trainable : bool
        Whether training changes its weights.
    """

    classes: ClassVar[dict[str, type[Layer]]] = {}
    _takes_training: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Layer.classes[cls.__name__] = cls
        cls._takes_training = "training" in inspect.signature(cls.call).parameters

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        self.name = name or unique_name(registry.words(type(self).__name__))
        self.trainable = trainable
        self.built = False
        self.input_shape: Shape | None = None
        self._weights: list[si.Variable] = []

    # -- for subclasses ----------------------------------------------------------------------------
    def build(self, input_shape: Shape) -> None:
        """Make the weights. ``input_shape`` begins with the batch axis, whose length is None."""

    def call(self, x: Any) -> Any:
        """The output for an input; array operations only."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def call_with_logits(self, x: Any, training: bool = False) -> tuple[Any, Any, str]:
        """The output, and the logits of a final softmax or sigmoid with that activation's name.

        A layer without one gives None and "". Losses compute from the logits where there are some, which is
        more exact and saves work.
        """
        return self(x, training=training), None, ""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape for an input's shape."""
        return input_shape

    def add_weight(
        self, shape: Sequence[int], initializer: Any = "glorot_uniform", name: str = "weight", trainable: bool = True, dtype: Any = "float32"
    ) -> si.Variable:
        """A new weight of this layer, a `Variable`; its initial value is computed together with the others of the model."""
        chosen = np.zeros(tuple(shape), as_dtype(dtype).numpy) if _blank.get() else initializers.get(initializer)(tuple(shape), dtype)
        weight = si.Variable(chosen, name=f"{self.name}/{name}", trainable=trainable)
        self._weights.append(weight)
        return weight

    # -- use -----------------------------------------------------------------------------------------
    def __call__(self, x: Any, training: bool = False) -> Any:
        x = x if isinstance(x, si.Array) else si.asarray(x)
        self.prepare((None, *x.shape[1:]))
        self.check_input(tuple(x.shape))
        return self.call(x, training=training) if self._takes_training else self.call(x)  # type: ignore[call-arg]

    def prepare(self, input_shape: Shape) -> None:
        """Build once."""
        if not self.built:
            self.check_input(input_shape)
            self.build(input_shape)
            self.input_shape, self.built = input_shape, True

    def check_input(self, shape: Shape) -> None:
        """Raise `ShapeError` if the layer cannot take an input of that shape."""

    # -- weights -------------------------------------------------------------------------------------
    @property
    def weights(self) -> list[si.Variable]:
        """All weights, in the order they were made."""
        return list(self._weights)

    @property
    def trainable_weights(self) -> list[si.Variable]:
        """Weights that training changes."""
        return [w for w in self.weights if w.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[si.Variable]:
        """Weights that training leaves alone."""
        chosen = set(self.trainable_weights)
        return [w for w in self.weights if w not in chosen]

    def count_params(self) -> int:
        """Number of values in all weights."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights as NumPy arrays."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all weights new values; ``weights`` as `get_weights` returns them.

        Raises
        ------
        ShapeError
            If their number or a shape differs; nothing is changed then.
        """
        have = self.weights
        new = [np.asarray(w) for w in weights]
        if [w.shape for w in new] != [tuple(v.shape) for v in have]:
            raise ShapeError(
                f'set_weights: the arrays do not fit the weights of "{self.name}".',
                expected=", ".join(f"{v.name} {tuple(v.shape)}" for v in have) or "no arrays (the layer has no weights yet)",
                received=", ".join(str(w.shape) for w in new) or "no arrays",
                fix="pass what get_weights of an equal model returned" if have else "build the model first: model.build(input_shape)",
                slug="weights-shapes",
                argument="weights=",
            )
        for variable, value in zip(have, new, strict=True):
            variable.assign(si.asarray(value.astype(variable.dtype.numpy)))

    # -- configuration -------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The arguments from which `from_config` makes an equal layer, without its weights."""
        return {"name": self.name} if self.trainable else {"name": self.name, "trainable": False}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A layer from what `get_config` returned."""
        arguments = dict(config)
        trainable = arguments.pop("trainable", True)
        made = cls(**arguments)
        made.trainable = trainable
        return made

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


def serialize(layer: Layer) -> dict[str, Any]:
    """Class name and configuration of a layer."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described.

    Raises
    ------
    ArgumentError
        If no layer class of that name is known.
    """
    name = config.get("class_name")
    found = Layer.classes.get(name) if isinstance(name, str) else None
    if found is None:
        raise ArgumentError(
            f"There is no layer class {name!r}.",
            expected="one of " + ", ".join(sorted(Layer.classes)),
            received=repr(name),
            fix="import the module that defines the class before loading",
            slug="layer-unknown",
        )
    return found.from_config(config["config"])  # type: ignore[no-any-return]
