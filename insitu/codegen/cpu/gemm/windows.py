"""Packing of an operand that shows windows of a grid: rows of a window's elements, one for each position.

Each row is copied in *runs*: elements that are neighbours in memory. Where taps along the last axis lie side by side
a run holds all of them, else one. What lies outside the grid is filled with 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import pack
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.nest import Windows

DType = dt.DType
i64 = dt.int64

_AXES = "zyx"
#: Runtime words of an operand of windows.
WORDS = (
    "pixel", "span", "length", *[f"{name}_{axis}" for axis in _AXES for name in ("grid", "out", "taps", "stride", "dilation", "before")],
)  # fmt: skip
#: 64-bit numbers that are kept for a position: where its window starts, and that place on each axis.
ENTRY = 4


def runtime_words(w: Windows) -> dict[str, int]:
    """The values of `WORDS`."""
    side_by_side = w.dilation[2] == 1 and w.channels == w.pixel
    span = w.taps[2] if side_by_side else 1
    found = {"pixel": w.pixel, "span": span, "length": max(1, span * w.channels)}
    taps = (*w.taps[:2], w.taps[2] // max(1, span))
    for axis, *numbers in zip(_AXES, w.grid, w.positions, taps, w.strides, w.dilation, w.before, strict=True):
        found |= dict(zip((f"{name}_{axis}" for name in ("grid", "out", "taps", "stride", "dilation", "before")), numbers, strict=True))
    return {name: found[name] for name in WORDS}


def reads_nothing(w: Windows) -> bool:
    """Whether there is no element at all."""
    return not (w.items * math.prod(w.grid) * w.pixel)


class Gather:
    """Emits the copy; one instance for one function. ``table`` is scratch for `ENTRY` numbers of each position."""

    def __init__(self, b: Emitter, words: Mapping[str, Value], source: DType, dtype: DType, lanes: int, table: Value) -> None:
        self.b, self.w, self.source, self.dtype, self.lanes, self.table = b, words, source, dtype, lanes, table

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def rows(self, start: Value, position: Value, count: Value | int, elements: tuple[Value, Value], target: Value, pitch: Value) -> None:
        """Copy elements from ``elements[0]`` to before ``elements[1]`` of ``count`` windows, from ``position`` on, to rows ``pitch`` apart.

        ``start`` is where the grid's first pixel lies.
        """
        b, w = self.b, self.w
        low, high = elements
        self._locate(position, count)
        run = w["length"]
        with loop(b, b.div(low, run), b.add(b.div(b.sub(high, self._c(1)), run), self._c(1))) as part:
            taps, rest = {}, part.index
            for axis in "xy":
                taps[axis] = b.mul(b.rem(rest, w[f"taps_{axis}"]), w[f"dilation_{axis}"])
                rest = b.div(rest, w[f"taps_{axis}"])
            taps["z"] = b.mul(rest, w["dilation_z"])
            moved = b.mul(b.add(b.mul(b.add(b.mul(taps["z"], w["grid_y"]), taps["y"]), w["grid_x"]), taps["x"]), w["pixel"])
            base = b.mul(part.index, run)
            first, stop = b.max(b.sub(low, base), self._c(0)), b.min(b.sub(high, base), run)
            line = b.offset(target, b.sub(base, low), self.dtype)
            with loop(b, 0, count) as row:
                self._copy(start, row.index, taps, moved, (first, stop), b.offset(line, b.mul(row.index, pitch), self.dtype))

    def _locate(self, position: Value, count: Value | int) -> None:
        """Write where each position's window starts to the table."""
        b, w = self.b, self.w
        at, rest = {}, position
        for axis in "xyz":
            at[axis] = b.rem(rest, w[f"out_{axis}"])
            rest = b.div(rest, w[f"out_{axis}"])
        with loop(b, 0, count, 1, [at["x"], at["y"], at["z"], rest]) as row:
            x, y, z, item = row.values
            places = [b.sub(b.mul(v, w[f"stride_{axis}"]), w[f"before_{axis}"]) for axis, v in zip("zyx", (z, y, x), strict=True)]
            offset = item
            for axis, place in zip("zyx", places, strict=True):
                offset = b.add(b.mul(offset, w[f"grid_{axis}"]), place)
            entry = b.offset(self.table, b.mul(row.index, self._c(ENTRY)), i64)
            for k, value in enumerate((b.mul(offset, w["pixel"]), *places)):
                b.store(value, b.offset(entry, k, i64))
            carry, following = self._c(1), []
            for axis, value in zip("xyz", (x, y, z), strict=True):
                more = b.add(value, carry)
                full = b.cmp("eq", more, w[f"out_{axis}"])
                following.append(b.select(full, self._c(0), more))
                carry = b.cast(full, i64)
            row.next = [*following, b.add(item, carry)]

    def _copy(self, start: Value, row: Value, taps: Mapping[str, Value], moved: Value, part: tuple[Value, Value], target: Value) -> None:
        """One run, or a part of it, of one window: zeros before the grid, what lies in it, zeros after it."""
        b, w = self.b, self.w
        first, stop = part
        entry = b.offset(self.table, b.mul(row, self._c(ENTRY)), i64)
        offset, *places = [b.load(b.offset(entry, k, i64), i64) for k in range(ENTRY)]
        z, y, x = [b.add(place, taps[axis]) for axis, place in zip("zyx", places, strict=True)]
        inside = b.and_(self._within(z, w["grid_z"]), self._within(y, w["grid_y"]))
        channels = b.div(w["length"], w["span"])  # the same for all rows: LLVM moves it out of the loops
        low = b.mul(b.min(b.max(b.sub(self._c(0), x), self._c(0)), w["span"]), channels)
        high = b.mul(b.max(b.min(b.sub(w["grid_x"], x), w["span"]), self._c(0)), channels)
        low = b.min(b.max(first, low), stop)
        high = b.max(b.min(stop, b.select(inside, high, self._c(0))), low)
        self._zero(b.offset(target, first, self.dtype), b.sub(low, first))
        with b.when(b.cmp("lt", low, high)):
            line = b.offset(start, b.add(b.add(offset, moved), low), self.source)
            pack.copy_row(b, line, b.offset(target, low, self.dtype), b.sub(high, low), self.source, self.dtype, self.lanes)
        self._zero(b.offset(target, high, self.dtype), b.sub(stop, high))

    def _within(self, at: Value, extent: Value) -> Value:
        return self.b.and_(self.b.cmp("le", self._c(0), at), self.b.cmp("lt", at, extent))

    def _zero(self, target: Value, length: Value) -> None:
        b = self.b
        with b.when(b.cmp("gt", length, self._c(0))):
            whole = b.and_(length, self._c(-self.lanes))
            if self.lanes > 1:
                with loop(b, 0, whole, self.lanes) as turn:
                    b.store(Value("zeroinitializer", self.dtype, self.lanes), b.offset(target, turn.index, self.dtype))
            if b.target.masks and self.lanes > 1:
                left = below(b, b.sub(length, whole), self.lanes)
                b.store(Value("zeroinitializer", self.dtype, self.lanes), b.offset(target, whole, self.dtype), left)
            else:
                with loop(b, whole, length) as turn:
                    b.store(b.const(0, self.dtype), b.offset(target, turn.index, self.dtype))
