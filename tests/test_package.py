"""The package as it is shipped: the wheel, what an import loads, the order of the rooms."""

from __future__ import annotations

import ast
import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "insitu"

FOUNDATIONS = {"carets", "config", "dtypes", "errors", "nearest", "provenance", "version"}
#: room: the rooms it may import while it is loaded (the foundations are everybody's)
MAY_IMPORT = {
    "codegen": set(),
    "runtime": {"codegen"},
    "graph": {"codegen"},
    "ops": {"graph", "codegen"},
    "transform": {"ops", "graph"},
    "compiler": {"ops", "graph", "codegen", "runtime"},
    "arguments": {"registry"},
    "array": {"arguments", "transform", "compiler", "ops", "graph", "codegen", "runtime"},
}
#: names that the rest of the world may count on, and some of the Array API's
PUBLIC = [
    *("Array", "Variable", "evaluate", "grad", "value_and_grad", "vjp", "jvp", "stop_gradient", "compile", "random", "nn", "optim"),
    *("data", "load", "save", "errors", "explain", "config", "asarray", "zeros", "matmul", "sum", "where", "float32", "bool"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_one_wheel_serves_every_machine(wheel):
    assert wheel.name.startswith("insitu-") and wheel.name.endswith("-py3-none-any.whl")


def test_wheel_holds_all_of_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {n for n in names if ".dist-info/" not in n} == shipped
    assert {"insitu/py.typed", "insitu/data/digits.bin", "insitu/data/digits-attribution.txt"} <= names
    assert {Path(n).name for n in names if "/licenses/" in n} >= {"LICENSE", "NOTICE"}


def test_wheel_says_what_it_is_and_needs(wheel):
    from insitu.version import __version__

    archive = zipfile.ZipFile(wheel)
    info = {Path(n).name: archive.read(n).decode() for n in archive.namelist() if ".dist-info/" in n and "licenses" not in n}
    metadata = email.message_from_string(info["METADATA"])
    assert metadata["Version"] == __version__ and metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    needed = {r.split(">")[0].replace("_", "-") for r in metadata.get_all("Requires-Dist") if "extra" not in r}
    assert needed == {"click", "llvmlite", "ml-dtypes", "numpy", "platformdirs", "rich", "safetensors"}
    assert "insitu = insitu.cli:main" in info["entry_points.txt"]


def _imports(path: Path) -> set[str]:
    """Rooms of insitu that a file imports when it is loaded (not those inside functions or for type checkers)."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"insitu.{a.name}" for a in node.names] if node.module == "insitu" else [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("insitu.")}
        pending.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_downward(room):
    for path in (PACKAGE / room).rglob("*.py"):
        wrong = _imports(path) - MAY_IMPORT[room] - FOUNDATIONS - {room}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("name", sorted(FOUNDATIONS))
def test_foundations_import_only_foundations(name):
    assert _imports(PACKAGE / f"{name}.py") <= FOUNDATIONS


def test_every_folder_of_code_is_a_package():
    folders = {p.parent for p in PACKAGE.rglob("*.py")}
    assert [str(f) for f in folders if not (f / "__init__.py").is_file()] == []


def test_import_leaves_alone_what_only_some_programs_need():
    code = "import sys, insitu; print(*sorted({'click', 'rich', 'safetensors', 'platformdirs', 'multiprocessing', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_public_names_are_there():
    import insitu as si

    missing = [name for name in PUBLIC if not hasattr(si, name)]
    assert missing == []
    assert set(si.__all__) <= set(dir(si))
