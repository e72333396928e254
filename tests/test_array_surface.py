"""The Array class: construction, operators, promotion, looking at values, printing, exchange with other libraries."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import insitu as si
from insitu import dtypes as dt
from insitu.errors import ArgumentError, DTypeError, IndexingError, InsituWarning, ShapeError, TraceError, UserError

NUMPY_DTYPES = [d.numpy for d in dt.ALL]


# -- construction ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", dt.ALL, ids=str)
def test_dtypes_equal_their_names_and_numpys(dtype: dt.DType) -> None:
    assert dtype == dtype.name == dtype and dtype in ("complex64", dtype.name)
    assert dtype == dtype.numpy and dtype.numpy == dtype and dtype == dtype.numpy.type
    assert [d for d in dt.ALL if d == dtype] == [d for d in dt.ALL if d.name == dtype] == [dtype]
    assert dtype != "x" and dtype not in (None, 3, [], np.dtype("complex64"), complex, object)
    assert np.dtype(dtype) == dtype.numpy == np.zeros(2, dtype).dtype
    assert {dtype: 1}[dt.as_dtype(dtype.name)] == 1 and pickle.loads(pickle.dumps(dtype)) is dtype


@pytest.mark.parametrize("dtype", NUMPY_DTYPES, ids=str)
def test_asarray_keeps_numpy_dtypes_and_values(dtype: np.dtype) -> None:
    source = np.arange(6).reshape(2, 3).astype(dtype)
    x = si.asarray(source)
    assert x.dtype.name == dtype.name
    assert np.asarray(x).dtype == dtype
    np.testing.assert_array_equal(np.asarray(x), source)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (True, "bool", ()), (3, "int64", ()), (2.5, "float32", ()), ([1, 2], "int64", (2,)), ([[1.0], [2.0]], "float32", (2, 1)),
        ([], "float32", (0,)),
        ([True, False], "bool", (2,)),
        ([1, 2.5], "float32", (2,)), (np.float64(1.0), "float64", ()), (np.int8(1), "int8", ()), (range(3), "int64", (3,)),
        ([np.float64(1.0)], "float64", (1,)), ((1, (2)), "int64", (2,)), ([[], []], "float32", (2, 0)),
    ],
)  # fmt: skip
def test_asarray_of_python_values(value: object, dtype: str, shape: tuple[int, ...]) -> None:
    x = si.asarray(value)
    assert (x.dtype.name, x.shape) == (dtype, shape)
    np.testing.assert_array_equal(np.asarray(x), np.asarray(value))


def test_asarray_of_lists_of_arrays_stacks_them() -> None:
    x = si.asarray([si.asarray([1, 2]), si.asarray([3.5, 4])])
    assert x.dtype is si.float32
    np.testing.assert_array_equal(x, [[1, 2], [3.5, 4]])
    assert si.asarray([si.asarray(1.0), 2.0]).shape == (2,)


def test_asarray_copies_what_can_change_and_shares_what_cannot() -> None:
    source = np.zeros(3, np.float32)
    x, borrowed = si.asarray(source), si.asarray(source, copy=False)
    source[0] = 7
    assert x[0] == 0
    assert borrowed[0] == 7
    frozen = np.ones(3)
    frozen.flags.writeable = False
    assert np.shares_memory(np.asarray(si.asarray(frozen)), frozen)
    assert not np.shares_memory(np.asarray(si.asarray(frozen, copy=True)), frozen)
    view = source[:]  # read-only itself, but of an array that can change
    view.flags.writeable = False
    assert not np.shares_memory(np.asarray(si.asarray(view)), source)


def test_a_pending_result_does_not_see_later_changes() -> None:
    source = np.ones(4, np.float32)
    doubled = si.asarray(source) * 2
    source[:] = 100
    np.testing.assert_array_equal(doubled, [2, 2, 2, 2])


def test_asarray_takes_strides_byte_order_and_views() -> None:
    base = np.arange(12, dtype=">i4").reshape(3, 4)
    np.testing.assert_array_equal(si.asarray(base[::2, ::-1].T), base[::2, ::-1].T)
    with pytest.raises(ArgumentError, match="copy=False"):
        si.asarray(base[:, ::2], copy=False)
    with pytest.raises(ArgumentError):
        si.asarray(np.ones(3), dtype="float32", copy=False)


@pytest.mark.parametrize(
    ("dtype", "values"), [("int8", [1.7, -1.7]), ("bool", [0, 3]), ("bfloat16", [1.0, 0.1]), ("float16", [1, 2]), ("float64", [True])]
)
def test_asarray_converts(dtype: str, values: list[float]) -> None:
    x = si.asarray(values, dtype=dtype)
    np.testing.assert_array_equal(np.asarray(x), np.asarray(values).astype(dt.as_dtype(dtype).numpy))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([[1], [1, 2]], ShapeError),
        (1j, DTypeError),
        ("text", DTypeError),
        ([None], DTypeError),
        (np.zeros(2, complex), DTypeError),
        (2**70, UserError),
    ],
)
def test_asarray_refuses_what_it_cannot_hold(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        si.asarray(value)


def test_variables_are_arrays_to_every_function() -> None:
    v = si.Variable([1.0, 2.0])
    np.testing.assert_array_equal(si.asarray(v), [1, 2])
    np.testing.assert_array_equal(si.ones(2) + v, [2, 3])
    assert float(si.sum(v)) == 3


def test_variables_have_the_operators_of_their_arrays() -> None:
    v, n = si.Variable([1.0, 2.0]), si.Variable(4.0)
    for found, expected in (
        (v * n, [4, 8]),
        (v / 2, [0.5, 1]),
        (1 - v, [0, -1]),
        (-v, [-1, -2]),
        (v**2, [1, 4]),
        (np.ones(2) + v, [2, 3]),
        (v[::-1], [2, 1]),
    ):
        assert type(found) is si.Array
        np.testing.assert_array_equal(found, expected)
    assert float(v @ v) == 5 and float(n) == 4 and bool((v > 0).all())
    assert v == v and v != n and {v: 1}[v] == 1
    step = si.compile(lambda x: n.assign(n + v @ x))
    step(si.ones(2))
    assert float(n) == 7


# -- operators -----------------------------------------------------------------------------------------
def test_python_numbers_take_the_dtype_of_the_array() -> None:
    for d in dt.FLOATS:
        assert (si.ones(2, dtype=d) + 1).dtype is d
        assert (2.5 * si.ones(2, dtype=d)).dtype is d
        assert (si.ones(2, dtype=d) + True).dtype is d
    for d in dt.INTEGERS:
        assert (si.ones(2, dtype=d) + 1).dtype is d
        assert (si.ones(2, dtype=d) * 0.5).dtype is si.float32
        assert (si.ones(2, dtype=d) / 2).dtype is si.float32
    assert (si.ones(2, dtype="bool") + 1).dtype is si.int64
    assert (si.ones(2, dtype="bool") * 1.5).dtype is si.float32


@pytest.mark.parametrize("op", ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("kind", ["float64", "int32"])
def test_arithmetic_operators_agree_with_numpy_both_ways_round(op: str, kind: str) -> None:
    a = np.array([[1, 2, 3], [4, 5, 6]], kind)
    b = np.array([2, 1, 3], kind)
    for left, right in ((a, b), (b, a), (a, 2), (3, b)):
        x = si.asarray(left) if isinstance(left, np.ndarray) else left
        y = si.asarray(right) if isinstance(right, np.ndarray) else right
        expected = eval(f"left {op} right", {}, {"left": left, "right": right})
        found = eval(f"x {op} y", {}, {"x": x, "y": y})
        assert type(found) is si.Array
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


@pytest.mark.parametrize("op", ["&", "|", "^", "<<", ">>"])
def test_bit_operators_agree_with_numpy(op: str) -> None:
    a, b = np.array([12, 7, 1]), np.array([5, 2, 3])
    x, y = si.asarray(a), si.asarray(b)
    names = {"a": a, "b": b, "x": x, "y": y}
    np.testing.assert_array_equal(eval(f"x {op} y", {}, names), eval(f"a {op} b", {}, names))
    np.testing.assert_array_equal(eval(f"3 {op} y", {}, names), eval(f"3 {op} b", {}, names))
    np.testing.assert_array_equal(~x, ~a)
    np.testing.assert_array_equal(~(x > 5), ~(a > 5))


def test_numpy_arrays_on_either_side_give_arrays() -> None:
    x, a = si.asarray([1.0, 2.0]), np.array([3.0, 4.0], np.float32)
    for found in (x + a, a + x, a * x, a @ x, x @ a, np.float32(2) * x, np.int64(2) * x):
        assert type(found) is si.Array
    np.testing.assert_array_equal(a - x, [2, 2])
    assert (np.float64(2) * x).dtype is si.float32  # NumPy's float64 is a Python float
    assert (np.ones(2) * x).dtype is si.float64


def test_unknown_operands_are_left_to_the_other_side() -> None:
    class Other:
        def __radd__(self, other: object) -> str:
            return "other"

    assert si.ones(2) + Other() == "other"
    assert (si.ones(2) == None) is False  # noqa: E711
    with pytest.raises(TypeError):
        si.ones(2) + "text"


def test_augmented_assignment_makes_a_new_array() -> None:
    x = y = si.ones(2)
    x += 1
    np.testing.assert_array_equal(x, [2, 2])
    np.testing.assert_array_equal(y, [1, 1])


def test_matmul_of_every_rank_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    for s, t in [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)),
                 ((2, 1, 4, 3), (5, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]:  # fmt: skip
        a, b = rng.normal(size=s), rng.normal(size=t)
        found = si.asarray(a) @ si.asarray(b)
        assert found.shape == (a @ b).shape
        np.testing.assert_allclose(np.asarray(found), a @ b, rtol=1e-12, atol=1e-12)
    for s, t in [((3,), (4,)), ((2, 3), (4,)), ((3,), (4, 2)), ((), (3,)), ((2, 3), (4, 5))]:
        with pytest.raises(ShapeError, match="matmul"):
            si.zeros(s) @ si.zeros(t)


@pytest.mark.parametrize("product", [si.matmul, si.dot, si.vecdot, lambda a, b: si.tensordot(a, b, axes=1), lambda a, b: si.einsum("i,i", a, b)])
@pytest.mark.parametrize(("a", "b"), [("int64", "float32"), ("float32", "float64"), ("float16", "float32"), ("int8", "int64"), ("uint8", "int8")])
def test_products_of_vectors_promote(product: Any, a: str, b: str) -> None:
    x, y = np.array([100, 1, 2]).astype(a), np.array([100, 0.5, 0.25]).astype(b)
    for left, right in ((x, y), (y, x)):
        found = product(si.asarray(left), si.asarray(right))
        assert found.dtype is si.result_type(a, b)
        assert float(found) == np.dot(x.astype(found.dtype.name), y.astype(found.dtype.name))
    with pytest.raises(DTypeError):
        product(si.ones(3, dtype="uint64"), si.ones(3, dtype="int64"))


def test_small_powers_are_exact_products() -> None:
    x = np.float32([1.1, -2.7, 3.3])
    np.testing.assert_array_equal(si.asarray(x) ** 2, x * x)
    np.testing.assert_array_equal(si.asarray(x) ** -1, 1 / x)
    np.testing.assert_array_equal(si.asarray(abs(x)) ** 0.5, np.sqrt(abs(x)))
    np.testing.assert_array_equal(si.asarray([2, 3]) ** 3, [8, 27])
    assert divmod(si.asarray(7), 2)[0] == 3


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="does not fit into uint8"):
        si.ones(2, dtype="uint8") + 300


# -- looking at values ------------------------------------------------------------------------------------
def test_values_as_python_objects() -> None:
    assert si.asarray(2.5).item() == 2.5
    assert float(si.asarray([3])) == 3.0
    assert int(si.asarray(2.9)) == 2
    assert complex(si.asarray(1.5)) == 1.5
    assert bool(si.asarray([0.0])) is False
    assert [10, 20, 30][si.asarray(1)] == 20
    assert si.asarray([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert si.asarray([0.5], dtype="bfloat16").tolist() == [0.5]
    assert isinstance(si.asarray(0.5, dtype="bfloat16").item(), float)
    assert si.asarray([[1, 2], [3, 4]]).item(1, 0) == 3
    assert len(si.zeros((3, 2))) == 3
    assert [float(v) for v in si.asarray([1.0, 2.0])] == [1.0, 2.0]
    assert 2 in si.asarray([1, 2])
    assert f"{si.asarray(2.0):.2f}" == "2.00"
    assert round(si.asarray(2.6)).item() == 3


@pytest.mark.parametrize("look", [float, int, bool, lambda x: x.item()])
def test_several_elements_are_no_number(look: object) -> None:
    with pytest.raises(ShapeError, match="exactly one element"):
        look(si.ones(2))


def test_arrays_without_axes_have_no_length() -> None:
    with pytest.raises(ShapeError):
        len(si.asarray(1))
    with pytest.raises(ShapeError):
        iter(si.asarray(1))
    with pytest.raises(TypeError):
        [1, 2][si.asarray(1.0)]


def test_arrays_are_immutable_and_unhashable() -> None:
    x = si.ones(3)
    with pytest.raises(TypeError, match=r"x\.at\[0\]\.set"):
        x[0] = 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 5


@pytest.mark.parametrize("op", ["+", "-", "*", "/", "//", "%", "**", "@", "<", ">=", "=="])
def test_numpys_operators_leave_the_work_to_insitu(op: str) -> None:
    a, b = np.asarray([3.0, 7.0], np.float32), np.asarray([2.0, 5.0], np.float32)
    names: dict[str, Any] = {"a": a, "b": b, "x": si.asarray(a), "y": si.asarray(b)}
    for expression in (f"a {op} y", f"x {op} b", f"x {op} y"):
        found = eval(expression, names)
        assert type(found) is si.Array
        np.testing.assert_array_equal(found, eval(f"a {op} b", names))


def test_numpys_functions_give_numpys_results() -> None:
    x = si.asarray([0.25, 2.0])
    assert type(np.tanh(x)) is np.ndarray
    np.testing.assert_array_equal(np.tanh(x), np.tanh(np.asarray(x)))
    np.testing.assert_array_equal(np.maximum(x, np.ones(2, np.float32)), [1.0, 2.0])
    assert np.add.reduce(x) == np.mean(x) * 2 == 2.25
    y = np.ones(2, np.float32)
    y += x
    np.testing.assert_array_equal(y, [1.25, 3.0])


def test_numpy_views_share_memory_and_keep_it_alive() -> None:
    x = si.arange(1000) * 2
    a, b = np.asarray(x), np.asarray(x)
    assert np.shares_memory(a, b)
    assert not np.shares_memory(a, np.array(x, copy=True))
    del x
    gc.collect()
    _ = [si.arange(1000) + k for k in range(20)]
    np.testing.assert_array_equal(a, np.arange(1000) * 2)


def test_numpy_functions_work_on_the_values() -> None:
    x = si.asarray([[1.0, 2.0], [3.0, 5.0]])
    assert np.mean(x) == 2.75
    np.testing.assert_array_equal(np.concatenate([x, x]), np.concatenate([np.asarray(x)] * 2))


# -- printing ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        np.array([1, 2], np.float32), np.array(2.0, np.float32), np.zeros((2, 3), np.int8), np.array([True, False]), np.zeros((0, 3), np.float32),
        np.arange(2000), np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6), np.array([1e-10, 1e10, np.nan, -np.inf], np.float32),
        np.zeros((0,), np.int32), np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array([1.5, 2.5], np.float16), np.arange(17, dtype=np.float32),
    ],
)  # fmt: skip
def test_repr_and_str_are_numpys(value: np.ndarray) -> None:
    x = si.asarray(value)
    assert str(x) == str(value)
    text = np.array_repr(value).replace("array(", "Array(")
    if "..." in text:
        assert repr(x) == "Array([   0,    1,    2, ..., 1997, 1998, 1999], shape=(2000,),\n      dtype=int64)"
    elif "dtype=" in text:
        assert repr(x) == text
    else:
        assert repr(x).replace("\n", "").replace(" ", "") == (text[:-1] + f",dtype={x.dtype.name})").replace("\n", "").replace(" ", "")


def test_bfloat16_prints_as_numbers() -> None:
    assert repr(si.asarray([1.0, 2.5], dtype="bfloat16")) == "Array([1. , 2.5], dtype=bfloat16)"


def test_repr_of_a_traced_array_shows_its_type() -> None:
    from insitu.graph.node import aval, placeholder

    x = si.Array(placeholder(aval((2, 3), dt.float32)))
    assert repr(x + 1) == "Array(shape=(2, 3), dtype=float32, traced)"
    with pytest.raises(TraceError):
        float(x.sum())


# -- exchange ---------------------------------------------------------------------------------------------
def test_dlpack_exchanges_without_copying() -> None:
    x = si.arange(6) * 1.5
    a = np.from_dlpack(x)
    assert np.shares_memory(a, np.asarray(x))
    assert not a.flags.writeable
    source = np.arange(5.0)
    y = si.from_dlpack(source)
    assert np.shares_memory(np.asarray(y), source)
    assert x.__dlpack_device__() == (1, 0)
    assert not np.shares_memory(np.asarray(si.from_dlpack(source, copy=True)), source)
    np.testing.assert_array_equal(si.from_dlpack(source[::2]), source[::2])
    x.__dlpack__()  # a consumer from before DLPack 1.0
    with pytest.raises(ArgumentError, match="DLPack"):
        si.from_dlpack([1, 2])


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_bfloat16_travels_through_dlpack(version: tuple[int, int] | None) -> None:
    class Foreign:
        def __init__(self, x: si.Array) -> None:
            self.x = x

        def __dlpack__(self, **options: object) -> object:
            return self.x.__dlpack__(**{**options, "max_version": version})

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    x = si.asarray([1.0, 2.5, -3.0], dtype="bfloat16")
    y = si.from_dlpack(Foreign(x))
    assert y.dtype is si.bfloat16
    assert np.shares_memory(np.asarray(x), np.asarray(y))
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(x)  # NumPy has no such dtype


def test_objects_with_protocols_become_arrays() -> None:
    class Speaks:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.arange(3)

    class OnlyDlpack:
        def __init__(self) -> None:
            self.data = np.arange(3.0)

        def __dlpack__(self, **kwargs: object) -> object:
            return self.data.__dlpack__(**kwargs)

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    np.testing.assert_array_equal(si.asarray(Speaks()), [0, 1, 2])
    np.testing.assert_array_equal(si.asarray(OnlyDlpack()), [0, 1, 2])
    np.testing.assert_array_equal(si.ones(3) + Speaks(), [1, 2, 3])
    np.testing.assert_array_equal(si.asarray(memoryview(b"\x01\x02")), [1, 2])


@pytest.mark.parametrize("dtype", [d.name for d in dt.ALL])
def test_pickle_and_copies_keep_values(dtype: str) -> None:
    x = si.asarray([[0, 1, 3]], dtype=dtype)
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x)):
        assert type(y) is si.Array
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        assert bool((x == y).all())
    assert pickle.loads(pickle.dumps(si.asarray(2.0))).shape == ()


def test_array_namespace_protocol() -> None:
    x = si.ones(2)
    assert x.__array_namespace__() is si
    assert x.__array_namespace__(api_version="2024.12") is si
    assert x.device == "cpu" and x.to_device("cpu") is x
    with pytest.raises(ArgumentError):
        x.__array_namespace__(api_version="1999.1")
    with pytest.raises(ArgumentError):
        si.zeros(2, device="gpu")
    info = si.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] is si.float32
    assert info.dtypes(kind="bool") == {"bool": si.bool}


def test_properties() -> None:
    x = si.zeros((2, 3, 4), dtype="int16")
    assert (x.ndim, x.size, x.nbytes, x.itemsize) == (3, 24, 48, 2)
    assert x.T.shape == (4, 3, 2)
    assert x.mT.shape == (2, 4, 3)
    with pytest.raises(ShapeError):
        _ = si.zeros(3).mT


# -- laziness ---------------------------------------------------------------------------------------------
def test_nothing_is_computed_before_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(si.config, "eager", False)
    x = si.ones(3) + 1
    assert x._node.memory is None
    si.evaluate([x, {"a": x}])
    assert x._node.memory is not None
    assert not x._node.inputs


def test_long_chains_are_evaluated_by_themselves() -> None:
    x = si.zeros(2)
    for _ in range(1000):
        x = x + 1
    assert x._node.depth < 1000
    np.testing.assert_array_equal(x, [1000, 1000])


def test_eager_mode_computes_at_once_and_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> list[si.Array]:
        rng = si.random.default_rng(3)
        x, w = rng.normal(size=(7, 33)), rng.normal(size=(33, 5))
        loss = lambda w: si.logsumexp(si.tanh(x @ w) * 1.7 - 0.3, axis=1).mean()  # noqa: E731
        return [loss(w), si.grad(loss)(w), si.var(x, axis=0), si.einsum("ij,ik->jk", x, x)]

    monkeypatch.setattr(si.config, "eager", False)
    lazy = [np.asarray(v).tobytes() for v in work()]
    monkeypatch.setattr(si.config, "eager", True)
    assert (si.ones(3) + 1)._node.memory is not None
    eager = work()
    assert all(v._node.memory is not None for v in eager)
    assert [np.asarray(v).tobytes() for v in eager] == lazy
    assert float(si.compile(lambda x: (x + 1).sum())(si.ones(3))) == 6


def test_evaluated_results_free_their_history() -> None:
    x = si.ones(3)
    y = x * 2
    z = y + 1
    si.evaluate(z)
    assert z._node.inputs == ()
    np.testing.assert_array_equal(y, [2, 2, 2])


# -- dtypes -------------------------------------------------------------------------------------------------
def test_dtype_functions() -> None:
    assert si.result_type(si.int8, si.uint8) is si.int16
    assert si.result_type(si.ones(2), 3) is si.float32
    assert si.result_type(1, 2.0) is si.float32
    assert si.can_cast("int8", "int16") and not si.can_cast("float32", "int64")
    assert si.isdtype(si.float32, ("integral", "real floating"))
    assert not si.isdtype(si.bool, "numeric")
    assert si.isdtype(si.float32, si.float32)
    assert si.finfo("float64").eps == 2.0**-52
    assert si.finfo("bfloat16").max == float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
    assert si.iinfo(si.uint16).max == 65535
    with pytest.raises(DTypeError):
        si.finfo("int8")
    with pytest.raises(DTypeError):
        si.iinfo("float32")
    with pytest.raises(ArgumentError):
        si.isdtype(si.int8, "whole")
    with pytest.raises(DTypeError):
        si.zeros(2, dtype="complex64")


@pytest.mark.parametrize("name", ["bool", "int32", "uint8", "float64", "bfloat16", "float16"])
def test_astype_agrees_with_numpy(name: str) -> None:
    a = np.array([0.0, 1.0, 2.75, 100.0], np.float32)
    np.testing.assert_array_equal(np.asarray(si.asarray(a).astype(name)), a.astype(dt.as_dtype(name).numpy))


# -- errors ---------------------------------------------------------------------------------------------
def test_errors_point_at_the_users_line() -> None:
    x = si.zeros((2, 3))
    with pytest.raises(ShapeError) as caught:
        x.sum(axis=5)
    assert "x.sum(axis=5)" in str(caught.value)
    assert "insitu explain" in str(caught.value)
    with pytest.raises(IndexingError) as caught_index:
        x[7]
    assert "axis 0" in str(caught_index.value) and "size 2" in str(caught_index.value)


def test_every_public_name_exists() -> None:
    for name in si.__all__:
        assert hasattr(si, name), name
    with pytest.raises(AttributeError):
        _ = si.no_such_name
    assert "nn" in dir(si)
    assert issubclass(InsituWarning, UserWarning)
