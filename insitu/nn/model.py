"""`Model`: a layer that can be trained, tested, asked, saved and shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import insitu as si
from insitu import optim
from insitu.errors import ArgumentError
from insitu.nn import checks, losses, metrics, progress
from insitu.nn.history import History
from insitu.nn.layer import Layer, Shape
from insitu.nn.metrics import known as known_metric
from insitu.nn.training import Steps, run_predict


class Model(Layer):
    """Base class of models; see `Sequential`.

    Attributes
    ----------
    optimizer : Optimizer or None
    loss : Loss or None
        Both None before `compile`.
    """

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name, trainable)
        self.optimizer: optim.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metric_identifiers: list[Any] = []
        self._steps: dict[Any, Steps] = {}
        self._forward: Any = None

    # -- compile -----------------------------------------------------------------------------------
    def compile(self, optimizer: Any = "sgd", loss: Any = None, metrics: Sequence[Any] | None = None) -> None:
        """Choose how the model is trained.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as ``"adam"`` or ``si.optim.SGD(0.1)``.
        loss : str, Loss or callable
            Such as ``"sparse_categorical_crossentropy"``.
        metrics : list of str, Metric or callable, optional
            Such as ``["accuracy"]``.

        Raises
        ------
        ArgumentError
            For a name that does not exist.

        Examples
        --------
        >>> import insitu as si
        >>> model = si.nn.Sequential([si.nn.Dense(2, activation="softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
        """
        chosen = [metrics] if isinstance(metrics, str) else list(metrics or [])
        for m in chosen:
            known_metric(m)
        new_optimizer, new_loss = optim.get(optimizer), None if loss is None else losses.get(loss)
        self.optimizer, self.loss, self.metric_identifiers = new_optimizer, new_loss, chosen
        self._steps.clear()

    def _compiled(self, function: str) -> tuple[optim.Optimizer, losses.Loss]:
        if self.optimizer is None or self.loss is None:
            raise ArgumentError(
                f'{function}: the model "{self.name}" has no loss yet.',
                expected="a model on which compile was called with a loss",
                received="no call of compile" if self.optimizer is None else "compile without a loss",
                fix='model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])',
                slug="fit-not-compiled",
            )
        return self.optimizer, self.loss

    def _steps_for(self, y: checks.Examples, output: Shape, function: str) -> Steps:
        """The compiled steps for targets of that rank (which decides what "accuracy" means)."""
        optimizer, loss = self._compiled(function)
        target = (None, *y.shape[1:])
        found = self._steps.get(target)
        if found is None:
            chosen = [metrics.get(m, target, output) for m in self.metric_identifiers]
            found = self._steps[target] = Steps(self, loss, chosen, optimizer)
        return found

    def _prepared(self, x: checks.Examples) -> Shape:
        """Build for these examples and give the output's shape."""
        shape = (None, *x.shape[1:])
        self.prepare(shape)
        return self.compute_output_shape(shape)

    # -- fit ---------------------------------------------------------------------------------------
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: Any = "auto",
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : array_like, shape (examples, ...)
        y : array_like, shape (examples, ...)
        batch_size : int
            Examples per step; the last batch of an epoch may be smaller.
        epochs : int
            Passes over the data.
        verbose : "auto", 0, 1 or 2
            0 shows nothing, 1 a live line (in a pipe: a line per epoch), 2 a line per epoch.
        validation_split : float
            Share of the examples, taken from the end before shuffling, that is only used for testing after each epoch.
        validation_data : pair of array_like, optional
            ``(x, y)`` to test on after each epoch; replaces ``validation_split``.
        shuffle : bool
            Whether each epoch takes the examples in a new random order (see `insitu.random.seed`).

        Returns
        -------
        History
            ``history.history["loss"]``, ``["accuracy"]``, ``["val_loss"]``, ...: one float per epoch.

        Raises
        ------
        UserError
            Before the first step, if model, data and loss do not fit.

        Examples
        --------
        >>> import insitu as si
        >>> (x, y), _ = si.data.digits()
        >>> model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(10, activation="softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        >>> history = model.fit(x, y, epochs=2, verbose=0)
        >>> history.history["loss"][0] > history.history["loss"][1]
        True
        """
        started = time.perf_counter()
        optimizer, loss = self._compiled("fit")
        batch = checks.whole_number(32 if batch_size is None else batch_size, "fit", "batch_size", 1)
        rounds = checks.whole_number(epochs, "fit", "epochs", 1)
        shown = progress.level(verbose, "fit")
        inputs, targets = checks.pair(x, y, "fit")
        held_out = None
        if validation_data is not None:
            held_out = checks.pair(*checks.validation_pair(validation_data), "fit", ("validation x", "validation y"))
        elif validation_split:
            (inputs, targets), held_out = checks.split(inputs, targets, validation_split)
        output = self._prepared(inputs)
        targets = checks.targets(targets, output, loss, "fit")
        if held_out is not None:
            self.check_input((None, *held_out[0].shape[1:]))
            held_out = (held_out[0], checks.targets(held_out[1], self.compute_output_shape((None, *held_out[0].shape[1:])), loss, "fit"))
        steps = self._steps_for(targets, output, "fit")
        optimizer.build(self.trainable_weights)
        steps.first_step_at = None
        history = History(epochs=rounds, steps=-(-len(inputs) // batch), verbose=shown)
        with progress.Progress(shown, rounds, len(inputs), batch) as line:
            for epoch in range(rounds):
                line.begin(epoch)
                logs = steps.run_epoch(inputs, targets, batch, bool(shuffle), line.look)
                line.trained()
                if held_out is not None:
                    tested = self._steps_for(held_out[1], output, "fit").run_test(*held_out, batch, _nothing)
                    logs |= {f"val_{name}": value for name, value in tested.items()}
                history.first_step_seconds = (steps.first_step_at or started) - started
                history.add(epoch, logs)
                line.end(logs)
        return history

    def evaluate(self, x: Any, y: Any = None, batch_size: int | None = 32, verbose: Any = "auto", return_dict: bool = False) -> Any:
        """Loss and metrics of a data set.

        Parameters
        ----------
        x, y : array_like, shape (examples, ...)
        batch_size : int
        verbose : "auto", 0, 1 or 2
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
        _, loss = self._compiled("evaluate")
        batch = checks.whole_number(32 if batch_size is None else batch_size, "evaluate", "batch_size", 1)
        shown = progress.level(verbose, "evaluate")
        inputs, targets = checks.pair(x, y, "evaluate")
        output = self._prepared(inputs)
        self.check_input((None, *inputs.shape[1:]))
        targets = checks.targets(targets, output, loss, "evaluate")
        with progress.Progress(shown, 0, len(inputs), batch) as line:
            logs = self._steps_for(targets, output, "evaluate").run_test(inputs, targets, batch, line.look)
            line.end(logs)
        if return_dict:
            return logs
        values = list(logs.values())
        return values if len(values) > 1 else values[0]

    def predict(self, x: Any, batch_size: int | None = 32) -> np.ndarray[Any, Any]:
        """The model's outputs. An example gives the same bits alone and in any batch.

        Parameters
        ----------
        x : array_like, shape (examples, ...)
        batch_size : int

        Returns
        -------
        numpy.ndarray
            Shape (examples, ...).

        Raises
        ------
        UserError
            If the examples do not fit the model.
        """
        batch = checks.whole_number(32 if batch_size is None else batch_size, "predict", "batch_size", 1)
        inputs = checks.examples(x, "predict", "x")
        output = self._prepared(inputs)
        self.check_input((None, *inputs.shape[1:]))
        if self._forward is None:
            self._forward = si.compile(self._predict_step)
        return run_predict(self._forward, inputs, batch, output)

    def _predict_step(self, x: si.Array) -> Any:
        return self(x)

    # -- files and tables --------------------------------------------------------------------------
    def save(self, path: Any) -> None:
        """Write architecture, weights and the state of training to one file; `insitu.load` reads it.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FileFormatError
            If the file cannot be written; an older file of that name stays intact.
        """
        si.save(path, self)

    def to_file_content(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Tensors and metadata of the file that `save` writes."""
        from insitu.nn.saving import model_to_file

        return model_to_file(self)

    def summary(self, print_fn: Any = print) -> None:
        """Show a table of the layers, their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable
            Takes the text.
        """
        from insitu.nn.summary import table

        print_fn(table(self))

    @property
    def layers(self) -> list[Layer]:
        """The layers the model consists of."""
        return []

    @property
    def weights(self) -> list[si.Variable]:
        return [*self._weights, *[w for layer in self.layers for w in layer.weights]]

    @property
    def trainable_weights(self) -> list[si.Variable]:
        if not self.trainable:
            return []
        return [*[w for w in self._weights if w.trainable], *[w for layer in self.layers for w in layer.trainable_weights]]


def _nothing(done: int, logs: dict[str, float]) -> None:
    """Nothing to show."""
