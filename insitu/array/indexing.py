"""Indexing as in NumPy: numbers, slices, new axes, integer arrays and masks, as slices and gathers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import ARRAY, Checked, checked
from insitu.array import scalars
from insitu.array.array import Array, owned
from insitu.array.checks import whole
from insitu.array.convert import asarray
from insitu.errors import IndexingError, TraceError, UserError, many_axes
from insitu.graph.node import INPUT, Node, aval, leaf, topological

Host = np.ndarray[Any, Any]
KEY = Checked(
    "whole numbers, slices, None, ... and arrays of whole numbers or truth values, one or a tuple",
    (0, slice(1), None, ..., [0, 0], [True, False]),
    (9, -9, 1.0, "0", slice("a"), slice(0, 2, 0), (0, 0, 0, 0), (..., ...), [0.5], [9], [True], ((),), slice(None, None, 2**70), 2**70, True),
)


@dataclasses.dataclass(slots=True)
class Entry:
    """One part of an index: ``new`` axis, ``int`` (start), ``slice`` (start, stop, step) or ``array`` (gather) on an axis.

    ``apart``: it follows a ``...`` that stands for no axis, which separates arrays all the same.
    """

    kind: str
    axis: int = -1
    start: int = 0
    stop: int = 0
    step: int = 1
    gather: Node | Host | None = None
    apart: bool = False

    @property
    def length(self) -> int:
        """Elements a slice takes."""
        return len(range(self.start, self.stop, self.step))


@checked(x=ARRAY, key=KEY)
def getitem(x: Array, key: Any, /) -> Array:
    """``x[key]``: elements by number, slice, None, ``...``, integer arrays and boolean masks, as in NumPy.

    Raises
    ------
    IndexingError
        If a number is out of range, or there are too many. Integer arrays of insitu are not looked at:
        what is out of range there takes the nearest element.
    TraceError
        For a mask inside a traced function, where the result's shape would depend on its values.
    """
    return Array(index(x._node, key))


def index(x: Node, key: Any) -> Node:
    """`getitem` on nodes."""
    found = _basic(x, key if isinstance(key, tuple) else (key,))
    return gathered(x, parse(x, key)) if found is None else found


def _basic(x: Node, key: tuple[Any, ...]) -> Node | None:
    """An index of numbers, slices, None and one ``...`` as a slice and a reshape; None for any other index."""
    used, dots = 0, 0
    for p in key:
        kind = type(p)
        if kind is int or kind is slice:
            used += 1
        elif p is Ellipsis:
            dots += 1
        elif p is not None:
            return None
    shape = x.aval.shape
    rest = len(shape) - used
    if rest < 0 or dots > 1:
        return None
    starts: list[int] = []
    stops: list[int] = []
    steps: list[int] = []
    out: list[int] = []
    axis = 0
    for p in key if dots else (*key, Ellipsis):
        if p is None:
            out.append(1)
            continue
        if p is Ellipsis:
            starts += [0] * rest
            stops += shape[axis : axis + rest]
            steps += [1] * rest
            out += shape[axis : axis + rest]
            axis += rest
            continue
        if type(p) is slice:
            start, stop, step = _checked_slice(p, shape[axis])
            out.append(len(range(start, stop, step)))
        else:
            start, step = _checked_number(p, axis, shape), 1
            stop = start + 1
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        axis += 1
    if x.memory is not None and x.prim is INPUT:
        first = _stretch(x.aval.shape, starts, stops, steps)
        if first is not None:
            av = aval(tuple(out), x.aval.dtype)
            return leaf(av, x.memory.part(first * av.dtype.itemsize, av.nbytes))
    return _reshaped(ops.slice_(x, starts, stops, steps), tuple(out))


def _stretch(shape: tuple[int, ...], starts: list[int], stops: list[int], steps: list[int]) -> int | None:
    """The first element of a slice that lies in one stretch of memory; None for any other slice.

    The slice of a known value then shares its memory, and a loop over ``x[i : i + 100]`` needs no program per position.
    """
    first, stride, whole = 0, 1, True
    for k in range(len(shape) - 1, -1, -1):
        n, start = shape[k], starts[k]
        count = stops[k] - start
        if steps[k] != 1 or count <= 0 or (count > 1 and not whole):
            return None
        whole = whole and count == n
        first += start * stride
        stride *= n
    return first


# -- reading the key ------------------------------------------------------------------------------------
def parse(x: Node, key: Any) -> list[Entry]:
    """The parts of an index, one for each axis of ``x`` and each new axis, in order."""
    parts = [_part(p) for p in (key if isinstance(key, tuple) else (key,))]
    shape = x.aval.shape
    used = sum([_consumed(p) for p in parts])
    dots = [k for k, p in enumerate(parts) if p is Ellipsis]
    if used > len(shape) or len(dots) > 1:
        one = len(shape) == 1
        many = f"Too many indices: {used} for an array of {many_axes(len(shape))}."
        raise IndexingError(
            many if used > len(shape) else "An index has more than one '...'.",
            expected=f"at most {len(shape)} ind{'ex' if one else 'ices'} and one ...", received=f"{used} indices for shape {shape}",
            fix="remove indices, or add axes with None", slug="index-count",
        )  # fmt: skip
    fill = [slice(None)] * (len(shape) - used)
    at = dots[0] if dots else len(parts)
    parts[at : at + 1] = fill
    out: list[Entry] = []
    axis = 0
    for k, p in enumerate(parts):
        if p is None:
            out.append(Entry("new"))
            continue
        found = _entries(p, axis, shape)
        found[0].apart = bool(dots) and not fill and k == at
        out += found
        axis += sum([e.axis >= 0 for e in found])
    return out


def _part(p: Any) -> Any:
    """A part in one of the forms None, Ellipsis, int, slice, NumPy array, Node."""
    if p is None or p is Ellipsis or type(p) is int or isinstance(p, slice):
        return p
    if type(p) is Array:
        return p._node
    if isinstance(p, (bool, np.bool_)):
        return np.array(p)
    number = whole(p) if isinstance(p, np.integer) else None
    if number is not None:
        return number
    if isinstance(p, (list, np.ndarray, tuple)):
        array = asarray(p)._node if has_arrays(p) else np.asarray(p)
        if isinstance(array, Node):
            return array
        return array.astype(np.int64) if array.size == 0 and isinstance(p, list) else array
    number = whole(p)
    if number is not None:
        return number
    raise IndexingError(
        f"An array cannot be indexed with {type(p).__name__}.", expected="whole numbers, slices, None, ..., integer or boolean arrays",
        received=repr(p)[:80], fix=_index_fix(p), slug="index-type",
    )  # fmt: skip


def _index_fix(p: Any) -> str:
    if isinstance(p, float):
        return f"use {int(p)}; a division that gives whole numbers is written //" if p.is_integer() else "round it: int(...)"
    return "convert it to int, or to an integer array"


def has_arrays(p: Any) -> bool:
    """Whether arrays of insitu are among the elements of nested lists."""
    return isinstance(p, (list, tuple)) and any(type(v) is Array or has_arrays(v) for v in p)


def _dtype(p: Node | Host) -> dt.DType:
    return p.aval.dtype if isinstance(p, Node) else dt.as_dtype(p.dtype)


def _consumed(p: Any) -> int:
    if p is None or p is Ellipsis:
        return 0
    if isinstance(p, (Node, np.ndarray)) and _dtype(p) is dt.bool_:
        return p.ndim
    return 1


def _entries(p: Any, axis: int, shape: tuple[int, ...]) -> list[Entry]:
    if isinstance(p, int):
        return [Entry("int", axis, _checked_number(p, axis, shape))]
    if isinstance(p, slice):
        return [Entry("slice", axis, *_checked_slice(p, shape[axis]))]
    if _dtype(p) is dt.bool_:
        return _mask(p, axis, shape)
    if not _dtype(p).is_integer:
        raise IndexingError(
            f"An array cannot be indexed with an array of {_dtype(p).name}.", expected="an integer or boolean array",
            received=f"shape {p.shape}, {_dtype(p).name}", fix="convert it: i.astype(si.int64)", slug="index-type",
        )  # fmt: skip
    return [Entry("array", axis, gather=p if isinstance(p, Node) else checked_positions(p, axis, shape))]


def _checked_number(number: int, axis: int, shape: tuple[int, ...]) -> int:
    n = shape[axis]
    if not -n <= number < n:
        raise IndexingError(
            f"Index {number} is out of range for axis {axis}, which has size {n}.",
            expected=f"a number from {-n} to {n - 1}" if n else "a slice: the axis is empty", received=f"{number} for shape {shape}",
            fix=f"use {n - 1} or -1 for the last element" if n else "check where the array became empty", slug="index-out-of-range",
        )  # fmt: skip
    return number + n if number < 0 else number


def _checked_slice(p: slice, n: int) -> tuple[int, int, int]:
    try:
        return p.indices(n)
    except TraceError:
        raise
    except TypeError:
        raise IndexingError(
            "A slice needs whole numbers.", expected="start:stop:step of whole numbers", received=repr(p), fix="use int(...)", slug="index-slice"
        ) from None
    except ValueError:
        raise IndexingError(
            "The step of a slice is 0.", expected="a step that is not 0", received=repr(p), fix="leave the step out for 1", slug="index-slice"
        ) from None


def checked_positions(p: Host, axis: int, shape: tuple[int, ...]) -> Host:
    """Positions known now: checked against the axis, and none negative."""
    if p.size:
        for bad in (int(p.min()), int(p.max())):
            _checked_number(bad, axis, shape)
    positions = p.astype(np.int64)
    return np.where(positions < 0, positions + shape[axis], positions)


def traced(node: Node) -> bool:
    """Whether the value depends on a parameter of a function that is being traced."""
    return any(n.memory is None and n.prim is INPUT for n in topological([node], lambda n: n.memory is not None))


def _mask(p: Node | Host, axis: int, shape: tuple[int, ...]) -> list[Entry]:
    if tuple(p.shape) != shape[axis : axis + p.ndim]:
        raise IndexingError(
            f"A mask of shape {tuple(p.shape)} does not fit the axes it selects from.", expected=f"shape {shape[axis : axis + p.ndim]}",
            received=f"shape {tuple(p.shape)} for an array of shape {shape}", fix="compare the array itself: x[x > 0]", slug="index-mask-shape",
        )  # fmt: skip
    if isinstance(p, Node) and traced(p):
        raise TraceError(
            "A mask cannot select elements inside a traced function: the result's shape would depend on values.",
            expected="a result whose shape is known", received=f"a mask of shape {p.shape}", fix="use si.where(mask, x, 0)", slug="index-mask-traced",
        )  # fmt: skip
    host = Array(p)._view() if isinstance(p, Node) else p
    if not host.ndim:
        # one or no position of a new axis of length 1
        return [Entry("array", -1, gather=np.zeros(int(host), np.int64))]
    return [Entry("array", axis + k, gather=where) for k, where in enumerate(np.nonzero(host))]


# -- from parts to nodes ---------------------------------------------------------------------------------
def gathered(x: Node, entries: list[Entry]) -> Node:
    """The elements that the parts select.

    Slices and numbers are one ``slice``; integer arrays one ``take`` along one axis, into which the
    axes they index are merged.
    """
    if any(e.kind == "array" and e.axis < 0 for e in entries):
        x, entries = _with_axes_for_masks(x, entries)
    by_axis = [e for e in entries if e.kind != "new"]
    shape = x.aval.shape
    starts = tuple([0 if e.kind == "array" else e.start for e in by_axis])
    stops = tuple([n if e.kind == "array" else e.start + 1 if e.kind == "int" else e.stop for e, n in zip(by_axis, shape, strict=True)])
    y = ops.slice_(x, starts, stops, tuple([e.step for e in by_axis])) if by_axis else x
    arrays = [e for e in by_axis if e.kind == "array"]
    if not arrays:
        return _reshaped(y, tuple([1 if e.kind == "new" else e.length for e in entries if e.kind != "int"]))
    kept = [e for e in by_axis if e.kind != "int"]
    y = _reshaped(y, tuple([shape[e.axis] if e.kind == "array" else e.length for e in kept]))
    places = [k for k, e in enumerate(kept) if e.kind == "array"]
    y, at = _merged(y, places)
    positions = _positions([e.gather for e in arrays], [shape[e.axis] for e in arrays])
    block = positions.aval.shape
    y = ops.take(y, positions, at)
    target, front = _place(entries)
    if at != target:
        m = len(block)
        rest = [k for k in range(y.ndim) if not at <= k < at + m]
        y = ops.permute(y, (*rest[:target], *range(at, at + m), *rest[target:]))
    out = [1 if e.kind == "new" else e.length for e in entries if e.kind in ("new", "slice")]
    return _reshaped(y, (*out[:front], *block, *out[front:]))


def _with_axes_for_masks(x: Node, entries: list[Entry]) -> tuple[Node, list[Entry]]:
    """The array with an axis of length 1 for each single True or False, and the parts with these axes counted."""
    shape: list[int] = []
    counted = []
    for e in entries:
        if e.kind == "new":
            counted.append(e)
        else:
            counted.append(dataclasses.replace(e, axis=len(shape)))
            shape.append(1 if e.axis < 0 else x.aval.shape[e.axis])
    return ops.reshape(x, tuple(shape)), counted


def _reshaped(node: Node, shape: tuple[int, ...]) -> Node:
    return node if node.aval.shape == shape else ops.reshape(node, shape)


def _place(entries: list[Entry]) -> tuple[int, int]:
    """Where the gathered axes go: after how many slices, and after how many slices and new axes.

    Beside each other, numbers and arrays put their axes where they stand; with slices or ... between, in front.
    """
    advanced = [k for k, e in enumerate(entries) if e.kind in ("int", "array")]
    if advanced[-1] - advanced[0] + 1 != len(advanced) or any(e.apart for e in entries[advanced[0] + 1 : advanced[-1] + 1]):
        return 0, 0
    before = entries[: advanced[0]]
    return sum([e.kind == "slice" for e in before]), len(before)


def _merged(y: Node, places: list[int]) -> tuple[Node, int]:
    """The axes at ``places`` as one axis, and where it is."""
    first, count = places[0], len(places)
    if count == 1:
        return y, first
    if places[-1] - first + 1 != count:
        y = ops.permute(y, (*places, *[k for k in range(y.ndim) if k not in places]))
        first = 0
    shape = y.aval.shape
    return ops.reshape(y, (*shape[:first], math.prod(shape[first : first + count]), *shape[first + count :])), first


def _positions(indices: list[Any], extents: list[int]) -> Node:
    """One index into the merged axes from an index for each of them."""
    if all(isinstance(i, np.ndarray) for i in indices):
        try:
            spread = np.broadcast_arrays(*indices)
        except ValueError:
            raise _unequal(indices) from None
        flat = np.zeros(spread[0].shape, np.int64)
        for i, n in zip(spread, extents, strict=True):
            flat = flat * n + i
        return owned(np.ascontiguousarray(flat).reshape(flat.shape), dt.int64)._node
    nodes = [i if isinstance(i, Node) else owned(np.ascontiguousarray(i).reshape(i.shape), dt.int64)._node for i in indices]
    nodes = [ops.cast(i, dt.int64) for i in nodes]
    if len(nodes) == 1:
        return nodes[0]
    shapes = [n.shape for n in nodes]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise _unequal(nodes) from None
    together = _in_range(nodes[0], extents[0])
    for node, n in zip(nodes[1:], extents[1:], strict=True):
        together = ops.add(ops.mul(together, scalars.constant(n, dt.int64)), _in_range(node, n))
    return together


def _in_range(i: Node, n: int) -> Node:
    """Positions from the front, moved into the axis."""
    zero = scalars.constant(0, dt.int64)
    i = ops.where(ops.lt(i, zero), ops.add(i, scalars.constant(n, dt.int64)), i)
    return ops.min_(ops.max_(i, zero), scalars.constant(max(n - 1, 0), dt.int64))


def _unequal(indices: list[Any]) -> UserError:
    return IndexingError(
        "The index arrays do not broadcast to one shape.", expected="equal shapes, or extents of 1",
        received=" and ".join(str(tuple(i.shape)) for i in indices), fix="for a grid of rows and columns use rows[:, None]", slug="index-broadcast",
    )  # fmt: skip
