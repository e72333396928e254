"""A small writer of LLVM IR text: SSA values, explicit vectors, blocks and loops.

Text, not an object model: a GEMM kernel has thousands of instructions, and LLVM parses text
faster than Python builds objects. No fast-math flag is ever written (DESIGN: arithmetic order
is part of the meaning), and `Emitter.fma` is the one place that knows the arithmetic profile.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Iterator, Sequence

from insitu import dtypes as dt
from insitu.codegen.target import Target
from insitu.errors import InternalError

DType = dt.DType

_LLVM = {
    "bool": "i1", "float16": "i16", "bfloat16": "i16", "float32": "float", "float64": "double",
    **{f"{u}int{n}": f"i{n}" for n in (8, 16, 32, 64) for u in ("", "u")},
}  # fmt: skip
# The 16-bit floats are their bits in registers: LLVM turns values of type half and bfloat into library calls
# where the CPU lacks an instruction for them, even if they are only moved. `convert` makes numbers of them.
_FCMP = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "uno": "uno", "ord": "ord"}


class Value:
    """An SSA value or literal: operand text, element type, number of lanes (1 = scalar).

    ``dtype`` is None for a pointer.
    """

    __slots__ = ("dtype", "lanes", "text")

    def __init__(self, text: str, dtype: DType | None, lanes: int = 1) -> None:
        self.text, self.dtype, self.lanes = text, dtype, lanes

    @property
    def kind(self) -> str:
        return self.dtype.kind if self.dtype else "p"

    def __repr__(self) -> str:
        return f"{llvm_type(self.dtype, self.lanes)} {self.text}"


@functools.cache
def llvm_type(dtype: DType | None, lanes: int = 1) -> str:
    """LLVM's name of a value type (booleans are ``i1`` in registers)."""
    name = "ptr" if dtype is None else _LLVM[dtype.name]
    return name if lanes == 1 else f"<{lanes} x {name}>"


def literal(value: float | int | bool, dtype: DType) -> str:
    """LLVM's exact text of a constant."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind != "f":
        number = int(value) & ((1 << dtype.bits) - 1)
        return str(number - (1 << dtype.bits) if number >> (dtype.bits - 1) else number)
    import numpy as np

    if dtype is dt.float32:
        value = float(np.float32(value))
    elif dtype is dt.float16:
        return str(int(np.float16(value).view(np.int16)))
    elif dtype is dt.bfloat16:
        return str(int(np.asarray(value, dtype.numpy).view(np.int16)))
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"


class Emitter:
    """Writes one LLVM module's functions for one target.

    All arithmetic methods take values of one dtype and one lane count; a scalar operand is
    splatted when the other has lanes.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.globals: list[str] = []
        self.block_name = "entry"
        self._n = 0
        self._spill: tuple[int, Value | None] = (0, None)

    # -- module and function ---------------------------------------------------------------
    def module(self) -> str:
        """The text of the module so far."""
        head = [f'target triple = "{self.target.triple}"', *self.globals, *self.declared.values()]
        return "\n".join([*head, *[line for line in self.lines if line]]) + "\n"

    @contextlib.contextmanager
    def function(self, name: str, params: Sequence[tuple[str, DType | None]], linkage: str = "") -> Iterator[list[Value]]:
        """A ``void`` function; yields its parameters (dtype None = pointer). ``linkage`` is LLVM's word, such as private."""
        text = ", ".join(f"{llvm_type(d)} {'noundef ' if d else ''}%{n}" for n, d in params)
        cpu = f'"target-cpu"="{self.target.cpu}" "target-features"="{self.target.features}"'
        width = f'"prefer-vector-width"="{self.target.vector_bits}" "min-legal-vector-width"="{self.target.vector_bits}"'
        self.lines.append(f"define {linkage + ' ' if linkage else ''}void @{name}({text}) nounwind {cpu} {width} {{")
        self.block_name = "entry"
        self.lines += ["entry:", ""]
        self._spill = len(self.lines) - 1, None
        yield [Value(f"%{n}", d) for n, d in params]
        self.lines += ["  ret void", "}"]

    def name(self, hint: str = "v") -> str:
        """A name not used before in this module."""
        self._n += 1
        return f"{hint}{self._n}"

    def emit(self, text: str, dtype: DType | None, lanes: int = 1) -> Value:
        """Append ``%new = text`` and return the new value."""
        self._n += 1
        out = f"%v{self._n}"  # as `name` gives it
        self.lines.append(f"  {out} = {text}")
        return Value(out, dtype, lanes)

    def void(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append("  " + text)

    def intrinsic(self, name: str, args: Sequence[Value], dtype: DType | None, lanes: int = 1) -> Value:
        """Call an LLVM intrinsic by its full mangled name, declaring it on first use."""
        out, types = llvm_type(dtype, lanes), ", ".join(llvm_type(a.dtype, a.lanes) for a in args)
        self.declared.setdefault(name, f"declare {out} @{name}({types})")
        return self.emit(f"call {out} @{name}({', '.join(map(repr, args))})", dtype, lanes)

    # -- constants and lanes ---------------------------------------------------------------
    def const(self, value: float | int | bool, dtype: DType, lanes: int = 1) -> Value:
        """A constant, the same in every lane."""
        text = literal(value, dtype)
        if lanes > 1:
            text = f"splat ({_LLVM[dtype.name]} {text})"
        return Value(text, dtype, lanes)

    def bits_const(self, pattern: int, dtype: DType, lanes: int = 1) -> Value:
        """A float constant given by its bit pattern."""
        integer = dt.from_kind("u", dtype.bits)
        return self.bitcast(self.const(pattern, integer, lanes), dtype)

    def lane_ids(self, dtype: DType, lanes: int) -> Value:
        """The vector 0, 1, 2, ..."""
        name = _LLVM[dtype.name]
        return Value("<" + ", ".join(f"{name} {k}" for k in range(lanes)) + ">", dtype, lanes)

    def splat(self, value: Value, lanes: int) -> Value:
        """The scalar in every lane (a value that has lanes already is returned as it is)."""
        if lanes == 1 or value.lanes == lanes:
            return value
        if value.lanes != 1:
            raise InternalError(f"splat of {value!r} to {lanes} lanes")
        if not value.text.startswith("%"):
            return Value(f"splat ({value!r})", value.dtype, lanes)
        vector = llvm_type(value.dtype, lanes)
        one = self.emit(f"insertelement {vector} poison, {value!r}, i64 0", value.dtype, lanes)
        return self.emit(f"shufflevector {one!r}, {vector} poison, <{lanes} x i32> zeroinitializer", value.dtype, lanes)

    def extract(self, value: Value, lane: int | Value) -> Value:
        """One lane as a scalar."""
        index = f"i64 {lane}" if isinstance(lane, int) else repr(lane)
        return value if value.lanes == 1 else self.emit(f"extractelement {value!r}, {index}", value.dtype)

    def insert(self, value: Value, scalar: Value, lane: int | Value) -> Value:
        """The vector with one lane replaced."""
        index = f"i64 {lane}" if isinstance(lane, int) else repr(lane)
        return self.emit(f"insertelement {value!r}, {scalar!r}, {index}", value.dtype, value.lanes)

    def shuffle(self, a: Value, b: Value | None, mask: Sequence[int]) -> Value:
        """LLVM's shufflevector; ``b`` None takes lanes of ``a`` alone; -1 in the mask is undefined."""
        second = repr(b) if b is not None else f"{llvm_type(a.dtype, a.lanes)} poison"
        picks = ", ".join("i32 poison" if m < 0 else f"i32 {m}" for m in mask)
        if len(mask) == 1:
            raise InternalError("a shuffle to one lane is an extract")
        return self.emit(f"shufflevector {a!r}, {second}, <{len(mask)} x i32> <{picks}>", a.dtype, len(mask))

    def _pair(self, a: Value, b: Value) -> tuple[Value, Value, int]:
        lanes = max(a.lanes, b.lanes)
        a, b = self.splat(a, lanes), self.splat(b, lanes)
        if a.dtype is not b.dtype:
            raise InternalError(f"operands {a!r} and {b!r} have different types")
        return a, b, lanes

    def _binary(self, op: str, a: Value, b: Value) -> Value:
        a, b, lanes = self._pair(a, b)
        return self.emit(f"{op} {a!r}, {b.text}", a.dtype, lanes)

    # -- arithmetic ------------------------------------------------------------------------
    def add(self, a: Value, b: Value) -> Value:
        return self._binary("fadd" if a.kind == "f" else "add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self._binary("fsub" if a.kind == "f" else "sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self._binary("fmul" if a.kind == "f" else "mul", a, b)

    def div(self, a: Value, b: Value) -> Value:
        """Float division, or integer division that truncates (the divisor must not be 0)."""
        return self._binary({"f": "fdiv", "i": "sdiv"}.get(a.kind, "udiv"), a, b)

    def rem(self, a: Value, b: Value) -> Value:
        """Integer remainder with the dividend's sign."""
        return self._binary("srem" if a.kind == "i" else "urem", a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """``a * b + c`` in float: rounded once where the CPU has FMA, twice in the other profile."""
        lanes = max(a.lanes, b.lanes, c.lanes)
        a, b, c = (self.splat(v, lanes) for v in (a, b, c))
        if not self.target.fma:
            return self.add(self.mul(a, b), c)
        return self.intrinsic(f"llvm.fma.{self._mangle(a)}", (a, b, c), a.dtype, lanes)

    def neg(self, a: Value) -> Value:
        if a.kind == "f":
            return self.emit(f"fneg {a!r}", a.dtype, a.lanes)
        return self.sub(self.const(0, a.dtype, a.lanes), a)  # type: ignore[arg-type]

    def abs(self, a: Value) -> Value:
        if a.kind == "f":
            return self.intrinsic(f"llvm.fabs.{self._mangle(a)}", (a,), a.dtype, a.lanes)
        return a if a.kind == "u" else self.select(self.cmp("lt", a, self.zero(a)), self.neg(a), a)

    def zero(self, like: Value) -> Value:
        """Zero of the value's type."""
        return Value("zeroinitializer" if like.lanes > 1 else literal(0, like.dtype), like.dtype, like.lanes)  # type: ignore[arg-type]

    def sqrt(self, a: Value) -> Value:
        return self.intrinsic(f"llvm.sqrt.{self._mangle(a)}", (a,), a.dtype, a.lanes)

    def copysign(self, magnitude: Value, sign: Value) -> Value:
        return self.intrinsic(f"llvm.copysign.{self._mangle(magnitude)}", (magnitude, sign), magnitude.dtype, magnitude.lanes)

    def floor(self, a: Value) -> Value:
        return self._rounded("floor", a)

    def ceil(self, a: Value) -> Value:
        return self._rounded("ceil", a)

    def trunc(self, a: Value) -> Value:
        return self._rounded("trunc", a)

    def rint(self, a: Value) -> Value:
        """Nearest integer, ties to even."""
        return self._rounded("rint", a)

    def _rounded(self, how: str, a: Value) -> Value:
        if self.target.round:
            name = {"rint": "roundeven"}.get(how, how)
            return self.intrinsic(f"llvm.{name}.{self._mangle(a)}", (a,), a.dtype, a.lanes)
        d: DType = a.dtype  # type: ignore[assignment]
        big = self.const(2.0 ** (23 if d.bits == 32 else 52), d, a.lanes)  # adding it leaves no fraction bits
        size = self.abs(a)
        near = self.copysign(self.sub(self.add(size, big), big), a)
        if how == "trunc":
            near = self.sub(self.add(size, big), big)
            near = self.select(self.cmp("gt", near, size), self.sub(near, self.const(1, d, a.lanes)), near)
            near = self.copysign(near, a)
        elif how in ("floor", "ceil"):
            over = self.cmp("gt" if how == "floor" else "lt", near, a)
            step = self.const(1 if how == "floor" else -1, d, a.lanes)
            near = self.copysign(self.select(over, self.sub(near, step), near), a)
        return self.select(self.cmp("lt", size, big), near, a)

    def _mangle(self, a: Value) -> str:
        d: DType = a.dtype  # type: ignore[assignment]
        base = ("f" if d.kind == "f" and d.bits > 16 else "i") + str(1 if d.kind == "b" else d.bits)
        return base if a.lanes == 1 else f"v{a.lanes}{base}"

    # -- comparison, logic, bits -----------------------------------------------------------
    def cmp(self, how: str, a: Value, b: Value) -> Value:
        """``eq ne lt le gt ge`` (and ``uno``/``ord`` for floats); any comparison with NaN but ``ne`` is false."""
        a, b, lanes = self._pair(a, b)
        if a.kind == "f":
            return self.emit(f"fcmp {_FCMP[how]} {a!r}, {b.text}", dt.bool_, lanes)
        code = how if how in ("eq", "ne") else ("s" if a.kind == "i" else "u") + how
        return self.emit(f"icmp {code} {a!r}, {b.text}", dt.bool_, lanes)

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        lanes = max(mask.lanes, a.lanes, b.lanes)
        mask, a, b = (self.splat(v, lanes) for v in (mask, a, b))
        return self.emit(f"select {mask!r}, {a!r}, {b!r}", a.dtype, lanes)

    def min(self, a: Value, b: Value) -> Value:
        """The smaller; NaN if either is NaN (both operands' order is kept: equal values give ``a``)."""
        return self._extreme("gt", a, b)

    def max(self, a: Value, b: Value) -> Value:
        """The larger; NaN if either is NaN."""
        return self._extreme("lt", a, b)

    def _extreme(self, how: str, a: Value, b: Value) -> Value:
        a, b, _ = self._pair(a, b)
        pick = self.select(self.cmp(how, a, b), b, a)
        return self.select(self.cmp("uno", b, b), b, pick) if a.kind == "f" else pick

    def and_(self, a: Value, b: Value) -> Value:
        return self._binary("and", a, b)

    def or_(self, a: Value, b: Value) -> Value:
        return self._binary("or", a, b)

    def xor(self, a: Value, b: Value) -> Value:
        return self._binary("xor", a, b)

    def not_(self, a: Value) -> Value:
        return self.xor(a, self.const(True if a.kind == "b" else -1, a.dtype, a.lanes))  # type: ignore[arg-type]

    def shl(self, a: Value, b: Value | int) -> Value:
        return self._binary("shl", a, self._amount(a, b))

    def shr(self, a: Value, b: Value | int) -> Value:
        """Shift right: arithmetic for signed, logical for unsigned."""
        return self._binary("ashr" if a.kind == "i" else "lshr", a, self._amount(a, b))

    def _amount(self, a: Value, b: Value | int) -> Value:
        return self.const(b, a.dtype, a.lanes) if isinstance(b, int) else b  # type: ignore[arg-type]

    def bitcast(self, a: Value, dtype: DType) -> Value:
        """The same bits as another type of the same width (signedness changes for free)."""
        if _LLVM[dtype.name] == llvm_type(a.dtype):
            return Value(a.text, dtype, a.lanes)
        return self.emit(f"bitcast {a!r} to {llvm_type(dtype, a.lanes)}", dtype, a.lanes)

    def cast(self, a: Value, dtype: DType) -> Value:
        """Convert a value; float to integer truncates (saturating, NaN gives 0)."""
        if a.dtype is dtype:
            return a
        source: DType = a.dtype  # type: ignore[assignment]
        to = llvm_type(dtype, a.lanes)
        if any(d.kind == "f" and d.bits == 16 for d in (source, dtype)):
            from insitu.codegen.cpu.convert import convert  # late: it imports this file

            return convert(self, a, dtype)
        if dtype.kind == "b":
            return self.cmp("ne", a, self.zero(a))
        if source.kind == "f" and dtype.kind == "f":
            op = "fpext" if dtype.bits > source.bits else "fptrunc"
        elif source.kind == "f":
            return self._truncated(a, dtype)
        elif dtype.kind == "f":
            op = "sitofp" if source.kind == "i" else "uitofp"
        elif source.kind == "b":
            op = "zext"
        elif dtype.bits == source.bits:
            return Value(a.text, dtype, a.lanes)
        else:
            op = "trunc" if dtype.bits < source.bits else "sext" if source.kind == "i" else "zext"
        return self.emit(f"{op} {a!r} to {to}", dtype, a.lanes)

    def _truncated(self, a: Value, dtype: DType) -> Value:
        """A float as an integer. LLVM's own conversion that saturates takes vectors apart."""
        signed, lanes = dtype.kind == "i", a.lanes
        low, high = (-(2.0 ** (dtype.bits - 1)), 2.0 ** (dtype.bits - 1)) if signed else (-1.0, 2.0**dtype.bits)
        least, past = (self.const(limit, a.dtype, lanes) for limit in (low, high))  # type: ignore[arg-type]
        fits = self.and_(self.cmp("ge" if signed else "gt", a, least), self.cmp("lt", a, past))
        inside = self.select(fits, a, self.zero(a))
        whole = self.emit(f"fpto{'s' if signed else 'u'}i {inside!r} to {llvm_type(dtype, lanes)}", dtype, lanes)
        whole = self.select(self.cmp("ge", a, past), self.const(int(high) - 1, dtype, lanes), whole)
        return self.select(self.cmp("lt", a, least), self.const(int(low), dtype, lanes), whole) if signed else whole

    # -- memory ----------------------------------------------------------------------------
    def offset(self, pointer: Value, index: Value | int, dtype: DType) -> Value:
        """Pointer plus ``index`` elements of ``dtype`` (booleans are bytes in memory)."""
        element = "i8" if dtype.kind == "b" else _LLVM[dtype.name]
        at = f"i64 {index}" if isinstance(index, int) else repr(index)
        return pointer if index == 0 else self.emit(f"getelementptr inbounds {element}, {pointer!r}, {at}", None)

    def pointer(self, table: Value, index: Value | int) -> Value:
        """The pointer at that place of a table of pointers."""
        return self.emit(f"load ptr, {self.offset(table, index, dt.int64)!r}, align 8", None)

    def load(self, pointer: Value, dtype: DType, lanes: int = 1, mask: Value | None = None) -> Value:
        """Load contiguous elements, unaligned; lanes outside ``mask`` are not touched and read 0."""
        memory = dt.uint8 if dtype.kind == "b" else dtype
        kind = llvm_type(memory, lanes)
        if mask is None:
            out = self.emit(f"load {kind}, {pointer!r}, align {memory.itemsize}", memory, lanes)
        elif lanes == 1:
            raise InternalError("a masked load needs lanes; branch around a scalar one")
        else:
            name = f"llvm.masked.load.{self._mangle(Value('', memory, lanes))}.p0"
            zero = Value("zeroinitializer", memory, lanes)
            self.declared.setdefault(name, f"declare {kind} @{name}(ptr, <{lanes} x i1>, {kind})")
            out = self.emit(f"call {kind} @{name}({pointer!r}, {mask!r}, {zero!r})", memory, lanes)
        return self.cmp("ne", out, self.zero(out)) if dtype.kind == "b" else out

    def store(self, value: Value, pointer: Value, mask: Value | None = None) -> None:
        """Store contiguous elements, unaligned; lanes outside ``mask`` are not touched."""
        if value.kind == "b":
            value = self.cast(value, dt.uint8)
        kind = llvm_type(value.dtype, value.lanes)
        if mask is None:
            self.void(f"store {value!r}, {pointer!r}, align {value.dtype.itemsize}")  # type: ignore[union-attr]
            return
        name = f"llvm.masked.store.{self._mangle(value)}.p0"
        self.declared.setdefault(name, f"declare void @{name}({kind}, ptr, <{value.lanes} x i1>)")
        self.void(f"call void @{name}({value!r}, {pointer!r}, {mask!r})")

    def prefetch(self, pointer: Value) -> None:
        """Ask for a cache line to be read soon into the second-level cache; any address is allowed."""
        self.declared.setdefault("llvm.prefetch.p0", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.void(f"call void @llvm.prefetch.p0({pointer!r}, i32 0, i32 2, i32 1)")

    def fence(self) -> None:
        """Order stores past the caches before all that follows (x86-64)."""
        self.declared.setdefault("llvm.x86.sse.sfence", "declare void @llvm.x86.sse.sfence()")
        self.void("call void @llvm.x86.sse.sfence()")

    def alloca(self, dtype: DType, count: int, align: int = 64) -> Value:
        """Stack memory for ``count`` elements. Emit it in the entry block."""
        element = "i8" if dtype.kind == "b" else _LLVM[dtype.name]
        return self.emit(f"alloca [{count} x {element}], align {align}", None)

    def spill(self) -> Value:
        """Stack memory for one vector, the same wherever in the function it is asked for."""
        at, area = self._spill
        if area is None:
            area = Value(f"%{self.name('spill')}", None)
            self.lines[at] = f"  {area.text} = alloca [{4 * self.target.vector_bits // 8} x i8], align 64"
            self._spill = at, area
        return area

    # -- control ---------------------------------------------------------------------------
    def block(self, name: str) -> None:
        """Start a block; the one before must have been ended by `branch`."""
        self.lines.append(f"{name}:")
        self.block_name = name

    def branch(self, to: str, condition: Value | None = None, other: str = "") -> None:
        """Jump, or jump on a scalar condition to ``to`` else ``other``."""
        self.void(f"br label %{to}" if condition is None else f"br {condition!r}, label %{to}, label %{other}")

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Emit the body so that it runs only if the scalar condition holds (no values come out)."""
        then, after = self.name("then"), self.name("after")
        self.branch(then, condition, after)
        self.block(then)
        yield
        self.branch(after)
        self.block(after)

    def opaque(self, value: Value) -> Value:
        """The same pointer or number, without LLVM knowing how it follows from the turn before (no instruction).

        LLVM's pass over the addresses of a loop takes a large part of the compile time where there are many of them,
        and here they are written the way they should be computed.
        """
        return self.emit(f'call {llvm_type(value.dtype)} asm "", "=r,0"({value!r})', value.dtype)

    @contextlib.contextmanager
    def loop(self, start: Value | int, stop: Value | int, step: int | Value = 1, carried: Sequence[Value] = ()) -> Iterator[Loop]:
        """``for i in range(start, stop, step)`` over int64, with loop-carried values.

        Inside, ``loop.index`` is i and ``loop.values`` the carried values; assign the new ones to
        ``loop.next`` before the end. After the loop ``loop.results`` has the final ones.

        Examples
        --------
        ::

            with b.loop(0, n, 1, [zero]) as loop:
                loop.next = [b.add(loop.values[0], x)]
            total = loop.results[0]
        """
        i64 = dt.int64
        first, last = (self.const(v, i64) if isinstance(v, int) else v for v in (start, stop))
        by = self.const(step, i64) if isinstance(step, int) else step
        head, body, done = self.name("head"), self.name("body"), self.name("done")
        before = self.block_name
        self.branch(head)
        self.block(head)
        index = Value(f"%{self.name('i')}", i64)
        values = [Value(f"%{self.name('c')}", v.dtype, v.lanes) for v in carried]
        phi_at = len(self.lines)
        self.lines += [""] * (1 + len(values))
        more = self.cmp("lt", index, last)
        self.branch(body, more, done)
        self.block(body)
        state = Loop(self.opaque(index), values)
        yield state
        after = self.add(state.index, by)
        end = self.block_name
        self.branch(head)
        if len(state.next) != len(values):
            raise InternalError(f"loop carries {len(values)} values but {len(state.next)} were given for the next turn")
        rows = [(index, first, after), *zip(values, carried, state.next, strict=True)]
        for k, (phi, initial, following) in enumerate(rows):
            kind = llvm_type(phi.dtype, phi.lanes)
            self.lines[phi_at + k] = f"  {phi.text} = phi {kind} [ {initial.text}, %{before} ], [ {following.text}, %{end} ]"
        self.block(done)
        state.results = values


class Loop:
    """The state of one `Emitter.loop`."""

    __slots__ = ("index", "next", "results", "values")

    def __init__(self, index: Value, values: list[Value]) -> None:
        self.index, self.values = index, values
        self.next: list[Value] = []
        self.results: list[Value] = []
