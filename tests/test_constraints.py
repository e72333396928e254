"""Every public callable holds its arguments to what it declares: wrong values give a `UserError` of the right page, never anything else."""

from __future__ import annotations

import copy
import inspect
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import walk

import insitu as si
from insitu import arguments
from insitu.arguments import REFUSED, Function, constraints_of, odd_values, parameters_of
from insitu.errors import InsituWarning, UserError
from insitu.pages import slugs

METHODS = walk.methods()
PUBLIC: dict[str, Callable[..., Any]] = walk.public() | {name: method() for name, method in METHODS.items()}
PAGES = frozenset(slugs())


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to write to, no network, and the random numbers as they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSITU_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no network in tests")))
    state = si.random.default_generator().state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsituWarning)
        yield
    si.random.default_generator().state = state


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_declared(name: str) -> None:
    target = PUBLIC[name]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert [n for n, p in parameters_of(target).items() if n not in constraints_of(target) and p.kind not in kinds] == []


def declaring(target: Callable[..., Any], argument: str) -> Any:
    """What declares an argument: a class that passes its arguments on leaves it to a base."""
    if not isinstance(target, type):
        return target
    return next((cls for cls in target.__mro__ if argument in getattr(vars(cls).get("__init__"), "__constraints__", {})), target)


def first_uses() -> dict[tuple[int, str], str]:
    """For each declaration the first public name that has it."""
    found: dict[tuple[int, str], str] = {}
    for name, target in PUBLIC.items():
        for argument in constraints_of(target):
            found.setdefault((id(declaring(target, argument)), argument), name)
    return found


FIRST = first_uses()


def values_for(name: str, argument: str, constraint: arguments.Constraint) -> list[Any]:
    """Odd values, those near the border, and some that fit; a few where a base class declares what another name is tested with."""
    if FIRST[id(declaring(PUBLIC[name], argument)), argument] != name:
        return [10**400, "a\0b", np.zeros((2, 0)), object()]
    odd = odd_values()
    if constraint.inside:  # arrays: functions that take them are many and share what reads them, so that each gets a third
        odd = odd[zlib.crc32(f"{name} {argument}".encode()) % 3 :: 3]
    return [*odd, *constraint.borders, *constraint.fits]


@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_values_are_refused_with_the_page_of_their_constraint(name: str) -> None:
    target, wrong = PUBLIC[name], []
    parameters, others = parameters_of(target), walk.usual(name, target)
    for argument, constraint in constraints_of(target).items():
        if (name, argument) == ("si.nn.ActivityRegularization", "activity_regularizer"):
            continue  # it sets this argument of its base itself
        if argument not in parameters:
            continue  # the object of a method
        for value in values_for(name, argument, constraint):
            if (value is object or value is abs) and any(isinstance(part, Function) for part in (constraint, *getattr(constraint, "parts", ()))):
                continue  # can be called, but not in this way: that is the error of the function
            own = {constraint.slug, *[p.slug for p in getattr(constraint, "parts", ())]}
            try:
                refused = constraint.take(copy.copy(value)) is REFUSED  # an iterator can be read once
            except UserError as error:
                refused, own = True, own | {error.slug}
            if not refused and name.startswith("si.vision.models."):
                continue  # a whole network would be made
            try:
                walk.called(METHODS[name]() if name in METHODS else target, parameters, others | {argument: value})
            except UserError as error:
                if error.slug not in PAGES or (refused and error.slug not in own):
                    wrong.append(f"{argument}={arguments.told(value)}: {error.slug}")
            except BaseException as error:  # what is not told as the user's mistake is one of ours
                wrong.append(f"{argument}={arguments.told(value)}: {type(error).__name__}: {str(error)[:90]}")
            else:
                if refused:
                    wrong.append(f"{argument}={arguments.told(value)} was taken")
    assert wrong == []
