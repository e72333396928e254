"""Where an error points: the line of the user's program, and the part of it that is to blame."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import linecache
import re
from collections.abc import Sequence
from types import FrameType


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a source file: lines count from 1, columns in characters from 0; ``stop`` is on line ``end``."""

    line: int
    start: int
    end: int
    stop: int


def pointer(frame: FrameType, called: FrameType | None, argument: str) -> tuple[list[str], str]:
    """The line that runs in a frame, and below it a caret under an argument; and the source text of that.

    Parameters
    ----------
    frame : frame
        The user's.
    called : frame, optional
        What the user's line called; it tells the places of positional arguments.
    argument : str
        A parameter's name (what follows a ``=`` does not matter; of several with ``|`` between, the first that is given), an
        operand (``x1``, ``x2``), or text of the line. Where nothing of that kind is found, the caret is under the running expression.

    Returns
    -------
    list of str
        Empty if the source is not at hand.
    str
        The argument, or the operands if the expression is an operation; empty where neither is found.
    """
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    if not 0 < frame.f_lineno <= len(lines) or not lines[frame.f_lineno - 1].strip():
        return [], ""
    running = _running(frame, lines)
    found = None
    if argument:
        node = None if running is None else _parsed(running, lines)
        whole = running or Span(frame.f_lineno, 0, frame.f_lineno, len(lines[frame.f_lineno - 1]))
        for one in argument.split("|"):
            if found is None and node is not None:
                found = _part(node, _parameters(called), one.split("=")[0].strip(), whole)
        found = found or _text(argument, whole, lines)
    text = "" if found is None else _source(found, lines)
    if not text and running is not None and isinstance(_parsed(running, lines), ast.BinOp | ast.Compare):
        text = _source(running, lines)
    return _drawn(frame, found or running, lines), text


def _source(span: Span, lines: Sequence[str]) -> str:
    part = [lines[i] for i in range(span.line - 1, span.end)]
    part[-1] = part[-1][: span.stop]
    part[0] = part[0][span.start :]
    return "".join(part)


def _drawn(frame: FrameType, span: Span | None, lines: Sequence[str]) -> list[str]:
    number = frame.f_lineno if span is None else span.line
    raw = lines[number - 1].rstrip()
    text = raw.lstrip()
    indent = len(raw) - len(text)
    file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    place = f"  {file}:{number}".ljust(14) + "  "
    if span is None:
        return [place + text]
    start = max(span.start, indent)
    stop = min(span.stop, len(raw)) if span.end == span.line else len(raw)
    return [place + text, " " * (len(place) + start - indent) + "^" * max(1, stop - start)]


def _running(frame: FrameType, lines: Sequence[str]) -> Span | None:
    """The expression that runs."""
    positions = itertools.islice(frame.f_code.co_positions(), max(frame.f_lasti, 0) // 2, None)
    line, end, start, stop = next(positions, (None, None, None, None))
    if line is None or end is None or start is None or stop is None or end > len(lines):
        return None
    return Span(line, _characters(lines[line - 1], start), end, _characters(lines[end - 1], stop))


def _characters(line: str, offset: int) -> int:
    """A count of characters from one of bytes in UTF-8."""
    return len(line.encode()[:offset].decode(errors="ignore"))


def _parsed(span: Span, lines: Sequence[str]) -> ast.AST | None:
    """The node of the running expression or statement; its columns count from that of the span in the first line."""
    part = [lines[i] for i in range(span.line - 1, span.end)]
    part[-1] = part[-1][: span.stop]
    part[0] = part[0][span.start :]
    source = "".join([c if c.isascii() else "_" for c in "".join(part)])  # so that the parser's bytes are characters
    for text, shift in ((f"({source}\n)", 1), (source, 0)):
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            for at, column in (("lineno", "col_offset"), ("end_lineno", "end_col_offset")):
                if shift and getattr(node, at, 0) == 1:
                    setattr(node, column, getattr(node, column) - shift)
        statement = tree.body[0]
        return statement.value if isinstance(statement, ast.Expr) else statement
    return None


def _part(node: ast.AST, parameters: Sequence[str], name: str, span: Span) -> Span | None:
    """The part of the expression that is the argument or operand of that name."""
    found: ast.AST | None = None
    if isinstance(node, ast.BinOp):
        found = {"x1": node.left, "x2": node.right}.get(name)
    elif isinstance(node, ast.AugAssign):
        found = {"x1": node.target, "x2": node.value}.get(name)
    elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
        found = {"x1": node.left, "x2": node.comparators[0]}.get(name)
    elif isinstance(node, ast.Call):
        found = next((k for k in node.keywords if k.arg == name), None) or _positional(node, parameters, name)
    return None if found is None else _span(found, span)


def _parameters(called: FrameType | None) -> list[str]:
    """The names of the positional parameters of what was called, without ``self``."""
    if called is None:
        return []
    code = called.f_code
    if not code.co_argcount and callable(wrapped := called.f_locals.get("function")):  # a decorator's wrapper takes anything
        code = getattr(inspect.unwrap(wrapped), "__code__", code)
    names = list(code.co_varnames[: code.co_argcount])
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _positional(call: ast.Call, parameters: Sequence[str], name: str) -> ast.AST | None:
    at = parameters.index(name) if name in parameters else len(call.args)
    if at >= len(call.args) or any(isinstance(a, ast.Starred) for a in call.args[: at + 1]):
        return None
    return call.args[at]


def _span(node: ast.AST, base: Span) -> Span | None:
    line, start, end, stop = (getattr(node, n, None) for n in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
    if line is None or start is None or end is None or stop is None:
        return None
    first, last = (base.start if line == 1 else 0), (base.start if end == 1 else 0)
    return Span(base.line + line - 1, start + first, base.line + end - 1, stop + last)


def _text(argument: str, span: Span, lines: Sequence[str]) -> Span | None:
    """The first place in the running expression, else in its first line, where the argument stands as text."""
    pattern = re.compile(r"(?<!\w)" + re.escape(argument) + (r"(?!\w)" if argument[-1:].isalnum() else ""))
    for number in range(span.line, span.end + 1):
        line = lines[number - 1]
        stop = span.stop if number == span.end else len(line)
        match = pattern.search(line, span.start if number == span.line else 0, stop)
        if match:
            return Span(number, match.start(), number, match.end())
    match = pattern.search(lines[span.line - 1])
    return None if match is None else Span(span.line, match.start(), span.line, match.end())
