"""Everything that depends on the operating system: pages, native threads, what the machine is.

Linux and macOS have native worker threads (POSIX threads). Elsewhere `has_native_threads` is
false and programs run on the calling thread alone, with the same results.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import itertools
import mmap
import os
import platform
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from insitu.errors import InternalError

HUGE_PAGE = 2 << 20

#: Whether worker threads can be made without Python.
has_native_threads = os.name == "posix"


# -- memory --------------------------------------------------------------------------------------
class Pages:
    """Private pages from the system, given back when the object dies.

    Attributes
    ----------
    address : int
        Of the first byte; at a multiple of 2 MiB for blocks of 2 MiB and more.
    nbytes : int
        Usable bytes.
    """

    __slots__ = ("_anchor", "_map", "address", "nbytes")

    def __init__(self, nbytes: int) -> None:
        huge = nbytes >= HUGE_PAGE
        length = nbytes + (HUGE_PAGE if huge else 0)
        if os.name == "posix":
            self._map = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:
            self._map = mmap.mmap(-1, length)
        self._anchor = ctypes.c_char.from_buffer(self._map)  # holds the mapping while the address is in use
        start = ctypes.addressof(self._anchor)
        self.address = -(-start // HUGE_PAGE) * HUGE_PAGE if huge else start
        self.nbytes = nbytes
        if huge and hasattr(mmap, "MADV_HUGEPAGE"):
            offset = self.address - start
            try:
                self._map.madvise(mmap.MADV_HUGEPAGE, offset, length - offset)
            except OSError:  # a kernel without huge pages: ordinary ones do the same, slower
                self.nbytes = nbytes


def immortal(thing: Any) -> Any:
    """Keep an object past the interpreter's end: worker threads may still use what it holds."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    return thing


def executable(content: bytes | bytearray) -> int:
    """Address of a copy of machine code, at the start of a page; it stays. Its pages can be written first and executed then, never both.

    Raises
    ------
    InternalError
        If the system does not let memory become executable.
    """
    size = ctypes.c_size_t(len(content))
    if os.name != "posix":
        return _executable_on_windows(content, size)
    pages = immortal(mmap.mmap(-1, len(content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    pages[:] = content
    address = ctypes.addressof(immortal(ctypes.c_char.from_buffer(pages)))
    if _process().mprotect(ctypes.c_void_p(address), size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise InternalError("this system does not let memory become executable")
    if platform.machine() in ("aarch64", "arm64"):  # there, what was written is not seen by what fetches instructions
        if sys.platform == "darwin":
            _process().sys_icache_invalidate(ctypes.c_void_p(address), size)
        else:
            getattr(ctypes.CDLL("libgcc_s.so.1"), "__clear_cache")(ctypes.c_void_p(address), ctypes.c_void_p(address + len(content)))
    return address


def _executable_on_windows(content: bytes | bytearray, size: ctypes.c_size_t) -> int:
    kernel: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel.VirtualAlloc.restype = ctypes.c_void_p
    address: int = kernel.VirtualAlloc(None, size, 0x3000, 0x04) or 0  # reserved and committed, to be read and written
    if address:
        ctypes.memmove(address, bytes(content), len(content))
    if not address or not kernel.VirtualProtect(ctypes.c_void_p(address), size, 0x20, ctypes.byref(ctypes.c_uint32())):  # to be read and executed
        raise InternalError("this system does not let memory become executable")
    kernel.FlushInstructionCache(ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.c_void_p(address), size)
    return address


def physical_memory() -> int:
    """Bytes of main memory (8 GiB where the system does not tell)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def usable_memory() -> int:
    """Bytes of memory that this process can have at all: the machine's, or fewer where its group has a limit."""
    limits = [physical_memory()]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            limits.append(int(text))
    return min(limits)


# -- native threads ------------------------------------------------------------------------------
@functools.cache
def _process() -> ctypes.CDLL:
    return ctypes.CDLL(None) if os.name == "posix" else ctypes.cdll.msvcrt


@functools.cache
def symbol(name: str) -> int:
    """Address of a C library function.

    Raises
    ------
    InternalError
        If this process has no such symbol.
    """
    try:
        address = ctypes.cast(getattr(_process(), name), ctypes.c_void_p).value
    except AttributeError:
        address = None
    if not address:
        raise InternalError(f"the C library of this system has no {name}")
    return address


def start_thread(function: int, argument: int) -> bool:
    """Start a detached native thread at ``function(argument)``; False if the system has no room for one.

    All signals are blocked in it, so that Python's handlers run on Python's threads.
    """
    handle = ctypes.c_void_p()
    create = _process().pthread_create
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        failed = create(ctypes.byref(handle), None, ctypes.c_void_p(function), ctypes.c_void_p(argument))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if not failed:
        _process().pthread_detach(handle)
    return not failed


def init_lock(mutex: int, condition: int) -> None:
    """Make a POSIX mutex and condition in zeroed memory (128 bytes hold each on every system)."""
    _process().pthread_mutex_init(ctypes.c_void_p(mutex), None)
    _process().pthread_cond_init(ctypes.c_void_p(condition), None)


# -- the machine ---------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Caches:
    """Data cache sizes in bytes of one core's share: ``l1`` and ``l2`` are its own, ``l3`` is the whole.

    ``known`` is false where the system does not tell and the sizes are common ones.
    """

    l1: int
    l2: int
    l3: int
    known: bool


@functools.cache
def cache_sizes() -> Caches:
    """The sizes of this machine's data caches."""
    sizes = _sysfs_caches() if sys.platform.startswith("linux") else _sysctl_caches() if sys.platform == "darwin" else {}
    return Caches(sizes.get(1, 32 << 10), sizes.get(2, 512 << 10), sizes.get(3, 4 << 20 if not sizes else 0), bool(sizes))


def _sysfs_caches() -> dict[int, int]:
    found: dict[int, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                found[int(level)] = int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1], 0)
        except (OSError, ValueError):
            continue
    return found


def _sysctl_caches() -> dict[int, int]:
    names = {1: "hw.l1dcachesize", 2: "hw.l2cachesize", 3: "hw.l3cachesize"}
    for level, suffix in ((1, "l1dcachesize"), (2, "l2cachesize")):
        if _sysctl(f"hw.perflevel0.{suffix}"):
            names[level] = f"hw.perflevel0.{suffix}"
    return {level: size for level, name in names.items() if (size := int.from_bytes(_sysctl(name), sys.byteorder))}


def _sysctl(name: str) -> bytes:
    size = ctypes.c_size_t(0)
    call = _process().sysctlbyname
    if call(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0)) or not size.value:
        return b""
    value = ctypes.create_string_buffer(size.value)
    failed = call(name.encode(), value, ctypes.byref(size), None, ctypes.c_size_t(0))
    return b"" if failed else value.raw[: size.value]


@functools.cache
def cpu_model() -> str:
    """The CPU's name as the system tells it."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string").rstrip(b"\0").decode() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "Model"):
                    return value.strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


#: What Linux says of a CPU that decides which instructions it has; the rest changes from moment to moment.
_IDENTITY = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ")


def cpu_identity() -> bytes:
    """What the system says of the CPU, different where instructions are; empty if it says nothing."""
    if sys.platform == "darwin":
        names = ("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features", "hw.cpufamily", "hw.cpusubfamily")
        return b"\n".join([_sysctl(name) for name in names]) + platform.machine().encode()
    try:
        with open("/proc/cpuinfo", "rb") as lines:
            first = itertools.takewhile(bytes.strip, lines)  # of many cores, the first: they are alike
            return b"".join([line for line in first if line.decode(errors="replace").startswith(_IDENTITY)])
    except OSError:
        return b""


def private_folder(folder: Path) -> str:
    """Why other users could put files into ``folder``; empty if they cannot."""
    if os.name != "posix":
        return ""
    found = os.stat(folder)
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, not to you ({os.geteuid()})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""
