"""Independent kernels of loops become one launch: most updates of an optimizer, sums, small leftovers.

::

    #  round                                     #  round
    3      2  map [10]: reduce_sum, ..., sub     4      2  contract: matmul, mul
    4      2  contract: matmul, mul              5      3  contract: matmul, ..., sub
    5      3  map [25]: reduce_sum, ..., sub     6      3  map [10], map [25], rows []: ...
    6      3  contract: matmul, ..., sub
    8      3  rows []: reduce_sum, div
"""

from __future__ import annotations

from collections.abc import Sequence

from insitu.codegen.nest import ArgSort, Contract
from insitu.compiler.lower import Lowered, reads, writes
from insitu.graph.node import Node

#: Most kernels in one launch: each chunk of its work looks through them all.
MOST = 64
#: Bytes that a kernel may read if it is to wait for others: what it reads stays in memory meanwhile.
_WAITING_BYTES = 1 << 20


def joinable(low: Lowered) -> bool:
    """Whether the kernel is of loops alone."""
    return low.kernel.units > 0 and not any(isinstance(s, Contract | ArgSort) for s in low.kernel.body)


def postponed(order: Sequence[Lowered], rounds: Sequence[int], overwritten: dict[Node, Node]) -> list[int]:
    """Rounds in which small kernels that nobody waits for have moved to a later round that has such kernels, too.

    ``overwritten``: results and the old values that they are written over.
    """
    out = list(rounds)
    first_read: dict[Node, int] = {}
    spoiled: dict[Node, int] = {}
    for low, when in zip(order, rounds, strict=True):
        for n in reads(low):
            first_read.setdefault(n, when)
        for n in writes(low):
            if n in overwritten:
                spoiled[overwritten[n]] = when
    last = max(rounds, default=0)
    hosts: set[int] = set()
    for k in reversed(range(len(order))):
        low = order[k]
        if not joinable(low):
            continue
        if sum(n.aval.nbytes for n in reads(low)) <= _WAITING_BYTES:
            limit = min([first_read[n] - 1 for n in writes(low) if n in first_read], default=last)
            own = {overwritten[n] for n in writes(low) if n in overwritten}
            limit = min([limit, *[spoiled[n] - 1 for n in reads(low) if n in spoiled and n not in own]])
            out[k] = max((r for r in hosts if rounds[k] < r <= limit), default=out[k])
            for n in reads(low):
                first_read[n] = min(first_read[n], out[k])
            for n in own:
                spoiled[n] = out[k]
        hosts.add(out[k])
    return out


def launched(order: Sequence[Lowered], rounds: Sequence[int], join: bool) -> list[tuple[int, list[Lowered]]]:
    """The kernels of each launch, with its round; ``join`` puts those of loops in a round together."""
    out: list[tuple[int, list[Lowered]]] = []
    open_: dict[int, list[Lowered]] = {}
    for low, when in zip(order, rounds, strict=True):
        found = open_.get(when) if join and joinable(low) else None
        if found is not None and len(found) < MOST:
            found.append(low)
            continue
        out.append((when, [low]))
        if joinable(low):
            open_[when] = out[-1][1]
    return out
