"""The example programs, run as a reader would run them, on the real data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("INSITU_DATA_DIR", ROOT.parent / "shared" / "data"))


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="needs the MNIST files in $INSITU_DATA_DIR/mnist")
@pytest.mark.parametrize(("name", "least"), [("mnist_softmax", 91.5), ("mnist_hidden", 95.0), ("mnist_dropout", 98.2)])
def test_example_reaches_its_accuracy(tmp_path, name, least):
    environment = {**os.environ, "INSITU_DATA_DIR": str(DATA), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d.]+)% of the test digits are read right", done.stdout)
    assert found and float(found[1]) >= least, done.stdout


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="needs the MNIST files in $INSITU_DATA_DIR/mnist")
def test_two_convolutions_reach_their_accuracy(tmp_path):
    test_example_reaches_its_accuracy(tmp_path, "mnist_cnn", 99.2)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not (DATA / "fashion_mnist_part").is_dir(), reason="needs the files in $INSITU_DATA_DIR/fashion_mnist_part")
def test_few_pictures_of_clothes_are_enough(tmp_path):
    environment = {**os.environ, "INSITU_DATA_DIR": str(DATA), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "fashion_cnn.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d.]+)% of the test pictures are told apart", done.stdout)
    assert found and float(found[1]) >= 86, done.stdout


@pytest.mark.data
@pytest.mark.parametrize(("name", "folder", "least"), [("mnist_cnn", "mnist", 88), ("fashion_cnn", "fashion_mnist_part", 60)])
def test_networks_with_convolutions_learn_from_the_first_pictures(tmp_path, name, folder, least):
    if not (DATA / folder).is_dir():
        pytest.skip(f"needs the files in $INSITU_DATA_DIR/{folder}")
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    short = re.sub(
        r"\nepochs, batch = .*\n",
        "\nepochs, batch = 1, 50\nx_train, y_train, x_test, y_test = x_train[:3000], y_train[:3000], x_test[:2000], y_test[:2000]\n",
        text,
    )
    assert short.count("[:3000]") == 2
    program = tmp_path / f"{name}.py"
    program.write_text(short, encoding="utf-8")
    environment = {**os.environ, "INSITU_DATA_DIR": str(DATA), "PYTHONPATH": str(ROOT), "INSITU_VERIFY": "0"}
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d.]+)% of the test (digits|pictures) are", done.stdout)
    assert found and least <= float(found[1]) < 97, done.stdout


@pytest.mark.parametrize(
    ("name", "pattern", "low", "high"),
    [
        ("custom_step", r"([\d.]+)% of the held-out digits", 95, 100),
        ("gan", r"is (\d+)% sure of the drawn ones", 50, 100),
        ("meta_learner", r"to ([\d.]+) after five steps", 0, 1.0),
    ],
)
def test_example_shows_that_it_works(tmp_path, name, pattern, low, high):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INSITU_VERIFY": "0"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(pattern, done.stdout)
    assert found and low <= float(found[1]) <= high, done.stdout
