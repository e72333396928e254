"""The pages of `insitu explain`: one for each slug. Their programs are run by test_errors.py."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import insitu as si
from insitu.errors import ArgumentError
from insitu.pages import slugs, title

PACKAGE = Path(si.__file__).parent
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
HYPHENATED = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
PROGRAM = r"```python\n(.*\n)+?```\n"
FORMAT = re.compile(rf"# .+\n\n(> not runnable here: .+\n\n)?(.+\n)+\n## Wrong\n\n{PROGRAM}\n## Mended\n\n{PROGRAM}")

# Slugs that are put together: the expression as it stands in the code, and what it can give.
COMPUTED = {
    "f'{function}-empty-data'": ["fit-empty-data", "evaluate-empty-data", "predict-empty-data"],
    "f'{function}-no-targets'": ["fit-no-targets", "evaluate-no-targets"],
    "f'{function}-lengths-differ'": ["fit-lengths-differ", "evaluate-lengths-differ"],
    "f'{kind}-unknown'": [
        "activation-unknown",
        "constraint-unknown",
        "initializer-unknown",
        "layer-unknown",
        "loss-unknown",
        "metric-unknown",
        "optimizer-unknown",
        "regularizer-unknown",
        "schedule-unknown",
    ],
    "f'{what}-{kind}'": ["vjp-cotangent", "jvp-tangent"],
    "argument.replace('_', '-')": ["batch-size", "epochs"],
}
PASSED_ON = ("slug", "self.slug")  # a parameter; the callers' literals are found where they stand


def slug_functions(nodes: list[ast.AST]) -> set[str]:
    """Functions with a parameter, and classes with a field, of the name ``slug``."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and any(a.arg == "slug" for a in (*node.args.posonlyargs, *node.args.args)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef) and any(isinstance(s, ast.AnnAssign) and ast.unparse(s.target) == "slug" for s in node.body):
            found.add(node.name)
    return found - {"explain", "title", "show", "explain_page"}


def literals(expression: ast.expr) -> list[str]:
    """The slugs that an expression can give."""
    if isinstance(expression, ast.Constant):
        return [str(expression.value)]
    if isinstance(expression, ast.IfExp):
        return literals(expression.body) + literals(expression.orelse)
    text = ast.unparse(expression)
    return [] if text in PASSED_ON else COMPUTED[text]


def used_slugs() -> set[str]:
    kinds = (ast.Assign, ast.Call, ast.ClassDef, ast.FunctionDef)
    nodes = [n for path in PACKAGE.rglob("*.py") for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, kinds)]
    functions = slug_functions(nodes)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            found.update(slug for k in node.keywords if k.arg == "slug" for slug in literals(k.value))
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in functions:
                found.update(a.value for a in node.args if isinstance(a, ast.Constant) and HYPHENATED.fullmatch(str(a.value)))
        if isinstance(node, ast.Assign) and "slug" in {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}:
            strings = {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            found.update(s for s in strings if HYPHENATED.fullmatch(s))
    return found


def test_each_slug_has_a_page_and_each_page_is_used() -> None:
    assert used_slugs() == set(slugs())
    assert all(SLUG.fullmatch(slug) for slug in slugs())


@pytest.mark.parametrize("slug", slugs())
def test_page_explains_and_shows_both_programs(slug: str) -> None:
    text = si.explain(slug)
    assert FORMAT.fullmatch(text)
    assert title(slug) == text.splitlines()[0][2:]
    meaning = text[: text.index("## Wrong")].split("\n\n", 1)[1]
    assert 40 <= len(meaning.split()) <= 120
    assert max(map(len, text.splitlines())) <= 110


def test_unknown_page_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ArgumentError) as caught:
        si.explain("brodcast-shape")
    assert caught.value.slug == "explain-unknown"
    assert caught.value.fix == "insitu explain broadcast-shapes"
    with pytest.raises(ArgumentError, match="lists all pages"):
        si.explain("zzzz")
    for other in ("", "../version", "__init__", "broadcast-shapes.md"):
        with pytest.raises(ArgumentError, match="there is no page"):
            si.explain(other)


def command(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "insitu", "explain", *arguments], capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout, done.stderr


def facts(output: str) -> Any:
    return json.loads(output.splitlines()[-1])


def test_command_shows_a_page() -> None:
    code, output, _ = command("reshape-size", "--json")
    assert code == 0
    assert "The new shape has another number of elements" in output
    assert "x.reshape((8, 784))" in output
    assert facts(output) == {"slug": "reshape-size", "title": title("reshape-size"), "text": si.explain("reshape-size")}


def test_command_lists_all_pages() -> None:
    code, output, _ = command("--json")
    assert code == 0
    assert [page["slug"] for page in facts(output)["pages"]] == slugs()
    listed = [line.split()[0] for line in output.splitlines()[:-1] if line[:1].strip()]
    assert listed == slugs()


def test_command_tells_an_unknown_page_without_a_traceback() -> None:
    code, output, errors = command("reshape-sise")
    assert (code, output) == (1, "")
    assert "insitu explain reshape-size" in errors
    assert "Traceback" not in errors
