"""The micro-kernel: one register tile of the output over one block of k."""

from __future__ import annotations

import dataclasses

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm.control import loop, opaque
from insitu.codegen.cpu.gemm.schedule import Variant
from insitu.errors import InternalError

DType = dt.DType

UNROLL = 4


@dataclasses.dataclass(frozen=True)
class Rows:
    """Where the row side's elements are: element (r, k) at ``start + offsets[r] + k*step``.

    ``offsets`` are element counts, known (int) or computed (Value); ``step`` likewise.
    """

    start: Value
    offsets: tuple[int | Value, ...]
    step: int | Value


@dataclasses.dataclass(frozen=True)
class Lanes:
    """Where the lane side's vectors are: vector (v, k) at ``start + v*lanes + k*step``; masks for a narrow tile."""

    start: Value
    step: int | Value
    masks: tuple[Value, ...] | None


def tile(b: Emitter, variant: Variant, dtype: DType, rows: Rows, lanes: Lanes, length: Value) -> list[Value]:
    """The sums over ``length`` turns of k, a chain each, row by row: ``rows * vectors`` vectors.

    ``k`` is unrolled by 4; the turns that remain run in a second loop.
    """
    zero = Value("zeroinitializer", dtype, variant.lanes) if variant.lanes > 1 else b.const(0, dtype)
    carried = [rows.start, lanes.start] + [zero] * (variant.rows * variant.vectors)
    whole = b.and_(length, b.const(-UNROLL, dt.int64))
    for first, last, turns in ((b.const(0, dt.int64), whole, UNROLL), (whole, length, 1)):
        with loop(b, first, last, turns, carried) as turn:
            turn.next = _turns(b, variant, dtype, rows, lanes, turn.values, turns)
        carried = turn.results
    return carried[2:]


def _turns(b: Emitter, variant: Variant, dtype: DType, rows: Rows, lanes: Lanes, values: list[Value], turns: int) -> list[Value]:
    row_at, lane_at, sums = opaque(b, values[0]), opaque(b, values[1]), list(values[2:])
    for turn in range(turns):
        if turn:
            # loads stay in their turn: the scheduler would hoist those of all turns and spill accumulators
            b.void('call void asm sideeffect "", "~{memory}"()')
        row_here, lane_here = advance(b, row_at, rows.step, turn, dtype), advance(b, lane_at, lanes.step, turn, dtype)
        vectors = [
            b.load(b.offset(lane_here, v * variant.lanes, dtype), dtype, variant.lanes, lanes.masks[v] if lanes.masks else None)
            for v in range(variant.vectors)
        ]
        for r in range(variant.rows):
            x = b.splat(b.load(b.offset(row_here, rows.offsets[r], dtype), dtype), variant.lanes)
            for v in range(variant.vectors):
                at = r * variant.vectors + v
                sums[at] = multiply_add(b, x, vectors[v], sums[at])
    return [advance(b, row_at, rows.step, turns, dtype), advance(b, lane_at, lanes.step, turns, dtype), *sums]


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


def store_tile(b: Emitter, variant: Variant, sums: list[Value], tile_at: Value, first: Value) -> None:
    """Write the tile's sums to ``tile_at`` (row-major); unless this is the ``first`` block of k, add them to what is there."""
    if len(sums) != variant.rows * variant.vectors:
        raise InternalError(f"a tile of {variant.rows}x{variant.vectors} vectors has {len(sums)} sums")
    dtype: DType = sums[0].dtype  # type: ignore[assignment]
    places = [b.offset(tile_at, k * variant.lanes, dtype) for k in range(len(sums))]
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
