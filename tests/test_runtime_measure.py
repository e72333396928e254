"""The measuring kernels compute what they should, and the figures are figures."""

from __future__ import annotations

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu.config import config
from insitu.runtime import measure
from insitu.runtime.memory import allocate
from insitu.runtime.program import Launch, Program, Slot
from insitu.runtime.runner import text


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64], ids=lambda d: d.name)
def test_peak_is_positive_and_leaves_the_setting(dtype: dt.DType) -> None:
    before = config.threads
    assert 0.1 < measure.peak_gflops(2, dtype, seconds=0.001) < 1e5
    assert config.threads == before


@pytest.mark.parametrize("kernel", list(measure.STREAMS))
def test_streams_in_cache(kernel: str) -> None:
    assert 0.1 < measure.bandwidth(kernel, "L2", 1, seconds=0.001) < 1e5


@pytest.mark.parametrize(("kernel", "result"), [("copy", [1, 2]), ("triad", [1, 2, 5]), ("triad_nt", [1, 2, 5])])
def test_streams_compute(kernel: str, result: list[float]) -> None:
    target = config.target
    n = 16 * target.lanes(32)
    arrays = [allocate(max(4 * n * 3, 4096)) for _ in result]
    views = [a.view((3 * n,), np.float32, writable=True) for a in arrays]
    for k, view in enumerate(views):
        view[...] = result[k] if k < 2 and kernel != "copy" else 1 - k
    code = measure._code(f"test_{kernel}", target, lambda b: measure._stream(b, kernel, 2))
    Program([Launch(code, tuple(Slot("output", k) for k in range(len(arrays))), (), 2, 1, 0, 0)], 0, len(arrays), 0).run([a.ptr for a in arrays])
    assert (views[-1][: 2 * n] == (5 if kernel != "copy" else 1)).all() and (views[-1][2 * n :] != 5).all()


def test_peak_kernel_computes_chains() -> None:
    target = config.target
    chains, lanes = measure._chains(target), target.lanes(32)
    code = measure._code("test_peak", target, lambda b: measure._fma_chains(b, dt.float32, chains, lanes))
    out = allocate(4096)
    Program([Launch(code, (Slot("output", 0),), (), 5, 1, 0, 0)], 0, 1, 0).run([out.ptr])
    a, c = float(np.float32(0.999)), float(np.float32(0.001))
    power = a**measure._STEPS
    for unit in range(5):
        want = sum((unit + k) * power + c * (1 - power) / (1 - a) for k in range(chains))
        assert out.view((5, 16), np.float32)[unit, 0] == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
def test_native_loops_are_valid_for_each_architecture(triple: str) -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(text(triple))
    module.verify()
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=3, reloc="pic")
    assembly = machine.emit_assembly(module)
    assert "insitu_run" in assembly and ("ldmxcsr" if "x86" in triple else "fpcr") in assembly.lower()
