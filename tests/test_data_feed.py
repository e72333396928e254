"""What users pass as data becomes arrays or batches; what cannot is refused with a message that says which."""

from __future__ import annotations

import numpy as np
import pytest

import insitu as si
from insitu.data import Dataset
from insitu.data.batches import Batches
from insitu.data.feed import Arrays, examples, feed, no_targets, validation
from insitu.errors import DTypeError, UserError

X, Y = np.arange(24, dtype=np.float32).reshape(8, 3), np.arange(8)


# -- other libraries' objects, by what they can do -------------------------------------------------------
class Tensor:
    """A torch tensor: no NumPy array before detach and cpu."""

    def __init__(self, array, ready=0):
        self.array, self.ready, self.shape = np.asarray(array), ready, np.shape(array)

    def detach(self):
        return Tensor(self.array, 1)

    def cpu(self):
        return Tensor(self.array, self.ready + 1)

    def numpy(self):
        if self.ready < 2:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array


class Frame:
    """A table of pandas."""

    def __init__(self, **columns):
        self.table = {k: np.asarray(v) for k, v in columns.items()}
        self.columns, self.dtypes = list(columns), [c.dtype for c in self.table.values()]
        self.shape = (len(next(iter(self.table.values()))), len(columns))

    def __len__(self):
        return self.shape[0]

    def __iter__(self):
        return iter(self.columns)

    def to_numpy(self, dtype=None, na_value=None):
        kinds = {c.dtype for c in self.table.values()}
        return np.stack([c.astype(dtype or (kinds.pop() if len(kinds) == 1 else object)) for c in self.table.values()], 1)


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Loader:
    """A torch DataLoader."""

    def __init__(self, *arrays, batch_size=3, length=True, dataset=None):
        self.arrays, self.batch_size, self.length, self.dataset = arrays, batch_size, length, dataset

    def __iter__(self):
        for at in range(0, len(self.arrays[0]), self.batch_size):
            yield [Tensor(a[at : at + self.batch_size]) for a in self.arrays]

    def __len__(self):
        if not self.length:
            raise TypeError("IterableDataset has no len")
        return len(list(iter(self)))


class Sequence:
    """A Keras PyDataset."""

    def __init__(self):
        self.ends = 0

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]

    def on_epoch_end(self):
        self.ends += 1


class Columns:
    """A Hugging Face data set in memory."""

    def __init__(self, **table):
        self.table, self.column_names, self.format = table, list(table), None

    def with_format(self, kind):
        out = Columns(**self.table)
        out.format = kind
        return out

    def __len__(self):
        return len(next(iter(self.table.values())))

    def __iter__(self):
        raise AssertionError("read as a whole")

    def __getitem__(self, key):
        return {k: np.asarray(v) if self.format == "numpy" else list(v) for k, v in self.table.items()}


class Stream:
    """A Hugging Face data set that is streamed, after batch(4)."""

    column_names = None

    def with_format(self, kind):
        return self

    def __iter__(self):
        for i in (0, 4):
            yield {"image": X[i : i + 4], "label": Y[i : i + 4]}


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return (a is None and b is None) or (type(a) is type(b) is np.ndarray and a.dtype == b.dtype and np.array_equal(a, b))


def joined(batches) -> tuple:
    xs, ys, ws = zip(*batches, strict=True)
    return tuple(None if part[0] is None else np.concatenate(part) for part in (xs, ys, ws))


# -- arrays ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (X, X),
        (si.asarray(X), X),
        (si.Variable(X), X),
        (X.tolist(), X),
        (Tensor(X), X),
        (OnlyDLPack(X), X),
        (X.astype(">f4"), X),
        (np.asfortranarray(X), X),
        (list(X[:, 0].astype(np.int8)), X[:, 0].astype(np.int8)),
        ([1, 2, 2.5], np.asarray([1, 2, 2.5], np.float32)),
        (range(4), np.arange(4)),
        (Frame(a=[1.0, 2.0], b=[True, False]), np.asarray([[1.0, 1.0], [2.0, 0.0]])),
        (Frame(a=[1, 2], b=[3, 4]), np.asarray([[1, 3], [2, 4]])),
        ([X, Y], [X, Y]),
        ((X, Tensor(Y)), (X, Y)),
        ({"a": X, "b": [Y, Y]}, {"a": X, "b": [Y, Y]}),
        ([[1.0], [2.0]], np.asarray([[1], [2]], np.float32)),
    ],
)
def test_what_is_in_memory_becomes_plain_arrays(value, expected):
    got = feed(value, function="predict")
    assert isinstance(got, Arrays) and same(got.x, expected) and got.y is None and got.weight is None
    first = got.x if isinstance(got.x, np.ndarray) else next(iter(got.x.values() if isinstance(got.x, dict) else got.x))
    assert first.flags.c_contiguous and first.dtype.isnative and got.count == len(first)


def test_plain_arrays_are_not_copied():
    assert feed(X, Y).x is X
    assert np.shares_memory(feed(Tensor(X)).x, X)


def test_rows_and_split_cut_all_parts():
    data = feed([X, X], {"a": Y, "b": Y}, {"a": np.ones(8)})
    part = data.rows(slice(2, 5))
    assert part.count == 3 and same(part.x, [X[2:5], X[2:5]]) and same(part.y, {"a": Y[2:5], "b": Y[2:5]})
    assert np.shares_memory(part.x[0], X)
    assert same(data.rows(np.asarray([5, 0])).y["a"], Y[[5, 0]])
    first, last = data.split(0.25)
    assert (first.count, last.count) == (6, 2) and same(last.weight, {"a": np.ones(2)})
    assert feed(X).split(0.5)[1].y is None
    for wrong in (0, 1, 1.5, "0.1", 0.999, None):
        with pytest.raises(UserError) as caught:
            data.split(wrong)
        assert caught.value.slug == "validation-split"


def test_real_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": pandas.array([3, None], dtype="Int64")})
    assert np.array_equal(feed(frame).x, [[1, 1, 3], [2, 0, np.nan]], equal_nan=True)
    assert same(feed(frame[["a"]], pandas.Series([4, 5])).y, np.asarray([4, 5]))
    assert feed(pandas.DataFrame({"a": np.float32([1]), "b": np.float32([2])})).x.dtype == np.float32
    frame["name"] = ["x", "y"]
    with pytest.raises(DTypeError, match="'name'") as caught:
        feed(frame)
    assert caught.value.slug == "data-dtype"
    with pytest.raises(DTypeError, match=r"np\.unique"):
        feed(X[:2], pandas.Series(["x", "y"]))
    with pytest.raises(DTypeError):
        feed(pandas.Series(pandas.to_datetime(["2020-01-01"])))


# -- batches ---------------------------------------------------------------------------------------------
def generator():
    for at in range(0, 8, 3):
        yield X[at : at + 3], Y[at : at + 3]


@pytest.mark.parametrize(
    ("make", "steps", "restartable"),
    [
        (generator, None, False),
        (lambda: generator, None, True),
        (lambda: list(generator()), 3, True),
        (lambda: zip(np.split(X, 4), np.split(Y, 4), strict=True), None, False),
        (lambda: Loader(X, Y), 3, True),
        (lambda: Loader(X, Y, length=False), None, True),
        (Sequence, 2, True),
        (lambda: Dataset((X, Y)).batch(3), 3, True),
        (lambda: Dataset((X, Y)).batch(3).prefetch(), 3, True),
        (Stream, None, True),
    ],
)
def test_batches_of_all_kinds(make, steps, restartable):
    got = feed(make())
    assert isinstance(got, Batches) and got.steps == steps and got.restartable == restartable
    first = got.peek()
    assert got.peek() is first
    once = list(got)
    assert same(once[0], first) and same(joined(once), (X, Y, None))
    if restartable:
        assert same(joined(got), (X, Y, None)) and same(joined(got), (X, Y, None))
    else:
        with pytest.raises(UserError) as caught:
            list(got)
        assert caught.value.slug == "data-no-batches" and "used up" in str(caught.value)


def test_a_sequence_hears_of_the_end_of_each_epoch():
    sequence = Sequence()
    got = feed(sequence)
    got.peek()
    assert sequence.ends == 0
    list(got), list(got)
    assert sequence.ends == 2


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (X, (X, None, None)),
        ((X,), (X, None, None)),
        ([Tensor(X), Tensor(Y)], (X, Y, None)),
        ((X, None, Y), (X, None, Y)),
        ((X, Y, Y), (X, Y, Y)),
        (({"a": X}, [Y, X]), ({"a": X}, [Y, X], None)),
        ({"a": X, "label": Y}, ({"a": X, "label": Y}, None, None)),
        ((X.tolist(), Y.tolist()), (X, Y, None)),
        ((X, {"a": Y}, {"a": Y}), (X, {"a": Y}, {"a": Y})),
    ],
)
def test_forms_of_a_batch(item, expected):
    assert same(feed(iter([item])).peek(), expected)


def test_columns_of_a_hugging_face_data_set():
    got = feed(Columns(image=X, label=Y))
    assert isinstance(got, Arrays) and same((got.x, got.y), (X, Y))
    got = feed(Columns(a=X, b=Y, labels=Y))
    assert same((got.x, got.y), ({"a": X, "b": Y}, Y))
    got = feed(Columns(a=X, b=Y, label=Y), "b")
    assert same((got.x, got.y), ({"a": X, "label": Y}, Y))
    assert same(feed(Columns(a=X)).x, X) and feed(Columns(a=X), Y).y is Y
    loader = Loader(X, dataset=Columns(image=X, label=Y))
    loader.__class__ = type("ColumnLoader", (Loader,), {"__iter__": lambda self: iter([{"image": Tensor(X), "label": Tensor(Y)}])})
    assert same(feed(loader).peek(), (X, Y, None))
    assert same(feed(Stream(), "label").peek(), (X[:4], Y[:4], None))
    assert same(joined(feed(Stream(), "image"))[:2], (Y, X))


def test_order_of_a_data_set_is_resumed_and_looking_ahead_changes_nothing():
    def build():
        return feed(Dataset((X, Y)).shuffle(seed=3).batch(3).prefetch())

    plain = build()
    orders = [joined(plain)[1].tolist() for _ in range(4)]
    assert len(set(map(tuple, orders))) == 4
    looked = build()
    looked.peek()
    assert [joined(looked)[1].tolist() for _ in range(2)] == orders[:2]
    looked.peek()
    state = looked.state()
    resumed = build()
    resumed.peek()
    resumed.set_state(state)
    assert [joined(resumed)[1].tolist() for _ in range(2)] == orders[2:]
    jumped = build()
    jumped.peek()
    jumped.set_epoch(3)
    assert joined(jumped)[1].tolist() == orders[3]
    source = Dataset((X, Y)).shuffle(seed=3).batch(3)
    list(feed(source))
    assert source.epoch == 1 and joined(feed(source))[1].tolist() == orders[1]


def test_changed_batches_keep_order_and_state():
    def build():
        return feed(Dataset((X, Y)).shuffle(seed=3).batch(3)).mapped(lambda x, y, weight: (x, y + 100, weight))

    plain = build()
    orders = [joined(plain)[1].tolist() for _ in range(3)]
    assert sorted(orders[0]) == list(range(100, 108)) and plain.steps == 3
    other = build()
    other.peek()
    other.set_state({"epoch": 1, "seeds": [3]})
    assert [joined(other)[1].tolist() for _ in range(2)] == orders[1:] and other.state() == {"epoch": 3, "seeds": [3]}
    once = feed(generator())
    once.peek()
    assert joined(once.mapped(lambda x, y, weight: (x, y, y)))[2].tolist() == Y.tolist()


def test_endless_data_are_fed_without_end():
    batches = iter(feed(Dataset((X, Y)).repeat().batch(5)))
    assert [len(next(batches)[1]) for _ in range(20)] == [5] * 20


# -- validation data -------------------------------------------------------------------------------------
def test_validation_data():
    assert same(validation((X, Y)).y, Y) and same(validation([X, Y, Y]).weight, Y)
    assert validation((X, None)).y is None
    for batches in (Dataset((X, Y)).batch(3), list(generator()), Loader(X, Y), generator):
        assert same(joined(validation(batches)), (X, Y, None))
    assert same(validation(Columns(a=X, label=Y)).y, Y)
    for wrong in (X, (X,), "text", {"x": X}, 3):
        with pytest.raises(UserError) as caught:
            validation(wrong)
        assert caught.value.slug == "validation-data"
    with pytest.raises(UserError, match="validation y") as caught:
        validation((X, Y[:3]))
    assert caught.value.slug == "fit-lengths-differ"


# -- mistakes --------------------------------------------------------------------------------------------
def one_by_one():
    yield X[0], Y[0]


def changing():
    yield X, Y
    yield X


def with_argument(path):
    yield path


class Examples:
    """A torch Dataset: examples by number."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[i]


@pytest.mark.parametrize(
    ("make", "slug", "texts"),
    [
        (lambda: feed([[1.0], [1.0, 2.0]]), "data-ragged", ["x"]),
        (lambda: feed([X, X[:5]]), "data-ragged", ["(8, 3), (5, 3)", "several inputs"]),
        (lambda: feed(np.asarray([X[0], X[0, :2]], object)), "data-ragged", ["(3,), (2,)"]),
        (lambda: feed(Columns(a=np.asarray([[1], [1, 2]], object))), "data-ragged", ["different shapes"]),
        (lambda: feed(X, ["a"] * 8), "data-dtype", ["y must hold numbers", "np.unique"]),
        (lambda: feed("text"), "data-dtype", ["x must hold numbers"]),
        (lambda: feed(None), "data-dtype", ["None"]),
        (lambda: feed({1.0, 2.0}), "data-dtype", ["set"]),
        (lambda: feed({"a": X, "b": np.asarray([None] * 8)}), "data-dtype", ["x['b']", "among them None"]),
        (lambda: feed(X.astype(object)), "data-dtype", ["object, each number an object of its own", 'x.astype("float32")']),
        (lambda: feed(X.astype(complex)), "data-dtype", ["complex128"]),
        (lambda: feed(3.0), "data-rank", ["single number"]),
        (lambda: feed(X[:0], Y[:0]), "fit-empty-data", ["x holds no examples"]),
        (lambda: feed([], function="predict"), "predict-empty-data", ["x"]),
        (lambda: feed(X[:0], function="train_on_batch"), "fit-empty-data", ["train_on_batch"]),
        (lambda: feed({}, function="adapt"), "data-empty", ["empty dict"]),
        (lambda: feed(X, Y[:4]), "fit-lengths-differ", ["x and y", "(8, 3)", "(4,)", "same 4 examples"]),
        (lambda: feed(X, Y, np.ones(3), function="evaluate"), "evaluate-lengths-differ", ["x and sample_weight"]),
        (lambda: feed({"a": X, "b": Y[:4]}, Y), "fit-lengths-differ", ["x['a'] and x['b']"]),
        (lambda: feed(list(X), Y), "fit-lengths-differ", ["np.stack(x)"]),
        (lambda: feed({"a": X, "b": Y[:4]}, function="predict"), "data-lengths", ["x['b']"]),
        (lambda: feed(generator(), Y), "data-twice", ["y is given"]),
        (lambda: feed(Dataset(X).batch(2), None, Y), "data-twice", ["sample_weight"]),
        (lambda: feed(Examples()), "data-source", ["DataLoader"]),
        (lambda: feed(with_argument), "data-source", ["needs arguments", "with_argument"]),
        (lambda: feed(lambda: 3).peek(), "data-source", ["int"]),
        (lambda: feed(int), "data-source", ["int"]),
        (lambda: feed(iter([])).peek(), "data-no-batches", ["nothing at all"]),
        (lambda: list(feed(Dataset(X).take(0).batch(2))), "data-no-batches", ["nothing"]),
        (lambda: feed(one_by_one()).peek(), "data-rank", ["y of batch 0", ".batch(32)"]),
        (lambda: feed(Dataset((X, X[:, :2]))).peek(), "fit-lengths-differ", ["x of batch 0", ".batch(32)"]),
        (lambda: list(feed(changing)), "data-batch", ["batch 1", "(*, None, None)", "(*, *, None)"]),
        (lambda: feed(iter([()])).peek(), "data-batch", ["tuple of 0 parts"]),
        (lambda: feed(iter([(X, Y, Y, Y)])).peek(), "data-batch", ["tuple of 4 parts"]),
        (lambda: feed(iter([None])).peek(), "data-batch", ["NoneType"]),
        (lambda: feed(iter(["text"])).peek(), "data-batch", ["text"]),
        (lambda: feed(iter([(X, ["a"] * 8)])).peek(), "data-dtype", ["y of batch 0"]),
        (lambda: list(feed([(X, Y), (X[:0], Y[:0])])), "fit-empty-data", ["x of batch 1"]),
        (lambda: feed(Columns(image=X, label=Y), "target"), "data-columns", ["'target'", "'image', 'label'"]),
        (lambda: feed(Columns(label=Y)), "data-columns", ["label alone"]),
        (lambda: feed(Columns(a=X[:0])), "fit-empty-data", ["no rows"]),
        (lambda: examples(5, "fit", "x"), "data-rank", ["x=[...]"]),
    ],
)
def test_mistakes_are_told(make, slug, texts):
    with pytest.raises(UserError) as caught:
        make()
    assert caught.value.slug == slug
    assert [t for t in texts if t not in str(caught.value)] == []
    assert caught.value.fix and caught.value.expected and caught.value.received
    assert "test_data_feed.py" in str(caught.value)


def test_splits_of_a_hugging_face_data_set_are_named():
    splits = Columns(train=X)
    splits.column_names = {"train": ["a"], "test": ["a"]}
    with pytest.raises(UserError, match="data\\['train'\\]") as caught:
        feed(splits)
    assert caught.value.slug == "data-columns"


def test_tensor_that_cannot_be_read_is_told():
    class Bad(Tensor):
        def cpu(self):
            raise RuntimeError("CUDA error: out of memory")

        def detach(self):
            return self

    with pytest.raises(DTypeError, match="out of memory") as caught:
        feed(Bad(X))
    assert caught.value.slug == "data-dtype"


def test_no_targets_names_the_function():
    assert no_targets("fit").slug == no_targets("train_on_batch").slug == "fit-no-targets"
    assert no_targets("evaluate").slug == "evaluate-no-targets"
    assert no_targets("fit", batches=True).received == "batches of inputs alone"
