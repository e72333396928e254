"""What a person needs to report a mistake of insitu: a file with the graph, the loop nests, versions and the CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from insitu.codegen.target import Target
from insitu.config import config
from insitu.errors import InternalError, UserError, is_inside
from insitu.graph.node import Node, show
from insitu.runtime import system
from insitu.version import __version__

#: Reports that are kept; the oldest go first.
KEPT = 20
_PACKAGES = ("numpy", "llvmlite", "ml_dtypes")
_PACKAGE = Path(__file__).resolve().parent.parent
#: Numbers that stay: the compiler simplifies by them, and they say nothing about anybody's data.
_PLAIN = frozenset({"0", "1", "2", "3", "-1", "-2", "0.0", "1.0", "2.0", "3.0", "-1.0", "-2.0", "0.5", "True", "False", "inf", "-inf", "nan"})

Stage = tuple[str, Callable[[], str]]


@contextlib.contextmanager
def reported(graph: Sequence[Node], target: Target, stages: Callable[[], Iterable[Stage]]) -> Iterator[None]:
    """While inside, whatever goes wrong in the compiler becomes an `InternalError` that names a file for a report.

    Parameters
    ----------
    graph : sequence of Node
        What is compiled.
    target : Target
    stages : callable
        Gives names and texts of what was made of the graph, as far as it gets.

    Raises
    ------
    InternalError
    """
    try:
        yield
    except (UserError, MemoryError, Warning):  # a warning that the user's filters made an error
        raise
    except Exception as error:
        what = error.what if isinstance(error, InternalError) else f"{type(error).__name__} in the compiler: {error}"
        raise InternalError(what, save(_text(what, error, graph, target, stages))) from error


def save(text: str) -> str:
    """Write a report, whole or not at all, and give its path; empty if no folder takes it."""
    import secrets  # late: nearly no program needs it

    name = f"report-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    for folder in (Path(config.cache_dir) / "reports", Path(_temporary()) / "insitu-reports"):
        part = folder / f"{secrets.token_hex(8)}.part"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(part, folder / name)
        except OSError:
            with contextlib.suppress(OSError):  # it may not be there
                part.unlink()
            continue
        _prune(folder)
        return str(folder / name)
    return ""


def _temporary() -> str:
    import tempfile  # late: nearly no program needs it

    return tempfile.gettempdir()


def _prune(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process may do the same
        for old in sorted(folder.glob("report-*.txt"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)


def _text(what: str, error: Exception, graph: Sequence[Node], target: Target, stages: Callable[[], Iterable[Stage]]) -> str:
    import importlib.metadata  # late, as it takes as long as a compilation

    versions = [f"insitu {__version__}", *[f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]]
    parts = [
        ("report", "insitu found a mistake of its own. This file holds what is needed to mend it, and no values of arrays."),
        ("error", what),
        ("traceback", "\n".join(_frames(error))),
        ("versions", "\n".join([*versions, f"python {sys.version.split()[0]}", f"{platform.system()} {platform.machine()}"])),
        ("cpu", f"{system.cpu_model()}\ntarget {target.cpu}, {target.vector_bits} bits\n{target.features}"),
        ("graph", masked(show(graph))),
        *[(name, masked(_or_why_not(text))) for name, text in stages()],
    ]
    return "\n\n".join(f"== {name} ==\n{text}" for name, text in parts) + "\n"


def _frames(error: Exception) -> Iterator[str]:
    """insitu's own frames, those of the causes first."""
    if error.__cause__ is not None and isinstance(error.__cause__, Exception):
        yield from _frames(error.__cause__)
        yield "which led to"
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if is_inside(code.co_filename):
            yield f"{Path(code.co_filename).relative_to(_PACKAGE).as_posix()}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next


def _or_why_not(text: Callable[[], str]) -> str:
    try:
        return text()
    except Exception as error:
        return f"not made: {type(error).__name__}"


def masked(text: str) -> str:
    """A graph or loop nest without the numbers that the user's program may have put into it.

    Examples
    --------
    >>> masked("%1 = constant(value=3.14159, dtype=float32): float32[]")
    '%1 = constant(value=..., dtype=float32): float32[]'
    >>> masked("%0 * 0.73 + 1.0")
    '%0 * ... + 1.0'
    """
    text = re.sub(r"(?<=value=)[^,)\s]+", lambda m: m[0] if m[0] in _PLAIN else "...", text)
    return re.sub(r"(?<![\w.])-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)(?![\w.])", lambda m: m[0] if m[0] in _PLAIN else "...", text)
