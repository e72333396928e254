"""Wrong programs, the message each one must get, and the mended programs.

A page of `insitu explain` has one of each; they stand in the page, because users read them there, and the promised text
stands in ``tests/errors/<slug>/page.txt``. Further programs, as people write them, are files of their own:
``tests/errors/<slug>/<name>.py``, ``<name>.mended.py`` and ``<name>.txt``.
"""

from __future__ import annotations

import dataclasses
import importlib
import linecache
import re
import warnings
from pathlib import Path

import numpy as np
from conftest import tables

import insitu as si
from insitu.errors import InsituWarning, UserError
from insitu.pages import slugs

FOLDER = Path(__file__).resolve().parent / "errors"
PROGRAM = re.compile(r"```python\n(.*?)```\n", re.DOTALL)
#: What the programs of the pages take for granted.
GIVEN = {"si": si, "np": np}


@dataclasses.dataclass(frozen=True)
class Case:
    """A wrong program, the mended one, and where the promised text is.

    Parameters
    ----------
    slug, name : str
        ``name`` is ``page`` for the programs of the page.
    wrong, mended : str
        Source text.
    runs : bool
        Whether it can fail here at all: some mistakes need another machine.
    """

    slug: str
    name: str
    wrong: str
    mended: str
    runs: bool = True

    def __str__(self) -> str:
        return f"{self.slug}/{self.name}"

    @property
    def promised(self) -> Path:
        """The file with the text that the wrong program must get."""
        return FOLDER / self.slug / f"{self.name}.txt"

    def error(self) -> UserError | InsituWarning:
        """What the wrong program raises.

        Raises
        ------
        RuntimeError
            If it runs through.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("error", InsituWarning)
            warnings.simplefilter("ignore", RuntimeWarning)  # what NumPy says about 1 / 0
            try:
                self._run(self.wrong, f"{self.name}.py")
            except (UserError, InsituWarning) as found:
                return found
        raise RuntimeError(f"{self} runs without an error")

    def mend(self) -> None:
        """Run the mended program; warnings count as errors."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", InsituWarning)
            self._run(self.mended, f"{self.name}.mended.py")

    def _run(self, program: str, name: str) -> None:
        _as_in_a_new_process()
        # the lines that messages show are looked up by the file's name
        linecache.cache[name] = (len(program), None, program.splitlines(keepends=True), name)
        exec(compile(program, name, "exec"), {"__name__": "__main__", **(GIVEN if self.name == "page" else {})})


def cases() -> list[Case]:
    """All programs, sorted by slug."""
    found = []
    for slug in slugs():
        page = si.explain(slug)
        wrong, mended = PROGRAM.findall(page)
        found.append(Case(slug, "page", wrong, mended, "> not runnable here" not in page))
    for path in FOLDER.glob("*/*.py"):
        if not path.name.endswith(".mended.py"):
            mended = path.with_suffix(".mended.py").read_text(encoding="utf-8")
            found.append(Case(path.parent.name, path.stem, path.read_text(encoding="utf-8"), mended))
    return sorted(found, key=str)


def _as_in_a_new_process() -> None:
    si.random.seed(0)
    importlib.import_module("insitu.nn.layer")._counts.clear()  # names of layers are numbered from the start
    for table in tables():  # classes and functions of other programs have no names here
        for name in [n for n, thing in table.items() if not thing.__module__.startswith("insitu.")]:
            del table[name]


def told(error: UserError | InsituWarning, folder: Path) -> str:
    """Class and text of an error or a warning, with ``folder`` as ``TMP``."""
    text = f"{type(error).__name__}: {error}".replace(str(folder), "TMP")
    for pattern, put in _VARYING:
        text = re.sub(pattern, put, text)
    return text + "\n"


#: What differs from run to run, from machine to machine, and from version to version.
_VARYING = [
    (r"TMP/tmp\w{8}", "TMP/tmp"), (r"[\d.]+ GiB of memory in all", "... GiB of memory in all"), (r"insitu-sha256:\w+", "insitu-sha256:..."),
    (r"(?m)\d{3,} bytes$", "... bytes"),
]  # fmt: skip
