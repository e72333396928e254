"""The kinds of constraints: what values an argument may have, told in words, with values that fit and values that do not."""

from __future__ import annotations

import copy
import inspect
import math
import numbers
import operator
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from insitu.dtypes import as_dtype
from insitu.errors import ArgumentError, DTypeError, UserError
from insitu.nearest import nearest

#: What `Constraint.take` returns for a value that the argument cannot have.
REFUSED = object()
#: No whole number is larger: positions and sizes have 64 bits.
LARGEST = 2**63 - 1

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlong = 40


def told(value: Any) -> str:
    """A value in an error: short, and for arrays only their shape and dtype."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None and not isinstance(value, np.generic):
        return f"an array of shape {shape}, {dtype}"
    if isinstance(value, int) and abs(value) > 10**40:
        return f"a whole number of {value.bit_length()} bits"
    text = _short.repr(value)
    if " at 0x" not in text:  # an address says nothing, and is another in each run
        return text
    return f"{'the function' if inspect.isroutine(value) else 'an object of'} {getattr(value, '__name__', type(value).__name__)}"


def written(shape: Sequence[int | None]) -> str:
    """A shape in an error, whose first axis is ``batch`` if its length is open."""
    return str(tuple(shape)).replace("None", "batch", 1)


class Constraint:
    """What values an argument may have. ``a | b`` allows both kinds, ``a | None`` allows None as well.

    A subclass defines `take` and ``__str__``, and lists in ``fits`` some values that are allowed, the usual one first.
    """

    #: The page of `insitu explain` about values that are refused.
    slug = "argument-choice"
    #: The error for them.
    error: type[UserError] = ArgumentError
    #: Whether defaults are taken too, because something is made of them.
    makes = False
    #: Whether the function checks the value itself, because what is allowed depends on other arguments.
    inside = False
    #: Values that are allowed.
    fits: Sequence[Any] = ()
    #: Values near the border, allowed or not, that tests try beside those of `odd_values`.
    borders: Sequence[Any] = ()
    #: Whether a function with a page of its own about its arguments sends refused values there.
    is_general = True
    #: What to do instead; empty: to pass the usual value.
    remedy = ""

    def take(self, value: Any) -> Any:
        """The value as the function wants it, or `REFUSED`."""
        raise NotImplementedError

    def _own(self, slug: str, fix: str) -> None:
        """Set a page and a remedy of its own."""
        self.slug, self.remedy, self.is_general = slug or self.slug, fix, self.is_general and not slug

    def about(self, slug: str = "", fix: str = "") -> Any:
        """The same constraint with a slug or a remedy of its own."""
        other = copy.copy(self)
        other._own(slug, fix or self.remedy)
        return other

    def __or__(self, other: Constraint | None) -> Either:
        return Either(self, NONE if other is None else other)

    def __contains__(self, value: object) -> bool:
        return self.take(value) is not REFUSED

    def check(self, owner: str, argument: str, value: Any) -> Any:
        """The value as the function wants it.

        Raises
        ------
        UserError
            If the argument cannot have this value.
        """
        found = self.take(value)
        if found is REFUSED:
            raise self.refusal(owner, argument, value)
        return found

    def refusal(self, owner: str, argument: str, value: Any) -> UserError:
        """The error for a value that the argument cannot have."""
        return self.error(
            f"{owner}: {argument} must be {self}.",
            expected=str(self),
            received=f"{argument}={told(value)}",
            fix=self.fix(argument, value),
            slug=self.slug,
            argument=f"{argument}=",
        )

    def fix(self, argument: str, value: Any) -> str:
        """What to pass instead."""
        return self.remedy or f"pass {argument}={self.example()}"

    def example(self) -> str:
        """A value that is allowed, as it stands in a program."""
        return f'"{self.fits[0]}"' if isinstance(self.fits[0], str) else told(self.fits[0])


class Number(Constraint):
    """A finite number from ``low`` to ``high``, taken as a float. ``open`` has "l" or "h" for an end that does not belong to it."""

    slug = "argument-range"

    def __init__(self, low: float = -math.inf, high: float = math.inf, open: str = "", slug: str = "", fix: str = "") -> None:
        self.low, self.high, self.open = low, high, open
        self._own(slug, fix)
        ends = [v for v in (low, high) if math.isfinite(v)]
        usual = (0.5, 1.0) if len(ends) == 2 else (1.0, 0.5)
        self.fits = [v for v in (*usual, 2.0, -0.5, (low + high) / 2, *ends) if self._within(v)]
        self.borders = [*ends, *[v + d for v in ends for d in (-1, 1)], *[math.nextafter(v, d) for v in ends for d in (-math.inf, math.inf)]]

    def _within(self, value: float) -> bool:
        above = value > self.low if "l" in self.open else value >= self.low
        return above and (value < self.high if "h" in self.open else value <= self.high) and math.isfinite(value)

    def take(self, value: Any) -> Any:
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
            return REFUSED
        try:
            found = float(value)
        except OverflowError:
            return REFUSED
        return found if self._within(found) else REFUSED

    def __str__(self) -> str:
        return f"a number{self._limits(f'{self.low:g}', f'{self.high:g}')}"

    def _limits(self, low: str, high: str) -> str:
        above = f"above {low}" if "l" in self.open else f"of at least {low}"
        below = f"below {high}" if "h" in self.open else f"of at most {high}"
        if not math.isfinite(self.low):
            return f" {below}" if math.isfinite(self.high) else ""
        if not math.isfinite(self.high):
            return f" {above}"
        if self.open == "h":
            return f" from {low} to below {high}"
        return f" {above} and {below}" if self.open else f" from {low} to {high}"

    def fix(self, argument: str, value: Any) -> str:
        if isinstance(value, str) and _number(value) in self:
            return f"pass the number without quotes: {argument}={value.strip()}"
        found = _number(value)
        if self.high == 1 and 5 <= found <= 100 and found / 100 in self:
            return f"pass a share instead of a percentage: {argument}={found / 100:g}"
        return super().fix(argument, value)


def _number(value: Any) -> float:
    """A number, or the number that a text shows; NaN for others."""
    try:
        return float(value) if isinstance(value, str | numbers.Real) else math.nan
    except (ValueError, OverflowError):
        return math.nan


class Whole(Number):
    """A whole number from ``low`` to ``high``, taken as an int. Python and NumPy integers are; floats and bools are not."""

    slug = "argument-integer"

    def __init__(self, low: int = -LARGEST, high: int = LARGEST, slug: str = "", fix: str = "") -> None:
        self.low, self.high, self.open = self.smallest, self.largest, _ = low, high, ""
        self._own(slug, fix)
        ends = [v for v in (low, high) if abs(v) < LARGEST]
        self.fits = [v for v in (3, 1, 0, -1, *ends) if low <= v <= high]
        self.borders = [v + d for v in ends for d in (-1, 0, 1)]

    def take(self, value: Any) -> Any:
        if type(value) is not int:
            if isinstance(value, bool | np.bool_):
                return REFUSED
            try:
                value = operator.index(value)
            except TypeError:
                return REFUSED
        return value if self.smallest <= value <= self.largest else REFUSED

    def __str__(self) -> str:
        if self.largest < LARGEST:
            return f"a whole number from {self.smallest} to {self.largest}" if self.smallest > -LARGEST else f"a whole number up to {self.largest}"
        return "a whole number" + (f" of at least {self.smallest}" if self.smallest > -LARGEST else "")

    def fix(self, argument: str, value: Any) -> str:
        if isinstance(value, float | np.floating) and value.is_integer() and int(value) in self:
            return f"pass {argument}={int(value)}; a division that gives whole numbers is written //"
        return super().fix(argument, value)


class Scalar(Number):
    """A finite number, or an array of one, taken as it is: whole numbers of up to 64 bits stay whole."""

    def take(self, value: Any) -> Any:
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            value = value.item()
        if type(value) is int:
            return value if abs(value) <= LARGEST + 1 and super().take(value) is not REFUSED else REFUSED
        return super().take(value)


class Numbers(Constraint):
    """A finite number, or an array or nested lists of them; taken as a float or nested lists of floats."""

    slug = "argument-range"
    fits = (0.5, [0.5, 2.0])
    borders = ([], [[0.5, 1], [2, 3]], ["1"], [math.nan], [None])

    def __init__(self, fix: str = "") -> None:
        self.remedy = fix

    def take(self, value: Any) -> Any:
        try:
            found = np.asarray(value)
            numeric = found.dtype.kind in "iuf" and found.size > 0 and bool(np.isfinite(found).all())
        except (TypeError, ValueError, OverflowError):
            return REFUSED
        return found.astype(np.float64).tolist() if numeric else REFUSED

    def __str__(self) -> str:
        return "a finite number, or an array of them"


class Flag(Constraint):
    """True or False, also 1 or 0, taken as a bool."""

    slug = "argument-flag"
    fits = (True, False)
    borders = (0, 1, 2, "True", "False")

    def take(self, value: Any) -> Any:
        if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
            return bool(value)
        return REFUSED

    def __str__(self) -> str:
        return "True or False"

    def fix(self, argument: str, value: Any) -> str:
        meant = {"true": True, "false": False, "yes": True, "no": False}.get(value.lower()) if isinstance(value, str) else None
        return super().fix(argument, value) if meant is None else f"pass it without quotes: {argument}={meant}"


class Choice(Constraint):
    """One of some texts."""

    def __init__(self, *allowed: str, slug: str = "", fix: str = "") -> None:
        self.allowed = self.fits = allowed
        self._own(slug, fix)
        self.borders = [allowed[0].upper(), allowed[0] + "s", allowed[0][:-1]]

    def take(self, value: Any) -> Any:
        return value if isinstance(value, str) and value in self.allowed else REFUSED

    def __str__(self) -> str:
        texts = [f'"{a}"' for a in self.allowed]
        return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + f" or {texts[-1]}"

    def fix(self, argument: str, value: Any) -> str:
        near = nearest(value, self.allowed)
        return f'did you mean {argument}="{near}"?' if near else super().fix(argument, value)


class Text(Constraint):
    """A text that is not empty."""

    slug = "argument-text"
    is_general = False
    fits: Sequence[str] = ("first",)

    def __init__(self, words: str = "a text that is not empty", fits: Sequence[str] = ("first",), slug: str = "", fix: str = "") -> None:
        self.words, self.fits = words, fits
        self._own(slug, fix)

    def take(self, value: Any) -> Any:
        return str(value) if isinstance(value, str) and value else REFUSED

    def __str__(self) -> str:
        return self.words


class Path(Constraint):
    """A path of the file system that is not empty, taken as a text."""

    slug = "save-path"
    fits = ("runs/first",)
    borders = (b"runs", "runs\0first")

    def __init__(self, slug: str = "", fix: str = "") -> None:
        self._own(slug, fix)

    def take(self, value: Any) -> Any:
        found = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
        return found if isinstance(found, str) and found and "\0" not in found else REFUSED

    def __str__(self) -> str:
        return "a path: a str or a pathlib.Path that is not empty"


class Axes(Constraint):
    """An axis, taken as an int; or, with ``several``, also a tuple or list of axes, taken as a tuple. Whether they exist depends on the array."""

    slug = "argument-integer"
    error = ArgumentError
    fits = (-1, 0)
    borders = ([0], (0, 0), (0.0,), "0", [[0]], (None,), 99, -99)
    remedy = "count the axes from 0, or from the end: -1 is the last"

    def __init__(self, several: bool = True) -> None:
        self.several = several

    def take(self, value: Any) -> Any:
        if self.several and isinstance(value, list | tuple):
            found = [WHOLE.take(v) for v in value]
            return REFUSED if any(v is REFUSED for v in found) else tuple(found)
        return WHOLE.take(value)

    def __str__(self) -> str:
        return "an axis: a whole number, or a tuple of them" if self.several else "an axis: a whole number"


class Lengths(Constraint):
    """The shape of an array: a tuple or list of lengths, or one length, taken as a tuple.

    With ``unknown``, None stands for an unknown length; ``rule`` refuses some of the tuples, and ``words`` tell what is left.
    """

    slug = "argument-shape"
    remedy = "pass a tuple: (2, 3)"

    def __init__(
        self, least: int = 0, unknown: bool = False, single: bool = True, rule: Callable[[tuple[Any, ...]], bool] | None = None, words: str = "",
        slug: str = "", fix: str = "",
    ) -> None:  # fmt: skip
        self.least, self.unknown, self.single, self.rule, self.words = least, unknown, single, rule, words
        self._own(slug, fix or self.remedy)
        self.fits = [v for v in ((2, 3), (2, 1), [3], [1], ()) if v in self]
        self.borders = ((least - 1,), (2.0, 3), ("2", 3), (None, 2), (True,), "23", ((2, 3),), 2, {2: 3}, {2}, (2**62, 2**62))

    def take(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            found = [n if n is None and self.unknown else Whole(self.least).take(n) for n in value]
            good = all(n is not REFUSED for n in found) and (self.rule is None or self.rule(tuple(found)))
            return tuple(found) if good else REFUSED
        length = Whole(self.least).take(value) if self.single else REFUSED
        return length if length is REFUSED else (length,)

    def __str__(self) -> str:
        if self.words:
            return self.words
        one = "a length, or " if self.single else ""
        return f"{one}a tuple of lengths{f' of at least {self.least}' if self.least else ''}{', None where one is unknown' if self.unknown else ''}"


class DTypeName(Constraint):
    """A dtype of insitu, its name, or a NumPy dtype, taken as a `DType`; with ``floating`` only float types."""

    slug = "dtype-unknown"
    error = DTypeError
    fits = ("float32", np.float32, "float64")
    borders = ("float31", "int32", "bool", int, float, np.dtype("U3"), np.complex64)

    def __init__(self, floating: bool = False) -> None:
        self.floating = floating
        self._own("dtype-unsupported" if floating else "dtype-unknown", "")

    def take(self, value: Any) -> Any:
        kind = as_dtype(value)
        return REFUSED if self.floating and not kind.is_float else kind

    def __str__(self) -> str:
        return 'a floating dtype, such as "float32"' if self.floating else 'a dtype, such as "float32"'


class Function(Constraint):
    """Something that can be called."""

    slug = "not-a-function"
    fits = (abs,)

    def __init__(self, slug: str = "", fix: str = "pass the function itself, not its result") -> None:
        self._own(slug, fix)

    def take(self, value: Any) -> Any:
        return value if callable(value) else REFUSED

    def __str__(self) -> str:
        return "a function"


#: Configurations that describe nothing.
CONFIGURATIONS: list[Any] = [{"class_name": 3}, {"class_name": "none", "config": 3}, {"class_name": []}, {"function": []}, {"function": "none"}]


class Made(Constraint):
    """What ``get`` makes of a value, such as an object by its name. ``get`` raises a `UserError` of its own for what it does not know."""

    makes = True

    def __init__(self, get: Callable[[Any], Any], words: str, fits: Sequence[Any], slug: str) -> None:
        self.get, self.words, self.fits = get, words, fits
        self._own(slug, "")
        self.borders = [*[f[:-1] for f in fits if isinstance(f, str)], *CONFIGURATIONS]
        self.borders += [{"class_name": f, "config": c} for f in fits[:1] for c in (3, {"nonsense": 1}, {1: 2})]

    def take(self, value: Any) -> Any:
        return self.get(value)

    def __str__(self) -> str:
        return self.words


class Instance(Constraint):
    """An object of a class."""

    def __init__(self, classes: type | tuple[type, ...], words: str, fits: Sequence[Any] = (), slug: str = "", fix: str = "") -> None:
        self.classes, self.words, self.fits = classes, words, fits
        self._own(slug, fix)

    def take(self, value: Any) -> Any:
        return value if isinstance(value, self.classes) else REFUSED

    def __str__(self) -> str:
        return self.words

    def fix(self, argument: str, value: Any) -> str:
        return self.remedy or f"pass {self.words}"


class Configuration(Constraint):
    """The arguments of a class by their names, as ``get_config`` gives them."""

    fits = ({},)
    borders = ({1: 2}, {"nonsense": 1}, {"name": 3}, [("name", "first")])
    remedy = "pass what get_config returned"

    def take(self, value: Any) -> Any:
        return value if isinstance(value, Mapping) and all(isinstance(name, str) for name in value) else REFUSED

    def __str__(self) -> str:
        return "a dict of arguments by name, as get_config returns it"


class Several(Constraint):
    """A list or tuple, or a NumPy array of one axis, of at least ``least`` values of one kind, taken as a list."""

    def __init__(self, item: Constraint, least: int = 1, slug: str = "") -> None:
        self.item, self.least, self.slug = item, least, item.slug
        self._own(slug, item.remedy)
        self.is_general = self.is_general and item.is_general
        self.fits = [list(item.fits[:1]) * max(1, least)]
        self.borders = [[], [None], [[*item.fits[:1]]], *[[b] for b in item.borders], *[[f, "abc"] for f in item.fits[:1]]]

    def take(self, value: Any) -> Any:
        if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
            value = value.tolist()
        if not isinstance(value, list | tuple | range) or len(value) < self.least:
            return REFUSED
        found = [self.item.take(v) for v in value]
        return REFUSED if any(v is REFUSED for v in found) else found

    def __str__(self) -> str:
        many = f"at least {self.least}" if self.least > 1 else "one or more" if self.least else "any number of"
        return f"a list of {many} values, each {self.item}"


class Listed(Constraint):
    """A list of arrays: a list or tuple, an array with an axis, or something that can be iterated; taken as a list."""

    slug = "argument-list"
    borders = ([], (), iter(()))
    remedy = "put the arrays into a list: [a, b]"

    def __init__(self, words: str = "a list of arrays", fits: Sequence[Any] = ([[1.0, 2.0], [3.0, 4.0]],), slug: str = "", fix: str = "") -> None:
        self.words, self.fits = words, fits
        self._own(slug, fix or self.remedy)

    def take(self, value: Any) -> Any:
        if isinstance(value, str | bytes | Mapping) or not hasattr(type(value), "__iter__") or getattr(value, "ndim", 1) == 0:
            return REFUSED
        return value if isinstance(value, list | tuple) else list(value)

    def __str__(self) -> str:
        return self.words


class Checked(Constraint):
    """What the function itself checks, because it depends on other arguments: arrays, trees of arrays, data of several forms."""

    inside = True

    def __init__(self, words: str, fits: Sequence[Any] = (), borders: Sequence[Any] = ()) -> None:
        self.words, self.fits, self.borders = words, fits, borders

    def take(self, value: Any) -> Any:
        return value

    def __str__(self) -> str:
        return self.words


class Nothing(Constraint):
    """None."""

    fits = (None,)

    def take(self, value: Any) -> Any:
        return None if value is None else REFUSED

    def __str__(self) -> str:
        return "None"


class Either(Constraint):
    """What one of several constraints takes, tried in their order; None first."""

    def __init__(self, *parts: Constraint) -> None:
        flat = [p for part in parts for p in (part.parts if isinstance(part, Either) else (part,))]
        self.parts: tuple[Constraint, ...] = tuple(sorted(flat, key=lambda p: p is not NONE))
        shown = [p for p in flat if p is not NONE]
        self.slug, self.error, self.is_general = shown[0].slug, shown[0].error, shown[0].is_general
        self.inside, self.makes = any(p.inside for p in shown), any(p.makes for p in shown)
        self.fits = [v for p in shown for v in p.fits] + [None] * (len(shown) < len(flat))
        self.borders = [v for p in shown for v in p.borders]

    def take(self, value: Any) -> Any:
        for part in self.parts:
            found = part.take(value)
            if found is not REFUSED:
                return found
        return REFUSED

    def __str__(self) -> str:
        shown = [p for p in self.parts if p is not NONE]
        texts = ["a list of them" if isinstance(p, Several) and p.item in shown else str(p) for p in shown] + ["None"] * (
            len(shown) < len(self.parts)
        )
        return ", ".join(texts[:-1]) + f", or {texts[-1]}"

    def fix(self, argument: str, value: Any) -> str:
        return self.remedy or next(p for p in self.parts if p is not NONE).fix(argument, value)


NONE = Nothing()
WHOLE = Whole()
FLAG, TEXT, PATH, AXIS, AXES, SHAPE = Flag(), Text(), Path(), Axes(several=False), Axes(), Lengths()
NUMBER, POSITIVE, NOT_NEGATIVE, SHARE = Number(), Number(0, open="l"), Number(0), Number(0, 1)
COUNT, DTYPE, FUNCTION, CONFIG = Whole(1), DTypeName(), Function(), Configuration()
_SEED = Whole(0, 1 << 4096, slug="random-seed", fix="pass an int, for example 0")
#: What random numbers begin with: a whole number of any length, several of them, or None for another beginning each time.
SEED = _SEED | Several(_SEED) | None
FLOATING = DTypeName(floating=True)
#: The one device.
DEVICE = Choice("cpu", slug="device", fix="leave device out") | None
#: Shapes whose lengths the function looks at itself.
EXTENTS = Lengths(-LARGEST, words="a whole number or a tuple of them")
#: Whatever `insitu.asarray` takes.
ARRAY = Checked("an array, or nested lists of numbers", ([[1.0, 2.0], [3.0, 4.0]],))
ARRAYS = Listed()


def odd_values() -> list[Any]:
    """Values that people, files and mistakes bring; tests give them to every argument."""
    numbers_ = [math.nan, math.inf, -math.inf, 10**400, -(10**400), 2**64, -1, 0, 1.5, 1e30, True, 1j, np.float32(0.5), np.int64(3)]
    texts = ["", "abc", "1", "none", b"abc", "a\0b"]
    nested: list[Any] = [[], (), {}, set(), [None], [[1], [2, 3]], [[[]]], [1, "a"], {"a": 1}, {1: 2}, [object()], iter([1, 2])]
    arrays = [np.zeros(()), np.zeros((0,)), np.zeros((2, 0)), np.zeros((1,) * 6), np.asarray("a"), np.asarray([None, 1]), np.zeros(2, "M8[s]")]
    arrays += [np.zeros(3, complex), np.asarray([math.nan]), np.zeros(3, [("a", "f4")])]
    return [None, *numbers_, *texts, *nested, *arrays, object(), object, abs, Ellipsis, slice(None), NotImplemented]
