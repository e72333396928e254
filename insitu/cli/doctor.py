"""``insitu doctor``: the machine, the settings, the kernel cache, the versions, and what is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
import warnings
from typing import Any

import numpy as np
from rich.console import Console

import insitu as si
from insitu.cli.kernels import size
from insitu.config import config, usable_cores
from insitu.errors import InsituWarning, InternalError, UserError
from insitu.runtime import measure, system

_SHOWN_FEATURES = (
    "sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512dq",
    "avx512vl", "avx512bf16", "avx512fp16", "amx-tile", "neon", "fp16", "bf16", "sve",
)  # fmt: skip
_PACKAGES = ("numpy", "llvmlite", "ml_dtypes", "rich", "click", "safetensors", "platformdirs")


def examine() -> dict[str, Any]:
    """All facts, ready for JSON; ``works`` tells whether a small program gives the right values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsituWarning)  # what they would say is among the problems
        return _examine()


def _examine() -> dict[str, Any]:
    target = config.target
    caches = system.cache_sizes()
    works, trouble = _self_test()
    machine = _machine(target)
    cache = _cache_facts()
    report: dict[str, Any] = {
        "works": works,
        "cpu": system.cpu_model(),
        "target": {
            "cpu": target.cpu,
            "setting": config.cpu,
            "triple": target.triple,
            "vector_bits": target.vector_bits,
            "registers": target.registers,
        },
        "features": _features(target.features),
        "fma": target.fma,
        "arithmetic": "fused multiply-add" if target.fma else "multiply, then add (bits differ from machines with FMA)",
        "threads": config.threads,
        "cores": usable_cores(),
        "caches": {"l1": caches.l1, "l2": caches.l2, "l3": caches.l3, "known": caches.known},
        "memory_bytes": system.physical_memory(),
        **machine,
        "kernel_cache": cache,
        "versions": _versions(),
    }
    report["problems"] = [*trouble, *_problems(report)]
    return report


def show(report: dict[str, Any]) -> None:
    """Print the facts for a person."""
    console = Console()
    target, caches, cache, versions = report["target"], report["caches"], report["kernel_cache"], report["versions"]
    bandwidth = ", ".join(f"{gb:.0f} GB/s on {_threads(n)}" for n, gb in report["bandwidth_gbs"].items())
    peak = ", ".join(f"{g:.0f} GFLOP/s on {_threads(n)}" for n, g in report["peak_gflops"].items())
    rows = [
        ("CPU", f"{report['cpu']} ({target['triple']})"),
        ("code is made for", f"{target['cpu']}, vectors of {target['vector_bits']} bits, {target['registers']} registers"),
        ("features", " ".join(report["features"])),
        ("arithmetic", report["arithmetic"]),
        ("threads", f"{report['threads']} of {report['cores']} cores"),
        ("caches", f"{size(caches['l1'])}, {size(caches['l2'])}, {size(caches['l3'])}" + ("" if caches["known"] else " (assumed)")),
        ("memory", size(report["memory_bytes"])),
        ("float32 peak", peak),
        ("bandwidth", bandwidth),
        ("kernel cache", f"{cache['folder']}"),
        (
            "",
            f"{cache['kernels']} kernels, {size(cache['bytes'])} of {size(cache['limit'])}; {cache['hits']} hits and {cache['misses']} misses now",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    for name, text in rows:
        console.print(f"[bold]{name:<18}[/]", end="", highlight=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for problem in report["problems"]:
        console.print("\n[bold yellow]problem[/]           ", end="", highlight=False)
        console.print(problem, highlight=False, markup=False, soft_wrap=True)
    if not report["problems"]:
        console.print("\nNothing is wrong: a small program compiled, ran and gave the right values.", highlight=False)


def _threads(count: Any) -> str:
    return f"{count} thread" if int(count) == 1 else f"{count} threads"


def _features(listed: str) -> list[str]:
    have = {f[1:] for f in listed.split(",") if f.startswith("+")}
    return [f for f in _SHOWN_FEATURES if f in have]


def _machine(target: Any) -> dict[str, Any]:
    counts = sorted({1, config.threads})
    return {
        "peak_gflops": {str(n): measure.peak_gflops(n) for n in counts},
        "bandwidth_gbs": {str(n): measure.bandwidth("copy", "memory", n) for n in counts},
    }


def _cache_facts() -> dict[str, Any]:
    from insitu.runtime.loader import loader

    stats = loader.cache.stats()
    return {
        "folder": str(stats.folder), "usable": stats.usable, "problem": stats.problem, "kernels": stats.count, "bytes": stats.nbytes,
        "limit": stats.limit, "hits": stats.hits, "misses": stats.misses, "writable": _writable(),
    }  # fmt: skip


def _writable() -> bool:
    """Whether the folder, or the nearest one above it that exists, may be written."""
    folder = config.cache_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _versions() -> dict[str, str]:
    from insitu.version import __version__

    versions = {"insitu": __version__, "Python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    import llvmlite.binding as llvm

    versions["LLVM"] = ".".join(map(str, llvm.llvm_version_info))
    return versions


def _self_test() -> tuple[bool, list[str]]:
    """Compile and run a small program and compare it with NumPy."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 29)).astype(np.float32), rng.standard_normal((29, 41)).astype(np.float32)
    expected = np.tanh(a.astype(np.float64) @ b + 0.5).sum(0)
    try:
        started = time.perf_counter()
        got = np.asarray(si.compile(lambda x, y: si.sum(si.tanh(x @ y + 0.5), axis=0))(si.asarray(a), si.asarray(b)))
        taken = time.perf_counter() - started
    except (UserError, InternalError, OSError, RuntimeError) as error:
        return False, [f"A small program did not run: {type(error).__name__}: {error}"]
    error_size = float(np.abs(got - expected).max())
    if not error_size < 1e-4:
        return False, [f"A small program gave wrong values (off by {error_size:.3g}). Please report this with the output of this command."]
    slow = [f"A small program took {taken:.1f} s to compile and run; the machine is busy or very slow."] if taken > 5 else []
    return True, slow


def _problems(report: dict[str, Any]) -> list[str]:
    """What is not as it should be, with the remedy."""
    found = []
    cache, versions = report["kernel_cache"], report["versions"]
    if cache["problem"]:
        found.append(f"The kernel cache is not used: {cache['problem']}. Point INSITU_CACHE_DIR to a folder of your own.")
    elif not cache["limit"]:
        found.append("The kernel cache is switched off (its limit is 0): every process compiles anew. Unset INSITU_CACHE_LIMIT.")
    elif not cache["writable"]:
        found.append(f"{cache['folder']} cannot be written: every process compiles anew. Point INSITU_CACHE_DIR to a folder you can write.")
    found += [f"The package {name} is missing: pip install {name}" for name, version in versions.items() if version == "missing"]
    if report["threads"] > report["cores"]:
        found.append(f"{report['threads']} threads share {report['cores']} cores, which is slower than one each. Unset INSITU_THREADS.")
    if report["target"]["setting"] != "native":
        found.append(f"Code is made for {report['target']['setting']}, not for this CPU. Unset INSITU_CPU for full speed.")
    if sys.maxsize < 2**32:
        found.append("This is a 32-bit Python; insitu needs a 64-bit one.")
    if not system.has_native_threads:
        found.append("This system has no native worker threads here: programs run on one core, with the same results.")
    return found
