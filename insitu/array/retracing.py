"""What changed between two traces of one function: an argument's number, shape or dtype, by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from insitu.array.tree import Structure, unflatten
from insitu.errors import SpeedWarning, UserError, warn
from insitu.graph.node import Aval

#: After this many traces that differ in one argument alone, the user is told.
RETRACE_WARNING = 5
#: Seconds of a trace after which its reason is told; not of the second one, as a last, shorter batch makes two of most programs.
SLOW, EXPECTED = 1.0, 2

Signature = tuple[Any, ...]


class Retraces:
    """The signatures that a function was traced for; says so where they become many, or new ones take long.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._seen: list[Signature] = []
        #: of each argument that alone made a trace: how its values looked
        self._alone: dict[int, list[str]] = {}

    def note(self, name: str, signature: Signature, keywords: bool, seconds: float) -> None:
        """Take in a new trace, and how long it took."""
        before = min(reversed(self._seen), key=lambda s: _distance(s, signature), default=None)
        self._seen.append(signature)
        places = None if before is None else _differences(before, signature)
        if before is None or places == []:  # the first, or the same for another CPU
            return
        names = argument_names(self.function, signature[0], len(signature) - 1, keywords)
        if places is not None and len(places) == 1:
            at = places[0]
            looks = self._alone.setdefault(at, [_look(before[1 + at])])
            looks.append(_look(signature[1 + at]))
            if len(looks) == RETRACE_WARNING:
                warn(_many(name, names[at], signature[1 + at], looks), SpeedWarning)
                return
        if seconds >= SLOW and len(self._seen) > EXPECTED:
            warn(_slow(name, names, before, signature, places, seconds), SpeedWarning)


def argument_names(function: Callable[..., Any], structure: Structure, count: int, keywords: bool) -> list[str]:
    """The names of the ``count`` leaves of a call, such as ``x`` or ``params['w']``, in their order."""
    tree = unflatten(structure, range(count))
    args, kwargs = tree if keywords else (tree, {})
    found: dict[int, str] = {}
    for name, value in _bound(function, args, kwargs).items():
        _name(value, name, found)
    return [found.get(k, f"argument {k}") for k in range(count)]


def _bound(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{f"argument {k}": a for k, a in enumerate(args)}, **kwargs}
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            found |= {f"{name}[{k}]": v for k, v in enumerate(value)}
        else:
            found[name] = value
    return found


def _name(value: Any, name: str, found: dict[int, str]) -> None:
    if type(value) is int:
        found[value] = name
    elif isinstance(value, dict):
        for key, v in value.items():
            _name(v, f"{name}[{key!r}]", found)
    elif isinstance(value, list | tuple):
        for k, v in enumerate(value):
            _name(v, f"{name}[{k}]", found)
    elif hasattr(value, "__dict__"):
        for key, v in vars(value).items():
            _name(v, f"{name}.{key}", found)


def _differences(one: Signature, other: Signature) -> list[int] | None:
    """The leaves in which two signatures differ; None if their structure does."""
    if one[0] is not other[0] or len(one) != len(other):
        return None
    return [k for k, (a, b) in enumerate(zip(one[1:], other[1:], strict=True)) if a is not b and a != b]


def _distance(one: Signature, other: Signature) -> int:
    found = _differences(one, other)
    return 1 << 30 if found is None else len(found)


def _look(entry: Any) -> str:
    return repr(entry) if isinstance(entry, Aval) else f"{entry[1]!r:.40}"


def _many(name: str, argument: str, entry: Any, looks: Sequence[str]) -> UserError:
    shown = ", ".join(looks) + ", ..."
    if isinstance(entry, Aval):
        return UserError(
            f"{name} was traced {len(looks)} times, each time for another {argument}: each trace compiles a program.",
            expected="few shapes and dtypes",
            received=f"{argument}: {shown}",
            fix="pad to one length, or make batches of one length: dataset.batch(32, drop_remainder=True)",
            slug="compile-shapes",
            argument=argument,
        )
    number = isinstance(entry[1], int | float) and not isinstance(entry[1], bool)
    return UserError(
        f"{name} was traced {len(looks)} times, each time for another Python {'number' if number else 'value'} {argument}: "
        "each trace compiles a program.",
        received=f"{argument}: {shown}",
        fix="pass the number as an array, si.asarray(number), so that one program serves all values"
        if number
        else "pass an object that equals the one before, or leave it out of the arguments",
        slug="compile-retraced",
        argument=argument,
    )


def _slow(name: str, names: Sequence[str], before: Signature, now: Signature, places: Sequence[int] | None, seconds: float) -> UserError:
    changed = "the structure of the arguments"
    if places is not None:
        changed = "\n".join(f"{names[k]}: {_look(before[1 + k])}, then {_look(now[1 + k])}" for k in places[:4])
    return UserError(
        f"{name} was compiled again, which took {seconds:.1f} s, because an argument has changed.",
        expected="a shape, dtype or value that it was compiled for before",
        received=changed,
        fix="pass arguments of the same shapes and dtypes each time; numbers as arrays",
        slug="compile-slow",
    )
