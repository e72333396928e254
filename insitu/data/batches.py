"""`Batches`: data that come batch by batch, from any iterable."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from insitu.array.tree import describe, flatten
from insitu.data.examples import Tree, check_lengths, is_plain, named_leaves, stem, tree
from insitu.errors import ArgumentError, UserError

if TYPE_CHECKING:
    from insitu.data.dataset import Dataset

Batch = tuple[Tree, Tree, Tree]
State = dict[str, Any]

_FORMS = "x, (x,), (x, y) or (x, y, sample_weight), of NumPy arrays or dicts and lists of them"
_AXIS_FIX = "let each item be a batch with an axis of examples: dataset.batch(32)"


class Batches:
    """Batches of ``(x, y, weight)``, which `iter` gives as trees of NumPy arrays; y and weight may be None.

    Parameters
    ----------
    make : callable
        Takes the number of an epoch and gives an iterable of batches.
    steps : int, optional
        Batches in an epoch, where that is known.
    restartable : bool
        Whether ``make`` can be called again: not for a generator.
    function : str
        The name for messages.
    parts : callable, optional
        Makes of a batch that is no tuple its x and y.
    source : Dataset, optional
        The `Dataset` the batches come from: its order is saved and resumed.

    Attributes
    ----------
    epoch : int
        The epoch that the next `iter` begins.
    """

    def __init__(
        self,
        make: Callable[[int], Iterable[Any]],
        steps: int | None = None,
        *,
        restartable: bool = True,
        function: str = "fit",
        parts: Callable[[Any], Any] | None = None,
        source: Dataset | None = None,
    ) -> None:
        self._make, self.steps, self.restartable, self.function, self._parts, self.source = make, steps, restartable, function, parts, source
        self.epoch = 0 if source is None else source.epoch
        self._spent = False
        self._form: Any = None
        self._opened: tuple[int, Batch, Iterator[Batch]] | None = None
        self._going: Iterator[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch.

        Raises
        ------
        ArgumentError
            If there are none, or the generator was used up before.
        UserError
            If a batch is not what `fit` can use; the message has its number.
        """
        opened, self._opened = self._opened, None
        epoch = self.epoch
        self.epoch = epoch + 1
        if self.source is not None:
            self.source.set_epoch(epoch + 1)
        if opened is not None and (opened[0] == epoch or self.source is None):
            return _joined(opened[1], opened[2])
        return self._read(epoch)

    def peek(self) -> Batch:
        """The first batch of the next epoch, which `iter` gives again; nothing is read twice or lost."""
        if self._opened is None or (self._opened[0] != self.epoch and self.restartable):
            rest = self._read(self.epoch)
            self._opened = (self.epoch, next(rest), rest)
        return self._opened[1]

    def following(self, limit: int | None) -> Iterator[Batch]:
        """At most ``limit`` batches: of a generator those after the last that were asked for so, of anything else those of the next epoch."""
        if self.restartable:
            return itertools.islice(self, limit)
        if self._going is None:
            self._going = iter(self)
        return itertools.islice(self._going, limit)

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter` begin that epoch: a shuffled `Dataset` gives the order it has in that epoch."""
        self.epoch = epoch

    def state(self) -> State:
        """What fixes the order of the epochs to come, as JSON values."""
        own = {"epoch": self.epoch}
        return {**self.source.state(), **own} if self.source is not None else own

    def set_state(self, state: State) -> None:
        """Go on from where `state` was asked for."""
        self._opened = None if self.restartable else self._opened
        if self.source is not None:
            self.source.set_state(state)
        self.epoch = state["epoch"]

    def mapped(self, change: Callable[[Tree, Tree, Tree], Batch]) -> Batches:
        """The same batches, changed by a function of ``(x, y, weight)``; order and state stay those of the source."""
        return _Changed(self, change)

    @property
    def unchanged(self) -> Batches:
        """The batches as they are read, before `mapped`."""
        return self

    def _read(self, epoch: int) -> Iterator[Batch]:
        if self._spent:
            raise _no_batches(self.function, "a generator that was used up before")
        self._spent = not self.restartable
        number = -1
        for number, item in enumerate(self._make(epoch)):
            yield self._batch(item, number)
        if number < 0:
            raise _no_batches(self.function, "nothing at all")

    def _batch(self, item: Any, number: int) -> Batch:
        """One batch in three parts, checked; ``number`` is for the messages."""
        parts = self._parts(item) if self._parts is not None and not isinstance(item, tuple) else item
        if isinstance(parts, list):  # as torch's DataLoader gives them
            parts = tuple(parts)
        if not isinstance(parts, tuple):
            parts = (parts,)
        if 0 < len(parts) <= 3 and all(map(is_plain, parts)) and len({len(part) for part in parts}) == 1:
            found: Any = (*parts, None, None)[:3]  # nothing to convert and nothing to refuse, as with each batch of a Dataset of arrays
            return self._alike(found, number)
        if not 0 < len(parts) <= 3 or parts[0] is None or isinstance(parts[0], str | bytes):
            raise _odd_batch(self.function, number, _described(item))
        x = tree(parts[0], self.function, f"x of batch {number}", _AXIS_FIX)
        y, weight = (
            None if len(parts) <= k or parts[k] is None else tree(parts[k], self.function, f"{name} of batch {number}", _AXIS_FIX)
            for k, name in ((1, "y"), (2, "sample_weight"))
        )
        leaves = [leaf for part, name in ((x, "x"), (y, "y"), (weight, "sample_weight")) for leaf in named_leaves(part, f"{name} of batch {number}")]
        check_lengths(self.function, leaves, "let a batch hold equally many of each; single examples need dataset.batch(32)")
        return self._alike((x, y, weight), number)

    def _alike(self, batch: Batch, number: int) -> Batch:
        form = flatten(batch)[1]
        if self._form is None:
            self._form = form
        elif self._form is not form:
            raise _odd_batch(self.function, number, describe(form), f"the form of the first batch, {describe(self._form)}")
        return batch


class _Changed(Batches):
    """What `Batches.mapped` gives. A look at the first batch leaves those that are read as they are."""

    def __init__(self, origin: Batches, change: Callable[[Tree, Tree, Tree], Batch]) -> None:
        super().__init__(origin._make, origin.steps, restartable=origin.restartable, function=origin.function, source=origin.source)
        self._origin, self._change, self.epoch = origin, change, origin.epoch

    def __iter__(self) -> Iterator[Batch]:
        self._origin.set_epoch(self.epoch)
        self.epoch += 1
        return itertools.starmap(self._change, self._origin)

    def peek(self) -> Batch:
        self._origin.set_epoch(self.epoch)
        return self._change(*self._origin.peek())

    def set_state(self, state: State) -> None:
        self._origin.set_state(state)
        self.epoch = state["epoch"]

    @property
    def unchanged(self) -> Batches:
        return self._origin.unchanged


#: Batches on generators of which the first was only looked at; whoever trains on the generator takes them.
_looked_at: weakref.WeakKeyDictionary[Any, Batches] = weakref.WeakKeyDictionary()
#: The same for iterators that take no weak reference, such as those of zip, by their id.
_held: dict[int, tuple[Any, Batches]] = {}


def remember(source: Any, batches: Batches) -> None:
    """Keep what was read of a generator for the next who asks for its batches; anything else can be read again."""
    if batches.restartable:
        return
    try:
        _looked_at[source] = batches.unchanged
    except TypeError:
        _held[id(source)] = source, batches.unchanged


def remembered(source: Any) -> Batches | None:
    """The batches of a generator that was looked at, once."""
    held = _held.pop(id(source), None)
    if held is not None:
        return held[1]
    try:
        return _looked_at.pop(source, None)
    except TypeError:
        return None


def _joined(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest


def _described(item: Any) -> str:
    kind = type(item).__name__
    return f"a {kind} of {len(item)} parts" if isinstance(item, tuple | list) else f"{kind}: {item!r:.60}"


def _odd_batch(function: str, number: int, received: str, expected: str = _FORMS) -> UserError:
    return ArgumentError(
        f"{function}: batch {number} has a form that cannot be used.",
        expected=expected,
        received=received,
        fix="let each batch be a tuple (x, y)" if stem(function) != "predict" else "let each batch be the inputs, or a tuple that begins with them",
        slug="data-batch",
        argument="x",
    )


def _no_batches(function: str, received: str) -> UserError:
    return ArgumentError(
        f"{function}: the data gave no batches.",
        expected="an iterable that gives at least one batch in each epoch",
        received=received,
        fix="pass a function that makes a new generator, or a Dataset, which begin anew in each epoch",
        slug="data-no-batches",
        argument="x",
    )
