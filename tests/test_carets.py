"""The caret stands under the argument that is to blame, wherever and however it was passed."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

import insitu as si
from insitu.errors import ArgumentError, ShapeError, UserError
from insitu.nearest import nearest


def pointed(tmp_path: Path, program: str) -> str:
    """The text above the caret, with the number of its line; empty if there is no caret."""
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    linecache.checkcache()
    with pytest.raises(UserError) as caught:
        exec(compile(program, str(file), "exec"), {"si": si})
    where = caught.value.where
    if len(where) < 2:
        return ""
    line, carets = where
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert carets[start:stop] == "^" * (stop - start)
    return line.split()[0].removeprefix("program.py:") + ": " + line[start:stop]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("layer = si.nn.Dropout(20)", "1: 20"),
        ("layer = si.nn.Dropout(rate=20)", "1: rate=20"),
        ("layer = si.nn.Dropout(rate = 2 * 10)", "1: rate = 2 * 10"),
        ("rate = 20\nlayer = si.nn.Dropout(\n    rate,\n)", "3: rate"),
        ("layer = si.nn.Dropout(\n    name='drop', rate=(\n        20)\n)", "2: rate=("),
        ("layer = [si.nn.Dropout(0.2), si.nn.Dropout(20)][1]", "1: 20"),
        ("names = {'ü': si.nn.Dropout(name='größe', rate=20)}", "1: rate=20"),
        ("if True:\n    y = si.nn.Dense(3)(si.ones(4)) + 1", "2: si.ones(4)"),
        ("more = [20]\nlayer = si.nn.Dropout(*more)", "2: si.nn.Dropout(*more)"),
        ("options = {'rate': 20}\nlayer = si.nn.Dropout(**options)", "2: si.nn.Dropout(**options)"),
        ("x = si.ones((2, 3)); y = x @ x", "1: x @ x"),
        ("x = si.ones(3)\nx[0] = 1", "2: x[0]"),
        ("make = lambda: si.nn.Dropout(20)\nmake()", "1: 20"),
    ],
)
def test_caret(tmp_path: Path, program: str, expected: str) -> None:
    assert pointed(tmp_path, program) == expected


def test_there_is_no_line_without_a_source() -> None:
    with pytest.raises(ArgumentError) as caught:
        exec("si.nn.Dropout(20)", {"si": si})
    assert caught.value.where == []
    assert str(caught.value).startswith("Dropout: rate must be")


def test_first_place_inside_a_model_is_kept() -> None:
    error = ShapeError("It does not fit.", fix="turn it", slug="broadcast-shapes")
    error.add_place('Dense "inner"')
    error.add_place('Sequential "outer"')
    assert '  in            Dense "inner"' in str(error).splitlines()
    assert "outer" not in str(error)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("adma", ["adagrad", "adam", "adamax"], "adam"),
        ("Sigmoid ", ["sigmoid", "hard_sigmoid"], "sigmoid"),
        ("mean_square_error", ["mean_squared_error", "mean_absolute_error"], "mean_squared_error"),
        ("lr", ["learning_rate", "name"], "learning_rate"),
        ("ddof", ["axis", "correction"], "correction"),
        ("dim", ["axis", "keepdims"], "axis"),
        ("lr", ["rate"], None),
        ("", ["rate"], None),
        (3, ["rate"], None),
    ],
)
def test_nearest_name(name: object, known: list[str], expected: str | None) -> None:
    assert nearest(name, known) == expected
