"""The kernel cache on disk: damage, foreign files, limits, folders, two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from insitu.errors import InsituWarning
from insitu.runtime import cache as module
from insitu.runtime.cache import KernelCache, version_key

CODE = bytes(range(256)) * 20


@pytest.fixture
def cache(tmp_path: Path) -> KernelCache:
    return KernelCache(tmp_path / "kernels", 1 << 20)


def only_file(cache: KernelCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def test_put_then_get(cache: KernelCache) -> None:
    assert cache.get("a") is None
    cache.put("a", CODE)
    cache.put("b", b"")
    assert cache.get("a") == CODE and cache.get("b") == b"" and cache.get("c") is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.count) == (2, 2, 2)
    assert stats.nbytes == sum(p.stat().st_size for p in cache.folder.iterdir()) > len(CODE)
    assert {e.key for e in cache.entries()} == {"a", "b"}
    assert KernelCache(cache.folder, 1 << 20).get("a") == CODE


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_folder_and_files_are_private(cache: KernelCache) -> None:
    cache.put("a", CODE)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert only_file(cache).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("length", [0, 1, 7, 55, 56, 57, 60, -1])
def test_a_truncated_file_is_a_miss_and_goes(cache: KernelCache, length: int) -> None:
    cache.put("a", CODE)
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get("a") is None and not path.exists()
    cache.put("a", CODE)
    assert cache.get("a") == CODE


def test_any_flipped_byte_is_a_miss(cache: KernelCache) -> None:
    cache.put("a", b"0123456789")
    path = only_file(cache)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert cache.get("a") is None, f"byte {at}"
    path.write_bytes(whole + b"x")
    assert cache.get("a") is None
    path.write_bytes(whole)
    assert cache.get("a") == b"0123456789"


@pytest.mark.parametrize("content", [b"\x7fELF" + bytes(500), b"", b"hello", bytes(4096)])
def test_a_foreign_file_is_a_miss(cache: KernelCache, content: bytes) -> None:
    cache.put("a", CODE)
    path = only_file(cache)
    path.write_bytes(content)
    assert [e.key for e in cache.entries()] == [""]
    assert cache.get("a") is None and not path.exists()


def test_a_whole_file_under_another_key_is_a_miss(cache: KernelCache) -> None:
    cache.put("a", CODE)
    path = only_file(cache)
    cache.put("b", b"other")
    (other,) = set(cache.folder.iterdir()) - {path}
    os.replace(path, other)
    assert cache.get("b") is None


def test_a_folder_in_the_place_of_a_file_is_a_miss(cache: KernelCache) -> None:
    cache.put("a", CODE)
    path = only_file(cache)
    path.unlink()
    path.mkdir()
    assert cache.get("a") is None


def test_least_recently_used_go_first(cache: KernelCache) -> None:
    now = time.time()
    for age, key in enumerate("abcd"):
        cache.put(key, CODE)
        os.utime(cache._path(key), (now - 10 * 86400 * (age + 1),) * 2)
    assert cache.get("d") == CODE  # used again: now the youngest
    one = cache.stats().nbytes // 4
    assert cache.prune(2 * one) == 2 * one
    assert {e.key for e in cache.entries()} == {"a", "d"}
    assert cache.entries()[0].key == "d"
    assert cache.clear() == 2 * one and cache.stats().count == 0


def test_a_hit_touches_a_file_at_most_once_a_day(cache: KernelCache) -> None:
    cache.put("a", CODE)
    path = only_file(cache)
    os.utime(path, (time.time() - 3600,) * 2)
    before = path.stat().st_mtime
    cache.get("a")
    assert path.stat().st_mtime == before
    os.utime(path, (time.time() - 3 * 86400,) * 2)
    cache.get("a")
    assert time.time() - path.stat().st_mtime < 600


def test_the_limit_holds_while_filling(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path, 50_000)
    for k in range(40):
        cache.put(f"key {k}", CODE)
        assert cache.stats().nbytes <= 50_000
    assert cache.stats().count >= 5


def test_limit_zero_keeps_nothing(tmp_path: Path) -> None:
    cache = KernelCache(tmp_path / "none", 0)
    cache.put("a", CODE)
    assert cache.get("a") is None and not (tmp_path / "none").exists()


def test_an_unwritable_folder_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = KernelCache(tmp_path / "file" / "kernels", 1 << 20)
    with pytest.warns(InsituWarning, match="cache-folder-unwritable") as said:
        cache.put("a", CODE)
    assert len(said) == 1 and said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put("b", CODE)
        assert cache.get("a") is None


def test_a_write_that_fails_leaves_nothing(cache: KernelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("a", CODE)

    def full(part: Path, content: bytes) -> None:
        part.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.warns(InsituWarning, match="No space left"):
        cache.put("b", CODE)
    assert len(list(cache.folder.iterdir())) == 1 and cache.get("a") == CODE and cache.get("b") is None


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("how", ["group", "others", "owner"])
def test_a_folder_that_others_can_write_is_not_used(cache: KernelCache, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("a", CODE)
    if how == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    else:
        cache.folder.chmod(0o770 if how == "group" else 0o702)
    fresh = KernelCache(cache.folder, 1 << 20)
    with pytest.warns(InsituWarning, match="cache-folder-unsafe") as said:
        found = fresh.get("a")
    assert found is None and len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.put("b", CODE)
        assert fresh.get("a") is None
    assert len(list(cache.folder.iterdir())) == 1
    assert not fresh.stats().usable and fresh.stats().problem


def test_an_old_temporary_file_is_swept(cache: KernelCache) -> None:
    cache.put("a", CODE)
    old, young = cache.folder / "x.kernel.1-2-3.part", cache.folder / "y.kernel.1-2-3.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert cache.stats().count == 1
    cache.prune(1 << 20)
    assert not old.exists() and young.exists()


FILL = """
import sys
from pathlib import Path
from insitu.runtime.cache import KernelCache
cache = KernelCache(Path(sys.argv[1]), 1 << 24)
for turn in range(3):
    for k in range(60):
        code = bytes([k]) * (100 + 37 * k)
        found = cache.get(f"key {k}")
        if found is not None and found != code:
            sys.exit(f"wrong code for {k}")
        cache.put(f"key {k}", code)
"""


def test_processes_that_fill_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", FILL, str(tmp_path / "k")], stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, text = process.communicate(timeout=60)
        assert process.returncode == 0, text.decode()
    cache = KernelCache(tmp_path / "k", 1 << 24)
    assert cache.stats().count == 60 == len(list(cache.folder.iterdir()))
    for k in range(60):
        assert cache.get(f"key {k}") == bytes([k]) * (100 + 37 * k)


def test_nothing_is_said_when_nothing_is_wrong(cache: KernelCache) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put("a", CODE)
        cache.get("a")
        cache.prune(0)


def test_version_key_is_stable_and_short() -> None:
    assert version_key() == version_key() and 16 <= len(version_key()) <= 64
