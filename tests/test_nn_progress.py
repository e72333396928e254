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

import numpy as np
import pytest

from insitu.errors import UserError
from insitu.nn import progress

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
    monkeypatch.setattr(progress, "_REDRAW", 0.0)
    with progress.Progress(1, epochs, 100, 1000) as line:
        for epoch in range(epochs):
            line.begin(epoch)
            line.look(50, 500, dict(logs))
            line.end({name: value / (epoch + 1) for name, value in logs})
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
    assert re.fullmatch(r"Epoch 1/3  ━+╌+  50/100  loss 0.5000  accuracy 0.2500  [0-9,]+ examples/s  \S+ s left of \S+ s\s*", shown[0])
    assert re.fullmatch(r"Epoch 3/3  100/100  loss 0.1667  accuracy 0.0833  [0-9,]+ examples/s  \S+ s  █▃▁", shown[-1])


def test_signs_are_replaced_where_the_encoding_lacks_them(monkeypatch):
    shown = lines(monkeypatch, 130, Latin())
    assert all(line.isascii() for line in shown) and "#" in shown[0] and shown[-1].rstrip().endswith("#._")


def test_infinite_and_many_valued_logs(monkeypatch):
    shown = lines(monkeypatch, 100, logs=(("loss", float("nan")), ("top", float("inf")), ("matrix", np.eye(2))))
    assert "loss nan  top inf" in shown[-1] and "matrix" not in shown[-1]


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


def test_a_notebook_gets_one_line_that_is_written_over(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(progress, "_REDRAW", 0.0)
    with progress.Progress(1, 1, 100, 1000) as line:
        line.begin(0)
        for step in (10, 20, 30):
            line.look(step, 10 * step, {"loss": 1.0})
        line.end({"loss": 0.5})
    text = screen.getvalue()
    assert text.count("\n") == 1 and "\x1b" not in text and text.count("\r") >= 4
    assert "loss 0.5000" in text.splitlines()[-1].rpartition("\r")[2]


def test_messages_keep_their_own_line(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(progress, "_REDRAW", 0.0)
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
            progress.level(value, "fit")
        assert caught.value.slug == "verbose"
    assert [progress.level(v, "fit") for v in ("auto", 0, 1, 2, True)] == [1, 0, 1, 2, 1]


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12 s"), (12.34, "12.3 s"), (125, "2:05"), (3725, "1:02:05")])
def test_durations(value, text):
    assert progress.seconds(value) == text
