"""The file format: whole or not at all, checked when read, readable by the safetensors library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from insitu.errors import ArgumentError, DTypeError, FileFormatError
from insitu.io import container

TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]


def some_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {name: rng.integers(0, 2 if name == "bool" else 100, (3, 5)).astype(name) for name in TYPES}
    return made | {
        "bfloat16": rng.standard_normal((2, 3)).astype(ml_dtypes.bfloat16),
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "swapped": np.arange(4, dtype=">i4"),
        "with spaces/and ü": np.arange(3),
    }


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype.name == b.dtype.name and np.array_equal(a.astype(np.float64), b.astype(np.float64))


def test_tensors_and_texts_come_back(tmp_path):
    tensors = some_tensors()
    container.write(tmp_path / "a", tensors, {"note": "grüße"})
    content = container.read(tmp_path / "a")
    assert content.metadata["note"] == "grüße" and content.metadata["format"] == "insitu"
    assert content.tensors.keys() == tensors.keys()
    assert all(same(content.tensors[name], tensors[name]) for name in tensors)
    assert os.listdir(tmp_path) == ["a"]


def test_the_library_reads_our_files_and_we_read_its(tmp_path):
    tensors = {k: v for k, v in some_tensors().items() if k != "bfloat16"}
    container.write(tmp_path / "ours", tensors, {})
    theirs = safetensors.numpy.load_file(tmp_path / "ours")
    assert theirs.keys() == tensors.keys() and all(same(theirs[k], tensors[k]) for k in tensors)
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v.astype(v.dtype.newbyteorder("="))).reshape(v.shape) for k, v in tensors.items()}, tmp_path / "lib"
    )
    ours = container.read(tmp_path / "lib").tensors
    assert all(same(ours[k], tensors[k]) for k in tensors)


def test_same_content_gives_the_same_bytes(tmp_path):
    tensors = some_tensors()
    container.write(tmp_path / "a", tensors, {"note": "x"})
    container.write(tmp_path / "b", dict(reversed(tensors.items())), {"note": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def written(tmp_path) -> bytes:
    container.write(tmp_path / "good", {"w": np.arange(6, dtype=np.float32), "b": np.zeros(2)}, {"architecture": "{}"})
    return (tmp_path / "good").read_bytes()


def refused(tmp_path, data: bytes) -> FileFormatError:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        container.read(tmp_path / "bad")
    assert "bad" in caught.value.what and caught.value.fix
    return caught.value


def test_every_truncation_is_refused(tmp_path):
    data = written(tmp_path)
    for length in range(len(data)):
        assert refused(tmp_path, data[:length]).slug in ("file-foreign", "file-truncated")
    assert refused(tmp_path, data[:-1]).slug == refused(tmp_path, data[:40]).slug == "file-truncated"
    assert refused(tmp_path, data + b"x").slug == "file-damaged"


def test_every_flipped_bit_is_refused(tmp_path):
    data = written(tmp_path)
    place = tmp_path / "bad"
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        place.write_bytes(flipped)
        try:
            content = container.read(place)
        except FileFormatError:
            continue
        raise AssertionError(f"bit {bit % 8} of byte {bit // 8} may change: {content}")


def test_the_word_that_names_the_format_is_checked_too(tmp_path):
    data = written(tmp_path)
    assert data.count(b'"format":"insitu"') == 1
    assert refused(tmp_path, data.replace(b'"format":"insitu"', b'"format":"insotu"')).slug == "file-damaged"
    assert refused(tmp_path, data.replace(b'"checksum":', b'"checksun":')).slug == "file-damaged"
    theirs = {"format": "pt", "checksum": "of another kind"}
    safetensors.numpy.save_file({"w": np.ones(2)}, tmp_path / "theirs", theirs)
    assert container.read(tmp_path / "theirs").metadata == theirs


def test_foreign_files_are_named_as_such(tmp_path):
    for data in (b"", b"hello", b"PK\3\4" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(100), (2).to_bytes(8, "little") + b"[]"):
        assert refused(tmp_path, data).slug == "file-foreign"


def test_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "VERSION", 2)
    container.write(tmp_path / "new", {"w": np.zeros(1)}, {"insitu": "9.1"})
    monkeypatch.undo()
    with pytest.raises(FileFormatError) as caught:
        container.read(tmp_path / "new")
    assert caught.value.slug == "file-newer-version" and "9.1" in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FileFormatError) as caught:
        container.read(tmp_path / "nothing")
    assert caught.value.slug == "file-not-found"
    with pytest.raises(FileFormatError) as caught:
        container.read(tmp_path)
    assert caught.value.slug == "file-not-readable"


def test_an_older_file_survives_a_failed_write(tmp_path, monkeypatch):
    before = written(tmp_path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileFormatError) as caught:
        container.write(tmp_path / "good", {"w": np.ones(6)}, {})
    assert caught.value.slug == "file-not-writable" and "No space left" in str(caught.value)
    assert (tmp_path / "good").read_bytes() == before and os.listdir(tmp_path) == ["good"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_links_and_pipes_stay_what_they_are(tmp_path):
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "folder" / "file"
    os.mkfifo(pipe)
    with pytest.raises(FileFormatError) as caught:
        container.write(pipe, {"a": np.zeros(3)}, {})
    assert caught.value.slug == "file-not-writable" and "pipe" in caught.value.received and pipe.is_fifo()
    target.parent.mkdir()
    link.symlink_to(target)
    for value in (1.0, 2.0):
        container.write(link, {"a": np.full(3, value)}, {})
        assert link.is_symlink() and container.read(target).tensors["a"].tolist() == [value] * 3
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder", "link", "pipe"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileFormatError) as caught:
        container.write(tmp_path / "no" / "a", {}, {})
    assert "mkdir" in caught.value.fix


def test_gaps_overlaps_and_wrong_sizes_are_refused(tmp_path):
    def file(table: dict) -> bytes:
        header = json.dumps(table).encode()
        return len(header).to_bytes(8, "little") + header + bytes(8)

    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    assert refused(tmp_path, file({"a": entry, "b": {**entry, "data_offsets": [2, 6]}})).slug == "file-damaged"
    assert refused(tmp_path, file({"a": {**entry, "data_offsets": [4, 8]}})).slug == "file-damaged"
    assert refused(tmp_path, file({"a": {**entry, "shape": [3], "data_offsets": [0, 8]}})).slug == "file-damaged"
    assert refused(tmp_path, file({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}})).slug == "file-dtype"
    assert refused(tmp_path, file({"a": {**entry, "shape": [-1]}})).slug == "file-damaged"
    assert refused(tmp_path, file({"a": 3})).slug == "file-damaged"
    deep = b'{"a":' + b"[" * 100_000
    assert refused(tmp_path, len(deep).to_bytes(8, "little") + deep).slug == "file-damaged"


KILLED = """
import sys
import numpy as np
from insitu.io import container
for count in range(1_000_000):
    container.write("state", {"w": np.full(1 << 18, count)}, {"count": str(count)})
    if count == 0:
        print("first", flush=True)
"""

FULL = """
import resource
import numpy as np
from insitu.errors import FileFormatError
from insitu.io import container
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
try:
    container.write("good", {"w": np.ones(1 << 16)}, {})
except FileFormatError as error:
    print(error.slug)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path):
    for wait in np.random.default_rng(0).uniform(0, 0.05, 5):
        with subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None and process.stdout.readline() == b"first\n"
                time.sleep(wait)
            finally:
                process.kill()
        content = container.read(tmp_path / "state")
        assert (content.tensors["w"] == int(content.metadata["count"])).all()
        container.write(tmp_path / "state", {}, {})  # what the killed process left behind is in nobody's way


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_full_disk_leaves_the_older_file_intact(tmp_path):
    before = written(tmp_path)
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, env=environment(), check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["file-not-writable"]
    assert (tmp_path / "good").read_bytes() == before and os.listdir(tmp_path) == ["good"]


def test_types_without_a_name_in_the_format_are_refused(tmp_path):
    for array in (np.zeros(2, complex), np.array(["text"]), np.array([None])):
        with pytest.raises(DTypeError) as caught:
            container.write(tmp_path / "a", {"w": array}, {})
        assert caught.value.slug == "save-dtype" and str(array.dtype) in caught.value.received
    assert os.listdir(tmp_path) == []


def test_texts_too_long_to_be_read_again_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "_LONGEST_HEADER", 1000)
    with pytest.raises(ArgumentError) as caught:
        container.write(tmp_path / "a", {}, {"note": "x" * 1000})
    assert caught.value.slug == "save-too-long" and os.listdir(tmp_path) == []


def test_a_file_of_another_program_is_a_dict_of_arrays(tmp_path):
    import insitu as si

    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.ones(3, ml_dtypes.bfloat16)}
    for metadata in (None, {"format": "pt"}):
        safetensors.numpy.save_file(tensors, tmp_path / "theirs", metadata)
        loaded = si.load(tmp_path / "theirs")
        assert loaded.keys() == tensors.keys() and all(isinstance(a, si.Array) for a in loaded.values())
        assert all(same(np.asarray(loaded[k]), tensors[k]) for k in tensors)


def test_arrays_keep_apart_whose_places_read_the_same(tmp_path):
    import insitu as si

    tree = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, "__metadata__": np.full(1, 2.0), "": np.full(1, 3.0), "value": np.full(1, 4.0)}
    tree["\ud800"] = np.full(1, 5.0)
    si.save(tmp_path / "t", tree)
    back = si.load(tmp_path / "t")
    found = [float(np.asarray(a)[0]) for a in (back["a/b"], back["a"]["b"], *(back[k] for k in ("__metadata__", "", "value", "\ud800")))]
    assert found == [0, 1, 2, 3, 4, 5]


def test_trees_of_arrays_come_back(tmp_path):
    import insitu as si

    tree = {"w": si.asarray([[1.0, 2.0]]), "list": [np.arange(3), (1, None, "text", True, 2.5)], "empty": {}}
    si.save(tmp_path / "t", tree)
    back = si.load(tmp_path / "t")
    assert isinstance(back["w"], si.Array) and np.asarray(back["w"]).tolist() == [[1, 2]]
    assert np.asarray(back["list"][0]).tolist() == [0, 1, 2] and back["list"][1] == (1, None, "text", True, 2.5) and back["empty"] == {}


def test_what_cannot_be_stored_is_refused(tmp_path):
    import insitu as si

    for value in ({1: 2}, object(), [lambda: 0]):
        with pytest.raises(ArgumentError) as caught:
            si.save(tmp_path / "t", value)
        assert caught.value.slug == "save-value"
    with pytest.raises(ArgumentError) as caught:
        si.save(si.ones(3), "t")
    assert caught.value.slug == "save-path" and "swap" in caught.value.fix
    assert os.listdir(tmp_path) == []


def test_a_model_predicts_the_same_bits_in_a_new_process(tmp_path):
    import insitu as si

    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    y = np.arange(50) % 3
    model = si.nn.Sequential([si.nn.Dense(8, activation="tanh"), si.nn.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m")
    np.save(tmp_path / "x.npy", x)
    program = "import insitu as si, numpy as np, sys; np.save('p.npy', si.load('m').predict(np.load('x.npy')))"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment(), check=True, timeout=120)
    assert np.load(tmp_path / "p.npy").tobytes() == model.predict(x).tobytes()


def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path):
    import insitu as si

    x = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    for optimizer in (si.optim.Adam(0.01), si.optim.SGD(0.1), si.optim.SGD(0.1, momentum=0.9, nesterov=True)):
        model = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dense(1, activation="sigmoid")])
        model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=1, verbose=0, shuffle=False)
        model.save(tmp_path / "m")
        again = si.load(tmp_path / "m")
        first = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
        second = again.fit(x, y, epochs=2, verbose=0, shuffle=False).history
        assert first == second
        assert all(a.tobytes() == b.tobytes() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_training_goes_on_from_a_file_whatever_was_frozen(tmp_path):
    import insitu as si

    x = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    model = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dense(5), si.nn.Dense(5)])
    model.compile(si.optim.Adam(0.01, use_ema=True), "mean_squared_error")
    model.build((None, 5))
    model.layers[0].trainable = False  # its first step comes after the others'
    for change in (lambda m: None, lambda m: setattr(m.layers[0], "trainable", True), lambda m: setattr(m.layers[1], "trainable", False)):
        model.fit(x, x, verbose=0)
        change(model)
        model.save(tmp_path / "m")
        again = si.load(tmp_path / "m")
        for m in (model, again):
            m.layers[1].trainable = True
            m.fit(x, x, verbose=0)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
    other = si.nn.Sequential([*model.layers[:2], si.nn.Dense(1, name=model.layers[2].name)])
    other.compile(model.optimizer, "mean_squared_error")  # an optimizer with state for more than this model's weights
    other.fit(x, x[:, :1], verbose=0)
    other.save(tmp_path / "m")
    again = si.load(tmp_path / "m")
    for m in (other, again):
        m.fit(x, x[:, :1], verbose=0)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(other.get_weights(), again.get_weights(), strict=True))


def test_what_weight_decay_spares_is_spared_after_loading(tmp_path):
    import insitu as si

    model = si.nn.Sequential([si.nn.Dense(4), si.nn.Dense(3)])
    model.build((None, 5))
    optimizer = si.optim.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([model.layers[0].kernel], "bias")
    model.compile(optimizer, "mean_squared_error")
    model.save(tmp_path / "m")
    again = si.load(tmp_path / "m")
    x = np.ones((8, 5), np.float32)
    for m in (model, again):
        m.fit(x, x[:, :3], epochs=2, verbose=0)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_layers_that_hold_layers_come_back(tmp_path):
    import insitu as si

    class Held(si.nn.Layer):
        def __init__(self, inner, others=(), **options):
            super().__init__(**options)
            self.inner, self.others = inner, list(others)

        def call(self, x):
            return sum([layer(x) for layer in self.others], self.inner(x))

        def get_config(self):
            described = si.nn.serialize(self.inner), [si.nn.serialize(layer) for layer in self.others]
            return {**super().get_config(), "inner": described[0], "others": described[1]}

        @classmethod
        def from_config(cls, config):
            others = [si.nn.deserialize(c) for c in config["others"]]
            return cls(**{**config, "inner": si.nn.deserialize(config["inner"]), "others": others})

    part = si.nn.Sequential([si.nn.Dense(3, activation="relu"), si.nn.Dense(2)])
    model = si.nn.Sequential([si.nn.Input((4,)), Held(part, [si.nn.Dense(2), si.nn.Dense(2, use_bias=False)])])
    x = np.ones((3, 4), np.float32)
    model.save(tmp_path / "m")
    assert si.load(tmp_path / "m").predict(x).tobytes() == model.predict(x).tobytes()


@pytest.mark.parametrize("place", ["layer", "loss", "metric", "optimizer"])
def test_what_no_json_can_hold_is_named(tmp_path, place):
    import insitu as si

    weights = np.ones(2, np.float32)

    class ScaledLayer(si.nn.Dropout):
        def get_config(self):
            return {**super().get_config(), "scale": [1.0, {"by": weights}]}

    class ScaledLoss(si.nn.losses.MeanSquaredError):
        def get_config(self):
            return {**super().get_config(), "scale": weights}

    class ScaledMetric(si.nn.metrics.MeanSquaredError):
        def get_config(self):
            return {**super().get_config(), "scale": weights}

    class ScaledRate(si.optim.schedules.LearningRateSchedule):
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, step):
            return self.scale[0] * 0.1

    chosen = {"layer": ScaledLayer, "loss": ScaledLoss, "metric": ScaledMetric, "optimizer": ScaledRate}[place]
    model = si.nn.Sequential([si.nn.Input((2,)), ScaledLayer(0.5) if place == "layer" else si.nn.Dense(2)])
    rate = ScaledRate(weights) if place == "optimizer" else 0.1
    model.compile(si.optim.SGD(rate), ScaledLoss() if place == "loss" else "mse", metrics=[ScaledMetric() if place == "metric" else "mae"])
    with pytest.raises(ArgumentError) as caught:
        model.save(tmp_path / "m")
    error = caught.value
    assert error.slug == "save-config" and error.what.startswith(chosen.__name__) and error.fix == "return self.scale.tolist()"
    assert error.received == "scale: ndarray" and not (tmp_path / "m").exists()


def test_the_architecture_is_readable_json(tmp_path):
    import insitu as si

    model = si.nn.Sequential([si.nn.Flatten(), si.nn.Dense(3, name="last")], name="small")
    model.build((None, 2, 2))
    model.save(tmp_path / "m")
    with safetensors.safe_open(tmp_path / "m", framework="numpy") as file:
        architecture = json.loads(file.metadata()["architecture"])
        assert sorted(file.keys()) == ["last/bias", "last/kernel"]
    assert architecture["class_name"] == "Sequential" and architecture["config"]["layers"][1]["config"]["units"] == 3


def test_a_model_that_could_not_be_read_back_is_not_written(tmp_path):
    import insitu as si

    model = si.nn.Sequential([si.nn.Dense(3, activation=lambda x: x * 2)])
    with pytest.raises(ArgumentError) as caught:
        model.save(tmp_path / "m")
    assert caught.value.slug == "save-not-built"
    model.build((None, 2))
    with pytest.raises(ArgumentError) as caught:
        model.save(tmp_path / "m")
    assert caught.value.slug == "save-function"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["weights.safetensors", "w.weights.h5", "whole.insitu"])
def test_weights_come_from_each_kind_of_file_into_layers_of_other_numbers(tmp_path, name):
    import insitu as si

    def made():
        model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(3), si.nn.BatchNormalization(), si.nn.Dense(3), si.nn.Dense(3)])
        model.compile("adam", "mse")
        return model

    first, again = made(), made()
    first.fit(np.ones((4, 4)), np.zeros((4, 3)), verbose=0)
    (first.save if name == "whole.insitu" else first.save_weights)(tmp_path / name)
    again.load_weights(tmp_path / name)
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
