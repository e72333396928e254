"""Running programs: threads, groups, forks, exits, other people's settings of the CPU, foreign targets."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.codegen.cpu.emitter import Emitter
from insitu.codegen.generated import Code
from insitu.codegen.target import Target, from_features, named
from insitu.config import config
from insitu.errors import ArgumentError, InternalError
from insitu.runtime import loader as module
from insitu.runtime import system
from insitu.runtime.loader import Loader, check_runs, host_features
from insitu.runtime.memory import Memory, allocate, from_numpy
from insitu.runtime.program import Launch, Program, Slot, chunk_units, threads_for
from insitu.runtime.threads import workers

HERE = Path(__file__).resolve().parent


def text(target: Target, symbol: str, plus: float) -> str:
    """``out[i] = fma(x[i], word, plus)`` for each unit i, by way of the thread's scratch."""
    b = Emitter(target)
    with b.function(symbol, [("args", None), ("begin", dt.int64), ("end", dt.int64), ("scratch", None)]) as (args, begin, end, scratch):
        x, y = (b.emit(f"load ptr, {b.offset(args, k, dt.int64)!r}", None) for k in (0, 1))
        factor = b.cast(b.load(b.offset(args, 2, dt.int64), dt.int64), dt.float32)
        with b.loop(begin, end) as loop:
            b.store(b.load(b.offset(x, loop.index, dt.float32), dt.float32), scratch)
            value = b.load(scratch, dt.float32)
            b.store(b.fma(value, factor, b.const(plus, dt.float32)), b.offset(y, loop.index, dt.float32))
    return b.module()


def code(symbol: str = "runtime_test_axpy", target: Target | None = None, plus: float = 1) -> Code:
    made_for = target or named("native")
    return Code(f"test-{symbol}-{made_for.isa}", symbol, lambda: text(made_for, symbol, plus), made_for)


def chain(n: int, grain: int, length: int = 4) -> Program:
    """``length`` kernels one after the other through the arena: x -> x*(k+1) + 1."""
    launches = []
    for k in range(length):
        source = Slot("input", 0) if k == 0 else Slot("arena", (k - 1) % 2 * 4 * n)
        target = Slot("output", 0) if k == length - 1 else Slot("arena", k % 2 * 4 * n)
        launches.append(Launch(code(), (source, target), (k + 1,), n, grain, 64, k))
    return Program(launches, 1, 1, 8 * n)


def expected(x: np.ndarray, length: int = 4) -> np.ndarray:
    for k in range(length):
        x = (x.astype(np.float64) * (k + 1) + 1).astype(np.float32)
    return x


def run(program: Program, x: np.ndarray) -> np.ndarray:
    source, out = from_numpy(x), allocate(x.nbytes)
    program.run([source.ptr, out.ptr])
    return out.view(x.shape, x.dtype).copy()


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    config.threads = None


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(("n", "grain"), [(1, 1), (10, 1000), (37, 1), (1000, 7), (100_003, 64), (65_536, 8192)])
def test_any_number_of_threads_gives_the_same_values(n: int, grain: int, threads: int) -> None:
    config.threads = threads
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    program = chain(n, grain)
    for _ in range(20):
        assert run(program, x).tobytes() == expected(x).tobytes()


def test_the_number_of_threads_may_change_between_runs() -> None:
    before = workers.count
    x = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    program = chain(x.size, 100)
    for threads in (1, 3, 2, 7, 1, 16, 2):
        config.threads = threads
        assert run(program, x).tobytes() == expected(x).tobytes()
    assert workers.count == max(15, before)  # workers stay for the next time


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_launches_of_a_group_all_run(threads: int) -> None:
    config.threads = threads
    n, parts = 5000, 9
    launches = [Launch(code(), (Slot("input", 0), Slot("output", k)), (k,), n - 7 * k, 1 + 100 * (k % 3), 16 * k, 0) for k in range(parts)]
    launches.insert(3, Launch(code(), (Slot("input", 0), Slot("output", 0)), (99,), 0, 1, 0, 0))  # no units: does not run
    launches.append(Launch(code(), (Slot("output", 8), Slot("output", 9)), (2,), n - 56, 10, 4, 1))  # waits for the group before
    program = Program(launches, 1, parts + 1, 0)
    x = np.arange(n, dtype=np.float32)
    source, outs = from_numpy(x), [allocate(4 * n) for _ in range(parts + 1)]
    program.run([source.ptr, *(o.ptr for o in outs)])
    for k in range(parts):
        assert (outs[k].view((n,), np.float32)[: n - 7 * k] == x[: n - 7 * k] * k + 1).all()
    assert (outs[9].view((n,), np.float32)[: n - 56] == (x[: n - 56] * 8 + 1) * 2 + 1).all()


def test_empty_programs_run() -> None:
    Program([], 0, 0, 0).run([])
    Program([Launch(code(), (Slot("input", 0), Slot("output", 0)), (1,), 0, 1, 0, 0)], 1, 1, 0).run([0, 0])


def test_the_split_of_work() -> None:
    launch = Launch(code(), (), (), 1000, 10, 0, 0)
    assert threads_for([launch], 1) == 1 and threads_for([launch], 8) == 8 and threads_for([launch], 1000) == 100
    tiny = Launch(code(), (), (), 10, 1000, 0, 0)
    assert threads_for([tiny], 8) == 1 and threads_for([tiny] * 100, 8) == 1 and threads_for([tiny] * 101, 8) == 2
    assert chunk_units(launch, 1) == 1000 and chunk_units(launch, 2) == 125 and chunk_units(launch, 64) == 16
    assert chunk_units(dataclasses.replace(launch, grain=64), 2) == 128
    assert chunk_units(dataclasses.replace(launch, units=9, grain=1), 2) == 5  # two of five each are fewer than three of two
    assert [chunk_units(dataclasses.replace(launch, shared=x), 2) for x in (1, 6, 20)] == [125, 250, 500]


def test_wrong_pointers_and_slots_are_refused() -> None:
    program = chain(10, 10)
    with pytest.raises(InternalError, match="takes 1 \\+ 1 pointers, got 3"):
        program.run([1, 2, 3])
    for slot in (Slot("input", 1), Slot("output", -1), Slot("arena", 8)):
        with pytest.raises(InternalError, match="axpy"):
            Program([Launch(code(), (slot, slot), (1,), 1, 1, 0, 0)], 1, 1, 8)
    with pytest.raises(InternalError, match="grain"):
        Program([Launch(code(), (), (), 1, 0, 0, 0)], 0, 0, 0)


def test_python_threads_may_run_one_program_and_several() -> None:
    config.threads = 2
    shared = chain(30_000, 100)
    wrong: list[int] = []

    def work(mark: int) -> None:
        x = np.full(30_000, mark, np.float32)
        own, want = chain(x.size, 100, length=3), expected(x).tobytes()
        good = [run(shared, x).tobytes() == want and run(own, x).tobytes() == expected(x, 3).tobytes() for _ in range(60)]
        wrong.append(good.count(False))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == [0] * 5


def test_denormals_are_kept_whatever_others_have_set() -> None:
    """Another library's flush-to-zero on the calling thread neither reaches the kernels nor is lost."""
    triple = named("native").triple
    if not triple.startswith("x86_64"):
        pytest.skip("sets the x86 control register")
    import ctypes

    target = from_features(triple, "x86-64", {})
    module = f"""target triple = "{triple}"
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)
define void @test_set_control(ptr %p) {{
  call void @llvm.x86.sse.ldmxcsr(ptr %p)
  ret void
}}
define void @test_get_control(ptr %p) {{
  call void @llvm.x86.sse.stmxcsr(ptr %p)
  ret void
}}"""
    names = ("test_set_control", "test_get_control")
    functions = Loader().functions(Code("test-control", names[0], lambda: module, target))
    write, read = (ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(functions[name]) for name in names)
    config.threads = 2
    n, tie = 40_000, float(np.float32(1.5 * 2.0**-24))  # 1 + tie is 1 + 2**-23 to nearest, 1 toward zero
    kinds = ((code("same", plus=0), 1e-40), (code("rounded", plus=tie), 1.0))
    sources = [from_numpy(np.full(n, start, np.float32)) for _, start in kinds]
    outs = [allocate(4 * n) for _ in kinds]
    launches = [Launch(kind, (Slot("input", k), Slot("output", k)), (1,), n, 100, 64, 0) for k, (kind, _) in enumerate(kinds)]
    program, alone = Program(launches, 2, 2, 0), Program([dataclasses.replace(m, grain=n) for m in launches], 2, 2, 0)
    flush_and_chop = 0x1F80 | 0x8040 | 0x6000
    word, seen, old = ctypes.c_uint32(flush_and_chop), ctypes.c_uint32(), ctypes.c_uint32()
    read(ctypes.addressof(old))
    for each in (program, alone):
        for out in outs:
            out.view((n,), np.float32, writable=True)[...] = 0
        try:
            write(ctypes.addressof(word))
            each.run([m.ptr for m in (*sources, *outs)])
            read(ctypes.addressof(seen))
        finally:
            write(ctypes.addressof(old))
        assert seen.value & 0xFFC0 == flush_and_chop
        same, rounded = (out.view((n,), np.float32) for out in outs)
        assert (same == np.float32(1e-40)).all() and same[0] > 0
        assert (rounded == np.float32(1 + 2.0**-23)).all()


def test_memory_of_a_program_is_kept_between_runs() -> None:
    program = chain(5000, 100)
    x = np.ones(5000, np.float32)
    run(program, x)
    arena = program._arena
    run(program, x)
    assert isinstance(arena, Memory) and program._arena is arena


def test_code_for_another_cpu_is_refused_unless_it_runs_here() -> None:
    triple = named("native").triple
    check_runs(named("native"))
    lacking = next((name for name, there in sorted(host_features().items()) if not there), None)
    if lacking is None:
        pytest.skip("this CPU has everything")
    target = from_features(triple, "imaginary", {lacking: True})
    with pytest.raises(ArgumentError) as caught:
        Program([Launch(code("never_made", target), (Slot("input", 0),), (), 1, 1, 0, 0)], 1, 0, 0)
    assert caught.value.slug == "config-cpu-cannot-run" and lacking in caught.value.what


def test_llvm_is_asked_about_this_machine_once_for_each_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> int:
        """How often LLVM is asked by a process that starts now."""
        asked.clear()
        monkeypatch.setattr(module, "loader", Loader())
        assert from_features(*module.host.__wrapped__()) == named("native")
        return len(asked)

    asked: list[None] = []
    features = llvm.get_host_cpu_features
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: (asked.append(None), features())[1])
    monkeypatch.setitem(config._values, "cache_dir", tmp_path)
    monkeypatch.setattr(system, "cpu_identity", lambda: b"one")
    assert (ask(), ask()) == (1, 0)
    monkeypatch.setattr(system, "cpu_identity", lambda: b"another")
    assert (ask(), ask()) == (1, 0)
    for entry in module.loader.cache.entries():
        entry.path.write_bytes(entry.path.read_bytes()[:-1] + b"?")
    assert (ask(), ask()) == (1, 0)
    monkeypatch.setattr(system, "cpu_identity", lambda: b"")  # the system does not say
    assert (ask(), ask()) == (1, 1)


def test_code_for_an_older_cpu_runs_here() -> None:
    if not named("native").triple.startswith("x86_64"):
        pytest.skip("names x86 CPUs")
    x = np.arange(100, dtype=np.float32)
    for cpu in ("x86-64", "nehalem"):
        launch = Launch(code("axpy_" + cpu.replace("-", "_"), named(cpu)), (Slot("input", 0), Slot("output", 0)), (3,), 100, 10, 4, 0)
        assert (run(Program([launch], 1, 1, 0), x) == x * 3 + 1).all()


def test_llvm_refusing_a_kernel_is_an_internal_error() -> None:
    bad = Code("test-bad-1", "bad", lambda: "define void @bad( {", named("native"))
    with pytest.raises(InternalError, match="LLVM refused"):
        Program([Launch(bad, (), (), 1, 1, 0, 0)], 0, 0, 0)
    lines = (
        f'target triple = "{named("native").triple}"',
        "declare void @nowhere()",
        "define void @bad2() {",
        "  call void @nowhere()",
        "  ret void",
        "}",
    )
    lost = Code("test-bad-2", "bad2", lambda: "\n".join(lines), named("native"))
    with pytest.raises(InternalError, match="does not link"):
        Program([Launch(lost, (), (), 1, 1, 0, 0)], 0, 0, 0)
    x = np.arange(10, dtype=np.float32)
    assert run(chain(10, 10), x).tobytes() == expected(x).tobytes()  # and others still load


def test_a_second_loader_takes_kernels_from_disk(tmp_path: Path) -> None:
    before = config.cache_dir
    config.cache_dir = tmp_path / "kernels"
    try:
        first, second, third = Loader(), Loader(), Loader()
        wanted = [code("disk_a"), code("disk_b"), code("disk_a")]
        addresses = first.load(wanted)
        assert addresses[0] == addresses[2] != addresses[1] and (first.compiled, first.from_disk) == (2, 0)
        second.load(wanted)
        assert (second.compiled, second.from_disk) == (0, 2)
        for path in config.cache_dir.iterdir():
            path.write_bytes(path.read_bytes()[:-5])
        third.load(wanted)
        assert (third.compiled, third.from_disk) == (2, 0) and third.cache.stats().count == 2
    finally:
        config.cache_dir = before


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_runs_programs(order: str) -> None:
    config.threads = 3
    x = np.random.default_rng(1).standard_normal(50_000).astype(np.float32)
    program = chain(x.size, 100)
    if order == "before":
        assert run(program, x).tobytes() == expected(x).tobytes()
    busy = threading.Event()
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            run(program, x)
            busy.set()

    other = threading.Thread(target=keep_busy)
    other.start()
    busy.wait(10)
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                good = all(run(program, x).tobytes() == expected(x).tobytes() for _ in range(5)) and workers.count == 2
                fresh = run(chain(x.size, 10, 2), x).tobytes() == expected(x, 2).tobytes()
                os._exit(0 if good and fresh else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        other.join()
    assert run(program, x).tobytes() == expected(x).tobytes()


EXIT = """
import sys, threading
sys.path.insert(0, {here!r})
import llvmlite.binding as llvm
import numpy as np
from insitu.config import config
import test_runtime_program as t
config.threads = 3
program, x = t.chain(100_000, 100), np.ones(100_000, np.float32)
t.run(program, x)
if {how!r} == "daemon":
    def forever():
        own = t.chain(100_000, 100)
        while True:
            own.run([t.from_numpy(x).ptr, out.ptr])
    out = t.allocate(x.nbytes)
    for _ in range(2):
        threading.Thread(target=forever, daemon=True).start()
if {how!r} == "atexit":
    import atexit
    atexit.register(lambda: print("late", (t.run(program, x) == t.expected(x)).all()))
t.run(program, x)
print("done", flush=True)
if {how!r} == "exception":
    raise SystemExit(3)
"""


@pytest.mark.parametrize("how", ["plain", "daemon", "atexit", "exception"])
def test_the_interpreter_ends_without_a_crash(how: str) -> None:
    out = subprocess.run([sys.executable, "-c", EXIT.format(here=str(HERE), how=how)], capture_output=True, text=True, timeout=60, check=False)
    assert out.returncode == (3 if how == "exception" else 0), out.stderr
    assert out.stdout.startswith("done") and ("late True" in out.stdout) == (how == "atexit")


def test_control_c_reaches_python() -> None:
    script = EXIT.format(here=str(HERE), how="plain") + "import time\ntry:\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    sys.exit(7)\n"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    if process.stdout is None or os.name != "posix":
        pytest.skip("needs POSIX signals")
    with process.stdout:
        assert process.stdout.readline() == "done\n"
        import signal
        import time

        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 7
