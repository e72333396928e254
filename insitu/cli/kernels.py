"""``insitu cache``: what the kernel cache on disk holds, and making it smaller."""

from __future__ import annotations

import time
import warnings
from typing import Any

from insitu.config import Config, config
from insitu.errors import InsituWarning
from insitu.runtime.cache import KernelCache, Stats

Report = tuple[str, dict[str, Any]]


def size(nbytes: float) -> str:
    """``12 bytes``, ``3.4 MiB``."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while nbytes >= 1024 and len(units) > 1:
        nbytes, _ = nbytes / 1024, units.pop(0)
    return f"{nbytes:.0f} {units[0]}" if units[0] == "bytes" else f"{nbytes:.1f} {units[0]}"


def info() -> Report:
    """Folder, number of kernels, size and limit."""
    stats = _stats()
    facts = {
        "folder": str(stats.folder), "kernels": stats.count, "bytes": stats.nbytes, "limit": stats.limit,
        "usable": stats.usable, "problem": stats.problem,
    }  # fmt: skip
    lines = [f"folder   {stats.folder}", f"kernels  {stats.count}, {size(stats.nbytes)} of at most {size(stats.limit)}"]
    if not stats.usable:
        lines.append(f"problem  not in use: {stats.problem or 'its size limit is 0'}")
    return "\n".join(lines), facts


def listing() -> Report:
    """Every kernel with its size, its age and its key."""
    entries = _cache().entries()
    facts = {"kernels": [{"key": e.key, "bytes": e.nbytes, "used": e.used, "file": e.path.name} for e in entries]}
    lines = [f"{size(e.nbytes):>11}  {_age(e.used):>8}  {e.key or '(damaged: will be made again)'}" for e in entries]
    return "\n".join(lines) if lines else "no kernels", facts


def prune(limit: str | None) -> Report:
    """Delete the least recently used kernels beyond the limit."""
    setting = vars(Config)["cache_limit"]
    keep = config.cache_limit if limit is None else setting.checked(limit, "--limit")
    return _freed(_cache().prune(keep))


def clear() -> Report:
    """Delete all kernels."""
    return _freed(_cache().clear())


def _freed(nbytes: int) -> Report:
    left = _stats()
    return f"{size(nbytes)} freed, {left.count} kernels left ({size(left.nbytes)})", {"freed": nbytes, "kernels": left.count, "bytes": left.nbytes}


def _cache() -> KernelCache:
    return KernelCache(config.cache_dir, config.cache_limit)


def _stats() -> Stats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsituWarning)  # `info` tells what is wrong
        return _cache().stats()


def _age(used: float) -> str:
    seconds = max(0.0, time.time() - used)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
