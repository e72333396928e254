"""Products of few rows: every element of the lane side is used once or a few times, so memory decides.

The lane side is read in the order in which it lies in memory, whole rows, a few at a time; the sums
stay in memory near the core and are read and written once for those rows.
"""

from __future__ import annotations

from collections.abc import Callable

from insitu import dtypes as dt
from insitu.codegen.cpu.access import below
from insitu.codegen.cpu.emitter import Value
from insitu.codegen.cpu.gemm import micro
from insitu.codegen.cpu.gemm.control import loop
from insitu.codegen.cpu.gemm.driver import Driver
from insitu.codegen.cpu.gemm.epilogue import Span
from insitu.codegen.cpu.gemm.layout import STREAM_COLUMNS, STREAM_PITCH
from insitu.codegen.cpu.gemm.schedule import STREAM_UNIT
from insitu.codegen.nest import K_BLOCK

i64 = dt.int64


class Stream(Driver):
    """Emits the loops for few rows; a unit is a range of columns, and neighbours run as one."""

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
            with loop(b, low, high, STREAM_COLUMNS) as part:
                width = b.min(b.sub(high, part.index), self._c(STREAM_COLUMNS))
                self._columns(batch.index, part.index, width, row_start, b.offset(lane_start, part.index, self.lane_side.dtype))

    def _columns(self, batch: Value, n: Value, width: Value, row_start: Value, lane_start: Value) -> None:
        """All of k for ``width`` columns from n on."""
        b, w, v = self.b, self.w, self.v
        block, totals = self.sums, b.offset(self.sums, v.rows * STREAM_PITCH, self.dtype)
        with loop(b, 0, w["k_blocks"]) as k_loop:
            k_first = self._at(k_loop.index, K_BLOCK)
            length = b.min(b.sub(w["k"], k_first), self._c(K_BLOCK))
            row_at = self._from_k(row_start, self.row_side, k_first, w["row_leading"])
            lane_at = self._from_k(lane_start, self.lane_side, k_first, w["lane_leading"])
            self._each(width, lambda at, lanes, mask: self._clear(block, at, lanes))
            whole = b.sub(length, b.rem(length, self._c(v.stream)))
            for start, stop, turns in ((self._c(0), whole, v.stream), (whole, length, 1)):
                with loop(b, start, stop, turns) as k:
                    self._turns(row_at, lane_at, k.index, turns, block, width)
            first = b.cmp("eq", k_loop.index, self._c(0))
            self._each(width, lambda at, lanes, mask: self._add(block, totals, at, lanes, first))
        if v.swap:
            rows, columns = (self._c(0), self._c(0), self._c(v.rows)), (n, self._c(0), width)
            self._write_turned(totals, STREAM_PITCH, batch, rows, columns)
        else:
            self.epilogue.write(Span(totals, STREAM_PITCH, self._c(0), n, (self._c(0), self._c(v.rows)), (self._c(0), width)), batch)

    def _each(self, width: Value, body: Callable[[Value, int, Value | None], None]) -> None:
        """Run ``body(at, lanes, mask)`` over the columns: whole vectors, then the rest."""
        b, lanes = self.b, self.v.lanes
        whole = b.and_(width, self._c(-lanes))
        with loop(b, 0, whole, lanes) as at:
            body(at.index, lanes, None)
        if not b.target.masks:
            with loop(b, whole, width) as at:
                body(at.index, 1, None)
            return
        with b.when(b.cmp("lt", whole, width)):
            body(whole, lanes, below(b, b.sub(width, whole), lanes))

    def _turns(self, row_at: Value, lane_at: Value, k: Value, turns: int, block: Value, width: Value) -> None:
        """Add ``turns`` products in a chain to every sum of the block."""
        b, v = self.b, self.v
        step = self._c(1) if self.row_side.along_k else self.w["row_leading"]
        places = [b.add(k, self._c(t)) for t in range(turns)]
        starts = [b.offset(row_at, b.mul(place, step), self.dtype) for place in places]
        factors = [[b.load(b.offset(start, self.row_offsets[r], self.dtype), self.dtype) for start in starts] for r in range(v.rows)]
        spread = [[b.splat(x, v.lanes) for x in row] for row in factors]
        lines = [b.offset(lane_at, b.mul(place, self.w["lane_leading"]), self.dtype) for place in places]

        def column(at: Value, lanes: int, mask: Value | None) -> None:
            vectors = [b.load(b.offset(line, at, self.dtype), self.dtype, lanes, mask) for line in lines]
            for r in range(v.rows):
                place = b.offset(block, b.add(at, self._c(r * STREAM_PITCH)), self.dtype)
                total = b.load(place, self.dtype, lanes)
                for x, y in zip(spread[r] if lanes > 1 else factors[r], vectors, strict=True):
                    total = micro.multiply_add(b, x, y, total)
                b.store(total, place)

        self._each(width, column)

    def _clear(self, block: Value, at: Value, lanes: int) -> None:
        zero = self.b.const(0, self.dtype, lanes)
        for r in range(self.v.rows):
            self.b.store(zero, self.b.offset(block, self.b.add(at, self._c(r * STREAM_PITCH)), self.dtype))

    def _add(self, block: Value, totals: Value, at: Value, lanes: int, first: Value) -> None:
        """Add a finished block of k to the totals; the first one is the total."""
        b = self.b
        for r in range(self.v.rows):
            index = b.add(at, self._c(r * STREAM_PITCH))
            fresh, place = b.load(b.offset(block, index, self.dtype), self.dtype, lanes), b.offset(totals, index, self.dtype)
            b.store(b.select(first, fresh, b.add(b.load(place, self.dtype, lanes), fresh)), place)
