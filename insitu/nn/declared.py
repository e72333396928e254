"""What arguments of layers, losses and models may be, beside numbers: functions and objects by their names."""

from __future__ import annotations

from typing import Any

from insitu.arguments import REFUSED, Checked, Constraint, Made, Whole
from insitu.errors import ShapeError
from insitu.nn import activations, constraints, initializers, regularizers

ACTIVATION = Made(activations.get, 'an activation: a name such as "relu", a function or a layer', ("relu", None), "activation-unknown")
INITIALIZER = Made(initializers.get, 'an initializer: a name such as "zeros", a function or an array', ("zeros",), "initializer-unknown")
REGULARIZER = Made(regularizers.get, 'a regularizer: a name such as "l2", a function, or None', ("l2", None), "regularizer-unknown")
CONSTRAINT = Made(constraints.get, 'a constraint: a name such as "max_norm", a function, or None', ("max_norm", None), "constraint-unknown")


class BatchShapes(Constraint):
    """The shape of a batch, as a tuple in which None stands for unknown lengths; or a list or dict of such shapes."""

    slug = "build-shape"
    error = ShapeError
    fits = ((None, 4), [None, 4])
    borders = ((4,), (None,), (), (None, -1), (None, 2.0), (None, None), (None, "4"), [(None, 4), (None, 4)], {"a": (None, 4)}, (None, 4, 4, 2))
    remedy = "pass the batch as None, then the shape of an example: (None, 784)"

    def take(self, value: Any) -> Any:
        if isinstance(value, dict):
            found = {name: self.take(shape) for name, shape in value.items()}
            return REFUSED if any(shape is REFUSED for shape in found.values()) else found
        if not isinstance(value, list | tuple):
            return REFUSED
        lengths = [n if n is None else _LENGTH.take(n) for n in value]
        if not any(n is REFUSED for n in lengths):
            return tuple(lengths)
        parts = [self.take(shape) for shape in value]
        return REFUSED if any(shape is REFUSED for shape in parts) else parts

    def __str__(self) -> str:
        return "the shape of a batch: a tuple that begins with None, such as (None, 784)"


_LENGTH = Whole(0)
BATCH_SHAPES = BatchShapes()

#: What `Model.fit` and its kin take beside data.
BATCH_SIZE = Whole(1, slug="batch-size", fix="pass batch_size=32")
EPOCHS = Whole(1, slug="epochs", fix="pass epochs=10")
STEPS = Whole(1, slug="fit-count")
EPOCHS_DONE = Whole(0, slug="fit-count")
INPUTS = Checked("an array, or a list or dict of arrays", ([[1.0, 2.0], [3.0, 4.0]],))
DATA = Checked("arrays, a list or dict of them, a data frame, or batches")
WEIGHTS = Checked("numbers, one for each example") | None
CALLBACKS = Checked("a list of callbacks") | None
