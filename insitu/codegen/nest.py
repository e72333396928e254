"""The loop nest: scalars over an index space, the second of insitu's two intermediate forms.

A `Kernel` is a parallel loop over ``units`` whose body is a list of statements. Expressions are
scalar, typed, immutable and shared (building the same expression twice gives the same object).
How many real vector lanes run is not part of a nest: an axis is only marked as one that *may* be
run in lanes. The order of every floating-point operation is part of it:

* `Reduce` over a ``vector`` axis of length n uses ``L = virtual_lanes(n)`` virtual lanes: element
  i is folded into lane ``i % L``, in increasing i; then lane k takes lane k + L/2, then L/4, ...
  A fold starts from a value that changes nothing (-0.0 for a sum, 1, the least or greatest value),
  so lanes without an element leave no trace and a sum of negative zeros is -0.0. The empty sum is 0.
* `Reduce` over a ``serial`` axis is one chain in increasing order, with the same start.
* 16-bit floats are folded in float32 and rounded once at the end.
* `Contract` is a chain of ``fma`` over k in increasing order, cut into blocks of ``K_BLOCK``;
  each block starts from 0 and blocks are added in order: ``((b0 + b1) + b2) + ...``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from insitu import dtypes as dt
from insitu.errors import InternalError

DType = dt.DType
#: A small matrix of constants, row by row.
Matrix = tuple[tuple[float, ...], ...]

#: Length of one chain of a contraction; part of the arithmetic of every machine.
K_BLOCK = 384
#: Largest number of virtual lanes of a row reduction.
MAX_LANES = 64
#: A reduction longer than this is cut into chunks of this length by the scheduler.
CHUNK = 16384
#: Positions below this fit in 32 bits, where lanes are twice as many.
NARROW = 1 << 31


def virtual_lanes(n: int) -> int:
    """Virtual lanes of a row reduction over ``n`` elements: the power of two from n up, at most 64."""
    return min(MAX_LANES, 1 << max(0, (n - 1).bit_length()))


# -- expressions ---------------------------------------------------------------------------------
#: Pure scalar operations that the code generator knows, with their number of operands.
#: Arithmetic and results have the operands' dtype; comparisons give bool.
OPERATIONS: dict[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "rem": 2, "floordiv": 2, "mod": 2, "fma": 3, "neg": 1, "abs": 1, "sign": 1,
    "min": 2, "max": 2, "floor": 1, "ceil": 1, "trunc": 1, "rint": 1, "sqrt": 1, "rsqrt": 1, "copysign": 2,
    "eq": 2, "ne": 2, "lt": 2, "le": 2, "and": 2, "or": 2, "xor": 2, "not": 1, "shl": 2, "shr": 2, "select": 3,
    "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "tanh": 1, "sigmoid": 1, "erf": 1, "sin": 1, "cos": 1, "tan": 1,
    "asin": 1, "acos": 1, "atan": 1, "atan2": 2, "sinh": 1, "cosh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "pow": 2,
    "mulhi": 2,
}  # fmt: skip
COMPARISONS = frozenset({"eq", "ne", "lt", "le"})
#: Operations that cost tens of instructions.
EXPENSIVE = frozenset(
    {"exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sin", "cos", "tan", "asin", "acos", "atan", "atan2"}
    | {"sinh", "cosh", "asinh", "acosh", "atanh", "pow", "div", "sqrt", "rsqrt", "rem", "floordiv", "mod"}
)


class Expr:
    """A scalar expression.

    ``op`` is one of `OPERATIONS` or a leaf: ``const`` (attr: value), ``axis`` (attr: name),
    ``ref`` (attr: name of a `Reduce` or `Let`), ``load`` (attr: buffer name; args: flat element
    offset, and optionally a bool guard: where it is false nothing is read and the value is 0),
    ``cast`` and ``bitcast`` (to ``dtype``).

    ``lo`` and ``hi`` bound an int64 index expression (None = unknown).
    """

    __slots__ = ("__weakref__", "args", "attr", "dtype", "hi", "lo", "op")

    op: str
    args: tuple[Expr, ...]
    attr: Any
    dtype: DType
    lo: int | None
    hi: int | None

    def __repr__(self) -> str:
        from insitu.codegen.nest_text import show  # late: it imports this file

        return show(self)


_interned: weakref.WeakValueDictionary[tuple[Any, ...], Expr] = weakref.WeakValueDictionary()


def _make(op: str, args: tuple[Expr, ...], dtype: DType, attr: Any = None, lo: int | None = None, hi: int | None = None) -> Expr:
    key = (op, args, dtype, attr if not isinstance(attr, float) else repr(attr), type(attr), lo, hi)
    found = _interned.get(key)
    if found is None:
        found = Expr.__new__(Expr)
        found.op, found.args, found.dtype, found.attr, found.lo, found.hi = op, args, dtype, attr, lo, hi
        _interned[key] = found
    return found


def const(value: float | int | bool, dtype: DType) -> Expr:
    """A literal."""
    if dtype.kind == "f":
        return _make("const", (), dtype, float(value))
    number = int(value)
    if dtype.kind != "b" and not dtype.min <= number <= dtype.max:  # integers wrap
        number = (number - dtype.min) % (1 << dtype.bits) + dtype.min
    return _make("const", (), dtype, number, number, number)


@functools.lru_cache(maxsize=1 << 14)
def index(value: int) -> Expr:
    """An int64 literal."""
    return const(value, dt.int64)


def axis(name: str, extent: int | None) -> Expr:
    """The position on an axis; ``extent`` None if it is known only when the kernel runs."""
    return _make("axis", (), dt.int64, name, 0, None if extent is None else extent - 1)


def ref(name: str, dtype: DType) -> Expr:
    """The value of the `Reduce` or `Let` of that name."""
    return _make("ref", (), dtype, name)


def load(buffer: str, offset: Expr, dtype: DType, guard: Expr | None = None) -> Expr:
    """An element of a buffer, in its memory dtype."""
    if guard is not None and guard.op == "const":
        if guard.attr:
            guard = None
        else:
            return const(0, dtype)
    return _make("load", (offset,) if guard is None else (offset, guard), dtype, buffer)


def cast(x: Expr, dtype: DType) -> Expr:
    """The value converted (float to integer truncates and saturates; NaN gives 0)."""
    return x if x.dtype is dtype else _make("cast", (x,), dtype)


def bitcast(x: Expr, dtype: DType) -> Expr:
    """The bits read as another type of the same width."""
    return x if x.dtype is dtype else _make("bitcast", (x,), dtype)


def rebuilt(x: Expr, args: Sequence[Expr]) -> Expr:
    """The same operation on other operands."""
    if x.op in ("cast", "bitcast"):
        return (cast if x.op == "cast" else bitcast)(args[0], x.dtype)
    return op(x.op, *args)


#: Results of `_index_op`; emptied when it has grown this large.
_index_ops: dict[tuple[str, tuple[Expr, ...]], Expr | None] = {}
_INDEX_OPS_LIMIT = 1 << 16
_UNKNOWN = Expr()


def op(name: str, *args: Expr) -> Expr:
    """A pure operation; index arithmetic on int64 is simplified with the bounds of its operands."""
    if OPERATIONS.get(name) != len(args):
        raise InternalError(f"loop nest: {name} takes {OPERATIONS.get(name)} operands, got {len(args)}")
    dtype = args[-1].dtype
    for a in args[name == "select" : -1]:
        if a.dtype is not dtype:
            raise InternalError(f"loop nest: operands of {name} have dtypes {[a.dtype.name for a in args]}")
    if dtype is dt.int64:
        key = (name, args)
        simple = _index_ops.get(key, _UNKNOWN)
        if simple is _UNKNOWN:
            simple = _index_op(name, args)
            if len(_index_ops) >= _INDEX_OPS_LIMIT:
                _index_ops.clear()
            _index_ops[key] = simple
        if simple is not None:
            return simple
    if dtype is dt.bool_ and name in ("and", "or"):
        for a, b in (args, args[::-1]):
            if a.op == "const":
                return (b if a.attr else a) if name == "and" else (a if a.attr else b)
    if name == "select":
        if args[0].op == "const":
            return args[1] if args[0].attr else args[2]
        if _reads_zero_outside(*args):
            return args[1]
    return _make(name, args, dt.bool_ if name in COMPARISONS else dtype)


def pick(number: Expr, count: int, value: Callable[[int], Expr]) -> Expr:
    """The value with that number, of so many; where the number is known only when it runs, all are computed."""
    if number.op == "const":
        return value(number.attr)
    made = value(0)
    for k in range(1, count):
        made = op("select", op("eq", number, index(k)), value(k), made)
    return made


def weighted(row: Sequence[float], value: Callable[[int], Expr]) -> Expr:
    """The sum of values times a row of a small matrix: a chain over the entries that are not 0; where they have one magnitude, it is
    multiplied at the end.
    """
    terms = [(k, factor) for k, factor in enumerate(row) if factor]
    scale = abs(terms[0][1]) if len({abs(factor) for _, factor in terms}) == 1 else 1.0
    total: Expr | None = None
    for k, factor in terms:
        x = value(k)
        if abs(factor) != scale:
            x = op("mul", x, const(abs(factor), x.dtype))
        if total is None:
            total = x if factor > 0 else op("neg", x)
        else:
            total = op("add" if factor > 0 else "sub", total, x)
    if total is None:
        raise InternalError("a row of zeros")
    return total if scale == 1 else op("mul", total, const(scale, total.dtype))


def _reads_zero_outside(inside: Expr, x: Expr, outside: Expr) -> bool:
    """Whether ``x`` is a load that is 0 wherever ``inside`` is false, and so is ``outside``."""
    zero = outside.op == "const" and outside.attr == 0 and math.copysign(1, outside.attr) > 0
    return zero and x.op == "load" and len(x.args) > 1 and _implies(x.args[1], inside)


def _implies(guard: Expr, condition: Expr) -> bool:
    return guard is condition or (guard.op == "and" and any(_implies(a, condition) for a in guard.args))


def _index_op(name: str, args: tuple[Expr, ...]) -> Expr | None:
    """Simplified int64 arithmetic, or None where nothing is known.

    (a*12 + b) // 12  →  a   and   (a*12 + b) % 12  →  b   for 0 ≤ b < 12.
    """
    los, his = [a.lo for a in args], [a.hi for a in args]
    if None in los or None in his:
        if len(args) == 2 and name in ("add", "mul"):
            return _algebra(name, args)
        if name in ("floordiv", "mod") and args[1].op == "const":
            return _split(name, args[0], args[1].attr)
        return _clamped(name, args) if name in ("min", "max") else None
    return _bounded_index_op(name, args, los, his)  # type: ignore[arg-type]


def _bounded_index_op(name: str, args: tuple[Expr, ...], los: list[int], his: list[int]) -> Expr | None:
    if name in ("add", "mul", "sub"):
        simple = _algebra(name, args)
        if simple is not None:
            return simple
        if name == "add":
            return _make("add", args, dt.int64, None, los[0] + los[1], his[0] + his[1])
        if name == "sub":
            return _make("sub", args, dt.int64, None, los[0] - his[1], his[0] - los[1])
        corners = [x * y for x in (los[0], his[0]) for y in (los[1], his[1])]
        return _make("mul", args, dt.int64, None, min(corners), max(corners))
    if name in ("floordiv", "mod") and args[1].op == "const" and args[1].attr > 0:
        return _split(name, args[0], args[1].attr)
    if name in COMPARISONS:
        known = {
            "lt": (his[0] < los[1], los[0] >= his[1]),
            "le": (his[0] <= los[1], los[0] > his[1]),
            "eq": (los[0] == his[0] == los[1] == his[1], his[0] < los[1] or his[1] < los[0]),
            "ne": (his[0] < los[1] or his[1] < los[0], los[0] == his[0] == los[1] == his[1]),
        }[name]
        return const(True, dt.bool_) if known[0] else const(False, dt.bool_) if known[1] else None
    if name == "min":
        return args[0] if his[0] <= los[1] else args[1] if his[1] <= los[0] else _make("min", args, dt.int64, None, min(los), min(his))
    if name == "max":
        return args[0] if los[0] >= his[1] else args[1] if los[1] >= his[0] else _make("max", args, dt.int64, None, max(los), max(his))
    if name == "select":
        if args[1] is args[2]:
            return args[1]
        return None if args[0].op == "const" else _make("select", args, dt.int64, None, min(los[1:]), max(his[1:]))
    return None


def _clamped(name: str, args: tuple[Expr, ...]) -> Expr:
    """The bounds of min and max where not all of the operands' are known: ``min(max(x, 0), 9)`` lies in 0 to 9."""
    los, his = [a.lo for a in args if a.lo is not None], [a.hi for a in args if a.hi is not None]
    if name == "max":
        return _make(name, args, dt.int64, None, max(los, default=None), max(his) if len(his) == len(args) else None)
    return _make(name, args, dt.int64, None, min(los) if len(los) == len(args) else None, min(his, default=None))


def _algebra(name: str, args: tuple[Expr, ...]) -> Expr | None:
    """add, sub and mul of integers by what holds for all of them: constants go to the right and are folded,
    products are distributed over sums, a quotient and its remainder come together again.
    """
    a, b = args
    if name in ("add", "mul") and a.op == "const" and b.op != "const":
        return op(name, b, a)
    if a.op == "const" and b.op == "const":
        return index({"add": a.attr + b.attr, "sub": a.attr - b.attr, "mul": a.attr * b.attr}[name])
    if b.op == "const":
        if b.attr == 0:
            return b if name == "mul" else a
        if name == "mul" and b.attr == 1:
            return a
        if name == "sub":
            return op("add", a, index(-b.attr))
        if name == a.op and a.args[1].op == "const":
            return op(name, a.args[0], op(name, a.args[1], b))
        if name == "mul" and a.op == "add":
            return op("add", op("mul", a.args[0], b), op("mul", a.args[1], b))
    if name == "add" and a.op == "add" and a.args[1].op == "const":  # constants come last
        return op("add", op("add", a.args[0], b), a.args[1])
    if name == "add" and b.op == "add" and b.args[1].op == "const":
        return op("add", op("add", a, b.args[0]), b.args[1])
    return _recombined(a, b) if name == "add" else None


def _split(name: str, x: Expr, by: int) -> Expr | None:
    """Floor division or remainder by a positive constant, taking out the multiples of it."""
    if by == 1:
        return x if name == "floordiv" else index(0)
    if x.op == "const":
        return index(x.attr // by if name == "floordiv" else x.attr % by)
    if x.lo is not None and x.hi is not None and x.lo // by == x.hi // by:
        whole = x.lo // by
        return index(whole) if name == "floordiv" else op("add", x, index(-whole * by))
    terms = _terms(x)
    multiples = [_multiple(t, by) for t in terms]
    if any(multiples):
        rest = _sum([t for t, whole in zip(terms, multiples, strict=True) if whole is None])
        if name == "mod":
            return op("mod", rest, index(by))
        quotient = _sum([whole for whole in multiples if whole is not None])
        return op("add", quotient, op("floordiv", rest, index(by)))
    coarse = _coarse(name, terms, by)
    if coarse is not None:
        return coarse
    if x.op == "floordiv" and name == "floordiv" and x.args[1].op == "const":
        return op("floordiv", x.args[0], index(x.args[1].attr * by))
    if x.op == "mod" and x.args[1].op == "const" and x.args[1].attr % by == 0 and name == "mod":
        return op("mod", x.args[0], index(by))
    if name == "mod":
        return _make("mod", (x, index(by)), dt.int64, None, 0, by - 1)
    if x.lo is None or x.hi is None:
        return None
    return _make("floordiv", (x, index(by)), dt.int64, None, x.lo // by, x.hi // by)


def _coarse(name: str, terms: Sequence[Expr], by: int) -> Expr | None:
    """Division of a sum of multiples of a number that divides ``by`` and of terms that stay below that number.

    (x*64 + j) // 128  →  x // 2   and   (x*64 + j) % 128  →  (x % 2)*64 + j   for 0 ≤ j < 64. A constant is parted in both.
    """
    constant = sum([t.attr for t in terms if t.op == "const"])
    terms = [t for t in terms if t.op != "const"]
    factors = [_scaled(t)[1] for t in terms]
    for unit in sorted({math.gcd(by, f) for f in (*factors, constant)} - {1, by}, reverse=True):
        small = [t for t, f in zip(terms, factors, strict=True) if f % unit] + [index(constant % unit)]
        if any(t.lo is None or t.hi is None for t in small):
            continue
        if sum([t.lo or 0 for t in small]) >= 0 and sum([t.hi or 0 for t in small]) < unit:
            whole = _sum([_multiple(t, unit) or index(0) for t, f in zip(terms, factors, strict=True) if f % unit == 0] + [index(constant // unit)])
            if name == "floordiv":
                return op("floordiv", whole, index(by // unit))
            return op("add", op("mul", op("mod", whole, index(by // unit)), index(unit)), _sum(small))
    return None


def _recombined(a: Expr, b: Expr) -> Expr | None:
    """The sum with one quotient and its remainder put together again, if it has such a pair.

    (y // 12)*12*c + (y % 12)*c  →  y*c
    """
    terms = _terms(a) + _terms(b)
    for part in terms:
        base, factor = _scaled(part)
        if base.op != "mod":
            continue
        y, by = base.args
        quotient = op("mul", op("floordiv", y, by), index(by.attr * factor))
        if quotient in terms:
            rest = [t for t in terms if t is not part and t is not quotient]
            return _sum([*rest, op("mul", y, index(factor))])
    return None


def _scaled(x: Expr) -> tuple[Expr, int]:
    """``(base, factor)`` of a term that is base * factor."""
    return (x.args[0], x.args[1].attr) if x.op == "mul" and x.args[1].op == "const" else (x, 1)


def _terms(x: Expr) -> list[Expr]:
    """The terms of a sum, in order."""
    found: list[Expr] = []
    stack = [x]
    while stack:
        e = stack.pop()
        if e.op == "add":
            stack += e.args[::-1]
        else:
            found.append(e)
    return found


def _sum(terms: Sequence[Expr]) -> Expr:
    total = index(0)
    for t in terms:
        total = op("add", total, t)
    return total


def _multiple(x: Expr, by: int) -> Expr | None:
    """x / by if it is a whole number for certain."""
    if x.op == "const":
        return index(x.attr // by) if x.attr % by == 0 and x.attr else None
    if x.op == "mul" and x.args[1].op == "const" and x.args[1].attr % by == 0:
        return op("mul", x.args[0], index(x.args[1].attr // by))
    return None


@functools.lru_cache(maxsize=1 << 14)
def linear(x: Expr, name: str) -> tuple[Expr, int] | None:
    """``(base, stride)`` with x = base + stride * axis, or None if x is not linear in the axis."""
    if x.op == "axis" and x.attr == name:
        return index(0), 1
    if x.op in ("add", "sub"):
        a, b = linear(x.args[0], name), linear(x.args[1], name)
        if a is None or b is None:
            return None
        return op(x.op, a[0], b[0]), a[1] + b[1] if x.op == "add" else a[1] - b[1]
    if x.op == "mul" and x.args[1].op == "const":
        a = linear(x.args[0], name)
        return None if a is None else (op("mul", a[0], x.args[1]), a[1] * x.args[1].attr)
    return None if depends(x, name) else (x, 0)


@functools.lru_cache(maxsize=1 << 12)
def ravel(place: tuple[Expr, ...], shape: tuple[int, ...]) -> Expr:
    """The flat index of a position in a C-contiguous array of that shape."""
    flat = index(0)
    for at, n in zip(place, shape, strict=True):
        flat = op("add", op("mul", flat, index(n)), at)
    return flat


def unravel(flat: Expr, shape: Sequence[int]) -> tuple[Expr, ...]:
    """The position of a flat index, each quotient parted further, so that `ravel` puts it together again."""
    found: list[Expr] = []
    for k in range(len(shape) - 1, -1, -1):
        first = all(n == 1 for n in shape[:k])
        found.append(flat if first else op("mod", flat, index(max(1, shape[k]))))
        flat = index(0) if first else op("floordiv", flat, index(max(1, shape[k])))
    return tuple(found[::-1])


def depends(x: Expr, name: str) -> bool:
    """Whether the expression's value changes along the axis (through `ref` is not followed)."""
    seen: set[int] = set()
    stack = [x]
    while stack:
        e = stack.pop()
        if id(e) in seen:
            continue
        seen.add(id(e))
        if e.op == "axis" and e.attr == name:
            return True
        stack.extend(e.args)
    return False


#: Of an `Operand`: it could lie in panels of any width.
ANY_PANEL = -1


# -- statements ----------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Axis:
    """A loop's axis. ``kind``: ``"serial"`` in order, ``"vector"`` may run in lanes (turns are independent,
    or folded as `Reduce` says). With a ``length`` that is known only when the kernel runs, it is a multiple of the ``extent``.
    """

    name: str
    extent: int
    kind: str = "serial"
    length: Expr | None = None

    @property
    def at(self) -> Expr:
        """The position on this axis as an expression."""
        return axis(self.name, self.extent)


@dataclasses.dataclass(frozen=True)
class Store:
    """``buffer[offset] = value``; with a ``guard``, only where it is true."""

    buffer: str
    offset: Expr
    value: Expr
    guard: Expr | None = None


@dataclasses.dataclass(frozen=True)
class Let:
    """Name a value computed here once, for use below as ``ref(name)``."""

    name: str
    value: Expr


@dataclasses.dataclass(frozen=True)
class Loop:
    """Run the body for every position of the axis."""

    axis: Axis
    body: tuple[Stmt, ...]


@dataclasses.dataclass(frozen=True)
class Reduce:
    """Fold ``value`` over the axis into ``ref(name)``, which the statements below may use.

    ``how``: sum, prod, max, min (NaN wins), or argmax, argmin (the position of the first extreme, NaN
    wins; ``ref`` is int64). The accumulator has ``value``'s dtype. ``body`` runs on every turn before
    the fold (for example to keep a row's values in scratch); with a serial axis, ``after`` runs after
    the fold and sees the running value as ``ref(name)``: a scan.
    """

    name: str
    how: str
    axis: Axis
    value: Expr
    body: tuple[Stmt, ...] = ()
    after: tuple[Stmt, ...] = ()


@dataclasses.dataclass(frozen=True)
class Operand:
    """A matrix operand of a `Contract`: element (batch, i, j) is at ``batch*batch_stride + i*row_stride + j*col_stride``.

    Exactly one of the last two strides is 1 (or both for a vector).

    With ``panel`` the index that is not contracted is cut into panels of so many positions, which have all of k and follow one
    another; the strides hold within a panel. The last panel is moved back so that it is full; if it is the only one, it is
    filled up with zeros. `ANY_PANEL` asks the code generator which width it would like best; no code is made for that.
    """

    buffer: str
    dtype: DType
    batch_stride: int
    row_stride: int
    col_stride: int
    panel: int = 0


@dataclasses.dataclass(frozen=True)
class Windows:
    """A matrix operand of a `Contract` that shows the windows of a grid in memory, of shape ``(items, *grid, pixel)``.

    One index is a position in ``(items, *positions)``, the other an element of its window ``(*taps, channels)``, both in
    row-major order. On axis k of the grid, position o sees tap t at ``o*strides[k] + t*dilation[k] - before[k]``; outside
    the grid lies 0. The channels are those from ``batch*channels`` on, of ``pixel`` in all.

    ``positions_first``: positions are the first index, and window elements the second; else it is the other way round.
    """

    buffer: str
    dtype: DType
    items: int
    grid: tuple[int, int, int]
    pixel: int
    positions: tuple[int, int, int]
    taps: tuple[int, int, int]
    channels: int
    strides: tuple[int, int, int]
    dilation: tuple[int, int, int]
    before: tuple[int, int, int]
    positions_first: bool


@dataclasses.dataclass(frozen=True)
class Squares:
    """An operand of a `Contract` that shows mixed squares of a grid in memory, of shape ``(items, *grid, pixel)``.

    There are ``(items, *count)`` of them, ``step`` pixels apart from ``before`` the first one on; outside the grid lies 0. With a ``matrix`` of
    p rows a square becomes ``matrix @ square @ matrix.T``; the batch of the contraction is one of its p*p elements. The order of the
    sums is that of `weighted`, along the first axis first. One of the other indices is a square, the other one a channel.
    """

    buffer: str
    dtype: DType
    items: int
    grid: tuple[int, int]
    pixel: int
    count: tuple[int, int]
    step: int
    before: tuple[int, int]
    matrix: Matrix


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What becomes of the products of mixed squares: ``matrix @ products @ matrix.T`` are the sums at two by two neighbouring ``positions``."""

    matrix: Matrix
    positions: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Contract:
    """``ref(name) = sum over k of a[batch, m, k] * b[batch, k, n]`` for every (batch, m, n), then ``epilogue``.

    The epilogue's statements (`Let` and `Store`) see axes ``batch``, ``m`` and ``n`` (``n`` may run in
    lanes) and ``ref(name)`` of the accumulation dtype. It is the kernel's only statement; the code
    generator chooses tiles and packing and what a unit is.

    With ``outputs`` the sums for a square are mixed: m is a position ``(items, *positions)``, and ``batch`` is 1.
    """

    name: str
    batch: int
    m: int
    n: int
    k: int
    a: Operand | Windows | Squares
    b: Operand | Squares
    dtype: DType
    epilogue: tuple[Stmt, ...]
    outputs: Outputs | None = None


@dataclasses.dataclass(frozen=True)
class ArgSort:
    """For each unit: the first ``kept`` of the int64 positions that sort ``length`` elements stably, NaN last.

    Keys are ``source[base_source + j*stride_source]``; positions go to ``target`` likewise.
    """

    source: str
    source_base: Expr
    source_stride: int
    target: str
    target_base: Expr
    target_stride: int
    length: int
    kept: int
    dtype: DType
    descending: bool


Stmt = Store | Let | Loop | Reduce | Contract | ArgSort


@dataclasses.dataclass(frozen=True)
class Buffer:
    """A kernel's argument: memory of a dtype. ``role``: in, out, or both; part of an output that other kernels also write; scratch is per thread."""

    name: str
    dtype: DType
    role: str
    size: int = 0


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Loops over ``units`` in parallel; turns are independent of each other.

    ``unit`` names the axis. If ``vector`` is true the unit axis itself may run in lanes (an
    element-wise kernel over a flat index). The text of a kernel does not contain ``units``, so that
    one machine code serves every outer extent; write its position as ``axis(unit, None)``.

    Statements run in order, and a read sees what statements before it wrote to the same buffer.
    Two buffers may be the same memory only if a turn reads no element that another turn writes and,
    within a turn, every read of it stands in or before the statement that writes it.
    """

    unit: str
    units: int
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]
    vector: bool = False

    def __str__(self) -> str:
        from insitu.codegen.nest_text import show_kernel

        return show_kernel(self)
