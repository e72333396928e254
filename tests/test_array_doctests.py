"""The examples in the docstrings of the surface run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import insitu as si
from insitu import registry

PACKAGE = Path(si.__file__).parent

MODULES = [
    "array", "checks", "contraction", "convert", "convolution", "creation", "distributions", "einsum", "elementwise", "indexing", "info", "joining",
    "methods", "random", "reductions", "scalars", "shaping", "sorting", "taking", "transforms", "tree", "update", "values",
]  # fmt: skip


ROOMS = sorted(
    path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for room in ("optim", "data", "io")  # those of nn run in test_nn_doctests and beside its larger parts
    for path in (PACKAGE / room).rglob("*.py")
)


@pytest.mark.parametrize("name", ROOMS)
def test_examples_of_the_rooms_for_people(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, extraglobs={"si": si, "np": np}).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"insitu.array.{name}"))
    assert result.failed == 0


def test_examples_of_the_package() -> None:
    assert doctest.testmod(si).failed == 0
    assert doctest.testmod(registry).failed == 0


def test_public_functions_are_documented() -> None:
    for name in si.__all__:
        thing = getattr(si, name)
        if callable(thing) and not isinstance(thing, type):
            assert thing.__doc__, name
