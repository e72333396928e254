"""An uncaught user error ends at the user's own line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
