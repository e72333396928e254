"""Write the listings of ``how-it-works.md`` anew: ``python docs/make_how_it_works.py``.

The page's own first program is run, and each place between ``<!-- listing: STAGE -->`` and ``<!-- end of
listing -->`` gets what ``inspect`` prints for that stage. Of LLVM IR and assembly only the loop with the
most multiply-adds is shown.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("how-it-works.md")
STAGES = ("graph", "simplified", "kernels", "nests", "llvm", "assembly")
#: Most lines of one listing.
LINES = 30

_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LISTING = re.compile(r"<!-- listing: (\w+) -->\n(?:```\w*\n(.*?)\n```\n)?<!-- end of listing -->", re.DOTALL)


def hottest(text: str, label: str, marker: str) -> str:
    """The basic block with the most lines that contain ``marker``; ``label`` is the pattern that begins a block."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if re.match(label, line):
            blocks.append([])
        if line.strip():
            blocks[-1].append(line)
    best = max(blocks, key=lambda block: sum(marker in line for line in block))
    if len(best) > LINES:
        half = LINES // 2
        best = [*best[:half], f"    ... {len(best) - 2 * half} lines like these ...", *best[-half:]]
    return "\n".join(best)


def listings(page: str, stages: tuple[str, ...] = STAGES) -> dict[str, str]:
    """What ``inspect`` prints for the page's program."""
    import insitu as si

    program = _PROGRAM.search(page)
    if program is None:
        raise ValueError(f"{PAGE.name} has no program")
    source = "".join(line for line in program[1].splitlines(keepends=True) if not line.startswith("print"))
    names: dict[str, Any] = {}
    try:
        exec(compile(source, PAGE.name, "exec"), names)
        found = {stage: names["layer"].inspect(names["x"], names["w"], names["b"], stage=stage) for stage in stages}
    finally:
        si.config.cpu = None
    if "llvm" in found:
        found["llvm"] = hottest(found["llvm"], r"[\w.]+:", "@llvm.fma")
    if "assembly" in found:
        found["assembly"] = hottest(found["assembly"], r"\.?\w+:", "vfmadd")
    return found


def written(page: str) -> dict[str, str]:
    """The listings that stand in the page."""
    return {m[1]: m[2] or "" for m in _LISTING.finditer(page)}


def render(page: str, found: dict[str, str]) -> str:
    """The page with these listings."""
    languages = {"llvm": "llvm", "assembly": "asm"}

    def block(match: re.Match[str]) -> str:
        stage = match[1]
        text = found[stage].strip("\n")
        return f"<!-- listing: {stage} -->\n```{languages.get(stage, 'text')}\n{text}\n```\n<!-- end of listing -->"

    return _LISTING.sub(block, page)


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(render(old, listings(old)), encoding="utf-8")
