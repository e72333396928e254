"""Images of kernels: constants, tables and functions found from wherever a page starts, on each architecture; what cannot be one is refused."""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from insitu.codegen.cpu.assemble import object_code
from insitu.codegen.cpu.link import PAGE, linked
from insitu.codegen.target import from_features, named
from insitu.errors import InternalError
from insitu.runtime import system
from insitu.runtime.runner import text

NATIVE = named("native")
TRIPLES = ("x86_64-unknown-linux-gnu", "x86_64-apple-darwin20", "x86_64-pc-windows-msvc", "aarch64-unknown-linux-gnu", "arm64-apple-darwin23")

#: Constants of several widths, a table of constants, a table of jumps, and a function that another one calls.
KERNEL = """
@table = private unnamed_addr constant [5 x i32] [i32 3, i32 1, i32 4, i32 1, i32 5], align 64

define private double @half(double %x) noinline nounwind {
  %y = fmul double %x, 0.7
  ret double %y
}

define void @constants(ptr %out, i64 %n) nounwind {
  %v = load <4 x float>, ptr %out
  %w = fadd <4 x float> %v, <float 0.25, float 1.5, float 3.0, float 7.125>
  store <4 x float> %w, ptr %out
  %at = getelementptr [5 x i32], ptr @table, i64 0, i64 %n
  %entry = load i32, ptr %at
  %next = getelementptr i8, ptr %out, i64 16
  store i32 %entry, ptr %next
  %d = sitofp i64 %n to double
  %h = call double @half(double %d)
  %last = getelementptr i8, ptr %out, i64 24
  store double %h, ptr %last
  ret void
}

define i64 @jumps(i64 %n, i64 %x) nounwind {
  switch i64 %n, label %none [i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d  i64 4, label %e  i64 5, label %f]
a:
  %ra = add i64 %x, 11
  ret i64 %ra
b:
  %rb = mul i64 %x, 13
  ret i64 %rb
c:
  %rc = xor i64 %x, 17
  ret i64 %rc
d:
  %rd = sub i64 19, %x
  ret i64 %rd
e:
  %re = shl i64 %x, 3
  ret i64 %re
f:
  %rf = or i64 %x, 23
  ret i64 %rf
none:
  ret i64 -1
}
"""


def functions(image: bytes) -> tuple[dict[str, int], bytes]:
    line, _, code = image.partition(b"\n")
    words = line.decode().split()
    return {name: int(at) for name, at in zip(words[::2], words[1::2], strict=True)}, code


def made_for(triple: str, ir: str) -> bytes:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = from_features(triple, "x86-64" if triple.startswith("x86") else "generic", {})
    return object_code(f'target triple = "{triple}"\n{ir}', target)


@pytest.mark.parametrize("before", [0, PAGE, 3 * PAGE])
def test_an_image_runs_wherever_a_page_starts(before: int) -> None:
    found, code = functions(linked(object_code(f'target triple = "{NATIVE.triple}"\n{KERNEL}', NATIVE)))
    assert found.keys() == {"constants", "jumps"}
    base = system.executable(bytes(before) + code) + before
    constants = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(base + found["constants"])
    for n, entry in enumerate((3, 1, 4, 1, 5)):
        out = ctypes.create_string_buffer(struct.pack("4f", 1, 2, 3, 4), 64)
        constants(ctypes.addressof(out), n)
        assert struct.unpack_from("4f", out.raw) == (1.25, 3.5, 6, 11.125)
        assert struct.unpack_from("i", out.raw, 16) == (entry,) and struct.unpack_from("d", out.raw, 24) == (n * 0.7,)
    jumps = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(base + found["jumps"])
    assert [jumps(n, 100) for n in range(7)] == [111, 1300, 100 ^ 17, -81, 800, 100 | 23, -1]


@pytest.mark.parametrize("triple", TRIPLES)
def test_native_loops_and_constants_link_for_each_system(triple: str) -> None:
    found, code = functions(linked(made_for(triple, text(triple))))
    assert found.keys() == {"insitu_run", "insitu_worker", "insitu_dismiss", "insitu_spin"} and max(found.values()) < len(code)
    found, code = functions(linked(made_for(triple, KERNEL)))
    assert found.keys() == {"constants", "jumps"} and struct.pack("<4f", 0.25, 1.5, 3, 7.125) in code


@pytest.mark.parametrize("triple", [t for t in TRIPLES if not t.startswith("x86")])
def test_instructions_of_arm_name_the_page_and_the_place_in_it(triple: str) -> None:
    constants = {struct.pack("<4f", 0.25, 1.5, 3, 7.125), struct.pack("<5i", 3, 1, 4, 1, 5)}
    for filler in (0, 1020, 1021, 5000):  # instructions in front, so that pages lie between the code and its constants
        stores = "  store volatile ptr %p, ptr %p\n" * filler
        ir = f"{KERNEL}\ndefine void @filler(ptr %p) nounwind {{\n{stores}  ret void\n}}\n"
        _, code = functions(linked(made_for(triple, ir)))
        assert constants <= _referred_to(code), filler


def _referred_to(code: bytes) -> set[bytes]:
    """What lies where pairs of instructions (adrp, then add or a load of 16 bytes) point to: 16 and 20 bytes of it."""
    pages: dict[int, int] = {}
    found: set[bytes] = set()
    for at in range(0, len(code) - 3, 4):
        (word,) = struct.unpack_from("<I", code, at)
        if word & 0x9F000000 == 0x90000000:  # adrp
            distance = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            pages[word & 31] = (at // PAGE + distance - (distance >> 20 << 21)) * PAGE
        elif word & 0xFFC00000 in (0x91000000, 0x3DC00000) and word >> 5 & 31 in pages:  # add, ldr q
            to = pages[word >> 5 & 31] + (word >> 10 & 0xFFF) * (16 if word >> 24 == 0x3D else 1)
            found |= {code[to : to + 16], code[to : to + 20]}
    return found


REFUSED = {
    "nothing defines nowhere": "declare void @nowhere()\ndefine void @f() {\n  call void @nowhere()\n  ret void\n}",
    "memory of its own": "@count = internal global i64 5\ndefine ptr @f(i64 %n) {\n  store i64 %n, ptr @count\n  ret ptr @count\n}",
}


@pytest.mark.parametrize("triple", TRIPLES)
@pytest.mark.parametrize("what", REFUSED)
def test_what_needs_more_than_itself_is_refused(triple: str, what: str) -> None:
    with pytest.raises(InternalError, match=f"does not link: .*{what}"):
        linked(made_for(triple, REFUSED[what]))


@pytest.mark.parametrize("content", [b"", b"MZ\x90\0", b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(100), b"\x7fELF\x01\x01" + bytes(100)])
def test_other_formats_are_refused(content: bytes) -> None:
    with pytest.raises(InternalError, match="does not link"):
        linked(content)


def test_a_reference_of_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from insitu.codegen.cpu import link

    monkeypatch.setattr(link, "_KINDS", {})
    with pytest.raises(InternalError, match="a reference of the kind"):
        linked(made_for(TRIPLES[0], KERNEL))


def test_executable_memory_cannot_be_written() -> None:
    address = system.executable(b"\xc3" * 100)
    assert ctypes.string_at(address, 100) == b"\xc3" * 100
    if sys.platform == "linux":
        (line,) = [
            line
            for line in Path("/proc/self/maps").read_text().splitlines()
            if int(line.split("-")[0], 16) <= address < int(line.split()[0].split("-")[1], 16)
        ]
        assert line.split()[1] == "r-xp"
