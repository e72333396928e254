"""The pages show what the program does today."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("stage", ["graph", "simplified", "nests"])
def test_listings_of_how_it_works_are_current(stage):
    maker = load(ROOT / "docs" / "make_how_it_works.py")
    page = maker.PAGE.read_text(encoding="utf-8")
    assert maker.written(page)[stage] == maker.listings(page, (stage,))[stage].strip("\n"), "run: make docs"


def test_every_listing_of_how_it_works_is_filled():
    maker = load(ROOT / "docs" / "make_how_it_works.py")
    found = maker.written(maker.PAGE.read_text(encoding="utf-8"))
    assert set(found) == set(maker.STAGES)
    assert "@llvm.fma.v8f32" in found["llvm"] and "vfmadd" in found["assembly"]


def test_list_of_errors_is_current():
    maker = load(ROOT / "docs" / "make_errors.py")
    assert maker.PAGE.read_text(encoding="utf-8") == maker.written(), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_programs_in_pages_are_python(page):
    programs = _PROGRAM.findall(page.read_text(encoding="utf-8"))
    for program in programs:
        ast.parse(program)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_in_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_plain_loop_learns(tmp_path):
    program = tmp_path / "plain_loop.py"
    program.write_text(_PROGRAM.search((ROOT / "docs" / "plain-loop.md").read_text(encoding="utf-8"))[1], encoding="utf-8")
    environment = dict(os.environ, PYTHONPATH=str(ROOT), INSITU_VERIFY="0")
    done = subprocess.run([sys.executable, str(program)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"accuracy ([\d.]+)", done.stdout)[1]) > 0.93


def test_first_steps_run_one_after_the_other(tmp_path):
    programs = _PROGRAM.findall((ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8"))
    whole = tmp_path / "first_steps.py"
    whole.write_text("\n".join(programs), encoding="utf-8")
    environment = dict(os.environ, PYTHONPATH=str(ROOT), INSITU_VERIFY="0")
    done = subprocess.run([sys.executable, str(whole)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    accuracy = next(float(line) for line in lines if re.fullmatch(r"0\.\d+", line))
    assert accuracy > 0.93 and {"digits.insitu", "weights.safetensors", "best.insitu", "log.csv"} <= {p.name for p in tmp_path.iterdir()}


def test_reference_has_every_public_name(tmp_path):
    maker = load(ROOT / "docs" / "make_api.py")
    maker.write(tmp_path)
    for name, (_, module) in maker.ROOMS.items():
        text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        for public in maker.public(module):
            assert f"## {public}\n" in text
            assert (getattr(module, public).__doc__ or "").strip(), f"{name}: {public} has no docstring"
    for target in re.findall(r"\]\(([^)]+)\)", (tmp_path / "index.md").read_text(encoding="utf-8")):
        assert (tmp_path / target).exists()


def test_readme_gives_its_two_commands_on_the_first_screen():
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24])
    assert "make demo" in first and "make test" in first
