"""``x.at[index].set(value)`` and ``.add(value)``: a new array with some elements changed."""

from __future__ import annotations

from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, checked
from insitu.array import scalars
from insitu.array.array import Array
from insitu.array.convert import node_of
from insitu.array.indexing import KEY, Entry, gathered, parse
from insitu.errors import DTypeError, ShapeError
from insitu.graph.node import Node
from insitu.ops.slicing import spread


class At:
    """What ``x.at`` gives: index it, then call ``set`` or ``add``.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.zeros(4)
    >>> x.at[1].set(5.0)
    Array([0., 5., 0., 0.], dtype=float32)
    >>> x.at[si.asarray([0, 0, 3])].add(1.0)
    Array([2., 0., 0., 1.], dtype=float32)
    """

    __slots__ = ("_x",)

    def __init__(self, x: Array) -> None:
        self._x = x

    @checked(key=KEY)
    def __getitem__(self, key: Any) -> Place:
        return Place(self._x, key)


class Place:
    """Some elements of an array, to be changed in a new array."""

    __slots__ = ("_key", "_x")

    def __init__(self, x: Array, key: Any) -> None:
        self._x, self._key = x, key

    def get(self) -> Array:
        """The elements: ``x[key]``."""
        return self._x[self._key]

    @checked(value=ARRAY)
    def set(self, value: Any) -> Array:
        """A new array with the elements replaced. Of several values for one element the last stays.

        Parameters
        ----------
        value : Array or number
            Broadcasts to the shape of ``x[key]``; takes the array's dtype.

        Raises
        ------
        ShapeError, DTypeError, IndexingError
            If the value or the index does not fit.
        """
        return self._changed(value, "set")

    @checked(value=ARRAY)
    def add(self, value: Any) -> Array:
        """A new array with values added to the elements; to an element named twice, twice, in order.

        Parameters
        ----------
        value : Array or number
            Broadcasts to the shape of ``x[key]``; takes the array's dtype.

        Raises
        ------
        ShapeError, DTypeError, IndexingError
            If the value or the index does not fit.
        """
        return self._changed(value, "add")

    @checked(value=ARRAY)
    def subtract(self, value: Any) -> Array:
        """As `add`, with the value's sign changed."""
        return self._changed(-value if scalars.is_scalar(value) else Array(ops.neg(node_of(value))), "add")

    def _changed(self, value: Any, how: str) -> Array:
        x, key = self._x._node, self._key
        update = _value(value, x.aval.dtype)
        mask = _whole_mask(key, x)
        if mask is not None and update.aval.size == 1:
            number = ops.reshape(update, ())
            return Array(ops.where(mask, ops.add(x, number) if how == "add" else number, x))
        entries = parse(x, key)
        if all(e.kind != "array" for e in entries):
            return Array(_change_slice(x, entries, update, how))
        if _are_rows(entries, x.aval.shape):
            return Array(_change_rows(x, entries, update, how))
        return Array(_change_elements(x, entries, update, how))


def _value(value: Any, dtype: dt.DType) -> Node:
    if scalars.is_scalar(value):
        if isinstance(value, float) and not dtype.is_float:
            raise _lossy("a floating number", dtype)
        return scalars.constant(value, dtype)
    node = node_of(value)
    if node.aval.dtype.is_float and not dtype.is_float:
        raise _lossy(f"shape {node.shape}, {node.dtype.name}", dtype)
    return ops.cast(node, dtype)


def _lossy(received: str, dtype: dt.DType) -> DTypeError:
    return DTypeError(
        f"Floating values do not fit into an array of {dtype.name}.", expected=dtype.name, received=received,
        fix="convert one of them with astype", slug="update-dtype", argument=".at",
    )  # fmt: skip


def _whole_mask(key: Any, x: Node) -> Node | None:
    """The mask, stretched over the last axes, if the index is one boolean array of insitu."""
    if type(key) is not Array or key.dtype is not dt.bool_ or key.shape != x.aval.shape[: key.ndim]:
        return None
    return ops.reshape(key._node, (*key.shape, *(1,) * (x.ndim - key.ndim)))


def _fitted(update: Node, shape: tuple[int, ...]) -> Node:
    """The update broadcast to the shape of the elements it changes."""
    have = update.aval.shape
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    if len(have) > len(shape) or any(m not in (1, n) for m, n in zip(reversed(have), reversed(shape), strict=False)):
        raise ShapeError(
            "The new values do not fit the elements they are meant for.", expected=f"a shape that broadcasts to {shape}",
            received=f"shape {update.shape}", fix="index the elements you mean, or reshape the values", slug="update-shape", argument=".at",
        )  # fmt: skip
    return ops.broadcast_to(ops.reshape(update, have), shape)


def _change_slice(x: Node, entries: list[Entry], update: Node, how: str) -> Node:
    """Numbers and slices: the update spread into an array of zeros, and added or chosen."""
    shape = x.aval.shape
    taken = tuple([1 if e.kind == "new" else e.length for e in entries if e.kind != "int"])
    axes = [e for e in entries if e.kind != "new"]
    lengths = [1 if e.kind == "int" else e.length for e in axes]
    update = ops.reshape(_fitted(update, taken), tuple(lengths))
    if not update.aval.size:
        return x
    down = [k for k, e in enumerate(axes) if e.kind == "slice" and e.step < 0]
    update = ops.flip(update, down) if down else update
    first = [e.start + (n - 1) * e.step if k in down else e.start for k, (e, n) in enumerate(zip(axes, lengths, strict=True))]
    steps = [abs(e.step) if e.kind == "slice" else 1 for e in axes]
    wide = spread(update, shape, first, steps)
    if how == "add":
        return ops.add(x, wide)
    one = ops.broadcast_to(ops.constant(True, dt.bool_), update.aval.shape)
    return ops.where(spread(one, shape, first, steps), wide, x)


def _are_rows(entries: list[Entry], shape: tuple[int, ...]) -> bool:
    """Whether the index is one array on the first axis, and all of the others."""
    whole = [e.kind == "slice" and e.length == n and e.step == 1 for e, n in zip(entries[1:], shape[1:], strict=False)]
    return entries[0].kind == "array" and entries[0].axis == 0 and len(entries) == len(shape) and all(whole)


def _change_rows(x: Node, entries: list[Entry], update: Node, how: str) -> Node:
    """One index array on the first axis: whole rows."""
    rows = gathered(ops.iota((x.aval.shape[0],), 0, dt.int64), [Entry("array", 0, gather=entries[0].gather)])
    tail = x.aval.shape[1:]
    update = _fitted(update, (*rows.aval.shape, *tail))
    count = rows.aval.size
    return ops.scatter(x, ops.reshape(rows, (count,)), ops.reshape(update, (count, *tail)), how)


def _change_elements(x: Node, entries: list[Entry], update: Node, how: str) -> Node:
    """Any index: positions in the flattened array, and single elements."""
    size = x.aval.size
    flat = gathered(ops.reshape(ops.iota((size,), 0, dt.int64), x.aval.shape), entries)
    update = _fitted(update, flat.aval.shape)
    count = flat.aval.size
    changed = ops.scatter(ops.reshape(x, (size,)), ops.reshape(flat, (count,)), ops.reshape(update, (count,)), how)
    return ops.reshape(changed, x.aval.shape)
