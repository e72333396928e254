"""The API reference, made from the docstrings: ``python docs/make_api.py [FOLDER]`` writes a Markdown page for each room."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import insitu as si
from insitu.arguments import constraints_of

HERE = Path(__file__).resolve().parent

#: page -> (what it is, module)
ROOMS: dict[str, tuple[str, ModuleType]] = {
    "arrays": ("Arrays, functions of arrays, gradients and compilation: `si`", si),
    "random": ("Random numbers: `si.random`", si.random),
    "nn": ("Layers and models: `si.nn`", si.nn),
    "losses": ("Losses: `si.nn.losses`", si.nn.losses),
    "metrics": ("Metrics: `si.nn.metrics`", si.nn.metrics),
    "activations": ("Activations: `si.nn.activations`", si.nn.activations),
    "initializers": ("Initial values: `si.nn.initializers`", si.nn.initializers),
    "regularizers": ("Regularizers: `si.nn.regularizers`", si.nn.regularizers),
    "constraints": ("Constraints: `si.nn.constraints`", si.nn.constraints),
    "callbacks": ("Callbacks: `si.nn.callbacks`", si.nn.callbacks),
    "pictures": ("Pictures of weights: `si.nn.pictures`", si.nn.pictures),
    "optim": ("Optimizers: `si.optim`", si.optim),
    "schedules": ("Learning-rate schedules: `si.optim.schedules`", si.optim.schedules),
    "data": ("Data: `si.data`", si.data),
    "io": ("Files: `si.io`", si.io),
    "vision": ("Pictures for networks: `si.vision`", si.vision),
    "vision-models": ("Networks for pictures: `si.vision.models`", si.vision.models),
    "errors": ("Errors: `si.errors`", si.errors),
}


def public(module: ModuleType) -> list[str]:
    """Names of the functions and classes that a module offers, in alphabetical order."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__]
    things = {n: getattr(module, n) for n in listed}
    return sorted((n for n, v in things.items() if inspect.isclass(v) or callable(v)), key=str.lower)


def entry(name: str, thing: Any, depth: int = 2) -> list[str]:
    """Name, signature and docstring; of a class also its public methods."""
    doc = inspect.getdoc(thing) or ""
    lines = [f"{'#' * depth} {name}", "", f"```python\n{name}{_signature(thing)}\n```", "", *_sections(doc), *_allowed(thing), ""]
    if inspect.isclass(thing):
        for key, member in vars(thing).items():
            if not key.startswith("_") and inspect.isfunction(member) and member.__doc__:
                lines += entry(f"{name}.{key}", member, depth + 1)
    return lines


def _allowed(thing: Any) -> list[str]:
    """What arguments may be, where that is declared and more than the docstring's types say."""
    told = [f"- `{name}`: {constraint}" for name, constraint in constraints_of(thing).items() if not constraint.inside]
    return ["", "**Allowed values**", "", *told] if told else []


def _signature(thing: Any) -> str:
    try:
        return str(inspect.signature(thing))
    except (ValueError, TypeError):  # what is callable without a signature, such as a compiled function
        return "(...)"


def _sections(doc: str) -> list[str]:
    """A numpydoc docstring as Markdown: headings in bold, lists of arguments and examples as they stand."""
    out: list[str] = []
    lines = doc.splitlines()
    block = False
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if line.strip() and set(following.strip()) == {"-"}:
            if block:
                out.append("```")
            block = line.strip() in ("Parameters", "Returns", "Raises", "Examples", "Attributes")
            out += ["", f"**{line.strip()}**", "", *(["```"] if block else [])]
        elif set(line.strip()) != {"-"}:
            out.append(line)
    return [*out, *(["```"] if block else [])]


def page(title: str, module: ModuleType) -> str:
    """A room's page."""
    names = public(module)
    lines = [f"# {title}", "", inspect.getdoc(module) or "", "", ", ".join(f"`{n}`" for n in names), ""]
    for name in names:
        lines += entry(name, getattr(module, name))
    return "\n".join(lines).rstrip() + "\n"


def write(folder: Path) -> list[Path]:
    """All pages and an index."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, (title, module) in ROOMS.items():
        made.append(folder / f"{name}.md")
        made[-1].write_text(page(title, module), encoding="utf-8")
    index = folder / "index.md"
    rows = [f"- [{title.split(':')[0]}]({name}.md): {title.split(': ')[1]}" for name, (title, _) in ROOMS.items()]
    index.write_text("\n".join([f"# insitu {si.__version__}: reference", "", *rows]) + "\n", encoding="utf-8")
    return [*made, index]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "api"
    print(f"{len(write(target))} pages in {target}")
