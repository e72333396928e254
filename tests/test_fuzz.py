"""Random small programs train, or are refused before the first step; `make fuzz` runs many more."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import Worker, outcome, report, run
from fuzz_programs import Writer

GOOD = """
import numpy as np
import insitu as si
model = si.nn.Sequential([si.nn.Dense(1)])
model.compile("sgd", "mse")
history = model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
"""


def test_random_programs_train_or_are_refused() -> None:
    found = run(0, 50)
    assert [one.seed for one in found] == list(range(50))
    assert not [one for one in found if one.kind == "failed"], report(found)
    assert sum(one.kind == "trained" for one in found) >= 10
    assert len({one.text for one in found if one.kind == "refused"}) >= 5


@pytest.mark.slow
def test_many_random_programs_train_or_are_refused() -> None:
    found = run(1000, 1500)
    assert not [one for one in found if one.kind == "failed"], report(found)


def test_a_seed_gives_one_program() -> None:
    assert Writer(7).program() == Writer(7).program() != Writer(8).program()
    compile(Writer(7).program(), "program", "exec")


@pytest.mark.parametrize(
    ("program", "kind", "text"),
    [
        (GOOD, "trained", ""),
        (GOOD.replace("Dense(1)", "Dense(0)"), "refused", "dense-units"),
        (GOOD.replace("Dense(1)", "Dense(3)"), "refused", "loss-shapes"),
        (GOOD + "model.predict(np.ones((4, 3)))", "failed", "refused after 1 steps"),
        ("1 / 0", "failed", "ZeroDivisionError"),
        ("import insitu\nraise insitu.errors.InternalError('lost')", "failed", "InternalError"),
        ("import insitu\nraise insitu.errors.UserError('so')", "failed", "without a fix"),
    ],
)
def test_outcome_of_a_program(program: str, kind: str, text: str) -> None:
    found = outcome(3, program)
    assert (found.seed, found.kind) == (3, kind)
    assert text in found.text


def test_a_crash_is_told_and_the_next_program_runs(tmp_path: Path) -> None:
    worker = Worker({"INSITU_CACHE_DIR": str(tmp_path), "TMPDIR": str(tmp_path)})
    try:
        assert worker.run(1, GOOD).kind == "trained"
        crashed = worker.run(2, "import os, sys\nprint('so it ends', file=sys.stderr, flush=True)\nos._exit(7)")
        assert crashed.kind == "failed"
        assert "code 7" in crashed.text
        assert worker.run(3, GOOD).kind == "trained"
    finally:
        worker.close()
