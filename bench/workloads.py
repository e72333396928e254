"""What is measured: data, initial weights and sizes, the same numbers for every system.

The numbers are those of the peers' ``common.py``, written again so that the benchmarks also run
where there are no peers; `training.py` compares the losses of all systems.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Labels = np.ndarray[Any, np.dtype[np.int32]]

#: layers of each network: name, inputs, outputs
LAYERS = {
    "a": [("o", 784, 10)],
    "b": [("h", 784, 25), ("o", 25, 10)],
    "d": [("h1", 784, 1024), ("h2", 1024, 1024), ("o", 1024, 10)],
}
BATCH = {"a": 100, "b": 100, "d": 256}
TITLES = {
    "a": "784-10 softmax, SGD, batch 100",
    "b": "784-25-10 sigmoid, Adam, batch 100",
    "d": "784-1024-1024-10 relu, momentum, batch 256",
}
LEARNING_RATE = {"a": 0.5, "b": 1e-3, "d": 0.01}

CHAIN, SOFTMAX, LAYER_NORM = 16 * 1024 * 1024, (4096, 4096), (4096, 1024)
#: least traffic to and from memory, bytes: chain reads two arrays and writes one, the others read one and write one
TRAFFIC = {"chain": 12 * CHAIN, "softmax": 8 * 4096 * 4096, "layer norm": 8 * 4096 * 1024}


@dataclasses.dataclass
class Job:
    """One thing to time: ``step()`` gives a handle, ``wait(handle)`` blocks until it is done."""

    step: Callable[[], Any]
    wait: Callable[[Any], Any] = lambda handle: None
    value: Callable[[Any], float] | None = None
    flop: float | None = None
    bytes: float | None = None
    name: str = ""


def normal(*shape: int, seed: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def batch(net: str) -> tuple[Floats, Labels]:
    """The one fixed batch of a network."""
    rng = np.random.default_rng(99)
    pixels = rng.random((BATCH[net], 784), dtype=np.float32)
    return pixels, rng.integers(0, 10, BATCH[net]).astype(np.int32)


def weights(net: str) -> dict[str, Floats]:
    """Initial weights of a network."""
    rng = np.random.default_rng(1234)
    made: dict[str, Floats] = {}
    for name, inputs, outputs in LAYERS[net]:
        made[name + ".w"] = (rng.standard_normal((inputs, outputs)) * np.sqrt(1.0 / inputs)).astype(np.float32)
        made[name + ".b"] = np.zeros(outputs, np.float32)
    return made


@dataclasses.dataclass(frozen=True)
class Product:
    """A matrix product ``op(a) @ op(b)`` of m x k by k x n; ``case`` has t where an operand is stored transposed.

    ``chain`` products, each with the result of the one before, make one step: small ones are then
    timed without the cost of a Python call.
    """

    m: int
    k: int
    n: int
    case: str = "nn"
    chain: int = 1

    @property
    def name(self) -> str:
        size = f"{self.m}" if self.m == self.k == self.n else f"{self.m}x{self.k}x{self.n}"
        return f"{size} {self.case}"

    @property
    def flop(self) -> int:
        return 2 * self.m * self.k * self.n * self.chain

    @property
    def bytes(self) -> int:
        return 4 * (self.m * self.k + self.k * self.n + self.m * self.n) * self.chain

    def operands(self) -> tuple[Floats, Floats]:
        """Both as they are stored; the second is scaled so that chains neither grow nor vanish."""
        a = normal(*((self.k, self.m) if self.case[0] == "t" else (self.m, self.k)), seed=1)
        b = normal(*((self.n, self.k) if self.case[1] == "t" else (self.k, self.n)), seed=2)
        return a, b / np.float32(np.sqrt(self.k))


CASES = ("nn", "nt", "tn", "tt")
SMALL, LARGE = (64, 128, 256), (512, 1000, 1023, 1024, 1025, 2048)
PRODUCTS = [
    *[Product(n, n, n, case, chain=max(4, 2048 // n)) for n in SMALL for case in CASES],
    *[Product(n, n, n, case) for n in LARGE for case in CASES],
    Product(65536, 64, 64),  # tall
    Product(65536, 256, 16),
    Product(64, 64, 65536),  # flat
    Product(16, 4096, 4096),
    Product(64, 65536, 64),  # long chains
    Product(4096, 4096, 1),  # matrix and vector
    Product(4096, 4096, 1, "tn"),
    Product(1, 4096, 4096),
    Product(1, 4096, 4096, "nt"),
]
#: those that may take longer to read than to multiply
FAR = [p for p in PRODUCTS if p.chain == 1 and p.flop <= 16 * p.bytes]
