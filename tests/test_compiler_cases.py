"""Graphs that are hard on grouping, planning or lowering; each found a mistake once, or guards what makes it impossible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from test_compiler_random import NATIVE, arrays, run

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen.target import named
from insitu.compiler import Compiled, compile_graph
from insitu.compiler.fuse import group
from insitu.compiler.lower import parts, reads
from insitu.compiler.placing import verify_parts
from insitu.dtypes import DType
from insitu.errors import InternalError
from insitu.graph.node import Node, aval, placeholder
from insitu.graph.reference import evaluate
from insitu.runtime.memory import from_numpy
from insitu.transform.autodiff import backward

f32 = dt.float32


def leaf(*shape: int, dtype: DType = f32) -> Node:
    return placeholder(aval(shape, dtype))


def number(value: float, dtype: DType = f32) -> Node:
    return ops.constant(value, dtype)


def feeds(*inputs: Node, seed: int = 0) -> dict[Node, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {x: (rng.standard_normal(x.shape) if x.dtype.is_float else rng.integers(0, 3, x.shape)).astype(x.dtype.numpy) for x in inputs}


def check(outputs: Sequence[Node], inputs: Sequence[Node], rtol: float = 1e-5) -> Compiled:
    """Compiled values are the reference's; returns the program."""
    values = feeds(*inputs)
    for got, expected in zip(run(outputs, values), evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(got.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=rtol)
    return compile_graph(outputs, inputs, NATIVE)


# -- operands of products and sorts --------------------------------------------------------------
def test_computed_constants_are_operands_of_products_and_sorts() -> None:
    x = leaf(3, 4)
    line = ops.mul(ops.iota((4, 2), 0, f32), ops.iota((4, 2), 1, f32))
    check([ops.matmul(x, line), ops.matmul(x, ops.permute(ops.add(ops.iota((2, 4), 1, f32), number(1)), (1, 0)))], [x])
    check([ops.argsort(ops.mul(ops.iota((5,), 0, f32), number(-2)), 0)], [])


# -- in place ------------------------------------------------------------------------------------
def in_place(outputs: Sequence[Node], inputs: Sequence[Node], wishes: dict[int, int]) -> Compiled:
    """Values are the same with results written over inputs."""
    values = feeds(*inputs)
    expected = run(outputs, values)
    compiled = compile_graph(outputs, inputs, NATIVE, wishes)
    given = [from_numpy(np.array(a)) for a in values.values()]
    for got, want in zip(arrays(outputs, compiled.run(given, set(compiled.donated.values()))), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    return compiled


def test_an_old_value_is_read_before_the_result_that_replaces_it_is_stored() -> None:
    a, b, old = leaf(3, 3), leaf(3, 1), leaf(3, 1)
    product = ops.matmul(a, b)
    compiled = in_place([product, ops.add(product, old)], [a, b, old], {0: 2})
    assert compiled.donated == {0: 2}


def test_moments_and_weights_are_updated_in_place_together() -> None:
    w, m, v, g = (leaf(40, 30) for _ in range(4))
    m2 = ops.add(ops.mul(m, number(0.9)), g)
    v2 = ops.add(ops.mul(v, number(0.99)), ops.mul(g, g))
    w2 = ops.sub(w, ops.div(m2, ops.add(ops.sqrt(ops.abs(v2)), number(0.1))))
    assert in_place([m2, v2, w2], [w, m, v, g], {0: 1, 1: 2, 2: 0}).donated == {0: 1, 1: 2, 2: 0}


def test_a_turn_of_a_loop_that_makes_several_elements_overwrites_each_after_its_last_reader() -> None:
    w, m, x = leaf(4, 4, 30), leaf(4, 4, 30), leaf(3, 3, 30)
    m2 = ops.add(ops.mul(m, number(0.9)), ops.mix(x, ((1, 2, 0.5), (0, 1, 1), (1, -1, 1), (2, 0, 1))))
    compiled = in_place([m2, ops.sub(w, ops.mul(m2, number(0.1)))], [w, m, x], {0: 1, 1: 0})
    assert compiled.donated == {0: 1, 1: 0}
    stores = [line.split("[")[0].strip() for line in compiled.inspect("nests").splitlines() if line.strip().startswith("y")]
    assert stores == ["y1", "y0"] * 16
    old = leaf(2, 2, 3, 50)
    assert in_place([ops.mix(old, ((1, 1), (0, 2)))], [old], {0: 0}).donated == {0: 0}
    assert in_place([ops.mix(old, ((2, 0), (1, 1)))], [old], {0: 0}).donated == {0: 0}
    assert in_place([ops.mix(old, ((1, 1), (1, -1)))], [old], {0: 0}).donated == {}
    assert in_place([ops.mix(old, ((0, 1), (1, 0)))], [old], {0: 0}).donated == {}
    m3, turned = leaf(32, 32), leaf(32, 32)
    m2 = ops.add(ops.mul(m3, number(0.9)), ops.permute(turned, (1, 0)))
    assert in_place([m2, ops.mul(m3, number(2))], [m3, turned], {0: 0}).donated == {0: 0}


def test_two_variables_that_change_places_keep_both_values() -> None:
    a, b = leaf(20), leaf(20)
    compiled = in_place([ops.mul(b, number(2)), ops.mul(a, number(3))], [a, b], {0: 0, 1: 1})
    assert len(compiled.donated) == 1


def test_two_results_do_not_get_one_memory() -> None:
    a = leaf(20)
    compiled = in_place([ops.mul(a, number(2)), ops.exp(a)], [a], {0: 0, 1: 0})
    assert len(compiled.donated) == 1


def test_a_transposed_update_is_not_made_in_place() -> None:
    a, b = leaf(32, 32), leaf(32, 32)
    assert in_place([ops.add(a, ops.permute(a, (1, 0)))], [a], {0: 0}).donated == {}
    in_place([ops.add(a, ops.permute(b, (1, 0)))], [a, b], {0: 0})


# -- bits ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("exponent", [2, 3, -1, 0, 1, 0.5])
@pytest.mark.parametrize("dtype", [dt.float16, dt.float32, dt.float64])
def test_a_power_has_the_same_bits_for_a_constant_exponent_and_for_an_array(exponent: float, dtype: DType) -> None:
    x, y = leaf(4000, dtype=dtype), leaf(4000, dtype=dtype)
    a = np.abs(np.random.default_rng(1).standard_normal(4000)).astype(dtype.numpy)
    (known,) = run([ops.pow(x, number(exponent, dtype))], {x: a})
    (given,) = run([ops.pow(x, y)], {x: a, y: np.full(4000, exponent, dtype.numpy)})
    assert known.tobytes() == given.tobytes()


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_functions_of_halves_that_are_computed_in_double_need_no_library(bits: int) -> None:
    x, at = leaf(5, 17, dtype=dt.float16), leaf(5, 17, dtype=dt.int64)
    taken = ops.take_along_axis(x, at, 0)
    turned = ops.atan2(taken, ops.sigmoid(taken))
    outputs = [turned, ops.erf(turned)]
    values = feeds(x, at)
    for got, expected in zip(run(outputs, values, named("native", bits)), evaluate(outputs, values), strict=True):
        np.testing.assert_allclose(got.astype(np.float64), expected.astype(np.float64), rtol=2e-3)


# -- size ----------------------------------------------------------------------------------------
def _doubled(y: Node, times: int) -> Node:
    for _ in range(times):
        y = ops.mul(ops.add(y, y), number(0.5))
    return y


def test_shared_subexpressions_are_followed_once() -> None:
    x = leaf(8, 80)
    check([_doubled(ops.matmul(x, ops.swap_last(x)), 60)], [x], 1e-4)
    check([_doubled(ops.sub(x, ops.reshape(ops.reduce_max(x, (1,)), (8, 1))), 60)], [x])
    row = leaf(6)
    check([ops.mul(_doubled(ops.iota((6,), 0, f32), 60), row)], [row])


def test_values_read_at_shifted_positions_are_stored_on_the_way() -> None:
    x = leaf(64)
    y = x
    for k in range(30):
        y = ops.add(y, ops.concat([ops.slice_(y, (k + 1,), (64,)), ops.slice_(y, (0,), (k + 1,))], 0))
        y = ops.mul(y, number(0.5))
    check([y], [x])


def test_long_chains() -> None:
    x = leaf(50, 7)
    y = x
    for k in range(2000):
        y = ops.sub(y, number(0.001 * (k % 7)))
    check([y], [x], 1e-3)
    z = leaf(6, 4, 5)
    views = z
    for _ in range(300):
        views = ops.permute(ops.reshape(views, (4, 5, 6)), (2, 0, 1))
    check([views], [z])
    between = z
    for _ in range(100):
        between = ops.tanh(ops.flip(ops.permute(ops.reshape(between, (4, 5, 6)), (2, 0, 1)), (1,)))
    check([between], [z])


def test_wide_graphs() -> None:
    xs = [leaf(10, 10) for _ in range(30)]
    outputs = [ops.mul(ops.add(xs[k % 30], number(k)), xs[(k * 7 + 1) % 30]) for k in range(600)]
    check(outputs, xs)
    scalars = [leaf() for _ in range(30)]
    check([ops.add(scalars[k % 30], ops.mul(scalars[(k * 7 + 1) % 30], number(k))) for k in range(600)], scalars)
    many = [leaf(70 + k % 10) for k in range(500)]
    compiled = compile_graph([ops.reduce_sum(ops.exp(x), (0,)) for x in many], many, NATIVE)
    assert len(compiled.stages.plan.order) == 500


def test_numbers_from_positions_have_one_code_for_all_sizes() -> None:
    """Random draws do not depend on how many there are, so neither does their code."""
    key = placeholder(aval((2,), dt.uint32))
    for sizes in (((7,), (64, 3), (5, 4, 3), (1030,)), ((1024,), (64, 48), (2, 3, 512), (1 << 20,))):  # the latter in whole blocks
        made = [compile_graph([ops.cast(ops.random_bits(key, shape), dt.float32)], [key], NATIVE) for shape in sizes]
        assert len({launch.code.key for one in made for launch in one.recipe.launches}) == 1
    whole, part = (compile_graph([ops.random_bits(key, shape)], [key], NATIVE) for shape in ((2048,), (1500,)))
    words = from_numpy(np.array([3, 5], np.uint32))
    first, second = (np.asarray(one.run([words])[0].view((n,), np.uint32)) for one, n in ((whole, 2048), (part, 1500)))
    assert first[:1500].tolist() == second.tolist()


def test_what_two_axes_are_mixed_from_is_computed_once() -> None:
    """Every element of a small matrix is read four times: what it follows from is stored, also where it has the shape of the result."""
    x = leaf(2, 2, 300)
    compiled = check([ops.mix(ops.mul(x, x), ((1, 1), (1, -1))), ops.mix(ops.exp(x), ((0.5, 1), (0, 2)))], [x])
    assert [[n.prim.name for n in g.nodes] for g in compiled.stages.groups] == [["mul", "exp"], ["mix"], ["mix"]]


def test_row_kernels_overwrite_what_they_read_in_their_last_pass_or_before() -> None:
    """A row's values, and a number for each row; not a row that is read again after it is stored."""
    w, g, s = leaf(6, 50), leaf(6, 50), leaf(6)
    norm = ops.reshape(ops.reduce_sum(ops.mul(g, w), (1,)), (6, 1))
    step = ops.sub(w, ops.mul(norm, g))
    assert in_place([step], [w, g], {0: 0}).donated == {0: 0}
    total = ops.add(s, ops.reduce_sum(ops.mul(g, g), (1,)))
    assert in_place([total], [s, g], {0: 0}).donated == {0: 0}
    both = in_place([step, total, ops.mul(s, s)], [w, s, g], {0: 0, 1: 1})
    assert both.donated == {0: 0, 1: 1}
    again = ops.reduce_sum(ops.mul(step, w), (1,))
    in_place([step, again], [w, g], {0: 0})
    scaled = ops.mul(ops.permute(w, (1, 0)), number(2))
    in_place([ops.reshape(ops.permute(ops.div(scaled, ops.reshape(ops.reduce_sum(scaled, (1,)), (50, 1))), (1, 0)), (6, 50))], [w], {0: 0})


# -- several nests in one launch -----------------------------------------------------------------
def update(count: int) -> tuple[list[Node], list[Node], dict[int, int]]:
    """One step of gradient descent with all gradients scaled to their common norm: variables of many shapes."""
    shapes = [(7,), (40, 30), (3, 5, 2), (1000,), (), (13,)][:count]
    weights, grads = [leaf(*s) for s in shapes], [leaf(*s) for s in shapes]
    total = number(0)
    for g in grads:
        total = ops.add(total, ops.reduce_sum(ops.mul(g, g), tuple(range(g.ndim))) if g.ndim else ops.mul(g, g))
    scale = ops.div(number(0.1), ops.sqrt(total))
    return [ops.sub(w, ops.mul(scale, g)) for w, g in zip(weights, grads, strict=True)], [*weights, *grads], {k: k for k in range(count)}


def test_all_updates_of_a_step_are_one_launch() -> None:
    outputs, inputs, wishes = update(6)
    apart, joined = (compile_graph(outputs, inputs, NATIVE, wishes, join) for join in (False, True))
    values = feeds(*inputs)
    expected = run(outputs, values)
    last = apart.recipe.launches[-1].group
    assert sum(launch.group == last for launch in apart.recipe.launches) >= 3
    assert sum(launch.group == joined.recipe.launches[-1].group for launch in joined.recipe.launches) == 1
    assert len(joined.donated) == 6 and "nests: map" in joined.inspect("kernels")
    for compiled in (apart, joined):
        given = [from_numpy(np.array(a)) for a in values.values()]
        for got, want in zip(arrays(outputs, compiled.run(given, set(compiled.donated.values()))), expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_nests_of_one_text_share_their_code_and_extents_are_not_part_of_it() -> None:
    xs = [leaf(n) for n in (100, 1000, 10_000)]
    compiled = compile_graph([ops.exp(x) for x in xs], xs, NATIVE, join=True)
    (launch,) = compiled.recipe.launches
    assert len(launch.calls) == 3 and len({code.key for code in launch.calls}) == 1
    ys = [leaf(n) for n in (5, 6, 7)]
    (other,) = compile_graph([ops.exp(y) for y in ys], ys, NATIVE, join=True).recipe.launches
    assert [code.key for code in other.codes] == [code.key for code in launch.codes] and other.units < launch.units


def test_means_over_any_number_of_rows_share_their_code() -> None:
    xs = [leaf(*shape) for shape in ((4, 256), (16, 128), (60, 64), (100, 48))]
    means = [ops.div(ops.reduce_sum(x, (0,)), number(x.shape[0])) for x in (xs[0], xs[1])]
    means += [ops.mul(ops.reduce_sum(x, (0,)), number(1 / x.shape[0])) for x in (xs[2], xs[3])]
    compiled = compile_graph(means, xs, NATIVE, join=True)
    (launch,) = compiled.recipe.launches
    assert len({code.key for code in launch.calls}) == 1
    values = feeds(*xs)
    got = arrays(means, compiled.run([from_numpy(np.array(a)) for a in values.values()], set()))
    for mean, want in zip(got, run(means, values), strict=True):
        np.testing.assert_array_equal(mean, want)


def test_a_small_kernel_waits_for_others_but_not_past_what_overwrites_its_input() -> None:
    x, w, old = leaf(40, 30), leaf(30, 30), leaf(40)
    sums = ops.reduce_sum(x, (1,))
    product = ops.matmul(x, w)
    late = ops.reduce_sum(product, (0,))
    joined = compile_graph([sums, product, late], [x, w], NATIVE, join=True)
    assert [(when, len(parts)) for when, parts in joined.stages.launched] == [(0, 1), (1, 2)]
    new = ops.add(ops.reduce_sum(ops.matmul(x, w), (1,)), old)
    read = ops.mul(old, old)
    outputs, inputs = [new, read, ops.reduce_sum(ops.matmul(ops.reshape(new, (1, 40)), x), (0,))], [x, w, old]
    values = feeds(*inputs)
    expected = run(outputs, values)
    compiled = compile_graph(outputs, inputs, NATIVE, {0: 2}, join=True)
    given = [from_numpy(np.array(a)) for a in values.values()]
    for got, want in zip(arrays(outputs, compiled.run(given, set(compiled.donated.values()))), expected, strict=True):
        np.testing.assert_array_equal(got, want)


# -- corners -------------------------------------------------------------------------------------
def test_results_that_need_no_computation() -> None:
    x = leaf(3, 2)
    y = ops.exp(x)
    check([ops.full((2, 3), 7, f32), number(4), ops.iota((3,)), x, x, y, y, ops.reshape(y, (6,)), ops.reduce_sum(x, ())], [x])


def test_an_input_may_be_given_twice() -> None:
    x = leaf(3)
    a = np.array([1, 2, 3], np.float32)
    (got,) = compile_graph([ops.neg(x)], [x, x], NATIVE).run([from_numpy(a), from_numpy(a)])
    np.testing.assert_array_equal(got.view((3,), np.dtype(np.float32)), -a)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_arrays_without_elements(shape: tuple[int, ...]) -> None:
    x = leaf(*shape)
    last = len(shape) - 1
    outputs = [ops.exp(x), ops.reduce_sum(x, (last,)), ops.reduce_sum(x), ops.permute(x, range(len(shape))[::-1]), ops.cumsum(x, last)]
    outputs += [ops.argsort(x, last), ops.concat([x, x], 0), ops.add(x, ops.reshape(ops.reduce_prod(x, (last,)), (*shape[:-1], 1)))]
    if len(shape) > 1:
        outputs.append(ops.matmul(x, ops.swap_last(x)))
    check(outputs, [x])


def test_a_reduction_is_not_read_at_another_position_by_its_own_kernel() -> None:
    x = leaf(9, 9)
    total = ops.reduce_sum(x, (1,))
    column = ops.reduce_sum(x, (0,))
    product = ops.matmul(x, x)
    outputs = [ops.sub(x, total), ops.mul(total, ops.flip(total, (0,))), ops.add(ops.reshape(column, (9, 1)), x)]
    outputs += [ops.add(product, ops.permute(product, (1, 0))), ops.add(product, ops.slice_(product, (0, 0), (1, 9)))]
    check(outputs, [x])


# -- fewer stores, fewer kernels -------------------------------------------------------------------
def test_a_slope_that_follows_from_a_stored_value_is_not_stored() -> None:
    x, w, v = leaf(20, 16), leaf(16, 24), leaf(24, 8)
    h = ops.sigmoid(ops.matmul(x, w))
    out = ops.matmul(h, v)
    grads = backward([out], [ops.ones_like(out)], [w])
    compiled = check([out, *[g for g in grads if g is not None]], [x, w, v], 1e-4)
    assert [n.prim.name for n in compiled.stages.groups[0].stored] == ["sigmoid"]


@pytest.mark.parametrize("rows", [1024, 1300])
def test_a_product_that_is_summed_by_columns_is_not_stored_and_sums_of_one_array_are_one_pass(rows: int) -> None:
    x, seen, mean = leaf(rows, 40), leaf(rows, 40), leaf(40)
    product = ops.mul(ops.mul(ops.sub(x, mean), seen), number(0.5))
    compiled = check([ops.reduce_sum(product, (0,)), ops.reduce_sum(seen, (0,))], [x, seen, mean], 1e-4)
    assert all(n.prim.kind == "reduce" or n.ndim == 1 for g in compiled.stages.groups for n in g.stored)
    assert compiled.inspect("nests").count("parallel r") == 1


@pytest.mark.parametrize(("shape", "taps", "places"), [((2, 30, 30, 24), (3, 3), 9), ((1, 34, 34, 70), (5, 5), 25), ((2, 24, 24, 64), (7, 7), 7)])
def test_taps_of_a_depthwise_kernel_are_summed_in_one_pass(shape: tuple[int, ...], taps: tuple[int, int], places: int) -> None:
    pads = tuple([(n // 2, n // 2) for n in taps])
    x, ct = leaf(*shape), leaf(*shape)
    out = ops.conv_weight(x, ct, taps, (1, 1), pads, (1, 1), shape[-1])
    compiled = check([out], [x, ct], 1e-4)
    assert all(n.aval.size <= x.aval.size for g in compiled.stages.groups for n in g.stored)
    assert compiled.inspect("nests").count("over serial k < 512") == places


@pytest.mark.parametrize(("channels", "unit"), [(24, "parallel r"), (3, "parallel vector i")])
def test_rows_of_channels_find_out_once_which_of_their_windows_exist(channels: int, unit: str) -> None:
    x = leaf(2, 9, 7, channels)
    seen = ops.windows(ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), (3, 3), (1, 1))
    compiled = check([ops.reduce_sum(seen, (3, 4))], [x])
    assert unit in compiled.inspect("nests")


@pytest.mark.parametrize(("taps", "turns"), [((7, 7), False), ((11, 11), False), ((12, 12), True)])
def test_taps_of_a_padded_window_find_their_places_once(taps: tuple[int, int], turns: bool) -> None:
    x, w = leaf(2, 9, 8, 24), leaf(*taps, 1, 24)
    pads = tuple([(n // 2, n // 2) for n in taps])
    compiled = check([ops.conv(x, w, (1, 1), pads, (1, 1), 24)], [x, w], 1e-5)
    assert ("= sum over" in compiled.inspect("nests")) == turns


def test_long_columns_of_one_array_stay_a_loop_for_any_number_of_rows() -> None:
    x = leaf(100, 300)
    assert check([ops.reduce_sum(x, (0,))], [x], 1e-5).inspect("nests").count("= sum over") == 1


def test_phases_put_together_are_read_at_one_place() -> None:
    phases = [leaf(3, 8, 20) for _ in range(2)]
    parted = [ops.reshape(x, (3, 8, 1, 20)) for x in phases]
    compiled = check([ops.reshape(ops.concat(parted, 2), (3, 16, 20))], phases)
    assert "- 1" not in compiled.inspect("nests") and "+ -1" not in compiled.inspect("nests")


# -- values put together from parts ---------------------------------------------------------------
def kernels(compiled: Compiled) -> list[str]:
    """The nodes of each kernel."""
    return [", ".join(n.prim.name for n in low.group.nodes) for low in compiled.stages.plan.order]


def strided(x: Node, channels: int, taps: int, stride: int, **options: Any) -> tuple[list[Node], list[Node]]:
    """The gradient of a strided convolution by ``x``, and what it is made of."""
    rank = x.ndim - 2
    w = leaf(*[taps] * rank, x.shape[-1] // options.get("groups", 1), channels, dtype=x.dtype)
    before = options.get("before", (taps - 1) // 2)
    y = ops.conv(x, w, (stride,) * rank, ((before, taps - 1 - before),) * rank, (options.get("dilation", 1),) * rank, options.get("groups", 1))
    ct = leaf(*y.shape, dtype=x.dtype)
    found = backward([y], [ct], [x])[0]
    assert found is not None
    return [found], [x, w, ct]


@pytest.mark.parametrize("extents", [(6, 6), (7, 5), (4, 9)])
@pytest.mark.parametrize(("taps", "stride"), [(3, 2), (2, 2), (3, 3), (5, 3)])
def test_phases_of_a_gradient_are_stored_where_they_belong(extents: tuple[int, int], taps: int, stride: int) -> None:
    outputs, inputs = strided(leaf(2, *extents, 5), 4, taps, stride)
    compiled = check(outputs, inputs)
    made = [nodes for nodes in kernels(compiled) if "identity" not in nodes]
    assert len(made) == stride * stride
    assert all(nodes.startswith("conv") for nodes in made)
    assert max(compiled.stages.plan.rounds) <= 1  # none waits for another


@pytest.mark.parametrize(
    ("taps", "stride", "options"), [(1, 2, {}), (2, 3, {}), (3, 2, {"dilation": 2}), (3, 2, {"groups": 5}), (3, 2, {"groups": 1, "before": 0})]
)
def test_gradients_with_positions_that_no_tap_sees_and_with_groups(taps: int, stride: int, options: dict[str, Any]) -> None:
    for extents in ((6, 7), (5, 9)):
        check(*strided(leaf(2, *extents, 5), 10, taps, stride, **options))


@pytest.mark.parametrize("extents", [(6, 6), (7, 5)])
def test_sums_of_phases_are_stored_where_they_belong(extents: tuple[int, int]) -> None:
    compiled = check(*strided(leaf(2, *extents, 16), 16, 3, 2, groups=16))
    (whole,) = {n for low in compiled.stages.plan.order for n in parts(low)}
    assert whole.shape == (2, *extents, 16)
    assert all("reduce_sum" in nodes or "mul" in nodes for nodes in kernels(compiled))


def test_what_follows_from_phases_is_computed_where_they_are() -> None:
    x, mask, other, line = leaf(2, 8, 7, 5), leaf(2, 8, 7, 5, dtype=dt.int32), leaf(2, 4, 4, 5), leaf(5)
    (found,), inputs = strided(x, 4, 3, 2)
    spread = ops.pad(ops.reshape(other, (2, 4, 1, 4, 1, 5)), [(0, 0), (0, 0), (0, 1), (0, 0), (0, 1), (0, 0)])
    added = ops.add(found, ops.slice_(ops.reshape(spread, (2, 8, 8, 5)), (0, 0, 0, 0), x.shape))
    masked = ops.where(ops.lt(mask, number(1, dt.int32)), added, ops.mul(added, line))
    compiled = check([masked, ops.neg(masked)], [*inputs, mask, other, line])
    made = [nodes for nodes in kernels(compiled) if "identity" not in nodes]
    assert len(made) == 4 and all("conv" in nodes and "where" in nodes and "neg" in nodes for nodes in made)


def test_a_phase_on_less_arithmetic_is_stored_where_it_belongs() -> None:
    outputs, inputs = strided(leaf(1, 16, 16, 64), 64, 5, 2)
    assert [nodes.split(", ")[0] for nodes in kernels(check(outputs, inputs, 1e-3))].count("conv_squares") == 2  # of 3x3 and of 2x2 taps
    assert not any(nodes == "reshape" for nodes in kernels(check(outputs, inputs, 1e-3)))


def test_parts_are_stored_on_their_own_where_others_read_them_or_each_other() -> None:
    a, b, w = leaf(3, 4), leaf(5, 4), leaf(4, 6)
    upper, lower = ops.matmul(a, w), ops.matmul(b, w)
    whole = ops.concat([upper, lower], 0)
    assert kernels(check([whole], [a, b, w])) == ["matmul, concat"] * 2
    assert len(kernels(check([whole, upper], [a, b, w]))) == 3
    assert len(kernels(check([ops.concat([upper, upper], 0)], [a, w]))) == 2
    assert len(kernels(check([ops.concat([upper, a], 1)], [a, w]))) == 2
    assert len(kernels(check([ops.add(whole, ops.slice_(whole, (7, 0), (-1, 6), (-1, 1)))], [a, b, w]))) == 3
    assert len(kernels(check([ops.add(whole, ops.reduce_sum(whole, (0,)))], [a, b, w]))) > 2
    turned = ops.concat([ops.swap_last(upper), ops.swap_last(lower)], 1)
    assert len(kernels(check([turned], [a, b, w]))) == 3  # rows stay rows


def test_a_part_that_is_missing_is_found() -> None:
    a, b, w = leaf(3, 4), leaf(5, 4), leaf(4, 6)
    groups = group([ops.concat([ops.matmul(a, w), ops.matmul(b, w)], 0)])
    verify_parts(groups)
    with pytest.raises(InternalError, match="18 elements"):
        verify_parts(groups[:1])


def test_a_part_of_one_row_is_stored_where_it_belongs() -> None:
    x, w, b, other = leaf(1, 3), leaf(3, 2), leaf(3), leaf(3)
    made = ops.add(ops.mul(ops.exp(ops.tanh(x)), ops.reshape(b, (1, 3))), ops.reshape(other, (1, 3)))
    whole = ops.concat([made, ops.matmul(x, w)], 1)
    check([ops.mul(whole, whole), ops.reduce_sum(ops.exp(whole), (1,))], [x, w, b, other])
    check([ops.concat([ops.add(x, ops.reshape(b, (1, 3))), ops.matmul(x, w)], 1)], [x, w, b, other])


def test_parts_beside_each_other_and_of_parts() -> None:
    a, b, w = leaf(2, 3, 4), leaf(2, 3, 4), leaf(4, 6)
    first, second = ops.matmul(a, w), ops.matmul(b, w)
    check([ops.exp(ops.concat([first, second], 2))], [a, b, w])
    beside = ops.concat([first, second], 2)
    assert kernels(check([ops.max_(beside, number(0))], [a, b, w])) == ["matmul, max"] * 2
    more = ops.concat([beside, ops.concat([ops.matmul(ops.add(a, b), w), ops.matmul(ops.sub(a, b), w)], 2)], 1)
    assert sum("concat" in nodes for nodes in kernels(check([more], [a, b, w]))) == 4


def test_a_value_made_of_parts_is_read_after_all_of_them() -> None:
    (found,), (x, w, ct) = strided(leaf(2, 8, 8, 5), 4, 3, 2)
    again = ops.conv(found, w, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    compiled = check([again, ops.reduce_sum(ops.mul(ct, ct), (0,))], [x, w, ct])
    plan = compiled.stages.plan
    writers = [k for k, low in enumerate(plan.order) if parts(low)]
    (whole,) = {n for k in writers for n in parts(plan.order[k])}
    readers = [k for k, low in enumerate(plan.order) if whole in reads(low)]
    assert len(writers) == 4 and readers
    assert max(plan.rounds[k] for k in writers) < min(plan.rounds[k] for k in readers)


def test_an_input_is_not_written_over_by_parts_that_come_before_its_last_reader() -> None:
    old, w = leaf(8, 6), leaf(6, 6)
    new = ops.concat([ops.matmul(ops.slice_(old, (0, 0), (4, 6)), w), ops.matmul(ops.slice_(old, (4, 0), (8, 6)), w)], 0)
    assert not in_place([new], [old, w], {0: 0}).donated
    a, b = leaf(4, 6), leaf(4, 6)
    mixed = ops.concat([ops.matmul(a, w), ops.add(ops.matmul(b, w), ops.slice_(old, (4, 0), (8, 6)))], 0)
    in_place([mixed, ops.reduce_sum(old, (1,))], [old, w, a, b], {0: 0})
    in_place([ops.sub(old, mixed)], [old, w, a, b], {0: 0})


def _cross_entropy(z: Node, y: Node) -> Node:
    rows = z.shape[0]
    z = ops.sub(z, ops.reshape(ops.reduce_max(z, (1,)), (rows, 1)))
    picked = ops.take_along_axis(z, ops.reshape(y, (rows, 1)), 1)
    return ops.reduce_sum(ops.sub(ops.log(ops.reduce_sum(ops.exp(z), (1,))), ops.reshape(picked, (rows,))))


@pytest.mark.parametrize("labels", [dt.int64, dt.int32, dt.uint8])
def test_the_gradient_of_a_picked_element_is_part_of_the_row_kernel(labels: DType) -> None:
    x, w, y = leaf(20, 16), leaf(16, 10), leaf(20, dtype=labels)
    loss = _cross_entropy(ops.matmul(x, w), y)
    (grad,) = backward([loss], [number(1)], [w])
    assert grad is not None
    compiled = check([loss, grad], [x, w, y], 1e-4)
    assert sorted(g.kind for g in compiled.stages.groups) == ["contract", "contract", "rows", "rows"]


# -- transposed reading ----------------------------------------------------------------------------
TURNS: Sequence[tuple[tuple[int, ...], Callable[[Node], Node]]] = [
    ((40, 64), lambda x: ops.permute(x, (1, 0))),
    ((37, 101), lambda x: ops.permute(x, (1, 0))),
    ((101, 37), lambda x: ops.neg(ops.permute(x, (1, 0)))),
    ((3, 50, 40), lambda x: ops.permute(x, (0, 2, 1))),
    ((6, 5, 70), lambda x: ops.permute(x, (2, 1, 0))),
    ((6, 5, 70), lambda x: ops.permute(x, (1, 2, 0))),
    ((64, 64), lambda x: ops.add(x, ops.permute(x, (1, 0)))),
    ((64, 64), lambda x: ops.mul(ops.exp(ops.permute(x, (1, 0))), ops.reshape(ops.slice_(x, (0, 0), (64, 1)), (64,)))),
    ((30, 20), lambda x: ops.pad(ops.permute(x, (1, 0)), ((1, 3), (2, 5)), 1.5)),
    ((30, 20), lambda x: ops.concat([ops.permute(x, (1, 0)), ops.reshape(x, (20, 30))], 1)),
    ((66, 35), lambda x: ops.permute(ops.flip(x, (0,)), (1, 0))),
    ((66, 35), lambda x: ops.permute(ops.slice_(x, (0, 0), (66, 35), (2, 1)), (1, 0))),
]


@pytest.mark.parametrize("number_", range(len(TURNS)))
@pytest.mark.parametrize("dtype", [dt.float32, dt.float16, dt.int64, dt.uint8])
def test_transposed_reading(number_: int, dtype: DType) -> None:
    shape, build = TURNS[number_]
    x = leaf(*shape, dtype=dtype)
    if number_ in (2, 7, 8) and not dtype.is_float:
        x = leaf(*shape)
    check([build(x)], [x], 2e-3 if dtype is dt.float16 else 1e-5)


def test_a_transposed_copy_goes_by_tiles() -> None:
    x = leaf(256, 192)
    compiled = compile_graph([ops.permute(x, (1, 0))], [x], NATIVE)
    assert [b.role for b in compiled.stages.plan.order[0].kernel.buffers] == ["in", "out", "scratch"]


# -- sums of whole arrays ------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(8, 56, 56, 256), (4096, 1024), (3, 7, 64, 1024)])
def test_chunks_of_a_grid_are_read_in_the_order_of_memory(shape: tuple[int, ...]) -> None:
    """Also where channels divide a chunk and lines do not: each element was gathered there."""
    x = leaf(*shape)
    first = compile_graph([ops.reduce_sum(x)], [x], NATIVE).stages.plan.order[0].kernel
    assert "of x0[((r * 16384) + j)]" in str(first)


@pytest.mark.parametrize("shape", [(300, 256), (300, 257)])
def test_what_is_summed_as_a_whole_is_not_stored(shape: tuple[int, int]) -> None:
    """Chunks of a sum are of another shape than what is summed; what repeats a vector is stored, as lanes would gather it."""
    x, y, v = leaf(*shape), leaf(*shape), leaf(shape[1])
    distance = ops.sub(x, y)
    made = check([ops.reduce_sum(ops.mul(distance, distance))], [x, y])
    assert all(low.kernel.units <= 5 for low in made.stages.plan.order)
    made = check([ops.reduce_sum(ops.exp(ops.add(x, v)))], [x, v])
    assert any(low.kernel.units * 257 >= 300 * 256 for low in made.stages.plan.order)
    made = check([ops.reduce_sum(ops.permute(ops.mul(x, y), (1, 0))), distance], [x, y])
