"""Memory blocks: 64-byte aligned, recycled, on huge pages where they are large.

Fresh pages are slow (the system clears each on first touch), so a block that dies goes to a free
list and the next block of its size class starts warm. Classes are eighths of an octave: a block
wastes at most an eighth of its addresses, and pages that nobody touches cost nothing.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from insitu.errors import InternalError, UserError
from insitu.runtime import system

#: Blocks up to this size are carved from shared pages that are never given back.
SMALL = 32 << 10
_SLAB = 2 << 20
#: Values that together take no more than this may share a block: any of them keeps it alive.
_SHARED = 1 << 10
#: Blocks from this size on start at a page. A load waits for a store that is just being made at the
#: same place of any other page: an output that starts 64 bytes further into its page than the input
#: streams through the L2 cache at a quarter of the speed (measured on Zen 4). At the same place, the
#: loads are always ahead of the stores.
PAGE = 4096


_new = object.__new__
#: The bytes of a block, and of each value in it the offset, the bytes, and the room.
Shared = tuple[int, list[tuple[int, int, int]]]


class OutOfMemoryError(UserError, MemoryError):
    """The system has no room for a block."""


class Memory:
    """A stretch of memory, which lives as long as the object.

    Attributes
    ----------
    ptr : int
        Address of the first byte, a multiple of 64, and from 4 KiB on of 4096 (borrowed memory: of
        the element size).
    nbytes : int
        Bytes that were asked for.
    """

    __slots__ = ("_held", "_room", "nbytes", "ptr")

    def __init__(self, ptr: int, nbytes: int, room: int, held: Any) -> None:
        # _room: bytes that are there; _held: what they belong to.
        self.ptr, self.nbytes, self._room, self._held = ptr, nbytes, room, held

    def __repr__(self) -> str:
        return f"Memory({self.nbytes} bytes at {self.ptr:#x})"

    def part(self, offset: int, nbytes: int) -> Memory:
        """A stretch of the block, which it keeps alive.

        Raises
        ------
        InternalError
            If the stretch is not inside the block.
        """
        if offset < 0 or offset + nbytes > self.nbytes:
            raise InternalError(f"bytes {offset} to {offset + nbytes} are not inside {self!r}")
        return Memory(self.ptr + offset, nbytes, nbytes, self)

    def view(self, shape: Sequence[int], dtype: Any, writable: bool = False) -> np.ndarray[Any, Any]:
        """The block as a C-contiguous NumPy array that shares it and keeps it alive.

        Parameters
        ----------
        shape : sequence of int
        dtype : numpy.dtype
        writable : bool
            Whether the array may be written.

        Raises
        ------
        InternalError
            If the block is too small for the array.

        Examples
        --------
        >>> from insitu.runtime.memory import allocate
        >>> a = allocate(24).view((2, 3), "float32", writable=True)
        >>> a[...] = 1
        >>> a.sum().item()
        6.0
        """
        exposed: Any = (ctypes.c_char * self._room).from_address(self.ptr)
        exposed.memory = self  # the array holds `exposed`, which holds the block
        try:
            array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, exposed)
        except TypeError as error:
            raise InternalError(f"a view of shape {tuple(shape)} and dtype {dtype} does not fit {self!r}") from error
        if array.nbytes > self.nbytes:
            raise InternalError(f"a view of shape {tuple(shape)} and dtype {dtype} does not fit {self!r}")
        if not writable:
            array.flags.writeable = False
        return array


class _Block(Memory):
    """Memory that goes back to the pool when the object dies: ``_home`` takes ``_held`` by append."""

    __slots__ = ("_home",)

    def __init__(self, ptr: int, nbytes: int, room: int, held: Any, home: Any) -> None:
        self.ptr, self.nbytes, self._room, self._held, self._home = ptr, nbytes, room, held, home

    def __del__(self) -> None:
        self._home.append(self._held)


class _Dead:
    """Where a large block goes when it dies; the pool sorts it in at its next turn.

    ``append`` may run at any moment, in any thread, inside the pool itself (the garbage collector
    decides), so it takes no lock.
    """

    __slots__ = ("append", "queue")

    def __init__(self) -> None:
        self.queue: deque[tuple[int, system.Pages, int]] = deque()
        self.append = self.queue.append


class _Slab:
    """Pages that small blocks are carved from, those that start at a page apart from the others."""

    __slots__ = ("at", "end", "held")

    def __init__(self) -> None:
        self.at = self.end = 0
        self.held: list[system.Pages] = []


class Pool:
    """Recycles blocks by size class.

    Parameters
    ----------
    keep : int
        Most bytes of large blocks kept free; beyond it the oldest are given back to the system.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self._small: dict[int, list[int]] = {}
        self._paged, self._unpaged = _Slab(), _Slab()
        self._free: dict[int, list[tuple[int, system.Pages, int]]] = {}
        self._dead = _Dead()
        self._age: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._stamp = 0
        self.free_bytes = 0

    def allocate(self, nbytes: int) -> Memory:
        """A block with room for ``nbytes``; its contents are whatever they were.

        Raises
        ------
        OutOfMemoryError
            If the system refuses.
        """
        if nbytes > SMALL:
            return self._allocate_large(nbytes)
        room = (nbytes + 63) & -64 or 64
        if room > 1024:
            step = PAGE if room > PAGE // 2 else 1 << (room.bit_length() - 4)
            room = (room + step - 1) & -step
        try:
            bucket = self._small[room]
            ptr = bucket.pop()
        except (KeyError, IndexError):
            bucket, ptr = self._carve(room)
        return _Block(ptr, nbytes, room, ptr, bucket)

    def zeros(self, nbytes: int) -> Memory:
        """A block of zero bytes; those of fresh pages are, and nothing touches them before they are used."""
        if nbytes > SMALL:
            return self._allocate_large(nbytes, cleared=True)
        block = self.allocate(nbytes)
        ctypes.memset(block.ptr, 0, nbytes)
        return block

    def allocate_all(self, blocks: Sequence[Shared]) -> list[Memory]:
        """Memory for each of the values of `shared` blocks."""
        out: list[Memory] = []
        for size, values in blocks:
            block = self.allocate(size)
            if len(values) == 1:
                out.append(block)
                continue
            start = block.ptr
            for offset, nbytes, room in values:
                part = _new(Memory)  # half the time of Memory(...)
                part.ptr = start + offset
                part.nbytes = nbytes
                part._room = room
                part._held = block
                out.append(part)
        return out

    def _carve(self, room: int) -> tuple[list[int], int]:
        with self._lock:
            bucket = self._small.setdefault(room, [])
            slab = self._paged if room >= PAGE else self._unpaged
            if slab.end - slab.at < room:
                pages = _pages(_SLAB)
                slab.at, slab.end = pages.address, pages.address + _SLAB
                slab.held.append(pages)
            at = slab.at
            slab.at += room
            return bucket, at

    def _allocate_large(self, nbytes: int, cleared: bool = False) -> Memory:
        step = 1 << ((nbytes - 1).bit_length() - 4)
        room = (nbytes + step - 1) & -step
        with self._lock:
            self._collect()
            waiting = self._free.get(room)
            if waiting:
                _, pages, ptr = waiting.pop()
                self.free_bytes -= room
                if cleared:
                    ctypes.memset(ptr, 0, nbytes)
            else:
                pages = _pages(room)
                ptr = pages.address
        return _Block(ptr, nbytes, room, (room, pages, ptr), self._dead)

    def _collect(self) -> None:
        """Sort dead blocks into the free lists and give the oldest back beyond the limit."""
        queue = self._dead.queue
        while queue:
            room, pages, ptr = queue.popleft()
            self._stamp += 1
            self._free.setdefault(room, []).append((self._stamp, pages, ptr))
            self._age.append((self._stamp, room))
            self.free_bytes += room
        while self.free_bytes > self.keep or len(self._age) > 4096:
            stamp, room = self._age.popleft()
            waiting = self._free[room]
            if waiting and waiting[0][0] == stamp:  # else that block has been taken again
                del waiting[0]
                self.free_bytes -= room

    def trim(self) -> None:
        """Give every free large block back to the system."""
        with self._lock:
            self._collect()
            self._free.clear()
            self._age.clear()
            self.free_bytes = 0


def shared(sizes: Sequence[int]) -> list[Shared]:
    """Blocks for values of these sizes, in order, which small neighbours share.

    Examples
    --------
    >>> shared([16, 100, 4000])
    [(164, [(0, 16, 64), (64, 100, 128)]), (4000, [(0, 4000, 4032)])]
    """
    blocks: list[Shared] = []
    for nbytes in sizes:
        room = (nbytes + 63) & -64 or 64
        size, values = blocks[-1] if blocks else (_SHARED, [])
        end = (size + 63) & -64 or 64
        if end + room <= _SHARED:
            values.append((end, nbytes, room))
            blocks[-1] = (end + nbytes, values)
        else:
            blocks.append((nbytes, [(0, nbytes, room)]))
    return blocks


def _pages(nbytes: int) -> system.Pages:
    try:
        return system.Pages(nbytes)
    except (OSError, OverflowError, ValueError) as error:
        raise OutOfMemoryError(
            f"There is no memory for a block of {nbytes / 2**30:.2f} GiB.",
            expected=f"a size this machine can hold ({system.physical_memory() / 2**30:.1f} GiB of memory in all)",
            received=f"{nbytes} bytes ({error})",
            fix="use smaller arrays or batches, or a narrower dtype",
            slug="memory-exhausted",
        ) from error


pool = Pool(min(1 << 30, system.physical_memory() // 4))
allocate, allocate_all, zeros = pool.allocate, pool.allocate_all, pool.zeros


def from_numpy(array: np.ndarray[Any, Any]) -> Memory:
    """Borrow the memory of a C-contiguous array, which lives as long as the result does.

    Raises
    ------
    InternalError
        If the array is not C-contiguous.
    """
    if not array.flags.c_contiguous:
        raise InternalError("only a C-contiguous array can be borrowed")
    buffer: Any = array
    try:
        ptr = ctypes.addressof(ctypes.c_char.from_buffer(buffer))  # a quarter of the time of array.ctypes.data
    except (TypeError, ValueError, BufferError):  # read-only, empty, or of a dtype without a buffer format
        ptr = array.ctypes.data
    nbytes = array.nbytes
    # A class of sizes, not the size itself: ctypes keeps a type for each array length it has seen.
    return Memory(ptr, nbytes, 1 << max(6, (nbytes - 1).bit_length()), array)


def _after_fork() -> None:
    pool._lock = threading.Lock()  # another thread may have held it, and is not there any more


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
