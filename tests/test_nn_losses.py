"""Losses and metrics against their definitions in NumPy (float64), values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import insitu as si
from insitu.errors import ArgumentError, ShapeError
from insitu.nn import losses, metrics

rng = np.random.default_rng(0)
LOGITS = rng.standard_normal((7, 4)) * 3
P = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LABELS = np.array([0, 3, 1, 2, 2, 0, 3])
ONE_HOT = np.eye(4)[LABELS]
BITS = (rng.random((7, 4)) > 0.5).astype(np.float64)
Q = 1 / (1 + np.exp(-LOGITS))

CATEGORICAL = -np.log(P[np.arange(7), LABELS])
BINARY = -(BITS * np.log(Q) + (1 - BITS) * np.log(1 - Q)).mean(-1)


def f32(x):
    return si.asarray(np.asarray(x, np.float32))


@pytest.mark.parametrize(
    ("loss", "target", "prediction", "expected"),
    [
        (losses.SparseCategoricalCrossentropy(), LABELS, P, CATEGORICAL),
        (losses.SparseCategoricalCrossentropy(), LABELS[:, None], P, CATEGORICAL),
        (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS.astype(np.uint8), LOGITS, CATEGORICAL),
        (losses.CategoricalCrossentropy(), ONE_HOT, P * 3, CATEGORICAL),
        (losses.CategoricalCrossentropy(from_logits=True), ONE_HOT, LOGITS, CATEGORICAL),
        (losses.BinaryCrossentropy(), BITS, Q, BINARY),
        (losses.BinaryCrossentropy(from_logits=True), BITS, LOGITS, BINARY),
        (losses.MeanSquaredError(), BITS, Q, ((BITS - Q) ** 2).mean(-1)),
    ],
)
def test_values(loss, target, prediction, expected):
    target = si.asarray(np.asarray(target) if np.asarray(target).dtype.kind in "iu" else np.asarray(target, np.float32))
    np.testing.assert_allclose(np.asarray(loss.call(target, f32(prediction))), expected, rtol=2e-5, atol=1e-6)
    assert float(loss(target, f32(prediction))) == pytest.approx(expected.mean(), rel=2e-5)


def test_logits_of_any_size_give_finite_losses():
    huge = f32([[1e4, -1e4], [-1e4, 1e4]])
    labels = si.asarray([0, 0])
    got = np.asarray(losses.SparseCategoricalCrossentropy(from_logits=True).call(labels, huge))
    assert got.tolist() == [0, 20000]
    got = np.asarray(losses.BinaryCrossentropy(from_logits=True).call(f32([[1.0], [0.0]]), f32([[-1e4], [1e4]])))
    assert got.tolist() == [1e4, 1e4]


def test_probabilities_of_zero_are_kept_from_infinity():
    got = float(losses.SparseCategoricalCrossentropy()(si.asarray([0]), f32([[0.0, 1.0]])))
    assert got == pytest.approx(-np.log(1e-7), rel=1e-4)


@pytest.mark.parametrize("target", ["sparse", "one-hot"])
def test_gradient_is_softmax_minus_target(target):
    loss = losses.SparseCategoricalCrossentropy(True) if target == "sparse" else losses.CategoricalCrossentropy(True)
    y = si.asarray(LABELS) if target == "sparse" else f32(ONE_HOT)
    got = si.grad(lambda z: loss(y, z))(f32(LOGITS))
    np.testing.assert_allclose(np.asarray(got), (P - ONE_HOT) / 7, atol=1e-7)


def test_binary_gradient_is_sigmoid_minus_target():
    got = si.grad(lambda z: losses.BinaryCrossentropy(True)(f32(BITS), z))(f32(LOGITS))
    np.testing.assert_allclose(np.asarray(got), (Q - BITS) / 28, atol=1e-7)


def test_a_function_is_a_loss():
    loss = losses.get(lambda y, p: si.mean(si.abs(y - p), axis=-1))
    assert float(loss(f32(BITS), f32(Q))) == pytest.approx(np.abs(BITS - Q).mean(), rel=1e-5)


@pytest.mark.parametrize("cls", losses.CLASSES)
def test_losses_come_back_from_their_configuration(cls):
    made = losses.get(losses.serialize(cls(name="n")))
    assert type(made) is cls and made.get_config() == cls(name="n").get_config()


@pytest.mark.parametrize(
    ("name", "target", "output", "hint"),
    [
        ("sparse_categorical_crossentropy", (None, 4), (None, 4), "categorical_crossentropy"),
        ("sparse_categorical_crossentropy", (None,), (None, 28, 10), "Flatten"),
        ("categorical_crossentropy", (None,), (None, 4), "sparse_categorical_crossentropy"),
        ("categorical_crossentropy", (None, 5), (None, 4), "5 units"),
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
        ("categorical_crossentropy", (None, 4), (None, 4)),
        ("mse", (None,), (None, 1)),
        ("binary_crossentropy", (None, 1), (None, 1)),
    ],
)
def test_shapes_that_fit_pass(name, target, output):
    losses.get(name).check_shapes(target, output)


def test_accuracy_means_what_the_shapes_say():
    sparse = metrics.get("accuracy", (None,), (None, 4))
    categorical = metrics.get("accuracy", (None, 4), (None, 4))
    binary = metrics.get("acc", (None, 1), (None, 1))
    expected = (P.argmax(-1) == LABELS).mean()
    assert float(sparse(si.asarray(LABELS), f32(P))) == pytest.approx(expected)
    assert float(categorical(f32(ONE_HOT), f32(P))) == pytest.approx(expected)
    assert float(binary(f32(BITS[:, :1]), f32(Q[:, :1]))) == pytest.approx((BITS[:, 0] == (Q[:, 0] > 0.5)).mean())
    assert [m.name for m in (sparse, categorical, binary)] == ["accuracy", "accuracy", "acc"]


def test_errors_as_metrics():
    assert float(metrics.get("mae", (None, 4), (None, 4))(f32(BITS), f32(Q))) == pytest.approx(np.abs(BITS - Q).mean(), rel=1e-5)
    mse = metrics.get("mse", (None, 4), (None, 4))
    assert mse.name == "mse" and float(mse(f32(BITS), f32(Q))) == pytest.approx(((BITS - Q) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize(("get", "slug"), [(losses.get, "loss-unknown"), (lambda n: metrics.get(n, (None,), (None, 2)), "metric-unknown")])
def test_unknown_names_are_refused(get, slug):
    with pytest.raises(ArgumentError) as caught:
        get("cross_entropie")
    assert caught.value.slug == slug
