"""What users pass to `fit`, `evaluate` and `predict`, as one of two things: `Arrays` in memory, or `Batches` that come one by one."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from insitu.array.tree import map_leaves
from insitu.data.batches import Batches
from insitu.data.examples import Examples, Tree, check_lengths, examples, len_of, named_leaves, stem, tree
from insitu.data.sources import as_batches, columns, names_column
from insitu.errors import ArgumentError, UserError


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Inputs, targets and weights in memory: trees of C-contiguous NumPy arrays, all of one length.

    Parameters
    ----------
    x : array or tree of arrays
    y, weight : array or tree of arrays, optional
        None where there are none.
    """

    x: Tree
    y: Tree = None
    weight: Tree = None

    @functools.cached_property
    def count(self) -> int:
        """Number of examples."""
        return len_of(self.x)

    def peek(self) -> tuple[Tree, Tree, Tree]:
        """Inputs, targets and weights: all, where `Batches` give those of the first batch."""
        return self.x, self.y, self.weight

    def rows(self, which: slice | Examples) -> Arrays:
        """Some of the examples: views for a slice, copies for an array of positions."""
        return Arrays(*(map_leaves(lambda a: a[which], part) for part in self.peek()))

    def split(self, fraction: Any) -> tuple[Arrays, Arrays]:
        """The first part for training, the last ``fraction`` for validation.

        Raises
        ------
        ArgumentError
            If one part would be empty.
        """
        good = isinstance(fraction, int | float) and 0 < fraction < 1
        at = int(self.count * (1 - fraction)) if good else 0
        if not 0 < at < self.count:
            raise ArgumentError(
                "fit: validation_split must leave examples for training and for validation.",
                expected="a number between 0 and 1",
                received=f"{fraction!r} of {self.count} example{'s' * (self.count != 1)}",
                fix=_split_fix(fraction, self.count),
                slug="validation-split",
                argument="validation_split=",
            )
        return self.rows(slice(None, at)), self.rows(slice(at, None))


def _split_fix(fraction: Any, count: int) -> str:
    if count < 2:
        return "leave validation_split out, or pass more examples"
    if isinstance(fraction, int | float) and 2 <= fraction < 100:
        return f"pass a share, not percent: validation_split={fraction / 100:g}"
    return f"pass validation_split={max(0.1, round(1 / count, 2)):g}"


def feed(x: Any, y: Any = None, sample_weight: Any = None, *, function: str = "fit", names: tuple[str, str] = ("x", "y")) -> Arrays | Batches:
    """Arrays in memory, or batches that come one by one.

    Parameters
    ----------
    x : Any
        Arrays, frames and tensors of any library, lists of numbers; dicts, lists and tuples of arrays for several inputs;
        a `Dataset`, a generator or a function that makes one, any iterable of batches, a torch DataLoader, a Keras PyDataset,
        a Hugging Face data set.
    y, sample_weight : Any, optional
        As ``x`` if that is arrays. Of a Hugging Face data set, ``y`` may be the name of the column with the targets.
    function : str
        The name for messages.
    names : tuple of two str
        What ``x`` and ``y`` are called in messages.

    Returns
    -------
    Arrays or Batches

    Raises
    ------
    UserError
        For data that are empty, ragged, of unequal lengths, or hold no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> feed([[1.0], [2.0]], [0, 1]).count
    2
    >>> [x.shape for x, y, weight in feed([(np.ones((2, 3)), np.ones(2)), (np.ones((1, 3)), np.ones(1))])]
    [(2, 3), (1, 3)]
    """
    if isinstance(x, Arrays | Batches):
        return x
    found = columns(x, y, function)
    if found is not None:
        x, y = found
    elif y is None or not isinstance(x, dict | list | tuple):
        batches = as_batches(x, function, y)
        if batches is not None:
            _refuse_parts(x, None if names_column(x, y) else y, sample_weight, function, names)
            return batches
    weight_name = names[0].removesuffix("x") + "sample_weight"
    parts = [(x, names[0]), (y, names[1]), (sample_weight, weight_name)]
    trees = [None if part is None and k else tree(part, function, name) for k, (part, name) in enumerate(parts)]
    check_lengths(function, [leaf for t, (_, name) in zip(trees, parts, strict=True) for leaf in named_leaves(t, name)])
    return Arrays(*trees)


def validation(value: Any, function: str = "fit") -> Arrays | Batches:
    """The data of ``validation_data``: a tuple ``(x, y)`` or ``(x, y, sample_weight)``, or batches.

    Raises
    ------
    ArgumentError
        If it is neither.
    """
    names = ("validation x", "validation y")
    if isinstance(value, Arrays | Batches):
        return value
    if not isinstance(value, dict | tuple):  # a list may hold batches, while a tuple is (x, y)
        found = columns(value, None, function)
        if found is not None:
            return feed(*found, function=function, names=names)
        batches = as_batches(value, function)
        if batches is not None:
            return batches
    if isinstance(value, tuple | list) and len(value) in (2, 3):
        return feed(*value, function=function, names=names)
    raise ArgumentError(
        "fit: validation_data must be a pair.",
        expected="validation_data=(x, y), (x, y, sample_weight), or an iterable of batches such as a Dataset",
        received=f"{type(value).__name__}" + (f" of {len(value)} parts" if hasattr(value, "__len__") and getattr(value, "shape", True) != () else ""),
        fix="pass validation_data=(x_test, y_test)",
        slug="validation-data",
        argument="validation_data=",
    )


def no_targets(function: str, batches: bool = False, argument: str = "x") -> UserError:
    """The error for a loss that has nothing to compare with; ``batches`` should have brought the targets themselves."""
    slug = "evaluate-no-targets" if stem(function) == "evaluate" else "fit-no-targets"
    return ArgumentError(
        f"{function}: there are no targets.",
        expected="the true values, one per example",
        received="batches of inputs alone" if batches else "y=None",
        fix="let each batch be a tuple (x, y)" if batches else f"pass them: model.{function}(x, y)",
        slug=slug,
        argument=argument,
    )


def _refuse_parts(x: Any, y: Any, weight: Any, function: str, names: tuple[str, str]) -> None:
    """Batches bring their targets and weights themselves."""
    for part, name in ((y, names[1]), (weight, "sample_weight")):
        if part is not None:
            raise ArgumentError(
                f"{function}: {name} is given beside data that bring their own.",
                expected=f"{names[0]} alone, whose batches are (x, y) or (x, y, sample_weight)",
                received=f"{names[0]}: {type(x).__name__}, {name}: {type(part).__name__}",
                fix=f"leave out {name}, or pass arrays",
                slug="data-twice",
                argument=f"{name}=",
            )


__all__ = ["Arrays", "Batches", "Examples", "examples", "feed", "no_targets", "tree", "validation"]
