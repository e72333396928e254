"""A mistake of insitu itself asks for a report and writes a file for it, which holds nothing of the user's data."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu.compiler import compiled, pipeline, trouble
from insitu.config import config
from insitu.errors import InternalError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A kernel cache of its own."""
    monkeypatch.setitem(config._values, "cache_dir", tmp_path / "cache")
    return tmp_path / "cache"


def broken(monkeypatch, name, error, module=pipeline):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(module, name, fail)


def run():
    """A program with numbers of the user's in it."""
    x = np.full((3, 5), 123.456, np.float32)
    return np.asarray(si.compile(lambda x: si.sum(x * 42.4242 + 1.0, axis=1))(x))


@pytest.mark.parametrize("stage", ["simplify", "group", "make_plan", "_generated", "Program"])
def test_whatever_fails_in_the_compiler_names_a_file_with_all_that_is_needed(monkeypatch, cache, stage):
    error = KeyError("axis")
    if stage == "simplify":
        monkeypatch.setattr(pipeline, "PASSES", (lambda graph: (_ for _ in ()).throw(error),))
    else:
        broken(monkeypatch, stage, error, compiled if stage == "Program" else pipeline)
    with pytest.raises(InternalError) as caught:
        run()
    assert caught.value.__cause__ is error
    path = Path(caught.value.report)
    assert path.parent == cache / "reports" and str(path) in str(caught.value) and "not in your program" in str(caught.value)
    text = path.read_text()
    for heading in ("error", "traceback", "versions", "cpu", "graph", "simplified", "nests"):
        assert f"== {heading} ==" in text
    assert "KeyError in the compiler: 'axis'" in text and f"compiler/{'compiled' if stage == 'Program' else 'pipeline'}.py:" in text
    assert "mul(" in text and "float32[3, 5]" in text and si.__version__ in text and config.target.cpu in text
    assert "123.456" not in text and "42.42" not in text and "test_reports" not in text
    made = "not made" not in text.split("== nests ==")[1]
    assert made == (stage not in ("simplify", "group"))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_error_of_the_compilers_own_keeps_its_words(monkeypatch):
    broken(monkeypatch, "group", InternalError("two groups store one node"))
    with pytest.raises(InternalError, match="two groups store one node") as caught:
        run()
    assert "two groups store one node" in Path(caught.value.report).read_text()


def test_a_mistake_of_the_user_stays_one():
    def wrong(x):
        return x @ x

    with pytest.raises(si.errors.ShapeError):
        si.compile(wrong)(si.ones((2, 3)))


def test_where_no_folder_can_be_written_the_text_says_what_to_send(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setitem(config._values, "cache_dir", tmp_path / "file")
    monkeypatch.setattr(trouble, "_temporary", lambda: str(tmp_path / "file"))
    broken(monkeypatch, "group", KeyError("x"))
    with pytest.raises(InternalError, match="with this text and the program") as caught:
        run()
    assert caught.value.report == ""


def test_a_report_is_written_whole_or_not_at_all(monkeypatch, cache):
    def fail(*names):
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(trouble, "_temporary", lambda: str(cache))
    assert trouble.save("text") == ""
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_old_reports_go(cache):
    paths = [Path(trouble.save(f"report {k}")) for k in range(trouble.KEPT + 5)]
    assert sum(p.exists() for p in paths) == trouble.KEPT and paths[-1].exists()
    assert os.name != "posix" or paths[-1].stat().st_mode & 0o777 == 0o600


def test_examples_run():
    assert doctest.testmod(trouble) == (0, 2)
