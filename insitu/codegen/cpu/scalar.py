"""Loop-nest expressions and stores as LLVM instructions, for one element or one vector of lanes.

A `ScalarEmitter` is one scope: the positions of the axes, the values of `Let` and `Reduce` names,
and what has been computed so far. Only values that change along the lane axis become vectors;
addresses stay scalar wherever they are linear in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu.access import advance, gather, memory_type, reverse, scatter, store
from insitu.codegen.cpu.convert import convert
from insitu.codegen.cpu.emitter import Emitter, Value, llvm_type
from insitu.codegen.cpu.operations import operate
from insitu.codegen.nest import Expr
from insitu.dtypes import DType
from insitu.errors import InternalError


class ScalarEmitter:
    """Emits the values of one scope; everything is computed once per scope.

    Parameters
    ----------
    b : Emitter
        Where the instructions go.
    buffers : mapping of str to Value
        A pointer for each buffer.
    axes : mapping of str to Value
        The scalar int64 position on each axis in scope. For the lane axis it is that of lane 0;
        lane k stands at this position + k.
    lane_axis : str, optional
        The axis that runs in lanes.
    lanes : int
        Lanes of a vector; with 1 every value is a scalar.
    mask : Value, optional
        Lanes that exist, as a bool vector; memory is touched for no other. Lane 0 always exists.
    refs : mapping of str to Value, optional
        Values of the names that expressions refer to.
    parent : ScalarEmitter, optional
        The scope around this one, whose names and values are seen here.
    streamed : frozenset of str
        Buffers whose whole vectors are written past the caches (they must be aligned to a vector).

    Examples
    --------
    ::

        scope = ScalarEmitter(b, {"x": x, "y": y}, {"i": start}, lane_axis="i", lanes=16)
        scope.store(nest.Store("y", i, nest.op("add", nest.load("x", i, f32), one)))
    """

    def __init__(
        self,
        b: Emitter,
        buffers: Mapping[str, Value],
        axes: Mapping[str, Value],
        lane_axis: str | None = None,
        lanes: int = 1,
        mask: Value | None = None,
        refs: Mapping[str, Value] | None = None,
        parent: ScalarEmitter | None = None,
        streamed: frozenset[str] = frozenset(),
    ) -> None:
        self.b, self.buffers, self.axes, self.lane_axis, self.lanes, self.mask = b, buffers, dict(axes), lane_axis, lanes, mask
        self.refs, self.parent, self.streamed = dict(refs or {}), parent, streamed
        self._memo: dict[Expr, Value] = {}
        self._narrow_memo: dict[Expr, Value] = {}
        self._pointers: dict[tuple[str, Expr], Value] = {}

    def child(self, axes: Mapping[str, Value], lane_axis: str | None = None, lanes: int | None = None, mask: Value | None = None) -> ScalarEmitter:
        """A scope inside this one: more axes, and possibly lanes where this one has none."""
        return ScalarEmitter(
            self.b,
            self.buffers,
            {**self.axes, **axes},
            lane_axis or self.lane_axis,
            self.lanes if lanes is None else lanes,
            self.mask if mask is None else mask,
            None,
            self,
            self.streamed,
        )

    # -- scopes ----------------------------------------------------------------------------
    def _scopes(self) -> Iterable[ScalarEmitter]:
        scope: ScalarEmitter | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def _known(self, x: Expr) -> Value | None:
        scope: ScalarEmitter | None = self
        while scope is not None:
            found = scope._memo.get(x)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def forget(self, buffers: Iterable[str]) -> None:
        """Drop values read from these buffers, which have been (or will be) written."""
        written = frozenset(buffers)
        seen: dict[Expr, bool] = {}
        for scope in self._scopes():
            for memo in (scope._memo, scope._narrow_memo):
                for x in [x for x in memo if _reads(x, written, seen)]:
                    del memo[x]
            for key in [key for key in scope._pointers if _reads(key[1], written, seen)]:
                del scope._pointers[key]

    def hoist(self, roots: Iterable[Expr], changing: Callable[[Expr], bool], axis: str) -> None:
        """Compute here, before a loop, the parts of the loop's expressions that do not change in it.

        ``changing`` tells whether an expression may have another value on another turn; ``axis``
        is the one that addresses inside the loop are split by.
        """
        seen: set[Expr] = set()
        stack = list(roots)
        while stack:
            x = stack.pop()
            if x in seen or not x.args:
                continue
            seen.add(x)
            if not changing(x):
                self.value(x)
            elif x.op == "load":
                split = nest.linear(x.args[0], axis)
                if split is not None and not changing(split[0]):
                    if self.value(split[0]).lanes == 1:
                        self.pointer(x.attr, split[0], memory_type(x.dtype))
                else:
                    stack.append(split[0] if split is not None else x.args[0])
                stack.extend(x.args[1:])
            else:
                stack.extend(x.args)

    # -- values ----------------------------------------------------------------------------
    def value(self, x: Expr) -> Value:
        """The expression's value: a vector if it changes along the lane axis, else a scalar."""
        stack = [x]
        while stack:
            top = stack[-1]
            if self._known(top) is None:
                missing = [a for a in self._needs(top) if self._known(a) is None]
                if missing:
                    stack += missing
                    continue
                self._memo[top] = self._emit(top)
            stack.pop()
        found = self._known(x)
        if found is None:
            raise InternalError(f"code generator: no value for {x!r}")
        return found

    def vector(self, x: Expr) -> Value:
        """The value in every lane."""
        return self.b.splat(self.value(x), self.lanes)

    def let(self, s: nest.Let) -> None:
        """Compute a name's value."""
        self.refs[s.name] = self.value(s.value)

    def _needs(self, x: Expr) -> tuple[Expr, ...]:
        """What must be known before the expression can be emitted."""
        if x.op == "load":
            return (self._address(x.args[0])[0], *x.args[1:])
        if self._is_narrow(x) or self._compares_narrow(x) or (x.op == "cast" and self._is_narrow(x.args[0])):
            return ()
        return x.args

    def _emit(self, x: Expr) -> Value:
        if x.op == "const":
            return self.b.const(x.attr, x.dtype)
        if x.op == "ref":
            return self._ref(x.attr)
        if x.op == "load":
            return self._load(x)
        if self._is_narrow(x):
            return self.b.cast(self._narrow(x), dt.int64)
        if x.op == "axis":
            return self._position(x, dt.int64)
        if x.op == "cast":
            source = x.args[0]
            return convert(self.b, self._narrow(source) if self._is_narrow(source) else self.value(source), x.dtype)
        args = [self._narrow(a) if self._compares_narrow(x) else self.value(a) for a in x.args]
        if x.op == "bitcast":
            return self.b.bitcast(args[0], x.dtype)
        if x.op in ("floordiv", "mod") and x.dtype is dt.int64:
            return self._divide(x, args, dt.int64)
        return operate(self.b, x.op, args)

    def _ref(self, name: str) -> Value:
        for scope in self._scopes():
            if name in scope.refs:
                return scope.refs[name]
        raise InternalError(f"code generator: {name} is used before it has a value")

    def _position(self, x: Expr, dtype: DType) -> Value:
        start = self.axes[x.attr]
        if x.attr != self.lane_axis or self.lanes == 1:
            return self.b.cast(start, dtype)
        return self.b.add(self.b.cast(start, dtype), self.b.lane_ids(dtype, self.lanes))

    def _divide(self, x: Expr, args: list[Value], dtype: DType) -> Value:
        """Index division by a positive constant. Where consecutive lanes are consecutive numbers one scalar
        division and a comparison serve them all; a number known not to be negative divides as unsigned.
        """
        b, by = self.b, x.args[1].attr if x.args[1].op == "const" else 0
        positive = by > 0 and x.args[0].lo is not None and x.args[0].lo >= 0
        if not positive:
            return operate(b, x.op, args)
        split = nest.linear(x.args[0], self.lane_axis) if self.lane_axis and self.lanes > 1 and by >= self.lanes else None
        if split is None or split[1] != 1 or self.value(split[0]).lanes > 1:
            unsigned = [b.bitcast(b.splat(a, max(v.lanes for v in args)), dt.from_kind("u", dtype.bits)) for a in args]
            return b.bitcast((b.div if x.op == "floordiv" else b.rem)(*unsigned), dtype)
        first = b.bitcast(b.add(self.value(split[0]), self.axes[self.lane_axis]), dt.uint64)  # type: ignore[index]
        divisor = b.const(by, dt.uint64)
        rest = b.cast(b.bitcast(b.rem(first, divisor), dt.int64), dtype)
        rests = b.add(rest, b.lane_ids(dtype, self.lanes))
        limit = b.const(by, dtype, self.lanes)
        over = b.cmp("ge", rests, limit)
        if x.op == "mod":
            return b.select(over, b.sub(rests, limit), rests)
        quotient = b.cast(b.bitcast(b.div(first, divisor), dt.int64), dtype)
        return b.add(quotient, b.cast(over, dtype))

    # -- index arithmetic in 32 bits ---------------------------------------------------------
    def _is_narrow(self, x: Expr) -> bool:
        """Whether an index expression is a vector that fits in int32, where lanes are twice as many."""
        return (
            self.lanes > 1
            and x.dtype is dt.int64
            and x.op in ("axis", "add", "sub", "mul", "min", "max", "floordiv", "mod", "select")
            and x.lo is not None
            and x.hi is not None
            and -nest.NARROW <= x.lo <= x.hi < nest.NARROW
            and nest.depends(x, self.lane_axis or "")
        )

    def _compares_narrow(self, x: Expr) -> bool:
        return (
            x.op in nest.COMPARISONS
            and any(self._is_narrow(a) for a in x.args)
            and all(self._is_narrow(a) or (a.op == "const" and -nest.NARROW <= a.attr < nest.NARROW) for a in x.args)
        )

    def _narrow(self, x: Expr) -> Value:
        """The low 32 bits of an index expression."""
        for scope in self._scopes():
            if x in scope._narrow_memo:
                return scope._narrow_memo[x]
        self._narrow_memo[x] = out = self._emit_narrow(x)
        return out

    def _emit_narrow(self, x: Expr) -> Value:
        if x.op == "const":
            return self.b.const(x.attr, dt.int32)
        if not self._is_narrow(x):
            return self.b.cast(self.value(x), dt.int32)
        if x.op == "axis":
            return self._position(x, dt.int32)
        if x.op == "select":
            return operate(self.b, x.op, [self.value(x.args[0]), *map(self._narrow, x.args[1:])])
        if x.op in ("add", "sub", "mul"):
            return operate(self.b, x.op, list(map(self._narrow, x.args)))
        if any(a.lo is None or a.hi is None or a.lo < -nest.NARROW or a.hi >= nest.NARROW for a in x.args):
            return self.b.cast(operate(self.b, x.op, list(map(self.value, x.args))), dt.int32)
        args = list(map(self._narrow, x.args))
        return self._divide(x, args, dt.int32) if x.op in ("floordiv", "mod") else operate(self.b, x.op, args)

    # -- memory ------------------------------------------------------------------------------
    def _address(self, offset: Expr) -> tuple[Expr, int | None]:
        """``(base, stride)`` along the lanes, or ``(offset, None)`` if it is not linear in them."""
        if self.lane_axis is None:
            return offset, 0
        split = nest.linear(offset, self.lane_axis)
        return (offset, None) if split is None else split

    def pointer(self, buffer: str, base: Expr, dtype: DType) -> Value:
        """The address of element ``base``, a scalar."""
        for scope in self._scopes():
            if (buffer, base) in scope._pointers:
                return scope._pointers[buffer, base]
        out = advance(self.b, self.buffers[buffer], self.value(base), dtype)
        self._pointers[buffer, base] = out
        return out

    def place_of(self, x: Expr) -> Value | None:
        """Where lane 0 of what is loaded lies; None if lanes do not lie side by side."""
        base, stride = self._address(x.args[0])
        if stride != 1 or self.value(base).lanes > 1:
            return None
        return self._place(x.attr, x.args[0], x.dtype)[0]

    def _place(self, buffer: str, offset: Expr, dtype: DType) -> tuple[Value, int | None]:
        """The address of lane 0 and the stride; or a vector of addresses and None."""
        base, stride = self._address(offset)
        at = self.value(base)
        if stride is not None and at.lanes == 1:
            pointer = self.pointer(buffer, base, dtype)
            if stride == 0:
                return pointer, 0
            start = self.axes[self.lane_axis]  # type: ignore[index]
            return advance(self.b, pointer, start if stride == 1 else self.b.mul(start, self.b.const(stride, dt.int64)), dtype), stride
        if stride:
            lanes = self.b.add(self.axes[self.lane_axis], self.b.lane_ids(dt.int64, self.lanes))  # type: ignore[index]
            at = self.b.add(at, self.b.mul(lanes, self.b.const(stride, dt.int64)))
        element = llvm_type(dt.uint8 if dtype.kind == "b" else dtype)
        return self.b.emit(f"getelementptr {element}, {self.buffers[buffer]!r}, {at!r}", None, at.lanes), None

    def _load(self, x: Expr) -> Value:
        dtype = memory_type(x.dtype)
        guard = self.value(x.args[1]) if len(x.args) > 1 else None
        pointer, stride = self._place(x.attr, x.args[0], dtype)
        if guard is not None and guard.lanes == 1 and (self.lanes == 1 or stride in (0, 1, -1)):
            pointer, guard = self._safe(pointer, guard, dtype, stride or 0), None
        if self.lanes == 1 or (stride == 0 and guard is None):
            out = self.b.load(pointer, dtype)
        elif stride == 1:
            out = self.b.load(pointer, dtype, self.lanes, self._active(guard))
        elif stride == -1:
            active = self._active(guard)
            first = advance(self.b, pointer, -(self.lanes - 1), dtype)
            out = reverse(self.b, self.b.load(first, dtype, self.lanes, None if active is None else reverse(self.b, active)))
        else:
            out = gather(self.b, pointer, stride, dtype, self.lanes, self._active(guard))
        return self._from_memory(out, x.dtype)

    def _safe(self, pointer: Value, guard: Value, dtype: DType, stride: int) -> Value:
        """The pointer, or where the guard is false one to zeros."""
        name = "@zeros"
        line = f"{name} = private unnamed_addr constant [1024 x i8] zeroinitializer, align 64"
        if line not in self.b.globals:
            self.b.globals.append(line)
        zeros = advance(self.b, Value(name, None), self.lanes - 1 if stride < 0 else 0, dtype)
        return self.b.select(guard, pointer, zeros)

    def _active(self, guard: Value | None) -> Value | None:
        if guard is None or self.mask is None:
            return self.mask if guard is None else self.b.splat(guard, self.lanes)
        return self.b.and_(self.mask, guard)

    def _from_memory(self, value: Value, dtype: DType) -> Value:
        if dtype.kind == "b":
            return self.b.cmp("ne", value, self.b.zero(value))
        return self.b.bitcast(value, dtype)

    def store(self, s: nest.Store) -> None:
        """Write an element, or one of each lane (of equal places the last lane's stays)."""
        value = self.value(s.value)
        guard = self.value(s.guard) if s.guard is not None else None
        self.place(s, value, guard)
        self.forget((s.buffer,))

    def place(self, s: nest.Store, value: Value, guard: Value | None) -> None:
        """Write a value that has been computed."""
        b, dtype = self.b, memory_type(s.value.dtype)
        value = b.cast(value, dtype) if s.value.dtype.kind == "b" else b.bitcast(value, dtype)
        pointer, stride = self._place(s.buffer, s.offset, dtype)
        if self.lanes == 1 or (stride == 0 and value.lanes == 1 and (guard is None or guard.lanes == 1)):
            if guard is None:
                b.store(value, pointer)
            else:
                with b.when(guard):
                    b.store(value, pointer)
            return
        value = b.splat(value, self.lanes)
        active = self._active(guard)
        if stride == -1:
            pointer, value = advance(self.b, pointer, -(self.lanes - 1), dtype), reverse(self.b, value)
            active = None if active is None else reverse(self.b, active)
        if stride == 1 and active is None and s.buffer in self.streamed:
            if "!0 = !{i32 1}" not in b.globals:
                b.globals.append("!0 = !{i32 1}")
            b.void(f"store {value!r}, {pointer!r}, align {min(64, dtype.itemsize * self.lanes)}, !nontemporal !0")
        elif stride in (1, -1):
            store(b, value, pointer, active)
        else:
            scatter(b, value, pointer, stride, active)


def _reads(x: Expr, buffers: frozenset[str], seen: dict[Expr, bool]) -> bool:
    """Whether the expression loads from one of the buffers."""
    stack = [x]
    while stack:
        top = stack[-1]
        if top in seen:
            stack.pop()
            continue
        if top.op == "load" and top.attr in buffers:
            seen[top] = True
            continue
        missing = [a for a in top.args if a not in seen]
        if missing:
            stack += missing
            continue
        seen[top] = any(seen[a] for a in top.args)
    return seen[x]
