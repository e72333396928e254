"""Gradients and the parameters they belong to: two trees of one form, leaf by leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import insitu as si
from insitu.array.tree import Structure, describe, flatten
from insitu.errors import ArgumentError, DTypeError, ShapeError


def aligned(owner: str, grads: Any, params: Any) -> tuple[list[Any], list[Any], Structure]:
    """Gradients and parameters as lists of one order; None where a gradient, or the whole branch it is in, is None.

    Parameters
    ----------
    owner : str
        The optimizer, for messages.
    grads, params : trees
        Of one form; lists and tuples stand for each other.

    Returns
    -------
    grads, params : list
    structure : Structure
        Of ``params``.

    Raises
    ------
    ShapeError
        If there are more or fewer gradients than parameters.
    ArgumentError
        If the forms differ otherwise.

    Examples
    --------
    >>> aligned("SGD", {"w": 1, "b": None}, {"w": "w", "b": ["b", "c"]})[:2]
    ([None, None, 1], ['b', 'c', 'w'])
    """
    leaves, structure = flatten(params)
    try:
        return _spread(owner, grads, structure), leaves, structure
    except _OtherForm:
        raise ArgumentError(
            f"{owner}: the gradients have another form than the parameters.",
            expected=describe(structure),
            received=describe(flatten(grads)[1]),
            fix="pass what si.grad or si.value_and_grad gave for these parameters",
            slug="tree-mismatch",
            argument="grads=",
        ) from None


class _OtherForm(Exception):
    """Gradients that are not where parameters are."""


def _spread(owner: str, grads: Any, s: Structure) -> list[Any]:
    """The gradient of each leaf of a structure."""
    if s.kind == "leaf":
        return [grads]
    if grads is None:
        return [None] * s.count
    if s.kind in ("list", "tuple"):
        if not isinstance(grads, list | tuple):
            raise _OtherForm
        if len(grads) != len(s.children):
            raise counts_differ(owner, len(grads), len(s.children))
        parts = list(grads)
    elif s.kind in ("dict", "ordered", "default"):
        keys = s.meta[1:] if s.kind == "default" else s.meta
        if not isinstance(grads, dict) or set(grads) != set(keys):
            raise _OtherForm
        parts = [grads[k] for k in keys]
    else:  # a named tuple or a dataclass
        if not isinstance(grads, s.cls):
            raise _OtherForm
        names = s.meta if s.kind == "dataclass" else s.cls._fields  # type: ignore[attr-defined]
        parts = [getattr(grads, name) for name in names]
    return [g for part, child in zip(parts, s.children, strict=True) for g in _spread(owner, part, child)]


def check_shapes(owner: str, grads: Sequence[Any], params: Sequence[Any], names: Sequence[str] | None = None) -> None:
    """Refuse gradients that do not have their parameters' shapes.

    Raises
    ------
    ShapeError
        For the first that does not fit.
    """
    for i, (g, p) in enumerate(zip(grads, params, strict=True)):
        if tuple(g.shape) != tuple(p.shape):
            which = f"gradient {i}" if names is None else f'the gradient of "{names[i]}"'
            raise ShapeError(
                f"{owner}: {which} has another shape than its parameter.",
                expected=f"shape {tuple(p.shape)}",
                received=f"shape {tuple(g.shape)}",
                fix="pass the gradients in the order of the parameters",
                slug="optimizer-gradient-shape",
                argument="grads=",
            )


def checked_state(owner: str, state: Any, numbers: Sequence[str], slots: Sequence[str], params: Sequence[Any]) -> dict[str, Any]:
    """The state that `Rule.init` makes for these parameters, with arrays for all that can be one.

    Raises
    ------
    ArgumentError
        For a state of another optimizer, or of other parameters.
    """
    found = {}
    for name in (*numbers, *slots):
        value = state.get(name) if isinstance(state, Mapping) else None
        if name in numbers:
            found[name] = [] if value is None else [si.asarray(value)]
            shapes = [()]
        else:
            found[name] = [si.asarray(v) for v in value] if isinstance(value, list | tuple) else []
            shapes = [tuple(p.shape) for p in params]
        if [tuple(a.shape) for a in found[name]] != shapes:
            wanted = f"a dict with {', '.join((*numbers, *slots))}" + (f"; {', '.join(slots)}: an array for each parameter" if slots else "")
            raise foreign_state(owner, wanted, f"no {name}" if value is None else f"another number of arrays, or other shapes, for {name}")
    return {name: arrays[0] if name in numbers else arrays for name, arrays in found.items()}


def foreign_state(owner: str, expected: str, received: str) -> ArgumentError:
    """The error for a state that belongs to other parameters."""
    return ArgumentError(
        f"{owner}: this is not the state of these parameters.",
        expected=expected,
        received=received,
        fix="begin with state = optimizer.init(params), and pass on what update returned",
        slug="optimizer-state",
        argument="state",
    )


def counts_differ(owner: str, grads: int, params: int) -> ShapeError:
    """The error for one gradient too many or too few."""
    return ShapeError(
        f"{owner}: there must be one gradient for each parameter.",
        expected=f"{params} gradient{'s' if params != 1 else ''}",
        received=f"{grads or 'none'}",
        fix="pass the gradients of exactly these parameters, and None for those that stay as they are",
        slug="optimizer-gradient-count",
        argument="grads=",
    )


def no_gradients(owner: str, names: Sequence[str]) -> ShapeError:
    """The error where every gradient is None."""
    return ShapeError(
        f"{owner}: there is no gradient for any of the variables.",
        expected="a gradient for at least one of " + ", ".join(f'"{n}"' for n in names[:5]) + (", ..." if len(names) > 5 else ""),
        received="None for each",
        fix="compute the loss from these variables",
        slug="optimizer-gradient-count",
        argument="grads=",
    )


def check_variable(owner: str, variable: Any) -> None:
    """Refuse what `apply` cannot change.

    Raises
    ------
    ArgumentError
        For anything but a `Variable`.
    DTypeError
        For a variable that is not floating.
    """
    if not isinstance(variable, si.Variable):
        raise ArgumentError(
            f"{owner}: apply changes variables, and was given something else.",
            expected="si.Variable (arrays do not change; optimizer.update gives new ones)",
            received=f"{type(variable).__name__}",
            fix="make it a si.Variable, or use optimizer.update",
            slug="optimizer-variable",
            argument="variables=",
        )
    if not variable.dtype.is_float:
        raise DTypeError(
            f'{owner}: the variable "{variable.name}" is not floating, so that no step can change it.',
            expected="a floating dtype, such as float32",
            received=variable.dtype.name,
            fix="leave it out of the variables, or make it with dtype=si.float32",
            slug="optimizer-variable",
            argument="variables=",
        )
