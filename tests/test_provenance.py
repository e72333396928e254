"""An error tells where the array it speaks of was made, where the program leaves no doubt."""

from __future__ import annotations

import linecache
import textwrap

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError


def made(program: str, name: str = "given.py") -> list[str]:
    """What the error of a program says of where its arrays come from."""
    source = textwrap.dedent(program)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    with pytest.raises(UserError) as caught:
        exec(compile(source, name, "exec"), {"si": si, "np": np, "__name__": "given"})
    for line in caught.value.made:
        assert line in str(caught.value)
    return caught.value.made


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("x = si.ones((2, 3))\ny = si.ones((2, 4))\nx @ y", ["x comes from given.py:1", "y comes from given.py:2"]),
        ("x = si.ones((2, 3))\nx = x + 1\nx @ x", ["x comes from given.py:2"]),
        ("x, n = np.ones((2, 3)), 4\nsi.reshape(x, (n, 7))", []),  # the caret is under the shape
        ("x = si.ones((2, 3))\nsi.sum(x, axis=len(x))", []),  # the axis is not made of x
        ("x = np.ones((2, 3))\nsi.Variable(si.ones(2)).assign(x.copy())", ["x comes from given.py:1"]),
        ("x = si.ones((2, 3)); x @ x", []),  # it is on the line itself
        ("if True:\n    x = si.ones((2, 3))\nelse:\n    x = si.ones((3, 3))\nx @ x", []),  # either
        ("if True:\n    x = si.ones((2, 3))\n    x @ x", ["x comes from given.py:2"]),
        ("for k in range(3):\n    x = si.ones((k, 3))\n    x @ x", ["x comes from given.py:2"]),
        ("x = si.ones((3, 3))\nfor k in range(3):\n    x @ x\n    x = si.ones((2, 3))", []),  # this, or that of the turn before
        ("for x in [si.ones((2, 3))]:\n    x @ x", ["x comes from given.py:1"]),
        ("def f(x):\n    return x @ x\nf(si.ones((2, 3)))", []),  # an argument
        ("def f():\n    x = si.ones((2, 3))\n    return x @ x\nf()", ["x comes from given.py:2"]),
        ("x = si.ones((2, 3))\ndef f():\n    return x @ x\nf()", ["x comes from given.py:1"]),
        ("x = si.ones((2, 3))\ndef f():\n    return x @ x\nx = x + 1\nf()", []),  # either
        ("try:\n    x = si.ones((2, 3))\nfinally:\n    pass\nx @ x", []),
        ("with np.errstate():\n    x = si.ones((2, 3))\n    x @ x", ["x comes from given.py:2"]),
        ("x = si.ones((2, 3))\n(lambda: x @ x)()", ["x comes from given.py:1"]),
        ("x = si.ones((2, 3))\n[x @ x for _ in range(2)]", ["x comes from given.py:1"]),
        ("x = si.ones((2, 3))\n[x @ x for x in [x]]", []),
    ],
)
def test_the_line_that_made_an_array(program, expected):
    assert made(program) == expected


def test_arguments_of_fit_are_found_by_place_and_by_name():
    program = """
        x = np.ones((8, 3), np.float32)
        labels = np.ones(7)
        model = si.nn.Sequential([si.nn.Dense(1)])
        model.compile("sgd", "mse")
        model.fit({})
    """
    assert made(program.format("x, labels")) == made(program.format("x, y=labels")) == ["labels comes from given.py:3"]


def test_without_a_source_nothing_is_said():
    with pytest.raises(UserError) as caught:
        exec(compile("x = si.ones((2, 3))\nx @ x", "<nowhere>", "exec"), {"si": si})
    assert caught.value.made == [] == caught.value.where


def test_nothing_of_the_users_runs_to_find_out():
    class Odd:
        @property
        def shape(self):
            raise RuntimeError("asked")

        dtype = shape

    x = Odd()
    with pytest.raises(UserError):
        si.reshape(x, (2, 3))
