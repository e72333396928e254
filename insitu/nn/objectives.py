"""Which loss and which metrics belong to which output of a model."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import insitu as si
from insitu.arguments import written
from insitu.array.tree import flatten
from insitu.errors import ArgumentError, ShapeError
from insitu.graph import origins
from insitu.nn import losses, metrics
from insitu.nn.metrics import Metric
from insitu.nn.shapes import Shape


class Objectives:
    """Losses and metrics of a model for targets and outputs of known shapes.

    Attributes
    ----------
    names : list of str
        Of the outputs.
    outputs : list of tuple
        Their shapes.
    losses : list of Loss or None
        One for each output.
    weights : list of float
        What each loss is multiplied by.
    metrics, weighted : list of (int, Metric)
        Number of the output and metric; ``weighted`` ones take the sample weights.
    """

    def __init__(self, settings: Settings, names: Sequence[str], targets: Sequence[Shape | None], outputs: Sequence[Shape]) -> None:
        self.names, self.outputs = list(names), list(outputs)
        self.losses = [None if found is None else losses.get(found) for found in _for_outputs(settings.loss, self.names, "loss", True)]
        given = _for_outputs(settings.loss_weights, self.names, "loss_weights", False)
        self.weights = [1.0 if w is None else w for w in given]
        for loss, target, output in zip(self.losses, targets, outputs, strict=True):
            if loss is not None and target is not None:
                loss.check_shapes(target, output)
        self.metrics = self._metrics(settings.metrics, "metrics", targets, outputs)
        self.weighted = self._metrics(settings.weighted_metrics, "weighted_metrics", targets, outputs)
        self._name_apart()

    def _metrics(self, given: Any, argument: str, targets: Sequence[Shape | None], outputs: Sequence[Shape]) -> list[tuple[int, Metric]]:
        found = []
        for i, identifiers in enumerate(_metrics_for_outputs(given, self.names, argument)):
            target = targets[i]
            if target is None:
                continue
            for identifier in identifiers:
                metric = metrics.get(identifier, target, outputs[i])
                metric.check_shapes(target, outputs[i])
                found.append((i, metric))
        return found

    def _name_apart(self) -> None:
        """Two metrics of one name in the logs would overwrite each other: later ones are called ``weighted_`` or numbered, as in Keras."""
        seen: set[str] = set()
        for chosen, first in ((self.metrics, ""), (self.weighted, "weighted_")):
            for i, metric in chosen:
                stem = first + metric.name
                names = itertools.chain([metric.name, stem], (f"{stem}_{k}" for k in itertools.count(1)))
                metric.name = next(name for name in names if self._label(i, name) not in seen)
                seen.add(self._label(i, metric.name))

    def _label(self, output: int, name: str) -> str:
        return name if len(self.names) == 1 else f"{self.names[output]}_{name}"

    @property
    def labels(self) -> list[str]:
        """Names of the metrics in logs, in their order: with the output's name in front where there are several outputs."""
        return [self._label(i, m.name) for i, m in (*self.metrics, *self.weighted)]

    @property
    def loss_labels(self) -> list[str]:
        """``loss``, and where there are several outputs the name of each output with a loss."""
        if len(self.names) == 1:
            return ["loss"]
        return ["loss", *[f"{n}_loss" for n, found in zip(self.names, self.losses, strict=True) if found is not None]]

    def values(self, targets: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any]) -> list[si.Array]:
        """The weighted sum of the losses, then, where there are several outputs, each loss."""
        each = []
        for loss, t, o, w in zip(self.losses, targets, outputs, weights, strict=True):
            if loss is not None:
                with origins.inside(f"the loss {loss.name}"):
                    each.append(loss(t, o, w))
        factors = [f for f, loss in zip(self.weights, self.losses, strict=True) if loss is not None]
        total = si.asarray(0.0)
        if each:
            terms = [e if f == 1.0 else e * f for e, f in zip(each, factors, strict=True)]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
        return [total] if len(self.names) == 1 else [total, *each]

    def update_metrics(self, targets: Sequence[Any], outputs: Sequence[Any], masks: Sequence[Any], weights: Sequence[Any]) -> None:
        """Let all metrics take in a batch. ``masks`` are weights that hold for all metrics, ``weights`` for the weighted ones."""
        for chosen, w in ((self.metrics, masks), (self.weighted, weights)):
            for i, metric in chosen:
                with origins.inside(f"the metric {metric.name}"):
                    metric.update_state(targets[i], outputs[i], w[i])

    @property
    def all_metrics(self) -> list[Metric]:
        return [m for _, m in (*self.metrics, *self.weighted)]

    @property
    def sums_over_batch(self) -> bool:
        """Whether the examples of a batch add up, so that those of weight 0 can be left out."""
        return all(loss is None or loss.adds_examples for loss in self.losses) and all(m.adds_examples for m in self.all_metrics)


class Settings:
    """What ``compile`` was told, before the shapes are known."""

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        self.loss, self.loss_weights = _mapped(loss, _one_number), _mapped(loss_weights, _factor)
        self.metrics, self.weighted_metrics = _checked(metrics), _checked(weighted_metrics)

    def check_outputs(self, names: Sequence[str]) -> None:
        """Refuse losses and metrics for other outputs than those of these names, if there are any names yet.

        Raises
        ------
        ArgumentError
            If a dict has another name, or a list another length.
        """
        if names:
            _for_outputs(self.loss, names, "loss", True)
            _for_outputs(self.loss_weights, names, "loss_weights", False)
            _metrics_for_outputs(self.metrics, names, "metrics")
            _metrics_for_outputs(self.weighted_metrics, names, "weighted_metrics")

    def get_config(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "loss": _mapped(self.loss, losses.serialize),
            "loss_weights": self.loss_weights,
            "metrics": _mapped(self.metrics, metrics.serialize),
            "weighted_metrics": _mapped(self.weighted_metrics, metrics.serialize),
        }


def _one_number(identifier: Any) -> losses.Loss:
    """The loss that is meant, if it gives one number for a batch."""
    loss = losses.get(identifier)
    if loss.reduction in (None, "none"):
        raise ArgumentError(
            f"compile: the loss {loss.name} gives a number for each example, but training lowers one number.",
            expected='a reduction such as "sum_over_batch_size", the mean over the batch',
            received=f"reduction={loss.reduction!r}",
            fix=f"leave reduction out: {type(loss).__name__}()",
            slug="loss-reduction",
            argument="loss",
        )
    return loss


def _factor(weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, numbers.Real):
        raise ArgumentError(
            "compile: loss_weights are numbers.",
            expected="a factor for each output's loss",
            received=repr(weight),
            fix=f"pass metrics by name: metrics=[{weight!r}]" if isinstance(weight, str) else "loss_weights=[1.0, 0.5]",
            slug="compile-loss-weights",
            argument="loss_weights=",
        )
    return float(weight)


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"class_name", "config"}


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A function applied to the entries of lists and dicts, however deep."""
    if isinstance(value, list | tuple):
        return [_mapped(v, function) for v in value]
    if isinstance(value, dict) and not _is_config(value):
        return {k: _mapped(v, function) for k, v in value.items()}
    return None if value is None else function(value)


def _checked(value: Any) -> Any:
    """Names are looked up at once, so that a misspelt one is told by ``compile``; what they mean is known with the shapes."""

    def look(identifier: Any) -> Any:
        if isinstance(identifier, str) or _is_config(identifier):
            metrics.get(identifier, (None,), (None, 2))
        return identifier

    return _mapped(value, look)


def _for_outputs(given: Any, names: Sequence[str], argument: str, spread: bool) -> list[Any]:
    """One entry for each output, from one for all, a list, or a dict by name."""
    if isinstance(given, dict) and not _is_config(given):
        _names_known(given, names, argument)
        return [given.get(n) for n in names]
    if isinstance(given, list | tuple):
        if len(given) != len(names):
            raise ArgumentError(
                f"compile: {argument} has {len(given)} entries, but the model has {len(names)} outputs.",
                expected=f"{len(names)} entries, for the outputs " + ", ".join(map(repr, names)),
                received=f"{len(given)} entries",
                fix=f"pass {argument} as a dict with these names",
                slug="compile-outputs",
                argument=f"{argument}=",
            )
        return list(given)
    return [given] * len(names) if spread or len(names) == 1 else [None] * len(names)


def _metrics_for_outputs(given: Any, names: Sequence[str], argument: str) -> list[list[Any]]:
    if given is None:
        return [[] for _ in names]
    if isinstance(given, dict) and not _is_config(given):
        _names_known(given, names, argument)
        return [_as_list(given.get(n)) for n in names]
    entries = _as_list(given)
    if len(names) > 1 and any(isinstance(e, list | tuple) for e in entries):
        return [_as_list(e) for e in _for_outputs(entries, names, argument, False)]
    return [[m for e in entries for m in _as_list(e)] for _ in names]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _names_known(given: dict[str, Any], names: Sequence[str], argument: str) -> None:
    unknown = [n for n in given if n not in names]
    if unknown:
        raise ArgumentError(
            f"compile: {argument} names the output {unknown[0]!r}, which the model does not have.",
            expected="of " + ", ".join(map(repr, names)),
            received=", ".join(map(repr, given)),
            fix="use the names of the layers that give the outputs",
            slug="compile-outputs",
            argument=f"{argument}=",
        )


def target_leaves(targets: Any, names: Sequence[str], function: str) -> list[Any]:
    """The targets in the order of the outputs: a dict goes by the outputs' names.

    Raises
    ------
    ShapeError
        If there is not one for each output.
    """
    if targets is None:
        return [None] * len(names)
    if isinstance(targets, dict) and set(targets) <= set(names):
        return [targets.get(n) for n in names]
    leaves = flatten(targets)[0]
    if len(leaves) != len(names):
        raise ShapeError(
            f"{function}: the model has {len(names)} outputs, but {len(leaves)} array{'s' * (len(leaves) != 1)} of targets.",
            expected="targets for " + ", ".join(map(repr, names)),
            received=", ".join(written((None, *t.shape[1:])) for t in leaves),
            fix="pass a list with one array for each output, or a dict with these names",
            slug="targets-outputs",
            argument="y=",
        )
    return leaves
