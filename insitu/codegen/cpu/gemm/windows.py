"""Operands that show windows of a grid.

As the row side (a convolution: rows are positions) they are read where they lie. The elements of a window are cut into
*runs* that are neighbours in memory: where taps along the last axis lie side by side a run holds all of them, else one.
`Slab` tells where each row and each run starts. A grid with padding is first copied to scratch, some rows of it at a time,
with its zeros; as each element is used for many products this costs next to nothing.

As the lane side (a gradient by a kernel: k runs over positions) they are copied by `Gather`, one row of a window's elements
for each position.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import pack
from insitu.codegen.cpu.gemm.control import either, loop
from insitu.codegen.nest import Windows

DType = dt.DType
i64 = dt.int64

_AXES = "zyx"
_NUMBERS = ("grid", "out", "taps", "stride", "dilation", "before")
#: Runtime words of an operand of windows; those from ``tiles`` on only of a row side.
WORDS = (
    "pixel", "channels", "span", "length", *[f"{name}_{axis}" for axis in _AXES for name in _NUMBERS],
    "tiles", "lines", "last", "wide", "tall", "part", "side", "step_x", "step_y", "step_z", "step_item", "tap_x", "tap_y", "tap_z",
)  # fmt: skip
#: 64-bit numbers that are kept for a run that is copied: where it starts in a window, from and to which element, its taps.
ENTRY = 6
#: Bytes of a slab, which should stay in the level-2 cache.
SLAB_BYTES = 300_000


def runtime_words(w: Windows, slab: Plan | None) -> dict[str, int]:
    """The values of `WORDS`."""
    contiguous = w.channels == w.pixel or (slab is not None and slab.copies)
    span = w.taps[2] if w.dilation[2] == 1 and contiguous else 1
    found = {"pixel": w.pixel, "channels": w.channels, "span": span, "length": max(1, span * w.channels)}
    taps = (*w.taps[:2], w.taps[2] // max(1, span))
    for axis, *numbers in zip(_AXES, w.grid, w.positions, taps, w.strides, w.dilation, w.before, strict=True):
        found |= dict(zip((f"{name}_{axis}" for name in _NUMBERS), numbers, strict=True))
    found |= slab.words if slab is not None else {}
    return {name: found.get(name, 0) for name in WORDS}


# -- the row side ------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Plan:
    """How a row side is read.

    Attributes
    ----------
    copies : bool
        Whether the grid is copied with its padding.
    tiles : int
        Tiles.
    positions : int
        Most positions that one slab serves.
    size : int
        Elements of the slab, or 0.
    words : dict of str to int
        Its runtime words.
    """

    copies: bool
    tiles: int
    positions: int
    size: int
    words: dict[str, int]


@functools.lru_cache(maxsize=4096)
def plan(w: Windows, rows: int, lines: int, itemsize: int, dtype_fits: bool, most_bytes: int) -> Plan:
    """The plan for tiles of ``rows`` positions; in place where no padding is needed and the dtype is that of the sums, else with a slab
    of at most ``most_bytes`` (or what one tile needs).

    The positions of a tile lie in one row of the result, or are ``lines`` whole rows of it.

    The slab holds the padded grid as one long line of pixels: rows ``wide`` pixels long, planes ``tall`` rows high. For
    taps along z, which are planes apart, it has as many parts.
    """
    oz, oy, ox = w.positions
    each = rows // lines
    tiles = -(-ox // each)
    known = {"tiles": tiles, "lines": lines * ox, "last": ox - each}
    count = tiles * (w.items * oz * oy // lines)
    wide, tall, _ = ((o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip((ox, oy, oz), w.strides[::-1], w.dilation[::-1], w.taps[::-1], strict=True))
    inside = all(
        b == 0 and (o - 1) * s + d * (k - 1) < n
        for b, o, s, d, k, n in zip(w.before, w.positions, w.strides, w.dilation, w.taps, w.grid, strict=True)
    )
    (sz, sy, sx), (dz, dy, dx) = w.strides, w.dilation
    if inside and dtype_fits:
        line = w.grid[2] * w.pixel
        plane = w.grid[1] * line
        steps = {"step_x": sx * w.pixel, "step_y": sy * line, "step_z": sz * plane, "step_item": w.grid[0] * plane}
        return Plan(False, count, 1 << 40, 0, known | steps | {"tap_x": dx * w.pixel, "tap_y": dy * line, "tap_z": dz * plane})
    wide, tall = max(wide, 1), max(tall, 1)
    reach = (w.taps[1] - 1) * dy * wide + (w.taps[2] - 1) * dx + 1

    # pixels more than usual to the next position, at the end of a row of positions and of a plane; and how often that can be
    wrap, turn = max(0, sy * wide - ox * sx), max(0, (tall - oy * sy) * wide)
    row, plane, planes = max(ox, 1), max(1, ox * oy), w.items * oz

    def pixels(positions: int) -> int:
        wraps, turns = (min((positions - 1) // n + 1, most - 1) for n, most in ((row, planes * oy), (plane, planes)))
        return positions * sx + wraps * wrap + turns * turn + reach

    most = most_bytes // itemsize // max(1, w.channels * w.taps[0])
    fits = int((most - reach - wrap - min(turn, (planes - 1) * turn)) / (sx + wrap / row + turn / plane)) // rows * rows
    positions = max(rows, min(fits, -(-planes * plane // rows) * rows))
    part = pixels(positions) * w.channels
    line = wide * w.channels
    steps = {"step_x": sx * w.channels, "step_y": sy * line, "step_z": tall * line, "step_item": oz * tall * line}
    taps = {"tap_x": dx * w.channels, "tap_y": dy * line, "tap_z": part}
    side = wide if w.channels == w.pixel else 1
    return Plan(True, count, positions, part * w.taps[0], known | steps | taps | {"wide": wide, "tall": tall, "part": part, "side": side})


class Slab:
    """Emits the reading of a row side; one instance for one function.

    ``runs`` is scratch for start and length of each run of a block of k (64-bit numbers), ``slab`` for the copy.
    """

    def __init__(
        self, b: Emitter, words: Mapping[str, Value], copies: bool, source: DType, dtype: DType, lanes: int, runs: Value, slab: Value
    ) -> None:
        self.b, self.w, self.copies, self.source, self.dtype, self.lanes = b, words, copies, source, dtype, lanes
        self.runs, self.slab = runs, slab
        self.base: Value = self._c(0)

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def _moved(self, at: Mapping[str, Value]) -> Value:
        """Where the window of a position starts, from the start of the grid or its copy."""
        total = self._c(0)
        for axis, value in at.items():
            total = self.b.add(total, self.b.mul(value, self.w[f"step_{axis}"]))
        return total

    def fill(self, start: Value, first: Value, last: Value) -> Value:
        """Copy what the positions from ``first`` to ``last`` see; returns where it lies. In place: nothing to copy."""
        b, w = self.b, self.w
        if not self.copies:
            return start
        channels = w["channels"]
        low = self._moved(_decoded(b, first, w))
        reach = b.add(b.mul(b.sub(w["taps_y"], self._c(1)), w["tap_y"]), b.mul(b.sub(b.mul(w["taps_x"], w["span"]), self._c(1)), w["tap_x"]))
        high = b.add(b.add(self._moved(_decoded(b, last, w)), reach), channels)
        self.base = low
        from_pixel, to_pixel = b.div(low, channels), b.div(high, channels)
        from_row, to_row = b.div(from_pixel, w["wide"]), b.add(b.div(b.sub(to_pixel, self._c(1)), w["wide"]), self._c(1))
        with loop(b, 0, w["taps_z"]) as tap, loop(b, from_row, to_row) as row:
            plane, y = b.div(row.index, w["tall"]), b.sub(b.rem(row.index, w["tall"]), w["before_y"])
            item, oz = b.div(plane, w["out_z"]), b.rem(plane, w["out_z"])
            z = b.sub(b.add(b.mul(oz, w["stride_z"]), b.mul(tap.index, w["dilation_z"])), w["before_z"])
            inside = b.and_(_within(b, z, w["grid_z"]), _within(b, y, w["grid_y"]))
            begin = b.mul(row.index, w["wide"])
            left, right = b.max(b.sub(from_pixel, begin), self._c(0)), b.min(b.sub(to_pixel, begin), w["wide"])
            some = b.min(b.max(left, w["before_x"]), right)
            stop = b.select(inside, b.max(b.min(b.add(w["before_x"], w["grid_x"]), right), some), some)
            moved = b.sub(b.mul(begin, channels), low)
            line = b.offset(b.offset(self.slab, b.mul(tap.index, w["part"]), self.dtype), moved, self.dtype)
            at = b.add(b.mul(b.add(b.mul(b.add(b.mul(item, w["grid_z"]), z), w["grid_y"]), y), w["grid_x"]), b.sub(some, w["before_x"]))
            source = b.offset(start, b.mul(at, w["pixel"]), self.source)
            zero(b, b.offset(line, b.mul(left, channels), self.dtype), b.mul(b.sub(some, left), channels), self.dtype, self.lanes)
            with loop(b, some, stop, w["side"]) as piece:
                count = b.mul(b.min(b.sub(stop, piece.index), w["side"]), channels)
                here = b.offset(source, b.mul(b.sub(piece.index, some), w["pixel"]), self.source)
                pack.copy_row(b, here, b.offset(line, b.mul(piece.index, channels), self.dtype), count, self.source, self.dtype, self.lanes)
            zero(b, b.offset(line, b.mul(stop, channels), self.dtype), b.mul(b.sub(right, stop), channels), self.dtype, self.lanes)
        return self.slab

    def cut(self, k_first: Value, length: Value) -> Value:
        """Write the runs of a block of k to their table; returns their number."""
        b, w, run = self.b, self.w, self.w["length"]
        first, stop = b.div(k_first, run), b.add(b.div(b.sub(b.add(k_first, length), self._c(1)), run), self._c(1))
        stop = b.select(b.cmp("gt", length, self._c(0)), stop, first)
        with loop(b, first, stop) as part:
            start = self._c(0)
            for axis, tap in _taps(b, part.index, w).items():
                start = b.add(start, b.mul(tap, w[f"tap_{axis}"]))
            begin = b.mul(part.index, run)
            low, high = b.max(b.sub(k_first, begin), self._c(0)), b.min(b.sub(b.add(k_first, length), begin), run)
            entry = b.offset(self.runs, b.mul(b.sub(part.index, first), self._c(2)), i64)
            b.store(b.add(start, low), entry)
            b.store(b.sub(high, low), b.offset(entry, 1, i64))
        return b.sub(stop, first)

    def at(self, start: Value, position: Value) -> Value:
        """Where the window of a position starts."""
        return self.b.offset(start, self.b.sub(self._moved(_decoded(self.b, position, self.w)), self.base), self.dtype)


def _decoded(b: Emitter, position: Value, w: Mapping[str, Value]) -> dict[str, Value]:
    """A position's place on each axis, and its item."""
    found = {}
    for axis in "xyz":
        found[axis] = b.rem(position, w[f"out_{axis}"])
        position = b.div(position, w[f"out_{axis}"])
    return found | {"item": position}


def _taps(b: Emitter, run: Value, w: Mapping[str, Value]) -> dict[str, Value]:
    """The taps with which a run begins."""
    found = {}
    for axis in "xy":
        found[axis] = b.rem(run, w[f"taps_{axis}"])
        run = b.div(run, w[f"taps_{axis}"])
    return found | {"z": run}


def _following(b: Emitter, at: Mapping[str, Value], w: Mapping[str, Value]) -> dict[str, Value]:
    """The next position in row-major order."""
    carry, found = b.const(1, i64), {}
    for axis in "xyz":
        more = b.add(at[axis], carry)
        full = b.cmp("eq", more, w[f"out_{axis}"])
        found[axis] = b.select(full, b.const(0, i64), more)
        carry = b.cast(full, i64)
    return found | {"item": b.add(at["item"], carry)}


def _within(b: Emitter, at: Value, extent: Value) -> Value:
    return b.and_(b.cmp("le", b.const(0, i64), at), b.cmp("lt", at, extent))


def zero(b: Emitter, target: Value, length: Value, dtype: DType, lanes: int) -> None:
    """Write ``length`` zeros."""
    with b.when(b.cmp("gt", length, b.const(0, i64))):
        whole = b.and_(length, b.const(-lanes, i64))
        if lanes > 1:
            with loop(b, 0, whole, lanes) as turn:
                b.store(Value("zeroinitializer", dtype, lanes), b.offset(target, turn.index, dtype))
        if b.target.masks and lanes > 1:
            b.store(Value("zeroinitializer", dtype, lanes), b.offset(target, whole, dtype), below(b, b.sub(length, whole), lanes))
        else:
            with loop(b, whole, length) as turn:
                b.store(b.const(0, dtype), b.offset(target, turn.index, dtype))


# -- the lane side -----------------------------------------------------------------------------------
class Gather:
    """Emits the copy; one instance for one function. ``table`` is scratch for `ENTRY` numbers of each run."""

    def __init__(self, b: Emitter, words: Mapping[str, Value], source: DType, dtype: DType, lanes: int, table: Value) -> None:
        self.b, self.w, self.source, self.dtype, self.lanes, self.table = b, words, source, dtype, lanes, table

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def rows(self, start: Value, position: Value, count: Value, elements: tuple[Value, Value], target: Value, pitch: Value) -> None:
        """Copy elements from ``elements[0]`` to before ``elements[1]`` of ``count`` windows, from ``position`` on, to rows ``pitch`` apart.

        ``start`` is where the grid's first pixel lies.
        """
        b, w = self.b, self.w
        runs = self._cut(*elements)
        origin = b.sub(b.mul(b.div(elements[0], w["length"]), w["length"]), elements[0])  # where the first run would begin in a row
        reach = {axis: b.mul(b.sub(w[f"taps_{axis}"], self._c(1)), w[f"dilation_{axis}"]) for axis in _AXES}
        reach["x"] = b.add(reach["x"], b.sub(w["span"], self._c(1)))
        at = _decoded(b, position, w)
        with loop(b, 0, count, 1, [*at.values(), target]) as row:
            *now, line = row.values
            here = dict(zip(at, now, strict=True))
            first = {axis: b.sub(b.mul(here[axis], w[f"stride_{axis}"]), w[f"before_{axis}"]) for axis in _AXES}
            offset, inside = here["item"], self._c(1)
            for axis in _AXES:
                offset = b.add(b.mul(offset, w[f"grid_{axis}"]), first[axis])
                whole = b.and_(b.cmp("le", self._c(0), first[axis]), b.cmp("lt", b.add(first[axis], reach[axis]), w[f"grid_{axis}"]))
                inside = b.and_(inside, b.cast(whole, i64))
            offset = b.mul(offset, w["pixel"])
            with either(b, b.cmp("ne", inside, self._c(0))) as otherwise:
                with loop(b, 0, runs) as run:
                    moved, low, high, *_ = self._run(run.index)
                    source = b.offset(start, b.add(b.add(offset, moved), low), self.source)
                    pack.copy_row(
                        b,
                        source,
                        b.offset(line, b.add(b.add(origin, b.mul(run.index, w["length"])), low), self.dtype),
                        b.sub(high, low),
                        *self._how(),
                    )
                otherwise()
                with loop(b, 0, runs) as run:
                    self._clipped(
                        b.offset(start, offset, self.source), self._run(run.index), first, line, b.add(origin, b.mul(run.index, w["length"]))
                    )
            row.next = [*_following(b, here, w).values(), b.offset(line, pitch, self.dtype)]

    def _how(self) -> tuple[DType, DType, int]:
        return self.source, self.dtype, self.lanes

    def _cut(self, low: Value, high: Value) -> Value:
        """Write the runs to the table: where each starts in a window, from and to which element, its taps; returns their number."""
        b, w, length = self.b, self.w, self.w["length"]
        begin, end = b.div(low, length), b.add(b.div(b.sub(high, self._c(1)), length), self._c(1))
        with loop(b, begin, end) as part:
            taps = {axis: b.mul(tap, w[f"dilation_{axis}"]) for axis, tap in _taps(b, part.index, w).items()}
            moved = b.mul(b.add(b.mul(b.add(b.mul(taps["z"], w["grid_y"]), taps["y"]), w["grid_x"]), taps["x"]), w["pixel"])
            base = b.mul(part.index, length)
            numbers = moved, b.max(b.sub(low, base), self._c(0)), b.min(b.sub(high, base), length), *[taps[axis] for axis in _AXES]
            entry = b.offset(self.table, b.mul(b.sub(part.index, begin), self._c(ENTRY)), i64)
            for k, value in enumerate(numbers):
                b.store(value, b.offset(entry, k, i64))
        return b.sub(end, begin)

    def _run(self, number: Value) -> list[Value]:
        entry = self.b.offset(self.table, self.b.mul(number, self._c(ENTRY)), i64)
        return [self.b.load(self.b.offset(entry, k, i64), i64) for k in range(ENTRY)]

    def _clipped(self, start: Value, run: list[Value], first: Mapping[str, Value], line: Value, place: Value) -> None:
        """One run, or a part of it, of a window that reaches over the grid: zeros before it, what lies in it, zeros after it."""
        b, w = self.b, self.w
        moved, begin, stop, *taps = run
        z, y, x = (b.add(first[axis], tap) for axis, tap in zip(_AXES, taps, strict=True))
        inside, channels = b.and_(_within(b, z, w["grid_z"]), _within(b, y, w["grid_y"])), w["channels"]
        low = b.mul(b.min(b.max(b.sub(self._c(0), x), self._c(0)), w["span"]), channels)
        high = b.mul(b.max(b.min(b.sub(w["grid_x"], x), w["span"]), self._c(0)), channels)
        low = b.min(b.max(begin, low), stop)
        high = b.max(b.min(stop, b.select(inside, high, self._c(0))), low)
        target = b.offset(line, place, self.dtype)
        zero(b, b.offset(target, begin, self.dtype), b.sub(low, begin), self.dtype, self.lanes)
        with b.when(b.cmp("lt", low, high)):
            source = b.offset(start, b.add(moved, low), self.source)
            pack.copy_row(b, source, b.offset(target, low, self.dtype), b.sub(high, low), *self._how())
        zero(b, b.offset(target, high, self.dtype), b.sub(stop, high), self.dtype, self.lanes)
