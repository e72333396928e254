"""Declarations: the constraint of each argument, checked before a function or constructor begins, and readable from outside."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from insitu import registry
from insitu.arguments.kinds import REFUSED, Constraint
from insitu.errors import ArgumentError, UserError

F = TypeVar("F", bound=Callable[..., Any])
_KEYWORDS = inspect.Parameter.VAR_KEYWORD


def checked(slug: str = "", /, **constraints: Constraint) -> Callable[[F], F]:
    """Declare what values the arguments of a function, method or constructor may have.

    A call checks what it was given and hands it on as the constraint takes it: numbers as floats, names as the objects they
    stand for. Arguments that do not exist and arguments that are missing are refused with the names that exist.

    Parameters
    ----------
    slug : str
        The page about values that are refused; default: that of the constraint.
    **constraints : Constraint
        Argument name to what it may be.

    Raises
    ------
    UserError
        By the decorated function, for values that are refused.

    Examples
    --------
    >>> from insitu.arguments import Number, Whole
    >>> @checked(times=Whole(1), rate=Number(0, 1))
    ... def decay(times, rate=0.5):
    ...     return rate**times
    >>> decay(2)
    0.25
    >>> constraints_of(decay)["rate"].check("decay", "rate", 1)
    1.0
    """

    def decorate(function: F) -> F:
        code = inspect.unwrap(function).__code__  # `inspect.signature` of all functions would be a tenth of importing insitu
        placed = code.co_varnames[: code.co_argcount]
        declared = {name: constraint.about(slug) if slug and constraint.is_general else constraint for name, constraint in constraints.items()}
        places = [(placed.index(n) if n in placed else sys.maxsize, n, c) for n, c in declared.items() if not c.inside]
        defaults = _defaults(function) if any(c.makes for _, _, c in places) else {}
        defaults = {n: defaults[n] for _, n, c in places if c.makes and n in defaults}
        bound = placed[:1] in (("self",), ("cls",))
        if not places and not bound:  # nothing to check here: the function remains as it is
            function.__constraints__ = declared  # type: ignore[attr-defined]  # read by constraints_of
            return function
        # so many arguments by position, and none by name, leave nothing to check
        unchecked = -1 if defaults else min((at for at, _, _ in places), default=sys.maxsize)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            values: list[Any] | None = None
            for at, name, constraint in places if kwargs or len(args) > unchecked else ():
                if name in kwargs:
                    value = kwargs[name]
                    kwargs[name] = found = constraint.take(value)
                elif at < len(args):
                    value = args[at]
                    found = constraint.take(value)
                    if found is not value:
                        values = list(args) if values is None else values
                        values[at] = found
                else:
                    if name in defaults:
                        kwargs[name] = constraint.take(defaults[name])
                    continue
                if found is REFUSED:
                    raise constraint.refusal(_owner(function, bound, args, kwargs), name, value)
            try:
                return function(*(args if values is None else values), **kwargs)
            except TypeError as error:
                # without a frame below this one, the call itself did not fit the signature
                if isinstance(error, UserError) or error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise
                misfit = arguments_misfit(function, _owner(function, bound, args, kwargs), args, kwargs)
                if misfit is None:
                    raise
            raise misfit

        call.__constraints__ = declared  # type: ignore[attr-defined]  # read by constraints_of
        return call  # type: ignore[return-value]  # it has the signature of the function

    return decorate


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty}


def _owner(function: Callable[..., Any], bound: bool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Who speaks in an error: a class with the name the object is given, or a function."""
    if not bound or function.__name__ != "__init__":
        return function.__name__
    name = kwargs.get("name")
    return type(args[0]).__name__ + (f' "{name}"' if isinstance(name, str) and name else "")


def arguments_misfit(function: Callable[..., Any], owner: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> UserError | None:
    """The error for arguments that do not fit a signature, of which ``owner`` speaks; None if they do."""
    parameters = list(inspect.signature(function).parameters.values())
    bound = bool(parameters) and parameters[0].name in ("self", "cls")
    parameters = parameters[bound:]
    target = type(args[0]) if bound and function.__name__ == "__init__" else function
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    known = arguments_of(target) if isinstance(target, type) else [p.name for p in named]
    unknown = next((name for name in kwargs if name not in known), None)
    if unknown is not None:
        return registry.unknown_argument(owner, unknown, known)
    places = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = args[bound:]
    twice = next((name for name in places[: len(given)] if name in kwargs), None)
    if twice is not None or len(given) > len(places):
        return ArgumentError(
            f"{owner} was given {f'{twice} twice' if twice else 'too many arguments'}.",
            expected=f"in this order: {', '.join(places)}" if places else "arguments by name only" if known else "no arguments",
            received=f"{len(given)} argument{'s' * (len(given) != 1)} by position" + (f", and {twice}=" if twice else ""),
            fix="pass arguments by name: " + ", ".join(f"{n}=..." for n in known[:3]) if known else f"{owner}()",
            slug="argument-count",
        )
    empty = inspect.Parameter.empty
    needed = [p.name for p in parameters if p.default is empty and p.kind not in (p.VAR_POSITIONAL, _KEYWORDS)]
    missing = [name for name in needed if name not in kwargs and name not in places[: len(given)]]
    if not missing:
        return None
    return ArgumentError(
        f"{owner} needs {' and '.join(missing)}.",
        expected=", ".join(needed),
        received="nothing" if not args[bound:] and not kwargs else f"no {' and no '.join(missing)}",
        fix=f"{owner.split()[0]}({', '.join(f'{n}=...' for n in needed)})",
        slug="argument-missing",
    )


def arguments_of(cls: type) -> list[str]:
    """The names of the arguments that a class can be made with, those that it passes on to its bases included."""
    return list(parameters_of(cls))


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function or class by name; where a class passes keyword arguments on, those of its bases as well."""
    if not isinstance(target, type):
        return dict(inspect.signature(target).parameters)
    found: dict[str, inspect.Parameter] = {}
    for cls in target.__mro__:
        if "__init__" not in vars(cls) or cls is object:
            continue
        own = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
        hidden = (_KEYWORDS, inspect.Parameter.VAR_POSITIONAL, *([inspect.Parameter.POSITIONAL_ONLY] if found else []))  # a base's, set by the class
        found |= {p.name: p for p in own if p.kind not in hidden and p.name not in found}
        if not any(p.kind is _KEYWORDS for p in own):
            break
    return found


def constraints_of(target: Callable[..., Any]) -> dict[str, Constraint]:
    """What the arguments of a public function or class may be, by name.

    Parameters
    ----------
    target : function or class
        Of a class, the arguments that it is made with.

    Examples
    --------
    >>> import insitu as si
    >>> print(constraints_of(si.nn.Dropout)["rate"])
    a number from 0 to below 1
    """
    if not isinstance(target, type):
        return dict(getattr(target, "__constraints__", {}))
    found: dict[str, Constraint] = {}
    names = parameters_of(target)
    for cls in target.__mro__:
        declared = getattr(vars(cls).get("__init__"), "__constraints__", {})
        found |= {n: c for n, c in declared.items() if n in names and n not in found}
    return found
