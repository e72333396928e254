"""Names to classes and functions: how strings in programs and files become objects."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from insitu.errors import ArgumentError
from insitu.nearest import nearest

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: Functions that files may name: registered name -> function.
FUNCTIONS: dict[str, Callable[..., Any]] = {}


def register(target: F | str) -> Any:
    """Let files find a function of the user by name: an activation, a loss, a metric, or what a Lambda layer computes.

    Classes of layers, losses, metrics, optimizers and the like need no registration: defining a subclass is enough.

    Parameters
    ----------
    target : function or str
        The function, which is registered under its own name; or a name, as in ``@register("my_package.swish")``.

    Returns
    -------
    function
        The function itself, or a decorator.

    Raises
    ------
    ArgumentError
        If another function has that name.

    Examples
    --------
    >>> import insitu as si
    >>> @si.nn.register
    ... def halved(x):
    ...     return x / 2
    >>> si.nn.registry.find_function("halved") is halved
    True
    """
    if not isinstance(target, str) and (not callable(target) or not hasattr(target, "__name__")):
        raise ArgumentError(
            "register takes a function or a name.",
            expected="a function, or a name as in @si.nn.register('my_name')",
            received=repr(target),
            fix="write @si.nn.register above the definition of the function",
            slug="register-name",
            argument="target",
        )
    if isinstance(target, str):
        name = target

        def decorate(function: F) -> F:
            _enter(name, function)
            return function

        return decorate
    _enter(target.__name__, target)
    return target


def _enter(name: str, function: Callable[..., Any]) -> None:
    have = FUNCTIONS.get(name)
    # the same function, defined again in a notebook or by a module that is loaded anew, replaces the old one
    if have is not None and (have.__module__, have.__qualname__) != (function.__module__, function.__qualname__):
        raise ArgumentError(
            f"register: the name {name!r} is taken.",
            expected="a name for each function",
            received=f"{name!r}, which is {have.__module__}.{have.__qualname__}",
            fix=f'choose another: @si.nn.register("my_{name}")',
            slug="register-name",
            argument="target",
        )
    FUNCTIONS[name] = function


def registered_name(function: Callable[..., Any]) -> str | None:
    """The name under which a function was registered; None if it was not."""
    return next((name for name, f in FUNCTIONS.items() if f is function), None)


def find_function(name: str) -> Callable[..., Any]:
    """The function that was registered under a name.

    Raises
    ------
    ArgumentError
        If there is none.
    """
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ArgumentError(
            f"No function is registered as {name!r}.",
            expected="one of " + (", ".join(sorted(FUNCTIONS)) or "(none is registered)"),
            received=repr(name),
            fix="import the module that registers it with @si.nn.register before loading",
            slug="function-unregistered",
            argument="name",
        )
    return FUNCTIONS[name]


def words(name: str) -> str:
    """``SparseCategoricalCrossentropy`` -> ``sparse_categorical_crossentropy``, as Keras names things; ``Conv2D`` -> ``conv2d``."""
    out = ""
    for i, letter in enumerate(name):
        before, after = name[i - 1 : i], name[i + 1 : i + 2]
        starts = letter.isupper() and i > 0 and (after.islower() or not (before.isupper() or (before.isdigit() and not after.isdigit())))
        out += ("_" if starts else "") + letter.lower()
    return out


def find(kind: str, table: Mapping[str, T], identifier: Any, fix: str) -> T:
    """The entry of that name.

    Raises
    ------
    ArgumentError
        If there is none; similar names are proposed. The slug is ``<kind>-unknown``.
    """
    if isinstance(identifier, str):
        found = table.get(identifier, table.get(identifier.lower(), table.get(words(identifier))))
        if found is not None:
            return found
    public = [name for name in table if not name.startswith("_")]
    near = nearest(identifier, public)
    raise ArgumentError(
        f"There is no {kind} {identifier!r}.",
        expected=f"one of {closest(identifier, public)}",
        received=repr(identifier),
        fix=f'did you mean "{near}"?' if near else fix,
        slug=f"{kind}-unknown",
        argument=str(identifier),
    )


def closest(name: object, table: Iterable[str]) -> str:
    """Known names as text: all if there are few, else those that are most like one."""
    names = sorted(table)
    if len(names) <= 12:
        return ", ".join(names)
    near = difflib.get_close_matches(name if isinstance(name, str) else "", names, 8, 0.3) or names[:8]
    return ", ".join(sorted(near)) + ", ..."


def unknown_argument(owner: str, name: str, known: Iterable[str]) -> ArgumentError:
    """The error for a keyword argument that does not exist; a similar one is proposed."""
    names = list(known)
    near = nearest(name, names)
    return ArgumentError(
        f"{owner} has no argument {name!r}.",
        expected="of " + ", ".join(names),
        received=f"{name}=",
        fix=f"did you mean {near}=?" if near else f"leave {name}= out",
        slug="argument-unknown",
        argument=f"{name}=",
    )


def make(kind: str, classes: Mapping[str, type[T]], identifier: Any, fix: str) -> T | Callable[..., Any]:
    """An object of a class found by name, with the arguments of its configuration if there are any; or a registered function.

    Parameters
    ----------
    kind : str
        Such as ``"regularizer"``.
    classes : dict
        Class name to class.
    identifier : str, type or dict
        A name in any spelling, a class, ``{"class_name": ..., "config": ...}`` or ``{"function": name}``.
    fix : str
        What to do if there is none of that name.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if isinstance(identifier, type) and makes_functions(identifier):
        return identifier()  # type: ignore[no-any-return]
    if isinstance(identifier, Mapping):
        if "function" in identifier:
            return find_function(identifier["function"])
        name, config = identifier.get("class_name"), identifier.get("config", {})
    else:
        name, config = identifier, {}
    joined = {n.lower(): cls for n, cls in classes.items()}
    found = joined.get(name.lower()) if isinstance(name, str) else None
    cls: Any = found or find(kind, {words(n): c for n, c in classes.items()}, name, fix)
    check_config(kind, config)
    return cls.from_config(config) if config and hasattr(cls, "from_config") else cls(**config)  # type: ignore[no-any-return]


def makes_functions(cls: type) -> bool:
    """Whether the objects of a class can be called."""
    return any("__call__" in vars(base) for base in cls.__mro__)


def check_config(kind: str, config: Any) -> Any:
    """The configuration, if it is one.

    Raises
    ------
    ArgumentError
        If it is no mapping of names to values.
    """
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise ArgumentError(
            f"This is no configuration of a {kind}.",
            expected="a dict of its arguments by name",
            received=repr(config),
            fix='pass what get_config returned: {"class_name": ..., "config": {...}}',
            slug=f"{kind}-unknown",
        )
    return config


def config_of(kind: str, value: Any) -> dict[str, Any]:
    """What `make` makes an object of, or finds a function by, again.

    Raises
    ------
    ArgumentError
        For a function that is not registered.
    """
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    name = registered_name(value)
    if name is None:
        raise not_registered(kind, value)
    return {"function": name}


def taking(kind: str, function: F, *parameters: str) -> F:
    """The function itself, if it can be called with these parameters by position.

    Raises
    ------
    ArgumentError
        If it cannot.

    Examples
    --------
    >>> taking("regularizer", abs, "x") is abs
    True
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some of C tell nothing
        return function
    try:
        signature.bind(*parameters)
    except TypeError as error:
        name, wanted = getattr(function, "__name__", type(function).__name__), f"({', '.join(parameters)})"
        raise ArgumentError(
            f"The function {name} cannot be used as {kind}: {error}.",
            expected=f"a function of {wanted}",
            received=f"{name}{signature}",
            fix=f"define it so: def f{wanted}",
            slug="function-arguments",
            argument=name,
        ) from None
    return function


def not_registered(kind: str, function: Callable[..., Any]) -> ArgumentError:
    """The error for a function that a file cannot hold."""
    name = getattr(function, "__name__", type(function).__name__)
    return ArgumentError(
        f"The function {name}, used as {kind}, cannot be stored: a file holds names, not code.",
        expected=f"{'an' if kind[0] in 'aei' else 'a'} {kind} of insitu, or a function that is registered",
        received=f"{name}, which is not",
        fix=f"write @si.nn.register above def {name}",
        slug="save-function",
    )
