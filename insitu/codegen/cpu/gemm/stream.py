"""Products of few rows: every element of the lane side is used once or a few times, so memory decides.

The lane side is read in the order in which it lies in memory, whole rows, a few at a time; the sums
stay in memory near the core and are read and written once for those rows. Where registers cannot hold the
factors, too, these lie in memory beside the sums, and two vectors of columns share what is loaded of them.
"""

from __future__ import annotations

from collections.abc import Callable

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Emitter, Value
from insitu.codegen.cpu.gemm import micro
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.cpu.gemm.epilogue import EpilogueCalls, Span
from insitu.codegen.cpu.gemm.layout import stream_columns, stream_pitch
from insitu.codegen.cpu.gemm.schedule import STREAM_UNIT, Schedule
from insitu.codegen.nest import K_BLOCK

i64 = dt.int64
#: How many times the rows read at a time lie between what is multiplied and what is fetched, if there is arithmetic to hide that.
_AHEAD = 2


class Stream(Driver):
    """Emits the loops for few rows; a unit is a range of columns, and neighbours run as one."""

    def __init__(
        self, b: Emitter, s: Schedule, dtype: dt.DType, words: dict[str, Value], args: Value, scratch: Value, epilogue: EpilogueCalls
    ) -> None:
        super().__init__(b, s, dtype, words, args, scratch, epilogue)
        self.most, self.pitch = stream_columns(self.v, dtype.itemsize), stream_pitch(self.v, dtype.itemsize)
        self.totals = b.offset(self.sums, self.v.rows * self.pitch, dtype)
        self.factors = b.offset(self.totals, self.v.rows * self.pitch, dtype)

    def units(self, begin: Value, end: Value) -> None:
        b, w = self.b, self.w
        blocks = w["blocks"]
        past = b.add(end, b.sub(blocks, self._c(1)))
        with loop(b, b.div(begin, blocks), b.div(past, blocks)) as batch:
            base = b.mul(batch.index, blocks)
            low = self._at(b.max(b.sub(begin, base), self._c(0)), STREAM_UNIT)
            high = b.min(self._at(b.min(b.sub(end, base), blocks), STREAM_UNIT), w["columns"])
            row_start = b.offset(self.row_start, b.mul(batch.index, w["row_batch"]), self.row_side.dtype)
            lane_start = b.offset(self.lane_start, b.mul(batch.index, w["lane_batch"]), self.lane_side.dtype)
            with loop(b, low, high, self.most) as part:
                width = b.min(b.sub(high, part.index), self._c(self.most))
                self._columns(batch.index, part.index, width, row_start, b.offset(lane_start, part.index, self.lane_side.dtype))

    def _columns(self, batch: Value, n: Value, width: Value, row_start: Value, lane_start: Value) -> None:
        """All of k for ``width`` columns from n on."""
        b, w, v = self.b, self.w, self.v
        with loop(b, 0, w["k_blocks"]) as k_loop:
            k_first = self._at(k_loop.index, K_BLOCK)
            length = b.min(b.sub(w["k"], k_first), self._c(K_BLOCK))
            row_at = self._from_k(row_start, self.row_side, k_first, w["row_leading"])
            lane_at = self._from_k(lane_start, self.lane_side, k_first, w["lane_leading"])
            self._each(width, lambda at, lanes, mask: self._clear(at, lanes))
            whole = b.sub(length, b.rem(length, self._c(v.stream)))
            for start, stop, turns in ((self._c(0), whole, v.stream), (whole, length, 1)):
                with loop(b, start, stop, turns) as k:
                    self._turns(row_at, lane_at, k.index, turns, width)
            first = b.cmp("eq", k_loop.index, self._c(0))
            self._each(width, lambda at, lanes, mask: self._add(at, lanes, first))
        if v.swap:
            rows, columns = (self._c(0), self._c(0), self._c(v.rows)), (n, self._c(0), width)
            self._write_turned(self.totals, self.pitch, batch, rows, columns)
        else:
            self.epilogue.write(Span(self.totals, self.pitch, self._c(0), n, (self._c(0), self._c(v.rows)), (self._c(0), width)), batch)

    def _each(self, width: Value, body: Callable[[Value, int, Value | None], None], several: Callable[[Value], None] | None = None) -> None:
        """Run ``body(at, lanes, mask)`` over the columns: whole vectors, then the rest; before that ``several(at)`` over as many as a tile has."""
        b, lanes = self.b, self.v.lanes
        done, whole = self._c(0), b.and_(width, self._c(-lanes))
        if several:
            done = b.and_(width, self._c(-self.v.columns))
            with loop(b, 0, done, self.v.columns) as at:
                several(at.index)
        with loop(b, done, whole, lanes) as at:
            body(at.index, lanes, None)
        if not b.target.masks:
            with loop(b, whole, width) as at:
                body(at.index, 1, None)
            return
        with b.when(b.cmp("lt", whole, width)):
            body(whole, lanes, below(b, b.sub(width, whole), lanes))

    def _turns(self, row_at: Value, lane_at: Value, k: Value, turns: int, width: Value) -> None:
        """Add ``turns`` products in a chain to every sum of the block."""
        b, v, d = self.b, self.v, self.dtype
        step, leading = self._c(1) if self.row_side.along_k else self.w["row_leading"], self.w["lane_leading"]
        places = [b.add(k, self._c(t)) for t in range(turns)]
        starts = [b.offset(row_at, b.mul(place, step), d) for place in places]
        factors = [[b.load(b.offset(start, self.row_offsets[r], d), d) for start in starts] for r in range(v.rows)]
        lines = [b.offset(lane_at, b.mul(place, leading), d) for place in places]
        ahead = b.mul(leading, self._c(_AHEAD * turns))
        held = v.vectors == 1
        if not held:
            for n, x in enumerate(x for row in factors for x in row):
                b.store(x, b.offset(self.factors, n, d))

        def column(at: Value, lanes: int, mask: Value | None, count: int = 1) -> None:
            columns = [[b.offset(line, b.add(at, self._c(n * lanes)), d) for n in range(count)] for line in lines]
            vectors = [[b.load(place, d, lanes, mask) for place in line] for line in columns]
            if count > 1 and turns > 1:
                for place in (place for line in columns for place in line):
                    b.prefetch(b.offset(place, ahead, d))
            near = b.opaque(self.factors)
            for r in range(v.rows):
                place = b.offset(self.sums, b.add(at, self._c(r * self.pitch)), d)
                totals = [b.load(b.offset(place, n * lanes, d), d, lanes) for n in range(count)]
                for turn in range(turns):
                    x = factors[r][turn] if held else b.load(b.offset(near, r * turns + turn, d), d)
                    x = b.splat(x, lanes) if lanes > 1 else x
                    totals = [micro.multiply_add(b, x, y, total) for y, total in zip(vectors[turn], totals, strict=True)]
                for n, total in enumerate(totals):
                    b.store(total, b.offset(place, n * lanes, d))

        self._each(width, column, None if held else lambda at: column(at, v.lanes, None, v.vectors))

    def _clear(self, at: Value, lanes: int) -> None:
        zero = self.b.const(0, self.dtype, lanes)
        for r in range(self.v.rows):
            self.b.store(zero, self.b.offset(self.sums, self.b.add(at, self._c(r * self.pitch)), self.dtype))

    def _add(self, at: Value, lanes: int, first: Value) -> None:
        """Add a finished block of k to the totals; the first one is the total."""
        b = self.b
        for r in range(self.v.rows):
            index = b.add(at, self._c(r * self.pitch))
            fresh, place = b.load(b.offset(self.sums, index, self.dtype), self.dtype, lanes), b.offset(self.totals, index, self.dtype)
            b.store(b.select(first, fresh, b.add(b.load(place, self.dtype, lanes), fresh)), place)
