"""Files from the network: checked by sha256, written whole or not at all, with a line of progress."""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insitu.errors import FileFormatError, InternalError

TIMEOUT = 30.0  # seconds without a byte after which a mirror is given up
_CHUNK = 1 << 16

Advance = Callable[[int, "int | None"], None]


def download(function: str, path: Path, mirrors: Sequence[str], sha256: str) -> None:
    """Fetch one file from the first mirror that gives it whole.

    The content goes to a file beside ``path``, which takes the name only when its checksum is right, so that neither an
    interrupted nor a falsified download is ever read.

    Parameters
    ----------
    function : str
        The name for messages.
    path : Path
        Where the file shall be; its folder is made.
    mirrors : sequence of str
        Addresses of folders, tried in turn; the file's name is appended.
    sha256 : str
        The checksum, 64 hexadecimal digits.

    Raises
    ------
    FileFormatError
        If no mirror gives the file with this checksum, or it cannot be written.
    """
    _writable_folder(function, path)
    failures = []
    for mirror in mirrors:
        beside = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
        try:
            failure = _fetch(mirror + path.name, beside, sha256)
            if failure is None:
                os.replace(beside, path)
                return
            failures.append(f"{urllib.parse.urlsplit(mirror).netloc}: {failure}")
        except OSError as error:  # what the network said is a failure above; here the disk speaks
            raise _not_writable(function, path, error) from error
        finally:
            beside.unlink(missing_ok=True)
    raise FileFormatError(
        f'{function}: "{path.name}" could not be downloaded.',
        expected=f"a mirror that gives the file with sha256 {sha256[:16]}...",
        received="\n".join(failures) or "an empty list of mirrors",
        fix=f"check the network and try again, or get {path.name} elsewhere and pass its folder: {function}(path)",
        slug="download-failed",
    )


def _fetch(address: str, path: Path, sha256: str) -> str | None:
    """Write what the address gives to ``path``; what went wrong with the network or the content, in words, or None."""
    digest, done, total = hashlib.sha256(), 0, None
    with open(path, "xb") as file, _progress(address.rsplit("/", 1)[-1]) as advance:
        try:
            for chunk, total in _chunks(address):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                advance(done, total)
        except _NetworkError as error:
            return f"{error} after {done} bytes" if done else str(error)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        return f"the connection ended after {done} of {total} bytes"
    if digest.hexdigest() != sha256:
        return f"{done} bytes with another content (sha256 {digest.hexdigest()[:16]}...)"
    return None


class _NetworkError(Exception):
    """What went wrong between here and a mirror."""


def _chunks(address: str) -> Iterator[tuple[bytes, int | None]]:
    """The content in pieces, with the length that the server announced."""
    if not address.startswith(("http://", "https://")):
        raise InternalError(f"the mirror {address!r} is no address of the web")
    request = urllib.request.Request(address, headers={"User-Agent": "insitu", "Accept-Encoding": "identity"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while chunk := response.read(_CHUNK):
                yield chunk, total
    except urllib.error.HTTPError as error:
        raise _NetworkError(f"the server answers {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise _NetworkError(f"no answer within {TIMEOUT:g} seconds") from error
    except urllib.error.URLError as error:
        raise _NetworkError(f"no connection ({getattr(error.reason, 'strerror', None) or error.reason})") from error
    except (http.client.HTTPException, OSError) as error:
        raise _NetworkError(f"the connection broke ({str(error) or type(error).__name__})") from error


@contextmanager
def _progress(name: str) -> Iterator[Advance]:
    """A live line on standard error, if that is a terminal; the function given takes the bytes done and the total."""
    if not getattr(sys.stderr, "isatty", lambda: False)():
        yield lambda done, total: None
        return
    from rich.console import Console  # imported late: most programs never download
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _writable_folder(function: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(function, path, error) from error


def _not_writable(function: str, path: Path, error: OSError) -> FileFormatError:
    return FileFormatError(
        f'{function}: "{path}" cannot be written.',
        expected="a folder that may be written and has room",
        received=error.strerror or str(error),
        fix="make room, or let INSITU_DATA_DIR name a folder that you may write",
        slug="file-not-writable",
    )
