"""Convolutions of few outputs: vectors of neighbouring positions, into which the outputs' weights are multiplied one by one.

In lanes of outputs most of a vector would be empty. The grid is copied to scratch plane by plane, one for each channel, so
that neighbouring positions see neighbours in memory; the sums are the same chains over the window as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Value
from insitu.codegen.cpu.gemm import micro, pack, windows
from insitu.codegen.cpu.gemm.control import either, loop
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.nest import K_BLOCK

i64 = dt.int64


class Planar(Driver):
    """Emits the loops for few outputs; a unit is one row of positions."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.planes = self._slab(Planes, "positions", self.lane_side)

    def units(self, begin: Value, end: Value) -> None:
        b, w = self.b, self.w
        with loop(b, begin, end, w["run"]) as some:
            stop = b.min(b.add(some.index, w["run"]), end)
            grid = self.planes.fill(self.lane_start, b.mul(some.index, w["out_x"]), b.sub(b.mul(stop, w["out_x"]), self._c(1)))
            tiles = b.mul(some.index, w["tiles"]), b.mul(stop, w["tiles"])
            with loop(b, 0, w["k_blocks"]) as k_loop:
                k_first = self._at(k_loop.index, K_BLOCK)
                length = b.min(b.sub(w["k"], k_first), self._c(K_BLOCK))
                first, last = b.cmp("eq", k_loop.index, self._c(0)), b.cmp("eq", k_loop.index, b.sub(w["k_blocks"], self._c(1)))
                row_at = self._from_k(self.row_start, self.row_side, k_first, w["row_leading"])
                rows = micro.Rows(row_at, self.row_offsets, 1 if self.row_side.along_k else w["row_leading"])
                count = self.planes.cut(k_first, length)
                with loop(b, *tiles) as tile:
                    tile_at, pitch = self._tile_at(self._c(0), b.sub(tile.index, tiles[0]))
                    lanes = micro.Lanes(self.planes.at(grid, self._column(tile.index)), w["plane"], None)
                    sums = micro.tile_of_lane_runs(b, self.v, self.dtype, rows, lanes, self.planes.runs, count)
                    micro.store_tile(b, self.v, sums, tile_at, pitch, first)
                    with b.when(last):
                        self._write(tile_at, tile.index)

    def _write(self, tile_at: Value, tile: Value) -> None:
        b, zero = self.b, self._c(0)
        done = b.max(b.sub(self._at(b.rem(tile, self.w["tiles"]), self.v.columns), self.w["last"]), zero)
        n, outputs, stop = self._column(tile), self._c(self.v.rows), self._c(self.v.columns)
        if self.epilogue.flat:
            self._collect(tile_at, zero, zero)
            self.epilogue.write_flat(self._whole_panel(zero), n, b.mul(done, outputs), b.mul(stop, outputs), zero)
        else:
            self._write_turned(tile_at, self.v.columns, zero, (zero, zero, outputs), (n, done, stop))

    def _column(self, panel: Value) -> Value:
        """First position of a tile: the last one of each row of positions is moved back so that it is full."""
        b, w = self.b, self.w
        across = b.min(self._at(b.rem(panel, w["tiles"]), self.v.columns), w["last"])
        return b.add(b.mul(b.div(panel, w["tiles"]), w["out_x"]), across)


class Planes(windows.Slab):
    """A slab whose channels lie apart; only whole rows of positions see it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.unit, self.k_step = self._c(1), self.w["plane"]
        self.steps = pack.steps(self.b, self.w["pixel"], self.source, self.lanes)

    def _copy_line(self, source: Value, line: Value, ends: Sequence[Value]) -> None:
        b, (left, some, stop, right) = self.b, ends
        with loop(b, 0, self.w["channels"]) as channel:
            plane = b.offset(line, b.mul(channel.index, self.k_step), self.dtype)
            for first, past in ((left, some), (stop, right)):
                windows.zero(b, b.offset(plane, first, self.dtype), b.sub(past, first), self.dtype, self.lanes)
        count, target = b.sub(stop, some), b.offset(line, some, self.dtype)
        with either(b, b.cmp("ge", count, self._c(self.lanes))) as otherwise:
            final = b.sub(count, self._c(self.lanes))
            with loop(b, 0, count, self.lanes) as turn:
                self._turn(source, target, b.min(turn.index, final), self.steps)
            otherwise()
            with loop(b, 0, count) as turn:
                self._turn(source, target, turn.index, [(self._c(0), self._c(0))])

    def _turn(self, source: Value, target: Value, at: Value, steps: Sequence[pack.Step]) -> None:
        """Copy as many pixels as there are steps."""
        b, w = self.b, self.w
        start, place = b.offset(source, b.mul(at, w["pixel"]), self.source), b.offset(target, at, self.dtype)
        pack.turn_columns(b, start, steps, place, self.k_step, w["channels"], self.source, self.dtype)
