"""The pages behind errors and warnings: what a message means, a wrong program, the mended one.

Each page is a Markdown file named after its slug: a title, an explanation, and the two programs under the
headings ``Wrong`` and ``Mended``. The programs take ``import insitu as si, numpy as np`` for granted.
"""

from __future__ import annotations

from importlib.resources import files

from insitu.arguments import Checked, checked
from insitu.errors import ArgumentError
from insitu.nearest import nearest

__all__ = ["explain", "slugs", "title"]


PAGE = {"slug": Checked("the slug that stands in a message", ("broadcast-shapes",))}


def slugs() -> list[str]:
    """The names of all pages, in alphabetical order."""
    return sorted(entry.name.removesuffix(".md") for entry in files(__name__).iterdir() if entry.name.endswith(".md"))


def title(slug: str) -> str:
    """The first line of a page: what is wrong, in one sentence.

    Raises
    ------
    ArgumentError
        If there is no page of that name.
    """
    return explain(slug).partition("\n")[0].removeprefix("# ")


@checked(**PAGE)
def explain(slug: str) -> str:
    """The page about an error or a warning, as the last line of its message names it.

    Parameters
    ----------
    slug : str
        Such as ``"broadcast-shapes"``.

    Returns
    -------
    str
        Markdown: the title, what the message means, a wrong program, the mended program.

    Raises
    ------
    ArgumentError
        If there is no page of that name; the nearest one is proposed.

    Examples
    --------
    >>> import insitu as si
    >>> si.explain("broadcast-shapes").splitlines()[0]
    '# The shapes do not broadcast'
    """
    known = slugs()
    if not isinstance(slug, str) or slug not in known:
        near = nearest(slug, known) if isinstance(slug, str) else None
        raise ArgumentError(
            f"explain: there is no page {slug!r}.",
            expected="a name such as broadcast-shapes, from the last line of a message",
            received=repr(slug),
            fix=f"insitu explain {near}" if near else "insitu explain, without a name, lists all pages",
            slug="explain-unknown",
            argument=str(slug),
        )
    return files(__name__).joinpath(f"{slug}.md").read_text(encoding="utf-8")
