"""Recipes on disk: a later process runs a program without the compiler's passes, with the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from insitu import dtypes as dt
from insitu import ops
from insitu.codegen import target
from insitu.compiler import compile_graph
from insitu.compiler.recipe import parsed, recipe_key
from insitu.config import config
from insitu.graph.node import REGISTRY, Node, apply, aval, leaf, placeholder, topological
from insitu.runtime.cache import KernelCache

NATIVE = target.named("native")

SCRIPT = """
import json, sys
import numpy as np
import insitu as si
from insitu.runtime.loader import loader

weights = si.Variable(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
velocity = si.Variable(np.zeros((4, 3), np.float32))
fixed = si.asarray(np.linspace(-1, 1, 3 * 900, dtype=np.float32).reshape(3, 900))

@si.compile
def step(x):
    loss, gradient = si.value_and_grad(lambda w: si.mean(si.tanh(x @ w @ (fixed * 2)) ** 2))(weights.value)
    velocity.assign(0.9 * velocity.value - 0.1 * gradient)
    weights.assign(weights.value + velocity.value)
    return loss

for _ in range(3):
    loss = step(np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4))
bits = np.asarray(weights.value).tobytes().hex() + np.asarray(loss).tobytes().hex()
print(json.dumps({"bits": bits, "passes": "insitu.compiler.pipeline" in sys.modules, "llvm": "llvmlite" in sys.modules, "compiled": loader.compiled}))
"""


def run(folder: Path, **settings: str) -> dict[str, object]:
    environment = {**os.environ, "INSITU_CACHE_DIR": str(folder), "INSITU_VERIFY": "0", **settings}
    found = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def test_a_second_process_runs_no_pass_and_no_llvm_and_gets_the_same_bits(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert first["passes"] and first["llvm"] and first["compiled"]
    assert second == {"bits": first["bits"], "passes": False, "llvm": False, "compiled": 0}
    assert run(tmp_path, INSITU_VERIFY="1") == {**second, "passes": True}  # to verify passes they have to run
    assert run(tmp_path, INSITU_CACHE_LIMIT="0")["bits"] == first["bits"]
    for entry in KernelCache(tmp_path, 1 << 30).entries():  # the recipes are there, and kernels have gone
        if not entry.key.startswith("program-"):
            entry.path.unlink()
    third = run(tmp_path)
    assert third["bits"] == first["bits"] and third["passes"] and third["compiled"]


def test_a_recipe_is_its_text() -> None:
    x, w, g = (placeholder(aval((50, 40), dt.float32)) for _ in range(3))
    made = compile_graph([ops.sub(w, ops.mul(g, x)), ops.matmul(x, ops.permute(w, (1, 0)))], [x, w, g], NATIVE, {0: 1}, join=True).recipe
    assert parsed(made.text(), NATIVE, lambda: made) == made
    assert parsed(made.text(), NATIVE, lambda: made).launches[1].code.ir() == made.launches[1].code.ir()
    assert made.results[0] == (50 * 40 * 4, 1)


def test_the_recipe_of_what_is_computed_once_is_part_of_the_text() -> None:
    x, w, g = (placeholder(aval((50, 50), dt.float32)) for _ in range(3))
    made = compile_graph([ops.add(ops.matmul(x, ops.exp(w)), g)], [x, w, g], NATIVE, join=True, constants=2).recipe
    assert made.kept == (1,) and made.preparation is not None and made.preparation.launches
    assert parsed(made.text(), NATIVE, lambda: made) == made


def key(outputs: list[Node], inputs: list[Node], *settings: object) -> str:
    return recipe_key(topological(outputs), outputs, inputs, *settings)


def test_equal_graphs_have_one_key_and_others_their_own() -> None:
    def graph(value: float = 1.0, dtype: dt.DType = dt.float32, shape: tuple[int, ...] = (3,), turned: bool = False, twice: bool = False) -> str:
        a, b = placeholder(aval(shape, dtype)), placeholder(aval(shape, dtype))
        out = ops.add(ops.mul(a, ops.constant(value, dtype)), b)
        return key([out, ops.neg(out if twice else a)], [b, a] if turned else [a, b])

    assert graph() == graph()
    others = [graph(-1.0), graph(0.0), graph(-0.0), graph(float("nan")), graph(float("inf")), graph(1.0 + 2**-23)]
    others += [graph(dtype=dt.float64), graph(1, dt.int32), graph(1, dt.uint32), graph(shape=(4,)), graph(shape=(3, 1))]
    others += [graph(turned=True), graph(twice=True)]
    assert len({graph(), *others}) == 1 + len(others)


def test_settings_are_part_of_the_key() -> None:
    x = placeholder(aval((3,), dt.float32))
    out = ops.neg(x)
    narrow = target.named("native", 128)
    assert len({key([out], [x], *s) for s in ((NATIVE, {}, True), (NATIVE, {}, False), (NATIVE, {0: 0}, True), (narrow, {}, True))}) == 4


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_attributes_are_values_in_the_key(name: str) -> None:
    """What stands for an attribute in the key is the same in every process: no address is in it."""
    prim = REGISTRY[name]
    if name == "input":
        return
    for attrs, arrays in prim.samples(np.random.default_rng(0)):
        node = apply(prim, tuple([leaf(aval(a.shape, dt.as_dtype(a.dtype)), None) for a in arrays]), attrs)
        assert " at 0x" not in repr(node.attrs) and repr(node.attrs) == repr(attrs)


def test_small_graphs_that_are_evaluated_leave_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config._values, "cache_dir", tmp_path)
    monkeypatch.setitem(config._values, "verify", False)
    x = placeholder(aval((3,), dt.float32))
    compile_graph([ops.neg(ops.exp(x))], [x], NATIVE)
    assert not list(tmp_path.iterdir())
    compile_graph([ops.neg(ops.exp(x))], [x], NATIVE, join=True)
    assert len(list(tmp_path.iterdir())) == 1
