"""The program ``insitu``: its commands, what they print, and how errors end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import click
import numpy as np
import pytest
from rich.console import Console

from insitu.cli import commands
from insitu.config import config
from insitu.errors import ArgumentError, InternalError
from insitu.nn import pictures


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "cache_dir", tmp_path / "kernels")
    yield
    config.cache_dir = None


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = commands.run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def last_json(out: str) -> dict:
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "-h"], ["doctor", "--help"], ["cache", "--help"]])
def test_help(capsys, arguments):
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "Usage: insitu" in out


def test_hidden_commands_are_not_listed(capsys):
    assert "predict-digits" not in run(capsys, "--help")[1]


def test_version(capsys):
    assert run(capsys, "--version")[1].startswith("insitu ")


def test_wrong_command_lines_end_with_2(capsys):
    for arguments in (["nonsense"], ["demo", "--epochs", "0"], ["cache", "list", "--nonsense"]):
        code, _, err = run(capsys, *arguments)
        assert code == 2 and "Traceback" not in err


def test_user_errors_end_with_1_and_no_traceback(capsys, tmp_path):
    code, _, err = run(capsys, "predict-digits", str(tmp_path / "nothing"))
    assert code == 1 and "there is no file" in err and "to fix" in err and "Traceback" not in err and ".py" not in err
    code, _, err = run(capsys, "cache", "prune", "--limit", "many")
    assert code == 1 and "--limit" in err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ArgumentError("no"), 1), (InternalError("bug"), 70)])
def test_exit_codes(capsys, monkeypatch, error, code):
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(commands.program, "main", broken)
    assert run(capsys, "doctor")[0] == code


def test_cache_commands(capsys, tmp_path):
    from insitu.runtime.cache import KernelCache

    cache = KernelCache(tmp_path / "kernels", 1 << 20)
    for name in "abc":
        cache.put(f"kernel {name}", name.encode() * 1000)
    code, out, _ = run(capsys, "cache", "info", "--json")
    assert code == 0 and last_json(out)["kernels"] == 3 and last_json(out)["usable"] is True
    listed = last_json(run(capsys, "cache", "list", "--json")[1])["kernels"]
    assert {k["key"] for k in listed} == {"kernel a", "kernel b", "kernel c"} and all(k["bytes"] > 1000 for k in listed)
    assert last_json(run(capsys, "cache", "prune", "--limit", "2500", "--json")[1])["kernels"] == 2
    assert last_json(run(capsys, "cache", "clear", "--json")[1]) == {"freed": pytest.approx(2100, abs=200), "kernels": 0, "bytes": 0}
    assert run(capsys, "cache", "list")[1] == "no kernels\n"


def test_doctor_tells_the_machine(capsys, monkeypatch):
    from insitu.cli import doctor

    monkeypatch.setattr(doctor.measure, "peak_gflops", lambda n: 100.0 * n)
    monkeypatch.setattr(doctor.measure, "bandwidth", lambda *a: 10.0)
    code, out, _ = run(capsys, "doctor", "--json")
    report = last_json(out)
    assert code == 0 and report["works"] is True
    assert report["target"]["vector_bits"] in (128, 256, 512) and report["peak_gflops"]["1"] == 100
    assert report["kernel_cache"]["folder"] == str(config.cache_dir) and report["versions"]["numpy"] == np.__version__
    for word in ("CPU", "features", "threads", "float32 peak", "bandwidth", "kernel cache", "versions"):
        assert word in out


def test_doctor_names_problems(monkeypatch, tmp_path):
    from insitu.cli import doctor

    monkeypatch.setattr(doctor, "_machine", lambda target: {"peak_gflops": {"1": 1.0}, "bandwidth_gbs": {"1": 1.0}})
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    config.cache_dir, config.threads = folder, 1000
    try:
        problems = " ".join(doctor.examine()["problems"])
    finally:
        config.threads = None
    assert "INSITU_CACHE_DIR" in problems and "INSITU_THREADS" in problems


@pytest.mark.parametrize(("below", "said"), [("", "is not used: it is a file"), ("kernels", "cannot be written")])
def test_a_file_in_the_place_of_the_cache_is_named(capsys, monkeypatch, tmp_path, below, said):
    from insitu.cli import doctor

    monkeypatch.setattr(doctor, "_machine", lambda target: {"peak_gflops": {"1": 1.0}, "bandwidth_gbs": {"1": 1.0}})
    (tmp_path / "file").touch()
    config.cache_dir = tmp_path / "file" / below
    assert said in " ".join(doctor.examine()["problems"])
    if not below:
        code, out, _ = run(capsys, "cache", "info", "--json")
        assert code == 0 and "problem  not in use: it is a file" in out and last_json(out)["usable"] is False


def process(*arguments: str, **extra: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "INSITU_CACHE_DIR": str(config.cache_dir), **extra}
    return subprocess.Popen([sys.executable, "-m", "insitu", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_demo_learns_and_gives_the_same_bits_in_a_new_process(tmp_path):
    running = process("demo", "--json", "--output", str(tmp_path / "model"))
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    report = last_json(out)
    assert report["accuracy"] >= 0.97 and report["bits_agree"] is True
    assert {"first_step_seconds", "examples_per_second", "gflops", "peak_gflops"} <= report.keys()
    assert "the same bits" in out and "is " in out and "\x1b[" not in out  # no colour in a pipe
    assert (tmp_path / "model").stat().st_size > 10_000


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupting_the_demo_leaves_no_traceback():
    running = process("demo", "--epochs", "100000")
    try:
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130 and "Traceback" not in err and "interrupted" in err


def console(colour: str | None, width: int = 60) -> Console:
    import io

    return Console(file=io.StringIO(), force_terminal=colour is not None, color_system=colour, width=width, legacy_windows=False)


def test_pictures_without_colour_show_ink_as_shades():
    screen = console(None)
    pictures.gallery(screen, [np.array([[0.0, 1.0], [0.5, 0.25]])], ["caption"])
    lines = screen.file.getvalue().splitlines()
    assert lines[0].rstrip() == "    ██" and lines[1].rstrip() == "  ▒▒░░" and lines[2].strip() == "caption"


def test_pictures_with_colour_put_two_pixels_in_a_character():
    screen = console("truecolor")
    pictures.gallery(screen, [np.array([[0.0, 1.0], [0.5, 1.0]])], ["c"])
    text = screen.file.getvalue()
    assert text.count("▀") == 2 and "38;2;255;255;255" in text and "48;2;128;128;128" in text and "38;2;0;0;0" in text


def test_pictures_wrap_to_the_width():
    screen = console(None, 40)
    pictures.gallery(screen, [np.zeros((8, 8))] * 5, list("abcde"))
    lines = screen.file.getvalue().splitlines()
    assert len(lines) == 27 and max(map(len, lines)) <= 40


def test_bench_reports_shares_of_the_peak(capsys, monkeypatch):
    from insitu.cli import bench

    monkeypatch.setattr(bench, "SIZES", (32,))
    monkeypatch.setattr(bench, "SHAPE", (64, 64))
    monkeypatch.setattr(bench.run_bench, "__defaults__", (0.01,))
    assert commands.run(["bench", "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < report["products"]["32x32"]["share_of_peak"] < 1.2 and set(report["kernels"]) == {"x * 2 + 1", "tanh(x)", "softmax of rows"}


#: Values that each option and argument refuses before any work begins.
WRONG = {
    "demo --epochs": ["0", "-1", "1.5", "abc", ""],
    "demo --seed": ["-1", "1.5", "abc", ""],
    "demo --output": ["", ".", "missing/model.insitu"],
    "cache prune --limit": ["abc", "", "-1", "1e400", "nanM"],
    "explain slug": ["", "nonsense", "../broadcast-shapes"],
    "predict-digits path": ["", ".", "missing.insitu"],
}


def leaves(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands, with the words that call them."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, *names, name)
    else:
        yield names, command


def test_every_command_refuses_what_it_does_not_take(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for names, command in leaves(commands.program):
        taken = [p for p in command.params if isinstance(p, click.Argument)]
        for more in (["--nonsense"], ["nonsense"] * (len(taken) + 1), ["--json=3"]):
            code, _, err = run(capsys, *names, *more)
            assert code == 2 and "Traceback" not in err, (names, more)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.is_flag:
                continue
            key = parameter.opts[0]
            for value in WRONG[f"{' '.join(names)} {key}"]:
                code, _, err = run(capsys, *names, *([key, value] if key.startswith("-") else [value]))
                assert code in (1, 2) and err and "Traceback" not in err, (names, key, value)
