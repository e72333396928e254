"""Pictures in files and folders: against Pillow by hand, in fixed orders, with errors that name the file."""

from __future__ import annotations

import builtins
import doctest
import importlib
import threading

import numpy as np
import pytest

import insitu as si
from insitu.data import Dataset
from insitu.errors import UserError

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def picture(height: int = 12, width: int = 20, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three classes of 5, 4 and 3 pictures, each of one grey of its own."""
    grey = 0
    for name, count in (("ant", 5), ("bee", 4), ("cow", 3)):
        (tmp_path / name / "deep").mkdir(parents=True)
        for k in range(count):
            place = tmp_path / name / ("deep" if k == 1 else "") / f"{k}.png"
            Image.fromarray(np.full((6, 8, 3), grey, np.uint8)).save(place)
            grey += 10
        (tmp_path / name / "notes.txt").write_text("no picture")
        (tmp_path / name / ".hidden.png").write_text("no picture")
    return tmp_path


def read(folder, **options):
    return si.data.image_dataset_from_directory(folder, **{"image_size": (6, 8), "verbose": False, **options})


def greys(data) -> list[int]:
    return [int(v) for batch in data for v in (batch[0] if isinstance(batch, tuple) else batch)[:, 0, 0, 0]]


@pytest.mark.parametrize("name", ["images", "folders"])
def test_examples_of_the_documentation(name):
    assert doctest.testmod(importlib.import_module(f"insitu.data.{name}")).failed == 0


# -- single pictures -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("channels", "mode"), [(1, "grayscale"), (3, "rgb"), (4, "rgba")])
def test_png_comes_back_as_it_was(tmp_path, channels, mode):
    wanted = picture(channels=channels)
    si.data.save_image(tmp_path / "x.png", wanted)
    assert np.array_equal(si.data.load_image(tmp_path / "x.png", mode), wanted)


def test_jpeg_is_what_pillow_decodes(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8)[..., None].repeat(4, -1)
    si.data.save_image(tmp_path / "x.jpg", smooth)  # the opacity, which JPEG lacks, is left out
    found = si.data.load_image(tmp_path / "x.jpg")
    assert np.array_equal(found, np.asarray(Image.open(tmp_path / "x.jpg").convert("RGB")))
    assert abs(found.astype(int) - smooth[..., :3]).max() < 6


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "area"])
def test_sizes_are_made_by_pillows_filters(tmp_path, interpolation):
    wanted = picture()
    si.data.save_image(tmp_path / "x.png", wanted)
    kind = {"area": "BOX"}.get(interpolation, interpolation.upper())
    by_hand = Image.fromarray(wanted).resize((9, 5), getattr(Image.Resampling, kind))
    assert np.array_equal(si.data.load_image(tmp_path / "x.png", target_size=(5, 9), interpolation=interpolation), np.asarray(by_hand))


def test_proportions_are_kept_by_cutting_or_margins(tmp_path):
    wanted = picture(12, 20)
    si.data.save_image(tmp_path / "x.png", wanted)
    assert np.array_equal(si.data.load_image(tmp_path / "x.png", target_size=(12, 12), crop_to_aspect_ratio=True), wanted[:, 4:16])
    framed = si.data.load_image(tmp_path / "x.png", target_size=(20, 20), pad_to_aspect_ratio=True)
    assert np.array_equal(framed[4:16], wanted)
    assert not framed[:4].any() and not framed[16:].any()


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = np.asarray([[0, 255, 256], [513, 40000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "x.png")
    assert si.data.load_image(tmp_path / "x.png", "grayscale")[..., 0].tolist() == [[0, 0, 1], [2, 156, 255]]


def test_floats_are_stretched_or_clipped(tmp_path):
    si.data.save_image(tmp_path / "x.png", [[-1.0, 1.0], [0.0, 3.0]])
    assert si.data.load_image(tmp_path / "x.png", "grayscale")[..., 0].tolist() == [[0, 128], [64, 255]]
    si.data.save_image(tmp_path / "x.png", si.asarray([[-1.0, 1.6], [254.4, 300.0]]), scale=False)
    assert si.data.load_image(tmp_path / "x.png", "grayscale")[..., 0].tolist() == [[0, 2], [254, 255]]
    si.data.save_image(tmp_path / "x.png", np.full((2, 2), 3.0))
    assert not si.data.load_image(tmp_path / "x.png", "grayscale").any()


def test_true_is_white(tmp_path):
    si.data.save_image(tmp_path / "x.png", np.asarray([[True, False]]))
    assert si.data.load_image(tmp_path / "x.png", "grayscale").ravel().tolist() == [255, 0]


def test_a_camera_held_upright_turns_nothing(tmp_path):
    noted, x = Image.Exif(), picture(8, 6)
    noted[0x0112] = 6
    Image.fromarray(x).save(tmp_path / "x.png", exif=noted)
    assert np.array_equal(si.data.load_image(tmp_path / "x.png"), x)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(UserError, match=r'odd\.png" holds no picture') as caught:
        si.data.load_image(tmp_path / "odd.png")
    assert caught.value.slug == "image-file"


def test_a_picture_that_was_cut_short_is_refused(tmp_path):
    si.data.save_image(tmp_path / "x.jpg", picture(64, 64))
    raw = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError) as caught:
        si.data.load_image(tmp_path / "x.jpg")
    assert caught.value.slug == "image-file" and "truncated" in caught.value.received


def test_other_mistakes_have_their_pages(tmp_path):
    wrong = [
        (lambda: si.data.load_image(tmp_path / "none.png"), "file-not-found"),
        (lambda: si.data.load_image(tmp_path), "image-file"),
        (lambda: si.data.load_image(tmp_path / "x.png", "colour"), "argument-choice"),
        (lambda: si.data.load_image(tmp_path / "x.png", target_size=3), "argument-shape"),
        (lambda: si.data.save_image(tmp_path / "x", picture()), "image-file"),
        (lambda: si.data.save_image(tmp_path / "x.pcx", np.zeros((8, 8, 4), np.uint8)), "image-file"),
        (lambda: si.data.load_image(tmp_path / "x.png", crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "image-proportions"),
        (lambda: si.data.save_image(tmp_path / "x.png", np.zeros((3, 8, 8))), "image-shape"),
        (lambda: si.data.save_image(tmp_path / "x.png", np.zeros((0, 8))), "image-shape"),
        (lambda: si.data.save_image(tmp_path / "x.png", np.zeros((8, 8), complex)), "image-shape"),
        (lambda: si.data.save_image(tmp_path / "none" / "x.png", picture()), "file-not-writable"),
    ]
    for call, slug in wrong:
        with pytest.raises(UserError) as caught:
            call()
        assert caught.value.slug == slug


def test_pillow_is_asked_for_by_name(monkeypatch, folder):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: read(folder), lambda: si.data.load_image("x.png"), lambda: si.data.save_image("x.png", picture())):
        with pytest.raises(UserError) as caught:
            call()
        assert (caught.value.slug, caught.value.fix) == ("pictures-pillow", "pip install 'insitu[images]'")


# -- folders ---------------------------------------------------------------------------------------------
def test_classes_are_the_subfolders_in_order(folder):
    data = read(folder, shuffle=False, batch_size=5)
    batches = list(data)
    assert data.class_names == ["ant", "bee", "cow"] and len(data.file_paths) == 12
    assert [(x.shape, x.dtype, y.dtype) for x, y in batches][:1] == [((5, 6, 8, 3), np.float32, np.int32)]
    assert np.concatenate([y for _, y in batches]).tolist() == [0] * 5 + [1] * 4 + [2] * 3
    assert sorted(greys(data)) == list(range(0, 120, 10))
    assert {int(y[0]) for x, y in read(folder, batch_size=1) if x[0, 0, 0, 0] == 70} == {1}


def test_labels_come_in_the_form_that_was_asked_for(folder):
    assert next(iter(read(folder, shuffle=False, label_mode="categorical")))[1][[0, 5, 11]].tolist() == np.eye(3).tolist()
    assert isinstance(next(iter(read(folder, label_mode=None))), np.ndarray)
    assert isinstance(next(iter(read(folder, labels=None))), np.ndarray)
    own = read(folder, labels=[7, 1] * 6, shuffle=False)
    assert next(iter(own))[1].tolist() == [7, 1] * 6 and own.class_names == ["1", "7"]
    named = read(folder, class_names=["cow", "ant", "bee"], shuffle=False)
    assert named.class_names == ["cow", "ant", "bee"] and next(iter(named))[1].tolist() == [0] * 3 + [1] * 5 + [2] * 4
    (folder / "cow").rename(folder.parent / "away")
    assert next(iter(read(folder, shuffle=False, label_mode="binary")))[1].tolist() == [[0.0]] * 5 + [[1.0]] * 4


def test_single_pictures_colours_and_layouts(folder):
    image, label = next(iter(read(folder, shuffle=False, batch_size=None, color_mode="grayscale", data_format="channels_first")))
    assert image.shape == (1, 6, 8) and label == 0
    assert next(iter(read(folder, color_mode="rgba", image_size=(3, 4))))[0].shape == (12, 3, 4, 4)


def test_orders_follow_from_the_seed_and_the_epoch(folder):
    first, second = read(folder, seed=3, batch_size=5), read(folder, seed=3, batch_size=5)
    epochs = [greys(first) for _ in range(3)]
    assert epochs == [greys(second) for _ in range(3)]
    assert epochs[0] != epochs[1] and all(sorted(e) == list(range(0, 120, 10)) for e in epochs)
    assert greys(read(folder, seed=4)) != epochs[0]
    si.random.seed(5)
    drawn = greys(read(folder))
    si.random.seed(5)
    assert greys(read(folder)) == drawn


def test_a_data_set_goes_on_from_its_state(folder):
    data = read(folder, seed=3)
    greys(data)
    state = data.state()
    again = read(folder)
    again.set_state(state)
    assert greys(again) == greys(data)


def test_parts_share_no_picture(folder):
    for options in ({"seed": 3}, {"shuffle": False}):
        train, test = (read(folder, validation_split=0.3, subset=part, **options) for part in ("training", "validation"))
        assert (len(train.file_paths), len(test.file_paths)) == (9, 3)
        assert sorted(greys(train) + greys(test)) == list(range(0, 120, 10))
        both = read(folder, validation_split=0.3, subset="both", **options)
        assert [d.file_paths for d in both] == [train.file_paths, test.file_paths]
    assert greys(test) == [90, 110, 100]  # by their paths: 0.png, 2.png, deep/1.png
    labels = {int(x[0, 0, 0, 0]): int(y[0]) for x, y in read(folder, batch_size=1)}
    assert all(labels[int(x[0, 0, 0, 0])] == y[0] for x, y in read(folder, batch_size=1, validation_split=0.5, subset="both")[1])


def test_folder_is_told(folder, capsys):
    si.data.image_dataset_from_directory(folder)
    assert capsys.readouterr().out == "Found 12 pictures of 3 classes.\n"


def test_mistakes_about_folders_have_their_pages(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    wrong = [
        (lambda: read(folder / "none"), "image-folder"),
        (lambda: read(folder / "ant" / "0.png"), "image-folder"),
        (lambda: read(7), "image-folder"),
        (lambda: read(empty), "image-classes"),
        (lambda: read(empty, labels=None), "image-folder"),
        (lambda: read(folder / "bee" / "deep"), "image-classes"),
        (lambda: read(folder, class_names=["ant", "bee"]), "image-classes"),
        (lambda: read(folder, class_names="ant"), "image-classes"),
        (lambda: read(folder, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "image-proportions"),
        (lambda: read(folder, labels=[1, 2]), "image-classes"),
        (lambda: read(folder, labels="infered"), "image-classes"),
        (lambda: read(folder, label_mode="binary"), "image-classes"),
        (lambda: read(folder, validation_split=0.2), "image-split"),
        (lambda: read(folder, subset="both"), "image-split"),
        (lambda: read(folder, subset="training", validation_split=0.2), "image-split"),
        (lambda: read(folder, subset="both", validation_split=0.01), "image-split"),
        (lambda: read(folder, subset="both", validation_split=20), "image-split"),
        (lambda: read(folder, label_mode="integer"), "argument-choice"),
        (lambda: read(folder, image_size=32), "argument-shape"),
    ]
    for call, slug in wrong:
        with pytest.raises(UserError) as caught:
            call()
        assert caught.value.slug == slug


def test_a_bad_file_in_a_folder_reaches_the_one_who_iterates(folder):
    (folder / "bee" / "9.png").write_text("<html>")
    with pytest.raises(UserError, match=r'9\.png" holds no picture') as caught:
        for _ in read(folder):
            pass
    assert caught.value.slug == "image-file" and "test_data_images.py:" in caught.value.where[0]


def test_a_model_learns_from_a_folder(tmp_path):
    for label, name in enumerate(("dark", "light")):
        (tmp_path / name).mkdir()
        for k in range(8):
            si.data.save_image(tmp_path / name / f"{k}.png", (picture(8, 8) // 2 + 127 * label).astype(np.uint8))
    train, test = read(tmp_path, image_size=(8, 8), batch_size=4, validation_split=0.25, subset="both", seed=1)
    si.random.seed(0)
    model = si.nn.Sequential([si.nn.Rescaling(1 / 255, -0.5), si.nn.Flatten(), si.nn.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, epochs=15, validation_data=test, verbose=0)
    assert history.history["val_accuracy"][-1] == 1.0


# -- several threads ---------------------------------------------------------------------------------------
def test_threads_of_map_keep_the_order_and_are_several():
    both = threading.Barrier(2, timeout=20)

    def wait(n):
        both.wait()  # returns only where two calls run at once
        return n

    assert [int(n) for n in Dataset(range(20)).map(wait, num_parallel_calls=2)] == list(range(20))


def test_an_error_in_a_thread_of_map_comes_where_its_element_would():
    def odd(n):
        if n == 3:
            raise KeyError("three")
        return n

    data = iter(Dataset(range(9)).map(odd, num_parallel_calls=3))
    assert [int(next(data)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(data)


def test_map_is_ahead_by_a_fixed_number_and_stops_when_nobody_asks():
    called = []
    data = iter(Dataset(range(1000)).map(lambda n: called.append(n) or n, num_parallel_calls=2))
    next(data)
    data.close()
    assert len(called) <= 6
