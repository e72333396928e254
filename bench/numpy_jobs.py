"""NumPy's side of the matrix products: what a user of NumPy writes, with its OpenBLAS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workloads import PRODUCTS, Job, Product


def build(workload: str, mode: str, threads: int) -> list[Job]:
    if workload != "matmul":
        raise ValueError(f"no NumPy job for {workload}")
    return [Job(_step(p), name=p.name, flop=p.flop) for p in PRODUCTS]


def _step(product: Product) -> Callable[[], Any]:
    a, b = product.operands()
    flip_a, flip_b = (side == "t" for side in product.case)
    right = b.T if flip_b else b

    def step() -> Any:
        x = a
        for _ in range(product.chain):
            x = (x.T if flip_a else x) @ right
        return x

    return step
