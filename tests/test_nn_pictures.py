"""Weights as pictures, in a terminal and as PNG; the hidden nodes that contribute to a class."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError
from insitu.nn import pictures


def model():
    si.random.seed(0)
    return si.nn.Sequential([si.nn.Input((4, 4)), si.nn.Flatten(), si.nn.Dense(5, activation="relu"), si.nn.Dense(3)])


def test_pictures_are_the_weights_of_the_units(capsys):
    layer = model().layers[1]
    found = layer.plot(units=[1, 4])
    kernel = layer.get_weights()[0]
    for picture, unit in zip(found, (1, 4), strict=True):
        np.testing.assert_allclose(picture, kernel[:, unit].reshape(4, 4) / np.abs(kernel[:, unit]).max(), rtol=1e-6)
    shown = capsys.readouterr().out
    assert "1" in shown and "4" in shown and "█" in shown


def test_png_has_red_for_positive_and_blue_for_negative_weights(tmp_path):
    image = pytest.importorskip("PIL.Image")
    layer = model().layers[1]
    layer.set_weights([np.tile(np.linspace(-1, 1, 16, dtype=np.float32)[:, None], 5), np.zeros(5, np.float32)])
    layer.plot(tmp_path / "w.png", columns=5, show=False)
    pixels = np.asarray(image.open(tmp_path / "w.png"))
    assert pixels.shape == ((4 + 2) * 8, (5 * 5 + 1) * 8, 3)
    first, last = pixels[8, 8], pixels[4 * 8 + 4, 4 * 8 + 4]
    np.testing.assert_array_equal(first, [33, 102, 172])
    np.testing.assert_array_equal(last, [178, 24, 43])
    assert [p.name for p in tmp_path.iterdir()] == ["w.png"]


def test_contributions_as_by_hand():
    net = model()
    x = np.random.default_rng(0).random((7, 4, 4)).astype(np.float32)
    w, b, v, _ = net.get_weights()
    hidden = np.maximum(x.reshape(7, 16) @ w + b, 0).mean(0) * v[:, 2]
    found = pictures.contributions(net, x, 2, top=3)
    assert [c.node for c in found] == list(np.argsort(-hidden)[:3])
    np.testing.assert_allclose([c.value for c in found], np.sort(hidden)[::-1][:3], rtol=1e-5)


def test_contributions_are_shown_with_their_pictures(capsys):
    found = pictures.plot_contributions(model(), np.ones((2, 4, 4), np.float32), 1, top=2)
    shown = capsys.readouterr().out
    assert all(f"{c.node}: {c.value:+.2f}" in shown for c in found)


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError) as caught:
        model().layers[1].plot(tmp_path / "w.png", show=False)
    assert (caught.value.slug, caught.value.fix) == ("pictures-pillow", "pip install 'insitu[images]'")


def test_a_folder_that_is_missing_is_told(tmp_path):
    pytest.importorskip("PIL.Image")
    with pytest.raises(UserError) as caught:
        model().layers[1].plot(tmp_path / "none" / "w.png", show=False)
    assert caught.value.slug == "file-not-writable"


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda m: m.layers[0].plot(), "pictures-layer"),
        (lambda m: m.layers[1].plot(units=[5]), "pictures-unit"),
        (lambda m: m.layers[1].plot(input_shape=(3, 5)), "pictures-shape"),
        (lambda m: pictures.contributions(m, np.ones((1, 4, 4)), 3), "pictures-unit"),
        (lambda m: pictures.contributions(si.nn.Sequential([si.nn.Dense(2)]), np.ones((1, 4)), 0), "pictures-model"),
    ],
)
def test_mistakes_are_named(make, slug):
    with pytest.raises(UserError) as caught:
        make(model())
    assert caught.value.slug == slug
