"""Settings of the test run: verifier on, a kernel cache of its own, where the data are."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Before insitu is imported, and inherited by the processes that tests start: every pass is verified,
# and the user's kernel cache is neither read (it would hide what is compiled) nor written.
os.environ["INSITU_VERIFY"] = "1"
_CACHE = tempfile.mkdtemp(prefix="insitu-tests-")
os.environ["INSITU_CACHE_DIR"] = _CACHE
# A shell that starts the tests in the background ignores Ctrl-C for them and for all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("insitu", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("insitu")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)


_NAMED = [
    ("insitu.nn.layer", "Layer"), ("insitu.nn.losses.base", "Loss"), ("insitu.nn.metrics.base", "Metric"),
    ("insitu.nn.initializers.fixed", "Initializer"),
    ("insitu.nn.regularizers", "Regularizer"), ("insitu.nn.constraints", "Constraint"), ("insitu.optim.schedules", "LearningRateSchedule"),
    ("insitu.optim.base", ""), ("insitu.registry", ""),
]  # fmt: skip


def tables() -> list[dict[str, Any]]:
    """Where insitu finds classes and functions by their names, as far as these modules are imported."""
    found = []
    for module, owner in _NAMED:
        if (loaded := sys.modules.get(module)) is not None:
            found += [getattr(loaded, owner).classes] if owner else [getattr(loaded, n) for n in ("REGISTRY", "FUNCTIONS") if hasattr(loaded, n)]
    return found


@pytest.fixture(autouse=True)
def _names_stay() -> Iterator[None]:
    """A class that a test or an example defines does not stand in for one of the same name elsewhere."""
    before = [(table, dict(table)) for table in tables()]
    yield
    for table, kept in before:
        table.clear()
        table.update(kept)


def _data_dir() -> Path | None:
    named = os.environ.get("INSITU_DATA_DIR")
    for folder in (Path(named),) if named else (ROOT / "shared" / "data", ROOT.parent / "shared" / "data"):
        if folder.is_dir():
            return folder
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets; the test is skipped where there is none."""
    folder = _data_dir()
    if folder is None:
        pytest.skip("no data folder: set INSITU_DATA_DIR")
    return folder
