"""What Keras' metrics give: run by hand as ``KERAS_BACKEND=jax python tests/golden/keras_metrics.py``; ``--check`` compares with what is stored."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from keras_losses import numbers, rounded, short, softmax

FILE = Path(__file__).with_suffix(".json")
rng = np.random.default_rng(5)


def batches():
    """Three batches of each kind, of unequal lengths: targets and predictions."""
    made = {}
    for shape in ((6, 4), (3, 4), (6, 4)):
        z, labels = rng.standard_normal(shape) * 2, rng.integers(0, 4, shape[:-1])
        bits = rng.integers(0, 2, shape)
        found = {
            "real": (rng.standard_normal(shape) * 2, rng.standard_normal(shape) * 2),
            "positive": (rng.random(shape) * 5, rng.random(shape) * 5),
            "rows": (np.eye(4)[labels], softmax(z)),
            "logits": (np.eye(4)[labels], z),
            "labels": (labels, softmax(z)),
            "label columns": (labels[:, None], softmax(z)),
            "label logits": (labels, z),
            "classes": (labels, rng.integers(0, 4, shape[:-1])),
            "class images": (rng.integers(0, 4, shape), rng.integers(0, 4, shape)),
            "sorted ids": (labels, np.argsort(z, -1)[:, ::-1]),
            "bits": (bits, 1 / (1 + np.exp(-z))),
            "ties": (bits, np.round(rng.random(shape) * 4) / 4),
            "bit columns": (bits[:, :1], 1 / (1 + np.exp(-z[:, :1]))),
            "bit logits": (bits, z),
            "column": (rng.standard_normal(shape[:1]), rng.standard_normal((shape[0], 1))),
            "values": (rng.standard_normal(shape), None),
            "vector": (rng.standard_normal(shape[:1]), None),
        }
        for kind, pair in found.items():
            made.setdefault(kind, []).append(pair)
    return made


CASES = [
    ("Sum", {}, "values"), ("Sum", {}, "vector"), ("Mean", {}, "values"), ("Mean", {}, "vector"),
    ("Accuracy", {}, "classes"), ("BinaryAccuracy", {}, "bits"), ("BinaryAccuracy", {"threshold": 0.3}, "bit columns"),
    ("CategoricalAccuracy", {}, "rows"), ("CategoricalAccuracy", {}, "logits"),
    ("SparseCategoricalAccuracy", {}, "labels"), ("SparseCategoricalAccuracy", {}, "label columns"),
    ("TopKCategoricalAccuracy", {"k": 2}, "rows"), ("TopKCategoricalAccuracy", {}, "rows"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels"), ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "sorted ids"),
    ("MeanSquaredError", {}, "real"), ("MeanSquaredError", {}, "column"), ("RootMeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"), ("MeanAbsolutePercentageError", {}, "positive"), ("MeanSquaredLogarithmicError", {}, "positive"),
    ("LogCoshError", {}, "real"), ("CosineSimilarity", {}, "real"), ("CosineSimilarity", {"axis": 1}, "real"),
    ("R2Score", {}, "real"), ("R2Score", {}, "column"), ("R2Score", {"class_aggregation": None}, "real"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "real"), ("R2Score", {"num_regressors": 3}, "real"),
    ("R2Score", {"num_regressors": 11}, "column"),
    ("BinaryCrossentropy", {}, "bits"), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "bit logits"),
    ("CategoricalCrossentropy", {}, "rows"), ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("SparseCategoricalCrossentropy", {}, "labels"), ("SparseCategoricalCrossentropy", {"from_logits": True}, "label logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "labels"),
    ("KLDivergence", {}, "rows"), ("Poisson", {}, "positive"),
    ("Hinge", {}, "bit logits"), ("SquaredHinge", {}, "bit logits"), ("CategoricalHinge", {}, "logits"),
    *[(name, config, kind) for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
      for config, kind in (({}, "bits"), ({"thresholds": [0.2, 0.5, 0.7]}, "ties"), ({"thresholds": [0.0, 0.5, 1.0]}, "ties"))],
    *[(name, config, kind) for name in ("Precision", "Recall") for config, kind in (
        ({}, "bits"), ({"thresholds": 0.3}, "bit columns"), ({"thresholds": [0.2, 0.8]}, "bits"), ({"top_k": 2}, "rows"), ({"class_id": 1}, "rows"),
        ({"top_k": 2, "class_id": 3}, "rows"), ({"top_k": 2, "thresholds": 0.3}, "rows"))],
    *[(name, {**config, **more}, kind) for name, more in (("F1Score", {}), ("FBetaScore", {"beta": 2.0})) for config, kind in (
        ({}, "rows"), ({"average": "micro"}, "rows"), ({"average": "macro"}, "rows"), ({"average": "weighted"}, "rows"),
        ({"threshold": 0.4}, "bits"), ({"threshold": 0.4, "average": "micro"}, "bits"), ({"threshold": 0.4}, "bit columns"))],
    ("AUC", {}, "bit columns"),
    *[("AUC", {"curve": curve, "summation_method": method}, "bits")
      for curve in ("ROC", "PR", "PRGAIN") for method in ("interpolation", "majoring", "minoring")],
    ("AUC", {"num_thresholds": 5}, "ties"), ("AUC", {"num_thresholds": 4, "curve": "PR"}, "ties"),
    ("AUC", {"thresholds": [0.25, 0.4, 0.8]}, "ties"), ("AUC", {"from_logits": True}, "bit logits"),
    ("AUC", {"multi_label": True}, "bits"), ("AUC", {"multi_label": True, "curve": "PR", "num_labels": 4}, "bits"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5, 0.0]}, "bits"), ("AUC", {"label_weights": [1.0, 2.0, 0.5, 0.0]}, "bits"),
    *[(name, {argument: value, "num_thresholds": 20}, "bits") for name, argument in (
        ("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity"), ("PrecisionAtRecall", "recall"),
        ("RecallAtPrecision", "precision")) for value in (0.4, 0.7)],
    ("PrecisionAtRecall", {"recall": 0.5, "class_id": 2}, "bits"), ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 5}, "ties"),
    ("MeanIoU", {"num_classes": 4}, "classes"), ("MeanIoU", {"num_classes": 4, "ignore_class": 0}, "class images"),
    ("MeanIoU", {"num_classes": 4, "sparse_y_true": False, "sparse_y_pred": False}, "rows"),
    ("IoU", {"num_classes": 5, "target_class_ids": [1, 4]}, "class images"),
]  # fmt: skip


def compute():
    import keras

    found = []
    kinds = batches()
    for cls, config, kind in CASES:
        for weighted in (False, True):
            if weighted and config.get("multi_label"):
                continue
            metric = getattr(keras.metrics, cls)(**config)
            updates, results = [], []
            for number, (y, p) in enumerate(kinds[kind]):
                y = y if np.asarray(y).dtype.kind == "i" else rounded(y)
                p = None if p is None else p if np.asarray(p).dtype.kind == "i" else rounded(p)
                whole = cls in ("IoU", "MeanIoU")  # these cut weights to whole numbers
                shape = np.shape(y) if whole and kind == "class images" else np.shape(y)[:1]
                drawn = rng.random(shape)
                w = None if not weighted or number == 1 else np.floor(drawn * 4).astype(np.int32) if whole else rounded(drawn * 2)
                metric.update_state(*([y] if p is None else [y, p]), sample_weight=w)
                results.append(np.asarray(metric.result()).tolist())
                updates.append([None if a is None else np.asarray(a).tolist() for a in (y, p, w)])
            found.append({"class": cls, "config": config, "kind": kind + (", weighted" if weighted else ""), "updates": updates, "results": results})
    return {"keras": keras.__version__, "cases": found}


if __name__ == "__main__":
    import json

    made = short(compute())
    if "--check" in sys.argv:
        stored = json.loads(FILE.read_text(encoding="utf-8"))
        np.testing.assert_allclose(numbers(made["cases"]), numbers(stored["cases"]), rtol=2e-5, atol=2e-6)
    else:
        rows = ",\n".join(json.dumps(case) for case in made["cases"])
        FILE.write_text(f'{{"keras": "{made["keras"]}", "cases": [\n{rows}\n]}}\n', encoding="utf-8")
