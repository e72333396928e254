"""An object file to an image: the machine code and the constants of a kernel as bytes that run wherever a page starts.

Kernels need nothing from outside and have no memory of their own, so that all that is left to do is to lay the sections side by
side and to fill in how far from an instruction lies what it refers to. It is done once, when a kernel is made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from insitu.codegen.target import LINE, PAGE
from insitu.errors import InternalError

_SYMBOLS, _RELOCATIONS, _NO_BITS = 2, 4, 8
_WRITABLE, _LOADED = 1, 2
_GLOBAL = 1


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


_SECTION, _SYMBOL, _RELOCATION = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ"), struct.Struct("<QQq")


def linked(content: bytes) -> bytes:
    """The image of a 64-bit little-endian ELF object file.

    A line of text names the functions and where they start (``name offset name offset``); the bytes to load, at a multiple of
    ``PAGE``, follow.

    Raises
    ------
    InternalError
        If the object file refers to something that it does not define, or asks for more than `linked` knows.
    """
    if content[:6] != b"\x7fELF\x02\x01":
        raise InternalError("a kernel does not link: LLVM made something else than a 64-bit little-endian ELF file")
    (machine,), (table,) = struct.unpack_from("<H", content, 18), struct.unpack_from("<Q", content, 40)
    count = struct.unpack_from("<H", content, 60)[0]
    sections = [_Section(*_SECTION.unpack_from(content, table + _SECTION.size * k)) for k in range(count)]
    image, places = bytearray(), dict[int, int]()
    for k, s in enumerate(sections):
        if s.flags & _LOADED:
            if s.flags & _WRITABLE or s.kind == _NO_BITS or s.align > PAGE:
                raise InternalError("a kernel does not link: it has memory of its own")
            image += bytes(-len(image) % max(s.align, LINE))
            places[k] = len(image)
            image += content[s.offset : s.offset + s.size]
    symbols, names = list[_Symbol](), b""
    for s in sections:
        if s.kind == _SYMBOLS:
            symbols = [_Symbol(*found) for found in _SYMBOL.iter_unpack(content[s.offset : s.offset + s.size])]
            names = content[sections[s.link].offset :][: sections[s.link].size]
    for s in sections:
        if s.kind == _RELOCATIONS and s.info in places:
            for offset, info, addend in _RELOCATION.iter_unpack(content[s.offset : s.offset + s.size]):
                symbol, kind = symbols[info >> 32], (machine, info & 0xFFFFFFFF)
                if symbol.section not in places:
                    raise InternalError(f"a kernel does not link: nothing defines {_name(names, symbol)}")
                if kind not in _KINDS:
                    raise InternalError(f"a kernel does not link: it has a reference of the kind {kind}")
                at = places[s.info] + offset
                _KINDS[kind](image, at, places[symbol.section] + symbol.value + addend)
    functions = [f"{_name(names, s)} {places[s.section] + s.value}" for s in symbols if s.info >> 4 == _GLOBAL and s.section in places]
    return f"{' '.join(functions)}\n".encode() + image


def _name(names: bytes, symbol: _Symbol) -> str:
    return names[symbol.name : names.index(b"\0", symbol.name)].decode()


# -- references: how the distance to `to` is written at `at` -------------------------------------
def _distance32(image: bytearray, at: int, to: int) -> None:
    struct.pack_into("<i", image, at, to - at)


def _arm_pages(image: bytearray, at: int, to: int) -> None:
    pages = to // PAGE - at // PAGE
    _arm(image, at, (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5)


def _arm_in_page(shift: int) -> Callable[[bytearray, int, int], None]:
    return lambda image, at, to: _arm(image, at, (to % PAGE >> shift) << 10)


def _arm_branch(image: bytearray, at: int, to: int) -> None:
    _arm(image, at, to - at >> 2 & 0x3FFFFFF)


def _arm(image: bytearray, at: int, bits: int) -> None:
    struct.pack_into("<I", image, at, struct.unpack_from("<I", image, at)[0] | bits)


_X86_64, _AARCH64 = 62, 183
#: The kinds of references that position-independent code makes, by machine and ELF's number.
_KINDS: dict[tuple[int, int], Callable[[bytearray, int, int], None]] = {
    (_X86_64, 2): _distance32,
    (_X86_64, 4): _distance32,
    (_AARCH64, 261): _distance32,
    (_AARCH64, 275): _arm_pages,
    (_AARCH64, 277): _arm_in_page(0),
    (_AARCH64, 278): _arm_in_page(0),
    (_AARCH64, 284): _arm_in_page(1),
    (_AARCH64, 285): _arm_in_page(2),
    (_AARCH64, 286): _arm_in_page(3),
    (_AARCH64, 299): _arm_in_page(4),
    (_AARCH64, 282): _arm_branch,
    (_AARCH64, 283): _arm_branch,
}
