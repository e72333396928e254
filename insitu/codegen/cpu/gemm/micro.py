"""The micro-kernel: one register tile of the output over one block of k."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.schedule import Variant, repeats
from insitu.errors import InternalError

DType = dt.DType

UNROLL = 4
#: Turns of k that begin with fetching what is ahead.
PIECE = 32

#: Emits the fetching, into the level-2 cache, of what belongs to the turns from one k to another.
Ahead = Callable[[Value, Value], None]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Where the row side's elements are: element (r, k) at ``start + offsets[r] + k*step``.

    ``offsets`` are element counts, known (int) or computed (Value); ``step`` likewise. Instead of offsets one computed distance may
    tell how far rows lie ``apart``.
    """

    start: Value
    offsets: tuple[int | Value, ...]
    step: int | Value
    apart: Value | None = None


@dataclasses.dataclass(frozen=True)
class Lanes:
    """Where the lane side's vectors are: vector (v, k) at ``start + v*lanes + k*step``; masks for a narrow tile.

    Where a tile has several panels of ``width`` elements they are ``apart``.
    """

    start: Value
    step: int | Value
    masks: tuple[Value, ...] | None
    width: int = 0
    apart: Value | None = None


def tile(b: Emitter, variant: Variant, dtype: DType, rows: Rows, lanes: Lanes, length: Value, ahead: Sequence[Ahead] = ()) -> list[Value]:
    """The sums over ``length`` turns of k, a chain each, row by row: ``rows * vectors`` vectors.

    ``k`` is unrolled by 4; the turns that remain run in a second loop. Meanwhile what is ``ahead`` is fetched, a part with each piece of k.
    """
    zero = Value("zeroinitializer", dtype, variant.lanes) if variant.lanes > 1 else b.const(0, dtype)
    odd = [] if rows.apart is None else _odd(b, rows.apart, variant.rows, dtype)

    def some(values: list[Value], turns: int) -> list[Value]:
        return _turns(b, variant, dtype, rows, lanes, values, turns, len(odd))

    carried = [*odd, rows.start, lanes.start] + [zero] * (variant.rows * variant.vectors)
    return _in_pieces(b, b.const(0, dt.int64), length, ahead, carried, some)[len(odd) + 2 :]


#: Emits some turns, from the values that the turns before have left to those that the next ones take.
Turns = Callable[[list[Value], int], list[Value]]


def _in_pieces(b: Emitter, k: Value, length: Value, ahead: Sequence[Ahead], values: list[Value], some: Turns) -> list[Value]:
    """As `_unrolled`, from ``k`` on, in pieces that each begin with fetching: in every four turns it took a fifth of the instructions."""
    if not ahead:
        return _unrolled(b, length, values, some)
    with loop(b, b.const(0, dt.int64), length, PIECE, values) as part:
        turns, first = b.min(b.const(PIECE, dt.int64), b.sub(length, part.index)), b.add(k, part.index)
        for fetch in ahead:
            fetch(first, b.add(first, turns))
        part.next = _unrolled(b, turns, part.values, some)
    return part.results


def _unrolled(b: Emitter, length: Value, values: list[Value], some: Turns) -> list[Value]:
    """Carry values over ``length`` turns, 4 at a time, and one at a time where no 4 are left."""
    whole = b.and_(length, b.const(-UNROLL, dt.int64))
    for first, last, turns in ((b.const(0, dt.int64), whole, UNROLL), (whole, length, 1)):
        with loop(b, first, last, turns, values) as turn:
            turn.next = some(turn.values, turns)
        values = turn.results
    return values


def pace(b: Emitter, count: Value, length: Value) -> Value:
    """How many of ``count`` pass by in a turn of k, in units of 2**-16, if all do in all turns."""
    return b.div(b.shl(count, 16), b.max(length, b.const(1, dt.int64)))


def share(b: Emitter, by: Value, k: Value, stop: Value, before: Value | None = None) -> tuple[Value, Value]:
    """From which on and up to which of what passes by at a `pace` belong to the turns from ``k`` to ``stop``, if so much has passed ``before``."""
    first, past = (b.mul(at, by) if before is None else b.add(b.mul(at, by), before) for at in (k, stop))
    return b.shr(first, 16), b.shr(past, 16)


def rows_ahead(b: Emitter, variant: Variant, dtype: DType, places: Sequence[tuple[Value, Value]], near: Value, length: Value, last: Value) -> Ahead:
    """The rows of a tile that begin at ``places``, and the bytes from one to the next; before the ``last`` block of k a near line again and again."""
    lines = [(b.select(last, start, near), b.select(last, step, b.const(0, dt.int64))) for start, step in places]
    by = pace(b, b.const(variant.rows, dt.int64), length)

    def fetch(k: Value, stop: Value) -> None:
        with loop(b, *share(b, by, k, stop)) as row:
            for start, step in lines:
                line = b.offset(start, b.mul(row.index, step), dt.int8)
                for n in range(variant.vectors):
                    b.prefetch(b.offset(line, n * variant.lanes, dtype))

    return fetch


def lanes_ahead(b: Emitter, variant: Variant, dtype: DType, lanes: Lanes, before: Value, by: Value) -> Ahead:
    """What a later tile reads of the lane side, a turn of k of it after the other, at a `pace`; so many turns have gone by ``before``."""
    done = b.mul(before, by)

    def fetch(k: Value, stop: Value) -> None:
        with loop(b, *share(b, by, k, stop, done)) as turn:
            line = b.offset(lanes.start, b.mul(turn.index, lanes.step if isinstance(lanes.step, Value) else b.const(lanes.step, dt.int64)), dtype)
            for place in _vectors(b, variant, dtype, line, lanes):
                b.prefetch(place)

    return fetch


@dataclasses.dataclass(frozen=True)
class Runs:
    """A row side whose k comes in runs, its rows evenly apart: ``lines`` times as many.

    Element k of a run of row r of line l is at ``start + l*line + r*row_step + run + k*k_step``; one of the two steps is 1.
    ``runs`` points to a pair of 64-bit numbers for each run: where it starts, and its length.
    """

    start: Value
    row_step: Value | int
    k_step: Value | int
    line: Value
    lines: int
    runs: Value
    count: Value


def tile_of_runs(b: Emitter, variant: Variant, dtype: DType, rows: Runs, lanes: Lanes, ahead: Sequence[Ahead] = ()) -> list[Value]:
    """As `tile`, over the elements of all runs, one run after the other."""
    zero = Value("zeroinitializer", dtype, variant.lanes) if variant.lanes > 1 else b.const(0, dtype)
    odd = _odd(b, rows.row_step, variant.rows // rows.lines, dtype) if isinstance(rows.row_step, Value) else []
    held = len(odd)
    passed = [b.const(0, dt.int64)] if ahead else []
    carried = [*passed, *odd, lanes.start] + [zero] * (variant.rows * variant.vectors)
    with loop(b, b.const(0, dt.int64), rows.count, 1, carried) as run:
        entry = b.offset(rows.runs, b.shl(run.index, 1), dt.int64)
        first = b.offset(rows.start, b.load(entry, dt.int64), dtype)
        length = b.load(b.offset(entry, 1, dt.int64), dt.int64)
        pointers = [b.offset(first, b.mul(rows.line, b.const(n, dt.int64)), dtype) if n else first for n in range(rows.lines)]
        before, others = run.values[: len(passed)], run.values[len(passed) :]

        def some(values: list[Value], turns: int) -> list[Value]:
            return _turns_of_runs(b, variant, dtype, rows, held, lanes, values, turns)

        values = _in_pieces(b, before[0] if before else b.const(0, dt.int64), length, ahead, [*pointers, *others], some)
        run.next = [b.add(k, length) for k in before] + values[rows.lines :]
    return run.results[len(passed) + held + 1 :]


def _odd(b: Emitter, apart: Value, rows: int, dtype: DType) -> list[Value]:
    """The odd multiples, in bytes, of the distance of so many rows: times 1, 2, 4 or 8, which an address of x86 can have, they make all."""
    return [b.mul(b.mul(apart, b.const(n, dt.int64)), b.const(dtype.itemsize, dt.int64)) for n in range(1, rows, 2)]


def _further(b: Emitter, first: Value, odd: Sequence[Value], r: int) -> Value:
    """Where row r is, if the first one is at ``first``."""
    if not r:
        return first
    twos = (r & -r).bit_length() - 1
    return b.offset(first, b.shl(odd[(r >> twos) // 2], twos) if twos else odd[r // 2], dt.int8)


def _turns_of_runs(b: Emitter, variant: Variant, dtype: DType, rows: Runs, held: int, lanes: Lanes, values: list[Value], turns: int) -> list[Value]:
    lines, each = rows.lines, variant.rows // rows.lines
    pointers = [b.opaque(v) for v in values[:lines]]
    odd = [b.opaque(v) for v in values[lines : lines + held]]
    lane_at, sums = b.opaque(values[lines + held]), list(values[lines + held + 1 :])

    for turn in range(turns):
        _separate(b, turn)
        lane_here = advance(b, lane_at, lanes.step, turn, dtype)
        firsts = [advance(b, pointer, rows.k_step, turn, dtype) for pointer in pointers]
        places = [[_further(b, first, odd, r) if odd else b.offset(first, r, dtype)] for first in firsts for r in range(each)]
        _multiply(b, variant, dtype, places, lane_here, lanes, sums)
    return [*[advance(b, p, rows.k_step, turns, dtype) for p in pointers], *odd, advance(b, lane_at, lanes.step, turns, dtype), *sums]


def tile_of_lane_runs(b: Emitter, variant: Variant, dtype: DType, rows: Rows, lanes: Lanes, runs: Value, count: Value) -> list[Value]:
    """As `tile`, where the lane side's k comes in runs, of which ``runs`` tells what it tells in `Runs`."""
    zero = Value("zeroinitializer", dtype, variant.lanes)
    with loop(b, b.const(0, dt.int64), count, 1, [rows.start] + [zero] * (variant.rows * variant.vectors)) as run:
        entry = b.offset(runs, b.shl(run.index, 1), dt.int64)
        first, length = b.offset(lanes.start, b.load(entry, dt.int64), dtype), b.load(b.offset(entry, 1, dt.int64), dt.int64)
        values = [run.values[0], first, *run.values[1:]]
        values = _unrolled(b, length, values, lambda held, turns: _turns(b, variant, dtype, rows, lanes, held, turns))
        run.next = [values[0], *values[2:]]
    return run.results[1:]


def _turns(b: Emitter, variant: Variant, dtype: DType, rows: Rows, lanes: Lanes, values: list[Value], turns: int, held: int = 0) -> list[Value]:
    odd, row_at, lane_at, sums = [b.opaque(v) for v in values[:held]], b.opaque(values[held]), b.opaque(values[held + 1]), list(values[held + 2 :])
    copies = _copies(b, row_at, variant)
    for turn in range(turns):
        _separate(b, turn)
        rows_here, lane_here = [advance(b, p, rows.step, turn, dtype) for p in copies], advance(b, lane_at, lanes.step, turn, dtype)
        places = [[_further(b, p, odd, r) if odd else b.offset(p, rows.offsets[r], dtype) for p in rows_here] for r in range(variant.rows)]
        _multiply(b, variant, dtype, places, lane_here, lanes, sums)
    return [*odd, advance(b, row_at, rows.step, turns, dtype), advance(b, lane_at, lanes.step, turns, dtype), *sums]


def _separate(b: Emitter, turn: int) -> None:
    """Loads stay in their turn: the scheduler would hoist those of all turns and spill accumulators."""
    if turn:
        b.void('call void asm sideeffect "", "~{memory}"()')


def _copies(b: Emitter, first: Value, variant: Variant) -> list[Value]:
    """A pointer to the first row for each vector where each multiply-add takes its factor from memory: LLVM would load it for all of them if it saw
    that they are one.
    """
    return [first, *[b.opaque(first) for _ in range(variant.vectors - 1 if repeats(variant.pack_rows, variant.vectors, b.target) else 0)]]


def _multiply(b: Emitter, variant: Variant, dtype: DType, rows: Sequence[Sequence[Value]], lane_at: Value, side: Lanes, sums: list[Value]) -> None:
    """Add one k to all sums of the tile; its elements of the row side are at ``rows``, each at one place for all vectors or one for each."""
    lanes = variant.lanes
    places = _vectors(b, variant, dtype, lane_at, side)
    vectors = [b.load(place, dtype, lanes, side.masks[v] if side.masks else None) for v, place in enumerate(places)]
    for r, row in enumerate(rows):
        factors = [b.splat(b.load(place, dtype), lanes) for place in row]
        for v in range(variant.vectors):
            at = r * variant.vectors + v
            sums[at] = multiply_add(b, factors[v % len(factors)], vectors[v], sums[at])


def _vectors(b: Emitter, variant: Variant, dtype: DType, lane_at: Value, side: Lanes) -> list[Value]:
    """Where the vectors of one k are, the first one at ``lane_at``."""
    places = []
    for v in range(variant.vectors):
        panel, at = divmod(v * variant.lanes, side.width or variant.columns)
        place = b.offset(lane_at, b.mul(side.apart, b.const(panel, dt.int64)), dtype) if side.apart and panel else lane_at
        places.append(b.offset(place, at, dtype))
    return places


def multiply_add(b: Emitter, x: Value, y: Value, z: Value) -> Value:
    """``x * y + z``: the arithmetic profile's for floats, wrapping for integers."""
    return b.fma(x, y, z) if z.kind == "f" else b.add(b.mul(x, y), z)


def advance(b: Emitter, pointer: Value, step: int | Value, turns: int, dtype: DType) -> Value:
    """The pointer ``turns`` steps on."""
    if isinstance(step, int):
        return b.offset(pointer, step * turns, dtype)
    for _ in range(turns):
        pointer = b.offset(pointer, step, dtype)
    return pointer


def store_tile(b: Emitter, variant: Variant, sums: list[Value], tile_at: Value, pitch: Value | int, first: Value) -> None:
    """Write the tile's sums to rows ``pitch`` apart from ``tile_at`` on; unless this is the ``first`` block of k, add them to what is there."""
    if len(sums) != variant.rows * variant.vectors:
        raise InternalError(f"a tile of {variant.rows}x{variant.vectors} vectors has {len(sums)} sums")
    dtype: DType = sums[0].dtype  # type: ignore[assignment]
    lines = [tile_at]
    for _ in range(variant.rows - 1):
        lines.append(b.offset(lines[-1], pitch, dtype))
    places = [b.offset(line, v * variant.lanes, dtype) for line in lines for v in range(variant.vectors)]
    fresh, more, after = b.name("fresh"), b.name("more"), b.name("stored")
    b.branch(fresh, first, more)
    b.block(fresh)
    for value, place in zip(sums, places, strict=True):
        b.store(value, place)
    b.branch(after)
    b.block(more)
    for value, place in zip(sums, places, strict=True):
        b.store(b.add(b.load(place, dtype, variant.lanes), value), place)
    b.branch(after)
    b.block(after)
