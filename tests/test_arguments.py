"""Constraints by hand-written tables of what they take and refuse, and what declarations do in calls."""

from __future__ import annotations

import doctest
import fractions
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import insitu as si
from insitu import arguments as a
from insitu.arguments import checked, constraints_of, parameters_of
from insitu.errors import ArgumentError, DTypeError, UserError

TAKEN: list[tuple[a.Constraint, Any, Any]] = [
    (a.Number(0, 1), 1, 1.0), (a.Number(0, 1), fractions.Fraction(1, 4), 0.25), (a.Number(0, 1), np.float32(0.5), 0.5),
    (a.Number(), np.int8(-3), -3.0), (a.Number(0, open="l"), 5e-324, 5e-324), (a.Number(0, 1, open="h"), 0, 0.0),
    (a.Whole(1), 1, 1), (a.Whole(1), np.int64(7), 7), (a.Whole(), np.asarray(3), 3), (a.Whole(0), 2**63 - 1, 2**63 - 1), (a.SEED, 10**400, 10**400),
    (a.SEED, [1, 2], [1, 2]), (a.SEED, None, None), (a.FLAG, np.bool_(False), False), (a.FLAG, 1, True), (a.Choice("a", "b"), "b", "b"),
    (a.TEXT, "x", "x"), (a.PATH, Path("runs"), "runs"), (a.AXES, [0, np.int8(-1)], (0, -1)), (a.AXES, 2, 2), (a.AXES | None, None, None),
    (a.SHAPE, 3, (3,)), (a.SHAPE, [2, 0], (2, 0)), (a.Lengths(1, unknown=True), (None, 2), (None, 2)), (a.DTYPE, "float16", si.float16),
    (a.DTYPE, np.dtype("int8"), si.int8), (a.FUNCTION, abs, abs), (a.Several(a.Whole(0)), np.arange(3), [0, 1, 2]),
    (a.Choice("epoch") | a.Whole(1), 5, 5), (a.Choice("epoch") | a.Whole(1), "epoch", "epoch"), (a.Numbers(), [[1, 2]], [[1.0, 2.0]]),
    (a.Scalar(), 3, 3), (a.Scalar(), np.asarray(0.5), 0.5), (a.ARRAYS, (1, 2), (1, 2)),
]  # fmt: skip
REFUSED: list[tuple[a.Constraint, Any]] = [
    *[(a.Number(0, 1), v) for v in (-1e-9, 1.0000001, math.nan, math.inf, True, "0.5", None, 1j, [0.5], 10**400, np.zeros(1))],
    (a.Number(0, open="l"), 0), (a.Number(0, 1, open="h"), 1.0), (a.Number(), np.bool_(True)),
    *[(a.Whole(1), v) for v in (0, 1.0, True, "1", None, 2**63, math.nan, np.zeros((2, 0)), np.float64(2))],
    *[(a.FLAG, v) for v in (2, -1, "True", None, 1.0, [], np.zeros(1))],
    *[(a.Choice("a", "b"), v) for v in ("c", "A", "", None, ["a"], np.asarray("a"), b"a")],
    (a.TEXT, ""), (a.TEXT, 3), (a.TEXT, b"x"), (a.PATH, ""), (a.PATH, b"runs"), (a.PATH, "a\0b"), (a.PATH, 3),
    *[(a.AXES, v) for v in (0.0, "0", (0, None), [[0]], True, {0})], (a.AXIS, (0,)), (a.SEED, -1), (a.SEED, [1, -1]), (a.SEED, "1"),
    *[(a.SHAPE, v) for v in (-1, (2, -1), "23", (2.0,), None, {2: 3}, {2}, (2, None), ((2,),))], (a.Lengths(single=False), 3),
    (a.FUNCTION, "abs"), (a.Several(a.Whole(0)), []), (a.Several(a.Whole(0)), 3), (a.Several(a.Whole(0)), [0, "1"]),
    (a.Choice("epoch") | a.Whole(1), "batch"), (a.Choice("epoch") | a.Whole(1), 0), (a.Numbers(), [[1], [2, 3]]), (a.Numbers(), ["1"]),
    (a.Numbers(), []), (a.Numbers(), [math.nan]), (a.Scalar(), 2**64), (a.Scalar(), [1]), (a.ARRAYS, 3), (a.ARRAYS, "ab"), (a.ARRAYS, np.zeros(())),
]  # fmt: skip


@pytest.mark.parametrize(("constraint", "value", "found"), TAKEN, ids=range(len(TAKEN)))
def test_values_that_fit_are_taken_in_their_type(constraint: a.Constraint, value: Any, found: Any) -> None:
    taken = constraint.take(value)
    assert taken == found and type(taken) is type(found)
    assert value in constraint


@pytest.mark.parametrize(("constraint", "value"), REFUSED, ids=range(len(REFUSED)))
def test_values_that_do_not_fit_are_refused_in_six_parts(constraint: a.Constraint, value: Any) -> None:
    assert constraint.take(value) is a.REFUSED and value not in constraint
    with pytest.raises(UserError) as caught:
        constraint.check("Thing", "part", value)
    error = caught.value
    assert error.what == f"Thing: part must be {constraint}." and error.expected == str(constraint)
    assert error.received.startswith("part=") and error.fix and error.slug == constraint.slug


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (a.Number(0, 1), "a number from 0 to 1"),
        (a.Number(0, open="l"), "a number above 0"),
        (a.Number(0, 1, open="h"), "a number from 0 to below 1"),
        (a.Number(0, 1, open="lh"), "a number above 0 and below 1"),
        (a.Number(high=0), "a number of at most 0"),
        (a.Whole(2) | None, "a whole number of at least 2, or None"),
        (a.Whole(0, 2), "a whole number from 0 to 2"),
        (a.SEED, "a whole number of at least 0, a list of them, or None"),
        (a.Choice("a", "b", "c"), '"a", "b" or "c"'),
    ],
    ids=str,
)
def test_constraints_are_told_in_words(constraint: a.Constraint, words: str) -> None:
    assert str(constraint) == words


@pytest.mark.parametrize(
    ("constraint", "value", "fix"),
    [
        (a.Number(0, 1), "0.5", "pass the number without quotes: part=0.5"),
        (a.Number(0, 1), 50, "pass a share instead of a percentage: part=0.5"),
        (a.Whole(1), 10 / 2, "pass part=5; a division that gives whole numbers is written //"),
        (a.FLAG, "no", "pass it without quotes: part=False"),
        (a.Choice("fan_in", "fan_out"), "fanin", 'did you mean part="fan_in"?'),
        (a.Whole(1, fix="pass units=10"), 0, "pass units=10"),
    ],
    ids=range(6),
)
def test_fixes_are_computed_from_the_value(constraint: a.Constraint, value: Any, fix: str) -> None:
    assert constraint.fix("part", value) == fix


def test_other_errors_than_the_general_one_keep_their_class_and_page() -> None:
    with pytest.raises(DTypeError) as caught:
        a.DTypeName(floating=True).check("zeros", "dtype", "int32")
    assert caught.value.slug == "dtype-unsupported"
    assert a.Number(0, slug="dropout-rate").slug == a.Number(0).about(slug="dropout-rate").slug == "dropout-rate"


# -- declarations ------------------------------------------------------------------------------------------------------
class Base:
    @checked(name=a.TEXT | None, size=a.Whole(1))
    def __init__(self, *, name: str | None = None, size: int = 3) -> None:
        self.name, self.size = name, size


class Thing(Base):
    @checked("dropout-rate", rate=a.SHARE, kind=a.Choice("one", "two", slug="argument-choice"))
    def __init__(self, rate: float, kind: str = "one", **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.kind = rate, kind

    @checked(times=a.Whole(1))
    def again(self, times: int = 1) -> int:
        return times


@checked(x=a.ARRAY)
def untouched(x: Any) -> Any:
    return x


@checked(times=a.Whole(1))
def repeated(word: str, *rest: str, times: int = 1) -> list[str]:
    return [word, *rest] * times


def test_values_arrive_as_they_are_taken() -> None:
    made = Thing(np.float32(0.5), size=np.int64(4))
    assert (type(made.rate), made.rate, type(made.size), made.size, made.kind) == (float, 0.5, int, 4, "one")
    assert made.again(np.int8(2)) == 2 and repeated("a", "b", times=np.int8(2)) == ["a", "b", "a", "b"]
    assert not hasattr(untouched, "__wrapped__")  # nothing to check: no layer in between


@pytest.mark.parametrize(
    ("call", "slug", "text"),
    [
        (lambda: Thing(2), "dropout-rate", "Thing: rate must be a number from 0 to 1."),
        (lambda: Thing(0.5, "three"), "argument-choice", "Thing: kind must be"),
        (lambda: Thing(0.5, size=0, name="mine"), "argument-integer", 'Thing "mine": size must be a whole number of at least 1.'),
        (lambda: Thing(0.5, sise=3), "argument-unknown", "did you mean size=?"),
        (lambda: Thing(), "argument-missing", "Thing needs rate."),
        (lambda: Thing(0.5, "one", 3), "argument-count", "in this order: rate, kind"),
        (lambda: Thing(0.5, rate=0.5), "argument-count", "rate twice"),
        (lambda: Thing(0.5).again(times=0), "argument-integer", "again: times must be"),
        (lambda: repeated("a", tmes=2), "argument-unknown", "did you mean times=?"),
        (lambda: si.nn.Dense(3, "relu", name="a", units=2), "argument-count", 'Dense "a" was given units twice'),
        (lambda: si.nn.initializers.Zeros(1), "argument-count", "no arguments"),
    ],
    ids=range(11),
)
def test_calls_that_do_not_fit_are_refused(call: Any, slug: str, text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert caught.value.slug == slug and text in str(caught.value)
    assert caught.value.__cause__ is None and (caught.value.__context__ is None or caught.value.__suppress_context__)


def test_errors_of_the_function_itself_pass_through() -> None:
    @checked(x=a.NUMBER)
    def broken(x: float) -> None:
        len(x)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len") as caught:
        broken(1.0)
    assert not isinstance(caught.value, UserError)


def test_declarations_can_be_read() -> None:
    assert {n: str(c) for n, c in constraints_of(Thing).items()} == {
        "rate": "a number from 0 to 1", "kind": '"one" or "two"', "name": "a text that is not empty, or None", "size": "a whole number of at least 1",
    }  # fmt: skip
    assert list(parameters_of(Thing)) == ["rate", "kind", "name", "size"]
    assert constraints_of(Thing(0.5).again)["times"].slug == "argument-integer" and constraints_of(len) == {}
    assert constraints_of(untouched) == {"x": a.ARRAY}


def test_received_values_are_short() -> None:
    shown = [a.told(v) for v in (np.zeros((3, 4), np.int8), "x" * 1000, 10**400, 0.5, None)]
    assert shown[0] == "an array of shape (3, 4), int8" and len(shown[1]) <= 90
    assert shown[2:] == ["a whole number of 1329 bits", "0.5", "None"]


@pytest.mark.parametrize("module", [a, a.declared, a.kinds], ids=lambda m: m.__name__)
def test_examples_run(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
