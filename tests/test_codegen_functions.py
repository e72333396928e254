"""Elementary functions: error bounds, special values, and the same bits for any vector width."""

from __future__ import annotations

import functools
import math
import pathlib
import re
from collections.abc import Callable

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest
from jit import elementwise, listing, module

from insitu.codegen.cpu.emitter import Value
from insitu.codegen.cpu.functions import BOUNDS, BOUNDS_WITHOUT_FMA, FUNCTIONS
from insitu.codegen.cpu.operations import operate
from insitu.codegen.target import Target, named
from insitu.dtypes import as_dtype

NATIVE, PLAIN = named("native"), named("x86-64")
BINARY = ("pow", "atan2", "rem", "mod", "floordiv")
UNARY = [name for name in FUNCTIONS if name not in BINARY]
NUMPY = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
         "atan2": "arctan2", "pow": "power", "rem": "fmod", "floordiv": "floor_divide"}  # fmt: skip
BITS = {"float32": np.uint32, "float64": np.uint64}
LONG = np.longdouble
needs_long_double = pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is no wider than double")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def host_runs(target: Target) -> bool:
    have = dict(llvm.get_host_cpu_features())
    return all(have.get(name[1:], False) for name in target.features.split(",") if name[0] == "+" and name[1:] in have)


def profiles() -> list[tuple[Target, dict[str, dict[str, float]]]]:
    found = [(NATIVE, BOUNDS if NATIVE.fma else BOUNDS_WITHOUT_FMA)]
    if NATIVE.triple.startswith("x86_64"):
        found.append((PLAIN, BOUNDS_WITHOUT_FMA))
    return found


def reference(name: str, *x: np.ndarray) -> np.ndarray:
    """The function in the arguments' precision by NumPy or the C library."""
    if name == "sigmoid":
        return np.where(x[0] >= 0, 1 / (1 + np.exp(-x[0])), np.exp(x[0]) / (1 + np.exp(x[0])))
    if name == "erf":
        return np.array([math.erf(v) for v in x[0]])
    return getattr(np, NUMPY.get(name, name))(*x)


def specials(dtype: str) -> np.ndarray:
    info = np.finfo(dtype)
    values = [0, 0.5, 1, 2, 3, 10, np.pi, 88, 104, 709, 746, 2.0**24, 2.0**53, 1e-5, np.inf, np.nan, info.max, info.tiny]
    values += [info.tiny / 2, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg, 0.5 + info.epsneg, 2 - info.eps]
    return np.array([*values, *(-v for v in values)], dtype)


def error_in_ulp(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in units of the last place of ``got``'s dtype; infinite where the kind of value or the sign of 0 is wrong."""
    info = np.finfo(got.dtype)
    rounded = exact.astype(got.dtype)
    lowest = info.minexp - info.nmant
    unit = np.ldexp(exact.dtype.type(1), np.maximum(np.frexp(np.abs(exact))[1] - info.nmant - 1, lowest))
    error = (np.abs(got.astype(exact.dtype) - exact) / unit).astype(float)
    both = np.isfinite(got) & np.isfinite(rounded)
    error = np.where(both, error, np.where((got == rounded) | (np.isnan(got) & np.isnan(exact)), 0.0, np.inf))
    return np.where((got == 0) & (exact == 0) & (np.signbit(got) != np.signbit(exact)), np.inf, error)


def within(name: str, arguments: list[np.ndarray], exact: np.ndarray, target: Target, limit: float) -> None:
    got = elementwise(FUNCTIONS[name], arguments, target, target.lanes(8 * arguments[0].itemsize))
    error = error_in_ulp(got, exact)
    worst = int(np.argmax(error))
    at = [a[worst] for a in arguments]
    assert error[worst] <= limit, f"{name}{at} = {got[worst]!r}, exactly {exact[worst]!r}: {error[worst]:.3f} ULP, bound {limit}"


@functools.cache
def sample32() -> np.ndarray:
    """Every 32,003rd bit pattern, and the magnitudes where the functions bend."""
    patterns = np.arange(7, 2**32, 32003, dtype=np.uint64).astype(np.uint32).view(np.float32)
    rng = np.random.default_rng(0)
    near = [rng.uniform(-2, 2, 60000), rng.uniform(-20, 20, 40000), rng.uniform(-105, 90, 20000), rng.uniform(-1e5, 1e5, 20000)]
    return np.concatenate([patterns, *(v.astype(np.float32) for v in near), specials("float32")])


@functools.cache
def sample64() -> np.ndarray:
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, 2**64, 8000, dtype=np.uint64).view(np.float64)
    near = [rng.uniform(-2, 2, 8000), rng.uniform(-40, 40, 4000), rng.uniform(-750, 715, 4000), rng.uniform(-1.1e6, 1.1e6, 4000)]
    return np.concatenate([patterns, *near, specials("float64")])


@pytest.mark.parametrize("name", UNARY)
def test_float32_stays_within_its_bound(name: str) -> None:
    x = sample32() if name != "erf" else np.concatenate([sample32()[::7], specials("float32")])
    exact = reference(name, x.astype(np.float64))
    for target, bounds in profiles():
        within(name, [x], exact, target, bounds[name]["float32"])


@needs_long_double
@pytest.mark.parametrize("name", [n for n in UNARY if n != "erf"])
def test_float64_stays_within_its_bound(name: str) -> None:
    x = sample64()
    exact = reference(name, x.astype(LONG))
    for target, bounds in profiles():
        within(name, [x], exact, target, bounds[name]["float64"])


def exact_double(name: str, *x: float) -> LONG:
    """mpmath's value as a long double (a double where that is all there is)."""
    functions = {"sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)), "pow": mpmath.power}
    with mpmath.workprec(1200 if name in ("sin", "cos", "tan") else 160):
        value = functions.get(name, getattr(mpmath, name, None))(*map(mpmath.mpf, x))
        head = float(value)
        return LONG(head) + LONG(float(value - head)) if math.isfinite(head) else LONG(head)


@pytest.mark.parametrize("name", UNARY)
def test_float64_against_many_digits(name: str) -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-1, 1, 150), rng.uniform(-8, 8, 150), np.exp2(rng.uniform(-60, 9, 40))])
    # Closest to a multiple of pi/2 among all doubles, and others far out.
    x = np.concatenate([x, [6381956970095103 * 2.0**797, 1e22, 5e5, 355.0, 1048577.0, 1.7e308]]) if name in ("sin", "cos", "tan") else x
    domain = {"acosh": x > 1, "atanh": np.abs(x) < 1, "asin": np.abs(x) < 1, "acos": np.abs(x) < 1, "log": x > 0, "log1p": x > -1}
    x = x[domain.get(name, np.isfinite(x))]
    exact = np.array([exact_double(name, v) for v in x])
    for target, bounds in profiles():
        within(name, [x], exact, target, bounds[name]["float64"])


def pairs(dtype: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    special = specials(dtype)
    first, second = (v.ravel() for v in np.meshgrid(special, special))
    n = 8000

    def draw() -> np.ndarray:
        patterns = rng.integers(0, np.iinfo(BITS[dtype]).max, n, dtype=BITS[dtype], endpoint=True).view(dtype)
        return np.concatenate([rng.normal(size=n), np.rint(rng.normal(size=n) * 20), np.exp2(rng.uniform(-12, 12, n)), patterns]).astype(dtype)

    return np.concatenate([first, draw()]), np.concatenate([second, draw()])


@needs_long_double
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["pow", "atan2"])
def test_functions_of_two_arguments_stay_within_their_bound(name: str, dtype: str) -> None:
    x, y = pairs(dtype, 3)
    if name == "pow":
        rng = np.random.default_rng(4)
        base = np.concatenate([np.exp2(rng.uniform(-30, 30, 8000)), 1 + rng.normal(size=8000) * 1e-4, rng.uniform(0.5, 2, 8000)]).astype(dtype)
        low, high = (-104, 89) if dtype == "float32" else (-745, 710)
        exponent = (rng.uniform(low, high, base.size) / np.log(base.astype(np.float64))).astype(dtype)
        x, y = np.concatenate([x, base]), np.concatenate([y, exponent])
    exact = reference(name, x.astype(LONG), y.astype(LONG))
    for target, bounds in profiles():
        within(name, [x, y], exact, target, bounds[name][dtype])


def test_pow_gives_whole_results_exactly() -> None:
    base, exponent = (v.ravel().astype(np.float64) for v in np.meshgrid(np.arange(-40, 41), np.arange(0, 12)))
    exact = np.array([float(int(b) ** int(e)) for b, e in zip(base, exponent, strict=True)])
    keep = np.abs(exact) < 2.0**53
    for target, _ in profiles():
        got = elementwise(FUNCTIONS["pow"], [base, exponent], target, 8)
        np.testing.assert_array_equal(got[keep], exact[keep])


def same(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Equal as bits, all NaNs alike."""
    equal = got == want
    if got.dtype.kind == "f":
        equal = (equal & (np.signbit(got) == np.signbit(want))) | (np.isnan(got) & np.isnan(want))
    return equal


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["rem", "mod", "floordiv"])
def test_float_remainders_are_numpys(name: str, dtype: str) -> None:
    x, y = pairs(dtype, 5)
    want = getattr(np, NUMPY.get(name, name))(x, y)
    for target, _ in profiles():
        got = elementwise(FUNCTIONS[name], [x, y], target, 4)
        wrong = np.flatnonzero(~same(got, want))
        assert wrong.size == 0, [(x[k], y[k], got[k], want[k]) for k in wrong[:5]]


@functools.cache
def operation(name: str) -> Callable[..., Value]:
    """An operation as loop nests have it, for any dtype."""
    return lambda b, *args: operate(b, name, args)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("name", ["rem", "mod", "floordiv", "pow"])
def test_integer_operations_are_numpys(name: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(6)
    edge = np.array([0, 1, 2, 3, 7, info.min, info.max, info.max - 1, *([-1, -2, -7] if info.min else [])], dtype)
    first, second = (v.ravel() for v in np.meshgrid(edge, edge))
    x = np.concatenate([first, rng.integers(info.min, info.max, 3000, dtype=dtype, endpoint=True)])
    y = np.concatenate([second, rng.integers(-9 if info.min else 0, 10, 3000).astype(dtype)])
    if name == "pow":
        x, y = x[y >= 0], y[y >= 0]
    want = getattr(np, NUMPY.get(name, name))(x, y)
    got = elementwise(operation(name), [x, y], NATIVE, 8)
    wrong = np.flatnonzero(got != want)
    assert wrong.size == 0, [(x[k], y[k], got[k], want[k]) for k in wrong[:5]]


@functools.cache
def conversion(dtype: str) -> Callable[..., Value]:
    return lambda b, x: b.cast(x, as_dtype(dtype))


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_floats_become_the_nearest_integers_towards_zero_there_are(dtype: str, source: str) -> None:
    info = np.iinfo(dtype)
    near = [float(limit) + step for limit in (info.min, info.max) for step in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)]
    x = np.concatenate([np.array(near, source), specials(source), np.random.default_rng(3).normal(size=300).astype(source) * 100])
    x = np.concatenate([x, np.nextafter(x, x.dtype.type(np.inf)), np.nextafter(x, x.dtype.type(-np.inf))])
    want = [0 if v != v else max(info.min, min(info.max, v)) for v in x.tolist()]
    for target, lanes in ((NATIVE, 1), (NATIVE, 16), (PLAIN, 4)):
        got = elementwise(conversion(dtype), [x], target, lanes, dtype)
        np.testing.assert_array_equal(got, np.array([int(v) for v in want], dtype))


def test_negative_integer_powers() -> None:
    x, y = np.array([1, -1, -1, 2, -3, 7], np.int32), np.array([-5, -5, -4, -1, -2, -2147483648], np.int32)
    np.testing.assert_array_equal(elementwise(operation("pow"), [x, y], NATIVE, 4), [1, -1, 1, 0, 0, 0])


@functools.cache
def bit_sample(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = pairs(dtype, 7)
    rng = np.random.default_rng(8)
    order = rng.permutation(x.size)[:6003]
    return x[order], y[order]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_do_not_depend_on_lanes_or_target(name: str, dtype: str) -> None:
    arguments = list(bit_sample(dtype)[: 2 if name in BINARY else 1])
    want = elementwise(FUNCTIONS[name], arguments, NATIVE, 1)
    others = [(NATIVE, 8), (NATIVE, 16)]
    if NATIVE.triple.startswith("x86_64") and NATIVE.fma and host_runs(named("haswell")):
        others += [(named("haswell"), 4), (named("native", 256), 8)]
    for target, lanes in others:
        got = elementwise(FUNCTIONS[name], arguments, target, lanes)
        wrong = np.flatnonzero(~same(got, want))
        assert wrong.size == 0, (target.cpu, lanes, [(*(a[k] for a in arguments), got[k], want[k]) for k in wrong[:5]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_calls_nothing_and_has_no_fast_math(name: str) -> None:
    for target, lanes in ((NATIVE, 16), (PLAIN, 4)):
        kinds = ["float32", "float32"] if name in BINARY else ["float32"]
        text = module(FUNCTIONS[name], kinds, target, lanes)
        assert not re.search(r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b", text)
        assert not re.search(r"^\s+call", listing(FUNCTIONS[name], kinds, target, lanes), re.MULTILINE)


@pytest.mark.parametrize("name", ["tanh", "sin", "cos", "erf", "sigmoid"])
def test_results_stay_within_the_functions_range(name: str) -> None:
    for target, _ in profiles():
        got = elementwise(FUNCTIONS[name], [sample32()], target, 4)
        assert np.nanmax(got) <= 1
        assert np.nanmin(got) >= (0 if name == "sigmoid" else -1)


TABLES = pathlib.Path(np.__file__).parent / "_core" / "tests" / "data"
TABLE_OF = {"exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh",
            "cosh": "cosh", "tanh": "tanh", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
            "acosh": "arccosh", "atanh": "arctanh"}  # fmt: skip


@pytest.mark.parametrize("name", TABLE_OF)
def test_numpys_accuracy_tables(name: str) -> None:
    path = TABLES / f"umath-validation-set-{TABLE_OF[name]}.csv"
    if not path.exists():
        pytest.skip("this NumPy ships no accuracy tables")
    rows = [line.split(",") for line in path.read_text().splitlines() if line.startswith("np.float")]
    for dtype in ("float32", "float64"):
        mine = [row for row in rows if row[0] == f"np.{dtype}"]
        x, want = (np.array([int(row[k], 16) for row in mine], BITS[dtype]).view(dtype) for k in (1, 2))
        for target, bounds in profiles():
            got = elementwise(FUNCTIONS[name], [x], target, 4)
            # The table is rounded itself: half a unit more than the bound can show as one more whole unit.
            close = np.abs(ordinal(got) - ordinal(want)) <= math.floor(bounds[name][dtype] + 0.5)
            wrong = np.flatnonzero(~(close | (np.isnan(got) & np.isnan(want))))
            assert wrong.size == 0, [(x[k], got[k], want[k]) for k in wrong[:5]]


def ordinal(x: np.ndarray) -> np.ndarray:
    """Floats numbered in increasing order; both zeros are 0."""
    whole = x.view({4: np.int32, 8: np.int64}[x.itemsize]).astype(object)
    return np.where(whole < 0, -(whole + (1 << (8 * x.itemsize - 1))), whole)
