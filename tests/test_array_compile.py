"""`si.compile` and `si.Variable`: signatures, trees, updates in place, and what must not be overwritten."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import insitu as si


def test_it_is_traced_once_per_signature() -> None:
    traced = []

    @si.compile
    def f(x):
        traced.append(x.shape)
        return x + 1

    for x in (si.ones(3), si.zeros(3), si.ones((2, 2)), np.ones(3, np.float32)):
        np.testing.assert_array_equal(np.asarray(f(x)), np.asarray(x) + 1)
    assert traced == [(3,), (2, 2)]


@dataclasses.dataclass
class Pair:
    left: si.Array
    right: si.Array


def test_fixed_values_that_are_equal_but_not_the_same_have_programs_of_their_own() -> None:
    traced = []
    f = si.compile(lambda x, c: traced.append(c) or x / c)
    for zero in (0.0, -0.0, 0):
        assert float(f(si.ones(()), zero)) == (-np.inf if np.signbit(zero) else np.inf)
    assert len(traced) == 3
    for _ in range(3):
        f(si.ones(()), float("nan"))
    assert len(traced) == 4  # NaN is not equal to itself, but computes the same


class Foreign:
    """An array of another library: one object, whose values may change."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


def test_arrays_of_other_libraries_are_arrays_in_calls() -> None:
    v = si.Variable(si.zeros(2))

    @si.compile
    def f(x):
        v.assign(x)
        return x, x.at[0].set(5)

    given = Foreign([1, 2])
    kept, changed = f(given)
    given.values += 1
    assert kept.tolist() == v.value.tolist() == [1, 2] and changed.tolist() == [5, 2]
    assert f(given)[0].tolist() == [2, 3]
    assert "input(): float32[2]" in f.inspect(given, stage="graph")
    assert f.run_many(given, steps=1, split=[0])[1].tolist() == [5, 3]


@pytest.mark.parametrize("library", [np.asarray, Foreign])
def test_a_compiled_function_gets_arrays_inside_others_too(library) -> None:
    inner = si.compile(lambda w, tree: si.sum(w * tree["x"].at[0].set(0.0)))
    given = {"x": library(np.arange(3, dtype=np.float32))}
    assert float(inner(si.ones(3), given)) == 3
    assert si.grad(inner)(si.ones(3), given).tolist() == [0, 1, 2]
    assert float(si.compile(lambda w: inner(w, given))(si.ones(3))) == 3


def test_a_variable_that_lasts_for_one_call_is_made_anew_in_each() -> None:
    outer = si.Variable(0.0)

    def f(x):
        total, product = si.Variable(0.0), si.Variable(x)
        last = si.Variable(product * 2)
        for k in range(3):
            total.assign_add(si.sum(x) * k)
            product.assign(product * last)
        outer.assign_add(total)
        unused = si.Variable(1.0)
        unused.assign(total)
        return total.value, product.value, si.random.default_rng(0).normal(size=2)

    compiled, x = si.compile(f), si.asarray([1.0, 3.0])
    expected = [v.tolist() for v in f(x)]
    for calls in (2, 3):
        assert [v.tolist() for v in compiled(x)] == expected and float(outer) == 12 * calls
    assert compiled.variables(x) == [outer]
    total = si.compile(si.grad(lambda x: f(x)[0] + si.sum(f(x)[1])))
    assert total(x).tolist() == si.grad(lambda x: f(x)[0] + si.sum(f(x)[1]))(x).tolist()


def test_a_variable_that_somebody_holds_keeps_its_value_between_calls() -> None:
    made = []

    @si.compile
    def f(x):
        if not made:
            made.append(si.Variable(si.ones(2) * 3))
        made[0].assign_add(x)
        return made[0].value, si.random.default_rng().normal(size=2)

    first, second = f(si.ones(2)), f(si.ones(2))
    assert first[0].tolist() == [4, 4] and second[0].tolist() == made[0].value.tolist() == [5, 5]
    assert first[1].tolist() != second[1].tolist()


class Counter:
    def __init__(self, by: float) -> None:
        self.by, self.total = by, si.Variable(0.0)

    @si.compile
    def add(self, x, scale=1.0):
        """Add to the total."""
        self.total.assign_add(si.sum(x) * self.by * scale)
        return x + 1


def test_methods_can_do_what_functions_can() -> None:
    one, two = Counter(1.0), Counter(2.0)
    x = si.arange(4.0)
    assert one.add(x).tolist() == [1, 2, 3, 4] and two.add(x, scale=10.0).tolist() == [1, 2, 3, 4]
    assert (float(one.total), float(two.total)) == (6, 120)
    assert two.add.run_many(x, steps=2, split=[0]).tolist() == [3, 4] and float(two.total) == 132
    assert one.add.variables(x) == [one.total] and two.add.variables(x) == [two.total]
    assert two.add.inspect(x, stage="graph") == Counter.add.inspect(two, x, stage="graph")
    assert one.add.__name__ == "add" and list(inspect.signature(one.add).parameters) == ["x", "scale"]
    with pytest.raises(si.errors.ArgumentError, match="compile-steps"):
        one.add.run_many(x, steps=0)


def test_an_array_kept_from_one_trace_is_refused_in_the_next() -> None:
    kept = []
    si.compile(lambda x: kept.append(x * 2) or x)(si.ones(2))
    with pytest.raises(si.errors.TraceError, match="trace-kept"):
        si.compile(lambda y: y + kept[0])(si.ones(2))


@pytest.mark.parametrize(("value", "received"), [({1}, "options['mode']: set"), (type("Row", (tuple,), {})(([],)), "options['mode']: Row")])
def test_an_argument_that_cannot_be_fixed_is_named(value, received) -> None:
    f = si.compile(lambda x, options: x)
    with pytest.raises(si.errors.ArgumentError, match="compile-argument") as caught:
        f(si.ones(2), {"mode": value, "rate": 1.0})
    assert caught.value.received == received


def test_trees_go_in_and_come_out() -> None:
    @si.compile
    def f(tree, pair, *, scale):
        return {"sum": tree["a"] + tree["b"][0], "pair": Pair(pair.right * scale, pair.left), "name": "kept", "none": None}

    out = f({"a": si.ones(2), "b": [si.ones(2) * 3]}, Pair(si.zeros(2), si.ones(2)), scale=2)
    assert np.asarray(out["sum"]).tolist() == [4, 4]
    assert np.asarray(out["pair"].left).tolist() == [2, 2] and np.asarray(out["pair"].right).tolist() == [0, 0]
    assert out["name"] == "kept" and out["none"] is None


def test_variable_is_updated_in_place_when_nobody_else_holds_it() -> None:
    v = si.Variable(np.zeros(1000, np.float32))

    @si.compile
    def step(x):
        v.assign(v.value + x)

    step(1.0 * si.ones(1000))
    address = v.node.memory.ptr
    for _ in range(3):
        step(si.ones(1000))
    assert v.node.memory.ptr == address
    assert np.asarray(v.value).tolist() == [4.0] * 1000


def test_an_array_taken_from_a_variable_keeps_its_value() -> None:
    v = si.Variable(np.zeros(100, np.float32))

    @si.compile
    def step():
        v.assign(v.value + 1)

    step()
    before, view = v.value, np.asarray(v.value)
    step()
    step()
    assert (np.asarray(before) == 1).all() and (view == 1).all() and (np.asarray(v.value) == 3).all()


def test_old_and_new_value_may_both_be_returned() -> None:
    v = si.Variable(np.zeros(50, np.float32))

    @si.compile
    def step():
        old = v.value
        v.assign(old + 1)
        return old, v.value

    step()
    old, new = step()
    assert (np.asarray(old) == 1).all() and (np.asarray(new) == 2).all()
    step()
    assert (np.asarray(new) == 2).all() and (np.asarray(v.value) == 3).all()


def test_two_variables_can_be_swapped() -> None:
    a, b = si.Variable(si.zeros(3)), si.Variable(si.ones(3))

    @si.compile
    def swap():
        a_value = a.value
        a.assign(b.value)
        b.assign(a_value)

    swap()
    assert np.asarray(a.value).tolist() == [1, 1, 1] and np.asarray(b.value).tolist() == [0, 0, 0]


def test_a_reader_of_the_old_value_runs_before_the_update() -> None:
    w = si.Variable(np.eye(4, dtype=np.float32))

    @si.compile
    def step(x):
        w.assign(w.value * 2)
        return x

    @si.compile
    def both(x):
        old = w.value
        w.assign(old - 1)
        return x @ old + si.sum(old)

    step(si.ones(1))
    got = np.asarray(both(si.ones((1, 4))))
    assert got.tolist() == [[10, 10, 10, 10]]
    assert np.asarray(w.value).tolist() == (np.eye(4) * 2 - 1).tolist()


def test_captured_arrays_are_inputs_not_copies() -> None:
    w = si.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    pending = w * 2

    @si.compile
    def f(x):
        return x @ w + si.sum(pending)

    assert np.asarray(f(si.ones((1, 2)))).tolist() == [[33.0, 35.0, 37.0]]


def test_looking_at_a_value_while_traced_is_refused_at_the_users_line() -> None:
    @si.compile
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(si.errors.TraceError) as caught:
        f(si.ones(3))
    assert "if x.sum() > 0:" in str(caught.value)
    assert "insitu explain trace-value" in str(caught.value)


def test_a_python_number_that_changes_each_call_is_said_once() -> None:
    f = si.compile(lambda x, k: x * k)
    x = si.ones(2)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(10):
            f(x, float(k))
    assert len(seen) == 1 and issubclass(seen[0].category, si.errors.InsituWarning)
    assert "traced 5 times" in str(seen[0].message) and seen[0].filename == __file__


def test_assigning_what_does_not_fit_changes_nothing() -> None:
    v = si.Variable(si.zeros(3), name="speed")
    with pytest.raises(si.errors.ShapeError, match='Variable "speed" holds shape'):
        v.assign(si.zeros(4))
    with pytest.raises(si.errors.DTypeError, match="variable-dtype"):
        v.assign(si.zeros(3, dtype=si.int32))
    assert np.asarray(v.value).tolist() == [0, 0, 0]


def test_variables_pickle_by_value() -> None:
    v = pickle.loads(pickle.dumps(si.Variable(si.ones(3) * 2, name="n", trainable=False)))
    assert np.asarray(v.value).tolist() == [2, 2, 2] and v.name == "n" and not v.trainable


def test_threads_may_call_one_compiled_function() -> None:
    """All at once, so that some wait for kernels that another one is loading."""
    for number in range(5):
        f, start = si.compile(lambda x, n=number + 2.5: si.sum(x * x) * n), threading.Barrier(4)

        def work(k: int, f: Any = f, start: threading.Barrier = start) -> set[float]:
            x = si.full((1000,), float(k))
            start.wait()
            return {float(f(x)) for _ in range(50)}

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == [{1000.0 * k * k * (number + 2.5)} for k in range(4)]


def test_a_loop_that_never_looks_does_not_grow() -> None:
    x = si.zeros(4)
    for _ in range(2000):
        x = x + 1
    assert x._node.depth < 1000
    assert np.asarray(x).tolist() == [2000.0] * 4


def test_a_changing_number_finds_its_program_again() -> None:
    from insitu.array import evaluate

    x = si.ones(5)
    si.evaluate(x)
    float(si.sum(x * 0.123))
    before = len(evaluate._programs)
    for k in range(10):
        got = float(si.sum(x * (0.2 + k)))
        assert got == pytest.approx(5 * (0.2 + k), rel=1e-6)
    assert len(evaluate._programs) == before


def test_inspect_names_its_stages() -> None:
    f = si.compile(lambda x, w: si.tanh(x @ w))
    text = f.inspect(si.ones((2, 3)), si.ones((3, 4)))
    for stage in ("graph", "simplified", "kernels", "nests", "llvm", "assembly"):
        assert f"== {stage} ==" in text
    with pytest.raises(si.errors.ArgumentError, match='"nest" is not a stage'):
        f.inspect(si.ones((2, 3)), si.ones((3, 4)), stage="nest")


def test_a_forked_child_computes() -> None:
    f = si.compile(lambda x: si.sum(x @ x))
    x = si.ones((300, 300))
    expected = float(f(x))
    child = os.fork()
    if child == 0:
        good = float(f(x)) == expected and float(si.sum(x * 3)) == 270_000.0
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_two_processes_fill_one_cache(tmp_path) -> None:
    program = "import insitu as si\nx = si.ones((37, 41))\nprint(float(si.sum(si.tanh(x) @ si.exp(x).T)))"
    env = os.environ | {"INSITU_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = {run.communicate(timeout=120)[0] for run in runs}
    assert len(results) == 1 and results.pop().strip()
    assert all(run.returncode == 0 for run in runs)


def test_a_damaged_cache_is_compiled_again(tmp_path) -> None:
    program = "import insitu as si\nprint(float(si.sum(si.tanh(si.ones((37, 41))))))"
    env = os.environ | {"INSITU_CACHE_DIR": str(tmp_path)}

    def run() -> str:
        return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=120).stdout

    first = run()
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files
    for k, path in enumerate(files):
        raw = bytearray(path.read_bytes())
        path.write_bytes(raw[: len(raw) // 2] if k % 2 else bytes(raw[:-20]) + b"x" * 20)
    assert run() == first


def test_numpy_arguments_of_any_layout_are_read_where_they_are() -> None:
    f = si.compile(lambda x: x * 2)
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    for x in (a, a.T, a[:, ::2], a[::-1], a.astype(">f4")):
        np.testing.assert_array_equal(np.asarray(f(x)), x * 2)


def test_an_argument_that_is_kept_does_not_share_numpys_memory() -> None:
    v = si.Variable(si.zeros(4))

    @si.compile
    def keep(x):
        v.assign(x)
        return x

    @si.compile
    def add():
        v.assign(v.value + 1)

    a = np.ones(4, np.float32)
    kept = keep(a)
    a[:] = 7
    add()
    assert np.asarray(kept).tolist() == [1] * 4 and np.asarray(v.value).tolist() == [2] * 4 and a.tolist() == [7] * 4


def test_a_number_whose_value_was_looked_at_is_still_a_constant_of_programs() -> None:
    from insitu.array import scalars
    from insitu.array.evaluate import evaluate_nodes

    evaluate_nodes([scalars.constant(0.0, si.float32)])  # as INSITU_EAGER does
    assert "constant(value=0.0" in si.compile(lambda x: si.maximum(x, 0.0)).inspect(si.ones(3), stage="graph")


# -- many steps in one call ------------------------------------------------------------------------
def _training(rows: int = 12):
    """A step with two variables updated in place, one that counts, and a loss; the data."""
    rng = np.random.default_rng(3)
    w, speed, count = si.Variable(rng.standard_normal((5, 3)).astype(np.float32)), si.Variable(np.zeros((5, 3), np.float32)), si.Variable(0)

    @si.compile
    def step(x, y, rows):
        def loss(w):
            picked = si.take(x, rows, axis=0) @ w - si.take(y, rows, axis=0)
            return si.mean(picked * picked)

        value, grad = si.value_and_grad(loss)(w.value)
        speed.assign(speed.value * 0.9 + grad)
        w.assign(w.value - 0.1 * speed.value)
        count.assign(count.value + 1)
        return value

    x, y = rng.standard_normal((rows, 5)).astype(np.float32), rng.standard_normal((rows, 3)).astype(np.float32)
    return step, (w, speed, count), x, y


def _bits(variables) -> list[bytes]:
    return [np.asarray(v.value).tobytes() for v in variables]


@pytest.mark.parametrize("threads", [1, 2])
def test_many_steps_give_the_bits_of_as_many_calls(threads: int) -> None:
    order = np.random.default_rng(1).integers(0, 12, 40)
    si.config.threads = threads
    try:
        step, one_by_one, x, y = _training()
        x, y = si.asarray(x), si.asarray(y)
        for k in range(10):
            last = step(x, y, order[4 * k : 4 * k + 4])
        for held in (False, True):
            step, variables, _, _ = _training()
            keep = [v.value for v in variables] if held else None
            got = step.run_many(x, y, order, steps=10, split=[2])
            assert _bits(variables) == _bits(one_by_one)
            assert np.asarray(got).tobytes() == np.asarray(last).tobytes()
            assert keep is None or np.asarray(keep[2]).item() == 0
    finally:
        si.config.threads = None


def test_many_steps_take_one_native_call_once_the_variables_are_alone(monkeypatch) -> None:
    from insitu.runtime.program import Program

    calls = []
    for name in ("run", "run_again", "run_many"):
        plain = getattr(Program, name)
        monkeypatch.setattr(Program, name, lambda self, *args, name=name, plain=plain: (calls.append(name), plain(self, *args))[1])
    step, variables, x, y = _training()
    order = si.asarray(np.arange(24) % 12)
    x, y = si.asarray(x), si.asarray(y)
    si.evaluate(order, x, y)
    calls.clear()
    step.run_many(x, y, order, steps=6, split=[2])
    assert calls == ["run_many"]
    step(x, y, order[:4])
    step(x, y, order[:4])
    assert calls == ["run_many", "run", "run_again"]
    view = np.asarray(variables[0].value)
    before = view.copy()
    step(x, y, order[:4])
    step.run_many(x, y, order, steps=6, split=[2])
    assert (view == before).all() and calls[3:] == ["run", "run_many"]


def test_many_steps_where_a_variable_cannot_be_updated_in_place() -> None:
    def made():
        v = si.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))

        @si.compile
        def step(x):
            old = v.value
            v.assign((old @ old.mT @ old) * 0.1 + x)
            return old

        return v, step

    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    (v, step), (w, many) = made(), made()
    for k in range(4):
        old = step(x[2 * k : 2 * k + 2])
    got = many.run_many(x, steps=4, split=[0])
    assert _bits([v]) == _bits([w]) and np.asarray(old).tolist() == np.asarray(got).tolist()


def test_many_steps_with_trees_odd_layouts_and_kept_arguments() -> None:
    v = si.Variable(np.zeros(3, np.float64))

    @si.compile
    def add(tree, scale):
        v.assign(v.value + si.sum(tree["x"] * tree["y"], axis=0) * scale)
        return tree["x"]

    data = np.arange(48, dtype=np.float64).reshape(3, 16).T[::2]
    tree = {"x": data, "y": si.asarray(data.astype(">f8")) + 0}
    last = add.run_many(tree, si.asarray(2.0, dtype=si.float64), steps=4, split=[0])
    np.testing.assert_array_equal(np.asarray(last), data[6:])
    np.testing.assert_array_equal(np.asarray(v.value), 2 * (data * data).sum(0))
    data[...] = 0
    assert np.asarray(last).any()


def test_many_steps_inside_another_compiled_function_are_traced() -> None:
    v = si.Variable(1.0)
    inner = si.compile(lambda x: v.assign(v.value * 2 + si.sum(x)))
    outer = si.compile(lambda x: inner.run_many(x, steps=3, split=[0]))
    outer(si.ones(6))
    assert float(v.value) == ((1 * 2 + 2) * 2 + 2) * 2 + 2


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((np.ones(10),), {"steps": 3, "split": [0]}), ((np.ones(10),), {"steps": 0}), ((np.ones(4),), {"steps": 2, "split": [1]}),
     ((2,), {"steps": 2, "split": [0]}),
     ((np.float32(1),), {"steps": 1, "split": [0]})],
)  # fmt: skip
def test_many_steps_refuse_what_cannot_be_cut(arguments, options) -> None:
    f = si.compile(lambda x: x)
    with pytest.raises(si.errors.ArgumentError, match="compile-steps"):
        f.run_many(*arguments, **options)


def test_a_variable_looked_at_between_calls_keeps_what_was_seen() -> None:
    v = si.Variable(np.zeros(100, np.float32))
    step = si.compile(lambda x: v.assign(v.value + x))
    one, seen = si.ones(100), []
    for k in range(12):
        step(one)
        if k % 3 == 2:
            seen.append((v.value, np.asarray(v.value)))
        if k == 7:
            v.assign(si.zeros(100))
    assert [float(a[0]) for a, _ in seen] == [3, 6, 1, 4] and [float(b[5]) for _, b in seen] == [3, 6, 1, 4]


@si.compile
def decorated(x):
    return x * 3


def plain(x):
    return x * 2


def test_compiled_functions_pickle_and_copy_by_their_function():

    f = si.compile(plain)
    x = si.asarray([1.0, 2.0])
    f(x)
    for other in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert other is not f and np.array_equal(np.asarray(other(x)), [2.0, 4.0])
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(x * 2))), [2.0, 4.0])


def told_by(function):
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        function()
    return [str(w.message) for w in seen]


def test_shapes_that_change_each_time_are_told_with_the_argument():
    f = si.compile(lambda params, *, x: params["w"][0] * si.sum(x["left"]))

    def run():
        for n in range(2, 9):
            f({"w": [si.asarray(1.0)]}, x={"left": si.ones(n), "right": 3})

    (text,) = told_by(run)
    assert "each time for another x['left']" in text and "float32[2], float32[3], float32[4], float32[5], float32[6], ..." in text
    assert text.endswith("insitu explain compile-shapes")


def test_python_values_that_change_each_time_are_told_with_the_argument():
    f = si.compile(lambda x, mode: x * len(mode))
    (text,) = told_by(lambda: [f(si.ones(3), mode="a" * n) for n in range(7)])
    assert "another Python value mode" in text


def test_a_slow_trace_says_what_changed(monkeypatch):
    monkeypatch.setattr("insitu.array.retracing.SLOW", 0.0)
    f = si.compile(lambda x, *rest: si.sum(x) + len(rest))
    assert not told_by(lambda: [f(si.ones(3)), f(si.ones(4))])  # two programs are normal: the last batch is often shorter
    (text,) = told_by(lambda: f(si.ones(4, dtype=si.int32)))
    assert "x: float32[4], then int32[4]" in text and text.endswith("insitu explain compile-slow")
    assert "the structure of the arguments" in told_by(lambda: f(si.ones(4), si.ones(2)))[0]


def test_arrays_of_one_number_need_no_program() -> None:
    from insitu.array import evaluate

    before = len(evaluate._programs)
    for dtype, value in (
        (si.float32, 0.1),
        (si.float64, 0.1),
        (si.float16, 0.1),
        (si.bfloat16, 0.1),
        (si.int8, -3),
        (si.uint64, 2**63),
        (si.bool, True),
    ):
        x, y = si.full((3, 2), value, dtype=dtype), si.reshape(si.full((2, 3), value, dtype=dtype), (3, 2))
        si.evaluate(x, y)
        for one in (x, y):
            np.testing.assert_array_equal(np.asarray(one), np.full((3, 2), value, one.dtype.numpy))
        assert x._node.memory is not y._node.memory
    assert np.asarray(si.zeros((0, 3))).shape == (0, 3) and np.signbit(np.asarray(si.full(2, -0.0))).all()
    assert len(evaluate._programs) == before
    ones, number = si.ones(3), si.arange(3, dtype=si.float32)
    both = ones + number  # `ones` is seen by its user, too
    np.testing.assert_array_equal(np.asarray(both), [1, 2, 3])
    np.testing.assert_array_equal(np.asarray(ones), [1, 1, 1])


def test_operators_of_variables_are_those_of_their_values():
    v, w = si.Variable([1.0, 2.0]), si.Variable([3.0, 5.0])
    for found, want in (
        (v * w, [3, 10]), (1 - v, [0, -1]), (v**2, [1, 4]), (2**v, [2, 4]), (-v, [-1, -2]), (v @ w, 13), (w[1], 5), (w // v, [3, 2]),
        (np.ones(2, np.float32) + v, [2, 3]), (v > 1, [False, True]), (abs(-w), [3, 5]),
    ):  # fmt: skip
        assert isinstance(found, si.Array)
        np.testing.assert_array_equal(np.asarray(found), want)
    assert [float(x) for x in w] == [3.0, 5.0]
    assert (float(si.Variable(2.5)), int(si.Variable(3))) == (2.5, 3)
    assert [bool(si.Variable(x)) for x in (0.0, 2.0, False, [True])] == [False, True, False, True]
    with pytest.raises(si.errors.ShapeError, match="truth value"):
        bool(v)
    assert v == v and v != w and {v: 1}[v] == 1  # as keys of dicts

    @si.compile
    def step(x):
        here = v
        here += x  # changes the variable
        w.assign_sub(v * 2)
        return here * w

    assert np.asarray(step(np.float32(1))).tolist() == [-2.0, -3.0]
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([2.0, 3.0], [-1.0, -1.0])
    v.assign_add([1.0, 1.0])
    assert v.numpy().tolist() == [3.0, 4.0]
    grads = si.grad(lambda p: si.sum(p[0] * p[1]))([v, w])
    assert [np.asarray(g).tolist() for g in grads] == [[-1.0, -1.0], [3.0, 4.0]]
    with pytest.raises(TypeError, match="unsupported operand"):
        v + "a"
    count = si.Variable(np.int64(1))
    with pytest.raises(si.errors.DTypeError):
        count += 0.5
