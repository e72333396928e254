"""Random small programs, as text that can be pasted: a model, data, a loss, an optimizer, metrics, one call of fit.

Most of what a program holds is right, and some is not. The arguments come from the declared constraints of each class.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Iterator
from typing import Any

import insitu as si
from insitu.arguments import constraints_of, parameters_of
from insitu.nn.layers.merging import _Merge

#: Values that people and mistakes bring, as they stand in a program.
BAD = [
    "None", "-1", "0", "1.5", "True", '"abc"', '""', "()", "(2, 3)", "[1, 2]", '{"a": 1}', "-2.5", 'float("nan")', 'float("inf")', "10**400", "2**64",
    "(0,)", "(-1,)", "(None, 2)", "1j", "np.ones(2)", "np.float32(0.5)", "np.zeros((0,))", "object()", "abs", "si.ones(3)", "'relu'", "b'abc'", "...",
]  # fmt: skip
#: What the names of arguments are given besides what their constraint lists.
USUAL = {"activation": ['"relu"', '"softmax"', '"tanh"', '"sigmoid"'], "units": ["1", "2", "3"], "filters": ["1", "2", "3"], "name": ['"mine"'],
         "dtype": ['"float32"', '"float64"', '"float16"'],
         "kernel_size": ["1", "2", "3", "(2, 1)"], "function": ["lambda x: x * 2", "si.tanh", "si.nn.activations.gelu"],
         "target_shape": ["(-1,)", "(2, -1)", "(1, 2, -1)"], "dims": ["(1,)", "(2, 1)", "(3, 1, 2)"], "input_dim": ["5", "8"],
         "output_dim": ["1", "3"], "learning_rate": ["0.01", "0.1", "1e-3", "si.optim.schedules.ExponentialDecay(0.1, 10, 0.9)"]}  # fmt: skip
DTYPES = ["float32", "float32", "float32", "float64", "float16", "int32", "int64", "uint8", "bool"]
ODD_DATA = ["None", "3.0", "[]", "[[1.0], [1.0, 2.0]]", 'np.array(["a", "b"])', "np.zeros((0, 3))", "np.array([[None, 1]])", "np.zeros((4, 0))",
            "{}", "np.ones(5) * 1j", "[np.ones((5, 2)), np.ones((5, 3))]", "si.ones((5, 3))", "si.nn.Input((3,))", '"data.csv"',
            "iter([])"]  # fmt: skip


def _public(room: Any, base: type, leave_out: tuple[str, ...] = ()) -> list[str]:
    names = sorted(getattr(room, "__all__", dir(room)))
    return [n for n in names if n not in leave_out and inspect.isclass(getattr(room, n)) and issubclass(getattr(room, n), base)]


def _ranks(name: str) -> range:
    """Numbers of axes of an example that a layer may take, as far as its name tells."""
    if name.startswith("Random") or name in ("CenterCrop", "Resizing"):
        return range(3, 4)
    found = re.search(r"(\d)D", name)
    return range(int(found[1]) + 1, int(found[1]) + 2) if found else range(5)


LAYERS = _public(si.nn, si.nn.layers.Layer, ("Layer", "Model", "Sequential", "Functional"))
MERGING = [n for n in LAYERS if issubclass(getattr(si.nn, n), _Merge)]
PLAIN = [n for n in LAYERS if n not in MERGING]
COMMON = [
    n for n in ("Dense", "Activation", "Dropout", "Flatten", "Conv2D", "MaxPooling2D", "BatchNormalization", "LayerNormalization") if n in PLAIN
]
LOSSES = _public(si.nn.losses, si.nn.losses.Loss, ("Loss", "FunctionLoss", "MeanOverLastAxis"))
METRICS = _public(si.nn.metrics, si.nn.metrics.Metric, ("Metric", "Mean", "Sum", "MeanMetricWrapper"))
OPTIMIZERS = _public(si.optim, si.optim.Optimizer, ("Optimizer",))


class Writer:
    """Writes the program of a seed.

    Parameters
    ----------
    seed : int
        Equal seeds give equal programs.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.random = seed, random.Random(f"insitu {seed}")
        #: how often something is wrong
        self.trouble = self.random.choice([0.0, 0.0, 0.0, 0.04, 0.15])
        self.examples = self.random.choice([1, 2, 5, 8])
        self.classes = self.random.choice([1, 2, 3])
        #: the targets as fit takes them
        self.outputs = "y"

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.random.random() < probability

    def pick(self, values: Any) -> Any:
        """One of them."""
        return self.random.choice(list(values))

    def wrong(self) -> bool:
        """Whether this place of the program is to be wrong."""
        return self.chance(self.trouble)

    # -- objects with arguments --------------------------------------------------------------------------
    def value(self, name: str, constraint: Any) -> str:
        """An argument as it stands in a program."""
        if self.wrong():
            return str(self.pick([*BAD, *map(repr, _literals(constraint.borders))] if constraint is not None else BAD))
        good = USUAL.get(name) or [repr(v) for v in _literals(() if constraint is None else constraint.fits)]
        return str(self.pick(good or ["None"]))

    def made(self, room: str, cls: type, often: float = 0.15, first: tuple[str, ...] = ()) -> str:
        """A call of a class with its needed arguments and some others."""
        constraints, parts = constraints_of(cls), list(first)
        for name, parameter in parameters_of(cls).items():
            needed = parameter.default is parameter.empty
            rare = name in ("name", "trainable", "function") and not needed
            if parameter.kind is parameter.VAR_KEYWORD or (rare and not self.chance(0.02)):
                continue
            if (needed and not self.chance(self.trouble / 4)) or self.chance(often):
                parts.append(f"{name}={self.value(name, constraints.get(name))}")
        if self.chance(self.trouble / 8):
            parts.append("colour=3")
        return f"{room}.{cls.__name__}({', '.join(parts)})"

    def layer(self, rank: int) -> str:
        """A layer for examples with so many axes; now and then another."""
        names = COMMON if self.chance(0.6) else PLAIN
        name = self.pick(names if self.wrong() else [n for n in names if rank in _ranks(n)])
        return self.made("si.nn", getattr(si.nn, name))

    # -- parts of the program ------------------------------------------------------------------------------
    def inputs(self) -> tuple[str, str, list[str]]:
        """The examples, the shape of one, and layers that take them."""
        n, kind = self.examples, self.pick(["vector", "vector", "image", "row", "words", "image_row"])
        shape = {"vector": (3,), "image": (5, 4, self.pick([1, 3])), "row": (4, 2), "words": (4,), "image_row": (3, 3)}[kind]
        dtype = self.pick(DTYPES) if self.chance(0.3) else "float32"
        if kind == "words":
            return f"rng.integers(0, 5, {(n, *shape)})", str(shape), [f"si.nn.Embedding({self.pick([5, 8])}, 3)"]
        scale = self.pick(["", " * 100"]) if self.chance(0.2) else ""
        made = f"(rng.normal(size={(n, *shape)}){scale}).astype({dtype!r})"
        if self.wrong():
            made = self.pick([*ODD_DATA, f"np.full({(n, *shape)}, np.nan)", f"np.full({(n, *shape)}, np.inf)"])
        return made, str(shape), []

    def targets(self, loss: str) -> str:
        n, k = self.examples, self.classes
        forms = {
            "sparse": f"rng.integers(0, {k}, {n})", "rows": f"np.eye({k}, dtype='float32')[rng.integers(0, {k}, {n})]",
            "reals": f"rng.normal(size=({n}, {k})).astype('float32')", "bits": f"rng.integers(0, 2, ({n}, {k}))",
            "positive": f"rng.uniform(0.1, 2, ({n}, {k})).astype('float32')",
        }  # fmt: skip
        if self.wrong():
            others = [
                f"rng.integers(-1, {k + 1}, {n})",
                f"rng.normal(size={n})",
                f"rng.normal(size=({n + 1}, {k}))",
                f"rng.normal(size=({n}, {k + 1}))",
            ]
            return str(self.pick([*forms.values(), *others, *ODD_DATA]))
        if "parse" in loss:
            return forms["sparse"]
        if "ategorical" in loss or loss.startswith("KL"):
            return forms["rows"]
        if "inary" in loss or "inge" in loss:
            return forms["bits"]
        return forms["positive" if "oisson" in loss or "arithmic" in loss or "ercentage" in loss else "reals"]

    def objective(self, names: list[str], room: str) -> tuple[str, str]:
        """A loss or metric by name or as an object, and the class's name."""
        name = self.pick(names)
        if self.wrong():
            return str(self.pick([*BAD, '"mse "', '"crossentropy"'])), name
        cls = getattr(getattr(si.nn, room), name)
        made = self.made(f"si.nn.{room}", cls, 0.1)
        plain = all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in parameters_of(cls).values())
        return (f'"{si.nn.registry.words(name)}"' if plain and self.chance(0.5) and name not in ("IoU", "MeanIoU", "R2Score") else made), name

    def model(self, shape: str, first: list[str]) -> Iterator[str]:
        rank = 2 if first else shape.count(",") + (shape[-2] != ",")
        body = []
        for _ in range(self.pick([0, 1, 1, 2, 3])):
            body.append(self.layer(rank))
            rank = 1 if ".Flatten" in body[-1] or ".Global" in body[-1] else rank
        end = f"si.nn.Dense({self.classes}" + self.pick(["", ', activation="softmax"', ', activation="sigmoid"']) + ")"
        layers = [*first, *body, *(["si.nn.Flatten()", end] if self.chance(0.85) else [])]
        if self.chance(0.1):
            yield from self.two_outputs(shape, layers)
            return
        if self.chance(0.25) and layers:
            yield f"data = si.nn.Input({shape if not self.wrong() else self.pick(BAD)})"
            yield "y_pred = data"
            for layer in layers[: len(first)]:
                yield f"y_pred = {layer}(y_pred)"
            if self.chance(0.6):
                yield f"y_pred = {self.made('si.nn', getattr(si.nn, self.pick(MERGING)))}([{self.layer(rank)}(y_pred), {self.layer(rank)}(y_pred)])"
            for layer in layers[len(first) :]:
                yield f"y_pred = {layer}(y_pred)"
            yield "model = si.nn.Model(data, y_pred)"
            return
        given = [f"si.nn.Input({shape})"] if self.chance(0.3) else []
        if self.wrong() and self.chance(0.1):
            layers.append(self.pick([*BAD, "si.nn.Dense"]))
        yield "model = si.nn.Sequential(["
        for layer in [*given, *layers]:
            yield f"    {layer},"
        yield "])"

    def two_outputs(self, shape: str, layers: list[str]) -> Iterator[str]:
        """A functional model with two outputs of one shape; the second target is the first."""
        yield f"data = si.nn.Input({shape})"
        yield "y_pred = data"
        for layer in layers:
            yield f"y_pred = {layer}(y_pred)"
        first, second = self.pick([("a", "b"), ("a", "b"), ("a", "a")] if self.wrong() else [("a", "b")])
        yield f'first, second = si.nn.Activation("linear", name="{first}")(y_pred), si.nn.ReLU(name="{second}")(y_pred)'
        good, bad = ["[y, y]", '{"a": y, "b": y}', "(y, y)"], ["y", "[y]", '{"a": y}', '{"c": y}']
        self.outputs = self.pick(bad if self.wrong() else good)
        outputs = self.pick(["[first, second]", '{"a": first, "b": second}'])
        yield f"model = si.nn.Model(data, {outputs})"

    def options(self) -> Iterator[str]:
        choices = {
            "batch_size": ["1", "2", "3", "8", "100"], "epochs": ["1", "2"], "validation_split": ["0.5", "0.2"], "shuffle": ["False"],
            "validation_data": [f"(x, {self.outputs})", f"(x, {self.outputs}, None)"],
            "sample_weight": [f"np.ones({self.examples})", f"np.arange({self.examples})"],
            "class_weight": ["{0: 1.0, 1: 2.0}"], "steps_per_epoch": ["1", "2"], "validation_steps": ["1"], "initial_epoch": ["0"],
            "callbacks": ["[si.nn.callbacks.TerminateOnNaN()]", "[si.nn.callbacks.EarlyStopping(monitor='loss')]"],
        }  # fmt: skip
        for name, values in choices.items():
            if self.chance(0.12):
                yield f"{name}={self.pick(BAD) if self.wrong() else self.pick(values)}"
        yield "verbose=0"

    def program(self) -> str:
        """The text."""
        made, shape, first = self.inputs()
        loss, cls = self.objective(LOSSES, "losses")
        lines = ["import numpy as np", "", "import insitu as si", "", f"si.random.seed({self.seed})", f"rng = np.random.default_rng({self.seed})"]
        lines += [f"x = {made}", f"y = {self.targets(cls)}", *self.model(shape, first)]
        optimizer = self.made("si.optim", getattr(si.optim, self.pick(OPTIMIZERS))) if self.chance(0.7) else f'"{self.pick(OPTIMIZERS).lower()}"'
        chosen = [self.objective(METRICS, "metrics")[0] for _ in range(self.pick([0, 0, 1, 2]))] + (['"accuracy"'] if self.chance(0.2) else [])
        lines.append(f"model.compile({optimizer if not self.wrong() else self.pick(BAD)}, loss={loss}, metrics=[{', '.join(chosen)}])")
        y = self.outputs
        if self.chance(0.05):
            lines.append("model.trainable = False")
        data = f"x, {y}"
        if self.chance(0.12) and y == "y":
            data = self.pick(["si.data.Dataset((x, y)).batch(2)", "[(x, y), (x, y)]", "iter([(x, y)])", "((x, y) for _ in range(2))"])
        lines.append(f"history = model.fit({data}, {', '.join(self.options())})")
        if self.chance(0.05):
            lines.append(f"result = model.train_on_batch(x, {y})")
        if self.chance(0.15):
            lines.append(f"result = model.evaluate(x, {y}, verbose=0)")
        if self.chance(0.15):
            lines.append("result = model.predict(x)")
        if self.chance(0.05):
            lines += ['model.save("model.insitu")', 'again = si.load("model.insitu")']
        return "\n".join(lines) + "\n"


def _literals(values: Any) -> list[Any]:
    """Those that a program can write, and that make no large arrays."""

    def writable(v: Any) -> bool:
        if isinstance(v, list | tuple):
            return all(map(writable, v))
        return v is None or isinstance(v, bool | str) or (isinstance(v, int | float) and v == v and abs(v) <= 64)

    return [v for v in values if writable(v)]
