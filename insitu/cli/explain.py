"""``insitu explain``: the page behind an error or a warning, or the list of all pages."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from insitu.pages import explain, slugs, title


def show(slug: str | None) -> dict[str, Any]:
    """Print one page, or without a slug the list of pages, and give the same as facts.

    Raises
    ------
    ArgumentError
        If there is no page of that name.
    """
    console = Console(highlight=False)
    if slug is None:
        titles = {name: title(name) for name in slugs()}
        table = Table.grid(padding=(0, 2))
        for name, text in titles.items():
            table.add_row(name, text)
        console.print(table)
        return {"pages": [{"slug": name, "title": text} for name, text in titles.items()]}
    text = explain(slug)
    console.print(Markdown(text, code_theme="ansi_dark"))
    return {"slug": slug, "title": title(slug), "text": text}
