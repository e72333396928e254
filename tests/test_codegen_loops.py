"""Element-wise, row and column kernels on every vector width: values against NumPy, bits equal across widths."""

from __future__ import annotations

import ctypes
import dataclasses
import mmap
from collections.abc import Callable, Sequence

import kernels
import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.codegen import nest, verify
from insitu.codegen.cpu import general, generate, survey, traffic
from insitu.codegen.cpu.assemble import assembly
from insitu.codegen.nest import Axis, Buffer, Expr, Kernel, Let, Loop, Reduce, Store, const, index, load, op, ref
from insitu.codegen.target import Target

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of NaN in casts

f32, f64, i32, i64 = dt.float32, dt.float64, dt.int32, dt.int64
I = nest.axis("i", None)
TARGETS = [t for t in kernels.TARGETS if kernels.has_instruction(t)]
IDS = [f"{t.cpu}-{t.vector_bits}" for t in TARGETS]

each_target = pytest.mark.parametrize("target", TARGETS, ids=IDS)


def elementwise(inputs: dict[str, dt.DType], results: Sequence[Expr], units: int) -> Kernel:
    buffers = [Buffer(name, d, "in") for name, d in inputs.items()]
    buffers += [Buffer(f"o{k}", x.dtype, "out") for k, x in enumerate(results)]
    return Kernel("i", units, tuple(buffers), tuple(Store(f"o{k}", I, x) for k, x in enumerate(results)), vector=True)


def evaluate(inputs: dict[str, np.ndarray], results: Sequence[Expr], target: Target, n: int = 0) -> list[np.ndarray]:
    """The results at ``n`` positions, from the arrays themselves (no copies)."""
    n = n or len(next(iter(inputs.values())))
    kernel = elementwise({k: dt.as_dtype(v.dtype) for k, v in inputs.items()}, results, n)
    verify.verify(kernel)
    outs = {f"o{k}": np.zeros(n, x.dtype.numpy) for k, x in enumerate(results)}
    launch = kernels.launcher(kernel, target, {**inputs, **outs})
    launch(0, n // 3)
    launch(n // 3, n)
    return list(outs.values())


def bits(a: np.ndarray) -> np.ndarray:
    return a.view(f"u{a.dtype.itemsize}")


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bits, any NaN equal to any other."""
    if a.dtype.kind in "biu":
        return np.array_equal(a, b)
    nan = np.isnan(a.astype(np.float64))
    return np.array_equal(nan, np.isnan(b.astype(np.float64))) and np.array_equal(bits(a)[~nan], bits(b)[~nan])


# -- operations ----------------------------------------------------------------------------------
def wrapped(f: Callable[..., int], dtype: dt.DType) -> Callable[..., np.ndarray]:
    """A function of Python integers, element by element, wrapped to the type."""

    def apply(*arrays: np.ndarray) -> np.ndarray:
        rows = zip(*(a.tolist() for a in arrays), strict=True)
        return np.array([f(*row) & ((1 << dtype.bits) - 1) for row in rows], f"u{dtype.itemsize}").view(dtype.numpy)

    return apply


def truncated(x: int, y: int) -> int:
    return 0 if y == 0 else (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)


INTEGER_REFERENCES: dict[str, Callable[..., int]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": truncated,
    "rem": lambda x, y: 0 if y == 0 else x - truncated(x, y) * y,
    "floordiv": lambda x, y: 0 if y == 0 else x // y,
    "mod": lambda x, y: 0 if y == 0 else x % y,
    "min": min,
    "max": max,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "shl": lambda x, y: x << y if 0 <= y < 64 else 0,
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "not": lambda x: ~x,
}


@each_target
@pytest.mark.parametrize("dtype", dt.INTEGERS, ids=lambda d: d.name)
def test_integer_operations_wrap_and_never_trap(dtype: dt.DType, target: Target) -> None:
    rng = np.random.default_rng(1)
    edges = np.array([dtype.min, dtype.max, 0, 1, dtype.max // 2, 3], object)
    x = np.concatenate([np.repeat(edges, 6), rng.integers(dtype.min, dtype.max, 67, dtype.numpy, endpoint=True)]).astype(dtype.numpy)
    y = np.concatenate([np.tile(edges, 6), rng.integers(max(dtype.min, -9), 9, 67, dtype.numpy)]).astype(dtype.numpy)
    if dtype.kind == "i":
        y[6:12] = -1
    a, b = load("x", I, dtype), load("y", I, dtype)
    names = list(INTEGER_REFERENCES)
    results = [op(n, *(a, b)[: nest.OPERATIONS[n]]) for n in names] + [op("shr", a, b), op("mulhi", a, b), op("lt", a, b), op("pow", a, b)]
    got = evaluate({"x": x, "y": y}, results, target)
    for name, out in zip(names, got, strict=False):
        expected = wrapped(INTEGER_REFERENCES[name], dtype)(*(x, y)[: nest.OPERATIONS[name]])
        assert np.array_equal(out, expected), name
    shr, mulhi, less, power = got[len(names) :]
    assert np.array_equal(shr, wrapped(lambda p, q: p >> q if 0 <= q < dtype.bits else p >> 200, dtype)(x, y))
    full = (1 << dtype.bits) - 1
    assert np.array_equal(mulhi, wrapped(lambda p, q: ((p & full) * (q & full)) >> dtype.bits, dtype)(x, y))
    assert np.array_equal(less, x < y)
    keep = (y >= 0) & (y < 20)
    assert np.array_equal(power[keep], wrapped(lambda p, q: p**q, dtype)(x[keep], y[keep]))


@each_target
def test_division_by_a_constant_rounds_down(target: Target) -> None:
    x = np.arange(-70, 70, dtype=np.int32)
    a = load("x", I, i32)
    divisors = (1, 3, -5, 16)
    got = evaluate({"x": x}, [op(name, a, const(d, i32)) for d in divisors for name in ("floordiv", "mod")], target)
    for k, d in enumerate(divisors):
        assert np.array_equal(got[2 * k], x // d) and np.array_equal(got[2 * k + 1], x % d)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, -0.5, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, 8388609.0, 4503599627370497.0]


@each_target
@pytest.mark.parametrize("dtype", [f32, f64, dt.float16, dt.bfloat16], ids=lambda d: d.name)
def test_float_operations(dtype: dt.DType, target: Target) -> None:
    rng = np.random.default_rng(2)
    with np.errstate(all="ignore"):
        x = np.concatenate([np.repeat(SPECIAL, len(SPECIAL)), rng.standard_normal(50) * 5]).astype(dtype.numpy)
        y = np.concatenate([np.tile(SPECIAL, len(SPECIAL)), rng.standard_normal(50) * 5]).astype(dtype.numpy)
    a, b = load("x", I, dtype), load("y", I, dtype)
    binary = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "copysign": np.copysign}
    unary = {"neg": np.negative, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint, "sqrt": np.sqrt}
    compare = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
    results = [op(n, a, b) for n in (*binary, *compare)] + [op(n, a) for n in unary]
    results += [op("min", a, b), op("max", a, b), op("select", op("lt", a, b), a, b), op("sign", a)]
    got = dict(zip([*binary, *compare, *unary, "min", "max", "select", "sign"], evaluate({"x": x, "y": y}, results, target), strict=True))
    with np.errstate(all="ignore"):
        for name, f in {**binary, **unary}.items():
            args = (x, y) if name in binary else (x,)
            single = f(*(v.astype(dtype.compute.numpy) for v in args))
            assert same(got[name], single.astype(dtype.numpy)), name
        for name, f in compare.items():
            assert np.array_equal(got[name], f(x, y)), name
        wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
        assert np.array_equal(got["min"].astype(np.float64), np.minimum(wide_x, wide_y), equal_nan=True)
        assert np.array_equal(got["max"].astype(np.float64), np.maximum(wide_x, wide_y), equal_nan=True)
        assert same(got["select"], np.where(x < y, x, y))
        assert np.array_equal(got["sign"].astype(np.float64), np.sign(wide_x), equal_nan=True)


@each_target
def test_a_product_and_a_sum_are_rounded_separately(target: Target) -> None:
    rng = np.random.default_rng(3)
    x, y, z = (rng.standard_normal(1000).astype(np.float32) for _ in range(3))
    product = op("mul", load("x", I, f32), load("y", I, f32))
    got = evaluate({"x": x, "y": y, "z": z}, [op("add", product, load("z", I, f32)), op("sub", load("z", I, f32), product)], target)
    assert np.array_equal(got[0], x * y + z) and np.array_equal(got[1], z - x * y)


# -- conversions ---------------------------------------------------------------------------------
def converted(x: np.ndarray, dtype: dt.DType) -> np.ndarray:
    source = dt.as_dtype(x.dtype)
    with np.errstate(all="ignore"):
        if dtype.kind in "iu" and source.kind == "f":
            wide = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0, posinf=1e300, neginf=-1e300)
            whole = [min(max(int(v), dtype.min), dtype.max) for v in wide.tolist()]
            return np.array(whole, dtype.numpy)
        if dtype is dt.bfloat16 and source is f64:
            return x.astype(np.longdouble).astype(np.float64).astype(dtype.numpy)
        return x.astype(dtype.numpy)


@each_target
@pytest.mark.parametrize("source", dt.ALL, ids=lambda d: d.name)
def test_conversions_between_all_types(source: dt.DType, target: Target) -> None:
    rng = np.random.default_rng(4)
    if source.kind == "f":
        with np.errstate(all="ignore"):
            scale = np.exp2(rng.uniform(-30, 70, 400))
            x = np.concatenate([SPECIAL, rng.standard_normal(400) * scale, rng.standard_normal(100)]).astype(source.numpy)
    elif source.kind == "b":
        x = rng.integers(0, 2, 77).astype(bool)
    else:
        x = np.concatenate([[source.min, source.max, 0, 1], rng.integers(source.min, source.max, 200, source.numpy)]).astype(source.numpy)
    others = [d for d in dt.ALL if d is not source and not (d is dt.bfloat16 and source is f64)]
    a = load("x", I, source)
    for d, out in zip(others, evaluate({"x": x}, [nest.cast(a, d) for d in others], target), strict=True):
        expected = converted(x, d)
        if d.kind == "f" and d.bits == 16 and source.bits >= 32 and source.kind in "iu":
            expected = x.astype(np.float32).astype(d.numpy)
        assert same(out, expected), d.name


@each_target
def test_sixteen_bit_floats_convert_exactly_in_every_range(target: Target) -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    for half in (dt.float16, dt.bfloat16):
        (wide,) = evaluate({"x": every.view(half.numpy)}, [nest.cast(load("x", I, half), f32)], target)
        assert same(wide, every.view(half.numpy).astype(np.float32))
        middle = (bits(wide).astype(np.int64)[:-1] + bits(wide).astype(np.int64)[1:]) // 2  # ties between neighbours
        near = np.concatenate([middle + k for k in (-1, 0, 1)]).astype(np.uint32).view(np.float32)
        (back,) = evaluate({"x": near}, [nest.cast(load("x", I, f32), half)], target)
        with np.errstate(all="ignore"):
            assert same(back, near.astype(half.numpy))
    double = near.astype(np.float64)
    double[::3] = np.nextafter(double[::3], np.inf)
    double[1::3] = np.nextafter(double[1::3], -np.inf)
    (back,) = evaluate({"x": double}, [nest.cast(load("x", I, f64), dt.float16)], target)
    with np.errstate(all="ignore"):
        assert same(back, double.astype(np.float16))
    # rounding to bfloat16 once: a float64 just off a tie must not be rounded to the tie first
    (once,) = evaluate({"x": np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8 - 2.0**-40])}, [nest.cast(load("x", I, f64), dt.bfloat16)], target)
    assert once.astype(np.float64).tolist() == [1 + 2.0**-7, 1.0]


@each_target
def test_conversions_and_integer_operations_call_nothing(target: Target) -> None:
    a = load("x", I, f64)
    results = [nest.cast(a, d) for d in dt.ALL] + [nest.cast(nest.cast(a, dt.uint64), f32), nest.cast(nest.cast(a, dt.float16), f64)]
    u = nest.cast(a, dt.uint64)
    results += [op(n, u, u) for n in ("mulhi", "div", "mod", "shl", "pow")]
    text = assembly(generate(elementwise({"x": f64}, results, 100), target).code.ir(), target)
    assert "call" not in text.replace(".callq", "call") and "@PLT" not in text


# -- memory --------------------------------------------------------------------------------------
class Fenced:
    """An array of which the bytes before or after it cannot be touched."""

    def __init__(self, values: np.ndarray, at_end: bool) -> None:
        page = mmap.PAGESIZE
        size = -(-values.nbytes // page) * page
        self.memory = mmap.mmap(-1, size + 2 * page)
        whole = np.frombuffer(self.memory, np.uint8)
        start = page + (size - values.nbytes if at_end else 0)
        self.array = whole[start : start + values.nbytes].view(values.dtype)
        self.array[:] = values
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        base = whole.ctypes.data
        for fence in (base, base + page + size):
            assert protect(ctypes.c_void_p(fence), ctypes.c_size_t(page), 0) == 0


@each_target
@pytest.mark.parametrize("dtype", [f32, dt.uint8, dt.float16, f64], ids=lambda d: d.name)
def test_loads_of_every_stride_touch_only_their_elements(dtype: dt.DType, target: Target) -> None:
    n = 101
    x = (np.arange(3 * n) % 120).astype(dtype.numpy)
    at = {
        "flip": op("sub", index(n - 1), I),
        "third": op("mul", I, index(3)),
        "back": op("sub", index(3 * (n - 1)), op("mul", I, index(3))),
        "same": index(7),
        "mod": op("mod", I, index(40)),
        "div": op("floordiv", I, index(7)),
        "small": op("mod", I, index(3)),
    }
    shifted = op("sub", I, index(5))
    inside = op("and", op("le", index(5), I), op("lt", I, index(60)))
    flipped = op("sub", index(80), I)
    guards = {
        "pad": (shifted, inside),
        "pad flipped": (flipped, op("le", I, index(80))),
        "scalar": (I, op("lt", nest.cast(load("p", index(0), i32), i64), index(1))),
        "gather": (op("add", op("mul", I, index(9)), index(-18)), op("and", op("le", index(2), I), op("lt", I, index(30)))),
    }
    results = [load("x", o, dtype) for o in at.values()] + [load("x", o, dtype, g) for o, g in guards.values()]
    results.append(load("x", nest.cast(load("t", I, i32), i64), dtype))
    i, t = np.arange(n), np.random.default_rng(5).integers(0, 3 * n, n).astype(np.int32)
    expected = [x[n - 1 - i], x[3 * i], x[3 * (n - 1 - i)], np.full(n, x[7]), x[i % 40], x[i // 7], x[i % 3]]
    zero = np.zeros((), x.dtype)
    expected += [np.where((i >= 5) & (i < 60), x[i - 5], zero), np.where(i <= 80, x[80 - i], zero), np.where(i < 0, x[i], zero)]
    expected += [np.where((i >= 2) & (i < 30), x[np.clip(9 * i - 18, 0, 3 * n - 1)], zero), x[t]]
    fences = [Fenced(x, at_end) for at_end in (False, True)]
    for fence in fences:
        got = evaluate({"x": fence.array, "t": t, "p": np.ones(1, np.int32)}, results, target, n)
        for name, out, right in zip([*at, *guards, "take"], got, expected, strict=True):
            assert np.array_equal(out, right), name


def test_guarded_and_masked_memory_is_never_touched_outside() -> None:
    n = 37
    kernel = elementwise({"x": f32}, [load("x", op("sub", I, index(8)), f32, op("le", index(8), I))], n + 8)
    for target in TARGETS:
        for at_end in (False, True):
            x, o = Fenced(np.arange(n, dtype=np.float32), at_end), Fenced(np.zeros(n + 8, np.float32), at_end)
            kernels.launcher(kernel, target, {"x": x.array, "o0": o.array})()
            assert np.array_equal(o.array, np.concatenate([np.zeros(8), np.arange(n)]).astype(np.float32))


@each_target
def test_stores_of_every_stride_and_guard(target: Target) -> None:
    n = 50
    x = np.arange(n, dtype=np.float32)
    value = load("x", I, f32)
    odd = op("eq", op("mod", I, index(2)), index(1))
    stores = (
        Store("flip", op("sub", index(n - 1), I), value),
        Store("third", op("mul", I, index(3)), value),
        Store("odd", I, value, odd),
        Store("odd3", op("mul", I, index(3)), value, odd),
        Store("take", nest.cast(load("t", I, i32), i64), value),
        Store("last", index(0), value),
    )
    names = [s.buffer for s in stores]
    buffers = (Buffer("x", f32, "in"), Buffer("t", i32, "in"), *(Buffer(name, f32, "out") for name in names))
    kernel = Kernel("i", n, buffers, stores, vector=True)
    t = np.random.default_rng(6).integers(0, n, n).astype(np.int32)
    got = kernels.run(kernel, target, {"x": x, "t": t, **{name: np.full(3 * n, -1, np.float32) for name in names}})
    expected = {name: np.full(3 * n, -1, np.float32) for name in names}
    expected["flip"][:n] = x[::-1]
    expected["third"][::3] = x
    expected["odd"][1:n:2] = x[1::2]
    expected["odd3"][3::6] = x[1::2]
    for k in range(n):
        expected["take"][t[k]] = x[k]  # of equal places the last one stays
    expected["last"][0] = x[-1]
    for name in names:
        assert np.array_equal(got[name], expected[name]), name


@each_target
def test_a_read_sees_what_statements_before_it_wrote(target: Target) -> None:
    x = load("x", I, f32)
    more = op("add", x, const(1.0, f32))
    body = (Store("y", I, more), Store("x", I, op("mul", more, const(2.0, f32))), Store("z", I, more))
    kernel = Kernel("i", 40, (Buffer("x", f32, "both"), Buffer("y", f32, "out"), Buffer("z", f32, "out")), body, vector=True)
    start = np.arange(40, dtype=np.float32)
    got = kernels.run(kernel, target, {"x": start, "y": start, "z": start})
    assert np.array_equal(got["x"], (start + 1) * 2) and np.array_equal(got["z"], (start + 1) * 2 + 1)


# -- reductions ----------------------------------------------------------------------------------
def lanes_fold(how: str, row: np.ndarray) -> np.ndarray:
    """The order of `nest`: lane i % L takes element i, then lane k takes lane k + L/2."""
    f = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[how]
    count = nest.virtual_lanes(len(row))
    lanes = [row[k::count] for k in range(count)]
    folded: list[np.ndarray | None] = []
    for lane in lanes:
        total = lane[0] if len(lane) else None
        for value in lane[1:]:
            total = f(total, value)
        folded.append(total)
    while len(folded) > 1:
        half = len(folded) // 2
        folded = [a if b is None else f(a, b) for a, b in zip(folded[:half], folded[half:], strict=True)]
    return folded[0]


def row_kernel(n: int, dtype: dt.DType, rows: int, serial: bool = False) -> Kernel:
    r = nest.axis("r", None)
    j = Axis("j", n, "serial" if serial else "vector")
    x = load("x", op("add", op("mul", r, index(n)), j.at), dtype)
    hows = ("sum", "prod", "max", "min", "argmax", "argmin")
    body = [Reduce(how, how, j, x) for how in hows]
    kinds = [i64 if how.startswith("arg") else dtype for how in hows]
    body += [Store(f"o_{how}", r, ref(how, d)) for how, d in zip(hows, kinds, strict=True)]
    buffers = (Buffer("x", dtype, "in"), *(Buffer(f"o_{how}", d, "out") for how, d in zip(hows, kinds, strict=True)))
    return Kernel("r", rows, buffers, tuple(body))


@each_target
@pytest.mark.parametrize("dtype", [f32, f64, i32, dt.uint8, i64], ids=lambda d: d.name)
def test_row_reductions_have_the_bits_of_their_virtual_lanes(dtype: dt.DType, target: Target) -> None:
    rng = np.random.default_rng(7)
    for n in (1, 3, 10, 64, 333):
        x = rng.standard_normal((3, n)) * 10
        x = x.round().astype(dtype.numpy) if dtype.kind in "iu" else (1 + x / 50).astype(dtype.numpy)
        arrays = {"x": x, **{f"o_{h}": np.zeros(3, dtype.numpy) for h in ("sum", "prod", "max", "min")}}
        arrays |= {f"o_{h}": np.zeros(3, np.int64) for h in ("argmax", "argmin")}
        kernel = row_kernel(n, dtype, 3)
        verify.verify(kernel)
        got = kernels.run(kernel, target, arrays, split=1)
        with np.errstate(all="ignore"):
            for how in ("sum", "prod", "max", "min"):
                expected = np.array([lanes_fold(how, row) for row in x], dtype.numpy)
                assert same(got[f"o_{how}"], expected), (n, how)
        assert np.array_equal(got["o_argmax"], x.argmax(1)) and np.array_equal(got["o_argmin"], x.argmin(1)), n


@each_target
@pytest.mark.parametrize("serial", [False, True], ids=("lanes", "chain"))
def test_reductions_with_nan_infinities_and_negative_zeros(target: Target, serial: bool) -> None:
    n = 70
    x = np.tile(np.arange(n, dtype=np.float32) % 9, (6, 1))
    x[0, [40, 50]] = np.nan
    x[1] = -np.inf
    x[2] = -0.0
    x[3, 69] = np.nan
    x[4, 0], x[5, 5] = np.nan, np.inf
    arrays = {"x": x, **{f"o_{h}": np.zeros(6, np.float32) for h in ("sum", "prod", "max", "min")}}
    arrays |= {f"o_{h}": np.zeros(6, np.int64) for h in ("argmax", "argmin")}
    got = kernels.run(row_kernel(n, f32, 6, serial), target, arrays)
    assert np.array_equal(got["o_argmax"], x.argmax(1)) and np.array_equal(got["o_argmin"], x.argmin(1))
    assert np.array_equal(got["o_max"], x.max(1), equal_nan=True) and np.array_equal(got["o_min"], x.min(1), equal_nan=True)
    assert np.signbit(got["o_sum"][2]) and np.isnan(got["o_sum"][0])


@each_target
def test_sixteen_bit_rows_fold_in_float32(target: Target) -> None:
    x = np.random.default_rng(8).standard_normal((2, 300)).astype(np.float16)
    arrays = {"x": x, **{f"o_{h}": np.zeros(2, np.float16) for h in ("sum", "prod", "max", "min")}}
    arrays |= {f"o_{h}": np.zeros(2, np.int64) for h in ("argmax", "argmin")}
    got = kernels.run(row_kernel(300, dt.float16, 2), target, arrays)
    wide = x.astype(np.float32)
    assert same(got["o_sum"], np.array([lanes_fold("sum", row) for row in wide]).astype(np.float16))
    assert np.array_equal(got["o_max"], x.max(1)) and np.array_equal(got["o_argmin"], x.argmin(1))


@each_target
def test_columns_reduce_in_increasing_order_and_scans_see_the_running_value(target: Target) -> None:
    rows, n = 37, 45
    x = np.random.default_rng(9).standard_normal((rows, n)).astype(np.float32)
    k = Axis("k", rows)
    at = op("add", op("mul", k.at, index(n)), I)
    body = (
        Reduce("s", "sum", k, load("x", at, f32), after=(Store("scan", at, ref("s", f32)),)),
        Store("o", I, ref("s", f32)),
        Reduce("m", "argmax", k, load("x", at, f32)),
        Store("p", I, ref("m", i64)),
    )
    buffers = (Buffer("x", f32, "in"), Buffer("scan", f32, "out"), Buffer("o", f32, "out"), Buffer("p", i64, "out"))
    kernel = Kernel("i", n, buffers, body, vector=True)
    verify.verify(kernel)
    arrays = {"x": x, "scan": np.zeros_like(x), "o": np.zeros(n, np.float32), "p": np.zeros(n, np.int64)}
    got = kernels.run(kernel, target, arrays, split=11)
    running = np.cumsum(x, axis=0, dtype=np.float32)
    assert np.array_equal(got["scan"], running) and np.array_equal(got["o"], running[-1])
    assert np.array_equal(got["p"], x.argmax(0))


@each_target
@pytest.mark.parametrize("n", [45, 2100], ids=["by lanes", "by blocks"])
def test_columns_of_any_width_have_the_same_bits(target: Target, n: int) -> None:
    rows = 150
    x = np.random.default_rng(12).standard_normal((rows, n)).astype(np.float32)
    x[:, 3] = -np.inf
    x[7, 4] = x[9, 4] = np.nan
    k = Axis("k", rows)
    value = load("x", op("add", op("mul", k.at, index(n)), I), f32)
    for how, kind in (("sum", f32), ("argmax", i64), ("max", f32)):
        body = (Reduce("s", how, k, value), Store("o", I, ref("s", kind)))
        kernel = Kernel("i", n, (Buffer("x", f32, "in"), Buffer("o", kind, "out")), body, vector=True)
        got = kernels.run(kernel, target, {"x": x, "o": np.zeros(n, kind.numpy)}, split=33)["o"]
        expected = {"sum": np.cumsum(x, axis=0, dtype=np.float32)[-1], "argmax": x.argmax(0), "max": x.max(0)}[how]
        assert same(got, expected), how


def taps(rows: int, n: int, count: int, dtype: dt.DType, unit: Expr, columns: Expr) -> tuple[Reduce, ...]:
    """Chains over one axis that read ``y`` together: the last needs the first one's result, the one before is a position."""
    k = Axis("k", rows)

    def x(t: int) -> Expr:
        row = op("add", k.at, index(t - 1))
        there = op("and", op("le", index(0), row), op("lt", row, index(rows)))
        return load("x", op("add", op("add", op("mul", row, index(n)), unit), columns), dtype, there)

    y = load("y", op("add", op("add", op("mul", k.at, index(n)), unit), columns), dtype)
    sums = [Reduce(f"s{t}", "sum", k, op("mul", x(t), y)) for t in range(count)]
    return (*sums, Reduce("a", "argmax", k, op("mul", x(1), y)), Reduce("last", "max", k, op("mul", x(1), ref("s0", dtype))))


@each_target
@pytest.mark.parametrize("dtype", [f32, f64], ids=lambda d: d.name)
@pytest.mark.parametrize(("n", "count"), [(45, 2), (150, 9), (70, 27), (2100, 9)], ids=["few", "some", "more than registers", "by blocks"])
def test_chains_side_by_side_have_the_bits_of_each_alone(target: Target, dtype: dt.DType, n: int, count: int) -> None:
    rows, zero = 140, index(0)
    rng = np.random.default_rng(13)
    x, y = rng.standard_normal((2, rows, n)).astype(dtype.numpy)
    x[3, 5] = np.nan
    shifted = np.zeros((count, rows, n), dtype.numpy)
    for t in range(count):
        low, high = max(0, 1 - t), rows - max(0, t - 1)
        shifted[t, low:high] = x[low + t - 1 : high + t - 1]
    with np.errstate(all="ignore"):
        expected = [np.cumsum(shifted[t] * y, axis=0, dtype=dtype.numpy)[-1] for t in range(count)]
    first = np.where(np.isnan(x * y).any(0), np.isnan(x * y).argmax(0), (x * y).argmax(0))
    names = [f"s{t}" for t in range(count)] + ["a", "last"]
    kinds = [dtype] * count + [i64, dtype]
    buffers = (Buffer("x", dtype, "in"), Buffer("y", dtype, "in"), *(Buffer(f"o_{m}", d, "out") for m, d in zip(names, kinds, strict=True)))
    arrays = {"x": x, "y": y, **{f"o_{m}": np.zeros(n, d.numpy) for m, d in zip(names, kinds, strict=True)}}
    flat = taps(rows, n, count, dtype, zero, I)
    stores = tuple(Store(f"o_{m}", I, ref(m, d)) for m, d in zip(names, kinds, strict=True))
    flat_kernel = Kernel("i", n, buffers, (*flat, *stores), vector=True)
    r, j = nest.axis("r", None), Axis("j", n // 5, "vector")
    start, at = op("mul", r, index(n // 5)), op("add", op("mul", r, index(n // 5)), j.at)
    inner = (*taps(rows, n, count, dtype, start, j.at), *(Store(f"o_{m}", at, ref(m, d)) for m, d in zip(names, kinds, strict=True)))
    nested_kernel = Kernel("r", 5, buffers, (Loop(j, inner),))
    for kernel, split in ((flat_kernel, 33), (nested_kernel, 2)):
        verify.verify(kernel)
        got = kernels.run(kernel, target, arrays, split=split)
        for t in range(count):
            assert same(got[f"o_s{t}"], expected[t]), t
        assert np.array_equal(got["o_a"], first)
        with np.errstate(all="ignore"):
            assert same(got["o_last"], (x * expected[0]).max(0))


def test_chains_over_one_axis_run_in_one_loop_as_far_as_none_needs_another() -> None:
    chains = taps(140, 45, 3, f32, index(0), I)
    other = Reduce("other", "sum", Axis("k", 139), load("y", op("add", Axis("k", 139).at, I), f32))
    body = (*chains, other, Store("o", I, ref("other", f32)))
    assert [[k, len(together)] for k, together in survey.passes(body)] == [[0, 4], [4, 1], [5, 1], [6, 1]]


def softmax(rows: int, n: int) -> Kernel:
    r = nest.axis("r", None)
    j, k = Axis("j", n, "vector"), Axis("k", n, "vector")
    start = op("mul", r, index(n))
    x = load("x", op("add", start, j.at), f32)
    power = op("exp", op("sub", x, ref("m", f32)))
    scaled = op("mul", load("row", k.at, f32), ref("scale", f32))
    body = (
        Reduce("m", "max", j, x),
        Reduce("s", "sum", j, ref("e", f32), (Let("e", power), Store("row", j.at, ref("e", f32)))),
        Let("scale", op("div", const(1.0, f32), ref("s", f32))),
        Loop(k, (Store("o", op("add", start, k.at), scaled),)),
    )
    return Kernel("r", rows, (Buffer("x", f32, "in"), Buffer("o", f32, "out"), Buffer("row", f32, "scratch", n)), body)


@pytest.mark.parametrize("n", [1, 7, 10, 63, 130, 1000, 4096])
def test_softmax_rows_agree_bit_for_bit_between_widths(n: int) -> None:
    x = np.random.default_rng(10).standard_normal((5, n)).astype(np.float32) * 4
    power = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    verify.verify(softmax(5, n))
    outs = [kernels.run(softmax(5, n), t, {"x": x, "o": np.zeros_like(x)}, split=2)["o"] for t in TARGETS]
    for target, out in zip(TARGETS, outs, strict=True):
        assert np.allclose(out, power / power.sum(1, keepdims=True), rtol=1e-5, atol=1e-9)
        assert not target.fma or np.array_equal(out, outs[0])


@each_target
def test_nested_loops_keep_their_order_and_extents(target: Target) -> None:
    r, j, k = nest.axis("r", None), Axis("j", 21, "vector"), Axis("k", 5)
    plane = op("mul", r, index(105))
    x = load("x", op("add", op("add", plane, op("mul", k.at, index(21))), j.at), f32)
    transposed = Store("t", op("add", op("add", plane, op("mul", j.at, index(5))), k.at), op("mul", x, load("c", index(0), f32)))
    q = Axis("q", 5)
    down = load("x", op("add", op("add", plane, op("mul", q.at, index(21))), j.at), f32)
    column = Loop(j, (Reduce("s", "sum", q, down), Store("s", op("add", op("mul", r, index(21)), j.at), ref("s", f32))))
    names = {"x": "in", "c": "in", "t": "out", "s": "out"}
    kernel = Kernel("r", 4, tuple(Buffer(name, f32, role) for name, role in names.items()), (Loop(k, (Loop(j, (transposed,)),)), column))
    verify.verify(kernel)
    x_values = np.random.default_rng(11).standard_normal((4, 5, 21)).astype(np.float32)
    arrays = {"x": x_values, "c": np.full(1, 3, np.float32), "t": np.zeros((4, 21, 5), np.float32), "s": np.zeros((4, 21), np.float32)}
    got = kernels.run(kernel, target, arrays)
    assert np.array_equal(got["t"], x_values.transpose(0, 2, 1) * np.float32(3))
    assert np.array_equal(got["s"], np.cumsum(x_values, axis=1, dtype=np.float32)[:, -1])


@each_target
def test_positions_as_values(target: Target) -> None:
    n = 300
    wide = op("add", op("mul", I, index(1 << 33)), index(5))
    results = [nest.cast(I, f32), I, wide, nest.cast(op("mod", I, index(7)), dt.uint8), op("lt", I, index(100))]
    kernel = elementwise({}, results, n)
    outs = {f"o{k}": np.zeros(n, x.dtype.numpy) for k, x in enumerate(results)}
    got = kernels.run(kernel, target, outs, split=23)
    i = np.arange(n)
    for name, right in zip(outs, (i.astype(np.float32), i, (i << 33) + 5, (i % 7).astype(np.uint8), i < 100), strict=True):
        assert np.array_equal(got[name], right), name


def test_long_chains_need_no_recursion() -> None:
    x = load("x", I, f32)
    for _ in range(3000):
        x = op("add", op("mul", x, x), const(1e-3, f32))
    values = np.linspace(-0.5, 0.5, 20, dtype=np.float32)
    expected = values
    for _ in range(3000):
        expected = expected * expected + np.float32(1e-3)
    assert np.array_equal(evaluate({"x": values}, [x], TARGETS[0])[0], expected)


# -- large results -------------------------------------------------------------------------------
@each_target
@pytest.mark.parametrize("shift", [0, 4], ids=("aligned", "unaligned"))
def test_large_results_written_past_the_caches_are_the_same(target: Target, shift: int) -> None:
    n = traffic.STREAM_BYTES // 4 + 100
    kernel = elementwise({"x": f32}, [op("add", load("x", op("mod", I, index(1 << 12)), f32), const(1.0, f32))], n)
    assert traffic.hints(kernel).streamed == {"o0"}
    x = np.arange(1 << 12, dtype=np.float32)
    memory = np.zeros(4 * n + 128, np.uint8)
    start = -memory.ctypes.data % 64 + shift
    out = memory[start : start + 4 * n].view(np.float32)
    launch = kernels.launcher(kernel, target, {"x": x, "o0": out})
    launch(0, 5000)
    launch(n - 5000, n)
    expected = np.arange(n) % (1 << 12) + 1
    assert np.array_equal(out[:5000], expected[:5000]) and np.array_equal(out[-5000:], expected[-5000:])


@each_target
def test_sums_down_rows_that_are_far_apart_are_the_same_with_rows_fetched_ahead(target: Target) -> None:
    units, depth, columns = 60, 300, 70
    r, j, k = nest.axis("r", units), Axis("j", columns, "vector"), Axis("k", depth)
    row = op("add", op("mul", r, index(depth)), k.at)
    x = load("x", op("add", op("mul", row, index(columns)), j.at), f32)
    before = load("x", op("add", op("mul", row, index(columns)), op("add", j.at, index(-columns))), f32, op("lt", index(0), k.at))
    sums = [Reduce(f"s{n}", "sum", k, value) for n, value in enumerate((x, op("mul", x, before), op("mul", x, x)))]
    stores = [Store("y", op("add", op("mul", r, index(3 * columns)), op("add", j.at, index(n * columns))), ref(f"s{n}", f32)) for n in range(3)]
    kernel = Kernel("r", units, (Buffer("x", f32, "in"), Buffer("y", f32, "out")), (Loop(j, (*sums, *stores)),))
    verify.verify(kernel)
    assert not traffic.hints(kernel).far_chains
    far = dataclasses.replace(kernel, units=10_000)
    assert traffic.hints(far).far_chains
    assert ["llvm.prefetch" in generate(x, target).code.ir() for x in (far, kernel)] == [True, False]
    values = np.random.default_rng(3).standard_normal((units, depth, columns), dtype=np.float32)
    arrays = {"x": values, "y": np.zeros((units, 3, columns), np.float32)}
    kernels.launcher(far, target, arrays)(0, units)
    shifted = np.concatenate([np.zeros((units, 1, columns), np.float32), values[:, :-1]], axis=1)
    expected = [np.cumsum(part, axis=1, dtype=np.float32)[:, -1] for part in (values, values * shifted, values * values)]
    assert np.array_equal(arrays["y"], np.stack(expected, 1))


def test_the_key_tells_kernels_targets_and_schedules_apart() -> None:
    small, large = (elementwise({"x": f32}, [load("x", I, f32)], n) for n in (10, 1 << 24))
    assert generate(small, TARGETS[0]).code.key == generate(elementwise({"x": f32}, [load("x", I, f32)], 999), TARGETS[0]).code.key
    keys = {generate(k, t).code.key for k in (small, large) for t in TARGETS}
    assert len(keys) == 2 * len({t.isa for t in TARGETS})  # native may be one of the others
    assert generate(small, TARGETS[0]).grain % 64 == 0


def grid(items: int, rows: int, depth: int, columns: int) -> tuple[Kernel, dict[str, np.ndarray], np.ndarray]:
    """Each row of every item, which are laid out in the opposite order, plus the sum of a matrix down its columns; and what comes out."""
    r, j, k = nest.axis("r", items * rows), Axis("j", columns, "vector"), Axis("k", depth)
    item, row = (op(name, r, index(rows)) for name in ("floordiv", "mod"))
    place = op("add", op("mul", row, index(items)), op("sub", index(items - 1), item))
    x = load("x", op("add", op("mul", place, index(columns)), j.at), f32)
    total = Reduce("s", "sum", k, load("w", op("add", op("mul", k.at, index(columns)), j.at), f32))
    store = Store("y", op("add", op("mul", r, index(columns)), j.at), op("add", x, ref("s", f32)), op("lt", row, index(rows - 1)))
    buffers = tuple(Buffer(name, f32, role) for name, role in {"x": "in", "w": "in", "y": "out"}.items())
    kernel = Kernel("r", items * rows, buffers, (Loop(j, (total, store)),))
    verify.verify(kernel)
    rng = np.random.default_rng(columns)
    x_values, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((rows, items, columns), (depth, columns)))
    expected = np.swapaxes(x_values, 0, 1)[::-1] + np.cumsum(w, axis=0, dtype=np.float32)[-1]
    expected[:, -1] = 0
    return kernel, {"x": x_values, "w": w, "y": np.zeros_like(expected)}, expected


@each_target
def test_shapes_of_one_structure_share_code_as_far_as_vectors_divide_them(target: Target) -> None:
    keys = []
    for shape in ((3, 5, 40, 128), (7, 4, 2, 192), (2, 9, 33, 256), (3, 5, 40, 101), (3, 5, 40, 103)):
        kernel, arrays, expected = grid(*shape)
        assert np.array_equal(kernels.run(kernel, target, arrays, split=4)["y"], expected), shape
        keys.append(generate(kernel, target).code.key)
    assert len(set(keys[:3])) == 1 and len(set(keys)) == 3


def test_the_high_half_of_a_product_with_the_inverse_is_the_quotient() -> None:
    most = (1 << 32) - 1
    for by in (*range(2, 70), 1000, 4608, 65535, 65536, 65537, (1 << 31) - 1, 1 << 31, most):
        for number in {0, by - 1, by, most // by * by - 1, most // by * by, most - 1, most}:
            assert number * general.inverse(by) >> 64 == number // by
