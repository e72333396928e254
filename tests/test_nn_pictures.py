"""Weights as pictures, in a terminal and as PNG; the hidden nodes that contribute to a class."""

from __future__ import annotations

import builtins
import io
import os

import numpy as np
import pytest
from rich.console import Console

import insitu as si
from insitu.errors import UserError
from insitu.nn import pictures
from insitu.nn.pictures import drawing, hidden


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


def test_pictures_have_the_shape_that_was_flattened(capsys):
    wide = si.nn.Sequential([si.nn.Input((2, 18)), si.nn.Rescaling(2.0), si.nn.Flatten(), si.nn.Dropout(0.1), si.nn.Dense(36), si.nn.Dense(2)])
    assert wide.layers[3].plot(show=False)[0].shape == (2, 18)
    assert wide.layers[4].plot(show=False)[0].shape == (6, 6)  # the outputs of a Dense layer have no neighbours
    x = si.nn.Input((3, 4, 2))
    hidden = si.nn.Dense(5)
    si.nn.Model(x, si.nn.Dense(1)(hidden(si.nn.Flatten()(x))))
    kernel = hidden.get_weights()[0]
    mean = kernel[:, 3].reshape(3, 4, 2).mean(2)
    found = hidden.plot(units=3, show=False)
    np.testing.assert_allclose(found[0], mean / np.abs(mean).max(), rtol=1e-6)
    assert repr(found) == "<1 picture, 3 x 4>" and repr(hidden.plot(show=False, input_shape=(4, 6))) == "<5 pictures, 4 x 6>"


def test_filters_of_a_convolution_are_pictures():
    class Filters(si.nn.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((3, 2, 4, 5), "glorot_uniform", "kernel")

        def call(self, x):
            return x

    layer = Filters()
    layer(si.ones((1, 8, 8, 4)))
    assert repr(layer.plot(show=False)) == "<5 pictures, 3 x 2>"


def test_of_many_units_the_first_are_shown_and_all_written(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image")
    many = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(100)]).layers[0]
    assert len(many.plot(tmp_path / "w.png", columns=100)) == 100
    shown = capsys.readouterr().out
    assert "31" in shown.split() and "32" not in shown.split() and "68 more: units=range(32, 64)" in shown
    assert image.open(tmp_path / "w.png").size == (301 * 6, 4 * 6)  # large ones are enlarged less


def test_weights_that_are_not_finite_can_be_told(capsys, tmp_path):
    image = pytest.importorskip("PIL.Image")
    layer = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)]).layers[0]
    layer.set_weights([np.array([[np.nan], [np.inf], [-2.0], [1.0]], np.float32), np.zeros(1, np.float32)])
    layer.plot(tmp_path / "w.png")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["????", "≡≡▒▒", "0"]
    assert tuple(np.asarray(image.open(tmp_path / "w.png"))[8, 8]) == (128, 128, 128)
    assert "#808080" in str(drawing.half_blocks(np.array([[np.nan]]))[0].spans[0].style)


def test_a_picture_wider_than_the_terminal_is_shown_smaller():
    screen = Console(file=io.StringIO(), width=20, color_system=None)
    pictures.gallery(screen, [np.ones((30, 30))], ["wide"])
    lines = screen.file.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 20 and "██" in lines[0] and len(lines) == 9


@pytest.mark.parametrize(
    ("options", "sign"),
    [
        ({"color_system": "truecolor"}, "▀"),
        ({"color_system": "256"}, "▀"),
        ({"color_system": "standard"}, "█"),
        ({"color_system": "truecolor", "no_color": True}, "█"),
        ({"color_system": None}, "█"),
    ],
)
def test_colours_are_used_where_there_are_enough(options, sign):
    screen = Console(file=io.StringIO(), width=40, force_terminal=True, legacy_windows=False, **options)
    pictures.gallery(screen, [np.array([[1.0, -1.0]])], ["x"], signed=True)
    assert sign in screen.file.getvalue() and (sign == "▀") == ("\x1b[38;" in screen.file.getvalue())
    assert pictures.legend(screen)[0] == ("red" if sign == "▀" else "░▒▓█")


def test_without_blocks_the_sign_of_a_weight_can_still_be_told():
    raw = io.BytesIO()
    screen = Console(file=io.TextIOWrapper(raw, "ascii"), width=40, color_system=None)
    pictures.gallery(screen, [np.array([[1.0, -1.0, 0.0]])], ["x"], signed=True)
    screen.file.flush()
    assert raw.getvalue().splitlines()[0].strip() == b"##=="


def test_contributions_of_functional_and_nested_models_are_those_of_the_same_layers_in_a_row():
    net = model()
    x = np.random.default_rng(1).random((3000, 4, 4)).astype(np.float32)
    expected = pictures.contributions(net, x, 1)
    entry = si.nn.Input((4, 4))
    seen = entry
    for layer in net.layers:
        seen = layer(seen)
    found = pictures.contributions(si.nn.Model(entry, si.nn.Softmax()(seen)), x, 1)
    assert [c.node for c in found] == [c.node for c in expected]
    np.testing.assert_allclose([c.value for c in found], [c.value for c in expected], rtol=1e-6)
    nested = si.nn.Sequential([si.nn.Input((4, 4)), si.nn.Sequential(net.layers[:2]), net.layers[2], si.nn.Activation("softmax")])
    assert pictures.contributions(nested, x, 1) == expected == pictures.contributions(net, (x[k : k + 100] for k in range(0, 3000, 100)), 1)


def test_a_single_output_speaks_for_class_1_and_against_class_0():
    net = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(3, activation="relu"), si.nn.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(0).random((9, 4)).astype(np.float32)
    ones, zeros = pictures.contributions(net, x, 1), pictures.contributions(net, x, 0)
    assert {c.node: c.value for c in ones} == {c.node: -c.value for c in zeros}


def test_behind_further_layers_a_picture_is_the_product_of_kernels(monkeypatch, tmp_path, capsys):
    net = si.nn.Sequential([si.nn.Input((2, 3)), si.nn.Flatten(), si.nn.Dense(7, "relu"), si.nn.Dense(5, "relu"), si.nn.Dense(3)])
    shown = []
    monkeypatch.setattr(hidden, "gallery", lambda console, made, captions, signed: shown.extend(made))
    found = pictures.plot_contributions(net, np.ones((4, 2, 3), np.float32), 2, top=2)
    w, _, v, *_ = net.get_weights()
    expected = (w @ v)[:, found[0].node].reshape(2, 3)
    np.testing.assert_allclose(shown[0], expected / np.abs(expected).max(), rtol=1e-5)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_is_written_whole_or_not_at_all(monkeypatch, tmp_path, error):
    pytest.importorskip("PIL.Image")
    (tmp_path / "w.png").write_bytes(b"old")

    def broken(*args):
        raise error

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises((UserError, KeyboardInterrupt)):
        model().layers[1].plot(tmp_path / "w.png", show=False)
    assert [p.name for p in tmp_path.iterdir()] == ["w.png"] and (tmp_path / "w.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda m: m.layers[0].plot(), "pictures-layer"),
        (lambda m: m.layers[1].plot(units=[5]), "pictures-unit"),
        (lambda m: m.layers[1].plot(units=[-1]), "pictures-unit"),
        (lambda m: m.layers[1].plot(units=[]), "pictures-unit"),
        (lambda m: m.layers[1].plot(units="01"), "pictures-unit"),
        (lambda m: m.layers[1].plot("w.png", columns=0, show=False), "argument-integer"),
        (lambda m: m.layers[1].plot(input_shape=16), "pictures-shape"),
        (lambda m: pictures.contributions(m, np.ones((1, 4, 4)), "3"), "pictures-unit"),
        (lambda m: pictures.contributions(m, np.ones((1, 4, 4)), 1, top=0), "argument-integer"),
        (lambda m: pictures.contributions(m, np.ones((0, 4, 4)), 1), "data-empty"),
        (lambda m: m.layers[1].plot(input_shape=(3, 5)), "pictures-shape"),
        (lambda m: pictures.contributions(m, np.ones((1, 4, 4)), 3), "pictures-unit"),
        (lambda m: pictures.contributions(si.nn.Sequential([si.nn.Dense(2)]), np.ones((1, 4)), 0), "pictures-model"),
    ],
)
def test_mistakes_are_named(make, slug):
    with pytest.raises(UserError) as caught:
        make(model())
    assert caught.value.slug == slug
