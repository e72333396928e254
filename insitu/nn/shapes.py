"""Shapes of batches, whose first axis is None, and how a function of arrays changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from insitu.array.array import Array
from insitu.array.evaluate import keep_history
from insitu.array.tree import flatten, unflatten
from insitu.array.variable import Trace, traces
from insitu.dtypes import as_dtype
from insitu.errors import ShapeError, many_axes
from insitu.graph.node import aval, placeholder
from insitu.nn.context import collect_losses

Shape = tuple[int | None, ...]

#: Two lengths for each unknown axis: what follows them in an output is unknown there too. Those of other axes than the batch leave
#: room for windows, and stay apart when strides and pools divide them.
_LENGTHS = ((2, 1024), (3, 3072))


class Spec:
    """Shape and dtype of an array of which some axes are unknown (None); a leaf of trees."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: Any = "float32") -> None:
        self.shape, self.dtype = shape, as_dtype(dtype)

    def __repr__(self) -> str:
        return f"Spec({self.shape}, {self.dtype.name})"


def is_shape(value: Any) -> bool:
    """Whether a value is one shape, not a list or dict of shapes."""
    return isinstance(value, Iterable) and not isinstance(value, dict | str) and all(n is None or hasattr(n, "__index__") for n in value)


def checked_axes(owner: str, axis: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """Axes of an array of ``ndim`` axes, counted from the left.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> checked_axes("Softmax", -1, 3)
    (2,)
    """
    found = (axis,) if isinstance(axis, int) else tuple(axis)
    for a in found:
        if not -ndim <= a < ndim:
            raise ShapeError(
                f"{owner}: axis {a} does not exist in an array of {many_axes(ndim)}.",
                expected=f"an axis from {-ndim} to {ndim - 1}",
                received=f"axis {a}",
                fix="use -1 for the last axis",
                slug="axis-out-of-range",
                argument="axis=",
            )
    return tuple([a % ndim for a in found])


def map_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """A tree of shapes with a function applied to each."""
    if is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, dict):
        return {k: map_shapes(function, s) for k, s in shapes.items()}
    return type(shapes)([map_shapes(function, s) for s in shapes])


def shape_leaves(shapes: Any) -> list[Shape]:
    """The shapes of a tree of shapes, in the order of the leaves of a tree of arrays."""
    if is_shape(shapes):
        return [tuple(shapes)]
    inner = [shapes[k] for k in sorted(shapes)] if isinstance(shapes, dict) else shapes
    return [s for part in inner for s in shape_leaves(part)]


def batch_shape(value: Any) -> Any:
    """The shapes of a tree of arrays with None for the batch.

    Examples
    --------
    >>> import insitu as si
    >>> batch_shape([si.ones((2, 3)), si.ones((2,))])
    [(None, 3), (None,)]
    """
    leaves, structure = flatten(value)
    return unflatten(structure, [(None, *tuple(x.shape)[1:]) for x in leaves])


def infer(function: Callable[[Any], Any], inputs: Any, dtypes: Any = "float32") -> Any:
    """The shapes and dtypes that a function of arrays gives, by tracing it without computing anything.

    Parameters
    ----------
    function : callable
        Takes a tree of arrays, returns a tree of arrays.
    inputs : shape, or list or dict of shapes
        Unknown axes are None.
    dtypes : dtype, or one for each shape in the order of the leaves

    Returns
    -------
    tree of Spec
        In the structure of the result; an axis is None where its length follows an unknown one.
    """
    kinds = iter(dtypes) if isinstance(dtypes, list) else None
    specs = map_shapes(lambda s: Spec(s, next(kinds) if kinds is not None else dtypes), inputs)
    leaves, structure = flatten(specs)
    found = []
    for batch, length in _LENGTHS:
        shapes = [tuple([(length if k else batch) if n is None else n for k, n in enumerate(x.shape)]) for x in leaves]
        holders = [placeholder(aval(shape, x.dtype)) for shape, x in zip(shapes, leaves, strict=True)]
        traces.open.append(Trace())
        try:
            with keep_history(), collect_losses():
                found.append(flatten(function(unflatten(structure, [Array(h) for h in holders]))))
        finally:
            traces.open.pop()
    (first, outline), (second, _) = found
    pairs = zip(first, second, strict=True)
    return unflatten(outline, [Spec(tuple([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)]), a.dtype) for a, b in pairs])
