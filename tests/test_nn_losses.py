"""Losses: values and gradients against Keras, finite differences, weights, reductions, shapes and configurations."""

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
from insitu.nn import activations, losses

GOLDEN = Path(__file__).parent / "golden" / "keras_losses.json"
sys.path.insert(0, str(GOLDEN.parent))
import keras_images

CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
BUILT_IN = [losses.TABLE[name] for name in sorted(f.__name__ for f in losses.FUNCTIONS)]
rng = np.random.default_rng(0)
LOGITS = rng.standard_normal((7, 4)) * 3
P = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LABELS = np.array([0, 3, 1, 2, 2, 0, 3])
ONE_HOT = np.eye(4)[LABELS]
BITS = (rng.random((7, 4)) > 0.5).astype(np.float64)
Q = 1 / (1 + np.exp(-LOGITS))


def f32(x):
    return si.asarray(np.asarray(x, np.float32))


def data(case):
    y = np.array(case["y_true"])
    return (y if y.dtype.kind == "i" else y.astype(np.float32)), np.array(case["y_pred"], np.float32), np.array(case["weights"], np.float32)


def name(case):
    return f"{case['class']}{case['config'] or ''}-{case['kind']}"


# -- against Keras -----------------------------------------------------------------------------------
@pytest.mark.parametrize("case", CASES, ids=name)
def test_values_are_those_of_keras(case):
    y, p, w = data(case)
    for reduction, (plain, weighted) in case["results"].items():
        loss = getattr(losses, case["class"])(**case["config"], reduction=reduction)
        np.testing.assert_allclose(np.asarray(loss(y, p)), plain, rtol=3e-5, atol=3e-6)
        np.testing.assert_allclose(np.asarray(loss(y, p, sample_weight=w)), weighted, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_gradients_are_those_of_keras(case):
    y, p, w = data(case)
    loss = getattr(losses, case["class"])(**case["config"])
    got = si.grad(lambda q: loss(y, q, sample_weight=w))(si.asarray(p))
    np.testing.assert_allclose(np.asarray(got), case["gradient"], rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_functions_give_what_the_objects_give_for_each_example(case):
    y, p, _ = data(case)
    function = next(f for f, cls in losses.FUNCTIONS.items() if cls.__name__ == case["class"])
    loss = getattr(losses, case["class"])(**case["config"], reduction=None)
    np.testing.assert_array_equal(np.asarray(function(y, p, **case["config"])), np.asarray(loss(y, p)))


def test_every_loss_has_golden_values():
    images = {name for name, _ in keras_images.LOSSES}  # see test_nn_golden_images.py
    assert {case["class"] for case in CASES} | images == {cls.__name__ for cls in BUILT_IN}


@pytest.mark.slow
@pytest.mark.skipif(not (importlib.util.find_spec("keras") and importlib.util.find_spec("jax")), reason="needs keras and jax")
def test_stored_values_are_still_those_of_keras():
    subprocess.run([sys.executable, GOLDEN.with_suffix(".py"), "--check"], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})


# -- gradients ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", [c for c in CASES if c["kind"].endswith("deep")], ids=name)
def test_gradients_are_finite_differences(case):
    y, p, w = data(case)
    y, p = (y if y.dtype.kind == "i" else y.astype(np.float64)), p.astype(np.float64)
    loss = getattr(losses, case["class"])(**case["config"])
    value = si.compile(lambda q: loss(y, q, sample_weight=w))
    got = np.asarray(si.grad(lambda q: loss(y, q, sample_weight=w))(si.asarray(p)))
    step = 1e-5
    for place in [(0, 0, 0), (1, 1, 2), (2, 0, 3)]:
        at = tuple(min(i, n - 1) for i, n in zip(place, p.shape, strict=True))
        shift = np.zeros_like(p)
        shift[at] = step
        expected = (float(value(p + shift)) - float(value(p - shift))) / (2 * step)
        assert got[at] == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("target", ["sparse", "one-hot"])
def test_gradient_is_softmax_minus_target(target):
    loss = losses.SparseCategoricalCrossentropy(True) if target == "sparse" else losses.CategoricalCrossentropy(True)
    y = si.asarray(LABELS) if target == "sparse" else f32(ONE_HOT)
    got = si.grad(lambda z: loss(y, z))(f32(LOGITS))
    np.testing.assert_allclose(np.asarray(got), (P - ONE_HOT) / 7, atol=1e-7)


def test_binary_gradient_is_sigmoid_minus_target_also_at_zero():
    got = si.grad(lambda z: losses.BinaryCrossentropy(True)(f32(BITS), z))(f32(LOGITS))
    np.testing.assert_allclose(np.asarray(got), (Q - BITS) / 28, atol=1e-7)
    at_zero = si.grad(lambda z: losses.BinaryCrossentropy(True)(f32([[0.0, 1.0]]), z))(f32([[0.0, 0.0]]))
    assert np.asarray(at_zero).tolist() == [[0.25, -0.25]]


@pytest.mark.parametrize("cls", [losses.CosineSimilarity, losses.LogCosh, losses.Huber, losses.MeanAbsoluteError, losses.MeanSquaredLogarithmicError])
def test_gradients_are_finite_where_predictions_and_targets_are_zero(cls):
    got = si.grad(lambda p: cls()(f32(np.zeros((2, 3))), p))(f32(np.zeros((2, 3))))
    assert np.asarray(got).tolist() == np.zeros((2, 3)).tolist()


# -- exactness ------------------------------------------------------------------------------------------
def test_logits_of_any_size_give_finite_losses():
    huge = f32([[1e4, -1e4], [-1e4, 1e4]])
    got = np.asarray(losses.SparseCategoricalCrossentropy(from_logits=True).call(si.asarray([0, 0]), huge))
    assert got.tolist() == [0, 20000]
    got = np.asarray(losses.BinaryCrossentropy(from_logits=True).call(f32([[1.0], [0.0]]), f32([[-1e4], [1e4]])))
    assert got.tolist() == [1e4, 1e4]
    assert np.asarray(losses.log_cosh([[0.0], [0.0]], f32([[1e30], [-1e30]]))).tolist() == [np.float32(1e30)] * 2


def test_log_cosh_keeps_small_differences():
    got = float(losses.LogCosh()(f32([[0.0]]), f32([[1e-3]])))
    assert got == pytest.approx(5e-7, rel=1e-3)


def test_probabilities_of_zero_are_kept_from_infinity():
    got = float(losses.SparseCategoricalCrossentropy()(si.asarray([0]), f32([[0.0, 1.0]])))
    assert got == pytest.approx(-np.log(1e-7), rel=1e-4)


@pytest.mark.parametrize(
    ("activation", "loss", "target"),
    [
        ("softmax", "sparse_categorical_crossentropy", np.array([1, 1])),
        ("softmax", "categorical_crossentropy", np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)),
        ("sigmoid", "binary_crossentropy", np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)),
    ],
)
def test_remembered_logits_are_used_by_objects_functions_and_functions_of_the_user(activation, loss, target):
    z = f32([[50.0, -50.0], [60.0, -60.0]])
    exact = float(getattr(losses, loss)(target, z, from_logits=True).mean())
    with activations.remember_logits():
        p = activations.get(activation)(z)
        for made in (losses.get(loss), losses.get(lambda y, q: getattr(losses, loss)(y, q)), losses.get(getattr(losses, loss))):
            assert float(made(target, p)) == exact
        other = activations.softmax(z) if activation == "sigmoid" else activations.sigmoid(z)
        assert float(losses.get(loss)(target, other)) < exact
    assert float(losses.get(loss)(target, p)) < 17  # outside, probabilities are all that is known


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_half_precision_is_computed_in_single_and_double_stays_double(dtype):
    p = si.asarray(Q, dtype=dtype)
    got = losses.MeanSquaredError()(si.asarray(BITS), p)
    assert got.dtype == (si.float64 if dtype == "float64" else si.float32)
    np.testing.assert_allclose(float(got), ((BITS - np.asarray(p.astype(si.float64))) ** 2).mean(), rtol=1e-6)


def test_classes_may_lie_on_any_axis():
    z, y = rng.standard_normal((3, 5, 2)), rng.integers(0, 5, (3, 2))
    expected = np.asarray(losses.sparse_categorical_crossentropy(y, f32(z.transpose(0, 2, 1)), from_logits=True))
    for axis in (1, -2):
        got = losses.SparseCategoricalCrossentropy(from_logits=True, axis=axis, reduction=None)(y, f32(z))
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-6)
        one_hot = np.moveaxis(np.eye(5)[y], -1, 1)
        got = losses.categorical_crossentropy(one_hot, f32(z), from_logits=True, axis=axis)
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "int8"])
def test_labels_of_any_type_are_class_numbers(dtype):
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    assert float(loss(LABELS.astype(dtype), f32(LOGITS))) == float(loss(LABELS, f32(LOGITS)))


def test_ignored_labels_may_be_out_of_range():
    y = np.where(LABELS == 3, -1, LABELS)
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    kept = LABELS != 3
    assert float(loss(y, f32(P))) == pytest.approx(-np.log(P[np.arange(7), LABELS])[kept].mean(), rel=1e-5)
    assert float(loss(np.full(7, -1), f32(P))) == 0


# -- weights and reductions -------------------------------------------------------------------------------
def test_weights_of_examples_weigh_all_their_values():
    y, p, w = rng.standard_normal((3, 4, 5)), rng.standard_normal((3, 4, 5)), np.array([0.0, 1.0, 2.5])
    each = ((y - p) ** 2).mean(-1)
    loss = losses.MeanSquaredError()
    for weights in (w, w[:, None], np.repeat(w[:, None], 4, 1), w[:, None, None]):
        assert float(loss(f32(y), f32(p), sample_weight=weights)) == pytest.approx((each * w[:, None]).mean(), rel=1e-5)
    mean = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert float(mean(f32(y), f32(p), sample_weight=w)) == pytest.approx((each * w[:, None]).sum() / (w.sum() * 4), rel=1e-5)


def test_single_numbers_per_example_are_weighed_one_by_one():
    y, p, w = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0]), np.array([1.0, 5.0, 0.5])
    assert float(losses.MeanSquaredError()(f32(y), f32(p), sample_weight=w)) == pytest.approx(1.0)
    assert float(losses.MeanSquaredError()(f32(y), f32(p))) == float(losses.MeanSquaredError()(f32(y), f32(p[:, None]))) == pytest.approx(5 / 3)
    assert losses.mean_squared_error(f32(y), f32(p)).shape == ()  # a function takes one axis as one example, as in Keras


def test_a_number_may_be_the_target_of_all():
    assert float(losses.BinaryCrossentropy(from_logits=True)(1.0, f32([[0.0], [0.0]]))) == pytest.approx(np.log(2))


def test_weights_of_zero_sum_give_zero():
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert float(loss(f32([[1.0]]), f32([[2.0]]), sample_weight=[0.0])) == 0


@pytest.mark.parametrize("shape", [(3,), (7, 2), (7, 4, 1, 1), (2, 7)])
def test_weights_that_do_not_fit_are_refused(shape):
    with pytest.raises(ShapeError) as caught:
        losses.MeanSquaredError()(f32(BITS), f32(Q), sample_weight=np.ones(shape))
    assert caught.value.slug == "sample-weight-shape" and str(shape) in caught.value.received


def test_which_losses_add_their_examples():
    assert losses.MeanSquaredError().adds_examples and losses.MeanSquaredError("mean").adds_examples
    assert not losses.MeanSquaredError("sum").adds_examples and not losses.SparseCategoricalCrossentropy(ignore_class=0).adds_examples
    whole, each = losses.get(lambda y, p: si.mean((y - p) ** 2)), losses.get(lambda y, p: si.mean((y - p) ** 2, axis=-1))
    for loss in (whole, each):
        loss(f32(BITS), f32(Q))
    assert each.adds_examples and not whole.adds_examples


# -- functions and classes of the user -----------------------------------------------------------------------
def test_a_function_is_a_loss():
    loss = losses.get(lambda y, p: si.mean(si.abs(y - p), axis=-1))
    assert float(loss(f32(BITS), f32(Q))) == pytest.approx(np.abs(BITS - Q).mean(), rel=1e-5)
    whole = losses.get(lambda y, p: si.mean(si.abs(y - p)))
    assert float(whole(BITS, f32(Q))) == pytest.approx(np.abs(BITS - Q).mean(), rel=1e-5)
    assert whole(BITS, f32(Q)).dtype == si.float32
    assert float(whole(BITS, f32(Q), sample_weight=np.full(7, 2.0))) == pytest.approx(2 * np.abs(BITS - Q).mean(), rel=1e-5)


@si.nn.register("tests.distance")
def distance(y, p):
    return si.mean(si.abs(y - p), axis=-1)


class Cubic(losses.Loss):
    def __init__(self, factor=1.0, name=None, reduction="sum_over_batch_size"):
        super().__init__(name, reduction)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * si.mean(si.abs(y_pred - y_true) ** 3, axis=-1)

    def get_config(self):
        return {"factor": self.factor, **super().get_config()}


# -- configurations --------------------------------------------------------------------------------------------
OPTIONS = [
    *[cls(name="n", reduction="sum") for cls in BUILT_IN],
    losses.Huber(0.5), losses.CosineSimilarity(axis=1), losses.BinaryCrossentropy(True, 0.1, 1), losses.CategoricalCrossentropy(True, 0.2, -2),
    losses.SparseCategoricalCrossentropy(True, 2, None, 1), Cubic(2.0), losses.get(distance),
]  # fmt: skip


@pytest.mark.parametrize("loss", OPTIONS, ids=repr)
def test_losses_come_back_from_their_configuration_and_from_pickles(loss):
    config = json.loads(json.dumps(losses.serialize(loss)))
    for made in (losses.get(config), pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert type(made) is type(loss) and made.get_config() == loss.get_config() and made.name == loss.name
        assert {k: v for k, v in vars(made).items() if k != "function"} == {k: v for k, v in vars(loss).items() if k != "function"}


def test_a_function_that_is_not_registered_cannot_be_stored():
    with pytest.raises(ArgumentError) as caught:
        losses.serialize(losses.get(lambda y, p: y - p))
    assert caught.value.slug == "save-function" and "@si.nn.register" in caught.value.fix


@pytest.mark.parametrize("cls", BUILT_IN)
def test_names_classes_and_functions_mean_the_same(cls):
    function = next(f for f, c in losses.FUNCTIONS.items() if c is cls)
    for identifier in (cls, cls.__name__, function.__name__, function, cls()):
        assert type(losses.get(identifier)) is cls


@pytest.mark.parametrize(
    ("alias", "name"), [("mse", "MeanSquaredError"), ("MAE", "MeanAbsoluteError"), ("bce", "BinaryCrossentropy"), ("kld", "KLDivergence")]
)
def test_short_names(alias, name):
    assert type(losses.get(alias)).__name__ == name


@pytest.mark.parametrize(
    ("make", "slug", "hint"),
    [
        (lambda: losses.get("cross_entropie"), "loss-unknown", "crossentropy"),
        (lambda: losses.get({"class_name": "NoSuchLoss", "config": {}}), "loss-unknown", "import"),
        (lambda: losses.MeanSquaredError(reduction="avg"), "argument-choice", "sum_over_batch_size"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), "argument-range", "label_smoothing=0.5"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5), "argument-integer", "ignore_class=3"),
    ],
)
def test_wrong_arguments_are_refused(make, slug, hint):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert caught.value.slug == slug and hint in caught.value.fix


# -- shapes ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "target", "output", "hint"),
    [
        ("sparse_categorical_crossentropy", (None, 4), (None, 4), "categorical_crossentropy"),
        ("sparse_categorical_crossentropy", (None,), (None, 28, 10), "Flatten"),
        ("sparse_categorical_crossentropy", (None,), (None,), "Dense"),
        ("categorical_crossentropy", (None,), (None, 4), "sparse_categorical_crossentropy"),
        ("categorical_crossentropy", (None, 5), (None, 4), "5 units"),
        ("categorical_crossentropy", (None, 1), (None, 1), "binary_crossentropy"),
        ("sparse_categorical_crossentropy", (None,), (None, 1), "binary_crossentropy"),
        ("categorical_hinge", (None,), (None, 4), "one_hot"),
        ("mse", (None, 3), (None, 2), "3 units"),
        ("binary_crossentropy", (None, 2), (None, 1), "2 units"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_a_way_out(name, target, output, hint):
    with pytest.raises(ShapeError) as caught:
        losses.get(name).check_shapes(target, output)
    assert caught.value.slug == "loss-shapes" and hint in caught.value.fix


@pytest.mark.parametrize(
    ("name", "target", "output"),
    [
        ("sparse_categorical_crossentropy", (None,), (None, 4)),
        ("sparse_categorical_crossentropy", (None, 1), (None, 4)),
        ("sparse_categorical_crossentropy", (None, 5), (None, 5, 4)),
        ("categorical_crossentropy", (None, 4), (None, 4)),
        ("mse", (None,), (None, 1)),
        ("mse", (None,), (None,)),
        ("binary_crossentropy", (None, 1), (None, 1)),
    ],
)
def test_shapes_that_fit_pass(name, target, output):
    losses.get(name).check_shapes(target, output)


@pytest.mark.parametrize("cls", BUILT_IN)
def test_arrays_that_do_not_fit_are_refused_not_broadcast(cls):
    with pytest.raises(ShapeError) as caught:
        cls()(np.zeros((4, 3)), np.ones((4, 2), np.float32))
    text = str(caught.value)
    assert caught.value.slug == "loss-shapes"
    assert all(part in text for part in ("expected", "received", "to fix", "insitu explain loss-shapes", "test_nn_losses.py", "(4, 3)", "(4, 2)"))


@pytest.mark.parametrize("part", ["", ".base", ".crossentropy", ".hinge", ".probabilistic", ".regression"])
def test_examples_in_docstrings(part):
    assert doctest.testmod(importlib.import_module(f"insitu.nn.losses{part}")).failed == 0
