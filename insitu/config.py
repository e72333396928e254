"""Settings of the process: threads, target CPU, kernel cache, debugging switches.

Each setting has an environment variable, read (and checked) when the setting is first looked at,
and an attribute of `config` that can be assigned at any time.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from insitu.errors import ArgumentError
from insitu.nearest import nearest

if TYPE_CHECKING:
    from insitu.codegen.target import Target

T = TypeVar("T")

MAX_THREADS = 1024
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


def usable_cores() -> int:
    """Cores this process may run on (its affinity mask where the system has one)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True)
class _Setting(Generic[T]):
    """A descriptor: one setting with its variable, default, check and wording."""

    variable: str
    default: Callable[[], T]
    read: Callable[[Any], T | None]
    expected: str
    fix: str
    slug: str
    doc: str
    name: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "__doc__", self.doc)

    @overload
    def __get__(self, instance: None, owner: type) -> _Setting[T]: ...
    @overload
    def __get__(self, instance: Config, owner: type) -> T: ...
    def __get__(self, instance: Config | None, owner: type) -> T | _Setting[T]:
        if instance is None:
            return self
        values = instance._values
        if self.name not in values:
            text = os.environ.get(self.variable)
            values[self.name] = self.default() if text is None or not text.strip() else self.checked(text, self.variable)
        value: T = values[self.name]
        return value

    def __set__(self, instance: Config, value: Any) -> None:
        instance._values[self.name] = self.default() if value is None else self.checked(value, f"config.{self.name}")
        instance.changed()

    def checked(self, value: Any, place: str) -> T:
        """The setting's value from text or an object; ``place`` names where it was written."""
        found = self.read(value.strip() if isinstance(value, str) else value)
        if found is None:
            raise ArgumentError(f"{place} cannot be {value!r}.", expected=self.expected, received=repr(value), fix=self.fix, slug=self.slug)
        return found


def _read_count(value: Any) -> int | None:
    number = _integer(value)
    return number if number is not None and 1 <= number <= MAX_THREADS else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.replace("_", "")
        return int(digits) if digits.isdecimal() and digits.isascii() else None
    try:
        return int(value.__index__())
    except (AttributeError, TypeError):
        return None


def _read_bytes(value: Any) -> int | None:
    if isinstance(value, str):
        number, unit = value.rstrip("bBiIkKmMgGtT "), value.lower()
        unit = unit[len(number) :].strip().removesuffix("b").removesuffix("i")
        count = _integer(number.strip())
        return count * _UNITS[unit] if count is not None and unit in _UNITS else None
    number_ = _integer(value)
    return number_ if number_ is not None and number_ >= 0 else None


def _read_switch(value: Any) -> bool | None:
    if isinstance(value, str):
        return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None
    return bool(value) if value in (0, 1) else None


def _read_bits(value: Any) -> int | None:
    number = _integer(value)
    return number if number in (128, 256, 512) else None


def _read_folder(value: Any) -> Path | None:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        return None
    return Path(os.fsdecode(os.fspath(value))).expanduser().absolute()


def _read_cpu(value: Any) -> str | None:
    if value == "native":
        return "native"
    from insitu.codegen.target import known_cpus

    return value if isinstance(value, str) and value in known_cpus() else None


def _read_traceback(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and value.lower() in ("short", "full") else None


def _default_folder() -> Path:
    import platformdirs  # imported late: most programs that only build graphs never ask

    return Path(platformdirs.user_cache_dir("insitu", appauthor=False))


_SWITCH = ("on or off: 1, true, yes, on, 0, false, no, off", "write 1 or 0")


class Config:
    """The settings; ``insitu.config`` is the one object of this class.

    Attributes
    ----------
    threads : int
        Threads that run one program, 1 to 1024; takes effect at the next run. Results do not
        depend on it. Default: the cores this process may use. ``INSITU_THREADS``.
    cpu : str
        CPU to make code for: ``"native"`` or a name such as ``"haswell"``; for programs compiled
        from then on. ``INSITU_CPU``.
    vector_bits : int or None
        128, 256 or 512: vectors no wider than this. None: as wide as the CPU's. ``INSITU_VECTOR_BITS``.
    cache_dir : pathlib.Path
        Folder of the kernel cache. ``INSITU_CACHE_DIR``.
    cache_limit : int
        Largest size of the kernel cache in bytes; 0 keeps nothing on disk. Text may end in K, M
        or G. Default: 1 GiB. ``INSITU_CACHE_LIMIT``.
    verify : bool
        Check graph and loop nests after every pass. ``INSITU_VERIFY``.
    eager : bool
        Run each operation at once, for debuggers; the same bits. ``INSITU_EAGER``.
    traceback : str
        ``"short"`` hides insitu's own frames in errors, ``"full"`` shows them. ``INSITU_TRACEBACK``.

    Assigning None brings back the default. A value that a setting cannot have raises
    `insitu.errors.ArgumentError`.

    Examples
    --------
    >>> from insitu.config import config
    >>> config.threads = 2
    >>> config.threads
    2
    >>> config.threads = None
    """

    __slots__ = ("_target", "_values", "revision")

    _values: dict[str, Any]
    #: `target`, and the revision it was found for.
    _target: tuple[int, Target | None]
    #: Changes with every assignment: who has drawn conclusions from settings compares it.
    revision: int

    def __init__(self) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "revision", 0)
        object.__setattr__(self, "_target", (0, None))

    threads = _Setting(
        "INSITU_THREADS", usable_cores, _read_count, f"a whole number from 1 to {MAX_THREADS}",
        "leave it unset to use every core of this process", "config-threads", "Threads that run one program.",
    )  # fmt: skip
    cpu = _Setting(
        "INSITU_CPU", lambda: "native", _read_cpu, "native, or the name of a CPU such as x86-64, haswell, skylake-avx512, znver4",
        "leave it unset to make code for this machine", "config-cpu", "The CPU that code is made for.",
    )  # fmt: skip
    vector_bits: _Setting[int | None] = _Setting(
        "INSITU_VECTOR_BITS", lambda: None, _read_bits, "128, 256 or 512",
        "leave it unset to use the CPU's own width", "config-vector-bits", "Widest vector to use, or None.",
    )  # fmt: skip
    cache_dir = _Setting(
        "INSITU_CACHE_DIR", _default_folder, _read_folder, "the path of a folder",
        "name a folder that only you can write", "config-cache-dir", "Folder of the kernel cache.",
    )  # fmt: skip
    cache_limit = _Setting(
        "INSITU_CACHE_LIMIT", lambda: 1 << 30, _read_bytes, "a number of bytes, such as 500000000, 512M or 1G",
        "write a number with an optional K, M or G", "config-cache-limit", "Largest size of the kernel cache in bytes.",
    )  # fmt: skip
    verify = _Setting("INSITU_VERIFY", lambda: False, _read_switch, *_SWITCH, "config-verify", "Verify after every pass.")
    eager = _Setting("INSITU_EAGER", lambda: False, _read_switch, *_SWITCH, "config-eager", "Run each operation at once.")
    traceback = _Setting(
        "INSITU_TRACEBACK", lambda: "short", _read_traceback, "short or full", "write short or full",
        "config-traceback", "Whether errors show insitu's own frames.",
    )  # fmt: skip

    @property
    def target(self) -> Target:
        """The CPU that new programs are compiled for."""
        revision, found = self._target
        if found is None or revision != self.revision:
            from insitu.codegen.target import named
            from insitu.runtime.loader import native_target

            revision, found = self.revision, native_target(self.vector_bits) if self.cpu == "native" else named(self.cpu, self.vector_bits)
            object.__setattr__(self, "_target", (revision, found))
        return found

    def changed(self) -> None:
        """Make everybody look at the settings again."""
        object.__setattr__(self, "revision", self.revision + 1)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), _Setting):
            near = nearest(name, settings())
            raise ArgumentError(
                f"config has no setting {name!r}.",
                expected="one of " + ", ".join(settings()),
                received=name,
                fix=f"did you mean config.{near}?" if near else "take one of these",
                slug="config-unknown",
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return "config(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in settings()) + ")"


def settings() -> tuple[str, ...]:
    """Names of all settings."""
    return tuple(name for name, value in vars(Config).items() if isinstance(value, _Setting))


config = Config()
