"""What arguments of layers, losses and models may be, beside numbers: functions and objects by their names."""

from __future__ import annotations

from insitu.arguments import Checked, Made, Whole
from insitu.nn import activations, constraints, initializers, regularizers

ACTIVATION = Made(activations.get, 'an activation: a name such as "relu", a function or a layer', ("relu", None), "activation-unknown")
INITIALIZER = Made(initializers.get, 'an initializer: a name such as "zeros", a function or an array', ("zeros",), "initializer-unknown")
REGULARIZER = Made(regularizers.get, 'a regularizer: a name such as "l2", a function, or None', ("l2", None), "regularizer-unknown")
CONSTRAINT = Made(constraints.get, 'a constraint: a name such as "max_norm", a function, or None', ("max_norm", None), "constraint-unknown")

#: What `Model.fit` and its kin take beside data.
BATCH_SIZE = Whole(1, slug="batch-size", fix="pass batch_size=32")
EPOCHS = Whole(1, slug="epochs", fix="pass epochs=10")
STEPS = Whole(1, slug="fit-count")
EPOCHS_DONE = Whole(0, slug="fit-count")
DATA = Checked("arrays, a list or dict of them, a data frame, or batches")
WEIGHTS = Checked("numbers, one for each example") | None
CALLBACKS = Checked("a list of callbacks") | None
