"""Each wrong program gets exactly the promised text, and each mended one runs.

``RENEW=1 python -m pytest tests/test_errors.py`` writes the texts anew; read what has changed before committing it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from error_programs import FOLDER, Case, cases, told

from insitu.config import config
from insitu.errors import UserError
from insitu.pages import slugs

CASES = cases()
RUNNABLE = [case for case in CASES if case.runs]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; the settings of insitu stay as they were."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = dict(config._values)
    yield tmp_path
    config._values.clear()
    config._values.update(before)
    config.changed()


def test_each_folder_is_a_slug_and_each_text_belongs_to_a_program() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} <= set(slugs())
    assert sorted(FOLDER.glob("*/*.txt")) == sorted(case.promised for case in RUNNABLE)
    assert sorted(FOLDER.glob("*/*.mended.py")) == sorted(case.promised.with_suffix(".mended.py") for case in CASES if case.name != "page")


@pytest.mark.parametrize("case", RUNNABLE, ids=str)
def test_wrong_program_gets_the_promised_text(case: Case, folder: Path) -> None:
    error = case.error()
    text = told(error, folder)
    if os.environ.get("RENEW"):
        case.promised.parent.mkdir(exist_ok=True)
        case.promised.write_text(text, encoding="utf-8")
    assert text == case.promised.read_text(encoding="utf-8")
    assert text.splitlines()[-1].split() == ["more", "insitu", "explain", case.slug]
    if isinstance(error, UserError):  # what failed inside is either unknown to the user or named as the cause
        assert error.slug == case.slug
        assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mended_program_runs(case: Case) -> None:
    if case.runs:
        case.mend()
    else:
        compile(case.wrong, str(case), "exec")
        compile(case.mended, str(case), "exec")
