"""What is shown while a model is trained: in a terminal, a narrow one, a pipe, without UTF-8, and where there is no output."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import insitu as si
from insitu.errors import UserError
from insitu.nn import progress
from insitu.nn.progress import screens, words
from insitu.nn.progress.display import VERBOSE

PROGRAM = """
import time
import numpy as np
import insitu as si
x = np.random.default_rng(0).standard_normal((6000, 8), dtype=np.float32)
model = si.nn.Sequential([si.nn.Dense(4, activation="tanh"), si.nn.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
slow = si.nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.004))
model.fit(x, x[:, :1], batch_size=40, epochs=3, validation_split=0.1, callbacks=[slow])
print("done")
"""


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Latin(Terminal):
    encoding = "latin-1"


def lines(monkeypatch, width, screen=None, logs=(("loss", 0.5), ("accuracy", 0.25)), epochs=3):
    screen = Terminal() if screen is None else screen
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(screens, "REDRAW", 0.0)
    with progress.Progress(1, epochs, 100, 1000) as line:
        for epoch in range(epochs):
            line.begin(epoch)
            now = {name: value / (epoch + 1) for name, value in logs}
            line.look(50, 500, now)
            line.end(now)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    return [part for part in re.split(r"[\r\n]+", plain) if part.strip()]


@pytest.mark.parametrize("width", [120, 80, 60, 40, 30, 20])
def test_every_line_fits_its_window_and_the_loss_stays(monkeypatch, width):
    shown = lines(monkeypatch, width)
    assert len(shown) >= 6
    assert all(len(line) < width for line in shown)
    assert all("loss 0." in line for line in shown)


def test_a_wide_window_has_everything(monkeypatch):
    shown = lines(monkeypatch, 140)
    assert re.fullmatch(r"Epoch 1/3  ━{10}╌{10}  50/100  loss 0.5000  accuracy 0.2500  [0-9,]+ examples/s  \S+ s left, \S+ s to the end\s*", shown[0])
    assert re.fullmatch(r"Epoch 3/3  100/100  loss 0.1667  accuracy 0.0833  [0-9,]+ examples/s  \S+ s  █▄▁\s*", shown[-1])


def test_in_a_narrow_window_the_least_important_goes_first(monkeypatch):
    logs = (("loss", 0.5), ("mae", 0.25), ("val_loss", 0.75))
    found = {width: lines(monkeypatch, width, logs=logs)[-1].strip() for width in (90, 66, 48, 40, 20, 16)}
    assert re.fullmatch(r"Epoch 3/3  100/100  loss 0.1667  mae 0.0833  val_loss 0.2500  \S+/s  \S+ s(  █▄▁)?", found[90])
    assert re.fullmatch(r"3/3  100/100  loss 0.1667  mae 0.0833  val_loss 0.2500  [0-9.]+[kM]?/s", found[66])
    assert found[48] == "3/3  loss 0.1667  mae 0.0833  val_loss 0.2500"
    assert found[40] == "3/3  100/100  loss 0.1667  mae 0.0833"
    assert found[20] == "3/3  loss 0.1667" and found[16] == "loss 0.1667"


def test_signs_are_replaced_where_the_encoding_lacks_them(monkeypatch):
    shown = lines(monkeypatch, 130, Latin(), logs=(("loss", 0.5), ("größe", 1.0), ("长", 1.0)))
    assert all(line.encode("latin-1") for line in shown) and "#" in shown[0] and "größe" in shown[0] and "? 1.0" in shown[0]


def test_infinite_and_many_valued_logs(monkeypatch):
    logs = {"loss": np.float32("nan"), "top": float("inf"), "matrix": np.eye(2), "text": "warm", "nothing": None, "rate": 1e-5, "n": np.int64(3)}
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(screens, "REDRAW", 0.0)
    with progress.Progress(1, 2, 4, None) as line:
        for epoch in range(2):
            line.begin(epoch)
            line.look(2, None, logs)
            line.end(logs)
    assert "4/4  loss nan  top inf  rate 1e-05  n 3.0000  0.0" in screen.getvalue()
    assert not any(word in screen.getvalue() for word in ("matrix", "warm", "nothing"))


def test_what_was_really_done_is_told_of_epochs_that_end_early_or_began_before(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    with progress.Progress(2, 2, 100, 1000) as line:
        line.begin(0, 60, 600)
        line.trained(70, 700)
        line.end({"loss": 1.0})
        line.begin(1)
        line.end({"loss": 1.0})
    assert screen.getvalue().splitlines() == [
        "Epoch 1/2  70/70  loss 1.0000  100 examples/s  2.00 s",
        "Epoch 2/2  100/100  loss 1.0000  1,000 examples/s  1.00 s",
    ]


def test_the_length_of_the_first_epoch_is_expected_of_the_second(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(screens, "REDRAW", 0.0)
    with progress.Progress(1, 2, None, None) as line:
        for epoch in range(2):
            line.begin(epoch)
            line.look(10, 40, {"loss": 1.0})
            line.trained(20, 80)
            line.end({"loss": 1.0})
    assert "step 10 " in screen.getvalue() and "10/20 " in screen.getvalue()


def test_the_time_left_does_not_count_compilation(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "140")
    now = [0.0]
    monkeypatch.setattr(screens.time, "perf_counter", lambda: now[0])
    with progress.Progress(1, 2, 100, 1000) as line:
        line.begin(0)
        for at, step in ((50.0, 10), (51.0, 20)):
            now[0] = at
            line.look(step, 10 * step, {"loss": 1.0})
    assert "100 examples/s  8.0 s left, 18 s to the end" in screen.getvalue()


@pytest.mark.parametrize("output", [None, "closed"])
def test_no_output_is_no_trouble(monkeypatch, output):
    if output == "closed":
        output = io.StringIO()
        output.close()
    monkeypatch.setattr(sys, "stdout", output)
    with progress.Progress(1, 1, 10, 10) as line:
        line.begin(0)
        line.look(1, 1, {"loss": 1.0})
        line.end({"loss": 1.0})


def test_what_callbacks_and_checks_say_goes_the_way_of_progress(monkeypatch):
    x = np.zeros((4, 2), np.float32)
    model = si.nn.Sequential([si.nn.Dense(1)], name="größe_长")
    model.compile("sgd", "mse")
    stop = si.nn.callbacks.EarlyStopping("loss", patience=1, verbose=1)
    monkeypatch.setattr(sys, "stdout", None)
    model.check(x, x[:, :1])
    assert len(model.fit(x, x[:, :1], epochs=9, callbacks=[stop], verbose=0).epoch) == 2
    monkeypatch.setattr(sys, "stdout", Latin())
    model.check(x, x[:, :1])
    model.fit(x, x[:, :1], epochs=9, callbacks=[stop], verbose=0)
    assert 'Training of "größe_?"' in sys.stdout.getvalue() and sys.stdout.getvalue().endswith("Epoch 2: early stopping\n")


class Notebook:
    """IPython's `display`, which keeps what each output shows."""

    def __init__(self):
        self.outputs = []

    def __call__(self, content, raw, display_id):
        shown = [content["text/plain"]]
        self.outputs.append(shown)
        return types.SimpleNamespace(update=lambda content, raw: shown.append(content["text/plain"]))


def test_a_notebook_gets_one_output_that_is_replaced(monkeypatch):
    notebook, screen = Notebook(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(screens, "_notebook", lambda: notebook)
    with progress.Progress(1, 250, 10, 100) as line:
        for epoch in range(250):
            line.begin(epoch)
            line.look(5, 50, {"loss": 1.0})
            line.end({"loss": 0.5})
    assert screen.getvalue() == "" and len(notebook.outputs) == 3
    assert sum(map(len, notebook.outputs)) < 20  # ten a second, however short the epochs
    final = [output[-1].splitlines() for output in notebook.outputs]
    assert [len(f) for f in final] == [100, 100, 50] and "━" not in final[0][0] and max(len(text) for f in final for text in f) <= 100
    assert [text.split("  loss")[0] for text in final[2][:2]] == ["Epoch 201/250  10/10", "Epoch 202/250  10/10"]


def test_a_script_that_loads_ipykernel_is_no_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert screens._notebook() is None


def test_a_loop_within_a_loop_leaves_the_last_line_to_the_inner_one(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(screens, "REDRAW", 0.0)
    with progress.Progress(1, 2, 10, 10) as outer:
        outer.begin(0)
        outer.look(1, 1, {"loss": 1.0})
        assert sys.stdout is not screen  # what is printed now goes above the line
        with progress.Progress(1, 0, 10, 10) as inner:
            assert sys.stdout is screen
            inner.look(1, 1, {"loss": 2.0})
            inner.end({"loss": 2.0})
        outer.look(2, 2, {"loss": 1.0})
        outer.end({"loss": 1.0})
    assert sys.stdout is screen and screens.Terminal.drawing is None
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 3


def test_an_exception_gives_the_terminal_back(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    def interrupted():
        with progress.Progress(1, 2, 10, 10) as line:
            line.begin(0)
            line.look(1, 1, {"loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sys.stdout is screen and screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1


def test_a_dumb_terminal_gets_lines_only(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")
    with progress.Progress(1, 1, 10, 10) as line:
        line.begin(0)
        line.look(1, 1, {"loss": 1.0})
        line.end({"loss": 1.0})
    assert re.fullmatch(r"Epoch 1/1  10/10  loss 1.0000  \S+ examples/s  0.00 s\n", screen.getvalue())


def test_the_curve_falls_with_the_loss_and_stays_short():
    trace = words.Trace()
    for k in range(10_000):
        trace.add(1000.0 / (1 + k))
        trace.add(float("nan"))
    shown = words.curve(trace.values, 12)
    assert len(trace.values) <= 512 and len(shown) == 12 and shown[0] == "█" and shown[-1] == "▁" and list(shown) == sorted(shown, reverse=True)
    assert words.curve([1.0, float("inf")], 12) == "" == words.curve([], 12) and words.curve([2.0, 2.0], 12) == "▁▁"


def test_messages_keep_their_own_line(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(screens, "REDRAW", 0.0)
    with progress.Progress(1, 1, 10, 10) as line:
        line.begin(0)
        line.look(1, 1, {"loss": 1.0})
        line.message("saved")
        line.end({"loss": 1.0})
    assert "saved\n" in screen.getvalue()


def test_a_pipe_gets_one_line_per_epoch_without_control_codes():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, encoding="utf-8", check=True)
    shown = done.stdout.splitlines()
    assert len(shown) == 4 and shown[-1] == "done" and "\x1b" not in done.stdout
    assert all(re.match(rf"Epoch {k + 1}/3  135/135  loss \S+  mae \S+  val_loss \S+  val_mae \S+", shown[k]) for k in range(3))


def test_a_real_terminal_shows_a_live_line_and_gets_its_cursor_back():
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "110"})
    os.close(slave)
    text, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        ready, _, _ = select.select([master], [], [], 0.5)
        try:
            part = os.read(master, 65536) if ready else b""
        except OSError:
            break
        text += part
        if not part and process.poll() is not None:
            break
    os.close(master)
    assert process.wait(10) == 0
    shown = text.decode()
    assert "examples/s" in shown and "━" in shown and "done" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is hidden and shown again


def test_level_refuses_other_values():
    for value in ("loud", 3, None, 1.5, [1]):
        with pytest.raises(UserError) as caught:
            VERBOSE.check("fit", "verbose", value)
        assert caught.value.slug == "verbose"
    assert [progress.level(v) for v in ("auto", 0, 1, 2, True)] == [1, 0, 1, 2, 1]


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12 s"), (12.34, "12.3 s"), (125, "2:05"), (3725, "1:02:05")])
def test_durations(value, text):
    assert words.seconds(value) == text
