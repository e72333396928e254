"""Metrics: values against Keras over several batches, states inside compiled functions, shapes and configurations."""

from __future__ import annotations

import copy
import doctest
import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import activations, losses, metrics

GOLDEN = Path(__file__).parent / "golden" / "keras_metrics.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
# Keras counts ignored labels as 0 where there are no weights, though its loss does not count them
DIFFERENT = [c for c in CASES if c["config"].get("ignore_class") == 1]
rng = np.random.default_rng(0)


def name(case):
    return f"{case['class']}{case['config'] or ''}-{case['kind']}"


def arrays(update):
    found = [None if x is None else np.array(x) for x in update]
    return [x if x is None or x.dtype.kind == "i" else x.astype(np.float32) for x in found]


def update(metric, values):
    y, p, w = values
    metric.update_state(*([y] if p is None else [y, p]), sample_weight=w)


# -- against Keras -------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", [c for c in CASES if c not in DIFFERENT], ids=name)
def test_values_are_those_of_keras_after_each_batch(case):
    metric = getattr(metrics, case["class"])(**case["config"])
    for turn in range(2):
        for values, expected in zip(case["updates"], case["results"], strict=True):
            update(metric, arrays(values))
            np.testing.assert_allclose(np.asarray(metric.result()), expected, rtol=3e-5, atol=3e-6, err_msg=f"turn {turn}")
        metric.reset_state()
        assert all(not np.any(np.asarray(v.value)) for v in metric.variables)


def test_ignored_labels_do_not_count():
    case, weighted = DIFFERENT
    metric, kept = metrics.SparseCategoricalCrossentropy(ignore_class=1), []
    update(metric, arrays(weighted["updates"][0]))
    assert float(metric.result()) == pytest.approx(weighted["results"][0], rel=1e-5)
    metric.reset_state()
    for values in case["updates"]:
        y, p, _ = arrays(values)
        update(metric, (y, p, None))
        kept += [-np.log(row[label]) for row, label in zip(p, y, strict=True) if label != 1]
    assert float(metric.result()) == pytest.approx(np.mean(kept), rel=1e-5)


def test_every_metric_has_golden_values():
    apart = {"ConfusionMatrix", "MeanMetricWrapper", "Metric"}
    assert {c["class"] for c in CASES} == {n for n in metrics.__all__ if isinstance(getattr(metrics, n), type)} - apart


@pytest.mark.slow
@pytest.mark.skipif(not (importlib.util.find_spec("keras") and importlib.util.find_spec("jax")), reason="needs keras and jax")
def test_stored_values_are_still_those_of_keras():
    subprocess.run([sys.executable, GOLDEN.with_suffix(".py"), "--check"], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})


# -- states ------------------------------------------------------------------------------------------------
COMPILED = [
    (metrics.SparseCategoricalAccuracy, "labels"), (metrics.AUC, "bits"), (metrics.F1Score, "rows"), (metrics.R2Score, "real"),
    (metrics.Precision, "bits"), (metrics.ConfusionMatrix, "labels"), (lambda: metrics.PrecisionAtRecall(0.5), "bits"),
    (metrics.RootMeanSquaredError, "real"), (metrics.SparseTopKCategoricalAccuracy, "labels"),
]  # fmt: skip


def kind(wanted):
    return next(c["updates"] for c in CASES if c["kind"] == f"{wanted}, weighted")


@pytest.mark.parametrize(("make", "wanted"), COMPILED)
def test_states_change_inside_compiled_functions(make, wanted):
    eager, traced = make(), make()

    @si.compile
    def step(y, p, w):
        traced.update_state(y, p, sample_weight=w)

    for y, p, w in map(arrays, kind(wanted)):
        w = np.ones(len(y), np.float32) if w is None else w
        step(y, p, w)
        update(eager, (y, p, w))
    np.testing.assert_allclose(np.asarray(traced.result()), np.asarray(eager.result()), rtol=1e-12)
    si.compile(traced.reset_state)()
    traced.update_state(*arrays(kind(wanted)[0]))
    eager.reset_state()
    eager.update_state(*arrays(kind(wanted)[0]))
    np.testing.assert_allclose(np.asarray(traced.result()), np.asarray(eager.result()), rtol=1e-12)


def test_examples_of_weight_zero_change_nothing():
    for make, wanted in COMPILED:
        y, p, _ = arrays(kind(wanted)[0])
        part, whole = make(), make()
        part.update_state(y[2:], p[2:])
        whole.update_state(y, p, sample_weight=np.array([0, 0, 1, 1, 1, 1], np.float32))
        if isinstance(part, metrics.R2Score):
            continue  # counts values, not weights, for the adjusted score
        for a, b in zip(part.variables, whole.variables, strict=True):
            np.testing.assert_allclose(np.asarray(a.value), np.asarray(b.value), rtol=1e-6)


def test_new_metrics_give_zero_and_no_warning():
    for cls in metrics.CLASSES:
        assert np.all(np.asarray(cls().result()) == 0) or cls in (metrics.R2Score, metrics.AUC)


def test_few_variables_hold_a_metric():
    counts = {cls.__name__: len(cls().variables) for cls in metrics.CLASSES}
    assert max(counts.values()) <= 2


def test_sums_are_exact_over_many_batches():
    metric = metrics.Mean()
    metric.total.assign(si.asarray(2.0**24, dtype=si.float64))
    metric.update_state([1.0])
    assert float(metric.total.value) == 2.0**24 + 1


def test_metrics_of_metrics_are_reset_with_them():
    class Both(metrics.Metric):
        def __init__(self):
            super().__init__()
            self.left, self.right = metrics.Mean(), metrics.Sum()
            self.ones = self.add_variable((2,), "ones")

        def update_state(self, y, p, sample_weight=None):
            self.left.update_state(y)
            self.right.update_state(p)
            self.ones.assign(self.ones.value * 2)

        def result(self):
            return self.left.result() + self.right.result()

    metric = Both()
    assert metric.name == "both" and len(metric.variables) == 4
    assert float(metric([1.0, 3.0], [1.0, 1.0])) == 4
    metric.reset_state()
    assert float(metric.result()) == 0 and np.asarray(metric.ones.value).tolist() == [1, 1]


# -- what metrics are made of ------------------------------------------------------------------------------
def test_logits_are_ranked_where_they_are_known():
    z = si.asarray([[40.0, 41.0, -900.0], [0.0, -400.0, -300.0]])
    with activations.remember_logits():
        p = activations.softmax(z)
        assert np.asarray(metrics.sparse_categorical_accuracy([1, 0], p)).tolist() == [1, 1]
        top = [metrics.sparse_top_k_categorical_accuracy([1, 2], p, k=2), metrics.sparse_top_k_categorical_accuracy([1, 1], p, k=2)]
    assert [np.asarray(t).tolist() for t in top] == [[1, 1], [1, 0]]
    assert np.asarray(metrics.sparse_top_k_categorical_accuracy([1, 1], p, k=2)).tolist() == [1, 1]  # both probabilities are 0


def test_functions_and_losses_are_metrics():
    y, p = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [1.0], [4.0]], np.float32)
    each, whole = metrics.get(lambda y, p: si.abs(y - p)), metrics.get(lambda y, p: si.mean(si.abs(y - p)))
    for metric in (each, whole, metrics.get(losses.MeanAbsoluteError("sum")), metrics.get(losses.mean_absolute_error), metrics.get("mae")):
        metric.update_state(y, p)
        metric.update_state(y[:1], p[:1])
        assert float(metric.result()) == 1
    assert each.adds_examples and not whole.adds_examples
    with_factor = metrics.MeanMetricWrapper(lambda y, p, factor: factor * si.abs(y - p), "scaled", factor=2.0)
    assert float(with_factor(y, p)) == 2 and with_factor.name == "scaled"


def test_a_batch_counts_with_its_weights_where_a_function_gives_one_number():
    metric = metrics.get(lambda y, p: si.mean(p))
    metric.update_state(np.zeros(2), np.array([1.0, 1.0]), sample_weight=[1.0, 2.0])
    metric.update_state(np.zeros(1), np.array([5.0]))
    assert float(metric.result()) == 2


def test_functions_of_whole_batches_count_every_example_once_in_evaluate():
    x = rng.standard_normal((50, 3)).astype(np.float32)
    model = si.nn.Sequential([si.nn.Dense(1)])
    model.build((None, 3))
    results = []
    for loss in ("mse", lambda y, p: si.mean((y - p) ** 2)):
        model.compile("sgd", loss, metrics=[lambda y, p: si.mean((y - p) ** 2)])
        results += model.evaluate(x, x[:, :1], batch_size=32, verbose=0)
    np.testing.assert_allclose(results, results[0], rtol=1e-6)


def test_single_numbers_per_example_are_weighed_one_by_one():
    metric = metrics.MeanSquaredError()
    metric.update_state([0.0, 0.0], [1.0, 3.0], sample_weight=[1.0, 0.0])
    assert float(metric.result()) == 1


def test_weights_may_be_one_for_each_value():
    metric = metrics.BinaryAccuracy()
    metric.update_state([[1, 0], [1, 1]], [[0.9, 0.9], [0.9, 0.9]], sample_weight=[[1.0, 1.0], [0.0, 2.0]])
    assert float(metric.result()) == pytest.approx(0.75)  # as Keras: (0.5 + 1) / (1 + 1)
    with pytest.raises(ShapeError) as caught:
        metric.update_state([[1, 0], [1, 1]], [[0.9, 0.9], [0.9, 0.9]], sample_weight=[1.0, 1.0, 1.0])
    assert caught.value.slug == "sample-weight-shape"


# -- the confusion matrix -------------------------------------------------------------------------------------
def test_confusion_matrix_takes_scores_one_hot_rows_and_class_numbers():
    y, z = rng.integers(0, 3, 50), rng.standard_normal((50, 3)).astype(np.float32)
    expected = np.zeros((3, 3))
    np.add.at(expected, (y, z.argmax(-1)), 1)
    for truth, scores in ((y, z), (y[:, None], z), (np.eye(3)[y], z), (y, z.argmax(-1)), (y.astype(np.float32), z.argmax(-1))):
        metric = metrics.ConfusionMatrix(3)
        metric.update_state(truth[:20], scores[:20])
        metric.update_state(truth[20:], scores[20:])
        assert np.asarray(metric.result()).tolist() == expected.tolist()
    shares = {n: np.asarray(metrics.ConfusionMatrix(3, normalize=n)(y, z)) for n in ("true", "pred", "all")}
    np.testing.assert_allclose(shares["true"], expected / expected.sum(1, keepdims=True))
    np.testing.assert_allclose(shares["pred"], expected / expected.sum(0, keepdims=True))
    np.testing.assert_allclose(shares["all"], expected / 50)
    weighted = metrics.ConfusionMatrix()
    weighted.update_state(y, z, sample_weight=np.full(50, 0.5))
    np.testing.assert_allclose(np.asarray(weighted.result()), expected / 2)


def test_confusion_matrix_of_probabilities_of_one_class():
    for shape in ((4,), (4, 1)):
        metric = metrics.ConfusionMatrix()
        metric.check_shapes((None, *shape[1:]), (None, *shape[1:]))
        metric.update_state(np.reshape([0, 1, 1, 0], shape), np.reshape(np.float32([0.2, 0.7, 0.4, 0.5]), shape))
        assert np.asarray(metric.result()).tolist() == [[2, 0], [1, 1]]


def test_class_numbers_out_of_range_do_not_count():
    got = metrics.confusion_matrix([0, 1, 2, -1, 1], [0, 1, 1, 1, 5], 2)
    assert np.asarray(got).tolist() == [[1, 0], [0, 1]]


# -- entropy and mutual information -----------------------------------------------------------------------------
def test_entropy_is_its_definition():
    p = rng.random((3, 5))
    p[0, 2] = 0
    q = p / p.sum(-1, keepdims=True)
    expected = -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum(-1)
    np.testing.assert_allclose(np.asarray(metrics.entropy(p)), expected, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(metrics.entropy(p * 7, base=2)), expected / np.log(2), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(metrics.entropy(p.T, axis=0)), expected, rtol=1e-12)
    assert float(metrics.entropy([1, 0, 0])) == 0 and float(metrics.entropy(np.ones(8), base=2)) == pytest.approx(3)


def test_mutual_information_is_the_difference_of_entropies():
    joint = rng.integers(0, 9, (2, 4, 3)).astype(np.float64)
    joint[0, 1, 2] = 0
    flat = joint.reshape(2, -1)
    expected = metrics.entropy(joint.sum(-1)) + metrics.entropy(joint.sum(-2)) - metrics.entropy(flat)
    np.testing.assert_allclose(np.asarray(metrics.mutual_information(joint)), np.asarray(expected), rtol=1e-12)
    independent = np.outer([0.2, 0.8], [0.5, 0.3, 0.2])
    assert abs(float(metrics.mutual_information(independent))) < 1e-15
    x = rng.integers(0, 4, 100)
    counts = metrics.confusion_matrix(x, (x + 1) % 4, 4)
    assert float(metrics.mutual_information(counts, base=2)) == pytest.approx(float(metrics.entropy(np.bincount(x), base=2)))


# -- names, configurations --------------------------------------------------------------------------------------
def test_accuracy_and_crossentropy_mean_what_the_shapes_say():
    shapes = {"Binary": ((None,), (None, 1)), "SparseCategorical": ((None,), (None, 4)), "Categorical": ((None, 4), (None, 4))}
    for start, (target, output) in shapes.items():
        for short in ("accuracy", "acc", "crossentropy", "ce"):
            made = metrics.get(short, target, output)
            assert type(made).__name__ == start + ("Accuracy" if short.startswith("ac") else "Crossentropy") and made.name == short
    assert type(metrics.get("accuracy", (None, 7, 1), (None, 7, 4))) is metrics.SparseCategoricalAccuracy
    assert type(metrics.get("accuracy", (None,), (None,))) is metrics.BinaryAccuracy


@pytest.mark.parametrize("cls", metrics.CLASSES)
def test_names_and_classes_mean_the_same(cls):
    assert type(metrics.get(cls.__name__)) is cls and metrics.get(cls.__name__).name == cls.__name__
    assert type(metrics.get(cls)) is cls and type(metrics.get(cls().name)) is cls


def test_names_of_losses_are_metrics():
    for identifier in losses.TABLE:
        assert metrics.get(identifier).name == identifier


@si.nn.register("tests.gap")
def gap(y, p, factor=1.0):
    return factor * si.mean(si.abs(y - p), axis=-1)


class Largest(metrics.Metric):
    def __init__(self, name="largest", scale=1.0):
        super().__init__(name)
        self.scale = scale
        self.most = self.add_variable(name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(si.maximum(self.most.value, self.scale * si.max(si.abs(y_true - y_pred))))

    def result(self):
        return self.most.value

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


MADE = [
    *[getattr(metrics, c["class"])(**c["config"]) for c in CASES if "weighted" not in c["kind"]], metrics.ConfusionMatrix(4, normalize="true"),
    metrics.get(losses.Huber(0.5)), metrics.get("huber"), metrics.get(gap), metrics.MeanMetricWrapper(gap, "g", factor=2.0),
    metrics.get(losses.mean_squared_error), Largest(scale=2.0), metrics.get(metrics.binary_accuracy),
]  # fmt: skip


@pytest.mark.parametrize("metric", MADE, ids=repr)
def test_metrics_come_back_from_their_configuration(metric):
    config = json.loads(json.dumps(metrics.serialize(metric)))
    made = metrics.get(config)
    assert type(made) is type(metric) and made.get_config() == metric.get_config() and made.name == metric.name
    assert metrics.serialize(made) == config
    assert [v.shape for v in made.variables] == [v.shape for v in metric.variables]


@pytest.mark.parametrize(("make", "wanted"), [*COMPILED, (Largest, "real")])
def test_pickles_and_copies_keep_the_state(make, wanted):
    metric = make()
    metric.update_state(*arrays(kind(wanted)[0])[:2])
    for made in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert np.asarray(made.result()).tolist() == np.asarray(metric.result()).tolist()
        made.reset_state()
        assert not any(np.any(np.asarray(v.value)) for v in made.variables) and any(np.any(np.asarray(v.value)) for v in metric.variables)


def test_identifiers_are_kept_as_they_are():
    assert metrics.serialize("accuracy") == "accuracy"
    assert metrics.serialize(metrics.AUC)["class_name"] == "AUC"
    with pytest.raises(ArgumentError) as caught:
        metrics.serialize(lambda y, p: p)
    assert caught.value.slug == "save-function"


@pytest.mark.parametrize(
    ("make", "slug", "hint"),
    [
        (lambda: metrics.get("acuracy"), "metric-unknown", "accuracy"),
        (lambda: metrics.get("cross_entropie"), "metric-unknown", "crossentropy"),
        (lambda: metrics.get(3), "metric-unknown", "accuracy"),
        (lambda: metrics.get({"class_name": "Nope"}), "metric-unknown", "import"),
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), "argument-range", "sigmoid"),
        (lambda: metrics.Recall(top_k=0), "argument-integer", "top_k=3"),
        (lambda: metrics.AUC(curve="ROCK"), "argument-choice", "ROC"),
        (lambda: metrics.AUC(summation_method="middle"), "argument-choice", "interpolation"),
        (lambda: metrics.AUC(num_thresholds=1), "argument-integer", "num_thresholds=3"),
        (lambda: metrics.F1Score(average="mean"), "argument-choice", "micro"),
        (lambda: metrics.FBetaScore(beta=0), "argument-range", "beta=1.0"),
        (lambda: metrics.F1Score(threshold=2.0), "argument-range", "threshold=0.5"),
        (lambda: metrics.PrecisionAtRecall(50), "argument-range", "recall=0.5"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "argument-choice", "uniform_average"),
        (lambda: metrics.ConfusionMatrix(normalize="rows"), "argument-choice", "true"),
        (lambda: metrics.IoU(2, [2]), "argument-range", "range(2)"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0.5), "argument-integer", "k=3"),
        (lambda: metrics.entropy([1, 2], base=1), "argument-range", "base=2.0"),
        (lambda: metrics.mutual_information([1, 2]), "matrix-rank", "confusion_matrix"),
    ],
)
def test_wrong_arguments_are_refused(make, slug, hint):
    with pytest.raises((ArgumentError, ShapeError)) as caught:
        make()
    assert caught.value.slug == slug and hint in caught.value.fix


# -- shapes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("metric", "target", "output", "hint"),
    [
        (metrics.SparseCategoricalAccuracy(), (None, 4), (None, 4), "categorical_accuracy"),
        (metrics.CategoricalAccuracy(), (None,), (None, 4), "sparse_categorical_accuracy"),
        (metrics.SparseCategoricalCrossentropy(), (None, 4), (None, 4), "categorical_crossentropy"),
        (metrics.SparseCategoricalAccuracy(), (None,), (None, 1), "binary_accuracy"),
        (metrics.TopKCategoricalAccuracy(), (None,), (None, 4), "sparse_categorical"),
        (metrics.BinaryAccuracy(), (None, 2), (None, 1), "2 units"),
        (metrics.MeanSquaredError(), (None, 3), (None, 2), "3 units"),
        (metrics.RootMeanSquaredError(), (None, 3), (None, 2), "3 units"),
        (metrics.Precision(), (None,), (None, 4), "one_hot"),
        (metrics.Precision(class_id=4), (None, 4), (None, 4), "below 4"),
        (metrics.Recall(), (None, 1), (None, 4), "ConfusionMatrix"),
        (metrics.AUC(), (None,), (None, 4), "one_hot"),
        (metrics.AUC(multi_label=True, num_labels=3), (None, 4), (None, 4), "each label"),
        (metrics.F1Score(), (None, 1), (None, 1), "threshold=0.5"),
        (metrics.F1Score(), (None, 5, 4), (None, 5, 4), "Flatten"),
        (metrics.R2Score(), (None, 5, 4), (None, 5, 4), "Flatten"),
        (metrics.ConfusionMatrix(), (None, 3), (None, 4), "one whole number"),
        (metrics.MeanIoU(4), (None,), (None, 4), "sparse_y_pred=False"),
        (metrics.get(losses.Huber()), (None, 3), (None, 2), "3 units"),
    ],
    ids=repr,
)
def test_shapes_that_do_not_fit_are_refused_with_a_way_out(metric, target, output, hint):
    with pytest.raises(ShapeError) as caught:
        metric.check_shapes(target, output)
    text = str(caught.value)
    assert caught.value.slug == "metric-shapes" and hint in caught.value.fix
    assert f"metric {metric.name}" in text
    assert all(part in text for part in ("expected", "received", "to fix", "insitu explain metric-shapes", "test_nn_metrics.py"))


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["updates"][0][1] is not None and "sorted" not in c["kind"] and "weighted" not in c["kind"]], ids=name
)
def test_shapes_that_fit_pass_and_prepare_the_variables(case):
    metric = getattr(metrics, case["class"])(**case["config"])
    y, p, _ = arrays(case["updates"][0])
    metric.check_shapes((None, *y.shape[1:]), (None, *p.shape[1:]))
    before = [v.shape for v in metric.variables]
    metric.update_state(y, p)
    assert [v.shape for v in metric.variables] == before


@pytest.mark.parametrize(
    "part", ["", ".accuracy", ".base", ".curves", ".f_score", ".information", ".matrix", ".means", ".points", ".r2", ".thresholds"]
)
def test_examples_in_docstrings(part):
    assert doctest.testmod(importlib.import_module(f"insitu.nn.metrics{part}")).failed == 0


def test_a_metric_written_for_keras_counts_over_an_epoch():
    class Positives(si.nn.metrics.Metric):
        def __init__(self, name="positives", **options):
            super().__init__(name=name, **options)
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.count.assign_add(si.sum(si.astype(y_true > 0, "float32")))

        def result(self):
            return self.count

    model = si.nn.Sequential([si.nn.Dense(1)])
    model.compile("sgd", "mse", metrics=[Positives()])
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    assert model.fit(x, x, batch_size=16, epochs=2, verbose=0).history["positives"] == [25.0, 25.0]
