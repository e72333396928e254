"""Settings: defaults, environment variables, assignment, and refusal of what a setting cannot have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from insitu.config import Config, settings, usable_cores
from insitu.errors import ArgumentError

VARIABLES = ("THREADS", "CPU", "VECTOR_BITS", "CACHE_DIR", "CACHE_LIMIT", "VERIFY", "EAGER", "TRACEBACK")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(f"INSITU_{name}", raising=False)
    return monkeypatch


def test_defaults(bare: pytest.MonkeyPatch) -> None:
    c = Config()
    assert c.threads == usable_cores() >= 1
    assert (c.cpu, c.vector_bits, c.cache_limit) == ("native", None, 2**30)
    assert (c.verify, c.eager, c.traceback) == (False, False, "short")
    assert c.cache_dir.name == "insitu"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("THREADS", " 3 ", "threads", 3),
        ("THREADS", "", "threads", usable_cores()),
        ("CPU", "haswell", "cpu", "haswell"),
        ("VECTOR_BITS", "256", "vector_bits", 256),
        ("CACHE_DIR", "/some/where", "cache_dir", Path("/some/where")),
        ("CACHE_DIR", "~/x", "cache_dir", Path.home() / "x"),
        ("CACHE_LIMIT", "0", "cache_limit", 0),
        ("CACHE_LIMIT", "1_000", "cache_limit", 1000),
        ("CACHE_LIMIT", "512M", "cache_limit", 512 << 20),
        ("CACHE_LIMIT", "2 GiB", "cache_limit", 2 << 30),
        ("CACHE_LIMIT", "7kb", "cache_limit", 7 << 10),
        ("VERIFY", "1", "verify", True),
        ("EAGER", "off", "eager", False),
        ("TRACEBACK", "FULL", "traceback", "full"),
    ],
)
def test_environment_is_read(bare: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object) -> None:
    bare.setenv(f"INSITU_{variable}", text)
    assert getattr(Config(), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", "0"), ("threads", "-1"), ("threads", "2.5"), ("threads", "many"), ("threads", "1025"), ("threads", "²"),
        ("cpu", "pentium-mmx"), ("cpu", "Haswell"), ("vector_bits", "100"), ("vector_bits", "wide"),
        ("cache_limit", "-5"), ("cache_limit", "5X"), ("cache_limit", "1.5G"), ("cache_limit", "G"),
        ("verify", "maybe"), ("eager", "2"), ("traceback", "long"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_by_variable_and_attribute(bare: pytest.MonkeyPatch, name: str, value: str) -> None:
    c = Config()
    with pytest.raises(ArgumentError) as by_attribute:
        setattr(c, name, value)
    bare.setenv(f"INSITU_{name.upper()}", value)
    with pytest.raises(ArgumentError) as by_variable:
        getattr(c, name)
    slug = "config-" + name.replace("_", "-")
    assert by_attribute.value.slug == by_variable.value.slug == slug
    assert f"config.{name}" in by_attribute.value.what and f"INSITU_{name.upper()}" in by_variable.value.what
    assert by_variable.value.expected and by_variable.value.fix and repr(value) in by_variable.value.received


@pytest.mark.parametrize(("name", "value"), [("threads", True), ("threads", 1.0), ("cache_limit", -1), ("verify", 2), ("cache_dir", 5), ("cpu", 7)])
def test_bad_objects_are_refused(bare: pytest.MonkeyPatch, name: str, value: object) -> None:
    with pytest.raises(ArgumentError):
        setattr(Config(), name, value)


def test_assignment_none_and_revision(bare: pytest.MonkeyPatch) -> None:
    c = Config()
    before = c.revision
    c.threads = 7
    assert c.threads == 7 and c.revision > before
    c.threads = None
    assert c.threads == usable_cores()
    c.cache_dir = "/tmp/somewhere"
    assert c.cache_dir == Path("/tmp/somewhere")
    with pytest.raises(ArgumentError, match="no setting 'thread'"):
        c.thread = 2
    assert set(settings()) == {"threads", "cpu", "vector_bits", "cache_dir", "cache_limit", "verify", "eager", "traceback"}
    assert "threads=" in repr(c)


def test_target_follows_cpu_and_width(bare: pytest.MonkeyPatch) -> None:
    c = Config()
    native = c.target
    assert c.target is native
    c.threads = 3
    assert c.target is native  # programs are made again for another one
    c.vector_bits = 128
    assert c.target.vector_bits == 128 and c.target.isa != native.isa
    if native.triple.startswith("x86_64"):
        c.cpu = "haswell"
        c.vector_bits = None
        assert c.target.cpu == "haswell" and c.target.vector_bits == 256 and c.target.fma


def test_import_does_not_pull_in_heavy_modules() -> None:
    code = "import sys, insitu.config; print([m for m in ('numpy', 'llvmlite', 'platformdirs') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert out.stdout.strip() in ("[]", "['numpy']")  # the package's own front page may need NumPy; config does not
