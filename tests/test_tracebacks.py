"""An uncaught user error ends at the user's own line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import insitu as si
from insitu.config import config

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """\
import insitu as si

x = si.ones((2, 3))
y = x @ x
"""

EXPECTED = """\
Traceback (most recent call last):
  File "{path}", line 4, in <module>
    y = x @ x
        ~~^~~
insitu.errors.ShapeError: """


def run(tmp_path, **settings: str) -> str:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    found = subprocess.run(
        [sys.executable, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)} | settings, capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 1
    return found.stderr


def test_frames_inside_insitu_are_hidden(tmp_path) -> None:
    text = run(tmp_path)
    assert text.startswith(EXPECTED.format(path=tmp_path / "program.py"))
    assert text.count("  File ") == 1


def test_full_shows_them(tmp_path) -> None:
    assert run(tmp_path, INSITU_TRACEBACK="full").count("  File ") > 3


TEST = """\
import insitu as si


def test_product():
    x = si.ones((2, 3))
    x @ x
"""


def pytest_of(tmp_path, **settings: str) -> str:
    """What pytest says about a failing test, without insitu's own tests' settings."""
    path = tmp_path / "test_program.py"
    path.write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(path)]
    found = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)} | settings, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert found.returncode == 1
    return found.stdout


def test_pytest_shows_the_users_frames_alone(tmp_path) -> None:
    text = pytest_of(tmp_path)
    assert "test_program.py:6" in text and "insitu explain matmul-shapes" in text
    assert "insitu/array" not in text and "insitu/ops" not in text


def test_pytest_shows_all_if_asked(tmp_path) -> None:
    assert "insitu/ops" in pytest_of(tmp_path, INSITU_TRACEBACK="full")


def caught() -> si.errors.UserError:
    x = si.ones((2, 3))
    with pytest.raises(si.errors.UserError) as found:
        x @ x
    return found.value


def test_notebooks_show_the_users_frames_alone(monkeypatch) -> None:
    lines = caught()._render_traceback_()
    assert lines[0] == "Traceback (most recent call last):" and lines[-1].split() == ["more", "insitu", "explain", "matmul-shapes"]
    files = [line for line in lines if line.startswith("  File ")]
    assert len(files) == 1 and "test_tracebacks.py" in files[0]
    monkeypatch.setitem(config._values, "traceback", "full")
    assert sum("insitu" in line for line in caught()._render_traceback_() if line.startswith("  File ")) > 2


def test_a_wrong_setting_of_tracebacks_is_told_as_any_other(tmp_path) -> None:
    program = "import insitu as si\nsi.config.traceback\n"
    found = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT), "INSITU_TRACEBACK": "long"}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert "insitu explain config-traceback" in found.stderr and "RecursionError" not in found.stderr
