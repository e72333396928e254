"""The commands and their options, and how errors end."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import click

from insitu.errors import InternalError, UserError

INTERRUPTED, INTERNAL = 130, 70


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    try:
        result = program.main(arguments, prog_name="insitu", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ninterrupted", err=True)
        return INTERRUPTED
    except UserError as error:
        error.where = []  # the line would be one of this program's own
        click.echo(f"insitu: {error.told()}", err=True)
        return 1
    except InternalError as error:
        traceback.print_exc()
        click.echo(f"insitu: {error}", err=True)
        return INTERNAL
    except BrokenPipeError:  # the reader has seen enough, as in `insitu cache list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from insitu.version import __version__

        click.echo(f"insitu {__version__}")
        context.exit()


def _writable(context: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """The path of a file that can be written: its folder is looked at before the work begins."""
    folder = os.path.dirname(os.path.abspath(path)) if path is not None else ""
    if path is not None and (not path or not os.path.isdir(folder) or not os.access(folder, os.W_OK)):
        raise click.BadParameter(f"{path!r} cannot be written.", context, option)
    return path


_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version and end.")
def program() -> None:
    """Deep learning, compiled in place."""


@program.command()
@_as_json
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Passes over the training data.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of weights and order.")
@click.option(
    "--output", type=click.Path(dir_okay=False, writable=True), callback=_writable, default=None, help="Keep the trained model in this file."
)
def demo(as_json: bool, epochs: int, seed: int, output: str | None) -> int:
    """Train on real handwritten digits, save, reload and predict."""
    from insitu.cli.demo import run_demo

    report = run_demo(epochs, seed, output)
    if as_json:
        click.echo(json.dumps(report))
    return 0 if report["bits_agree"] else 1


@program.command()
@_as_json
def doctor(as_json: bool) -> int:
    """Tell what this machine can do and whether the installation is whole."""
    from insitu.cli.doctor import examine, show

    report = examine()
    show(report)
    if as_json:
        click.echo(json.dumps(report))
    return 0 if report["works"] else 1


@program.command()
@_as_json
def bench(as_json: bool) -> None:
    """Measure insitu on this machine beside what the machine can do."""
    from insitu.cli.bench import run_bench, show

    report = run_bench()
    _report((show(report), report), as_json)


@program.command("explain")
@click.argument("slug", required=False)
@_as_json
def explain_page(slug: str | None, as_json: bool) -> None:
    """Tell what a message means, with a wrong and a mended program; without SLUG, list all pages."""
    from insitu.cli.explain import show

    facts = show(slug)
    if as_json:
        click.echo(json.dumps(facts))


@program.group()
def cache() -> None:
    """Look at the kernel cache, shrink it, empty it."""


@cache.command("info")
@_as_json
def cache_info(as_json: bool) -> None:
    """Folder, size and limit."""
    from insitu.cli.kernels import info

    _report(info(), as_json)


@cache.command("list")
@_as_json
def cache_list(as_json: bool) -> None:
    """All kernels, the most recently used first."""
    from insitu.cli.kernels import listing

    _report(listing(), as_json)


@cache.command("prune")
@click.option("--limit", default=None, metavar="SIZE", help="Size to keep, such as 100M; default: the configured limit.")
@_as_json
def cache_prune(limit: str | None, as_json: bool) -> None:
    """Delete the least recently used kernels beyond a size."""
    from insitu.cli.kernels import prune

    _report(prune(limit), as_json)


@cache.command("clear")
@_as_json
def cache_clear(as_json: bool) -> None:
    """Delete all kernels; they are made again when needed."""
    from insitu.cli.kernels import clear

    _report(clear(), as_json)


@program.command("predict-digits", hidden=True)
@click.argument("path")
def predict_digits(path: str) -> None:
    """Print the sha256 of a model's predictions on the digits (the demo runs this in a new process)."""
    from insitu.cli.demo import digest_of_file

    click.echo(digest_of_file(path))


def _report(report: tuple[str, dict[str, Any]], as_json: bool) -> None:
    text, facts = report
    click.echo(text)
    if as_json:
        click.echo(json.dumps(facts))
