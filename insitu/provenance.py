"""Where an array that an error speaks of was made: the line of the user's program that gave its name that value."""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterator
from types import FrameType
from typing import Any

#: The blocks around a statement: each the statement that has it, and the name of its field.
Path = tuple[tuple[ast.AST, str], ...]
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def made_at(frame: FrameType, text: str) -> list[str]:
    """For each array named in an expression, ``x comes from train.py:12``, where the program leaves no doubt.

    Parameters
    ----------
    frame : frame
        The user's, which is at the expression.
    text : str
        The expression, or ``name=expression``.
    """
    try:
        parsed = ast.parse(re.sub(r"^\s*\w+\s*=(?!=)", "", text).strip(), mode="eval")
    except (SyntaxError, ValueError):
        return []
    file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    found = []
    for name in dict.fromkeys(_names(parsed)):
        if _is_array(frame.f_locals.get(name, frame.f_globals.get(name))):
            line = _line(frame, name)
            if line and line != frame.f_lineno:
                found.append(f"{name} comes from {file}:{line}")
    return found


def _names(node: ast.AST) -> Iterator[str]:
    """The names in an expression, but not what functions in it are given: of ``len(x) / 4`` nothing is known by x."""
    if isinstance(node, ast.Name):
        yield node.id
    for part in [node.func] if isinstance(node, ast.Call) else ast.iter_child_nodes(node):
        yield from _names(part)


def _is_array(value: Any) -> bool:
    # asked of the class, so that nothing of the user's runs
    return not isinstance(value, type) and hasattr(type(value), "shape") and hasattr(type(value), "dtype")


def _line(frame: FrameType, name: str) -> int:
    """The line that gave a name the value it has; 0 where there may be several."""
    code = frame.f_code
    if name in code.co_freevars or (code.co_name.startswith("<") and name in code.co_varnames):  # of a lambda or a list
        return 0
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    around = [n for n in ast.walk(tree) if isinstance(n, _FUNCTIONS) and n.lineno <= frame.f_lineno <= (n.end_lineno or 0)]
    scope = max(around, key=lambda n: n.lineno, default=None)
    if scope is None:
        return _before(tree.body, name, frame.f_lineno)
    own = {a.arg for a in ast.walk(scope.args) if isinstance(a, ast.arg)}
    if name in own:
        return 0
    if name in code.co_varnames:
        return _before(scope.body, name, frame.f_lineno)
    everywhere = [line for line, _ in _assignments(tree.body, name, ())]
    return everywhere[0] if len(everywhere) == 1 else 0


def _before(body: list[ast.stmt], name: str, use: int) -> int:
    """The last assignment before a line, if every way to the line leads over it and no loop brings a later one back."""
    place = _place(body, use, ())
    found = list(_assignments(body, name, ()))
    loops = [step for step in place if isinstance(step[0], ast.For | ast.AsyncFor | ast.While)]
    if any(line >= use and any(loop in path for loop in loops) for line, path in found):
        return 0
    line, path = max((c for c in found if c[0] < use), key=lambda c: c[0], default=(0, ()))
    return line if place[: len(path)] == path else 0


def _assignments(body: list[Any], name: str, path: Path) -> Iterator[tuple[int, Path]]:
    for statement in body:
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            if statement.name == name:
                yield statement.lineno, path
            continue
        inside = (*path, (statement, "body"))
        for node in _simple_parts(statement):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store | ast.Del):
                yield statement.lineno, inside if isinstance(statement, ast.For | ast.AsyncFor) else path
        for field in _BLOCKS:
            yield from _assignments(getattr(statement, field, []), name, (*path, (statement, field)))


def _simple_parts(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement's own expressions, without those of its blocks."""
    for field, value in ast.iter_fields(statement):
        if field not in _BLOCKS:
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield from ast.walk(part)


def _place(body: list[Any], use: int, path: Path) -> Path:
    """The blocks around the statement at a line."""
    for statement in body:
        if not _holds(statement, use):
            continue
        for field in _BLOCKS:
            block = getattr(statement, field, [])
            if any(_holds(s, use) for s in block):
                return _place(block, use, (*path, (statement, field)))
    return path


def _holds(statement: Any, line: int) -> bool:
    """Whether a statement, or the handler or case of one, is at a line."""
    start = getattr(statement, "lineno", None)
    if start is None:  # a case of match has no line of its own
        return any(_holds(s, line) for s in statement.body)
    return bool(start <= line <= (statement.end_lineno or start))
