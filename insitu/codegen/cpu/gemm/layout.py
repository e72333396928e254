"""A thread's scratch memory, and the runtime words of a contraction.

Scratch holds, in elements of the accumulation type: the packed slivers of the row side, one turned
tile, the packed panels of the lane side, the partial sums of a run of tiles, and whole rows of the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from insitu.codegen.cpu.gemm import pack, squares, windows
from insitu.codegen.cpu.gemm.epilogue import matrices
from insitu.codegen.cpu.gemm.schedule import Schedule, Variant, in_parts
from insitu.codegen.nest import K_BLOCK, Contract

#: Bytes of the sums that a product of few rows keeps at a time: they stay in the nearest cache beside what is read of the lane side.
_STREAM_BYTES = 24_576
#: Most columns of them: a row has to be long only as it is begun so often.
_STREAM_COLUMNS = 4096
#: Runtime words of the loops; the first two are numbers of buffers.
WORDS = ("row_buffer", "lane_buffer", "slivers", "blocks", "panels", "panels_per_block", "in_turn", "rows", "columns", "k", "k_blocks", "run",
         "row_leading", "row_batch", "lane_leading", "lane_batch", "panel_step", "tile_step", "sums_pitch", "sums_at", "rows_at")  # fmt: skip
#: Further ones where a side shows windows: where the table of runs and the slab are, and its own.
WINDOW_WORDS = ("table_at", "slab_at", *windows.WORDS)
#: Further ones for each matrix that tiles fetch for the epilogue: the number of its buffer, and in bytes where it starts and its strides.
TOUCHED_WORDS = ("buffer", "at", "batch", "m", "n")


@dataclasses.dataclass(frozen=True)
class Layout:
    """The parts of scratch whose places do not depend on the shape.

    Attributes
    ----------
    group : int
        Slivers that are packed together: where neighbours in memory are rows, one sliver's rows are
        less than a cache line.
    slots : int
        Slivers that packed ones have room for, a power of two: the group that is used, and where they are packed in parts the next one.
    row_pitch : int
        From one k to the next in a packed sliver.
    sliver_step : int
        From one packed sliver to the next.
    turned_pitch : int
        Row length of a turned tile.
    turned_at, lanes_at : int
        Where turned tiles and packed panels are.
    """

    group: int
    slots: int
    row_pitch: int
    sliver_step: int
    turned_pitch: int
    turned_at: int
    lanes_at: int


def names(s: Schedule) -> list[str]:
    """The runtime words of the loops."""
    own = squares.WORDS if s.variant.squares else (*WORDS, *(WINDOW_WORDS if s.slab else ()))
    return [*own, *[f"touched{k}_{name}" for k in range(s.variant.fetch) for name in TOUCHED_WORDS]]


def layout(s: Schedule) -> Layout:
    """The fixed places; they follow from the variant and the row side's order alone."""
    v = s.variant
    group = 4 if v.pack_rows and not s.row_side.along_k else 1
    pitch = _rounded(v.rows, v.lanes) if s.row_side.along_k and v.rows > v.lanes else v.rows
    # not a multiple of a page, or stores to several slivers would meet in one set of the cache
    step = _rounded(K_BLOCK * pitch + v.lanes, 64) + 32
    slots = (2 if in_parts(v, s.row_side) else 1) * group
    turned_at = slots * step if v.pack_rows else 0
    turned_pitch = _rounded(v.rows, v.lanes)
    lanes_at = _rounded(turned_at + (v.lanes * turned_pitch if v.swap else 0), 64)
    return Layout(group, slots, pitch, step, turned_pitch, turned_at, lanes_at)


def stream_columns(v: Variant, itemsize: int) -> int:
    """Columns whose sums a product of few rows keeps at a time."""
    return min(_STREAM_COLUMNS, _STREAM_BYTES // (v.rows * itemsize) & -64)


def stream_pitch(v: Variant, itemsize: int) -> int:
    """From one row of those sums to the next: no multiple of a page, or rows would meet in one set of the cache."""
    return stream_columns(v, itemsize) + 80


def runtime_words(s: Schedule, contract: Contract, buffers: Sequence[str]) -> tuple[dict[str, int], int]:
    """The values of the words that `names` has, and the bytes of scratch; ``buffers`` are the kernel's."""
    own = {"row_buffer": buffers.index(s.row_side.buffer), "lane_buffer": buffers.index(s.lane_side.buffer)}
    words, nbytes = squares.placed(s, contract) if s.variant.squares else _placed(s, contract.dtype.itemsize)
    found = matrices(contract)
    for k in range(s.variant.fetch):
        place = [0] * len(TOUCHED_WORDS)
        if k < len(found):
            x = found[k]
            place = [buffers.index(x.buffer), *[n * x.dtype.itemsize for n in (x.offset, x.batch_stride, x.row_stride, 1)]]
        words |= zip([f"touched{k}_{name}" for name in TOUCHED_WORDS], place, strict=True)
    return own | words, nbytes


def _placed(s: Schedule, itemsize: int) -> tuple[dict[str, int], int]:
    v = s.variant
    depth = min(max(s.k, 1), K_BLOCK)
    panel_step = _rounded(depth * v.columns, 64) + 32 if v.pack_lanes else s.k * v.columns
    sums_at = layout(s).lanes_at + (panel_step * s.panels_per_block if v.pack_lanes else 0)
    k_blocks = max(1, -(-s.k // K_BLOCK))
    pitch = v.columns if v.swap else pack.odd_lines(s.panels_per_block * v.columns, itemsize)
    tile = v.rows * pitch  # of a sliver, where its rows lie as a whole
    tiles = s.run * (s.panels_per_block if v.swap else 1) if k_blocks > 1 else 1
    sums = v.rows * (2 * stream_pitch(v, itemsize) + v.stream) if v.stream else tiles * tile
    rows_at = _rounded(sums_at + sums, 64)
    words = {
        "slivers": s.slivers, "blocks": s.blocks, "panels": s.panels, "panels_per_block": s.panels_per_block,
        "in_turn": s.blocks if s.by_rows else 1, "rows": s.m, "columns": s.n, "k": s.k, "k_blocks": k_blocks, "run": s.run,
        "row_leading": s.row_side.leading, "row_batch": s.row_side.batch_stride, "lane_leading": s.lane_side.leading,
        "lane_batch": s.lane_side.batch_stride, "panel_step": panel_step, "tile_step": tile if k_blocks > 1 else 0,
        "sums_pitch": pitch, "sums_at": sums_at, "rows_at": rows_at,
    }  # fmt: skip
    whole = s.panels_per_block * v.columns * s.m if v.whole else 0
    end = rows_at + whole + v.lanes
    shown = s.row_side.windows or s.lane_side.windows
    if shown is None or s.slab is None:
        return words, end * itemsize
    table_at = _rounded(end, 64)
    slab_at = table_at + _rounded(2 * (depth + 1) * 8 // itemsize, 64)
    words |= {"table_at": table_at, "slab_at": slab_at, **windows.runtime_words(shown, s.slab)}
    return words, (slab_at + s.slab.size + v.lanes) * itemsize


def _rounded(n: int, to: int) -> int:
    return -(-n // to) * to
