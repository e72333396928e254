"""The examples in the docstrings of the surface run and print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

import insitu as si

MODULES = [
    "array", "checks", "contraction", "convert", "creation", "distributions", "einsum", "elementwise", "indexing", "info", "joining", "methods",
    "random", "reductions", "scalars", "shaping", "sorting", "taking", "transforms", "tree", "update", "values",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"insitu.array.{name}"))
    assert result.failed == 0


def test_examples_of_the_package() -> None:
    assert doctest.testmod(si).failed == 0


def test_public_functions_are_documented() -> None:
    for name in si.__all__:
        thing = getattr(si, name)
        if callable(thing) and not isinstance(thing, type):
            assert thing.__doc__, name
