"""The loops around the micro-kernel: blocks of k, packing, tiles, partial sums, the epilogue."""

from __future__ import annotations

from collections.abc import Callable

from insitu import dtypes as dt
from insitu.codegen.cpu import access
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import micro, pack
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.epilogue import EpilogueCalls, Span
from insitu.codegen.cpu.gemm.layout import layout
from insitu.codegen.cpu.gemm.schedule import Schedule, Side, in_parts
from insitu.codegen.cpu.gemm.windows import Slab
from insitu.codegen.nest import K_BLOCK
from insitu.codegen.target import LINE

DType = dt.DType
i64 = dt.int64


class Driver:
    """Emits the loops; one instance for one function."""

    def __init__(self, b: Emitter, s: Schedule, dtype: DType, words: dict[str, Value], args: Value, scratch: Value, epilogue: EpilogueCalls) -> None:
        self.b, self.v, self.dtype, self.w, self.epilogue = b, s.variant, dtype, words, epilogue
        self.row_side, self.lane_side = s.row_side, s.lane_side
        self.row_start, self.lane_start = (b.pointer(args, words[name]) for name in ("row_buffer", "lane_buffer"))
        self.scratch = scratch
        self.places = layout(s)
        self.turned = b.offset(scratch, self.places.turned_at, dtype)
        self.packed_lanes = b.offset(scratch, self.places.lanes_at, dtype)
        self.sums = b.offset(scratch, words["sums_at"], dtype)
        self.whole_rows = b.offset(scratch, words["rows_at"], dtype)
        self.shown: Slab | None = None
        if self.v.windows:
            self.shown = self._slab(Slab, self.v.windows, self.row_side)
        self.masks: tuple[Value, ...] | None = None
        if self.v.narrow and not self.v.in_panels:
            counts = [b.sub(words["columns"], self._c(k * self.v.lanes)) for k in range(self.v.vectors)]
            self.masks = tuple(below(b, b.max(count, self._c(0)), self.v.lanes) for count in counts)
        self.row_offsets, self.row_steps = self._row_offsets(), self._row_steps()
        self.lane_steps = pack.steps(b, words["lane_leading"], dtype, self.v.lanes) if self.lane_side.along_k else []

    def _slab(self, kind: type[Slab], rows: str, side: Side) -> Slab:
        table, slab = (self.b.offset(self.scratch, self.w[name], self.dtype) for name in ("table_at", "slab_at"))
        return kind(self.b, self.w, rows, side.dtype, self.dtype, self.v.lanes, table, slab)

    def _c(self, value: int) -> Value:
        return self.b.const(value, i64)

    def _at(self, index: Value, by: Value | int) -> Value:
        return self.b.mul(index, self._c(by) if isinstance(by, int) else by)

    # -- loops -------------------------------------------------------------------------------
    def units(self, begin: Value, end: Value) -> None:
        """Units begin..end-1; a unit is a sliver of a block, slivers run fastest, so that neighbours share a packed block;
        or a block with all slivers.
        """
        b, w = self.b, self.w
        slivers = w["slivers"]
        if self.v.whole:
            with loop(b, begin, end) as unit:
                self.more = b.cmp("lt", b.add(unit.index, self._c(1)), end)
                self.low, self.count = self._c(0), slivers
                batch, panels, starts = self._block(unit.index)
                self._run(batch, (self._c(0), slivers), panels, *starts)
                self._write_whole(batch, panels)
            return
        past = b.add(end, b.sub(slivers, self._c(1)))
        with loop(b, b.div(begin, slivers), b.div(past, slivers)) as outer, loop(b, 0, w["in_turn"]) as turn:
            base, following = b.mul(outer.index, slivers), b.add(turn.index, self._c(1))
            self.more = b.or_(b.cmp("lt", following, w["in_turn"]), b.cmp("lt", b.add(base, slivers), end))
            low = b.max(b.sub(begin, base), self._c(0))
            high = b.min(b.sub(end, base), slivers)
            batch, panels, starts = self._block(b.add(b.mul(outer.index, w["in_turn"]), turn.index))
            self.low, self.count = low, b.sub(high, low)
            with loop(b, low, high, w["run"]) as run:
                slivers_range = (run.index, b.min(b.add(run.index, w["run"]), high))
                self._run(batch, slivers_range, panels, *starts)

    def _block(self, number: Value) -> tuple[Value, tuple[Value, Value], tuple[Value, Value]]:
        """Of a block of panels: its batch, its panels, and where the batch's row side and lane side start."""
        b, w = self.b, self.w
        batch = b.div(number, w["blocks"])
        first = b.mul(b.sub(number, b.mul(batch, w["blocks"])), w["panels_per_block"])
        row_start = b.offset(self.row_start, b.mul(batch, w["row_batch"]), self.row_side.dtype)
        lane_start = b.offset(self.lane_start, b.mul(batch, w["lane_batch"]), self.lane_side.dtype)
        return batch, (first, b.min(b.add(first, w["panels_per_block"]), w["panels"])), (row_start, lane_start)

    def _run(self, batch: Value, slivers: tuple[Value, Value], panels: tuple[Value, Value], row_start: Value, lane_start: Value) -> None:
        """All blocks of k for some slivers of one block of panels."""
        b, w = self.b, self.w
        last_block = b.sub(w["k_blocks"], self._c(1))
        grid, row_at = row_start, row_start
        if self.shown and self.v.windows == "positions":
            end = b.add(self._row(b.sub(slivers[1], self._c(1))), self._c(self.v.rows - 1))
            row_at = self.shown.fill(grid, self._row(slivers[0]), end)
        with loop(b, 0, w["k_blocks"]) as k_loop:
            k_first = self._at(k_loop.index, K_BLOCK)
            length = b.min(b.sub(w["k"], k_first), self._c(K_BLOCK))
            first, last = b.cmp("eq", k_loop.index, self._c(0)), b.cmp("eq", k_loop.index, last_block)
            lane_at = self._from_k(lane_start, self.lane_side, k_first, w["lane_leading"])
            if self.v.pack_lanes:
                self._pack_lanes(lane_at, panels, length)
            if self.shown:
                if self.v.windows == "elements":
                    row_at = self.shown.fill(grid, k_first, b.sub(b.add(k_first, length), self._c(1)))
                self.runs = self.shown.cut(k_first, length)
            else:
                row_at = self._from_k(row_start, self.row_side, k_first, w["row_leading"])
            following = self._following(lane_start, panels[0], slivers, k_first, length, last) if self.v.fetch_lanes else None
            parts = in_parts(self.v, self.row_side)
            if parts:
                self._pack_rows(row_at, slivers[0], slivers[0], slivers[1], (self._c(0), length))
            with loop(b, *slivers, self.places.group) as group:
                stop = b.min(b.add(group.index, self._c(self.places.group)), slivers[1])
                if self.v.pack_rows and self.shown:
                    self._pack_shown(self.shown, row_at, (group.index, stop))
                elif self.v.pack_rows and not parts:
                    self._turn_rows(self._sliver_at(row_at, group.index), self._packed(self._c(0)), length)
                with loop(b, group.index, stop) as sliver:
                    number = b.sub(sliver.index, slivers[0])
                    rows, part = self._rows(row_at, sliver.index, number), self._part(b.sub(sliver.index, group.index), length)
                    with loop(b, *panels) as panel:
                        local = b.sub(panel.index, panels[0])
                        self.ahead = self._touched(batch, sliver.index, panel.index, length, last) if self.v.fetch else []
                        if self.v.fetch_rows:
                            self.ahead.append(self._rows_ahead(row_at, stop, part, local, length))
                        if following is not None:
                            self.ahead.append(following(b.add(b.mul(number, w["panels_per_block"]), local)))
                        if self.v.in_panels:
                            self.ahead.append(self._coming(lane_start, lane_at, panel.index, sliver.index, length, last))
                        sums = self._tile(rows, lane_at, panel.index, local, length)
                        tile_at, pitch = self._tile_at(number, local)
                        micro.store_tile(b, self.v, sums, tile_at, pitch, first)
                        if self.v.swap:
                            with b.when(last):
                                if self.v.whole:
                                    self._collect(tile_at, sliver.index, local)
                                else:
                                    self._finish_turned(tile_at, batch, sliver.index, panel.index)
                    if not self.v.swap:
                        with b.when(last):
                            self._finish(number, batch, sliver.index, panels)
                    if parts:
                        self._pack_rows(row_at, slivers[0], stop, slivers[1], part)

    def _tile_at(self, number: Value, local: Value) -> tuple[Value, Value | int]:
        """Where the sums of a tile are kept, and the pitch of its rows: tiles lie one by one where they will be turned, else side by side.

        ``number`` is that of the sliver in its run, ``local`` that of the panel in its block.
        """
        b, w, v = self.b, self.w, self.v
        if v.swap:
            return b.offset(self.sums, b.mul(b.add(b.mul(number, w["panels_per_block"]), local), w["tile_step"]), self.dtype), v.columns
        return b.offset(self.sums, b.add(b.mul(number, w["tile_step"]), self._at(local, v.columns)), self.dtype), w["sums_pitch"]

    def _touched(self, batch: Value, sliver: Value, panel: Value, length: Value, last: Value) -> list[micro.Ahead]:
        """What to fetch for the epilogue of a tile, row by row; before the ``last`` block of k the same near line again and again."""
        places = self.epilogue.places(batch, self._row(sliver), self._column(panel))
        return [micro.rows_ahead(self.b, self.v, self.dtype, places, self.sums, length, last)]

    def _rows_ahead(self, row_at: Value, stop: Value, part: tuple[Value, Value], local: Value, length: Value) -> micro.Ahead:
        """What to fetch of the rows that are packed next: a share for each panel of a ``part`` of k of the group from ``stop`` on."""
        b, w, side = self.b, self.w, self.row_side
        start = self._sliver_at(self._from_k(row_at, side, part[0], w["row_leading"]), stop)
        by = micro.pace(b, b.sub(part[1], part[0]), b.mul(w["panels_per_block"], length))
        done = b.mul(b.mul(local, length), by)
        step = b.mul(w["row_leading"], self._c(side.dtype.itemsize))
        width = -(-self.places.group * self.v.rows * side.dtype.itemsize // LINE)

        def fetch(k: Value, stop: Value) -> None:
            with loop(b, *micro.share(b, by, k, stop, done)) as row:
                for n in range(width):
                    b.prefetch(b.offset(b.offset(start, b.mul(row.index, step), dt.int8), n * LINE, dt.int8))

        return fetch

    def _following(
        self, lane_start: Value, panel: Value, slivers: tuple[Value, Value], k_first: Value, length: Value, last: Value
    ) -> Callable[[Value], micro.Ahead]:
        """What to fetch for the packing that follows, of the next block of k or of panels; each tile, by its number, fetches a share."""
        b, w, v, side = self.b, self.w, self.v, self.lane_side
        size = self._c(side.dtype.itemsize)
        after = b.select(last, b.add(panel, w["panels_per_block"]), panel)
        column, k = self._at(after, v.columns), b.select(last, self._c(0), b.add(k_first, self._c(K_BLOCK)))
        depth, width = b.min(b.sub(w["k"], k), self._c(K_BLOCK)), self._at(w["panels_per_block"], v.columns)
        (rows, length_of_row), (row, at) = ((width, depth), (column, k)) if side.along_k else ((depth, width), (k, column))
        start, step = b.offset(lane_start, b.add(b.mul(row, w["lane_leading"]), at), side.dtype), b.mul(w["lane_leading"], size)
        lines = b.div(b.add(b.mul(length_of_row, size), self._c(LINE - 1)), self._c(LINE))
        tiles = b.mul(b.sub(slivers[1], slivers[0]), w["panels_per_block"])
        share = b.select(b.cmp("lt", after, w["panels"]), b.div(b.mul(rows, lines), tiles), self._c(0))
        pace, inverse = micro.pace(b, share, length), b.add(b.div(self._c(1 << 32), lines), self._c(1))

        def tile(number: Value) -> micro.Ahead:
            first = b.shl(b.mul(number, share), 16)

            def fetch(k: Value, stop: Value) -> None:
                with loop(b, *micro.share(b, pace, k, stop, first)) as line:
                    row = b.shr(b.mul(line.index, inverse), 32)
                    across = b.mul(b.sub(line.index, b.mul(row, lines)), self._c(LINE))
                    b.prefetch(b.offset(start, b.add(b.mul(row, step), across), dt.int8))

            return fetch

        return tile

    def _tile(self, rows: micro.Rows | micro.Runs, lane_at: Value, panel: Value, local: Value, length: Value) -> list[Value]:
        """The sums of one tile over one block of k; ``local`` is the panel's number in the packed block."""
        lanes = self._lanes(lane_at, panel, local)
        if isinstance(rows, micro.Runs):
            return micro.tile_of_runs(self.b, self.v, self.dtype, rows, lanes, self.ahead)
        return micro.tile(self.b, self.v, self.dtype, rows, lanes, length, self.ahead)

    def _coming(self, lane_start: Value, lane_at: Value, panel: Value, sliver: Value, length: Value, last: Value) -> micro.Ahead:
        """What to fetch of panels in memory: a sliver's share of what the tiles of this panel in the next block will read."""
        b, w, v = self.b, self.w, self.v
        here, further = b.offset(lane_at, b.mul(panel, w["panel_step"]), self.dtype), b.add(panel, w["panels_per_block"])
        there = b.and_(self.more, b.cmp("lt", b.select(b.cmp("lt", self._c(0), w["lane_batch"]), self._c(0), further), w["panels"]))
        start = b.select(there, b.offset(lane_start if v.deep else lane_at, b.mul(further, w["panel_step"]), self.dtype), here)
        if v.deep:
            start = b.select(last, start, b.offset(here, self._at(length, v.columns), self.dtype))
        pace = b.div(self._c(v.columns * self.dtype.itemsize << 16), self.count)
        before = b.mul(b.mul(b.sub(sliver, self.low), pace), length)

        def fetch(k: Value, stop: Value) -> None:
            with loop(b, *micro.share(b, pace, k, stop, before), LINE) as line:
                b.prefetch(b.offset(start, line.index, dt.int8))

        return fetch

    def _from_k(self, start: Value, side: Side, k: Value, leading: Value) -> Value:
        return self.b.offset(start, k if side.along_k else self.b.mul(k, leading), side.dtype)

    def _row(self, sliver: Value) -> Value:
        """First row of a sliver: the last one is moved back so that it is full; of windows the last one of each row of positions."""
        if self.shown:
            b, w = self.b, self.w
            across = b.min(self._at(b.rem(sliver, w["tiles"]), self.v.rows // self.v.lines), w["last"])
            return b.add(b.mul(b.div(sliver, w["tiles"]), w["lines"]), across)
        return self.b.min(self._at(sliver, self.v.rows), self.b.sub(self.w["rows"], self._c(self.v.rows)))

    def _rows_done(self, sliver: Value, row: Value) -> Value:
        """Rows of a sliver, the first of which is ``row``, that the sliver before has too."""
        b, w = self.b, self.w
        if not self.shown:
            return b.sub(self._at(sliver, self.v.rows), row)
        return b.max(b.sub(self._at(b.rem(sliver, w["tiles"]), self.v.rows // self.v.lines), w["last"]), self._c(0))

    def _column(self, panel: Value) -> Value:
        """First column of a panel: the last one is moved back so that it is full."""
        if self.v.narrow:
            return self._c(0)
        return self.b.min(self._at(panel, self.v.columns), self.b.sub(self.w["columns"], self._c(self.v.columns)))

    # -- the row side --------------------------------------------------------------------------
    def _row_offsets(self) -> tuple[int | Value, ...]:
        """Distance of each row's elements from the first row's."""
        rows = range(self.v.rows)
        if self.row_side.windows or not self.row_side.along_k or self.v.pack_rows:
            return tuple(rows)
        return tuple(self._at(self.w["row_leading"], r) if r else 0 for r in rows)

    def _row_steps(self) -> list[pack.Step]:
        """Where the rows start that are turned, from the first one on."""
        b, w, v = self.b, self.w, self.v
        if not (v.pack_rows and self.row_side.along_k):
            return []
        each = pack.steps(b, w["step_x"] if self.shown else w["row_leading"], self.dtype, v.rows // v.lines)
        return [(near, b.add(far, self._at(w["step_line"], line)) if line else far) for line in range(v.lines) for near, far in each]

    def _sliver_at(self, row_at: Value, sliver: Value) -> Value:
        row = self._row(sliver)
        return self.b.offset(row_at, self.b.mul(row, self.w["row_leading"]) if self.row_side.along_k else row, self.row_side.dtype)

    def _rows(self, row_at: Value, sliver: Value, number: Value) -> micro.Rows | micro.Runs:
        """Where the micro-kernel finds a sliver; ``number`` is that in its run."""
        if self.shown and not self.v.pack_rows:
            start = self.shown.at(row_at, self._row(sliver))
            row, k = (self.w["step_x"], 1) if self.v.windows == "positions" else (1, self.w["step_x"])
            return micro.Runs(start, row, k, self.w["step_line"], self.v.lines, self.shown.runs, self.runs)
        if self.v.pack_rows:
            return micro.Rows(self._packed(number), self.row_offsets, self.places.row_pitch)
        return micro.Rows(self._sliver_at(row_at, sliver), self.row_offsets, 1 if self.row_side.along_k else self.w["row_leading"])

    def _packed(self, number: Value) -> Value:
        """Where the sliver of this number in a run is packed."""
        return self.b.offset(self.scratch, self._at(self.b.and_(number, self._c(self.places.slots - 1)), self.places.sliver_step), self.dtype)

    def _part(self, number: Value, length: Value) -> tuple[Value, Value]:
        """The part of a block of k of which the next group is packed after this sliver of a group."""
        b = self.b
        each = b.and_(b.add(b.div(length, self._c(self.places.group)), self._c(micro.UNROLL)), self._c(-micro.UNROLL))
        return b.min(b.mul(number, each), length), b.min(b.mul(b.add(number, self._c(1)), each), length)

    def _pack_rows(self, row_at: Value, first: Value, sliver: Value, stop: Value, part: tuple[Value, Value]) -> None:
        """Copy a part of k of the group from ``sliver`` on, in a run from ``first`` to ``stop``, whose neighbours in memory are rows."""
        b, side, leading, pitch = self.b, self.row_side, self.w["row_leading"], self.places.row_pitch
        whole = b.add(part[0], b.and_(b.sub(part[1], part[0]), self._c(-micro.UNROLL)))
        stop = b.min(b.add(sliver, self._c(self.places.group)), stop)
        for low, high, turns in ((part[0], whole, micro.UNROLL), (whole, part[1], 1)):
            with loop(b, low, high, turns) as k, loop(b, sliver, stop) as some:
                line = self._sliver_at(b.offset(row_at, b.mul(k.index, leading), side.dtype), some.index)
                target = b.offset(self._packed(b.sub(some.index, first)), self._at(k.index, pitch), self.dtype)
                for turn in range(turns):
                    self._copy_fixed(line, b.offset(target, turn * pitch, self.dtype))
                    line = b.offset(line, leading, side.dtype)

    def _turn_rows(self, source: Value, place: Value, length: Value) -> None:
        """Copy a sliver's rows, ``lanes`` at a time, so that their factors of each k lie together; what is written past them is overwritten."""
        b, lanes, dtype = self.b, self.v.lanes, self.dtype if self.shown else self.row_side.dtype
        for first in range(0, self.v.rows, lanes):
            some = [*self.row_steps[first : first + lanes], *[None] * lanes][:lanes]
            pack.turn_columns(b, source, some, b.offset(place, first, self.dtype), self.places.row_pitch, length, dtype, self.dtype)

    def _pack_shown(self, shown: Slab, row_at: Value, slivers: tuple[Value, Value]) -> None:
        """Copy a group of slivers of windows, run by run: positions are turned, elements lie together."""
        b, w, pitch = self.b, self.w, self.places.row_pitch
        with loop(b, *slivers) as sliver:
            start = shown.at(row_at, self._row(sliver.index))
            target = self._packed(b.sub(sliver.index, slivers[0]))
            with loop(b, 0, self.runs, 1, [target]) as run:
                entry = b.offset(shown.runs, b.shl(run.index, 1), i64)
                line, length = b.offset(start, b.load(entry, i64), self.dtype), b.load(b.offset(entry, 1, i64), i64)
                if self.row_side.along_k:
                    self._turn_rows(line, run.values[0], length)
                    run.next = [b.offset(run.values[0], self._at(length, pitch), self.dtype)]
                else:
                    with loop(b, 0, length, 1, [line, run.values[0]]) as turn:
                        self._copy_fixed(*turn.values)
                        turn.next = [b.offset(turn.values[0], w["step_x"], self.dtype), b.offset(turn.values[1], pitch, self.dtype)]
                    run.next = turn.results[1:]

    def _copy_fixed(self, line: Value, target: Value) -> None:
        """Copy one element of each row; the last vector reads only what exists, and what it writes too far is overwritten."""
        b, lanes = self.b, self.v.lanes
        dtype = self.dtype if self.shown else self.row_side.dtype
        for first in range(0, self.v.rows, lanes):
            left = self.v.rows - first
            mask = None if left >= lanes else Value("<" + ", ".join(f"i1 {int(k < left)}" for k in range(lanes)) + ">", dt.bool_, lanes)
            value = pack.read(b, b.offset(line, first, dtype), dtype, self.dtype, lanes, mask)
            b.store(value, b.offset(target, first, self.dtype))

    # -- the lane side -------------------------------------------------------------------------
    def _lanes(self, lane_at: Value, panel: Value, local: Value) -> micro.Lanes:
        """Where a tile finds a panel in a block of k; ``local`` is its number in the packed block."""
        b = self.b
        if self.v.pack_lanes:
            return micro.Lanes(b.offset(self.packed_lanes, b.mul(local, self.w["panel_step"]), self.dtype), self.v.columns, None)
        if self.v.in_panels:
            return micro.Lanes(b.offset(lane_at, b.mul(panel, self.w["panel_step"]), self.dtype), self.v.columns, None)
        return micro.Lanes(b.offset(lane_at, self._column(panel), self.lane_side.dtype), self.w["lane_leading"], self.masks)

    def _pack_lanes(self, lane_at: Value, panels: tuple[Value, Value], length: Value) -> None:
        """Copy a block of panels, each ``length`` rows of ``columns`` elements."""
        (self._turn_lanes if self.lane_side.along_k else self._copy_lanes)(lane_at, panels, length)

    def _copy_lanes(self, lane_at: Value, panels: tuple[Value, Value], length: Value) -> None:
        """Copy along the rows in memory, some rows at a time; only the last panel may have been moved back."""
        b, v, side = self.b, self.v, self.lane_side
        whole, last = b.and_(length, self._c(-micro.UNROLL)), b.sub(panels[1], self._c(1))
        for start, stop, turns in ((self._c(0), whole, micro.UNROLL), (whole, length, 1)):
            with loop(b, start, stop, turns) as k:
                line = b.offset(lane_at, b.mul(k.index, self.w["lane_leading"]), side.dtype)
                place = b.offset(self.packed_lanes, self._at(k.index, v.columns), self.dtype)
                with loop(b, panels[0], last) as panel:
                    self._copy_panel(b.offset(line, self._at(panel.index, v.columns), side.dtype), place, b.sub(panel.index, panels[0]), turns)
                self._copy_panel(b.offset(line, self._column(last), side.dtype), place, b.sub(last, panels[0]), turns)

    def _copy_panel(self, source: Value, place: Value, local: Value, turns: int) -> None:
        """Copy ``turns`` rows of one panel."""
        b, v, side = self.b, self.v, self.lane_side
        target = b.offset(place, b.mul(local, self.w["panel_step"]), self.dtype)
        for turn in range(turns):
            for at in range(v.vectors):
                mask = self.masks[at] if self.masks else None
                value = pack.read(b, b.offset(source, at * v.lanes, side.dtype), side.dtype, self.dtype, v.lanes, mask)
                b.store(value, b.offset(target, turn * v.columns + at * v.lanes, self.dtype))
            source = b.offset(source, self.w["lane_leading"], side.dtype)

    def _turn_lanes(self, lane_at: Value, panels: tuple[Value, Value], length: Value) -> None:
        b, v, side, leading = self.b, self.v, self.lane_side, self.w["lane_leading"]
        with loop(b, *panels) as panel:
            column = self._column(panel.index)
            target = b.offset(self.packed_lanes, b.mul(b.sub(panel.index, panels[0]), self.w["panel_step"]), self.dtype)
            with loop(b, 0, v.columns, v.lanes) as vector:
                start = b.add(column, vector.index)
                first = b.offset(lane_at, b.mul(start, leading), side.dtype)
                steps = self.lane_steps
                if v.narrow:
                    near, left = self._c(0), b.sub(b.sub(self.w["columns"], self._c(1)), start)  # negative for a vector past the end
                    steps = [(near, b.mul(b.min(self._c(r), left), leading)) for r in range(v.lanes)]
                pack.turn_columns(b, first, steps, b.offset(target, vector.index, self.dtype), v.columns, length, side.dtype, self.dtype)

    # -- finished tiles ------------------------------------------------------------------------
    def _finish(self, number: Value, batch: Value, sliver: Value, panels: tuple[Value, Value]) -> None:
        """The epilogue of a sliver's tiles, row by row; rows and columns that an earlier tile has written are left out.

        The last tile may have been moved back, so that it is a part of its own.
        """
        b, v = self.b, self.v
        m, start = self._row(sliver), self._tile_at(number, self._c(0))[0]
        rows = self._rows_done(sliver, m), self._c(v.rows)
        final = b.sub(panels[1], self._c(1))
        before, n = self._at(b.sub(final, panels[0]), v.columns), self._column(final)
        done, stop = b.sub(self._at(final, v.columns), n), self.w["columns"] if v.narrow else self._c(v.columns)
        with loop(b, b.select(b.cmp("eq", final, panels[0]), self._c(1), self._c(0)), 2) as part:
            ends = b.cmp("eq", part.index, self._c(1))
            here = b.offset(start, b.select(ends, before, self._c(0)), self.dtype)
            columns = b.select(ends, done, self._c(0)), b.select(ends, stop, before)
            self.epilogue.write(Span(here, self.w["sums_pitch"], m, b.select(ends, n, self._at(panels[0], v.columns)), rows, columns), batch)

    def _finish_turned(self, tile_at: Value, batch: Value, sliver: Value, panel: Value) -> None:
        """The same of one tile whose rows are columns of the result."""
        b, v = self.b, self.v
        m, n = self._row(sliver), self._column(panel)
        rows_done, columns_done = self._rows_done(sliver, m), b.sub(self._at(panel, v.columns), n)
        column_stop = self.w["columns"] if v.narrow else self._c(v.columns)
        self._write_turned(tile_at, v.columns, batch, (m, rows_done, self._c(v.rows)), (n, columns_done, column_stop))

    def _write_turned(self, start: Value, pitch: int, batch: Value, rows: tuple[Value, Value, Value], columns: tuple[Value, Value, Value]) -> None:
        """Transpose sums, some columns at a time, and run the epilogue on them: rows and columns are (position of the first, from, to)."""
        b, v = self.b, self.v
        turned_pitch, width = self.places.turned_pitch, pack.group(self.dtype, v.lanes)
        with loop(b, b.and_(columns[1], self._c(-v.lanes)), columns[2], v.lanes) as part:
            with loop(b, 0, v.lanes, width) as chunk:
                source = b.offset(start, b.add(part.index, chunk.index), self.dtype)
                for first in range(0, v.rows, v.lanes):
                    self._turn(source, pitch, first, b.offset(self.turned, b.add(self._at(chunk.index, turned_pitch), self._c(first)), self.dtype))
            low, high = (b.min(b.max(b.sub(x, part.index), self._c(0)), self._c(v.lanes)) for x in columns[1:])
            self.epilogue.write(Span(self.turned, turned_pitch, b.add(columns[0], part.index), rows[0], (low, high), rows[1:]), batch)

    def _turn(self, source: Value, pitch: int, first: int, target: Value) -> None:
        """Transpose ``group`` columns of up to ``lanes`` rows."""
        for c, vector in enumerate(self._transposed(source, pitch, first)):
            self.b.store(vector, self.b.offset(target, c * self.places.turned_pitch, self.dtype))

    def _transposed(self, source: Value, pitch: int, first: int) -> list[Value]:
        """``group`` columns of up to ``lanes`` rows, from row ``first`` on, as vectors over the rows."""
        b, v = self.b, self.v
        width = pack.group(self.dtype, v.lanes)

        def load(r: int) -> Value | None:
            row = first + r
            return None if row >= v.rows else b.load(b.offset(source, row * pitch, self.dtype), self.dtype, width)

        return pack.transpose(b, load, self.dtype, v.lanes)

    # -- whole rows of the result ----------------------------------------------------------------
    def _collect(self, tile_at: Value, sliver: Value, local: Value) -> None:
        """Transpose a tile into its place in the rows of its panel, the ``local``-th of the block."""
        b, v, pitch = self.b, self.v, self.w["rows"]
        start = b.offset(self._whole_panel(local), self._row(sliver), self.dtype)
        width = pack.group(self.dtype, v.lanes)
        with loop(b, 0, v.columns, width) as part:
            source = b.offset(tile_at, part.index, self.dtype)
            line = b.offset(start, b.mul(part.index, pitch), self.dtype)
            lines = [b.offset(line, b.mul(pitch, self._c(c)) if c else 0, self.dtype) for c in range(width)]
            for first in range(0, v.rows, v.lanes):
                for line, vector in zip(lines, self._transposed(source, v.columns, first), strict=True):
                    access.store_first(b, vector, b.offset(line, first, self.dtype), min(v.lanes, v.rows - first))

    def _whole_panel(self, local: Value) -> Value:
        return self.b.offset(self.whole_rows, self.b.mul(local, self._at(self.w["rows"], self.v.columns)), self.dtype)

    def _write_whole(self, batch: Value, panels: tuple[Value, Value]) -> None:
        """The epilogue of the rows of a block's panels; rows that an earlier panel has written are left out."""
        b, v, length = self.b, self.v, self.w["rows"]
        with loop(b, *panels) as panel:
            start, m = self._whole_panel(b.sub(panel.index, panels[0])), self._column(panel.index)
            done, stop = b.sub(self._at(panel.index, v.columns), m), self.w["columns"] if v.narrow else self._c(v.columns)
            if self.epilogue.flat:
                self.epilogue.write_flat(start, m, b.mul(done, length), b.mul(stop, length), batch)
            else:
                self.epilogue.write(Span(start, length, m, self._c(0), (done, stop), (self._c(0), length)), batch)
