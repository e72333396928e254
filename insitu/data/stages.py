"""The stages of a `Dataset`: each gives the elements of an epoch, made from those of the stage before.

A stage over arrays in memory also gives *rows*: the arrays with the positions to take from them, so that shuffling is one
permutation and a batch one selection, without Python between the examples.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from insitu.array.tree import Structure, describe, flatten, unflatten
from insitu.data.examples import is_array, numpy_array
from insitu.data.order import Draws, Order, permutation
from insitu.errors import ArgumentError, InternalError, ShapeError, UserError

if TYPE_CHECKING:
    from concurrent.futures import Future

ENDLESS = -1  # the count of a data set that is repeated for ever


@dataclasses.dataclass(frozen=True)
class Rows:
    """Arrays of one length, and which of their rows come, in this order."""

    leaves: Sequence[np.ndarray[Any, Any]]
    structure: Structure
    order: range | Order

    def at(self, order: range | Order) -> Any:
        """A batch: views for a range, copies for positions."""
        if isinstance(order, range):
            return unflatten(self.structure, [a[order.start : order.stop] for a in self.leaves])
        return unflatten(self.structure, [a.take(order, axis=0) for a in self.leaves])

    def elements(self) -> Iterator[Any]:
        leaves, structure = self.leaves, self.structure
        for i in self.order:
            yield unflatten(structure, [a[i] for a in leaves])

    def cut(self, start: int, stop: int | None = None) -> Rows:
        return Rows(self.leaves, self.structure, self.order[start:stop])


class Stage:
    """One step of a pipeline.

    Attributes
    ----------
    sources : tuple of Stage
    count : int or None
        Elements in an epoch; None where that is not known, `ENDLESS` where there is no end.
    """

    sources: tuple[Stage, ...] = ()
    count: int | None = None

    def stream(self, epoch: int) -> Iterator[Any]:
        """The elements of an epoch."""
        chunks = self.rows(epoch)
        if chunks is None:
            raise InternalError(f"{type(self).__name__} gives neither elements nor rows")
        for chunk in chunks:
            yield from chunk.elements()

    def rows(self, epoch: int) -> Iterator[Rows] | None:
        """The same as rows of arrays; None where the elements exist only one by one."""
        return None

    def reset(self) -> None:
        """Forget what was prepared for another order."""


def walk(stage: Stage) -> Iterator[Stage]:
    """The stage and all before it."""
    for source in stage.sources:
        yield from walk(source)
    yield stage


class Slices(Stage):
    """The rows of arrays."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.leaves, self.structure = flatten(tree)
        self.count = len(self.leaves[0])

    def rows(self, epoch: int) -> Iterator[Rows]:
        return iter([Rows(self.leaves, self.structure, range(len(self.leaves[0])))])


class Elements(Stage):
    """What an iterable gives; ``make`` begins it anew."""

    def __init__(self, make: Callable[[], Iterable[Any]], count: int | None, restartable: bool = True) -> None:
        self.make, self.count, self.restartable, self.spent = make, count, restartable, False

    def stream(self, epoch: int) -> Iterator[Any]:
        if self.spent:
            raise ArgumentError(
                "Dataset: the generator was used up in the epoch before.",
                expected="something that begins anew in each epoch",
                received="a generator, which gives its elements once",
                fix="pass the function that makes it: si.data.Dataset.from_generator(f), or keep its elements with .cache()",
                slug="data-no-batches",
            )
        self.spent = not self.restartable
        made = self.make()
        if not hasattr(made, "__iter__"):
            raise ArgumentError(
                "Dataset.from_generator: the function gives nothing that can be iterated.",
                expected="a generator function, or one that gives an iterable",
                received=f"{getattr(self.make, '__name__', 'the function')}() gives {type(made).__name__}",
                fix="let it yield its elements: yield x, y",
                slug="dataset-source",
            )
        return map(element, made)


class Shuffle(Stage):
    """The elements in a random order, new in each epoch."""

    def __init__(self, source: Stage, size: int | None, seed: int, again: bool) -> None:
        self.sources, self.count, self.size, self.seed, self.again = (source,), source.count, size, seed, again

    def _whole(self) -> bool:
        count = self.count
        return count is not None and count != ENDLESS and (self.size is None or self.size >= count)

    def rows(self, epoch: int) -> Iterator[Rows] | None:
        chunks = self.sources[0].rows(epoch) if self._whole() else None
        return None if chunks is None else self._mixed(chunks, epoch)

    def _mixed(self, source: Iterator[Rows], epoch: int) -> Iterator[Rows]:
        chunks = list(source)
        orders = [np.asarray(chunk.order, np.int64) for chunk in chunks]
        order = orders[0] if len(orders) == 1 else np.concatenate(orders)
        yield Rows(chunks[0].leaves, chunks[0].structure, order[permutation(self.seed, self._epoch(epoch), len(order))])

    def _epoch(self, epoch: int) -> int:
        return epoch if self.again else 0

    def stream(self, epoch: int) -> Iterator[Any]:
        if self.rows(epoch) is not None:
            yield from super().stream(epoch)
            return
        elements = self.sources[0].stream(epoch)
        if self.size is None:
            held = list(elements)
            for i in permutation(self.seed, self._epoch(epoch), len(held)):
                yield held[i]
            return
        draws = Draws(self.seed, self._epoch(epoch))
        held = list(itertools.islice(elements, self.size))
        for following in elements:
            at = draws.below(len(held))
            chosen, held[at] = held[at], following
            yield chosen
        while held:
            at = draws.below(len(held))
            chosen, held[at] = held[at], held[-1]
            held.pop()
            yield chosen


class Batched(Stage):
    """Some elements each as one, stacked along a new first axis."""

    def __init__(self, source: Stage, size: int, drop: bool) -> None:
        self.sources, self.size, self.drop = (source,), size, drop
        n = source.count
        self.count = n if n is None or n == ENDLESS else n // size if drop else -(-n // size)

    def stream(self, epoch: int) -> Iterator[Any]:
        chunks = self.sources[0].rows(epoch)
        return self._selected(chunks) if chunks is not None else self._stacked(self.sources[0].stream(epoch))

    def _selected(self, chunks: Iterator[Rows]) -> Iterator[Any]:
        size = self.size
        rest: Order | None = None
        last: Rows | None = None
        for chunk in chunks:
            order, last = chunk.order, chunk
            start = 0
            if rest is not None:  # a batch that reaches over the end of a repetition
                start = size - len(rest)
                rest = np.concatenate([rest, np.asarray(order[:start], np.int64)])
                if len(rest) < size:
                    continue
                yield chunk.at(rest)
            whole = start + (len(order) - start) // size * size
            for at in range(start, whole, size):
                yield chunk.at(order[at : at + size])
            rest = np.asarray(order[whole:], np.int64) if whole < len(order) else None
        if rest is not None and last is not None and not self.drop:
            natural = isinstance(last.order, range) and len(rest) <= len(last.order)
            yield last.at(last.order[len(last.order) - len(rest) :] if natural else rest)

    def _stacked(self, elements: Iterator[Any]) -> Iterator[Any]:
        while len(held := list(itertools.islice(elements, self.size))) == self.size or (held and not self.drop):
            yield stacked(held)


class Mapped(Stage):
    """A function of each element; a tuple's parts are its arguments. Several threads may call it; the order stays."""

    def __init__(self, source: Stage, function: Callable[..., Any], threads: int = 1) -> None:
        self.sources, self.count, self.function, self.threads = (source,), source.count, function, threads

    def stream(self, epoch: int) -> Iterator[Any]:
        source = self.sources[0].stream(epoch)
        return map(self._one, source) if self.threads == 1 else self._ahead(source)

    def _one(self, item: Any) -> Any:
        return element(self.function(*item) if type(item) is tuple else self.function(item))

    def _ahead(self, source: Iterator[Any]) -> Iterator[Any]:
        from concurrent.futures import ThreadPoolExecutor  # imported late: it takes a tenth of the time of importing all of insitu

        pool = ThreadPoolExecutor(self.threads, "insitu-map")
        running: deque[Future[Any]] = deque()
        try:
            for item in source:
                running.append(pool.submit(self._one, item))
                if len(running) > 2 * self.threads:
                    yield outcome(running.popleft())
            while running:
                yield outcome(running.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def outcome(future: Future[Any]) -> Any:
    """What a call in a thread of the pool gave; an error in it is raised here, at the line of the one who asks."""
    error = future.exception()
    if error is not None:
        raise raised_here(error)
    return future.result()


def raised_here(error: BaseException) -> BaseException:
    """An error of another thread, with the user's line that waits for it where it names none of the user's (but one of the thread)."""
    if isinstance(error, UserError) and any("threading.py:" in line or "thread.py:" in line for line in error.where):
        parts = {name: getattr(error, name) for name in ("expected", "received", "fix", "slug")}
        return type(error)(error.what, **parts)
    return error


class Repeated(Stage):
    """The elements again and again; each repetition is an epoch of its own for what comes before."""

    def __init__(self, source: Stage, times: int | None) -> None:
        self.sources, self.times = (source,), times
        n = source.count
        self.count = ENDLESS if times is None else n if n is None or n == ENDLESS else n * times

    def _epochs(self, epoch: int) -> Iterable[int]:
        if self.times is None:
            return itertools.count(epoch << 32)
        return range(epoch * self.times, (epoch + 1) * self.times)

    def rows(self, epoch: int) -> Iterator[Rows] | None:
        source = self.sources[0]
        if source.count == 0 or source.rows(0) is None:
            return None
        return self._chunks(epoch)

    def _chunks(self, epoch: int) -> Iterator[Rows]:
        for inner in self._epochs(epoch):
            yield from self.sources[0].rows(inner) or ()

    def stream(self, epoch: int) -> Iterator[Any]:
        for inner in self._epochs(epoch):
            empty = True
            for item in self.sources[0].stream(inner):
                empty = False
                yield item
            if empty:
                return


class Part(Stage):
    """Without the first ``start`` elements, and no more than ``length`` of the rest."""

    def __init__(self, source: Stage, start: int, length: int | None) -> None:
        self.sources, self.start, self.length = (source,), start, length
        n = source.count
        if n == ENDLESS:
            self.count = ENDLESS if length is None else length
        elif n is not None:
            self.count = max(n - start, 0) if length is None else min(max(n - start, 0), length)

    def rows(self, epoch: int) -> Iterator[Rows] | None:
        chunks = self.sources[0].rows(epoch)
        return None if chunks is None else self._cut(chunks)

    def _cut(self, chunks: Iterator[Rows]) -> Iterator[Rows]:
        start, left = self.start, self.length
        while left is None or left > 0:
            chunk = next(chunks, None)
            if chunk is None:
                return
            part = chunk.cut(start, None if left is None else start + left)
            start = max(start - len(chunk.order), 0)
            left = None if left is None else left - len(part.order)
            if len(part.order):
                yield part

    def stream(self, epoch: int) -> Iterator[Any]:
        if self.sources[0].rows(epoch) is not None:
            return super().stream(epoch)
        return itertools.islice(self.sources[0].stream(epoch), self.start, None if self.length is None else self.start + self.length)


class Cached(Stage):
    """The elements of the first whole epoch, kept in memory."""

    def __init__(self, source: Stage) -> None:
        self.sources, self.count = (source,), source.count
        self.kept: list[Any] | None = None

    def rows(self, epoch: int) -> Iterator[Rows] | None:
        return self.sources[0].rows(0)  # arrays are in memory already

    def reset(self) -> None:
        self.kept = None

    def stream(self, epoch: int) -> Iterator[Any]:
        if self.rows(0) is not None:
            yield from super().stream(0)
        elif self.kept is not None:
            yield from self.kept
        else:
            seen = []
            for item in self.sources[0].stream(0):
                seen.append(item)
                yield item
            self.kept = seen


class Zipped(Stage):
    """Tuples of the elements of several data sets, as long as all have some."""

    def __init__(self, sources: Sequence[Stage]) -> None:
        self.sources = tuple(sources)
        counts = [s.count for s in sources]
        finite = [n for n in counts if n is not None and n != ENDLESS]
        self.count = None if None in counts else min(finite) if finite else ENDLESS

    def stream(self, epoch: int) -> Iterator[Any]:
        return zip(*(s.stream(epoch) for s in self.sources), strict=False)


class Numbered(Stage):
    """Pairs of a number, counted up from ``start``, and an element."""

    def __init__(self, source: Stage, start: int) -> None:
        self.sources, self.count, self.start = (source,), source.count, start

    def stream(self, epoch: int) -> Iterator[Any]:
        return ((np.int64(i), item) for i, item in enumerate(self.sources[0].stream(epoch), self.start))


def element(value: Any) -> Any:
    """One element as a tree of NumPy arrays and numbers; text and other objects stay as they are."""
    if isinstance(value, tuple):
        parts = [element(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {k: element(v) for k, v in value.items()}
    if isinstance(value, list):
        if any(is_array(v) or isinstance(v, dict | tuple) for v in value):
            return [element(v) for v in value]
        return numpy_array(value, "Dataset", "an element")
    if isinstance(value, np.ndarray | np.generic):
        return value
    if isinstance(value, bool | int | float):
        return (np.bool_ if isinstance(value, bool) else np.int64 if isinstance(value, int) else np.float32)(value)
    return numpy_array(value, "Dataset", "an element") if is_array(value) else value


def stacked(items: Sequence[Any]) -> Any:
    """Elements of one form as one: their arrays stacked along a new first axis."""
    leaves, structure = flatten(items[0])
    columns: list[list[Any]] = [[leaf] for leaf in leaves]
    for item in items[1:]:
        more, form = flatten(item)
        if form is not structure:
            raise _cannot_stack("different forms", f"{describe(structure)} and {describe(form)}", "let all elements have the same parts")
        for column, leaf in zip(columns, more, strict=True):
            column.append(leaf)
    out = []
    for column in columns:
        shapes = {np.shape(leaf) for leaf in column}
        if len(shapes) > 1:
            shown = " and ".join(map(str, sorted(shapes)[:3]))
            raise _cannot_stack("different shapes", f"shapes {shown}", "pad or cut them with .map(f) before .batch(n)")
        out.append(np.asarray(column))
    return unflatten(structure, out)


def _cannot_stack(why: str, received: str, fix: str) -> ShapeError:
    return ShapeError(
        f"Dataset.batch: the elements of a batch have {why}.",
        expected="elements that are alike",
        received=received,
        fix=fix,
        slug="data-ragged",
    )
