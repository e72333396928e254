"""Trees: arrays in dicts, lists, tuples, named tuples and dataclasses, as flat lists and back.

Whatever is not one of these containers is a leaf; None is a container without leaves. Structures
are interned: two trees of the same form have the same `Structure` object, so comparing and hashing
them costs nothing.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from insitu.errors import ArgumentError, InternalError

#: How a container type is taken apart and built again: (kind, details).
_Kind = str


class Structure:
    """The form of a tree without its leaves. Equal ones are the same object.

    Attributes
    ----------
    kind : str
        ``leaf``, ``none``, ``tuple``, ``list``, ``dict``, ``ordered``, ``default``, ``named`` or ``dataclass``.
    cls : type
        The container's type.
    meta : tuple
        Keys or field names, and the default factory of a ``default`` dict.
    children : tuple of Structure
    count : int
        Number of leaves.
    flat : bool
        Whether it is a plain tuple or list of leaves.
    """

    __slots__ = ("children", "cls", "count", "flat", "kind", "meta")

    def __init__(self, kind: _Kind, cls: type, meta: tuple[Any, ...], children: tuple[Structure, ...], count: int) -> None:
        self.kind, self.cls, self.meta, self.children, self.count = kind, cls, meta, children, count
        self.flat = cls in (tuple, list) and all(c.kind == "leaf" for c in children)

    def __repr__(self) -> str:
        return f"Structure({_show(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_structure, (self.kind, self.cls, self.meta, self.children))


_interned: dict[tuple[Any, ...], Structure] = {}


def _structure(kind: _Kind, cls: type, meta: tuple[Any, ...], children: tuple[Structure, ...]) -> Structure:
    key = (kind, cls, meta, tuple(map(type, meta)), children)  # the keys 1, 1.0 and True are equal, but not the same
    found = _interned.get(key)
    if found is None:
        count = 1 if kind == "leaf" else sum(c.count for c in children)
        # setdefault: of two threads that meet here, both must get the same object
        found = _interned.setdefault(key, Structure(kind, cls, meta, children, count))
    return found


LEAF = _structure("leaf", object, (), ())
_NONE = _structure("none", type(None), (), ())

_kinds: dict[type, _Kind] = {
    tuple: "tuple", list: "list", dict: "dict", collections.OrderedDict: "ordered", collections.defaultdict: "default", type(None): "none",
}  # fmt: skip


def _kind(cls: type) -> _Kind:
    found = _kinds.get(cls)
    if found is None:
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            found = "named"
        else:
            found = "dataclass" if dataclasses.is_dataclass(cls) else "leaf"
        _kinds[cls] = found
    return found


def _keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:  # keys of several types have no order of their own
        return list(tree)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree from left to right, and its form.

    Parameters
    ----------
    tree : Any
        Dicts (leaves in the order of sorted keys), lists, tuples, named tuples, dataclasses and None
        are containers; everything else is a leaf.

    Returns
    -------
    leaves : list
    structure : Structure
        Hashable; the same object for trees of the same form.

    Examples
    --------
    >>> leaves, structure = flatten({"b": 2, "a": [1, None]})
    >>> leaves
    [1, 2]
    >>> unflatten(structure, leaves)
    {'a': [1, None], 'b': 2}
    """
    cls = type(tree)
    if _kinds.get(cls) == "leaf":
        return [tree], LEAF
    if cls is tuple:
        for x in tree:
            if _kinds.get(type(x)) != "leaf":
                break
        else:
            return list(tree), _flat_tuple(len(tree))
    leaves: list[Any] = []
    return leaves, _walk(tree, leaves)


_flat_tuples: dict[int, Structure] = {}


def _flat_tuple(n: int) -> Structure:
    found = _flat_tuples.get(n)
    if found is None:
        found = _flat_tuples[n] = _structure("tuple", tuple, (), (LEAF,) * n)
    return found


def _walk(tree: Any, leaves: list[Any]) -> Structure:
    cls = type(tree)
    kind = _kind(cls)
    if kind == "leaf":
        leaves.append(tree)
        return LEAF
    if kind == "none":
        return _NONE
    if kind in ("tuple", "list", "named"):
        return _structure(kind, cls, (), tuple([_walk(x, leaves) for x in tree]))
    if kind == "dataclass":
        names = tuple([f.name for f in dataclasses.fields(tree)])
        return _structure(kind, cls, names, tuple([_walk(getattr(tree, n), leaves) for n in names]))
    keys = list(tree) if kind == "ordered" else _keys(tree)
    children = tuple([_walk(tree[k], leaves) for k in keys])
    meta = (tree.default_factory, *keys) if kind == "default" else tuple(keys)
    return _structure(kind, cls, meta, children)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of that form with these leaves; the reverse of `flatten`.

    Raises
    ------
    InternalError
        If the number of leaves does not fit the structure.
    """
    rest = list(leaves)
    if len(rest) != structure.count:
        raise InternalError(f"a tree of {structure.count} leaves cannot be built from {len(rest)}")
    if structure.flat:
        return tuple(rest) if structure.kind == "tuple" else rest
    rest.reverse()
    return _build(structure, rest)


def _build(s: Structure, rest: list[Any]) -> Any:
    if s is LEAF:
        return rest.pop()
    if s is _NONE:
        return None
    parts = [_build(c, rest) for c in s.children]
    if s.kind == "named":
        return s.cls(*parts)
    if s.kind == "dataclass":
        made: Any = object.__new__(s.cls)
        for name, part in zip(s.meta, parts, strict=True):
            object.__setattr__(made, name, part)  # frozen ones too; __init__ may expect other things than its fields
        return made
    if s.kind == "default":
        return s.cls(s.meta[0], zip(s.meta[1:], parts, strict=True))
    if s.kind in ("dict", "ordered"):
        return s.cls(zip(s.meta, parts, strict=True))
    return s.cls(parts)


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A tree of the same form with ``function`` applied to the leaves.

    Parameters
    ----------
    function : callable
        Takes one leaf of each tree.
    tree, *others : Any
        Trees of one form.

    Raises
    ------
    ArgumentError
        If the forms differ.

    Examples
    --------
    >>> map_leaves(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    leaves, structure = flatten(tree)
    columns: list[Sequence[Any]] = [leaves]
    for other in others:
        more, form = flatten(other)
        if form is not structure:
            raise ArgumentError(
                "map_leaves was given trees of different forms.",
                expected=_show(structure),
                received=_show(form),
                fix="pass trees with the same containers, keys and lengths",
                slug="tree-mismatch",
            )
        columns.append(more)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def _show(s: Structure) -> str:
    if s is LEAF:
        return "*"
    if s is _NONE:
        return "None"
    parts = [_show(c) for c in s.children]
    if s.kind == "tuple":
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"
    if s.kind == "list":
        return "[" + ", ".join(parts) + "]"
    if s.kind in ("dict", "ordered", "default"):
        keys = s.meta[1:] if s.kind == "default" else s.meta
        return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(keys, parts, strict=True)) + "}"
    names: Sequence[str] = s.meta if s.kind == "dataclass" else s.cls._fields  # type: ignore[attr-defined]
    return f"{s.cls.__name__}(" + ", ".join(f"{n}={p}" for n, p in zip(names, parts, strict=True)) + ")"


def describe(structure: Structure) -> str:
    """The form as text, ``*`` for a leaf.

    Examples
    --------
    >>> describe(flatten({"w": 1, "b": [2, 3]})[1])
    "{'b': [*, *], 'w': *}"
    """
    return _show(structure)
