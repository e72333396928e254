"""What the programs share: the data, and the settings of the three networks."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

#: hidden layers, activation, dropout, optimizer, rate, batch, epochs; with dropout the rate falls to `LAST` of it as a cosine, as in examples/
SETTINGS = {
    "softmax": ([], "", 0.0, "sgd", 0.5, 100, 6),
    "hidden": ([25], "sigmoid", 0.0, "adam", 0.003, 100, 10),
    "dropout": ([512, 512], "relu", 0.1, "adam", 4e-3, 256, 3),
}
LAST = 0.01


def steps(examples, batch, epochs):
    """Of the whole training."""
    return epochs * -(-examples // batch)


def load():
    """Floats from 0 to 1 as rows of 784, and labels."""
    folder = Path(os.environ["INSITU_DATA_DIR"]) / "mnist"

    def read(name, offset):
        with gzip.open(folder / f"{name}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    found = []
    for part in ("train", "t10k"):
        x = read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784)
        found += [x.astype(np.float32) / 255, read(f"{part}-labels-idx1-ubyte", 8).astype(np.int64)]
    return found
