"""Contractions: values, and exact bits of the chain of fma that the loop nest defines."""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import gemm
from insitu.codegen.cpu.assemble import assembly
from insitu.codegen.cpu.gemm.function import loops
from insitu.codegen.cpu.gemm.micro import UNROLL
from insitu.codegen.cpu.gemm.schedule import Variant, arrange
from insitu.codegen.generated import Generated
from insitu.codegen.target import Target, named
from insitu.config import config
from insitu.runtime.loader import Loader, load

NATIVE = named("native")


def runnable(*targets: Target) -> list[Target]:
    """Those whose every feature this machine has."""
    have = {name for name in NATIVE.features.split(",") if name.startswith("+")}
    return [t for t in targets if {name for name in t.features.split(",") if name.startswith("+")} <= have]


TARGETS = runnable(NATIVE, named("native", 256), named("native", 128), named("haswell"))
PLAIN = runnable(NATIVE, named("haswell"), named("x86-64-v2"), named("x86-64"))
"""One of each kind: with masks, with FMA, without FMA, without instructions for rounding."""


def run(made: Generated, arrays: list[np.ndarray], cuts: int = 1) -> None:
    """Run the code over its units in ``cuts`` pieces."""
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(load(made.codes)[0])
    args = np.array([a.ctypes.data for a in arrays] + load(made.calls) + list(made.words), np.int64)
    scratch = np.full(made.scratch_bytes + 64, 0xAB, np.uint8)
    start = (scratch.ctypes.data + 63) & ~63
    edges = [made.units * i // cuts for i in range(cuts + 1)]
    for begin, end in itertools.pairwise(edges):
        function(args.ctypes.data, begin, end, start)


def stored(logical: np.ndarray, transposed: bool, pad: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """An array's memory in either order, with rows ``pad`` elements longer, and its strides (batch, row, column)."""
    batch = len(logical)
    source = logical.transpose(0, 2, 1) if transposed else logical
    memory = np.full((batch, source.shape[1], source.shape[2] + pad), 77, logical.dtype)
    memory[:, :, : source.shape[2]] = source
    step = source.shape[2] + pad
    return memory, (source.shape[1] * step, 1, step) if transposed else (source.shape[1] * step, step, 1)


def product(
    a: np.ndarray,
    b: np.ndarray,
    ta: bool = False,
    tb: bool = False,
    *,
    target: Target = NATIVE,
    acc: dt.DType | None = None,
    pad: int = 0,
    out: dt.DType | None = None,
    epilogue: Any = None,
    extra: tuple[tuple[nest.Buffer, np.ndarray], ...] = (),
    cuts: int = 1,
    variant: Variant | None = None,
    **arrangement: int,
) -> np.ndarray:
    """``a @ b`` (batch, m, k) by (batch, k, n) through generated code."""
    batch, m, k = a.shape
    n = b.shape[2]
    at, bt = dt.as_dtype(a.dtype), dt.as_dtype(b.dtype)
    acc = acc or dt.promote(at, bt).compute
    out = out or acc
    a_memory, a_strides = stored(a, ta, pad)
    b_memory, b_strides = stored(b, tb, pad)
    c = np.full((batch, m, n + pad), 55, out.numpy)
    axes = [nest.axis(name, extent) for name, extent in (("batch", batch), ("m", m), ("n", n))]
    offset = nest.op("add", nest.op("add", nest.op("mul", axes[0], nest.index(m * (n + pad))), nest.op("mul", axes[1], nest.index(n + pad))), axes[2])
    value = nest.ref("acc", acc)
    body = (nest.Store("c", offset, nest.cast(epilogue(value, *axes) if epilogue else value, out)),)
    contract = nest.Contract("acc", batch, m, n, k, nest.Operand("a", at, *a_strides), nest.Operand("b", bt, *b_strides), acc, body)
    buffers = (nest.Buffer("a", at, "in"), nest.Buffer("b", bt, "in"), *(x for x, _ in extra), nest.Buffer("c", out, "out"))
    kernel = nest.Kernel("unit", 1, buffers, (contract,))
    made = gemm.generate(kernel, target, arrange(contract, variant, **arrangement) if variant else None)
    run(made, [a_memory, b_memory, *(x for _, x in extra), c], cuts)
    assert (c[:, :, n:] == 55).all()
    return c[:, :, :n]


def chain(a: np.ndarray, b: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    """The definition, step by step: products and sums in 80 bits, rounded once per step."""
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    total = None
    for start in range(0, a.shape[2], nest.K_BLOCK):
        block = np.zeros((a.shape[0], a.shape[1], b.shape[2]), dtype)
        for k in range(start, min(start + nest.K_BLOCK, a.shape[2])):
            block = (a[:, :, k, None] * b[:, k, None, :] + block.astype(np.longdouble)).astype(dtype)
        total = block if total is None else total + block
    return np.zeros((a.shape[0], a.shape[1], b.shape[2]), dtype) if total is None else total


def sample(shape: tuple[int, ...], seed: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


#: (m, k, n)
SHAPES = [
    (1, 1, 1), (1, 2, 3), (2, 17, 5), (3, 5, 33), (5, 3, 2), (17, 33, 17), (33, 40, 10), (64, 64, 64), (100, 25, 10), (45, 784, 25),
    (30, 130, 7), (129, 50, 97),
]  # fmt: skip


CASES = list(itertools.product((False, True), repeat=2))
"""Which of the two operands are stored transposed."""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_is_the_chain_of_fma_bit_for_bit(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    a, b = sample((2, m, k), 1), sample((2, k, n), 2)
    expected = chain(a, b)
    for ta, tb in CASES:
        np.testing.assert_array_equal(product(a, b, ta, tb, pad=3 * ta, cuts=1 + tb), expected)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.cpu}-{t.vector_bits}")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_vector_width_gives_the_same_bits(target: Target, dtype: Any) -> None:
    for number, (m, k, n) in enumerate(((1, 100, 33), (3, 10, 10), (17, 385, 25), (50, 800, 70), (6, 3, 1))):
        a, b = sample((1, m, k), m, dtype), sample((1, k, n), n, dtype)
        wanted = chain(a, b) if dtype is np.float32 else product(a, b)
        for ta, tb in (CASES[number % 4], CASES[(number + 1) % 4]):
            np.testing.assert_array_equal(product(a, b, ta, tb, target=target, cuts=3), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_products_agree_with_numpy_and_any_split_gives_the_same_bits(dtype: Any) -> None:
    a, b = sample((1, 300, 900), 3, dtype), sample((1, 900, 520), 4, dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    first = product(a, b)
    assert np.abs(first - exact).max() < 2000 * np.finfo(dtype).eps
    for number, (ta, tb) in enumerate(CASES):
        np.testing.assert_array_equal(product(a, b, ta, tb, pad=5 * number, cuts=1 + 2 * number), first)


def variants(swap: bool, lanes: int, m: int, n: int, tb: bool) -> list[Variant]:
    """Schedules that the cost model would not choose."""
    rows_there, columns_there = (n, m) if swap else (m, n)
    found = []
    for rows, vectors, pack_rows, pack_lanes in (
        (5, 2, True, True),
        (7, 1, False, True),
        (3, 3, True, False),
        (1, 4, False, False),
        (21, 1, True, True),
    ):
        narrow = columns_there < vectors * lanes
        if rows <= rows_there and (pack_lanes or not tb):
            found.append(Variant(swap, rows, vectors, lanes, pack_rows, pack_lanes, narrow, fetch_rows=vectors % 2 == 0))
    return found + [dataclasses.replace(v, whole=True) for v in found if swap]


@pytest.mark.parametrize("target", TARGETS[::-1][:3], ids=lambda t: f"{t.cpu}-{t.vector_bits}")
@pytest.mark.parametrize("swap", [False, True])
def test_bits_do_not_depend_on_the_schedule(target: Target, swap: bool) -> None:
    m, k, n = 29, 450, 39
    a, b = sample((2, m, k), 5), sample((2, k, n), 6)
    wanted = chain(a, b)
    for ta, tb in (CASES[swap], CASES[3 - swap]):
        turned = not ta if swap else tb
        for number, variant in enumerate(variants(swap, target.lanes(32), m, n, turned)):
            result = product(a, b, ta, tb, target=target, cuts=3, variant=variant, panels_per_block=1 + number % 2, run=(7, 2)[number % 2])
            np.testing.assert_array_equal(result, wanted)


def test_multiply_adds_of_avx512_take_packed_factors_from_memory() -> None:
    """Each factor that is loaded first is an instruction more; LLVM loads it once for two vectors if it can."""
    target = named("x86-64-v4")
    a, b = nest.Operand("a", dt.float32, 0, 400, 1), nest.Operand("b", dt.float32, 0, 64, 1)
    contract = nest.Contract("c", 1, 56, 64, 400, a, b, dt.float32, ())
    made = arrange(contract, Variant(False, 14, 2, 16, True, True, False))
    lines = assembly(loops(made, False, dt.float32, target, "f"), target).splitlines()
    adds = [line for line in lines if "vfmadd" in line and "%zmm" in line]
    assert len(adds) == 28 * (UNROLL + 1)
    assert all("{1to16}" in line for line in adds)


@pytest.mark.parametrize("target", [*TARGETS, *PLAIN[2:]], ids=lambda t: f"{t.cpu}-{t.vector_bits}")
def test_an_epilogue_over_whole_rows_gives_the_values_of_one_over_tiles(target: Target) -> None:
    """Rows that lie one after the other and rows with gaps, the last panel moved back, a column's number in the value."""
    lanes = target.lanes(32)
    for m, k, n, vectors, pad in ((3 * lanes + 5, 40, 13, 2, 0), (2 * lanes, 390, 25, 1, 3), (lanes - 2, 9, 7, 2, 0), (100, 5, 1, 1, 0)):
        a, b, residual = sample((2, m, k), 1), sample((2, k, n), 2), sample((2, m, n + pad), 3)
        extra = ((nest.Buffer("r", dt.float32, "in"), residual),)

        def flat(acc: nest.Expr, batch: nest.Expr, row: nest.Expr, column: nest.Expr, rows: int = m, pitch: int = n + pad) -> nest.Expr:
            line = nest.op("add", nest.op("mul", batch, nest.index(rows)), row)
            offset = nest.op("add", nest.op("mul", line, nest.index(pitch)), column)
            return nest.op("add", acc, nest.load("r", offset, dt.float32))

        def numbered(acc: nest.Expr, *axes: nest.Expr) -> nest.Expr:
            return nest.op("add", acc, nest.cast(axes[2], dt.float32))

        for rows in {1, 5, n} & set(range(1, n + 1)):
            variant = Variant(True, rows, vectors, lanes, False, True, m < vectors * lanes, whole=True)
            wanted = product(a, b, target=target) + residual[:, :, :n]
            got = product(a, b, target=target, pad=pad, variant=variant, epilogue=flat, extra=extra, cuts=2, panels_per_block=1 + rows % 2)
            np.testing.assert_array_equal(got, wanted)
            got = product(a, b, target=target, pad=pad, variant=variant, epilogue=numbered, cuts=3)
            np.testing.assert_array_equal(got, product(a, b, target=target) + np.arange(n, dtype=np.float32))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.cpu}-{t.vector_bits}")
@pytest.mark.parametrize("k", [41, 401])
def test_what_an_epilogue_touches_may_be_fetched_while_the_sums_are_made(target: Target, k: int) -> None:
    """Large matrices ask for it; several slivers and panels, the last ones moved back, turns of k that are no multiple of 4."""
    m, n = 530, 700
    a, b, w = sample((1, m, k), 4), sample((1, k, n), 5), sample((1, m, n), 6)
    f32 = dt.float32

    def updated(acc: nest.Expr, batch: nest.Expr, row: nest.Expr, column: nest.Expr) -> nest.Expr:
        at = nest.op("add", nest.op("mul", row, nest.index(n)), column)
        return nest.op("sub", nest.load("w", at, f32), acc)

    contract = nest.Contract(
        "acc", 1, m, n, k, nest.Operand("a", f32, 0, k, 1), nest.Operand("b", f32, 0, n, 1), f32,
        (nest.Store("c", nest.index(0), updated(nest.ref("acc", f32), *[nest.axis(x, e) for x, e in (("batch", 1), ("m", m), ("n", n))])),),
    )  # fmt: skip
    assert gemm.choose(contract, target).variant.fetch
    extra = ((nest.Buffer("w", f32, "in"), w),)
    np.testing.assert_array_equal(product(a, b, target=target, epilogue=updated, extra=extra, cuts=2), w - product(a, b, target=target))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.cpu}-{t.vector_bits}")
@pytest.mark.parametrize("tb", [False, True])
def test_what_is_packed_next_may_be_fetched_while_the_sums_are_made(target: Target, tb: bool) -> None:
    """Some rows and a large matrix ask for it; the last block of k and the last panels are no whole ones."""
    m, n, k = 105, 1400, 801
    strides = (1, k) if tb else (n, 1)
    contract = nest.Contract("acc", 1, m, n, k, nest.Operand("a", dt.float32, 0, k, 1), nest.Operand("b", dt.float32, 0, *strides), dt.float32, ())
    variant = gemm.choose(contract, target).variant
    assert variant.fetch_lanes
    a, b = sample((1, m, k), 4), sample((1, k, n), 5)
    plain = dataclasses.replace(variant, fetch_lanes=False)
    for cuts in (1, 3):
        got, wanted = (product(a, b, tb=tb, target=target, variant=v, cuts=cuts) for v in (variant, plain))
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 24])
@pytest.mark.parametrize("target", [NATIVE, named("native", 128)], ids=lambda t: str(t.vector_bits))
def test_products_of_few_rows_read_the_other_operand_in_order(rows: int, target: Target) -> None:
    a, b = sample((1, rows, 500), 7), sample((1, 500, 4399), 8)
    variant = Variant(False, rows, 1 if rows <= 4 else 2, target.lanes(32), False, False, False, 4)
    wanted = chain(a, b)
    for ta, cuts in ((False, 1), (True, 3)):
        np.testing.assert_array_equal(product(a, b, ta, False, target=target, variant=variant, cuts=cuts), wanted)
    turned = dataclasses.replace(variant, swap=True)
    right = b.transpose(0, 2, 1).copy(), a.transpose(0, 2, 1).copy()
    np.testing.assert_array_equal(product(*right, True, False, target=target, variant=turned, cuts=2), wanted.transpose(0, 2, 1))


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("target", [*TARGETS, *PLAIN[2:]], ids=lambda t: f"{t.cpu}-{t.vector_bits}")
def test_products_of_few_rows_turn_the_other_operand_in_registers(rows: int, target: Target) -> None:
    for dtype, k in ((np.float32, 391), (np.float64, 389), (np.int32, 35), (np.float32, 1)):
        a, b = sample((2, rows, k), 17, np.float32), sample((2, k, 83), 18, np.float32)
        if dtype is np.int32:
            a, b = a * 1e8, b * 1e8
        a, b = a.astype(dtype), b.astype(dtype)
        exact = a @ b if dtype is np.int32 else chain(a, b) if dtype is np.float32 and target.fma else None
        wanted = product(a, b, target=target) if exact is None else exact
        lanes = target.lanes(a.dtype.itemsize * 8)
        for ta, vectors, cuts in ((False, 1, 1), (True, 2, 3)):
            variant = Variant(False, rows, vectors, lanes, False, False, False, turn=True)
            np.testing.assert_array_equal(product(a, b, ta, True, target=target, variant=variant, cuts=cuts, pad=3), wanted)
        turned = Variant(True, rows, 2, lanes, False, False, False, turn=True)
        right = b.transpose(0, 2, 1).copy(), a.transpose(0, 2, 1).copy()
        np.testing.assert_array_equal(product(*right, False, True, target=target, variant=turned, cuts=2), wanted.transpose(0, 2, 1))


@pytest.mark.parametrize("name", ["int8", "uint16", "int32", "uint64"])
@pytest.mark.parametrize("target", PLAIN[::2], ids=lambda t: t.cpu)
def test_integers_wrap_around_exactly(name: str, target: Target) -> None:
    dtype = dt.as_dtype(name)
    rng = np.random.default_rng(9)
    for number, (m, k, n) in enumerate(((1, 5, 3), (19, 40, 37), (50, 400, 9))):
        a, b = (rng.integers(dtype.min, dtype.max, shape, dtype=name, endpoint=True) for shape in ((2, m, k), (2, k, n)))
        ta, tb = CASES[(number + dtype.bits) % 4]
        np.testing.assert_array_equal(product(a, b, ta, tb, target=target), a @ b)


@pytest.mark.parametrize("target", [*PLAIN[:2], *PLAIN[3:]], ids=lambda t: t.cpu)
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_16_bit_floats_are_multiplied_in_float32(name: str, target: Target) -> None:
    kind = dt.as_dtype(name).numpy
    for m, k, n in ((3, 7, 5), (40, 70, 35)):
        a, b = sample((1, m, k), 10).astype(kind), sample((1, k, n), 11).astype(kind)
        wide = product(a.astype(np.float32), b.astype(np.float32), target=target)
        for ta, tb in CASES[:: 1 + (m < 10)]:
            np.testing.assert_array_equal(product(a, b, ta, tb, target=target, pad=1), wide)
        short = product(a, b, target=target, out=dt.as_dtype(name))
        np.testing.assert_array_equal(short.view(np.uint16), wide.astype(kind).view(np.uint16))


@pytest.mark.parametrize("target", [*TARGETS, PLAIN[-1]], ids=lambda t: f"{t.cpu}-{t.vector_bits}")
@pytest.mark.parametrize("shape", [(37, 30, 21), (20, 390, 10), (3, 20, 70), (90, 20, 3)])
def test_epilogue_sees_bias_position_and_batch(target: Target, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    a, b, bias = sample((3, m, k), 12), sample((3, k, n), 13), sample((n,), 14)

    def epilogue(x: nest.Expr, batch: nest.Expr, row: nest.Expr, column: nest.Expr) -> nest.Expr:
        f32 = dt.float32
        shifted = nest.op("add", x, nest.load("bias", column, f32))
        causal = nest.op("select", nest.op("le", column, row), shifted, nest.const(0.0, f32))
        return nest.op("max", causal, nest.op("neg", nest.cast(batch, f32)))

    extra = ((nest.Buffer("bias", dt.float32, "in"), bias),)
    plain = product(a, b, target=target)
    wanted = np.where(np.arange(n) <= np.arange(m)[:, None], plain + bias, np.float32(0))
    wanted = np.maximum(wanted, -np.arange(3, dtype=np.float32)[:, None, None])
    for ta in (False, True):
        np.testing.assert_array_equal(product(a, b, ta, target=target, epilogue=epilogue, extra=extra, pad=2, cuts=3), wanted)


def test_one_operand_can_serve_the_whole_batch() -> None:
    m, k, n = 9, 20, 12
    a, b, c = sample((4, m, k), 15), sample((k, n), 16), np.zeros((4, m, n), np.float32)
    f32 = dt.float32
    at = nest.op("add", nest.op("mul", nest.axis("batch", 4), nest.index(m * n)), nest.op("mul", nest.axis("m", m), nest.index(n)))
    body = (nest.Store("c", nest.op("add", at, nest.axis("n", n)), nest.ref("acc", f32)),)
    contract = nest.Contract("acc", 4, m, n, k, nest.Operand("a", f32, m * k, k, 1), nest.Operand("b", f32, 0, n, 1), f32, body)
    kernel = nest.Kernel("unit", 1, tuple(nest.Buffer(x, f32, "in" if x < "c" else "out") for x in "abc"), (contract,))
    run(gemm.generate(kernel, NATIVE), [a, b, c])
    np.testing.assert_array_equal(c, product(a, np.broadcast_to(b, (4, k, n)).copy()))


def test_an_empty_contraction_is_zero_and_an_empty_result_has_no_units() -> None:
    assert (product(np.zeros((2, 5, 0), np.float32), np.zeros((2, 0, 7), np.float32)) == 0).all()
    kernel = simple_kernel(0, 3, 4)
    assert gemm.generate(kernel, NATIVE).units == 0


def simple_kernel(m: int, k: int, n: int) -> nest.Kernel:
    f32 = dt.float32
    at = nest.op("add", nest.op("mul", nest.axis("m", m), nest.index(n)), nest.axis("n", n))
    operands = nest.Operand("a", f32, m * k, k, 1), nest.Operand("b", f32, k * n, n, 1)
    contract = nest.Contract("acc", 1, m, n, k, *operands, f32, (nest.Store("c", at, nest.ref("acc", f32)),))
    return nest.Kernel("unit", 1, tuple(nest.Buffer(x, f32, "in" if x < "c" else "out") for x in "abc"), (contract,))


def test_shapes_with_one_schedule_share_one_machine_code() -> None:
    variant = Variant(False, 4, 2, NATIVE.lanes(32), True, True, False)
    small, large = simple_kernel(512, 640, 512), simple_kernel(1024, 320, 768)
    one, two = (gemm.generate(x, NATIVE, arrange(x.body[0], variant)) for x in (small, large))  # type: ignore[arg-type]
    assert one.code.key == two.code.key
    assert one.code.ir() == two.code.ir()
    assert one.words != two.words
    assert one.code.key != gemm.generate(small, named("native", 128)).code.key


def test_generated_text_has_no_fast_math_and_no_calls_but_those_of_loops_and_epilogue() -> None:
    made = gemm.generate(simple_kernel(100, 784, 10), NATIVE)
    epilogue, loops = (code.ir() for code in made.codes)
    for text, own in ((epilogue, "ptr @write)"), (loops, "call void %write(")):
        assert not any(flag in text for flag in (" fast ", "reassoc", "contract", "afn", "nnan"))
        assert own in text
        allowed = ("@llvm.", ' asm sideeffect "", ', ' asm "", ', own)
        assert all(any(some in line for some in allowed) for line in text.splitlines() if " call " in line)


def with_bias(m: int, k: int, n: int) -> nest.Kernel:
    """c = a @ b + x."""
    plain, f32 = simple_kernel(m, k, n), dt.float32
    contract: Any = plain.body[0]
    bias = nest.load("x", nest.axis("n", n), f32)
    store = dataclasses.replace(contract.epilogue[0], value=nest.op("add", contract.epilogue[0].value, bias))
    buffers = (*plain.buffers[:2], nest.Buffer("x", f32, "in"), plain.buffers[2])
    return dataclasses.replace(plain, buffers=buffers, body=(dataclasses.replace(contract, epilogue=(store,)),))


@pytest.mark.parametrize("size", [(8, 8, 8), (100, 784, 10), (300, 64, 1200)])  # the last one fetches what its epilogue touches
def test_loops_are_one_code_for_all_epilogues_and_an_epilogue_one_for_all_loops(size: tuple[int, int, int]) -> None:
    m, k, n = size
    plain = gemm.generate(simple_kernel(m, k, n), NATIVE)
    other = gemm.generate(with_bias(m, k, n), NATIVE)
    assert other.calls == plain.calls and other.code != plain.code
    assert other.calls[0].ir() == plain.calls[0].ir()
    small = gemm.generate(simple_kernel(16, 16, 160), NATIVE)
    assert small.code == plain.code and small.calls != plain.calls
    assert small.code.ir() == plain.code.ir()
    rng = np.random.default_rng(1)
    a, b, x = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n), (n,)))
    without, result = np.zeros((m, n), np.float32), np.zeros((m, n), np.float32)
    run(plain, [a, b, without])
    run(other, [a, b, x, result])
    assert np.array_equal(result, without + x)


@pytest.mark.parametrize("which", [0, 1], ids=["epilogue", "loops"])
def test_of_loops_and_epilogue_only_what_is_damaged_on_disk_is_compiled_again(which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config._values, "cache_dir", tmp_path)
    made = gemm.generate(with_bias(8, 8, 8), NATIVE)
    first, second, third = Loader(), Loader(), Loader()
    first.load(made.codes)
    assert (first.compiled, first.from_disk) == (2, 0)
    (entry,) = [e for e in first.cache.entries() if e.key.startswith(made.codes[which].key)]
    entry.path.write_bytes(entry.path.read_bytes()[:-9] + bytes(9))
    second.load(made.codes)
    assert (second.compiled, second.from_disk) == (1, 1)
    third.load(made.codes)
    assert (third.compiled, third.from_disk) == (0, 2)
