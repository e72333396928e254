"""Where batches come from: iterables of all kinds, and other libraries' data sets, known by what they can do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from insitu.data.batches import Batches, remembered
from insitu.data.dataset import Dataset
from insitu.data.examples import is_array, nothing
from insitu.errors import ArgumentError, UserError

_TARGETS = ("label", "labels")


def as_batches(x: Any, function: str, target: Any = None) -> Batches | None:
    """Batches, if ``x`` is something that gives them; None if it is arrays, or nothing known.

    Of a stream of columns ``target`` is the one with the targets.

    Raises
    ------
    ArgumentError
        For a data set that gives single examples, or a function that cannot be called.
    """
    if is_array(x) or x is None or isinstance(x, str | bytes | dict | set | frozenset | range | int | float):
        return None
    if isinstance(x, list | tuple):
        return Batches(lambda epoch: iter(x), len(x), function=function) if _holds_batches(x) else None
    if inspect.isfunction(x) or inspect.ismethod(x) or (callable(x) and not hasattr(x, "__iter__") and not hasattr(x, "__getitem__")):
        return Batches(_maker(x, function), function=function)
    if hasattr(x, "on_epoch_end") and hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return Batches(lambda epoch: _sequence(x), len(x), function=function)
    if isinstance(x, Dataset):
        return Batches(x.elements, _length(x), function=function, source=x)
    if hasattr(x, "__next__"):
        return remembered(x) or Batches(lambda epoch: x, restartable=False, function=function)
    if hasattr(x, "with_format"):  # a Hugging Face data set that is streamed, as are the batches that its batch(n) gives
        return Batches(lambda epoch: iter(x.with_format("numpy")), _length(x), function=function, parts=_Parts(target, function))
    if hasattr(x, "__iter__"):
        parts = _Parts(None, function) if hasattr(getattr(x, "dataset", None), "with_format") else None
        return Batches(lambda epoch: iter(x), _length(x), function=function, parts=parts)
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        raise _single_examples(x, function)
    return None


def columns(x: Any, y: Any, function: str) -> tuple[Any, Any] | None:
    """Inputs and targets of a Hugging Face data set (known by ``column_names`` and ``with_format``); None for anything else.

    Raises
    ------
    ArgumentError
        For a dict of data sets, or a column that does not exist.
    """
    names = _columns_of(x)
    if names is None:
        return None
    if isinstance(names, dict):
        raise ArgumentError(
            f"{function}: this is a dict of data sets, not one of them.",
            expected="one split",
            received="the splits " + ", ".join(map(repr, names)),
            fix=f"choose one: data[{next(iter(names), 'train')!r}]",
            slug="data-columns",
            argument="x",
        )
    if not hasattr(x, "__len__"):
        return None  # a stream
    if not len(x):
        raise nothing(function, "x", f"a data set with the columns {', '.join(names)}, and no rows")
    table = x.with_format("numpy")[:]
    return _parted({name: table[name] for name in names}, y, function)


def names_column(x: Any, y: Any) -> bool:
    """Whether ``y`` is the name of a column of a data set that has columns."""
    return isinstance(y, str) and hasattr(x, "with_format")


def _columns_of(x: Any) -> Any:
    if not hasattr(x, "with_format"):
        return None
    return getattr(x, "column_names", None)


class _Parts:
    """Inputs and targets of a batch of columns; a batch of another form stays as it is."""

    def __init__(self, target: Any, function: str) -> None:
        self.target, self.function = target, function

    def __call__(self, batch: Any) -> Any:
        return _parted(batch, self.target, self.function) if isinstance(batch, dict) else batch


def _parted(table: dict[str, Any], target: Any, function: str) -> tuple[Any, Any]:
    """Columns as inputs and targets: one input alone is an array, several are a dict."""
    if isinstance(target, str) and target not in table:
        raise _unknown_column(target, list(table), function)
    if target is not None and not isinstance(target, str):
        return _alone(table), target
    names = [target] if isinstance(target, str) else [name for name in _TARGETS if name in table]
    inputs = {name: column for name, column in table.items() if name not in names[:1]}
    if not inputs:
        raise _unknown_column("x", list(table), function)
    return _alone(inputs), table[names[0]] if names else None


def _alone(table: dict[str, Any]) -> Any:
    return next(iter(table.values())) if len(table) == 1 else table


def _unknown_column(name: str, have: list[str], function: str) -> UserError:
    return ArgumentError(
        f"{function}: the data set has no column for {'the inputs' if name == 'x' else repr(name)}.",
        expected=f"one of {', '.join(map(repr, have))}" if name != "x" else "columns beside the targets",
        received=repr(name) if name != "x" else f"the column {', '.join(have)} alone",
        fix='name the column of the targets: y="label"',
        slug="data-columns",
        argument="y=",
    )


def _holds_batches(items: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list holds batches, that is tuples (or dicts) of arrays, rather than arrays or numbers."""
    return bool(items) and all(isinstance(item, tuple) and any(map(_is_part, item)) for item in items)


def _is_part(value: Any) -> bool:
    return is_array(value) or (isinstance(value, dict | list | tuple) and any(map(_is_part, value.values() if isinstance(value, dict) else value)))


def _maker(make: Callable[[], Iterable[Any]], function: str) -> Callable[[int], Iterable[Any]]:
    def begin(epoch: int) -> Iterable[Any]:
        made = make()
        if hasattr(made, "__iter__"):
            return made
        raise ArgumentError(
            f"{function}: the function given as data makes no batches.",
            expected="a function without arguments that gives an iterable of batches",
            received=f"{getattr(make, '__name__', type(make).__name__)}() gives {type(made).__name__}",
            fix="let it yield batches: yield x, y",
            slug="data-source",
            argument="x",
        )

    try:
        inspect.signature(make).bind()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{function}: the function given as data needs arguments.",
            expected="a function without arguments that gives an iterable of batches",
            received=f"{getattr(make, '__name__', type(make).__name__)}: {error}",
            fix="call it and pass the result, or wrap it: lambda: batches(...)",
            slug="data-source",
            argument="x",
        ) from error
    return begin


def _sequence(x: Any) -> Iterator[Any]:
    """A Keras Sequence: batches by number, and a word at the end of each epoch."""
    if hasattr(x, "on_epoch_begin"):
        x.on_epoch_begin()
    for i in range(len(x)):
        yield x[i]
    x.on_epoch_end()


def _length(x: Any) -> int | None:
    try:
        return len(x)
    except (TypeError, AttributeError, NotImplementedError):
        return None


def _single_examples(x: Any, function: str) -> UserError:
    return ArgumentError(
        f"{function}: {type(x).__name__} gives single examples by number, not batches.",
        expected="arrays, or an iterable of batches",
        received=f"{type(x).__module__}.{type(x).__qualname__} with __getitem__ and __len__, but without __iter__",
        fix="let a loader make batches of it: torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)",
        slug="data-source",
        argument="x",
    )
