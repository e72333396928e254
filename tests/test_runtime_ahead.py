"""Machine code made while Python is still at work on a program: begun once, waited for, given up when something goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import target
from insitu.codegen.cpu import assemble
from insitu.codegen.generated import Code
from insitu.compiler import compile_graph, compiled
from insitu.config import config
from insitu.errors import ArgumentError, InternalError
from insitu.graph.node import Node, aval, placeholder
from insitu.runtime.loader import Loader
from insitu.runtime.memory import from_numpy

NATIVE = target.named("native")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config._values, "cache_dir", tmp_path)
    monkeypatch.setitem(config._values, "threads", 2)
    monkeypatch.setitem(config._values, "verify", False)


class Kernel:
    """A kernel that counts how often its text is asked for."""

    def __init__(self, name: str, text: str = "define void @{0}(ptr %args, i64 %begin, i64 %end, ptr %scratch) {{\n  ret void\n}}") -> None:
        self.texts, self._text = 0, f'target triple = "{NATIVE.triple}"\n{text.format(name)}\n'
        self.code = Code(f"test-{name}", name, self._ir, NATIVE)

    def _ir(self) -> str:
        self.texts += 1
        return self._text


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("insitu-llvm")]


def test_a_kernel_is_begun_where_it_is_named_and_made_once() -> None:
    loader, early, late = Loader(), Kernel("early"), Kernel("late")
    with loader.making():
        loader.ahead([early.code, early.code])
        loader.ahead([early.code])
        assert early.texts == 1 and threads()
        assert all(loader.load([early.code, late.code, early.code]))
    assert (early.texts, late.texts, loader.compiled, loader.from_disk) == (1, 1, 2, 0) and not threads()
    with loader.making():
        loader.ahead([early.code])
    assert early.texts == 1


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_begun_outside_of_a_program_or_on_one_thread(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config._values, "threads", count)
    loader, kernel = Loader(), Kernel(f"outside{count}")
    loader.ahead([kernel.code])
    if count == 1:
        with loader.making():
            loader.ahead([kernel.code])
            assert kernel.texts == 0
            loader.load([kernel.code])
            assert not threads()
    else:
        assert kernel.texts == 0
        loader.load([kernel.code])
    assert kernel.texts == loader.compiled == 1


def test_what_lies_on_disk_is_read_and_not_made() -> None:
    first, second, kernel = Loader(), Loader(), Kernel("disk")
    first.load([kernel.code])
    with second.making():
        second.ahead([kernel.code])
        assert second.cache.hits == 1
        second.load([kernel.code])
    assert (kernel.texts, second.compiled, second.from_disk, second.cache.hits) == (1, 0, 1, 1)


def test_llvm_refusing_a_kernel_shows_where_it_is_loaded() -> None:
    loader, bad, good = Loader(), Kernel("bad", "define void @{0}( {{"), Kernel("good")
    with loader.making():
        loader.ahead([bad.code, good.code])
        with pytest.raises(InternalError, match="LLVM refused"):
            loader.load([good.code, bad.code])
    assert loader.load([good.code]) and not threads()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[str]]:
    """LLVM goes on with kernels only when it is let; and the texts that it was given."""
    let, seen, make = threading.Event(), list[str](), assemble.object_code

    def object_code(ir: str, target: target.Target) -> bytes:
        seen.append(ir)
        let.wait()
        return make(ir, target)

    monkeypatch.setattr(assemble, "object_code", object_code)
    return let, seen


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_has_not_begun_is_given_up(error: type[BaseException], held: tuple[threading.Event, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    let, seen = held
    end = ThreadPoolExecutor.shutdown

    def shutdown(pool: ThreadPoolExecutor, **options: bool) -> None:
        end(pool, wait=False, **options)
        let.set()
        end(pool)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
    loader, kernels = Loader(), [Kernel(f"given_up_{error.__name__}{k}") for k in range(8)]

    def compiling() -> None:
        with loader.making():
            loader.ahead([k.code for k in kernels])
            raise error

    with pytest.raises(error):
        compiling()
    assert len(seen) <= 2 and not threads() and loader.compiled == 0
    assert all(loader.load([k.code for k in kernels]))  # as if nothing had been


def graph() -> tuple[list[Node], list[Node]]:
    x, w, b = placeholder(aval((64, 48), dt.float32)), placeholder(aval((48, 80), dt.float32)), placeholder(aval((80,), dt.float32))
    hidden = ops.exp(ops.add(ops.matmul(x, w), ops.broadcast_to(b, (64, 80))))
    return [hidden, ops.matmul(ops.permute(hidden, (1, 0)), hidden), ops.mul(b, b)], [x, w, b]


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    import insitu.compiler.pipeline as pipeline
    import insitu.runtime.program as program

    fresh = Loader()
    monkeypatch.setattr(compiled, "loader", fresh)
    monkeypatch.setattr(pipeline, "loader", fresh)
    monkeypatch.setattr(program, "load", fresh.load)
    return fresh


@pytest.mark.parametrize("constants", [0, 2])
def test_a_program_that_will_run_has_its_kernels_and_no_others(constants: int, loader: Loader) -> None:
    outputs, inputs = graph()
    made = compile_graph(outputs, inputs, NATIVE, join=True, constants=constants, run=True)
    before = made.recipe.preparation
    codes = {code.key for launch in (*made.recipe.launches, *(before.launches if before else ())) for code in launch.codes}
    assert loader.compiled == len(codes) == len(loader._addresses) and not threads()
    assert constants == 0 or before is not None


def test_kernels_are_begun_before_the_program_is_laid_out(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    import insitu.compiler.pipeline as pipeline

    begun: list[int] = []
    plan = pipeline.make_plan
    monkeypatch.setattr(pipeline, "make_plan", lambda *given: (begun.append(len(loader._making.images or ())), plan(*given))[1])
    compile_graph(*graph(), NATIVE, run=True)
    assert begun == [3]  # the loops of two contractions, and those that run programs


def test_a_program_that_is_only_looked_at_has_none(loader: Loader) -> None:
    outputs, inputs = graph()
    assert "contract" in compile_graph(outputs, inputs, NATIVE, join=True).inspect()
    assert loader.compiled == 0 and not threads()


def test_a_program_for_another_cpu_is_refused_before_it_is_made(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, inputs = graph()
    foreign = target.from_features(NATIVE.triple, "imaginary", {"imagined": True})
    monkeypatch.setattr("insitu.runtime.loader.host_features", lambda: {"imagined": False})
    from insitu.runtime.loader import check_runs

    check_runs.cache_clear()
    with pytest.raises(ArgumentError, match="imagined"):
        compile_graph(outputs, inputs, foreign, run=True)
    assert loader.compiled == 0
    check_runs.cache_clear()


def test_kernels_that_have_gone_from_the_disk_are_made_once(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, inputs = graph()
    compile_graph(outputs, inputs, NATIVE, join=True, run=True)
    first = loader.compiled
    for entry in loader.cache.entries():
        if not entry.key.startswith("program-"):
            entry.path.unlink()
    again = Loader()
    monkeypatch.setattr(compiled, "loader", again)
    monkeypatch.setattr("insitu.compiler.pipeline.loader", again)
    monkeypatch.setattr("insitu.runtime.program.load", again.load)
    program = compile_graph(outputs, inputs, NATIVE, join=True, run=True)
    assert (again.compiled, again.from_disk) == (first, 0)
    arrays = [np.full(n.shape, 0.01, np.float32) for n in inputs]
    assert program.run([from_numpy(a) for a in arrays])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_while_another_thread_makes_kernels_makes_its_own(held: tuple[threading.Event, list[str]]) -> None:
    let, seen = held
    loader, slow, own = Loader(), Kernel("slow"), Kernel("own")
    os.register_at_fork(after_in_child=loader._after_fork)
    other = threading.Thread(target=lambda: loader.load([slow.code]))
    other.start()
    while not seen:
        pass
    child = os.fork()
    if child == 0:
        let.set()
        os._exit(0 if all(loader.load([own.code, slow.code])) else 1)
    let.set()
    other.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and loader.compiled == 1


FIRST = """
import json
import numpy as np
import insitu as si
from insitu.runtime import threads
from insitu.runtime.loader import loader

begun = []
begin = loader.ahead
loader.ahead = lambda codes: (begun.extend(code.symbol for code in codes), begin(codes))
value = np.asarray(si.compile(lambda x: x @ x)(np.ones((40, 40), np.float32)))
print(json.dumps([begun[0] == threads.native_code().symbol, float(value.sum()), loader.compiled, len(loader.cache.entries())]))
"""


def test_what_runs_programs_is_begun_with_the_first_of_them(tmp_path: Path) -> None:
    environment = {**os.environ, "INSITU_CACHE_DIR": str(tmp_path), "INSITU_VERIFY": "0", "INSITU_THREADS": "2"}
    found = subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True)
    first, total, made, kept = json.loads(found.stdout)
    assert first and total == 40.0**3 and kept == made + 2  # the recipe, and what LLVM says of this machine
