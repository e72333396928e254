"""What `Model.check` found: a training as a table."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


class Row(NamedTuple):
    """A layer in the report.

    Attributes
    ----------
    name, kind : str
    shape : str
        Of its output.
    parameters : int
    flops : int
        Floating-point operations for one example, forward.
    nbytes : int
        Of its weights, and of its output for a batch.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    flops: int
    nbytes: int


@dataclasses.dataclass(repr=False)
class Report:
    """What a training will do and need; ``print`` shows it as a table.

    Attributes
    ----------
    name : str
        Of the model.
    batch : int
        Examples of a step.
    rows : list of Row
        One for each layer.
    parameters, trainable : int
    weight_bytes, optimizer_bytes : int
    step_flops : int
        Floating-point operations of a training step: forward, gradients and updates.
    step_bytes : int
        What a step needs beside weights, optimizer and data, at most.
    epochs : int
        To be trained.
    steps, examples : int or None
        Of an epoch; None where they are not known before it ends.
    validations : int
        How often there is one.
    validation_steps, validation_examples : int or None
        Of a validation.
    data : dict of str to str
        What was seen of each array.
    files : list of str
        What callbacks write.
    seconds : float
        That the check took.
    """

    name: str
    batch: int
    rows: list[Row]
    parameters: int
    trainable: int
    weight_bytes: int
    optimizer_bytes: int
    step_flops: int
    step_bytes: int
    epochs: int
    steps: int | None
    examples: int | None
    validations: int
    validation_steps: int | None
    validation_examples: int | None
    data: dict[str, str]
    files: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        table = [("layer", "output shape", "parameters", "FLOPs", "bytes")]
        table += [(f"{r.name} ({r.kind})", r.shape, f"{r.parameters:,}", flops_text(r.flops), size_text(r.nbytes)) for r in self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(5)]
        lines = [f"  {row[0]:<{widths[0]}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)) for row in table]
        about = [
            ("parameters", f"{self.parameters:,} (trainable {self.trainable:,}), {size_text(self.weight_bytes)}"),
            ("optimizer", size_text(self.optimizer_bytes)),
            ("step", f"{_count(self.batch, 'example')}, {flops_text(self.step_flops)}FLOP, at most {size_text(self.step_bytes)} in between"),
            ("training", f"{_count(self.epochs, 'epoch')} of {_pass(self.steps, self.examples)}"),
        ]
        if self.validations:
            about.append(("validation", f"{_count(self.validations, 'time')} {_pass(self.validation_steps, self.validation_examples)}"))
        about += [("data", f"{name} {text}") for name, text in self.data.items()]
        about += [("files", text) for text in self.files]
        return "\n".join([f'Training of "{self.name}"', "", *lines, "", *[f"  {name:<12}{text}" for name, text in about]])

    def __repr__(self) -> str:
        return f'<Report on "{self.name}": {len(self.rows)} layers, {self.parameters:,} parameters>'


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" + ("" if n == 1 else "s")


def _pass(steps: int | None, examples: int | None) -> str:
    known = "steps that are counted as they come" if steps is None else _count(steps, "step")
    return known if examples is None else f"{known} over {_count(examples, 'example')}"


def flops_text(n: int) -> str:
    """A count in short.

    Examples
    --------
    >>> flops_text(784), flops_text(3_200_000)
    ('784 ', '3.2 M')
    """
    value, units = float(n), ["", "k", "M", "G", "T"]
    while value >= 1000 and len(units) > 1:
        value, _ = value / 1000, units.pop(0)
    return f"{value:.0f} " if not units[0] else f"{value:.1f} {units[0]}"


def size_text(size: int) -> str:
    """Bytes in short.

    Examples
    --------
    >>> size_text(100), size_text(1536)
    ('100 bytes', '1.5 KiB')
    """
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, _ = value / 1024, units.pop(0)
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.1f} {units[0]}"
