"""`Dataset`: elements one after the other, made by a pipeline of stages, in an order that a seed and an epoch fix."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from insitu.arguments import COUNT, FLAG, FUNCTION, Checked, Function, Whole, checked
from insitu.array.random import default_generator
from insitu.data import stages
from insitu.data.examples import check_lengths, holds_several, is_array, named_leaves, nothing, numpy_array
from insitu.data.prefetch import Prefetched
from insitu.errors import ArgumentError, ShapeError, UserError

State = dict[str, Any]


class LengthError(UserError, TypeError):
    """A length that nobody knows. A `TypeError`, so that ``list(dataset)`` goes on without it."""


STATE = Whole(0, 2**64, slug="dataset-argument")
MAKER = Function(slug="dataset-source", fix="pass the function without calling it: from_generator(f)")


class Dataset:
    """Elements one after the other: rows of arrays, or whatever an iterable gives.

    Each method gives a new data set and leaves this one as it is. Each `iter` is an *epoch*; the order of a shuffled data set
    follows from its seed and the number of the epoch alone, so that a training that goes on at epoch 5 meets the order it would
    have met without the stop.

    Parameters
    ----------
    source : array_like, tree of array_like, or iterable
        Arrays of one length, alone or in tuples, dicts and lists: the elements are their rows. Anything else that can be
        iterated: the elements are what it gives, with numbers as NumPy arrays.

    Attributes
    ----------
    epoch : int
        The epoch that the next `iter` begins.

    Raises
    ------
    ShapeError
        For arrays of different lengths.
    ArgumentError
        For a source without elements, or one that cannot be iterated.

    Examples
    --------
    >>> import insitu as si
    >>> (x, y), _ = si.data.digits()
    >>> train = si.data.Dataset((x, y)).shuffle(seed=1).batch(100).prefetch()
    >>> len(train), [x.shape for x, y in train][-1]
    (15, (42, 8, 8))
    >>> [int(n) for n in si.data.Dataset(range(10)).map(lambda n: n * n).take(3)]
    [0, 1, 4]
    """

    @checked(source=Checked("arrays, a list, or something that can be iterated", ([1, 2, 3],)))
    def __init__(self, source: Any) -> None:
        self._stage: stages.Stage = source if isinstance(source, stages.Stage) else _source(source)
        self.epoch = 0

    @classmethod
    @checked(
        "dataset-argument",
        function=Function(slug="dataset-source", fix="pass the function without calling it: from_generator(f)"),
        length=Whole(0) | None,
    )
    def from_generator(cls, function: Callable[[], Iterable[Any]], length: int | None = None) -> Dataset:
        """Elements of what ``function()`` gives, which is called at the beginning of each epoch.

        Parameters
        ----------
        function : callable
            Without arguments, such as a generator function.
        length : int, optional
            The number of elements, if it is known.

        Examples
        --------
        >>> def squares():
        ...     for n in range(4):
        ...         yield n, n * n
        >>> [y.tolist() for n, y in Dataset.from_generator(squares).batch(3)]
        [[0, 1, 4], [9]]
        """
        return cls(stages.Elements(function, length))

    @staticmethod
    @checked(datasets=Checked("data sets"))
    def zip(*datasets: Dataset) -> Dataset:
        """Tuples of the elements of several data sets; it ends with the shortest.

        Examples
        --------
        >>> [(int(a), int(b)) for a, b in Dataset.zip(Dataset([1, 2]), Dataset([3, 4, 5]))]
        [(1, 3), (2, 4)]
        """
        given: Any = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], tuple | list) else datasets
        if not given or not all(isinstance(d, Dataset) for d in given):
            raise ArgumentError(
                "Dataset.zip takes data sets.",
                expected="one Dataset or more",
                received=", ".join(type(d).__name__ for d in given) or "nothing",
                fix="make each of them one: Dataset.zip(Dataset(a), Dataset(b))",
                slug="dataset-argument",
            )
        parts = [d._stage for d in given]
        if all(isinstance(s, stages.Slices) for s in parts) and len({s.count for s in parts}) == 1:
            return Dataset(stages.Slices(tuple(s.tree for s in parts if isinstance(s, stages.Slices))))
        return Dataset(stages.Zipped(parts))

    @checked("dataset-argument", buffer_size=COUNT | None, seed=STATE | None, reshuffle_each_iteration=FLAG)
    def shuffle(self, buffer_size: int | None = None, seed: int | None = None, reshuffle_each_iteration: bool = True) -> Dataset:
        """The elements in a random order.

        Parameters
        ----------
        buffer_size : int, optional
            Draw each element from the next ``buffer_size`` ones; default: from all, which are held in memory if they are not
            arrays there already.
        seed : int, optional
            Default: drawn from the default generator (see `insitu.random.seed`).
        reshuffle_each_iteration : bool
            Whether each epoch has an order of its own.

        Examples
        --------
        >>> data = Dataset(range(5)).shuffle(seed=3)
        >>> sorted(int(n) for n in data)
        [0, 1, 2, 3, 4]
        """
        size = buffer_size
        if self.endless and size is None:
            raise ArgumentError(
                "Dataset.shuffle: a data set without end cannot be shuffled as a whole.",
                expected="a data set that ends, or a buffer_size",
                received="shuffle() after repeat()",
                fix="shuffle first: data.shuffle().repeat()",
                slug="dataset-argument",
            )
        chosen = default_generator().spawn(1)[0].state["state"] if seed is None else seed
        return Dataset(stages.Shuffle(self._stage, size, chosen, reshuffle_each_iteration))

    @checked("dataset-argument", batch_size=COUNT, drop_remainder=FLAG)
    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """``batch_size`` elements as one, their arrays stacked along a new first axis.

        Parameters
        ----------
        batch_size : int
        drop_remainder : bool
            Whether to leave out a last batch that is smaller.

        Raises
        ------
        ShapeError
            When elements of a batch have different forms or shapes.
        """
        return Dataset(stages.Batched(self._stage, batch_size, drop_remainder))

    @checked("dataset-argument", function=FUNCTION, num_parallel_calls=COUNT)
    def map(self, function: Callable[..., Any], num_parallel_calls: int = 1) -> Dataset:
        """``function`` of each element; the parts of a tuple are its arguments, as in ``map(lambda x, y: (x / 255, y))``.

        Parameters
        ----------
        function : callable
        num_parallel_calls : int
            Threads that call it, ahead of the one who iterates. The order of the elements stays. Worth it for functions that read
            files or spend their time in libraries, such as the decoders of pictures.

        Examples
        --------
        >>> [int(n) for n in Dataset(range(4)).map(lambda n: n * n, num_parallel_calls=2)]
        [0, 1, 4, 9]
        """
        return Dataset(stages.Mapped(self._stage, function, num_parallel_calls))

    @checked("dataset-argument", buffer_size=COUNT)
    def prefetch(self, buffer_size: int = 2) -> Dataset:
        """The same elements, prepared ahead by a thread, also over the end of an epoch.

        What the stages before do (`map`, `from_generator`) runs in that thread, and the first elements of the next epoch are
        made even if nobody asks for them. An exception in it reaches the one who iterates.

        Parameters
        ----------
        buffer_size : int
            Elements that may wait.
        """
        return Dataset(Prefetched(self._stage, buffer_size))

    @checked("dataset-argument", count=Whole(0) | None)
    def repeat(self, count: int | None = None) -> Dataset:
        """The elements ``count`` times, by default for ever; each repetition is shuffled anew."""
        return Dataset(stages.Repeated(self._stage, count))

    @checked("dataset-argument", count=Whole(0))
    def take(self, count: int) -> Dataset:
        """No more than the first ``count`` elements."""
        return Dataset(stages.Part(self._stage, 0, count))

    @checked("dataset-argument", count=Whole(0))
    def skip(self, count: int) -> Dataset:
        """The elements without the first ``count``."""
        return Dataset(stages.Part(self._stage, count, None))

    def cache(self) -> Dataset:
        """The elements of the first epoch that is iterated to its end, kept in memory for all later ones."""
        return Dataset(stages.Cached(self._stage))

    @checked("dataset-argument", start=Whole(0))
    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of a number and an element."""
        return Dataset(stages.Numbered(self._stage, start))

    @property
    def endless(self) -> bool:
        """Whether it is known to have no end, as after ``repeat()``."""
        return self._stage.count == stages.ENDLESS

    def __len__(self) -> int:
        count = self._stage.count
        if count is not None and not self.endless:
            return count
        raise LengthError(
            "The length of this data set is not known.",
            expected="a data set made from arrays, or from something that has a length",
            received="a data set that is repeated for ever" if self.endless else "a data set made from a generator",
            fix="count its elements with sum(1 for _ in data)" if count is None else "call len before repeat()",
            slug="dataset-length",
        )

    def __bool__(self) -> bool:
        return True  # as an object; its length may be unknown

    def __iter__(self) -> Iterator[Any]:
        epoch = self.epoch
        self.epoch = epoch + 1
        return self.elements(epoch)

    @checked("dataset-argument", epoch=Whole(0))
    def elements(self, epoch: int) -> Iterator[Any]:
        """The elements of the epoch with that number; the same ones, in the same order, each time it is called."""
        return self._stage.stream(epoch)

    @checked("dataset-argument", epoch=Whole(0))
    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter` begin that epoch."""
        self.epoch = epoch

    def state(self) -> State:
        """What fixes the orders to come, as JSON values: the number of the next epoch, and the seeds.

        Examples
        --------
        >>> data = Dataset(range(100)).shuffle(seed=7)
        >>> _ = list(data)
        >>> state = data.state()
        >>> again = Dataset(range(100)).shuffle()
        >>> again.set_state(state)
        >>> list(again) == list(data)
        True
        """
        return {"epoch": self.epoch, "seeds": [s.seed for s in self._shuffles()]}

    @checked(state=Checked("what state() of the same pipeline gave", ({"epoch": 0, "seeds": []},), ({"epoch": -1, "seeds": []}, {"epoch": 0})))
    def set_state(self, state: State) -> None:
        """Go on from where `state` was asked for, also in another process that built the same pipeline.

        Raises
        ------
        ArgumentError
            If the state is that of another pipeline.
        """
        shuffles = self._shuffles()
        seeds = state.get("seeds") if isinstance(state, dict) else None
        if not isinstance(seeds, list) or len(seeds) != len(shuffles) or "epoch" not in state:
            raise ArgumentError(
                "Dataset.set_state: this is not the state of such a data set.",
                expected=f'{{"epoch": ..., "seeds": [{", ".join(["..."] * len(shuffles))}]}}',
                received=repr(state)[:80],
                fix="pass what state() of the same pipeline gave",
                slug="dataset-argument",
            )
        self.set_epoch(state["epoch"])
        for stage, seed in zip(shuffles, seeds, strict=True):
            stage.seed = STATE.check("set_state", "seed", seed)
        for other in stages.walk(self._stage):
            other.reset()

    def _shuffles(self) -> list[stages.Shuffle]:
        return [s for s in stages.walk(self._stage) if isinstance(s, stages.Shuffle)]

    def __repr__(self) -> str:
        count = self._stage.count
        shown = "unknown length" if count is None else "endless" if self.endless else f"{count} elements"
        return f"Dataset({shown}: {' > '.join(type(s).__name__.lower() for s in stages.walk(self._stage))})"


def _source(source: Any) -> stages.Stage:
    """The first stage."""
    if isinstance(source, Dataset):
        return source._stage
    if isinstance(source, dict | tuple) or is_array(source) or (isinstance(source, list) and source and holds_several(source)):
        return _slices(_rows(source, "source"))
    if isinstance(source, list | range) and not any(isinstance(item, tuple | dict) for item in source):
        try:
            return _slices(numpy_array(source, "Dataset", "source"))
        except ShapeError:
            return stages.Elements(lambda: source, len(source))  # elements of different shapes, to be padded by map
    if hasattr(source, "__next__"):
        return stages.Elements(lambda: source, None, restartable=False)
    if hasattr(source, "__iter__") and not isinstance(source, str | bytes):
        return stages.Elements(lambda: source, _length(source))
    raise ArgumentError(
        "Dataset needs arrays, or something that gives elements.",
        expected="arrays of one length, dicts and tuples of them, or an iterable",
        received=f"{source!r:.60}" if not callable(source) else f"the function {getattr(source, '__name__', '')}",
        fix="si.data.Dataset.from_generator(f)" if inspect.isfunction(source) else "pass si.data.Dataset((x, y))",
        slug="dataset-source",
        argument="source",
    )


def _rows(tree: Any, name: str) -> Any:
    if isinstance(tree, dict):
        return {key: _rows(value, f"{name}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, tuple) or (isinstance(tree, list) and tree and holds_several(tree)):
        parts = [_rows(value, f"{name}[{i}]") for i, value in enumerate(tree)]
        return parts if isinstance(tree, list) else type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    array = numpy_array(tree, "Dataset", name)
    if array.ndim:
        return array
    raise ShapeError(
        f"Dataset: {name} must have an axis of examples.",
        expected="(examples, ...)",
        received=f"{tree!r:.60}",
        fix="pass a list or an array",
        slug="data-rank",
        argument="source",
    )


def _slices(tree: Any) -> stages.Slices:
    leaves = named_leaves(tree, "source")
    if not leaves:
        raise nothing("Dataset", "source", "no arrays")
    check_lengths("Dataset", leaves)
    return stages.Slices(tree)


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except (TypeError, AttributeError, NotImplementedError):
        return None
