"""The loop nest's expressions, text and verifier."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from nest_interpreter import run

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.nest import Axis, Buffer, Contract, Kernel, Let, Loop, Operand, Reduce, Store, const, index, load, op, ref
from insitu.codegen.target import named
from insitu.codegen.verify import verify
from insitu.errors import InternalError

f32, i64 = dt.float32, dt.int64
R = nest.axis("r", None)
J = Axis("j", 10, "vector")


def softmax() -> Kernel:
    start = op("mul", R, index(10))
    x = load("x", op("add", start, J.at), f32)
    body = (
        Reduce("m", "max", J, x),
        Reduce("s", "sum", J, ref("e", f32), (Let("e", op("exp", op("sub", x, ref("m", f32)))), Store("row", J.at, ref("e", f32)))),
        Loop(J, (Store("y", op("add", start, J.at), op("div", load("row", J.at, f32), ref("s", f32))),)),
    )
    return Kernel("r", 4, (Buffer("x", f32, "in"), Buffer("y", f32, "out"), Buffer("row", f32, "scratch", 10)), body)


def flat(value: nest.Expr, guard: nest.Expr | None = None) -> Kernel:
    i = nest.axis("i", None)
    buffers = (Buffer("x", f32, "in"), Buffer("y", value.dtype, "out"))
    return Kernel("i", 100, buffers, (Store("y", i, value, guard),), vector=True)


# -- text ----------------------------------------------------------------------------------------
def test_a_row_kernel_reads_like_its_loops() -> None:
    assert str(softmax()) == (
        "kernel(in x: float32, out y: float32, scratch row: float32[10])\n"
        "  parallel r:\n"
        "    m = max over vector j < 10 of x[((r * 10) + j)]: float32\n"
        "    s = sum over vector j < 10 of e: float32\n"
        "      let e: float32 = exp((x[((r * 10) + j)] - m))\n"
        "      row[j] = e\n"
        "    vector j < 10:\n"
        "      y[((r * 10) + j)] = (row[j] / s)"
    )


def test_shared_parts_are_written_once() -> None:
    i = nest.axis("i", None)
    x = load("x", i, f32)
    y = op("add", op("mul", x, const(2.0, f32)), const(1.0, f32))
    wave = op("sin", op("mul", y, y))
    kernel = flat(op("mul", wave, op("exp", wave)), op("lt", i, index(50)))
    assert str(kernel) == (
        "kernel(in x: float32, out y: float32)\n"
        "  parallel vector i:\n"
        "    t1 := sin((((x[i] * 2.0) + 1.0) * ((x[i] * 2.0) + 1.0)))\n"
        "    y[i] = (t1 * exp(t1)) if (i < 50)"
    )


def test_text_stays_short_for_an_expression_doubled_many_times() -> None:
    x = load("x", nest.axis("i", None), f32)
    for _ in range(2000):
        x = op("mul", x, x)
    assert len(str(flat(x))) < 60_000 and len(repr(x)) < 60_000


def test_a_contraction_and_a_scan_in_text() -> None:
    m, n = nest.axis("m", None), nest.axis("n", None)
    out = Store("c", op("add", op("mul", m, index(7)), n), op("max", ref("acc", f32), const(0.0, f32)))
    contract = Contract("acc", 1, 5, 7, 3, Operand("a", f32, 0, 3, 1), Operand("b", f32, 0, 1, 3), f32, (out,))
    kernel = Kernel("u", 1, (Buffer("a", f32, "in"), Buffer("b", f32, "in"), Buffer("c", f32, "out")), (contract,))
    verify(kernel)
    assert str(kernel) == (
        "kernel(in a: float32, in b: float32, out c: float32)\n"
        "  parallel u:\n"
        "    acc[batch < 1, m < 5, n < 7] = contract k < 3: float32\n"
        "      a = a: float32 strides 0, 3, 1\n"
        "      b = b: float32 strides 0, 1, 3\n"
        "      epilogue:\n"
        "        c[((m * 7) + n)] = max(acc, 0.0)"
    )
    k = Axis("k", 6)
    scan = Reduce("s", "sum", k, nest.cast(load("x", k.at, dt.int8), i64), after=(Store("y", k.at, ref("s", i64), op("ne", R, index(2))),))
    kernel = Kernel("r", 1, (Buffer("x", dt.int8, "in"), Buffer("y", i64, "out")), (scan,))
    verify(kernel)
    assert str(kernel) == (
        "kernel(in x: int8, out y: int64)\n"
        "  parallel r:\n"
        "    s = sum over serial k < 6 of int64(x[k]): int64\n"
        "      after:\n"
        "        y[k] = s if (r != 2)"
    )


def test_a_bound_on_the_unit_axis_is_part_of_the_text() -> None:
    free, bound = (Kernel("i", 9, (Buffer("y", i64, "out"),), (Store("y", index(0), nest.axis("i", n)),)) for n in (None, 9))
    assert "parallel i:" in str(free) and "parallel i < 9:" in str(bound)


# -- index arithmetic ----------------------------------------------------------------------------
def test_linear_addresses_are_split_by_axis() -> None:
    x = op("add", op("mul", op("sub", J.at, index(3)), index(-4)), op("mul", R, index(40)))
    base, stride = nest.linear(x, "j") or (None, None)
    assert stride == -4 and base is not None and not nest.depends(base, "j")
    assert nest.linear(op("mod", J.at, index(3)), "j") is None
    assert nest.linear(R, "j") == (R, 0)


def test_division_takes_out_whole_multiples() -> None:
    x = op("add", op("mul", R, index(12)), Axis("k", 12).at)
    assert op("floordiv", x, index(12)) is R and op("mod", x, index(12)) is Axis("k", 12).at


@pytest.mark.parametrize("shift", [0, 7, 24, 31, 12 * 24 + 5, -24])
def test_division_parts_a_constant_into_multiples_and_a_rest(shift: int) -> None:
    k, j = Axis("k", 10), Axis("j", 5)
    x = op("add", op("add", op("mul", k.at, index(24)), index(shift)), j.at)
    places = {"k": np.repeat(np.arange(10), 5), "j": np.tile(np.arange(5), 10)}
    for name, expected in (("floordiv", np.floor_divide), ("mod", np.mod)):
        assert np.array_equal(run(op(name, x, index(240)), places, {}), expected(run(x, places, {}), 240)), name
    row = op("mod", op("floordiv", op("add", x, index(240)), index(24)), index(10))
    assert not nest.depends(row, "j")


def test_a_choice_of_zero_where_a_load_is_not_made_is_the_load_alone() -> None:
    at = Axis("k", 10).at
    inside, near = op("le", index(2), at), op("lt", at, index(7))
    guarded = nest.load("x", at, f32, op("and", near, inside))
    for condition in (inside, near, op("and", near, inside)):
        assert op("select", condition, guarded, nest.const(0.0, f32)) is guarded
        assert op("select", condition, guarded, nest.const(-0.0, f32)).op == "select"
        assert op("select", condition, guarded, nest.const(1.0, f32)).op == "select"
    assert op("select", op("lt", index(3), at), guarded, nest.const(0.0, f32)).op == "select"


def test_virtual_lanes() -> None:
    assert [nest.virtual_lanes(n) for n in (1, 2, 3, 10, 33, 64, 65, 9999)] == [1, 2, 4, 16, 64, 64, 64, 64]


# -- the verifier --------------------------------------------------------------------------------
X = load("x", nest.axis("i", None), f32)
WRONG: dict[str, tuple[Kernel, str]] = {
    "name": (flat(op("add", X, ref("z", f32))), "z is used before it is defined"),
    "buffer": (flat(load("w", nest.axis("i", None), f32)), "buffer w is not declared"),
    "axis": (flat(load("x", J.at, f32)), "axis j is used outside its loop"),
    "read type": (flat(load("x", nest.axis("i", None), dt.int32)), "x of float32 is read as int32"),
    "store type": (dataclasses.replace(flat(X), buffers=(Buffer("x", f32, "in"), Buffer("y", i64, "out"))), "float32 goes to y of int64"),
    "guard": (flat(X, X), "a guard is not bool"),
    "part": (dataclasses.replace(flat(load("y", nest.axis("i", None), f32)), buffers=(Buffer("y", f32, "part"),)), "other kernels write parts of it"),
    "role": (dataclasses.replace(flat(X), buffers=(Buffer("x", f32, "in"), Buffer("y", f32, "in"))), "only read, by its role"),
    "twice": (dataclasses.replace(flat(X), body=(Let("a", X), Let("a", X))), "a is defined twice"),
    "inside": (dataclasses.replace(softmax(), body=(Loop(J, (Loop(J, ()),)),)), "axis j is bound inside itself"),
    "scope": (
        dataclasses.replace(softmax(), body=(Loop(J, (Let("a", const(1.0, f32)),)), Store("y", R, ref("a", f32)))),
        "a is used before it is defined, or outside its scope",
    ),
    "scan": (dataclasses.replace(softmax(), body=(Reduce("s", "sum", J, const(1.0, f32), after=(Let("b", ref("s", f32)),)),)), "serial axis"),
    "how": (dataclasses.replace(softmax(), body=(Reduce("s", "mean", J, const(1.0, f32)),)), "unknown reduction mean"),
    "scratch": (dataclasses.replace(softmax(), buffers=(Buffer("x", f32, "scratch"),)), "has no size"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_refused_by_name(name: str) -> None:
    kernel, message = WRONG[name]
    with pytest.raises(InternalError, match=message):
        verify(kernel)


def test_a_right_kernel_passes() -> None:
    verify(softmax())
    verify(flat(X, op("lt", nest.axis("i", None), index(5))))


def test_a_contraction_stands_alone() -> None:
    contract = Contract("acc", 1, 5, 7, 3, Operand("x", f32, 0, 3, 1), Operand("x", f32, 0, 1, 3), f32, ())
    with pytest.raises(InternalError, match="only statement"):
        verify(dataclasses.replace(softmax(), body=(contract, Let("a", const(1.0, f32)))))


# -- the target ----------------------------------------------------------------------------------
def test_the_cache_key_has_instructions_but_no_tuning() -> None:
    native, narrow, haswell = named("native"), named("native", 128), named("haswell")
    assert len({native.isa, narrow.isa, haswell.isa, named("broadwell").isa}) == 4
    for target in (native, haswell):
        assert ",-" not in target.isa and "tuning" not in target.isa and "+sse2" in target.isa
