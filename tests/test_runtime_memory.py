"""Memory blocks: alignment, reuse, limits, views that share, borrowed arrays."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.errors import InternalError, UserError
from insitu.runtime import system
from insitu.runtime.memory import SMALL, Pool, allocate, allocate_all, from_numpy, shared

SIZES = (0, 1, 63, 64, 65, 1000, 1025, 5000, SMALL - 1, SMALL, SMALL + 1, 1 << 20, (2 << 20) - 1, 2 << 20, 5_000_001)


@pytest.mark.parametrize("nbytes", SIZES)
def test_blocks_are_aligned_whole_and_do_not_overlap(nbytes: int) -> None:
    blocks = [allocate(nbytes) for _ in range(5)]
    for k, block in enumerate(blocks):
        assert block.ptr % (64 if nbytes < 4096 else 4096) == 0 and block.ptr > 0 and block.nbytes == nbytes
        block.view((nbytes,), np.uint8, writable=True)[...] = k
    for k, block in enumerate(blocks):
        assert (block.view((nbytes,), np.uint8) == k).all()


@pytest.mark.parametrize("nbytes", [1, 700, 20_000, 1 << 20, 64 << 20])
def test_a_dead_block_is_taken_again(nbytes: int) -> None:
    block = allocate(nbytes)
    ptr = block.ptr
    del block
    assert allocate(nbytes).ptr == ptr


@pytest.mark.parametrize("nbytes", SIZES)
def test_zeros_are_zeros_in_fresh_and_in_used_blocks(nbytes: int) -> None:
    pool = Pool(1 << 30)
    places = set()
    for _ in range(3):
        block = pool.zeros(nbytes)
        content = block.view((nbytes,), np.uint8, writable=True)
        assert not content.any()
        content[...] = 255
        places.add(block.ptr)
        del block, content
    assert len(places) == 1


@pytest.mark.parametrize("sizes", [[16] * 10, [0, 1, 64, 65], [1000, 24, 25], [5000, 8, 8], [300] * 20, []])
def test_values_of_shared_blocks_are_aligned_do_not_overlap_and_keep_their_block(sizes: list[int]) -> None:
    values = allocate_all(shared(sizes))
    assert [v.nbytes for v in values] == sizes and all(v.ptr % 64 == 0 for v in values)
    places = sorted((v.ptr, v.ptr + max(v.nbytes, 1)) for v in values)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    for k, value in enumerate(values):
        value.view((value.nbytes,), np.uint8, writable=True)[...] = k
    kept = values[len(values) // 2 :]
    first = len(values) - len(kept)
    del values
    others = [allocate_all(shared(sizes)) for _ in range(20)]
    for value in itertools.chain(*others):
        value.view((value.nbytes,), np.uint8, writable=True)[...] = 255
    assert all((value.view((value.nbytes,), np.uint8) == first + k).all() for k, value in enumerate(kept))


def test_large_values_share_no_block() -> None:
    assert [len(values) for _, values in shared([16, 16, 4096, 1024, 16, 900, 16])] == [2, 1, 1, 2, 1]


def test_free_blocks_are_bounded_and_the_oldest_go_first() -> None:
    pool = Pool(keep=10 << 20)
    blocks = [pool.allocate((k + 1) << 20) for k in range(4)]  # 1, 2, 3, 4 MiB
    pointers = [b.ptr for b in blocks]
    while blocks:
        del blocks[0]
    big = pool.allocate(8 << 20)
    assert pool.free_bytes == 10 << 20
    del big
    again = pool.allocate(100 << 10)
    assert pool.free_bytes == 8 << 20  # all four had to go to keep the newest
    del again
    pool.trim()
    assert pool.free_bytes == 0
    assert pool.allocate(4 << 20).ptr and pointers


def test_a_block_larger_than_the_limit_is_not_kept() -> None:
    pool = Pool(keep=1 << 20)
    block = pool.allocate(8 << 20)
    del block
    pool.allocate(40 << 10)
    assert pool.free_bytes <= 1 << 20


def test_a_view_keeps_its_block_alive() -> None:
    array = allocate(4096).view((1024,), np.float32, writable=True)
    array[...] = 7
    gc.collect()
    others = [allocate(4096) for _ in range(50)]
    for other in others:
        other.view((1024,), np.float32, writable=True)[...] = -1
    assert (array == 7).all()
    part = array[10:20]
    del array
    gc.collect()
    allocate(4096).view((1024,), np.float32, writable=True)[...] = -1
    assert (part == 7).all()


def test_views_share_and_are_read_only_unless_asked() -> None:
    block = allocate(24)
    write, read = block.view((2, 3), np.int32, writable=True), block.view((3, 2), np.int32)
    write[...] = np.arange(6).reshape(2, 3)
    assert read.tolist() == [[0, 1], [2, 3], [4, 5]] and read.ctypes.data == block.ptr
    with pytest.raises(ValueError, match="read-only"):
        read[0, 0] = 1
    assert block.view((), np.float64).shape == () and block.view((0, 5), np.float64).size == 0


@pytest.mark.parametrize("shape", [(7,), (1000, 1000), (25,)])
def test_a_view_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InternalError, match="does not fit"):
        allocate(24).view(shape, np.float32)


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_from_numpy_borrows(n: int) -> None:
    source = np.arange(n, dtype=np.float64)
    block = from_numpy(source)
    count = sys.getrefcount(source)
    assert block.nbytes == source.nbytes and (n == 0 or block.ptr == source.ctypes.data)
    shared = block.view((n,), np.float64)
    source += 1
    assert shared.tolist() == source.tolist()
    del block, shared
    gc.collect()
    assert sys.getrefcount(source) == count - 1
    with pytest.raises(InternalError):
        from_numpy(np.zeros((4, 4))[:, 1])


def test_from_numpy_takes_read_only_arrays_and_bfloat16() -> None:
    for dtype in (dt.float32.numpy, dt.bfloat16.numpy, dt.bool_.numpy):
        source = np.ones(5, dtype)
        source.flags.writeable = False
        block = from_numpy(source)
        assert block.ptr == source.ctypes.data and (block.view((5,), dtype) == source).all()


def test_too_much_memory_is_a_user_error() -> None:
    with pytest.raises(UserError) as caught:
        allocate(1 << 60)
    assert isinstance(caught.value, MemoryError) and caught.value.slug == "memory-exhausted"


def test_threads_may_allocate_at_once() -> None:
    failures: list[str] = []

    def work(mark: int) -> None:
        rng = np.random.default_rng(mark)
        for _ in range(300):
            sizes = rng.integers(1, 200_000, 4)
            views = [allocate(int(n)).view((int(n),), np.uint8, writable=True) for n in sizes]
            for view in views:
                view[...] = mark
            if any((view != mark).any() for view in views):
                failures.append(f"thread {mark}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells which pages are huge")
def test_large_blocks_ask_for_huge_pages() -> None:
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as setting:
        if "[never]" in setting.read():
            pytest.skip("huge pages are off")
    pages = system.Pages(8 << 20)
    assert pages.address % system.HUGE_PAGE == 0
    flags = ""
    with open("/proc/self/smaps") as lines:
        inside = False
        for line in lines:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(part, 16) for part in head.split("-"))
                inside = low <= pages.address < high
            elif inside and head == "VmFlags:":
                flags = line
    assert " hg" in flags


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_machine_is_described() -> None:
    caches = system.cache_sizes()
    assert 4 << 10 <= caches.l1 <= 1 << 20 and caches.l2 >= caches.l1
    assert system.cpu_model() and system.physical_memory() > 1 << 28
    assert system.symbol("memcpy") and system.cpu_identity() == system.cpu_identity()
    with pytest.raises(InternalError):
        system.symbol("no_such_function_anywhere")
