"""Optimizers in use: trees of variables, models in a plain loop, accumulation, averages, schedules, state, own rules, and mistakes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import math
import pickle

import numpy as np
import pytest

import insitu as si
from insitu.arguments import constraints_of, parameters_of
from insitu.errors import UserError
from insitu.optim import SGD, Adam, AdamW, Optimizer, schedules
from insitu.optim.base import REGISTRY

RULES = [REGISTRY[name] for name in ("adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "nadam", "rmsprop", "sgd")]
SCHEDULES = [
    schedules.CosineDecay, schedules.CosineDecayRestarts, schedules.ExponentialDecay, schedules.InverseTimeDecay, schedules.PolynomialDecay,
]  # fmt: skip


def weight(*values, name="w"):
    return si.Variable(np.asarray(values, np.float32), name=name)


def gradient(*values):
    return si.asarray(np.asarray(values, np.float32))


@dataclasses.dataclass
class Params:
    kernel: si.Variable
    more: dict


# -- trees and plain loops ------------------------------------------------------------------------------
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("params", "read"),
    [
        ([weight(1, 2), weight(3)], lambda p: (p[0], p[1])),
        ({"z": weight(1, 2), "a": (weight(3),)}, lambda p: (p["z"], p["a"][0])),
        (Params(weight(1, 2), {"b": [weight(3), None]}), lambda p: (p.kernel, p.more["b"][0])),
    ],
    ids=["list", "dict", "dataclass"],
)
def test_a_plain_loop_over_a_tree_of_variables(params, read, compiled):
    params = copy.deepcopy(params)
    optimizer = SGD(0.25)

    def step():
        loss, grads = si.value_and_grad(lambda p: si.sum(read(p)[0] ** 2) + si.sum(read(p)[1] ** 2))(params)
        optimizer.apply(grads, params)
        return loss

    run = si.compile(step) if compiled else step
    assert [float(run()), float(run())] == [14.0, 3.5]
    a, b = read(params)
    assert a.numpy().tolist() == [0.25, 0.5] and b.numpy().tolist() == [0.75]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_function_may_read_the_variables_in_place_of_its_argument(compiled):
    w, b = weight(1, 2), weight(3)

    def step():
        return si.value_and_grad(lambda params: si.sum(w.value * params["w"]) * b.value[0])({"w": w, "b": b})

    value, grads = (si.compile(step) if compiled else step)()
    assert float(value) == 15.0
    assert np.asarray(grads["w"]).tolist() == [6.0, 12.0] and np.asarray(grads["b"]).tolist() == [5.0]
    assert w.numpy().tolist() == [1.0, 2.0]  # as before


def test_variables_are_whole_after_a_function_that_fails_or_assigns():
    w, seen = weight(1.0), weight(0.0, name="seen")

    def fails(p):
        raise KeyError("no")

    with pytest.raises(KeyError):
        si.grad(fails)(w)

    def assigns(p):
        seen.assign(p * 2)
        w.assign(p * 3)
        return si.sum(p)

    assert np.asarray(si.grad(assigns)(w)).tolist() == [1.0]
    assert w.numpy().tolist() == [3.0] and seen.numpy().tolist() == [2.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_gradients_through_variables(compiled):
    w = weight(2.0)

    def by_variables():
        return si.grad(lambda p: si.sum(si.grad(lambda q: si.sum(w.value**3))(w)))(w)

    def by_arrays():
        return si.grad(lambda p: si.sum(si.grad(lambda q: si.sum(q**3))(p)))(w)

    for second in (by_variables, by_arrays):
        assert np.asarray((si.compile(second) if compiled else second)()).tolist() == [12.0]


def test_a_variable_that_comes_twice_takes_the_sum():
    w = weight(1.0)
    SGD(0.5).apply([gradient(1), gradient(2)], [w, w])
    assert w.numpy().tolist() == [-0.5]


def test_none_leaves_branches_alone_and_views_of_dicts_are_lists():
    params = {"a": weight(1.0), "b": [weight(1.0), weight(1.0)]}
    optimizer = SGD(0.5)
    optimizer.apply({"a": gradient(1), "b": None}, params)
    assert [params["a"].numpy()[0], params["b"][0].numpy()[0]] == [0.5, 1.0]
    flat = {"a": weight(1.0), "b": weight(2.0)}
    optimizer.apply({"a": gradient(1), "b": gradient(2)}.values(), flat.values())
    assert [v.numpy()[0] for v in flat.values()] == [0.5, 1.0]
    optimizer.apply_gradients(zip([gradient(1), None], flat.values(), strict=True))
    assert [v.numpy()[0] for v in flat.values()] == [0.0, 1.0]


def test_the_variables_may_be_left_out_once_they_are_known():
    a, b = weight(1.0), weight(2.0)
    optimizer = SGD(0.5)
    optimizer.build({"b": b, "a": a})  # in the order of the tree's leaves
    optimizer.apply([gradient(1), gradient(2)])
    assert [a.numpy()[0], b.numpy()[0]] == [0.5, 1.0]


def test_constraints_hold_after_a_step():
    w = weight(1.0, -1.0)
    w.constraint = lambda x: si.maximum(x, 0)
    SGD(0.5).apply([gradient(4, 0)], [w])
    assert w.numpy().tolist() == [0.0, 0.0]


# -- options --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cls", RULES, ids=lambda c: c.__name__)
def test_accumulation_equals_steps_with_the_means(cls):
    rng = np.random.default_rng(3)
    parts = rng.standard_normal((6, 3)).astype(np.float32)
    a, b = weight(1, 2, 3), weight(1, 2, 3)
    thirds, whole = cls(0.1, gradient_accumulation_steps=3), cls(0.1)
    step = si.compile(lambda g: thirds.apply([g], [a]))
    for k, g in enumerate(parts):
        before = a.numpy()
        step(g)
        if k % 3 == 2:
            whole.apply([((parts[k - 2] + parts[k - 1]) + g) / np.float32(3)], [b])
            assert np.array_equal(a.numpy(), b.numpy())
        else:
            assert np.array_equal(a.numpy(), before)
    assert len(step._traced) == 1 and int(thirds.iterations) == 2 and int(whole.iterations.value) == 2


def test_options_that_are_off_cost_no_state():
    w = weight(1, 2)
    for optimizer, slots in [(SGD(0.1), 0), (SGD(0.1, 0.9), 1), (Adam(), 2), (AdamW(), 2), (Adam(amsgrad=True), 3), (Adam(use_ema=True), 3)]:
        optimizer.build([w])
        assert len(optimizer.variables) == 2 + slots


def test_weight_decay_spares_what_is_excluded():
    optimizer = SGD(1.0, weight_decay=0.5)
    kernel, bias, scale = weight(4.0, name="d/kernel"), weight(4.0, name="d/bias"), weight(4.0, name="scale")
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.exclude_from_weight_decay(var_list=[scale])
    optimizer.apply([si.zeros(1)] * 3, [kernel, bias, scale])
    assert [v.numpy()[0] for v in (kernel, bias, scale)] == [2.0, 4.0, 4.0]
    again, (k2, b2, s2) = pickle.loads(pickle.dumps((optimizer, (kernel, bias, scale))))
    again.apply([si.zeros(1)] * 3, [k2, b2, s2])
    assert [v.numpy()[0] for v in (k2, b2, s2)] == [1.0, 4.0, 4.0]


def test_averages_replace_the_weights_at_the_end():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5)
    w, still = weight(4.0), weight(7.0, name="still")
    for _ in range(2):
        optimizer.apply([si.ones(1), None], [w, still])
    assert w.numpy()[0] == 2.0
    optimizer.finalize_variable_values([w, still])
    assert [w.numpy()[0], still.numpy()[0]] == [2.5, 7.0]  # (3 + 2) / 2, and what no gradient ever moved


def test_fit_ends_with_the_averages():
    model = si.nn.Sequential([si.nn.Dense(2)])
    model.compile(SGD(0.1, use_ema=True, ema_momentum=0.9), "mean_squared_error")
    model.fit(np.ones((8, 3), np.float32), np.ones((8, 2), np.float32), epochs=3, verbose=0)
    averages = [v for v in model.optimizer.variables if v.name.endswith("/average")]
    assert all(np.array_equal(a.numpy(), w.numpy()) for a, w in zip(averages, model.trainable_weights, strict=True))


@pytest.mark.parametrize("value", [300.0, 3e-4])
def test_norms_of_16_bits_are_summed_in_32(value):
    g = np.full(8, value, np.float16)
    w = si.Variable(np.zeros(8, np.float16))
    SGD(1.0, clipnorm=1e-3).apply([g], [w])
    assert math.isclose(float(np.linalg.norm(w.numpy().astype(np.float64))), min(1e-3, float(np.linalg.norm(g.astype(np.float64)))), rel_tol=2e-2)


@pytest.mark.parametrize("dtype", [si.float16, si.bfloat16, si.float64])
def test_state_has_the_dtype_of_its_variable(dtype):
    w = si.Variable(si.ones(2, dtype=dtype))
    optimizer = Adam(0.1, epsilon=1e-3, use_ema=True, gradient_accumulation_steps=2)
    for _ in range(2):
        optimizer.apply([si.ones(2, dtype=si.float32)], [w])
    assert {v.dtype for v in optimizer.variables[2:]} == {dtype} and abs(float(w.value[0]) - 0.9) < 0.01


# -- learning rates ------------------------------------------------------------------------------------------
def test_a_new_rate_compiles_nothing_anew_and_may_come_from_within_a_step():
    optimizer, w = SGD(0.5), weight(8.0)
    step = si.compile(lambda g: optimizer.apply([g], [w]))
    step(np.float32([1.0]))
    for rate in (2.0, np.float64(1.0), si.asarray(0.5), si.Variable(0.25)):
        optimizer.learning_rate = rate
        step(np.float32([1.0]))
    assert w.numpy()[0] == 3.75 and len(step._traced) == 1

    @si.compile
    def halve():
        optimizer.learning_rate = optimizer.learning_rate.value / 2

    halve()
    assert float(optimizer.learning_rate.value) == 0.125


def test_a_schedule_moves_the_rate_inside_one_compiled_step():
    optimizer = SGD(schedules.PiecewiseConstantDecay([1], [1.0, 0.5]))
    w, seen = weight(8.0), []
    step = si.compile(lambda g: optimizer.apply([g], [w]))
    for _ in range(4):
        step(np.float32([1.0]))
        seen.append(float(w.numpy()[0]))
    assert seen == [7.0, 6.0, 5.5, 5.0] and float(optimizer.learning_rate) == 0.5
    assert len(step._traced) == 1


class Halving(schedules.LearningRateSchedule):
    def __init__(self, rate, every=1):
        self.rate, self.every = rate, every

    def __call__(self, step):
        return self.rate * 0.5 ** (step // self.every)


def test_own_schedules_need_only_call():
    optimizer = SGD(Halving(1.0, every=2))
    w = weight(8.0)
    step = si.compile(lambda g: optimizer.apply([g], [w]))
    for _ in range(4):
        step(np.float32([1.0]))
    assert w.numpy()[0] == 5.0 and float(optimizer.learning_rate) == 0.25
    again = si.optim.get(json.loads(json.dumps(si.optim.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config() and isinstance(again.schedule, Halving)
    assert float(pickle.loads(pickle.dumps(optimizer)).learning_rate) == 0.25
    late = SGD(0.1)
    late.learning_rate = Halving(2.0)  # before the first step, as in Keras
    assert float(late.learning_rate) == 2.0 and late.get_config()["learning_rate"]["class_name"] == "Halving"


def test_restarts_come_at_the_very_step():
    schedule = schedules.CosineDecayRestarts(1.0, 3, t_mul=3.0, m_mul=0.5)
    starts = [3 * (3**k - 1) // 2 for k in range(9)]  # 0, 3, 12, 39, ..., where logarithms of floats are a little off
    assert [float(schedule(at)) for at in starts] == [0.5**k for k in range(9)]


# -- state ---------------------------------------------------------------------------------------------------
def test_state_has_names_of_its_own_and_comes_back_exactly():
    def made():
        optimizer, params = Adam(0.1, use_ema=True, gradient_accumulation_steps=2), [weight(1, 2, name="w"), weight(3, name="w")]
        optimizer.build(params)
        return optimizer, params

    def run(optimizer, params, steps):
        for k in steps:
            optimizer.apply([gradient(k, 1), gradient(-k)], params)
        return [v.numpy() for v in params]

    optimizer, params = made()
    names = [v.name for v in optimizer.variables]
    assert len(set(names)) == len(names) and names[:3] == ["iterations", "learning_rate", "w/momentum"] and "w/momentum#2" in names
    run(optimizer, params, range(5))
    other, twins = made()
    assert [v.name for v in other.variables] == names
    for mine, theirs in zip([*optimizer.variables, *params], [*other.variables, *twins], strict=True):
        theirs.assign(mine.numpy())
    assert all(map(np.array_equal, run(optimizer, params, range(5, 9)), run(other, twins, range(5, 9))))


def test_a_model_and_its_optimizer_are_copied_together():
    model = si.nn.Sequential([si.nn.Dense(3, activation="tanh"), si.nn.Dense(1)])
    model.compile(Adam(0.01), "mean_squared_error")
    x, y = np.ones((8, 4), np.float32), np.ones((8, 1), np.float32)
    model.fit(x, y, verbose=0)
    twin = copy.deepcopy(model)
    assert all(v in twin.optimizer._slots for v in twin.trainable_weights)
    for m in (model, twin):
        m.fit(x, y, verbose=0)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(model.weights, twin.weights, strict=True))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_step_of_ones_own_with_a_model(compiled):
    si.random.seed(0)
    model = si.nn.Sequential([si.nn.Dense(4, activation="tanh"), si.nn.Dense(1)])
    model.build((None, 3))
    x = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
    y, optimizer = x[:, :1] * 2, Adam(0.05)

    def step(x, y):
        loss, grads = si.value_and_grad(lambda params: si.mean((model(x) - y) ** 2))(model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)
        return loss

    run = si.compile(step) if compiled else step
    losses = [float(run(x, y)) for _ in range(20)]
    assert losses[-1] < 0.3 * losses[0]


# -- rules of one's own ----------------------------------------------------------------------------------------
class Signs(Optimizer):
    """Steps by the sign of a decaying sum."""

    slots = ("total",)

    def __init__(self, learning_rate=0.01, decay=0.5, **options):
        super().__init__(learning_rate, **options)
        self.decay = decay

    def step(self, grad, param, slots, scalars):
        total = slots["total"] * self.decay + grad
        return param - scalars["learning_rate"] * si.sign(total), {"total": total}


def test_own_rules_have_all_options_and_configurations():
    optimizer = Signs(0.25, decay=0.75, clipvalue=1.0, gradient_accumulation_steps=2)
    assert repr(optimizer) == "Signs(learning_rate=0.25, decay=0.75, clipvalue=1.0, gradient_accumulation_steps=2)"
    again = si.optim.get(json.loads(json.dumps(si.optim.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config() and isinstance(again, Signs)
    w = weight(1.0)
    for g in (3.0, 1.0):
        again.apply([gradient(g)], [w])
    assert w.numpy()[0] == 0.75


# -- mistakes ----------------------------------------------------------------------------------------------------
DECLARED = [(cls, n, c) for cls in (*RULES, *SCHEDULES) for n, c in constraints_of(cls).items() if c.slug == "optimizer-range"]
NOBODY_WANTS = [math.nan, math.inf, "much", [1.0], 1j, 10**400, np.zeros(2)]


@pytest.mark.parametrize(("cls", "argument", "allowed"), DECLARED, ids=[f"{c.__name__} {n}" for c, n, _ in DECLARED])
def test_arguments_are_held_to_what_is_declared(cls, argument, allowed):
    needed = {n: c.fits[0] for n, c in constraints_of(cls).items() if parameters_of(cls)[n].default is inspect.Parameter.empty}
    refused = [v for v in allowed.borders if v not in allowed]
    assert refused
    for value in [*NOBODY_WANTS, *refused]:
        with pytest.raises(UserError) as caught:
            cls(**{**needed, argument: value})
        assert (caught.value.slug, caught.value.expected) == ("optimizer-range", str(allowed))
        assert f"{cls.__name__}: {argument} must be {allowed}." in str(caught.value)
    made = cls(**{**needed, argument: allowed.fits[0]})
    assert made.get_config()[argument] == allowed.fits[0]


class Forgets(schedules.LearningRateSchedule):
    def __init__(self, rate):
        pass

    def __call__(self, step):
        return None


def begun(**options):
    optimizer = SGD(0.1, **options)
    optimizer.apply([gradient(1)], [weight(1.0)])
    return optimizer


MISTAKES = [
    (lambda: Adam(beta1=0.9), "argument-unknown", "did you mean beta_1=?"),
    (lambda: SGD(clipnorm=1.0, clipvalue=1.0), "optimizer-clipping", "leave out all but one of them"),
    (lambda: SGD(-1.0), "optimizer-learning-rate", "pass learning_rate=0.001"),
    (lambda: SGD(si.asarray([0.1])), "optimizer-learning-rate", "pass learning_rate=0.001"),
    (lambda: si.optim.get("adamm"), "optimizer-unknown", 'did you mean "adam"?'),
    (lambda: SGD({"class_name": "CosineDecays"}), "schedule-unknown", 'did you mean "cosine_decay"?'),
    (lambda: schedules.PiecewiseConstantDecay([1], [0.1]), "schedule-values", "PiecewiseConstantDecay([1000], [0.1, 0.01])"),
    (lambda: schedules.PiecewiseConstantDecay([9, 5], [0.1, 0.2, 0.3]), "schedule-values", "PiecewiseConstantDecay([1000], [0.1, 0.01])"),
    (lambda: SGD(Forgets(1)).learning_rate, "schedule-return", "let __call__ return a number in every case"),
    (lambda: Forgets(1).get_config(), "config-not-kept", "set self.rate = rate in Forgets.__init__"),
    (lambda: setattr(SGD(Halving(1.0)), "learning_rate", 1.0), "optimizer-schedule", "make it with a number: SGD(learning_rate=0.001)"),
    (lambda: setattr(begun(momentum=0.5), "momentum", 0.9), "optimizer-built", "make a new optimizer: SGD(momentum=0.9)"),
    (lambda: begun().exclude_from_weight_decay(var_names=["bias"]), "optimizer-built", "make a new optimizer: SGD(...)"),
    (lambda: SGD().apply([1.0], [np.float32(1.0)]), "optimizer-variable", "make it a si.Variable, or use optimizer.update"),
    (lambda: SGD().apply([gradient(1)], [si.Variable([1])]), "optimizer-variable", "leave it out of the variables, or make it with dtype=si.float32"),
    (lambda: SGD().apply({"a": gradient(1)}, {"b": weight(1)}), "tree-mismatch", "pass what si.grad or si.value_and_grad gave for these parameters"),
    (lambda: SGD().apply([gradient(1)], {"b": weight(1)}), "tree-mismatch", "pass what si.grad or si.value_and_grad gave for these parameters"),
    (lambda: SGD().apply([None], [weight(1)]), "optimizer-gradient-count", "compute the loss from these variables"),
    (lambda: SGD().apply([gradient(1, 2)], [weight(1)]), "optimizer-gradient-shape", "pass the gradients in the order of the parameters"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "slug", "fix"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(make, slug, fix):
    with pytest.raises(UserError) as caught:
        make()
    assert (caught.value.slug, caught.value.fix) == (slug, fix)


def test_a_gradient_of_another_shape_is_named_with_its_variable():
    with pytest.raises(UserError) as caught:
        Adam().apply([gradient(1), gradient(1, 2)], [weight(1, name="a"), weight(1, name="dense/kernel")])
    assert 'Adam: the gradient of "dense/kernel" has another shape than its parameter.' in str(caught.value)
    assert (caught.value.expected, caught.value.received) == ("shape (1,)", "shape (2,)")
