"""The examples in the docstrings of `insitu.nn`, but for packages whose own tests run theirs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import insitu.nn

APART = ("insitu.nn.callbacks", "insitu.nn.losses", "insitu.nn.metrics")
MODULES = ["insitu.nn", *[m.name for m in pkgutil.walk_packages(insitu.nn.__path__, "insitu.nn.") if not m.name.startswith(APART)]]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_activations_have_their_examples_run():
    # each is wrapped by a decorator of another module, which must not hide it
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module("insitu.nn.activations.rectifying"))
    assert "insitu.nn.activations.rectifying.relu" in {t.name for t in found if t.examples}
