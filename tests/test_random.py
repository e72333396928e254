"""Random numbers: reproducible, of the right distribution, the same inside compiled functions."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import insitu as si
from insitu.array.random import philox_pair, split_mix
from insitu.errors import ArgumentError, DTypeError, ShapeError
from insitu.ops.creation import philox

N = 40_000


def _rng(seed: int = 0) -> Any:
    return si.random.default_rng(seed)


def _draws(rng: Any) -> list[Any]:
    return [
        rng.random(5), rng.random((2, 3), dtype="float64"), rng.normal(1.0, 2.0, 4), rng.standard_normal(3, "float64"), rng.integers(0, 1000, 6),
        rng.uniform(-1, 1, 3), rng.permutation(7), rng.exponential(2.0, 3), rng.choice(10, 4, replace=False), rng.gumbel(size=2),
        rng.truncated_normal(size=3), rng.bernoulli(0.5, 5), rng.integers(-(2**62), 2**62, 3), rng.choice(3, 4, p=[0.2, 0.3, 0.5]),
    ]  # fmt: skip


def test_equal_seeds_give_equal_numbers_and_others_do_not() -> None:
    for a, b in zip(_draws(_rng(3)), _draws(_rng(3)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(_rng(3).random(5), _rng(4).random(5))
    rng = _rng(3)
    assert not np.array_equal(rng.random(5), rng.random(5))
    assert not np.array_equal(_rng(None).random(5), _rng(None).random(5))
    np.testing.assert_array_equal(_rng(2**80).random(3), _rng(2**80).random(3))
    assert not np.array_equal(_rng(2**80).random(3), _rng(2**81).random(3))
    np.testing.assert_array_equal(si.random.default_rng([1, 2]).random(2), si.random.default_rng((1, 2)).random(2))


def test_known_answers() -> None:
    # Salmon et al., Random123 kat_vectors: philox 4x32 10, counter and key 0, and all ones
    zeros = [np.zeros(1, np.uint64)] * 4
    assert [int(w[0]) for w in philox(zeros, [0, 0])] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = [np.full(1, 0xFFFFFFFF, np.uint64)] * 4
    assert [int(w[0]) for w in philox(ones, [0xFFFFFFFF] * 2)] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert philox_pair(0)[0] == 0x6627E8D5
    # SplitMix64 from state 0, as published with the algorithm
    assert [split_mix(k * 0x9E3779B97F4A7C15 & (2**64 - 1)) for k in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_keys_words_are_those_of_the_primitive() -> None:
    from insitu import dtypes as dt
    from insitu import ops

    for state in (0, 1, 2**64 - 1, split_mix(7)):
        key = si.asarray(np.array([state & 0xFFFFFFFF, state >> 32], np.uint32))
        assert tuple(np.asarray(si.Array(ops.random_bits(key._node, (2,))))) == philox_pair(state)
    assert dt.uint32.bits == 32


def test_an_element_depends_on_its_position_alone() -> None:
    np.testing.assert_array_equal(_rng().random((4, 5)).reshape(-1), _rng().random(20))
    for method in ("random", "standard_normal", "standard_exponential"):
        for dtype in ("float32", "float64"):
            np.testing.assert_array_equal(getattr(_rng(), method)(10, dtype), getattr(_rng(), method)(25, dtype)[:10])
    np.testing.assert_array_equal(_rng().integers(0, 100, 10), _rng().integers(0, 100, 25)[:10])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_numbers(dtype: str) -> None:
    x = _rng().random(N, dtype)
    assert x.dtype.name == dtype
    values = np.asarray(x).astype(np.float64)
    assert values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 5 / math.sqrt(12 * N) + 0.004 * (dtype == "bfloat16")
    assert np.all(np.abs(np.histogram(values, 16, (0, 1))[0] - N / 16) < 5 * math.sqrt(N / 16))
    bits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[dtype]
    assert np.all(values * 2.0**bits == np.floor(values * 2.0**bits))
    if dtype != "float64":
        y = np.asarray(_rng(1).uniform(-3, 5, N, dtype)).astype(np.float64)
        assert y.min() >= -3 and y.max() <= 5 and abs(y.mean() - 1) < 0.1


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_follow_the_normal_distribution(dtype: str) -> None:
    x = np.sort(np.asarray(_rng().standard_normal(N, dtype)).astype(np.float64))
    ideal = np.array([_phi(v) for v in x])
    assert np.max(np.abs(ideal - (np.arange(N) + 0.5) / N)) < 1.95 / math.sqrt(N)  # Kolmogorov-Smirnov, p = 0.001
    assert np.all(np.isfinite(x)) and 3.5 < x.max() < 6
    y = _rng().normal(5.0, 0.5, (2, 3), dtype)
    assert y.dtype.name == dtype and y.shape == (2, 3)


def test_truncated_normal_numbers() -> None:
    for dtype in ("float32", "float64"):
        x = np.sort(np.asarray(_rng().truncated_normal(0.0, 1.0, N, dtype)))
        assert x.min() >= -2 and x.max() <= 2
        mass = _phi(2) - _phi(-2)
        ideal = np.array([(_phi(float(v)) - _phi(-2)) / mass for v in x])
        assert np.max(np.abs(ideal - (np.arange(N) + 0.5) / N)) < 1.95 / math.sqrt(N)
    assert float(si.min(_rng().truncated_normal(10.0, 2.0, 100, low=0.0, high=1.0))) >= 10


def test_inverse_error_function() -> None:
    from mpmath import erfinv

    from insitu.array.distributions import inverse_erf

    x = np.concatenate([np.linspace(-0.999, 0.999, 41), [1 - 2.0**-24, -1 + 2.0**-23, 1e-6]]).astype(np.float32)
    found = np.asarray(si.Array(inverse_erf(si.asarray(x)._node)))
    expected = np.array([float(erfinv(float(v))) for v in x])
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-12)


def test_exponential_gumbel_and_lognormal_numbers() -> None:
    x = np.asarray(_rng().exponential(3.0, N))
    assert x.min() >= 0 and abs(x.mean() - 3) < 0.1 and abs((x > 3).mean() - math.exp(-1)) < 0.01
    g = np.asarray(_rng().gumbel(1.0, 2.0, N))
    assert np.all(np.isfinite(g)) and abs(g.mean() - (1 + 2 * np.euler_gamma)) < 0.06
    assert abs(np.log(np.asarray(_rng().lognormal(0.5, 0.25, N))).mean() - 0.5) < 0.01
    assert abs(float(si.mean(_rng().bernoulli(0.3, N).astype("float32"))) - 0.3) < 0.012


@pytest.mark.parametrize(
    ("low", "high"), [(0, 7), (-3, 4), (0, 1), (5, 6), (0, 2**32), (-(2**40), 2**40), (-(2**63), 2**63), (0, 2**63), (10, 2**33 + 11)]
)
def test_integers_cover_their_range_evenly(low: int, high: int) -> None:
    x = [int(v) for v in np.asarray(_rng().integers(low, high, 4000))]
    assert min(x) >= low and max(x) < high
    share = [(v - low) * 8 // (high - low) for v in x]
    if high - low >= 8:
        assert all(abs(share.count(k) - 500) < 120 for k in range(8))
    else:
        assert set(x) == set(range(low, high))


def test_integers_are_the_upper_half_of_a_product() -> None:
    from insitu.array.distributions import bits64, integers_below

    key = si.asarray(np.array([1, 2], np.uint32))._node
    raw = [int(v) for v in np.asarray(si.Array(bits64(key, (200,))))]
    for count in (3, 1000, 2**32 - 1, 2**32, 2**33 + 5, 2**63 + 12345, 2**64):
        found = [int(v) for v in np.asarray(si.Array(integers_below(key, (200,), count, 0, si.uint64)))]
        assert found == [r * count >> 64 for r in raw]


def test_integer_dtypes_and_bounds() -> None:
    assert _rng().integers(10).shape == ()
    assert _rng().integers(0, 255, 100, dtype="uint8", endpoint=True).dtype is si.uint8
    assert _rng().integers(0, 2**64, 3, dtype="uint64").dtype is si.uint64
    for low, high, dtype in ((5, 5, "int64"), (0, 300, "uint8"), (0, 5, "float32"), (-1, 5, "uint32")):
        with pytest.raises(ArgumentError):
            _rng().integers(low, high, dtype=dtype)


def test_permutations_and_choices() -> None:
    orders = np.array([np.asarray(_rng(s).permutation(4)) for s in range(300)])
    assert np.all(np.sort(orders, 1) == np.arange(4))
    assert len({tuple(o) for o in orders}) == 24
    a = np.arange(12).reshape(3, 4)
    assert sorted(np.asarray(_rng().permutation(si.asarray(a), axis=1))[0]) == [0, 1, 2, 3]
    picks = np.asarray(_rng().choice(si.asarray([10.0, 20.0, 30.0]), 3000, p=[0.5, 0.0, 0.5]))
    assert set(picks) == {10.0, 30.0} and abs((picks == 10).mean() - 0.5) < 0.05
    for s in range(20):
        some = np.asarray(_rng(s).choice(10, (2, 3), replace=False))
        assert len(set(some.ravel())) == 6
        weighted = np.asarray(_rng(s).choice(4, 3, replace=False, p=[0.0, 0.3, 0.3, 0.4]))
        assert sorted(weighted) == [1, 2, 3]
    assert _rng().choice(si.asarray(a), 2, axis=1).shape == (3, 2)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError):
        si.random.default_rng(-1)
    with pytest.raises(ArgumentError):
        si.random.default_rng("seed")
    with pytest.raises(ShapeError):
        _rng().choice(3, 4, replace=False)
    with pytest.raises(ArgumentError):
        _rng().choice(3, 4, p=[0.5, 0.6, 0.1])
    with pytest.raises(ArgumentError):
        _rng().normal(0.0, -1.0, 3)
    with pytest.raises(DTypeError):
        _rng().random(3, dtype="int32")
    with pytest.raises(ArgumentError):
        _rng().shuffle(np.arange(3))


def test_state_can_be_saved_and_resumed() -> None:
    rng = _rng(5)
    rng.random(3)
    state, twin = rng.state, pickle.loads(pickle.dumps(rng))
    following = np.asarray(rng.normal(size=4))
    np.testing.assert_array_equal(twin.normal(size=4), following)
    rng.state = state
    np.testing.assert_array_equal(rng.normal(size=4), following)
    with pytest.raises(ArgumentError):
        rng.state = {"bit_generator": "MT19937"}
    children = rng.spawn(2)
    assert not np.array_equal(children[0].random(3), children[1].random(3))


def test_the_default_generator_is_fixed_by_seed() -> None:
    si.random.seed(11)
    a = [np.asarray(si.random.normal(size=3)), np.asarray(si.random.random(2)), np.asarray(si.random.permutation(5))]
    rng = _rng(11)
    b = [rng.normal(size=3), rng.random(2), rng.permutation(5)]
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_parameters_broadcast_and_pass_gradients() -> None:
    loc = si.asarray([0.0, 100.0])
    assert _rng().normal(loc, si.ones((3, 1))).shape == (3, 2)
    assert _rng().uniform(loc, loc + 1).shape == (2,)
    np.testing.assert_array_equal(si.grad(lambda m: _rng().normal(m, 1.0, (5, 2)).sum())(loc), [5, 5])


def test_compiled_functions_draw_the_numbers_of_the_calls_in_turn() -> None:
    rng, twin = _rng(9), _rng(9)
    draw = si.compile(lambda x: (x + rng.random(4), rng.normal(size=2), rng.integers(0, 100, 3)))
    x = si.ones(4)
    for _ in range(3):
        found = draw(x)
        for a, b in zip(found, (x + twin.random(4), twin.normal(size=2), twin.integers(0, 100, 3)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert rng.state == twin.state
