"""Trees of arrays: flatten, unflatten, map."""

from __future__ import annotations

import collections
import dataclasses
import pickle
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import insitu as si
from insitu.array.tree import describe, flatten, map_leaves, unflatten
from insitu.errors import ArgumentError, InternalError


class Pair(NamedTuple):
    left: object
    right: object


@dataclasses.dataclass(frozen=True)
class Params:
    w: object
    b: object = None
    name: str = "layer"


TREES = st.recursive(
    st.integers() | st.text(max_size=2) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Params, inner, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_unflatten_undoes_flatten(tree: object) -> None:
    leaves, structure = flatten(tree)
    assert structure.count == len(leaves)
    assert unflatten(structure, leaves) == tree
    again = flatten(tree)[1]
    assert again is structure
    assert hash(again) == hash(structure)
    assert pickle.loads(pickle.dumps(structure)) is structure


def test_order_of_keys_does_not_matter_but_types_do() -> None:
    assert flatten({"a": 1, "b": 2})[1] is flatten({"b": 2, "a": 1})[1]
    assert flatten({"b": 2, "a": 1})[0] == [1, 2]
    assert flatten([1, 2])[1] is not flatten((1, 2))[1]
    assert flatten((1, None))[1] is not flatten((1,))[1]
    assert flatten(collections.OrderedDict(b=1, a=2))[0] == [1, 2]
    assert flatten({1: "x", "a": "y"})[0] == ["x", "y"]  # keys that have no common order keep their own


def test_keys_keep_their_type() -> None:
    trees = [{1: 0}, {True: 0}, {1.0: 0}]
    for tree in trees:
        leaves, structure = flatten(tree)
        assert [type(k) for k in unflatten(structure, leaves)] == [type(k) for k in tree]
    assert len({flatten(tree)[1] for tree in trees}) == 3


def test_special_dicts_keep_their_type() -> None:
    made = collections.defaultdict(list, {"k": 1})
    leaves, structure = flatten(made)
    back = unflatten(structure, leaves)
    assert type(back) is collections.defaultdict and back.default_factory is list
    ordered = collections.OrderedDict([("z", 1), ("a", 2)])
    assert list(unflatten(flatten(ordered)[1], [1, 2])) == ["z", "a"]


def test_arrays_and_variables_are_leaves() -> None:
    x, v = si.ones(2), si.Variable([1.0])
    leaves, structure = flatten((x, v))
    assert leaves[0] is x and leaves[1] is v
    assert structure is flatten((1, 2))[1]


def test_map_leaves_applies_to_trees_of_one_form() -> None:
    assert map_leaves(lambda a, b: a * b, {"x": 2, "y": [3]}, {"x": 5, "y": [7]}) == {"x": 10, "y": [21]}
    with pytest.raises(ArgumentError, match="different forms"):
        map_leaves(lambda a, b: a, [1], (1,))
    with pytest.raises(InternalError):
        unflatten(flatten([1, 2])[1], [1])


def test_describe_shows_the_form() -> None:
    assert (
        describe(flatten((1, [2, None], Pair(3, {"k": 4}), Params(5)))[1])
        == "(*, [*, None], Pair(left=*, right={'k': *}), Params(w=*, b=None, name=*))"
    )
    assert describe(flatten((1,))[1]) == "(*,)"
