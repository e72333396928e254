"""The program ``insitu``: commands for people. Each is imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; default: the process's own.

    Notes
    -----
    0: done; 1: a mistake that the user can mend, told without a traceback; 2: a wrong command line; 70: a mistake
    of insitu; 130: interrupted.
    """
    from insitu.cli.commands import run

    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))
