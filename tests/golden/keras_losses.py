"""What Keras' losses give: run by hand as ``KERAS_BACKEND=jax python tests/golden/keras_losses.py``; ``--check`` compares with the stored values."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]
rng = np.random.default_rng(3)


def rounded(x):
    return np.round(np.asarray(x, np.float64), 4).astype(np.float32)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def inputs():
    """Targets, predictions and weights of each kind."""
    made = {}
    for name, shape in (("flat", (6, 4)), ("deep", (3, 2, 4))):
        z, labels = rng.standard_normal(shape) * 2, rng.integers(0, 4, shape[:-1])
        weights, signs = rng.random(shape[:-1]) * 2, rng.integers(0, 2, shape)
        made[name] = {
            "real": (rng.standard_normal(shape) * 2, rng.standard_normal(shape) * 2),
            "positive": (rng.random(shape) * 5, rng.random(shape) * 5),
            "counts": (rng.integers(0, 5, shape), rng.random(shape) * 5),
            "logits": (np.eye(4)[labels], z),
            "rows": (softmax(rng.standard_normal(shape)), softmax(z)),
            "scores": (np.eye(4)[labels], rng.random(shape)),  # not of sum 1
            "binary": (signs, 1 / (1 + np.exp(-z))),
            "binary logits": (signs, z),
            "signs": (2 * signs - 1, z),
            "labels": (labels, softmax(z)),
            "label logits": (labels, z),
            "label columns": (labels[..., None], softmax(z)),
            "column": (rng.standard_normal(shape[:-1]), rng.standard_normal((*shape[:-1], 1))),
            "weights": weights,
        }
    return made


CASES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanSquaredError", {}, "column"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "real"),
    ("Huber", {}, "real"),
    ("Huber", {"delta": 0.25}, "real"),
    ("LogCosh", {}, "real"),
    ("CosineSimilarity", {}, "real"),
    ("CosineSimilarity", {"axis": 1}, "real"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary logits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2, "axis": 1}, "binary logits"),
    ("CategoricalCrossentropy", {}, "rows"),
    ("CategoricalCrossentropy", {}, "scores"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "scores"),
    ("CategoricalCrossentropy", {"from_logits": True}, "logits"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("SparseCategoricalCrossentropy", {}, "labels"),
    ("SparseCategoricalCrossentropy", {}, "label columns"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "label logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "labels"),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, "label logits"),
    ("KLDivergence", {}, "rows"),
    ("KLDivergence", {}, "scores"),
    ("Poisson", {}, "counts"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary logits"),
    ("SquaredHinge", {}, "signs"),
    ("SquaredHinge", {}, "binary logits"),
    ("CategoricalHinge", {}, "logits"),
]


def compute():
    import jax
    import keras

    found = []
    kinds = inputs()
    for cls, config, kind in CASES:
        for rank in ("flat", "deep"):
            if config.get("axis") == 1 and rank == "flat":
                config = {**config, "axis": 0} if cls == "CosineSimilarity" else config
            y, p = kinds[rank][kind]
            y, p = (y if np.asarray(y).dtype.kind == "i" else rounded(y)), rounded(p)
            loss = getattr(keras.losses, cls)
            values = np.asarray(loss(**config, reduction="none")(y, p))
            weights = rounded(rng.random(values.shape) * 2)
            results = {}
            for reduction in REDUCTIONS:
                made = loss(**config, reduction=reduction)
                results[reduction] = [np.asarray(made(y, p)).tolist(), np.asarray(made(y, p, sample_weight=weights)).tolist()]
            mean = loss(**config)
            gradient = jax.grad(lambda q, mean=mean, y=y, w=weights: mean(y, q, sample_weight=w))(p)
            found.append(
                {
                    "class": cls, "config": config, "kind": f"{kind}, {rank}", "y_true": np.asarray(y).tolist(), "y_pred": p.tolist(),
                    "weights": weights.tolist(), "results": results, "gradient": np.asarray(gradient).tolist(),
                }
            )  # fmt: skip
    return {"keras": keras.__version__, "cases": found}


def short(value):
    """Floats with the digits that float32 holds."""
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [short(v) for v in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value


def numbers(value):
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, int | float) else []


if __name__ == "__main__":
    made = short(compute())
    if "--check" in sys.argv:
        stored = json.loads(FILE.read_text(encoding="utf-8"))
        np.testing.assert_allclose(numbers(made["cases"]), numbers(stored["cases"]), rtol=2e-5, atol=2e-6)
    else:
        rows = ",\n".join(json.dumps(case) for case in made["cases"])
        FILE.write_text(f'{{"keras": "{made["keras"]}", "cases": [\n{rows}\n]}}\n', encoding="utf-8")
