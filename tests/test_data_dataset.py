"""`Dataset`: what each stage gives, orders that a seed and an epoch fix, and the thread that prepares ahead."""

from __future__ import annotations

import copy
import doctest
import gc
import importlib
import itertools
import pickle
import threading
import time
from collections import namedtuple

import numpy as np
import pytest

import insitu as si
from insitu.data import Dataset
from insitu.data.order import Draws, permutation
from insitu.errors import ArgumentError, ShapeError, UserError

X = np.arange(40, dtype=np.float32).reshape(10, 2, 2)
Y = np.arange(10, dtype=np.uint8)


def stream(n: int = 10) -> Dataset:
    """The numbers as elements that exist only one by one."""
    return Dataset.from_generator(lambda: iter(range(n)), n)


def numbers(data) -> list:
    return [v.tolist() for v in data]


def equal(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("name", ["dataset", "order", "examples", "feed", "idx", "mnist_files"])
def test_examples_of_the_documentation(name):
    assert doctest.testmod(importlib.import_module(f"insitu.data.{name}")).failed == 0


# -- sources ---------------------------------------------------------------------------------------------
def test_rows_of_trees_of_arrays():
    Pair = namedtuple("Pair", "x y")
    for source, first in (
        (X, X[0]),
        ((X, Y), (X[0], Y[0])),
        ([X, Y], [X[0], Y[0]]),
        ({"a": X, "b": (Y, X)}, {"a": X[0], "b": (Y[0], X[0])}),
        (Pair(X, Y), Pair(X[0], Y[0])),
        ((si.asarray(X), Y.tolist()), (X[0], np.int64(0))),
        ([1.5, 2], np.float32(1.5)),
        (range(3), np.int64(0)),
    ):
        data = Dataset(source)
        assert equal(next(iter(data)), first)
        assert len(data) == len(list(data))


def test_iterables_give_their_elements_as_numpy_trees():
    items = [(X[0], 1), (X[1], 2.5)]
    assert equal(list(Dataset(items)), [(X[0], np.int64(1)), (X[1], np.float32(2.5))])
    assert len(Dataset(items)) == 2
    assert equal(next(iter(Dataset(iter([{"a": [1.0, 2.0], "b": True}])))), {"a": np.asarray([1, 2], np.float32), "b": np.bool_(True)})
    assert list(Dataset(["a.png", "b.png"]).map(str.upper)) == ["A.PNG", "B.PNG"]
    ragged = Dataset([[1], [2, 3]]).map(lambda v: np.pad(v, (0, 2 - len(v)))).batch(2)
    assert numbers(ragged) == [[[1, 0], [2, 3]]]


def test_a_generator_serves_one_epoch_and_says_so_in_the_next():
    data = Dataset(i for i in range(3)).batch(2)
    assert numbers(data) == [[0, 1], [2]]
    with pytest.raises(ArgumentError, match="used up") as caught:
        list(data)
    assert caught.value.slug == "data-no-batches" and "from_generator" in caught.value.fix
    kept = Dataset(i for i in range(3)).cache()
    assert numbers(kept) == numbers(kept) == [0, 1, 2]


# -- stages ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [lambda: Dataset(range(10)), stream])
def test_stages_are_the_same_over_arrays_and_over_streams(make):
    assert numbers(make().batch(4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert numbers(make().batch(4, drop_remainder=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers(make().batch(20)) == [list(range(10))] and numbers(make().batch(20, True)) == []
    assert numbers(make().take(3)) == [0, 1, 2] and numbers(make().skip(8)) == [8, 9] and numbers(make().take(0)) == []
    assert numbers(make().skip(2).take(3).skip(1)) == [3, 4] and numbers(make().skip(11)) == []
    assert numbers(make().take(4).repeat(3).batch(5)) == [[0, 1, 2, 3, 0], [1, 2, 3, 0, 1], [2, 3]]
    assert numbers(make().take(2).repeat(4).batch(3, True)) == [[0, 1, 0], [1, 0, 1]]
    assert numbers(make().take(3).repeat().skip(4).take(4)) == [1, 2, 0, 1]
    assert numbers(make().map(lambda v: v * 2).take(2)) == [0, 2]
    assert [(int(i), int(v)) for i, v in make().skip(8).enumerate(5)] == [(5, 8), (6, 9)]
    assert [(int(a), int(b)) for a, b in Dataset.zip(make().take(2), make().skip(5))] == [(0, 5), (1, 6)]
    assert numbers(make().prefetch()) == numbers(make().cache()) == list(range(10))
    assert [numbers(w) for w in [make().batch(2).batch(2).take(1)]] == [[[[0, 1], [2, 3]]]]
    assert numbers(make().repeat(0)) == [] and numbers(make().take(0).repeat()) == []


@pytest.mark.parametrize("make", [lambda: Dataset(range(10)), stream])
def test_lengths_are_those_of_what_comes(make):
    for stage in (
        lambda d: d.batch(3),
        lambda d: d.batch(3, True),
        lambda d: d.take(4),
        lambda d: d.take(40),
        lambda d: d.skip(4),
        lambda d: d.skip(40),
        lambda d: d.repeat(3),
        lambda d: d.repeat(3).batch(4),
        lambda d: d.shuffle(3, seed=0),
        lambda d: d.enumerate().cache().prefetch().map(lambda i, v: v),
        lambda d: d.repeat().take(7),
        lambda d: Dataset.zip(d, d.repeat()),
    ):
        data = stage(make())
        assert len(data) == len(list(data))
    for unknown in (make().repeat(), Dataset(i for i in range(3)), Dataset.zip(make(), Dataset(iter([1])))):
        with pytest.raises(TypeError) as caught:
            len(unknown)
        assert caught.value.slug == "dataset-length"
        assert unknown


def test_natural_batches_are_views_and_shuffled_ones_copies():
    assert all(np.shares_memory(x, X) for x, _ in Dataset((X, Y)).skip(1).batch(4))
    assert not any(np.shares_memory(x, X) for x, _ in Dataset((X, Y)).shuffle(seed=0).batch(4))


def test_map_takes_the_parts_of_a_tuple_and_gives_numpy():
    data = Dataset((X, Y)).batch(4).map(lambda x, y: (si.asarray(x) / 2, {"y": y}))
    x, y = next(iter(data))
    assert type(x) is np.ndarray and np.array_equal(x, X[:4] / 2) and y["y"].tolist() == [0, 1, 2, 3]


def test_cache_asks_its_source_once():
    calls = []
    data = Dataset.from_generator(lambda: calls.append(1) or iter(range(4))).cache().shuffle(seed=1)
    assert sorted(numbers(data)) == sorted(numbers(data)) == [0, 1, 2, 3] and len(calls) == 1
    fixed = Dataset(range(50)).shuffle(seed=1).cache()
    assert numbers(fixed) == numbers(fixed)


# -- orders ----------------------------------------------------------------------------------------------
def test_permutations_hold_each_number_once_and_differ_by_seed_and_epoch():
    assert sorted(permutation(1, 2, 1000).tolist()) == list(range(1000))
    assert permutation(3, 0, 0).tolist() == [] and permutation(3, 0, 1).tolist() == [0]
    assert len({tuple(permutation(s, e, 20)) for s in range(20) for e in range(20)} | {tuple(permutation(2**64 + 1, 0, 20))}) == 401


def test_permutations_are_uniform():
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[np.arange(6), permutation(5, epoch, 6)] += 1
    assert abs(counts - 500).max() < 5 * np.sqrt(500)  # five standard deviations
    draws = Draws(1, 0)
    assert abs(np.bincount([draws.below(7) for _ in range(7000)]) - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("buffer", [None, 4, 10, 100])
@pytest.mark.parametrize("make", [lambda: Dataset(range(10)), stream])
def test_shuffled_orders_follow_from_seed_and_epoch(make, buffer):
    data = make().shuffle(buffer, seed=3)
    orders = [numbers(data) for _ in range(4)]
    assert all(sorted(o) == list(range(10)) for o in orders) and len(set(map(tuple, orders))) == 4
    again = make().shuffle(buffer, seed=3)
    again.set_epoch(2)
    assert [numbers(again), numbers(again)] == orders[2:]
    assert numbers(again.elements(1)) == orders[1]
    assert numbers(make().shuffle(buffer, seed=4)) not in orders
    still = make().shuffle(buffer, seed=3, reshuffle_each_iteration=False)
    assert numbers(still) == numbers(still) == orders[0]
    if buffer == 4:
        assert all(v <= i + 3 for o in orders for i, v in enumerate(o))


def test_order_is_the_same_over_arrays_and_over_streams():
    assert numbers(Dataset(range(50)).shuffle(seed=9)) == numbers(stream(50).shuffle(seed=9))
    one = Dataset(range(50)).shuffle(seed=9).repeat(2).batch(7)
    assert numbers(one) == numbers(stream(50).shuffle(seed=9).repeat(2).batch(7))
    passes = list(itertools.chain(*numbers(one)))
    assert passes[:50] != passes[50:100] and sorted(passes[50:100]) == list(range(50))
    data = Dataset(range(50)).shuffle(seed=9)
    assert passes[50:100] != numbers(data.elements(0)) and passes[:50] == numbers(data.elements(2))  # the second iteration's first repetition


def test_orders_are_these_for_all_time():
    """Published orders: a change of them breaks the resuming of trainings that older versions began."""
    assert numbers(Dataset(range(10)).shuffle(seed=0)) == [0, 7, 8, 2, 5, 9, 4, 6, 3, 1]
    assert numbers(stream().shuffle(4, seed=0)) == [0, 3, 1, 5, 2, 6, 7, 4, 8, 9]


def test_state_resumes_in_another_pipeline_also_with_drawn_seeds():
    def build():
        return Dataset((X, Y)).shuffle().batch(3).shuffle(2).map(lambda x, y: y).prefetch()

    si.random.seed(5)
    data = build()
    for _ in range(3):
        list(data)
    state = data.state()
    rest = [numbers(data), numbers(data)]
    si.random.seed(6)
    other = build()
    list(other)  # its thread has prepared another order already
    other.set_state(state)
    assert state["epoch"] == 3 and [numbers(other), numbers(other)] == rest
    si.random.seed(5)
    assert build().state()["seeds"] == state["seeds"]
    for wrong in ({}, None, {"epoch": 1, "seeds": [1]}, {"seeds": [1, 2]}):
        with pytest.raises(ArgumentError) as caught:
            other.set_state(wrong)
        assert caught.value.slug == "dataset-argument"


def test_data_sets_pickle_and_copy():
    data = Dataset((X, Y)).shuffle(seed=1).batch(3).prefetch()
    list(data)
    for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        assert equal(list(other.elements(4)), list(data.elements(4))) and other.epoch == 1


def test_whole_epochs_over_arrays_are_fast():
    x, y = np.zeros((60000, 28, 28), np.uint8), np.zeros(60000, np.uint8)
    data = Dataset((x, y)).shuffle(seed=0).repeat(2).batch(100)
    start = time.perf_counter()
    assert sum(len(y) for x, y in data) == 120000
    assert time.perf_counter() - start < 2  # 0.06 s on a quiet machine; one by one it takes longer than this


# -- the thread ------------------------------------------------------------------------------------------
def threads() -> int:
    return sum(t.name == "insitu-prefetch" for t in threading.enumerate())


def wait_for(condition) -> bool:
    end = time.perf_counter() + 5
    while not condition() and time.perf_counter() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    assert wait_for(lambda: threads() == 0)


def test_thread_stays_ahead_by_no_more_than_was_allowed():
    made = []
    data = Dataset(range(100)).map(lambda v: made.append(int(v)) or v).prefetch(3)
    iterator = iter(data)
    assert made == []
    next(iterator)
    assert wait_for(lambda: len(made) == 5)  # one taken, three that wait, one that waits for room
    time.sleep(0.05)
    assert len(made) == 5


def test_first_elements_of_the_next_epoch_are_ready():
    begun = []
    data = Dataset.from_generator(lambda: begun.append(1) or iter(range(3))).prefetch(2)
    for epoch in range(1, 4):
        assert numbers(data) == [0, 1, 2]
        assert wait_for(lambda e=epoch: len(begun) == e + 1)
    assert threads() == 1


def test_thread_ends_when_the_iterator_or_the_data_set_is_dropped():
    data = Dataset(range(100)).prefetch()
    iterator = iter(data)
    next(iterator)
    assert threads() == 1
    del iterator
    gc.collect()
    assert wait_for(lambda: threads() == 0)
    list(data)
    assert wait_for(lambda: threads() == 1)
    del data
    gc.collect()
    assert wait_for(lambda: threads() == 0)


def test_jumps_between_epochs_and_two_iterators_at_once():
    data = Dataset(range(20)).shuffle(seed=2).prefetch()
    orders = [numbers(Dataset(range(20)).shuffle(seed=2).elements(e)) for e in range(4)]
    assert numbers(data) == orders[0]
    data.set_epoch(3)
    assert numbers(data) == orders[3]
    data.set_epoch(1)
    a, b = iter(data), iter(data)
    pairs = list(zip(a, b, strict=True))
    assert [[int(v) for v in column] for column in zip(*pairs, strict=True)] == orders[1:3]
    assert numbers(data) == orders[3]


def test_exceptions_reach_the_one_who_asks():
    def broken(v):
        if v == 3:
            raise KeyError("three")
        return v

    data = Dataset(range(10)).map(broken).prefetch()
    for _ in range(2):
        seen = []
        with pytest.raises(KeyError, match="three"):
            seen.extend(int(v) for v in data)
        assert seen == [0, 1, 2]


def test_errors_of_the_thread_name_the_users_line():
    data = Dataset([(np.zeros(2), 1), (np.zeros(3), 1)]).batch(2).prefetch()
    with pytest.raises(ShapeError, match="different shapes") as caught:
        next(iter(data))
    assert "next(iter(data))" in str(caught.value) and caught.value.slug == "data-ragged"


# -- mistakes --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "slug", "text"),
    [
        (lambda: Dataset((X, Y[:5])), "data-lengths", "source[1]"),
        (lambda: Dataset(3), "dataset-source", "3"),
        (lambda: Dataset("text"), "dataset-source", "text"),
        (lambda: Dataset(stream), "dataset-source", "from_generator(f)"),
        (lambda: Dataset({}), "data-empty", "no arrays"),
        (lambda: Dataset((X, 3)), "data-rank", "source[1]"),
        (lambda: Dataset.from_generator(iter([1])), "dataset-source", "without calling it"),
        (lambda: list(Dataset.from_generator(lambda: None)), "dataset-source", "NoneType"),
        (lambda: Dataset(X).batch(0), "dataset-argument", "batch_size"),
        (lambda: Dataset(X).batch(2.0), "dataset-argument", "2.0"),
        (lambda: Dataset(X).shuffle(0), "dataset-argument", "buffer_size"),
        (lambda: Dataset(X).shuffle(seed=-1), "dataset-argument", "seed"),
        (lambda: Dataset(X).repeat().shuffle(), "dataset-argument", "shuffle first"),
        (lambda: Dataset(X).map(3), "dataset-argument", "function"),
        (lambda: Dataset(X).take(True), "dataset-argument", "True"),
        (lambda: Dataset.zip(X, Y), "dataset-argument", "ndarray"),
        (lambda: list(Dataset([(1, 2), (1, 2, 3)]).batch(2)), "data-ragged", "different forms"),
    ],
)
def test_mistakes_are_told(make, slug, text):
    with pytest.raises(UserError) as caught:
        make()
    assert caught.value.slug == slug and text in str(caught.value)
