"""`Plan`: what `Model.fit` is about to do, found possible before the first step, by shape inference and one look at the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu.arguments import written
from insitu.array.array import Array
from insitu.array.evaluate import keep_history
from insitu.array.tree import flatten, map_leaves
from insitu.array.variable import Trace, traces
from insitu.data.batches import remember
from insitu.data.examples import len_of, named_leaves
from insitu.data.feed import Arrays, Batches
from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, DataWarning, UserError, warn
from insitu.graph import cost
from insitu.graph.node import Node, aval, placeholder, topological
from insitu.graph.origins import Origins, record
from insitu.nn import activations, checks, context, fitting, progress
from insitu.nn.callbacks import CallbackList
from insitu.nn.callbacks.files import check_files
from insitu.nn.looks import Look, holds_fractions, look
from insitu.nn.objectives import target_leaves
from insitu.nn.report import Report, Row, size_text
from insitu.nn.sources import check_end, epoch_extent, extent
from insitu.nn.training import Steps
from insitu.runtime import system

if TYPE_CHECKING:
    from insitu.nn.model import Model

Data = Arrays | Batches


class Plan:
    """A training that was found possible: nothing was compiled for it, and no step has run.

    Model, data, losses, metrics and callbacks are put together and the steps of training and testing traced for the shapes
    that will come, so that whatever does not fit is told now. All inputs and targets are looked at, up to
    `looks.LOOK_BYTES`; of batches that come one by one the first, which is still trained on.

    Parameters
    ----------
    model : Model
    given : tuple
        ``x, y, sample_weight, class_weight, validation_split, validation_data`` as `fit` was given them.
    arguments : dict
        The other arguments of `fit`.

    Attributes
    ----------
    training, held_out : Arrays or Batches
        ``held_out`` is None without validation.
    options : dict
        The arguments as they were checked.
    steps, test_steps : Steps
    callbacks : CallbackList
    written : list of Variable
        What a training step changes.
    report : Report

    Raises
    ------
    UserError
        If something does not fit.
    """

    def __init__(self, model: Model, given: tuple[Any, ...], arguments: Mapping[str, Any]) -> None:
        begin = time.perf_counter()
        model.check_compiled("fit")
        self.model, self.options = model, options_of(arguments)
        self.training, self.held_out = fitting.prepare_fit(*given)
        self.test_steps: Steps | None = None
        with context.planning():
            self.steps = fitting.steps_for(model, self.training, "fit")
            if (held_out := self.held_out) is not None:
                self.test_steps = _in_validation(lambda: fitting.steps_for(model, held_out, "fit"))
            self.steps.optimizer.build(model.trainable_weights)
            self._check_passes()
            self._look(given[3])
            params = {"epochs": self.options["epochs"], "steps": self.extent[0], "verbose": self.options["verbose"]}
            self.callbacks = CallbackList(self.options["callbacks"], model, params, add_history=True, displayed=True)
            self.callbacks.check_names(self.log_names)
            self.report = self._traced()
            self._check_memory()
            self.report.files = check_files(self.callbacks.callbacks, self)
        self.report.seconds = time.perf_counter() - begin

    # -- what is planned -----------------------------------------------------------------------------
    @property
    def extent(self) -> tuple[int | None, int | None]:
        """Steps and examples of an epoch; None where they are not known."""
        return epoch_extent(self.training, self.options["batch_size"], self.options["steps_per_epoch"])

    @property
    def epochs(self) -> int:
        """How many are to be trained."""
        options: dict[str, int] = self.options
        return max(options["epochs"] - options["initial_epoch"], 0)

    @property
    def log_names(self) -> list[str]:
        """What the logs of an epoch will have."""
        own, test = self.steps.names, [] if self.test_steps is None else self.test_steps.names
        return [*own, *[f"val_{name}" for name in test]]

    @property
    def validations(self) -> int:
        """How often there is one."""
        return self.validations_before(self.options["epochs"])

    def validations_before(self, epoch: int) -> int:
        """How often there has been one when an epoch begins."""
        each = range(self.options["initial_epoch"], epoch)
        return 0 if self.held_out is None else sum((e + 1) % self.options["validation_freq"] == 0 for e in each)

    def keep_first_batches(self, x: Any, validation_data: Any) -> None:
        """Let a later `fit` on the same generators begin with the batches that were looked at."""
        for source, data in ((x, self.training), (validation_data, self.held_out)):
            if isinstance(data, Batches):
                remember(source, data)

    # -- passes over the data ------------------------------------------------------------------------
    def _check_passes(self) -> None:
        options, epochs = self.options, self.epochs
        check_end(self.training, options["steps_per_epoch"], "fit", "steps_per_epoch")
        if self.held_out is not None:
            check_end(self.held_out, options["validation_steps"], "fit", "validation_steps", "validation_data")
        if isinstance(self.training, Batches) and not self.training.restartable and epochs > 1 and options["steps_per_epoch"] is None:
            raise _one_pass(epochs, "epochs", "x", "pass steps_per_epoch, or")
        if isinstance(self.held_out, Batches) and not self.held_out.restartable and self.validations > 1 and options["validation_steps"] is None:
            raise _one_pass(self.validations, "validations", "validation_data", "pass validation_steps or arrays, or")
        asked = options["batch_size_given"]
        if isinstance(self.training, Arrays) and asked is not None and asked > self.training.count:
            error = ArgumentError(
                f"fit: a batch is larger than the data, so that each epoch is one step on all {self.training.count} examples.",
                expected=f"batch_size up to {self.training.count}",
                received=f"batch_size={asked}",
                fix="pass a smaller batch_size, or leave it out",
                slug="batch-larger",
                argument="batch_size",
            )
            warn(error, DataWarning)

    # -- one look ------------------------------------------------------------------------------------
    def _look(self, class_weight: Any) -> None:
        seen = _looks(self.training, "x", "y")
        tested = {} if self.held_out is None else _looks(self.held_out, "validation x", "validation y")
        if self.options["nan"] == "raise":
            for name, (array, found) in {**seen, **tested}.items():
                if found.bad is not None:
                    raise _not_finite(name, array, found.bad)
        self._check_labels(self.training, self.steps, class_weight)
        held_out, test = self.held_out, self.test_steps
        if held_out is not None and test is not None:
            _in_validation(lambda: self._check_labels(held_out, test, None))
        self._seen = {**seen, **tested}
        for (name, (_, here)), (there_name, (_, there)) in zip(seen.items(), tested.items(), strict=False):
            if name.startswith("x") and here.low >= -2 and here.high <= 2 and there.high >= 64 and there.low >= 0:
                error = ArgumentError(
                    "fit: the examples for validation are not scaled as those for training.",
                    expected=f"numbers from {here.low:g} to {here.high:g}, as in {name}",
                    received=f"{there_name}: from {there.low:g} to {there.high:g}",
                    fix="scale both in the same way: x_valid / 255.0" if there.high <= 255 else "scale both in the same way",
                    slug="validation-scale",
                    argument="validation_data",
                )
                warn(error, DataWarning)

    def _check_labels(self, data: Data, steps: Steps, class_weight: Any) -> None:
        targets = target_leaves(data.peek()[1], self.model.output_names, "fit")
        checks.labels(targets, steps.objectives.outputs, steps.objectives.losses, "fit")
        checks.truth_values(targets, steps.objectives.losses)
        checks.class_weights(class_weight, steps.objectives.outputs, steps.objectives.losses)

    # -- shape inference -----------------------------------------------------------------------------
    def _traced(self) -> Report:
        """Trace the steps for all lengths of batches that come; the report of the first."""
        model, batch = self.model, self.options["batch_size"]
        full, *rest = _lengths(self.training, batch)
        with activations.remember_logits() as logits, record() as origins:
            inputs, trace = _trace(self.steps._train, self.training, full)
        for n in rest:
            _trace(self.steps._train, self.training, n)
        if self.held_out is not None and self.test_steps is not None:
            test, data = self.test_steps, self.held_out
            n = _lengths(data, self.options["validation_batch_size"])[0]
            skip = Array(placeholder(aval((), as_dtype("int64"))))
            _in_validation(lambda: _trace(lambda x, y, weight: test._test(x, y, weight, skip), data, n))
        self.written = trace.written
        self._outputs = [trace.now[v] for v in trace.written]
        order = topological(self._outputs)
        found = origins.results.get(model, [[]])[0]
        checks.logits(found, logits, self.steps.objectives.losses, model.output_names)
        checks.broadcasts(order, origins, found, full)
        self._check_images(inputs, order)
        return self._report(order, origins, full)

    def _check_images(self, inputs: Sequence[Node], order: Sequence[Node]) -> None:
        """Warn if bytes of images reach the weights as they are."""
        users: dict[Node, list[Node]] = {}
        for n in order:
            for i in n.inputs:
                users.setdefault(i, []).append(n)
        leaves = [(name, *self._seen[name]) for name in self._seen if name.split("[")[0] == "x"]
        for (name, array, found), node in zip(leaves, inputs, strict=False):
            pixels = array.ndim > 2 or (array.ndim == 2 and array.shape[1] >= 64)
            if pixels and found.low >= 0 and 64 <= found.high <= 255 and not holds_fractions(array) and _meets_weights(node, users):
                error = ArgumentError(
                    f"fit: {name} looks like images with a byte for each value, which reach the first weights unscaled.",
                    expected="numbers of the size of 1, such as from 0 to 1: with larger ones training is slow or diverges",
                    received=f"{name}: {array.shape} {array.dtype}, from {found.low:g} to {found.high:g}",
                    fix=f"divide by 255: {name} / 255.0, in the data for validation and prediction, too",
                    slug="data-unscaled",
                    argument="x",
                )
                warn(error, DataWarning)

    def _report(self, order: Sequence[Node], origins: Origins, n: int) -> Report:
        model, rows = self.model, list[Row]()
        flops = {node: cost.flops(node) for node in order}
        own: dict[Any, int] = {}
        for node in order:
            origin = origins.of.get(node)
            for scope in () if origin is None or origin.gradient else dict.fromkeys(origin.scopes):
                own[scope] = own.get(scope, 0) + flops[node]
        for layer in model.layers:
            outs = origins.results.get(layer, [[]])[0]
            size = _bytes(layer.weights) + sum(y.aval.nbytes for y in outs)
            shapes = [written((None, *y.shape[1:])) for y in outs]
            rows.append(Row(layer.name, type(layer).__name__, ", ".join(shapes), layer.count_params(), own.get(layer, 0) // n, size))
        steps, examples = self.extent
        held: tuple[int | None, int | None] = None, None
        if self.held_out is not None:
            held = extent(self.held_out, self.options["validation_batch_size"], self.options["validation_steps"])
        return Report(
            name=model.name, batch=n, rows=rows, parameters=model.count_params(),
            trainable=sum(w.size for w in model.trainable_weights), weight_bytes=_bytes(model.weights),
            optimizer_bytes=_bytes(self.steps.optimizer.variables), step_flops=sum(flops.values()),
            step_bytes=cost.peak(self._outputs), epochs=self.epochs, steps=steps, examples=examples,
            validations=self.validations, validation_steps=held[0], validation_examples=held[1],
            data={name: f"{array.shape} {array.dtype} from {found.low:g} to {found.high:g}" for name, (array, found) in self._seen.items()},
        )  # fmt: skip

    # -- memory and files ----------------------------------------------------------------------------
    def _check_memory(self) -> None:
        report, room = self.report, system.usable_memory()
        need = report.weight_bytes + report.optimizer_bytes + report.step_bytes
        if need <= room:
            return
        from insitu.compiler.pipeline import planned_arena  # late, and slow: only where a bound is not enough

        report.step_bytes = planned_arena(self._outputs)
        need = report.weight_bytes + report.optimizer_bytes + report.step_bytes
        if need > room:
            raise ArgumentError(
                f'fit: a training step of "{self.model.name}" needs more memory than this process can have.',
                expected=f"at most {size_text(room)}",
                received=f"{size_text(need)}: weights {size_text(report.weight_bytes)}, optimizer {size_text(report.optimizer_bytes)}, "
                f"a step on {report.batch} examples {size_text(report.step_bytes)}",
                fix="pass a smaller batch_size" if report.step_bytes > need // 2 else "make the layers smaller",
                slug="memory-exhausted",
                argument="batch_size",
            )


def options_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `fit` that are no data, with the defaults that depend on others."""
    given, callbacks = arguments["batch_size"], arguments["callbacks"]
    batch = given or fitting.USUAL_BATCH
    return {
        **arguments,
        "batch_size": batch,
        "batch_size_given": given,
        "validation_batch_size": arguments["validation_batch_size"] or batch,
        "verbose": progress.level(arguments["verbose"]),
        "callbacks": list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks],
    }


def _lengths(data: Data, batch: int) -> list[int]:
    """The lengths of the batches, that of the first one first."""
    if isinstance(data, Batches):
        return [len_of(data.peek()[0])]
    if data.count <= batch:
        return [data.count]
    return [batch, data.count % batch] if data.count % batch else [batch]


def _trace(step: Callable[..., Any], data: Data, n: int) -> tuple[list[Node], Trace]:
    """Run a step on placeholders of ``n`` examples: those of the inputs, and what happens to variables."""

    def holder(a: Any) -> Array:
        return Array(placeholder(aval((n, *a.shape[1:]), as_dtype(a.dtype))))

    parts = [map_leaves(holder, part) for part in data.peek()]
    trace = Trace()
    traces.open.append(trace)
    try:
        with keep_history():
            step(*parts)
    finally:
        traces.open.pop()
    return [x._node for x in flatten(parts[0])[0]], trace


def _looks(data: Data, x_name: str, y_name: str) -> dict[str, tuple[np.ndarray[Any, Any], Look]]:
    """What one look found, by the names of the arrays."""
    x, y, weight = data.peek()
    leaves = [
        leaf for part, name in ((x, x_name), (y, y_name), (weight, x_name.removesuffix("x") + "sample_weight")) for leaf in named_leaves(part, name)
    ]
    return {name: (array, look(array)) for name, array in leaves if array.size}


def _in_validation(check: Callable[[], Any]) -> Any:
    """Say of what goes wrong that it is in the data for validation."""
    try:
        return check()
    except UserError as error:
        parts = {name: getattr(error, name) for name in ("expected", "received", "fix", "slug")}
        raise type(error)(f"In the data for validation: {error.what}", argument="validation_data", **parts) from None


def _meets_weights(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether a value gets into a product as it is."""
    ahead, seen = [node], {node}
    while ahead:
        for user in users.get(ahead.pop(), ()):
            if user.prim.kind == "contract":
                return True
            if user not in seen and (user.prim.kind == "view" or user.prim.name in ("cast", "take")):
                seen.add(user)
                ahead.append(user)
    return False


def _bytes(variables: Sequence[Any]) -> int:
    return sum(v.size * v.dtype.itemsize for v in variables)


def _not_finite(name: str, array: np.ndarray[Any, Any], example: int) -> UserError:
    values = np.asarray(array[example], np.float64)
    odd = values.reshape(-1)[~np.isfinite(values.reshape(-1))][0]
    word = "NaN" if np.isnan(odd) else "an infinity"
    argument = "validation_data" if name.startswith("validation") else name.partition("[")[0]
    return ArgumentError(
        f"fit: {name} holds {word}, which would turn the loss and all weights into NaN.",
        expected="finite numbers",
        received=f"{odd} in example {example} of {name}, {array.shape} {array.dtype}",
        fix='leave out such examples or put numbers in (np.nan_to_num), or pass nan="ignore" if the model deals with them',
        slug="data-not-finite",
        argument=argument,
    )


def _one_pass(times: int, what: str, argument: str, fix: str) -> ArgumentError:
    return ArgumentError(
        f"fit: a generator can be gone through once, but there are {times} {what}.",
        expected="arrays, a Dataset, or a function that makes a new generator each time",
        received="a generator",
        fix=f"{fix} pass the function that makes the generator, without calling it",
        slug="data-ends-early",
        argument=argument,
    )
