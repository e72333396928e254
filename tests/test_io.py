"""The file format: whole or not at all, checked when read, readable by the safetensors library."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from insitu.errors import ArgumentError, FileFormatError
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
    header_end = 8 + int.from_bytes(data[:8], "little")
    spaces = len(data[:header_end]) - len(data[:header_end].rstrip())
    for at in range(len(data)):
        if header_end - spaces <= at < header_end or data[at : at + 1] in b" ,:":
            continue  # white space and punctuation of JSON carry nothing, or break the JSON
        flipped = bytearray(data)
        flipped[at] ^= 1
        try:
            content = container.read(_put(tmp_path, bytes(flipped)))
        except FileFormatError:
            continue
        assert content.metadata.get("format") != "insitu", at  # another program's file then, never a changed one of ours


def _put(tmp_path, data: bytes):
    (tmp_path / "bad").write_bytes(data)
    return tmp_path / "bad"


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
    assert refused(tmp_path, file({"a": {**entry, "dtype": "F8_E4M3"}})).slug == "file-dtype"
    assert refused(tmp_path, file({"a": {**entry, "shape": [-1]}})).slug == "file-foreign"
    assert refused(tmp_path, file({"a": 3})).slug == "file-foreign"


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
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m")
    np.save(tmp_path / "x.npy", x)
    program = "import insitu as si, numpy as np, sys; np.save('p.npy', si.load('m').predict(np.load('x.npy')))"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True, timeout=120)
    assert np.load(tmp_path / "p.npy").tobytes() == model.predict(x).tobytes()


def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path):
    import insitu as si

    x = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    for optimizer in (si.optim.Adam(0.01), si.optim.SGD(0.1), si.optim.SGD(0.1, momentum=0.9, nesterov=True)):
        model = si.nn.Sequential([si.nn.Dense(4, activation="relu"), si.nn.Dense(1, activation="sigmoid")])
        model.compile(optimizer, "binary_crossentropy", ["accuracy"])
        model.fit(x, y, epochs=1, verbose=0, shuffle=False)
        model.save(tmp_path / "m")
        again = si.load(tmp_path / "m")
        first = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
        second = again.fit(x, y, epochs=2, verbose=0, shuffle=False).history
        assert first == second
        assert all(a.tobytes() == b.tobytes() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


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
    assert caught.value.slug == "activation-unknown"
    assert os.listdir(tmp_path) == []
