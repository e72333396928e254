"""MNIST and Fashion-MNIST: where the files are looked for, and what happens on the way from the network."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.data import download as network
from insitu.data import read_idx
from insitu.data.mnist_files import FASHION_MNIST, FILES, MNIST, _Collection, _load
from insitu.errors import FileFormatError


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def contents(n: int = 5) -> dict[str, bytes]:
    """Four small files of the family."""
    rng = np.random.default_rng(n)
    out = {}
    for name, count in zip(FILES, (n, n, n - 2, n - 2), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        out[f"{name}.gz"] = gzip.compress(idx(rng.integers(0, 10, shape).astype(np.uint8)))
    return out


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


class Server(http.server.ThreadingHTTPServer):
    """A mirror on this machine that can misbehave: path -> content; ``cut`` ends each answer early."""

    def __init__(self, files: dict[str, bytes], cut: int = 0, pause: float = 0.0, announce: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut, self.pause, self.announce, self.asked = files, cut, pause, announce, []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path[1:]
        self.server.asked.append(name)
        data = self.server.files.get(name)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        if self.server.announce:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) - self.server.cut])
        self.wfile.flush()
        time.sleep(self.server.pause)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve():
    servers = []

    def start(*args, **kwargs) -> Server:
        servers.append(Server(*args, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def collection(files: dict[str, bytes], *mirrors: str) -> _Collection:
    return _Collection("tiny", mirrors, tuple(hashlib.sha256(files[f"{name}.gz"]).hexdigest() for name in FILES))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """No test reads or writes the user's folders."""
    monkeypatch.setenv("INSITU_DATA_DIR", str(tmp_path / "named"))
    monkeypatch.setattr("insitu.data.mnist_files._cache", lambda: tmp_path / "cache")


def nowhere() -> str:
    """An address at which nobody listens."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        return f"http://127.0.0.1:{server.server_port}/"


# -- from folders --------------------------------------------------------------------------------------
def test_plain_and_zipped_files_of_a_folder_are_used_as_they_are(tmp_path):
    files = contents()
    zipped = fill(tmp_path / "zipped", files)
    plain = fill(tmp_path / "plain", {name[:-3]: gzip.decompress(data) for name, data in files.items()})
    for folder in (zipped, plain, str(plain)):
        (x_train, y_train), (x_test, y_test) = si.data.mnist(folder)
        assert x_train.shape == (5, 28, 28) and y_train.shape == (5,) and x_test.shape == (3, 28, 28) and y_test.shape == (3,)
        assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
        assert idx(x_train) == gzip.decompress(files["train-images-idx3-ubyte.gz"])
        x_train[0] = 0  # the user may change them


def test_named_folder_comes_before_the_cache_and_no_network_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "download", lambda *_: pytest.fail("asked the network"))
    fill(tmp_path / "cache" / "fashion_mnist", contents(4))
    assert len(si.data.fashion_mnist()[0][0]) == 4
    fill(tmp_path / "named" / "fashion_mnist", contents(6))
    assert len(si.data.fashion_mnist()[0][0]) == 6


def test_missing_file_in_a_folder_of_the_user_is_named(tmp_path):
    files = contents()
    del files["t10k-labels-idx1-ubyte.gz"]
    folder = fill(tmp_path / "mine", files)
    for place, slug in ((folder, "file-not-found"), (tmp_path / "absent", "file-not-found")):
        with pytest.raises(FileFormatError) as caught:
            si.data.mnist(place)
        assert caught.value.slug == slug and str(place) in str(caught.value)
        assert "test_data_mnist.py" in str(caught.value)  # the user's own line, also for what another thread read


def test_other_idx_files_are_refused(tmp_path):
    files = contents()
    for name, array in (("train-images-idx3-ubyte", np.zeros((5, 32, 32), np.uint8)), ("t10k-labels-idx1-ubyte", np.zeros(9, np.uint8))):
        folder = fill(tmp_path / name, files | {f"{name}.gz": gzip.compress(idx(array))})
        with pytest.raises(FileFormatError, match="not those of MNIST") as caught:
            si.data.mnist(folder)
        assert caught.value.slug == "file-foreign"


@pytest.mark.parametrize("cut", [1, 7, 9, 40])
def test_a_gzip_file_cut_short_is_refused_wherever_it_ends(tmp_path, cut):
    files = contents()
    for name in (f"{FILES[0]}.gz", f"{FILES[3]}.gz"):
        folder = fill(tmp_path / name, files | {name: files[name][:-cut]})
        with pytest.raises(FileFormatError) as caught:
            si.data.mnist(folder)
        assert caught.value.slug in ("file-damaged", "file-foreign") and name in str(caught.value)


def test_a_changed_byte_is_noticed(tmp_path):
    data = bytearray(gzip.compress(idx(np.arange(200, dtype=np.uint8)), 0))
    data[60] ^= 1
    (tmp_path / "x.gz").write_bytes(data)
    with pytest.raises(FileFormatError, match="damaged"):
        read_idx(tmp_path / "x.gz")


def test_gzip_files_of_several_members_are_read(tmp_path):
    data = idx(np.arange(100, dtype=np.uint8))
    (tmp_path / "x.gz").write_bytes(gzip.compress(data[:50]) + gzip.compress(data[50:]) + bytes(20))
    assert np.array_equal(read_idx(tmp_path / "x.gz"), np.arange(100))


def test_a_header_of_nonsense_allocates_nothing(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 3]) + b"\x7f" * 12 + bytes(10))
    with pytest.raises(FileFormatError, match="another length"):
        read_idx(tmp_path / "x")


# -- from the network ----------------------------------------------------------------------------------
def test_missing_files_are_downloaded_once_and_only_those(tmp_path, serve):
    files = contents()
    server = serve(files)
    fill(tmp_path / "named" / "tiny", {FILES[0]: gzip.decompress(files[f"{FILES[0]}.gz"])})
    (x_train, _), _ = _load(collection(files, server.address), None)
    assert server.asked == [f"{name}.gz" for name in FILES[1:]] and len(x_train) == 5
    _load(collection(files, nowhere()), None)
    assert len(server.asked) == 3
    assert sorted(p.name for p in (tmp_path / "named" / "tiny").iterdir()) == sorted([FILES[0], *server.asked])


def test_without_a_named_folder_the_cache_is_filled(tmp_path, serve, monkeypatch):
    monkeypatch.delenv("INSITU_DATA_DIR")
    files = contents()
    _load(collection(files, serve(files).address), None)
    assert sorted(p.name for p in (tmp_path / "cache" / "tiny").iterdir()) == sorted(files)


def test_next_mirror_is_asked_where_one_fails(tmp_path, serve):
    files = contents()
    foreign = serve(contents(9))
    short, empty, good = serve(files, cut=3), serve({}), serve(files)
    (x_train, _), _ = _load(collection(files, nowhere(), empty.address, foreign.address, short.address, good.address), None)
    assert len(x_train) == 5
    assert empty.asked == foreign.asked == short.asked == good.asked


@pytest.mark.parametrize("announce", [True, False])
def test_all_failures_are_told_and_nothing_is_left(tmp_path, serve, monkeypatch, announce):
    monkeypatch.setattr(network, "TIMEOUT", 0.2)
    files = contents()
    mirrors = [nowhere(), serve({}).address, serve(contents(9)).address, serve(files, cut=3, announce=announce).address]
    slow = serve(files, cut=3, pause=1.0).address
    with pytest.raises(FileFormatError) as caught:
        _load(collection(files, *mirrors, slow), None)
    text = caught.value.received.splitlines()
    assert caught.value.slug == "download-failed" and FILES[0] in caught.value.what
    assert "no connection (Connection refused)" in text[0]
    assert "the server answers 404" in text[1]
    assert "with another content (sha256 " in text[2]
    assert ("the connection ended after" if announce else "with another content") in text[3]
    assert "no answer within 0.2 seconds" in text[4]
    assert list((tmp_path / "named" / "tiny").iterdir()) == []


def test_folder_that_cannot_be_written_is_told(tmp_path, serve):
    files = contents()
    (tmp_path / "named").write_text("a file where a folder should be")
    with pytest.raises(FileFormatError) as caught:
        _load(collection(files, serve(files).address), None)
    assert caught.value.slug == "file-not-writable" and "INSITU_DATA_DIR" in caught.value.fix


def test_an_interrupt_leaves_nothing_behind(tmp_path, serve, monkeypatch):
    files = contents()
    monkeypatch.setattr(network.os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        _load(collection(files, serve(files).address), None)
    assert list((tmp_path / "named" / "tiny").iterdir()) == []


def test_progress_is_shown_in_a_terminal_only(tmp_path, serve, monkeypatch, capsys):
    files = contents()
    server = serve(files)
    _load(collection(files, server.address), None)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("INSITU_DATA_DIR", str(tmp_path / "other"))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    _load(collection(files, server.address), None)
    out, err = capsys.readouterr()
    assert out == "" and FILES[0] in err


def test_published_checksums_have_their_form():
    for known in (MNIST, FASHION_MNIST):
        assert len({*known.sha256}) == 4 and all(len(bytes.fromhex(s)) == 32 for s in known.sha256)
        assert all(m.startswith("http") and m.endswith("/") for m in known.mirrors)


# -- the real files ------------------------------------------------------------------------------------
@pytest.mark.data
def test_real_mnist(data_dir, monkeypatch):
    monkeypatch.setenv("INSITU_DATA_DIR", str(data_dir))
    (x_train, y_train), (x_test, y_test) = si.data.mnist()
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(x_train.mean() / 255, 4) == 0.1307 and round(x_train.std() / 255, 4) == 0.3081
    for name, sha256 in zip(FILES, MNIST.sha256, strict=True):
        assert hashlib.sha256((data_dir / "mnist" / f"{name}.gz").read_bytes()).hexdigest() == sha256


@pytest.mark.data
def test_real_part_of_fashion_mnist(data_dir):
    (x_train, y_train), (x_test, y_test) = si.data.fashion_mnist(data_dir / "fashion_mnist_part")
    assert x_train.shape == (8400, 28, 28) and x_test.shape == (6800, 28, 28)
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0] and y_train.shape == (8400,) and y_test.max() == 9
