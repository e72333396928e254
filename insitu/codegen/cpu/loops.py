"""Loop nests to LLVM: element-wise kernels, row kernels, column reductions and scans.

Number of lanes, unrolling and tails are chosen here; none of them changes a bit, because the order
of arithmetic is the loop nest's (`insitu.codegen.nest`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from insitu import dtypes as dt
from insitu.codegen import nest
from insitu.codegen.cpu import columns, survey, traffic
from insitu.codegen.cpu.abi import PARAMETERS, kernel_key, pointers, scratch_offsets
from insitu.codegen.cpu.access import below, has_partial
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.folds import Fold, State, fold_of
from insitu.codegen.cpu.general import General, bounds, generalise, word
from insitu.codegen.cpu.scalar import ScalarEmitter
from insitu.codegen.generated import Code, Generated
from insitu.codegen.nest import Expr, Kernel, Stmt
from insitu.codegen.nest_text import own_roots
from insitu.codegen.target import Target
from insitu.errors import InternalError

#: Work of one grain in nanoseconds: long beside handing it to a thread, short beside a kernel worth sharing.
GRAIN_TIME = 25_000
_ALIGN = 64
#: Instructions up to which a row reduction's body is repeated for each register of virtual lanes.
_SHORT = 16
#: Vector registers that a loop's accumulators leave to what is folded.
_FREE = 6
#: Elements of a turn that may not exist from which on two vectors share finding that out.
_GUARDED = 4
_NOTHING: Mapping[int, list[traffic.Ahead]] = {}


def generate(kernel: Kernel, target: Target) -> Generated:
    """Machine code for every kernel but contractions and sorts.

    Parameters
    ----------
    kernel : Kernel
        A verified kernel of `Store`, `Let`, `Loop` and `Reduce` statements.
    target : Target
        The CPU.

    Returns
    -------
    Generated
        The code and how to launch it.
    """
    by_blocks, hints = columns.blocked(kernel), traffic.hints(kernel)
    fixed = by_blocks or hints.ahead or _has_row(kernel.body)
    general = General(kernel) if fixed else generalise(kernel, lambda body: _steps(body, target))
    choices = [name for name, chosen in (("by blocks of columns", by_blocks), ("far chains", hints.far_chains)) if chosen]
    key = kernel_key(general.kernel, target, *bounds(general.kernel), *sorted(hints.streamed), *choices)
    symbol = f"k_{key[:24]}"
    code = Code(key, symbol, lambda: _module(general, target, symbol, hints), target)
    return Generated(code, general.words, kernel.units, _grain(kernel, target), scratch_offsets(kernel)[1] + (columns.AREA if by_blocks else 0))


def _module(general: General, target: Target, symbol: str, hints: traffic.Hints) -> str:
    b = Emitter(target)
    Nest(general, target, b, hints).write(symbol)
    return b.module()


def _grain(kernel: Kernel, target: Target) -> int:
    lanes = target.lanes(survey.element_bits(kernel.body))
    units = max(1, int(GRAIN_TIME / max(0.01, survey.nanoseconds(kernel.body, lanes))))
    return -(-units // 64) * 64 if kernel.vector else units


class Nest:
    """Writes one kernel's function."""

    def __init__(self, general: General, target: Target, b: Emitter, hints: traffic.Hints) -> None:
        self.kernel, self.target, self.b = general.kernel, target, b
        self.dtypes = general.dtypes
        self.accumulators: Value
        self.column_area: Value
        self.hints = hints
        self.fetching: list[traffic.Ahead] = []

    def write(self, symbol: str) -> None:
        """The kernel's function."""
        b, body, unit = self.b, self.kernel.body, self.kernel.unit
        with b.function(symbol, PARAMETERS) as (args, begin, end, scratch, words):
            self.accumulators = b.alloca(dt.uint8, 2 * nest.MAX_LANES * 8) if _has_row(body) else args
            buffers = pointers(b, self.kernel, args, scratch)
            self.column_area = b.offset(scratch, scratch_offsets(self.kernel)[1], dt.uint8)
            loaded = {word(k): b.load(b.offset(words, k, dt.int64), d) for k, d in enumerate(self.dtypes)}
            sizes, numbers = ({name: v for name, v in loaded.items() if (v.dtype is dt.int64) is size} for size in (True, False))
            scope = ScalarEmitter(b, buffers, sizes, lane_axis=unit, refs=numbers)
            scope.hoist(survey.roots(body), survey.changing(body, unit), unit)
            if not self.hints.streamed:
                self._all_units(scope, begin, end)
            else:
                aligned = self._aligned([buffers[name] for name in sorted(self.hints.streamed)], begin)
                with b.when(aligned):
                    scope.streamed = self.hints.streamed
                    self._all_units(scope, begin, end)
                    if self.target.triple.startswith("x86_64"):
                        b.fence()
                with b.when(b.not_(aligned)):
                    scope.streamed = frozenset()
                    self._all_units(scope, begin, end)

    def _aligned(self, places: list[Value], begin: Value) -> Value:
        """Whether every streamed result starts at a cache line, and with it each whole vector of it."""
        b = self.b
        bits = b.const(0, dt.int64)
        for pointer in places:
            bits = b.or_(bits, b.emit(f"ptrtoint {pointer!r} to i64", dt.int64))
        if self.kernel.vector:
            bits = b.or_(bits, begin)
        return b.cmp("eq", b.and_(bits, b.const(_ALIGN - 1, dt.int64)), b.const(0, dt.int64))

    def _all_units(self, scope: ScalarEmitter, begin: Value, end: Value) -> None:
        if self.kernel.vector and not survey.has_vector_axis(self.kernel.body):
            self._vector_units(scope, begin, end)
        else:
            with self.b.loop(begin, end) as turn:
                self._run(self.kernel.body, scope.child({self.kernel.unit: turn.index}), self.hints.ahead)

    def _vector_units(self, scope: ScalarEmitter, begin: Value, end: Value) -> None:
        body, unit = self.kernel.body, self.kernel.unit
        chains = columns.blocked(self.kernel)
        if not chains:
            steps = _steps(body, self.target)
            self._spans(begin, end, steps, lambda start, lanes, mask: self._run(body, scope.child({unit: start}, lanes=lanes, mask=mask)))
            return
        width = columns.width(self.b, chains)
        with self.b.loop(begin, end, width) as block:
            stop = self.b.min(self.b.add(block.index, self.b.const(width, dt.int64)), end)
            self._column_block(chains, scope, block.index, stop)

    def _column_block(self, chains: Sequence[nest.Reduce], scope: ScalarEmitter, begin: Value, end: Value) -> None:
        """Row by row over a block of columns whose folds are kept in memory, then the statements that use them."""
        b, unit, rest = self.b, self.kernel.unit, self.kernel.body[len(chains) :]
        rows, width = chains[0].axis, self.target.lanes(survey.element_bits(chains))
        matrices = columns.matrices(self.kernel, chains)
        partial = columns.Partial(b, chains, self.column_area, begin)
        with b.loop(0, partial.width, width) as turn:
            partial.start(b.add(begin, turn.index), width)

        def step(row: ScalarEmitter, start: Value, lanes: int, mask: Value | None) -> None:
            for x, base, stride in matrices if lanes > 1 else ():
                traffic.fetch(b, row.pointer(x.attr, base, x.dtype), stride, start, lanes, x.dtype)
            inside = row.child({unit: start}, lanes=lanes, mask=mask)
            for k, s in enumerate(chains):
                state = partial.folds[k].step(partial.load(k, start, lanes), inside.vector(s.value), row.axes[rows.name], None)
                partial.store(k, state, start)

        def finish(start: Value, lanes: int, mask: Value | None) -> None:
            inside = scope.child({unit: start}, lanes=lanes, mask=mask)
            for k, s in enumerate(chains):
                inside.refs[s.name] = partial.folds[k].result(partial.load(k, start, lanes))
            self._run(rest, inside)

        with b.loop(0, rows.extent) as turn:
            row = scope.child({rows.name: turn.index})
            row.hoist([s.value for s in chains], survey.changing((), unit), unit)
            steps = (4 * width, width) if len(chains) == 1 else (width,)
            self._spans(begin, end, steps, lambda start, lanes, mask: step(row, start, lanes, mask))
        self._spans(begin, end, (self.target.lanes(survey.element_bits(self.kernel.body)),), finish)

    def _spans(self, begin: Value, end: Value, steps: Sequence[int], emit: Callable[[Value, int, Value | None], None], multiple: int = 1) -> None:
        """``emit(start, lanes, mask)`` over a range, whose length is a ``multiple``: in steps of each number of lanes, then the rest under
        a mask or one by one.
        """
        b, start = self.b, begin
        width = steps[-1]
        for lanes in dict.fromkeys(steps):
            whole = multiple % lanes == 0
            stop = end if whole else b.add(start, b.and_(b.sub(end, start), b.const(-lanes, dt.int64)))
            with b.loop(start, stop, lanes) as turn:
                emit(turn.index, lanes, None)
            if whole:
                return
            start = stop
        if width > 1 and has_partial(self.target, survey.narrowest(self.kernel.body)):
            with b.when(b.cmp("lt", start, end)):
                emit(start, width, below(b, b.sub(end, start), width))
        elif width > 1:
            with b.loop(start, end) as turn:
                emit(turn.index, 1, None)

    # -- statements --------------------------------------------------------------------------
    def _run(self, body: Sequence[Stmt], scope: ScalarEmitter, ahead: Mapping[int, list[traffic.Ahead]] = _NOTHING) -> None:
        waiting: list[nest.Store | nest.Let] = []
        for k, together in survey.passes(body):
            s = together[0]
            if isinstance(s, nest.Store | nest.Let):
                waiting.append(s)
                continue
            self._straight(waiting, scope)
            waiting = []
            self.fetching = ahead.get(k, [])
            if isinstance(s, nest.Loop):
                self._loop(s, scope)
            elif survey.is_chain(s):
                self._side_by_side([t for t in together if survey.is_chain(t)], scope)
            elif isinstance(s, nest.Reduce):
                self._reduce(s, scope)
            else:
                raise InternalError(f"code generator: {type(s).__name__} among other statements")
        self._straight(waiting, scope)

    def _straight(self, body: Sequence[nest.Store | nest.Let], scope: ScalarEmitter) -> None:
        """Statements without loops. All values are computed before any is written, as far as no statement
        reads what an earlier one writes: loads overlap, and memory updated in place is read before.
        """
        pending: list[tuple[nest.Store, Value, Value | None]] = []

        def write() -> None:
            for store, value, guard in pending:
                scope.place(store, value, guard)
            scope.forget({store.buffer for store, _, _ in pending})
            pending.clear()

        for s in body:
            written = frozenset(store.buffer for store, _, _ in pending)
            seen: dict[Expr, bool] = {}
            if written and any(survey.reads(x, written, seen) for x in own_roots(s)):
                write()
            if isinstance(s, nest.Let):
                scope.let(s)
            else:
                pending.append((s, scope.value(s.value), None if s.guard is None else scope.value(s.guard)))
        write()

    def _enter(self, body: Sequence[Stmt], scope: ScalarEmitter, axis: str, lane_axis: str | None, *more: Expr) -> None:
        """Prepare for a loop: drop what the loop will overwrite, compute what it does not change."""
        scope.forget(survey.stored(body))
        scope.hoist([*survey.roots(body), *more], survey.changing(body, axis), lane_axis or axis)

    def _fetch(self, scope: ScalarEmitter, start: Value, lanes: int) -> None:
        """Fetch ahead what stands at the same place in the next unit's rows."""
        for row in self.fetching:
            traffic.fetch(self.b, scope.pointer(row.load.attr, row.base, row.load.dtype), row.step, start, lanes, row.load.dtype)

    def _loop(self, s: nest.Loop, scope: ScalarEmitter) -> None:
        name, n = s.axis.name, s.axis.extent
        if n < 1:
            return
        vector = s.axis.kind == "vector" and scope.lanes == 1 and not survey.has_vector_axis(s.body)
        lane_axis = name if scope.lanes == 1 else scope.lane_axis
        self._enter(s.body, scope, name, lane_axis)
        if not vector:
            with self.b.loop(0, n if s.axis.length is None else scope.value(s.axis.length)) as turn:
                self._run(s.body, scope.child({name: turn.index}, lane_axis))
            return
        lanes, width = _steps(s.body, self.target)
        if s.axis.length is not None:
            first, end = self.b.const(0, dt.int64), scope.value(s.axis.length)
            self._spans(first, end, (lanes, width), lambda at, lanes, mask: self._run(s.body, scope.child({name: at}, name, lanes, mask)), n)
            return
        while lanes > width and lanes > n:
            lanes //= 2
        full = n // lanes * lanes
        if full > lanes:
            with self.b.loop(0, full, lanes) as turn:
                self._fetch(scope, turn.index, lanes)
                self._run(s.body, scope.child({name: turn.index}, name, lanes))
            done = full
        else:
            done = 0
        while done < n:
            part, mask = self._piece(n - done, lanes, width)
            self._run(s.body, scope.child({name: self.b.const(done, dt.int64)}, name, part, mask))
            done += part

    def _piece(self, left: int, lanes: int, width: int) -> tuple[int, Value | None]:
        """Lanes of the next piece of a remainder, and a mask if not all of them exist."""
        while lanes > width and lanes > left:
            lanes //= 2
        while lanes // 2 >= left:
            lanes //= 2
        return lanes, self._mask(left, lanes)

    def _mask(self, count: int, lanes: int) -> Value | None:
        """A mask of the first ``count`` lanes; None if that is all."""
        return None if count >= lanes else below(self.b, count, lanes)

    # -- reductions --------------------------------------------------------------------------
    def _reduce(self, s: nest.Reduce, scope: ScalarEmitter) -> None:
        if s.axis.extent < 1:
            empty = {"sum": 0, "prod": 1}.get(s.how)
            if empty is None:
                raise InternalError(f"code generator: {s.how} over no elements")
            scope.refs[s.name] = self.b.const(empty, s.value.dtype, scope.lanes)
        elif s.axis.kind == "serial":
            self._chains((s,), scope)
        elif scope.lanes > 1:
            raise InternalError(f"code generator: {s.name} reduces a vector axis inside lanes of {scope.lane_axis}")
        else:
            self._row(s, scope)

    def _side_by_side(self, chains: Sequence[nest.Reduce], scope: ScalarEmitter) -> None:
        """Chains over one axis in as few loops as the registers allow, each with about as many."""
        vector = self.target.vector_bits
        vectors = max(sum(-(-v.dtype.bits * v.lanes // vector) for v in fold_of(self.b, s).start(scope.lanes) if v.dtype) for s in chains)
        loops = -(-len(chains) // max(1, (self.target.registers - _FREE) // vectors))
        each = -(-len(chains) // loops)
        for first in range(0, len(chains), each):
            self._chains(chains[first : first + each], scope)

    def _chains(self, chains: Sequence[nest.Reduce], scope: ScalarEmitter) -> None:
        """Chains in increasing order (in every lane of an axis around them): one loop, so that what they share is computed once."""
        axis, folds = chains[0].axis, [fold_of(self.b, s) for s in chains]
        lane_axis = axis.name if scope.lanes == 1 else scope.lane_axis
        starts = [fold.start(scope.lanes) for fold in folds]
        self._enter(chains, scope, axis.name, lane_axis)
        with self.b.loop(0, axis.extent if axis.length is None else scope.value(axis.length), 1, [v for state in starts for v in state]) as turn:
            inside = scope.child({axis.name: turn.index}, lane_axis)
            if self.hints.far_chains and scope.lanes > 1:
                self._fetch_rows(chains, scope.child({axis.name: self.b.add(turn.index, self.b.const(traffic.ROWS_AHEAD, dt.int64))}, lane_axis))
            for s, fold, state in zip(chains, folds, _like(starts, turn.values), strict=True):
                self._run(s.body, inside)
                state = fold.step(state, inside.vector(s.value), turn.index, None)
                inside.refs[s.name] = fold.result(state)
                self._run(s.after, inside)
                turn.next += state
        for s, fold, state in zip(chains, folds, _like(starts, turn.results), strict=True):
            scope.refs[s.name] = fold.result(state)

    def _fetch_rows(self, chains: Sequence[nest.Reduce], scope: ScalarEmitter) -> None:
        """Fetch what chains read where ``scope`` is."""
        for x in traffic.furthest(chains):
            place = scope.place_of(x)
            if place is not None:
                traffic.fetch_lines(self.b, place, scope.lanes, x.dtype)

    def _row(self, s: nest.Reduce, scope: ScalarEmitter) -> None:
        """Virtual lanes folded step by step, then the tree."""
        if survey.has_vector_axis((*s.body, *s.after)) or s.after:
            raise InternalError(f"code generator: {s.name} over a vector axis has a loop or a scan inside")
        self._enter((s,), scope, s.axis.name, s.axis.name)
        fold, virtual = fold_of(self.b, s), nest.virtual_lanes(s.axis.extent)
        lanes = min(virtual, _steps((s,), self.target)[0])
        states = [fold.start(lanes, k) for k in range(0, virtual, lanes)]
        bits = sum(v.dtype.bits * v.lanes for state in states for v in state if v.dtype)
        short = survey.instructions(survey.values((s,))) <= _SHORT
        if len(states) > 1 and (not short or bits > self.target.vector_bits * (self.target.registers - _FREE)):
            states = self._row_in_memory(s, scope, fold, states)
        else:
            states = self._row_in_registers(s, scope, fold, states)
        scope.refs[s.name] = fold.tree(states)

    def _row_in_registers(self, s: nest.Reduce, scope: ScalarEmitter, fold: Fold, states: list[State]) -> list[State]:
        """A loop over blocks of one element for each virtual lane; the lanes stay in registers."""
        b, n = self.b, s.axis.extent
        lanes, virtual = states[0][0].lanes, nest.virtual_lanes(n)

        def block(states: list[State], at: Value, count: int) -> list[State]:
            out = list(states)
            for k in range(0, count, lanes):
                start = b.add(at, b.const(k, dt.int64)) if k else at
                out[k // lanes] = self._fold(s, scope, fold, states[k // lanes], start, self._mask(count - k, lanes))
            return out

        whole, rest = divmod(n, virtual)
        if whole > 1:
            with b.loop(0, whole * virtual, virtual, [v for state in states for v in state]) as turn:
                states = block(_split(turn.values, len(states)), turn.index, virtual)
                turn.next = [v for state in states for v in state]
            states = _split(turn.results, len(states))
        elif whole:
            states = block(states, b.const(0, dt.int64), virtual)
        return block(states, b.const(whole * virtual, dt.int64), rest)

    def _row_in_memory(self, s: nest.Reduce, scope: ScalarEmitter, fold: Fold, states: list[State]) -> list[State]:
        """The same folds with the virtual lanes in memory: one copy of a long body, no need of many registers."""
        b, n = self.b, s.axis.extent
        lanes, virtual = states[0][0].lanes, nest.virtual_lanes(n)
        places = [b.offset(self.accumulators, k * virtual * 8, dt.uint8) for k in range(len(states[0]))]

        def turn_at(start: Value, mask: Value | None) -> None:
            first = b.and_(start, b.const(virtual - 1, dt.int64))
            spots = [b.offset(p, first, v.dtype) for p, v in zip(places, states[0], strict=True)]  # type: ignore[arg-type]
            state = tuple(b.load(p, v.dtype, lanes) for p, v in zip(spots, states[0], strict=True))  # type: ignore[arg-type]
            for value, spot in zip(self._fold(s, scope, fold, state, start, mask), spots, strict=True):
                b.store(value, spot)

        for k, state in enumerate(states):
            for value, place in zip(state, places, strict=True):
                b.store(value, b.offset(place, k * lanes, value.dtype))  # type: ignore[arg-type]
        full = n // lanes * lanes
        with b.loop(0, full, lanes) as turn:
            turn_at(turn.index, None)
        if full < n:
            turn_at(b.const(full, dt.int64), self._mask(n - full, lanes))
        return [
            tuple(b.load(b.offset(p, k * lanes, v.dtype), v.dtype, lanes) for p, v in zip(places, states[0], strict=True))  # type: ignore[arg-type]
            for k in range(len(states))
        ]

    def _fold(self, s: nest.Reduce, scope: ScalarEmitter, fold: Fold, state: State, start: Value, mask: Value | None) -> State:
        """One more element in each lane of one piece."""
        self._fetch(scope, start, state[0].lanes)
        inside = scope.child({s.axis.name: start}, s.axis.name, state[0].lanes, mask)
        self._run(s.body, inside)
        value = inside.vector(s.value)
        position = inside.vector(s.axis.at) if s.how.startswith("arg") else None
        return fold.step(state, value, position, mask)


def _steps(body: Sequence[Stmt], target: Target) -> tuple[int, int]:
    """Lanes of a turn, several vectors where it is too short to keep the memory busy, and of a vector."""
    parts = survey.values(body)
    work = survey.instructions(parts) + sum(x.op == "load" for x in parts)
    width, registers = target.lanes(survey.element_bits(body)), target.registers
    if work <= registers // 4:
        return 4 * width, width
    chains = max([len(together) for _, together in survey.passes(body)], default=0)
    if chains > 1:  # what they share is computed once for all vectors, and for all of them if registers hold their sums
        vectors = max(1, min(registers // 8, (registers - _FREE) // chains))
        return width << (vectors.bit_length() - 1), width  # halves of it are vectors, too
    guarded = sum(x.op == "load" and len(x.args) > 1 for x in parts)
    return (2 if work <= registers // 2 or guarded >= _GUARDED else 1) * width, width


def _has_row(body: Sequence[Stmt]) -> bool:
    return any(isinstance(s, nest.Reduce) and s.axis.kind == "vector" for s in survey.statements(body))


def _like(states: Sequence[State], values: Sequence[Value]) -> list[State]:
    """The values as states of the same sizes."""
    rest = iter(values)
    return [tuple(itertools.islice(rest, len(state))) for state in states]


def _split(values: Sequence[Value], parts: int) -> list[State]:
    size = len(values) // parts
    return [tuple(values[k * size : (k + 1) * size]) for k in range(parts)]
