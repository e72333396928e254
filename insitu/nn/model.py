"""`Model`: a layer that can be trained, tested, asked, saved and shown."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import insitu as si
from insitu import optim, registry
from insitu.arguments import CONFIG, FLAG, FUNCTION, NOT_NEGATIVE, TEXT, WHOLE, Checked, Choice, Constraint, Made, Number, Path, checked
from insitu.array.compile import CompiledFunction
from insitu.array.evaluate import evaluate_nodes
from insitu.array.tree import flatten, map_leaves, unflatten
from insitu.errors import ArgumentError
from insitu.nn import checks, functional
from insitu.nn.declared import BATCH_SIZE, CALLBACKS, DATA, EPOCHS, EPOCHS_DONE, INPUTS, STEPS, WEIGHTS
from insitu.nn.layer import Layer, deserialize, serialize, settle
from insitu.nn.objectives import Objectives, Settings, target_leaves
from insitu.nn.progress.display import VERBOSE
from insitu.nn.shapes import Shape, batch_shape, infer
from insitu.nn.training import Logs, Steps

FILE = Path(slug="save-path", fix='pass the file\'s name: save("model.insitu")')
SPLIT = Number(0, 1, open="h", slug="validation-split", fix="pass validation_split=0.1")
OPTIMIZER = Made(optim.get, 'an optimizer, or its name such as "adam"', ("sgd",), "optimizer-unknown")
SYMBOLS = Checked("what Input and layers called on it gave, or a list or dict of these")
#: What a loss that is no finite number does: stop at the first one, say so once, or train on.
ON_NAN = Choice("raise", "warn", "ignore")
CLASS_WEIGHT = Checked("a dict of class to factor") | None
_FITTING: dict[str, Constraint] = {
    "x": DATA | None, "y": DATA | None, "batch_size": BATCH_SIZE | None, "epochs": EPOCHS, "verbose": VERBOSE, "callbacks": CALLBACKS,
    "validation_split": SPLIT, "validation_data": DATA | None, "shuffle": FLAG, "class_weight": CLASS_WEIGHT, "sample_weight": WEIGHTS,
    "initial_epoch": EPOCHS_DONE, "steps_per_epoch": STEPS | None, "validation_steps": STEPS | None, "validation_batch_size": STEPS | None,
    "validation_freq": STEPS, "nan": ON_NAN,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of a model for inputs of one form.

    Attributes
    ----------
    dtypes : list of DType
        Of the inputs, as they reach ``call``.
    names : list of str
        Of the outputs, where they go by their order or their keys.
    outputs : tuple of tuple
        The outputs' shapes.
    trainable : tuple of Variable
        The weights that training changes.
    """

    dtypes: list[Any]
    names: list[str]
    outputs: tuple[Shape, ...]
    trainable: tuple[si.Variable, ...]


class Model(Layer):
    """A layer that can be trained.

    Three ways lead to one: `Sequential` for layers in a row, ``Model(inputs, outputs)`` for a graph of layers
    called on symbols, and a subclass with ``call`` for everything else.

    Parameters
    ----------
    inputs, outputs : Symbol, or list or dict of these, optional
        Makes a functional model.
    name : str, optional

    Attributes
    ----------
    optimizer : Optimizer or None
        None before `compile`.
    stop_training : bool
        A callback sets it to end `fit` after the running step.

    Examples
    --------
    >>> import insitu as si
    >>> a, b = si.nn.Input((3,)), si.nn.Input((2,))
    >>> model = si.nn.Model([a, b], si.nn.Dense(1)(si.nn.Concatenate()([a, b])))
    >>> model.predict([np.ones((4, 3)), np.ones((4, 2))], verbose=0).shape
    (4, 1)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            return super().__new__(Functional)
        return super().__new__(cls)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.optimizer: optim.Optimizer | None = None
        self.settings: Settings | None = None
        self.stop_training = False
        self.history: Any = None
        self._names: list[str] = []
        self._dtypes: list[Any] = []
        #: epoch and step within it that comes next in `fit`
        self.position = (0, 0)
        self.now_fitting: Any = None
        self._order: si.random.Generator | None = None
        #: by the form of the inputs, the layers and their trainable weights
        self._prepared: dict[Any, Prepared] = {}
        self._steps: dict[Any, Steps] = {}
        self._forward: Any = None
        #: whether predictions take the weights for constants, until one of them is changed
        self.constant_weights = False

    # -- compile -----------------------------------------------------------------------------------
    @checked(
        optimizer=OPTIMIZER, loss=Checked("a loss, or its name") | None,
        loss_weights=Checked("a factor for each output") | None, metrics=Checked("a list of metrics") | None,
        weighted_metrics=Checked("a list of metrics") | None,
    )  # fmt: skip
    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None, weighted_metrics: Any = None,
    ) -> None:  # fmt: skip
        """Choose how the model is trained.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as ``"adam"`` or ``si.optim.SGD(0.1)``.
        loss : str, Loss or callable; with several outputs a list, or a dict by the outputs' names
            Such as ``"sparse_categorical_crossentropy"``.
        loss_weights : list or dict of float, optional
            What the outputs' losses are multiplied by before they are added.
        metrics, weighted_metrics : list of str, Metric or callable, optional
            Such as ``["accuracy"]``; with several outputs a list of lists, or a dict. The weighted ones take the sample weights.

        Raises
        ------
        ArgumentError
            For a name that does not exist.

        Examples
        --------
        >>> import insitu as si
        >>> model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        """
        settings = Settings(loss, loss_weights, metrics, weighted_metrics)
        settings.check_outputs(self.fixed_output_names())
        self.optimizer, self.settings = optimizer, settings
        self._forget_steps()

    def _forget_steps(self) -> None:
        """Let the model be looked at anew before the next training or test."""
        self._prepared.clear()
        self._steps.clear()

    @property
    def loss(self) -> Any:
        """The loss that `compile` was given; None before."""
        return None if self.settings is None else self.settings.loss

    @property
    def metrics(self) -> list[Any]:
        """The metrics of the steps that were compiled last; empty before the model has seen targets."""
        return list(self._steps.values())[-1].objectives.all_metrics if self._steps else []

    def check_compiled(self, function: str) -> tuple[Settings, optim.Optimizer]:
        """What `compile` was given.

        Raises
        ------
        ArgumentError
            If it was not called with a loss, or the class has steps of its own, as in Keras.
        """
        checks.own_steps(self, function)
        if self.settings is None or self.settings.loss is None or self.optimizer is None:
            raise ArgumentError(
                f'{function}: the model "{self.name}" has no loss yet.',
                expected="a model on which compile was called with a loss",
                received="no call of compile" if self.settings is None else "compile without a loss",
                fix='model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])',
                slug="fit-not-compiled",
            )
        return self.settings, self.optimizer

    @property
    def order(self) -> si.random.Generator:
        """The generator of the orders in which `fit` takes the examples, kept in files; made from the default one."""
        if self._order is None:
            self._order = si.random.default_generator().spawn(1)[0]
        return self._order

    # -- shapes --------------------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Make all weights for inputs of that shape, by tracing ``call`` once.

        Parameters
        ----------
        input_shape : tuple, or list or dict of tuples
            With the batch axis, whose length is None: ``(None, 784)``.
        """
        infer(self.call, input_shape, self._dtypes or self.dtype)
        settle(self.weights)

    @checked(x=INPUTS, more=Checked("further arguments of call"), training=FLAG | None)
    def __call__(self, x: Any, *more: Any, training: bool | None = None, **options: Any) -> Any:
        x = self.arranged(x)
        if not self.built and not functional.has_symbols(x):
            self._dtypes = self._kinds(x)
        return super().__call__(x, *more, training=training, **options)

    def _kinds(self, x: Any) -> list[Any]:
        """The dtype in which each input reaches ``call``: floating ones are converted to the model's."""
        kinds = [a.dtype if isinstance(a, si.Array) else si.as_dtype(np.asarray(a).dtype) for a in flatten(x)[0]]
        return [self.dtype if k.is_float else k for k in kinds]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, for losses, metrics and targets in dicts; known once the model has seen data."""
        return self._names

    def fixed_output_names(self) -> list[str]:
        """The outputs' names if they are known and stay as they are; else none."""
        return []

    def prepared(self, x: Any) -> Prepared:
        """Build for these examples, a tree of NumPy arrays, and see that the model can take them.

        What was inferred is remembered for examples of equal form; what depends on the numbers is looked at each time.
        """
        inputs = self.arranged(x)
        leaves, structure = flatten(inputs)
        form = structure, tuple([(a.shape[1:], a.dtype) for a in leaves])
        layers, weights = self._layers_and_trainable()
        found = self._prepared.get((form, *layers, *weights))
        if found is None:
            shapes, self._dtypes = batch_shape(inputs), self._kinds(inputs)
            self.prepare(shapes)
            self.check_fit(shapes)
            self.check_values(inputs)
            specs = infer(self, shapes, self._dtypes)
            outputs = tuple([spec.shape for spec in flatten(specs)[0]])
            names = sorted(specs) if isinstance(specs, dict) else [f"output_{i + 1}" for i in range(len(outputs))]
            layers, weights = self._layers_and_trainable()  # all are there by now
            found = self._prepared[form, *layers, *weights] = Prepared(self._dtypes, names, outputs, tuple(weights))
        else:
            self.check_values(inputs)
        self._dtypes, self._names = found.dtypes, found.names
        return found

    def arranged(self, x: Any) -> Any:
        """The inputs in the form that ``call`` takes."""
        return x

    def steps_for_targets(self, y: Any, prepared: Prepared, function: str) -> Steps:
        """The compiled steps for targets of these shapes (which decide what "accuracy" means)."""
        settings, optimizer = self.check_compiled(function)
        names, outputs = self.output_names, prepared.outputs
        targets = [None if t is None else (None, *t.shape[1:]) for t in target_leaves(y, names, function)]
        key = (tuple(targets), outputs, prepared.trainable)
        found = self._steps.get(key)
        if found is None:
            found = self._steps[key] = Steps(self, Objectives(settings, names, targets, outputs), optimizer)
        return found

    # -- fit ---------------------------------------------------------------------------------------
    @checked(**_FITTING)
    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto", callbacks: Any = None,
        validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True, class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None, validation_steps: int | None = None,
        validation_batch_size: int | None = None, validation_freq: int = 1, nan: str = "raise",
    ) -> Any:  # fmt: skip
        """Train. Before the first step everything is checked, as by `check`.

        Parameters
        ----------
        x : array_like, list or dict of these, data frame, generator, `insitu.data.Dataset`, or any iterable of batches
            Arrays have shape (examples, ...). Batches are ``(x, y)`` or ``(x, y, sample_weight)``.
        y : array_like, list or dict of these, optional
            Targets, one for each example; not with batches, which bring their own.
        batch_size : int, optional
            Examples per step, 32 by default; the last batch of an epoch may be smaller.
        epochs : int
            Number of the epoch to stop after, counted from 1.
        verbose : "auto", 0, 1 or 2
            0 shows nothing, 1 a live line (in a pipe: a line per epoch), 2 the report of `check`, then a line per epoch.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the examples, taken from the end before shuffling, that is only used for testing after each epoch.
        validation_data : (x, y), (x, y, sample_weight) or batches, optional
            What to test on after each epoch; replaces ``validation_split``.
        shuffle : bool
            Whether each epoch takes arrays in a new random order (see `insitu.random.seed`).
        class_weight : dict of int to float, optional
            Factor on the loss of each class; 1 for classes it does not name.
        sample_weight : array_like, optional
            Factor on the loss of each example.
        initial_epoch : int
            Epochs done before, when training goes on.
        steps_per_epoch, validation_steps : int, optional
            Batches in an epoch, and in a validation; default: all.
        validation_batch_size : int, optional
            Default: ``batch_size``.
        validation_freq : int
            Validate after every so many epochs.
        nan : "raise", "warn" or "ignore"
            What NaN or an infinity in the data, and a loss that is none or one, do: stop with an error that names the cause,
            tell it once as a warning and train on, or nothing.

        Returns
        -------
        History
            ``history.history["loss"]``, ``["accuracy"]``, ``["val_loss"]``, ...: one float per epoch.

        Raises
        ------
        UserError
            Before the first step, if model, data, loss and callbacks do not fit; after a step whose loss is no finite number.

        Examples
        --------
        >>> import insitu as si
        >>> (x, y), _ = si.data.digits()
        >>> model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = model.fit(x, y, epochs=2, verbose=0)
        >>> history.history["loss"][0] > history.history["loss"][1]
        True
        """
        from insitu.nn import fitting, planning

        started = time.perf_counter()
        given = (x, y, sample_weight, class_weight, validation_split, validation_data)
        options = {
            "batch_size": batch_size, "epochs": epochs, "verbose": verbose, "callbacks": callbacks, "shuffle": shuffle,
            "initial_epoch": initial_epoch, "steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size, "validation_freq": validation_freq, "nan": nan,
        }  # fmt: skip
        return fitting.Fit(planning.Plan(self, given, options), started).run()

    @checked(**_FITTING)
    def check(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto", callbacks: Any = None,
        validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True, class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None, validation_steps: int | None = None,
        validation_batch_size: int | None = None, validation_freq: int = 1, nan: str = "raise",
    ) -> Any:  # fmt: skip
        """See whether `fit` with these arguments can work, as `fit` itself does before its first step; nothing is trained or compiled.

        The steps of training and validation are traced for all shapes that will come, metrics and callbacks are put together,
        and all inputs and targets are looked at once: up to 256 MiB of floating-point numbers of each array, evenly spread pieces of
        more. Of generators and data sets the first batch is looked at; `fit` still trains on it. Files that callbacks will write must be
        writable and have room on the disk, and a training step must have room in memory.

        Parameters
        ----------
        x, y, batch_size, epochs, callbacks, validation_split, validation_data, shuffle, class_weight, sample_weight
            As for `fit`, like all that follow.
        verbose : "auto", 0, 1 or 2
            0 returns the report without printing it.
        initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq, nan

        Returns
        -------
        Report
            Layers with their shapes, parameters, FLOPs and bytes; what a training step needs; what was seen of the data.

        Raises
        ------
        UserError
            As `fit` would before its first step.

        Examples
        --------
        >>> import insitu as si
        >>> (x, y), _ = si.data.digits()
        >>> model = si.nn.Sequential([si.nn.Flatten(name="row"), si.nn.Dense(10, activation="softmax", name="digits")], name="small")
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> report = model.check(x, y, epochs=2, verbose=0)
        >>> report.parameters, report.steps
        (650, 46)
        >>> for row in report.rows:
        ...     print(row.name, row.shape, row.flops)
        row (batch, 64) 0
        digits (batch, 10) 1290
        """
        from insitu.nn import planning
        from insitu.output import say

        given = (x, y, sample_weight, class_weight, validation_split, validation_data)
        options = {
            "batch_size": batch_size, "epochs": epochs, "verbose": verbose, "callbacks": callbacks, "shuffle": shuffle,
            "initial_epoch": initial_epoch, "steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size, "validation_freq": validation_freq, "nan": nan,
        }  # fmt: skip
        plan = planning.Plan(self, given, options)
        plan.keep_first_batches(x, validation_data)
        if plan.options["verbose"]:
            say(str(plan.report))
        return plan.report

    @checked(
        x=DATA | None, y=DATA | None, batch_size=BATCH_SIZE | None, verbose=VERBOSE, sample_weight=WEIGHTS, steps=STEPS | None,
        callbacks=CALLBACKS, return_dict=FLAG,
    )  # fmt: skip
    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto", sample_weight: Any = None,
        steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss and metrics of a data set.

        Parameters
        ----------
        x, y, sample_weight
            As for `fit`.
        batch_size : int, optional
        verbose : "auto", 0, 1 or 2
        steps : int, optional
            Stop after so many batches.
        callbacks : list of Callback, optional
        return_dict : bool
            Whether to return a dict instead of a list.

        Returns
        -------
        float, list of float, or dict
            The loss; with metrics ``[loss, metric, ...]``.

        Raises
        ------
        UserError
            If model, data and loss do not fit.
        """
        from insitu.nn import fitting

        return _as_result(fitting.evaluate(self, x, y, sample_weight, batch_size, verbose, steps, callbacks), return_dict)

    @checked(x=DATA, batch_size=BATCH_SIZE | None, verbose=VERBOSE, steps=STEPS | None, callbacks=CALLBACKS)
    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None, callbacks: Any = None) -> Any:
        """The model's outputs. An example gives the same bits alone and in any batch.

        Parameters
        ----------
        x : as for `fit`, without targets
        batch_size : int, optional
        verbose : "auto", 0, 1 or 2
        steps : int, optional
            Stop after so many batches.
        callbacks : list of Callback, optional

        Returns
        -------
        numpy.ndarray, or tree of these
            Shape (examples, ...).

        Raises
        ------
        UserError
            If the examples do not fit the model.
        """
        from insitu.nn import fitting

        return fitting.predict(self, x, batch_size, verbose, steps, callbacks)

    def forward(self, x: Any) -> Any:
        """The outputs of one batch, by a compiled program."""
        if self._forward is None or any(v._node is not value for v, value in self._forward.constants.items()):
            values = {v: v.node for v in self.weights} if self.constant_weights else {}
            evaluate_nodes([*values.values()])
            # who holds a variable's node keeps others from writing over its value: it stays what it is, or the variable gets another node
            self._forward = CompiledFunction(lambda x: self(x, training=False), values)
            self._forward.__name__ = f'the prediction of "{self.name}"'
        return self._forward(x)

    @checked(x=Checked("a batch of inputs, or None"), tolerance=NOT_NEGATIVE)
    def optimize_for_inference(self, x: Any = None, tolerance: float = 1e-3) -> Model:
        """A copy of the model that predicts faster: batch normalizations become part of the layers that they follow, weights are constants.

        A `BatchNormalization` right behind a convolution (also depthwise, separable or transposed) or a `Dense` layer without an
        activation is only a factor and a shift for each channel outside of training, which its kernel and bias take in.
        Models inside are folded, too. The outputs of the copy are compared with those of this model. `predict` never folds by itself.

        `predict` of the copy lays out its weights once in the order in which products read them, which takes their memory again;
        if one is changed, it does so again.

        Parameters
        ----------
        x : array_like, or list or dict of these, optional
            A batch to compare on; default: 4 examples of normal numbers.
        tolerance : float
            How far an output may be from what it was, as a share of the largest value of that output in the batch.

        Returns
        -------
        Model
            With weights of its own, not compiled; this model stays as it is. Its batch normalizations are no longer trained.

        Raises
        ------
        ArgumentError
            If the model is neither `Sequential` nor functional, is not built, or an output differs by more than the tolerance.

        Examples
        --------
        >>> import insitu as si
        >>> model = si.nn.Sequential([si.nn.Conv2D(4, 3), si.nn.BatchNormalization(), si.nn.ReLU()])
        >>> model.build((None, 8, 8, 1))
        >>> [type(layer).__name__ for layer in model.optimize_for_inference().layers]
        ['Conv2D', 'ReLU']
        """
        from insitu.nn.inference import optimized

        return optimized(self, x, tolerance)

    # -- single batches ------------------------------------------------------------------------------
    @checked(x=DATA, y=DATA | None, sample_weight=WEIGHTS, class_weight=CLASS_WEIGHT, return_dict=FLAG)
    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False) -> Any:
        """One step on one batch; returns loss and metrics of that batch before the step, as `evaluate` does."""
        from insitu.nn import fitting

        return _as_result(fitting.train_on_batch(self, x, y, sample_weight, class_weight), return_dict)

    @checked(x=DATA, y=DATA | None, sample_weight=WEIGHTS, return_dict=FLAG)
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        from insitu.nn import fitting

        return _as_result(fitting.test_on_batch(self, x, y, sample_weight), return_dict)

    @checked(x=DATA)
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs of one batch, as NumPy arrays."""
        from insitu.nn import fitting

        return fitting.predict_on_batch(self, x)

    # -- files and tables --------------------------------------------------------------------------
    @checked(path=FILE, include_optimizer=FLAG)
    def save(self, path: Any, include_optimizer: bool = True) -> None:
        """Write architecture, weights and the state of training to one file; `insitu.load` reads it.

        Parameters
        ----------
        path : str or path
        include_optimizer : bool
            Whether to keep loss, metrics, optimizer and random state, so that training can go on from the file.

        Raises
        ------
        FileFormatError
            If the file cannot be written; an older file of that name stays intact.
        """
        from insitu.io.files import save_content
        from insitu.nn.saving import model_to_file

        save_content(path, *model_to_file(self, include_optimizer))

    @checked(path=FILE)
    def save_weights(self, path: Any) -> None:
        """Write the weights alone to a safetensors file, under their names."""
        from insitu.nn.saving import save_weights

        save_weights(self, path)

    @checked(path=Path(slug="load-path", fix="pass the file's name"))
    def load_weights(self, path: Any) -> None:
        """Read weights from a file of `save_weights` or `save`, or of any program that writes safetensors with these names.

        Files of Keras (``.weights.h5``, or older ones that end with ``.h5``) are read by the names and places of the layers; they need
        h5py: ``pip install 'insitu[keras]'``.

        Raises
        ------
        ShapeError
            If names or shapes differ; nothing is changed then.
        FileFormatError
            If the file cannot be read.
        ArgumentError
            If h5py is needed and missing.
        """
        from insitu.nn.saving import load_weights

        load_weights(self, path)

    def to_file_content(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Tensors and metadata of the file that `save` writes."""
        from insitu.nn.saving import model_to_file

        return model_to_file(self)

    def training_state(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Tensors and metadata from which `fit` can go on at this very step: see `BackupAndRestore`."""
        from insitu.nn.saving import training_state

        return training_state(self)

    def set_training_state(self, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
        """Go on from what `training_state` gave; to be called in ``on_train_begin``."""
        from insitu.nn.saving import set_training_state

        set_training_state(self, tensors, metadata)

    @checked(print_fn=FUNCTION)
    def summary(self, print_fn: Any = print) -> None:
        """Show a table of the layers, their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable
            Takes the text.
        """
        from insitu.nn.summary import table

        print_fn(table(self))

    @checked(name=TEXT | None, index=WHOLE | None)
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its number.

        Raises
        ------
        ArgumentError
            If there is none.
        """
        if index is not None and -len(self.layers) <= index < len(self.layers):
            return self.layers[index]
        if index is not None:
            raise ArgumentError(
                f'"{self.name}" has no layer of number {index}.',
                expected=f"a number from 0 to {len(self.layers) - 1}, or from the end: -1 is the last",
                received=f"index={index!r}",
                fix="see model.summary()",
                slug="layer-unknown",
                argument="index",
            )
        return registry.find("layer", {layer.name: layer for layer in self.layers}, name, "see model.summary()")

    def __getstate__(self) -> dict[str, Any]:
        # compiled programs and a running fit stay behind: they are made again when they are needed
        return {**super().__getstate__(), "_prepared": {}, "_steps": {}, "_forward": None, "now_fitting": None, "history": None}


class Functional(Model):
    """A graph of layers, from ``Model(inputs, outputs)``.

    Parameters
    ----------
    inputs, outputs : Symbol, or list or dict of these
    name : str, optional

    Raises
    ------
    ArgumentError
        If an output does not follow from the inputs, or two layers have one name.
    """

    @checked(inputs=SYMBOLS, outputs=SYMBOLS)
    def __init__(self, inputs: Any, outputs: Any, **options: Any) -> None:
        super().__init__(**options)
        self.inputs, self.outputs = functional.check_symbols(inputs, "inputs"), functional.check_symbols(outputs, "outputs")
        self._input_tree, self._output_tree = inputs, outputs
        met, self._calls = functional.search(self.inputs, self.outputs)
        self._in_order = functional.layers_of(met, self._calls)
        checks.names_differ(self.layers, self.name)
        self.input_shape, self.built = map_leaves(lambda s: s.shape, inputs), True
        settle(self.weights)

    @property
    def layers(self) -> list[Layer]:
        return list(self._in_order)

    @property
    def output_names(self) -> list[str]:
        if isinstance(self._output_tree, dict):
            return sorted(self._output_tree)
        return [s.name for s in self.outputs]

    def fixed_output_names(self) -> list[str]:
        return self.output_names

    @property
    def input(self) -> Any:
        """The model's own input: a symbol or a tree of symbols."""
        return self._input_tree

    @property
    def output(self) -> Any:
        """The model's own output: a symbol or a tree of symbols."""
        return self._output_tree

    @property
    def output_shape(self) -> Any:
        """Shape of the output, or a tree of shapes."""
        return map_leaves(lambda s: s.shape, self._output_tree)

    def arranged(self, x: Any) -> Any:
        found = functional.arrange(self._input_tree, x, self.name)
        return unflatten(flatten(self._input_tree)[1], found)

    def check_input(self, shape: Any) -> None:
        checks.inputs_fit(shape, self.inputs, self.name)

    def check_values(self, x: Any) -> None:
        values = dict(zip(self.inputs, flatten(x)[0], strict=True))
        for call in self._calls:
            found = call.arguments[0] if len(call.arguments) == 1 else None
            if isinstance(found, functional.Symbol) and found in values:
                call.layer.check_values(values[found])

    def call(self, x: Any, training: bool = False) -> Any:
        return functional.run(self._calls, self.inputs, self._output_tree, flatten(x)[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **functional.to_config(self._calls, self._input_tree, self._output_tree, serialize)}

    @classmethod
    @checked(config=CONFIG)
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        inputs, outputs = functional.from_config(config, deserialize)
        graph = ("inputs", "input_tree", "layers", "calls", "output_tree")
        return Functional(inputs, outputs, **{k: v for k, v in config.items() if k not in graph})

    def __reduce__(self) -> Any:
        # symbols and calls are told apart by identity, so pickling goes by the state and rebuilds that as a whole;
        # the calls come first, each after those it needs, so that however deep the graph is, the walk over it is not
        return (_blank_functional, (), {"_calls": self._calls, **self.__getstate__()})

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        for call in self._calls:
            functional.calls_of(call.layer).append(call)


def _blank_functional() -> Functional:
    return object.__new__(Functional)


def _as_result(logs: Logs, as_dict: bool) -> Any:
    values = list(logs.values())
    return logs if as_dict else values if len(values) > 1 else values[0]
