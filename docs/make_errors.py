"""The list of errors and warnings, made from the pages of `insitu explain`: ``python docs/make_errors.py`` writes errors.md."""

from __future__ import annotations

from pathlib import Path

from insitu.pages import slugs, title

PAGE = Path(__file__).resolve().parent / "errors.md"
PAGES = "../insitu/pages"
HEAD = """\
# Errors and warnings

A program that its author can mend is answered in six parts: what is wrong, the line of the program with a caret under the
argument, what was expected, what was received, what to do, and a name under which there is more to read:

```
{example}```

The command `insitu explain {slug}` and, in Python, `si.explain("{slug}")` show the page of that name,
without a network: what the message means, a wrong program, and the mended one. `insitu explain` lists all pages. There are {count}:

"""


def text(example: Path) -> str:
    """The page; ``example`` holds a message."""
    names = slugs()
    head = HEAD.format(example="insitu.errors." + example.read_text(encoding="utf-8"), slug=example.parent.name, count=len(names))
    return head + "".join(f"- [{slug}]({PAGES}/{slug}.md): {title(slug)}\n" for slug in names)


def written() -> str:
    """What the page should be."""
    return text(PAGE.parent.parent / "tests" / "errors" / "conv-input-rank" / "images_without_channel_axis.txt")


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
    print(f"{len(slugs())} errors and warnings in {PAGE}")
