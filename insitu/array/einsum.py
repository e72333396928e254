"""Einstein's summation: a plan of pairwise products, each a matrix product or an element-wise one."""

from __future__ import annotations

import functools
import math
from typing import Any

from insitu import dtypes as dt
from insitu import ops
from insitu.arguments import Text, checked
from insitu.array.array import Array
from insitu.array.contraction import inner
from insitu.array.convert import node_of
from insitu.errors import ArgumentError, ShapeError, UserError, many_axes
from insitu.graph.node import Node

#: Labels of the axes under an ellipsis: the k-th from the right is ``chr(_HIDDEN + k)``.
_HIDDEN = 0xE000

Terms = tuple[str, ...]


@checked(subscripts=Text('subscripts such as "ij,jk->ik"', ("ij,jk->ik",), slug="einsum-subscripts"))
def einsum(subscripts: str, /, *operands: Any) -> Array:
    """Sums of products in Einstein's notation.

    Parameters
    ----------
    subscripts : str
        A letter for each axis of each operand, separated by commas; after ``->`` the axes of the result.
        Letters that are not in the result are summed over; a letter twice in one operand takes its
        diagonal; ``...`` stands for axes that broadcast. Without ``->`` the result has the letters that
        occur once, in alphabetical order.
    *operands : Array
        Dtypes promote.

    Returns
    -------
    Array

    Raises
    ------
    ArgumentError
        If the notation is wrong.
    ShapeError
        If it does not fit the shapes.

    Notes
    -----
    Pairs are multiplied in an order that keeps intermediate results small; it depends on the
    subscripts and the shapes alone.

    Examples
    --------
    >>> import insitu as si
    >>> x = si.asarray([[1.0, 2.0], [3.0, 4.0]])
    >>> si.einsum("ij,jk->ik", x, x)
    Array([[ 7., 10.],
           [15., 22.]], dtype=float32)
    >>> si.einsum("ii", x)
    Array(5., dtype=float32)
    """
    nodes = [node_of(x) for x in operands]
    terms, output = parse(subscripts, tuple([n.ndim for n in nodes]))
    sizes = _sizes(subscripts, terms, [n.shape for n in nodes])
    kind = functools.reduce(dt.promote, [n.dtype for n in nodes])
    parts = [_prepared(ops.cast(n, kind), t, sizes) for n, t in zip(nodes, terms, strict=True)]
    held = [p[0] for p in parts]
    labels = [p[1] for p in parts]
    steps = plan(tuple(labels), output, tuple(sorted(sizes.items())))
    for k in range(len(held)):
        held[k], labels[k] = _summed(held[k], labels[k], _needed(labels, (k,), output))
    for i, j in steps:
        needed = _needed(labels, (i, j), output)
        node, found = _pair(held[i], labels[i], held[j], labels[j], needed, output, sizes)
        for k in (j, i):
            del held[k], labels[k]
        held.append(node)
        labels.append(found)
    return Array(_finished(held[0], labels[0], output, sizes))


# -- reading the notation -------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def parse(subscripts: str, ranks: tuple[int, ...]) -> tuple[Terms, str]:
    """The labels of each operand and of the result, where an ellipsis has become labels of its own.

    Raises
    ------
    ArgumentError, ShapeError
        If the notation is wrong or does not fit the operands' numbers of axes.
    """
    text = "".join(str(subscripts).split())
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks) or not ranks:
        raise _bad(subscripts, f"it names {len(terms)} operands, and {len(ranks)} were given", "one term for each operand")
    full = []
    widest = 0
    for k, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        letters = term.replace("...", "", 1)
        if not all(c.isascii() and c.isalpha() for c in letters):
            raise _bad(subscripts, f"the term {term!r} has other signs than letters and one ...", "letters, and ... at most once in a term")
        hidden = rank - len(letters)
        if hidden < 0 or (hidden and "..." not in term):
            raise ShapeError(
                f'einsum: operand {k} has {many_axes(rank)}, and its term "{term}" names {len(letters)}.',
                expected=f"{rank} letter{'s' * (rank != 1)}", received=subscripts,
                fix="name each axis, or write ... for the rest", slug="einsum-rank", argument=subscripts,
            )  # fmt: skip
        widest = max(widest, hidden)
        full.append(term.replace("...", _ellipsis(hidden)))
    if not arrow:
        once = "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
        return tuple(full), _ellipsis(widest) + once
    letters = right.replace("...", "", 1)
    if any(c not in left or not c.isalpha() or letters.count(c) > 1 for c in letters):
        raise _bad(subscripts, f"the result {right!r} has a letter twice, or one that no operand has", "letters of the operands, each once")
    if widest and "..." not in right:
        raise _bad(subscripts, "the operands have an ellipsis and the result has none", "... in the result")
    return tuple(full), right.replace("...", _ellipsis(widest))


def _ellipsis(count: int) -> str:
    return "".join([chr(_HIDDEN + k) for k in range(count - 1, -1, -1)])


def _bad(subscripts: str, why: str, expected: str) -> UserError:
    return ArgumentError(
        f"einsum cannot read its subscripts: {why}.", expected=expected, received=repr(subscripts), fix='compare with "ij,jk->ik"',
        slug="einsum-subscripts", argument="subscripts",
    )  # fmt: skip


def _sizes(subscripts: str, terms: Terms, shapes: list[tuple[int, ...]]) -> dict[str, int]:
    """The length of each label; lengths of 1 stretch."""
    sizes: dict[str, int] = {}
    for k, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for label, n in zip(term, shape, strict=True):
            have = sizes.get(label, 1)
            if have != n and have != 1 and n != 1:
                name = label if label.isascii() else "..."
                raise ShapeError(
                    f'einsum: the axis "{name}" has {have} elements in one operand and {n} in operand {k}.', expected=f"{have} elements",
                    received=f"{subscripts!r} for shapes " + ", ".join(map(str, shapes)), fix="check the order of the letters",
            slug="einsum-size", argument="subscripts",
                )  # fmt: skip
            sizes[label] = n if have == 1 else have
    return sizes


# -- the plan --------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def plan(terms: Terms, output: str, sizes: tuple[tuple[str, int], ...]) -> tuple[tuple[int, int], ...]:
    """Which two of the operands to multiply at each step (their product goes to the end of the list).

    Greedy: the pair whose product takes the least room beyond that of its factors, then the one with
    the least work, then the first. Deterministic, and the same on every machine.
    """
    length = dict(sizes)
    labels = ["".join(dict.fromkeys(t)) for t in terms]
    labels = [_kept(t, _needed(labels, (k,), output)) for k, t in enumerate(labels)]
    steps = []
    while len(labels) > 1:
        best: tuple[Any, ...] | None = None
        for i in range(len(labels)):
            for j in range(i + 1, len(labels)):
                together = "".join(dict.fromkeys(labels[i] + labels[j]))
                made = _kept(together, _needed(labels, (i, j), output))
                room = _room(made, length) - _room(labels[i], length) - _room(labels[j], length)
                rank = (room, _room(together, length), i, j, made)
                if best is None or rank < best:
                    best = rank
        if best is None:
            break
        i, j, made = best[2:]
        steps.append((i, j))
        del labels[j], labels[i]
        labels.append(made)
    return tuple(steps)


def _room(labels: str, length: dict[str, int]) -> int:
    return math.prod([length[c] for c in labels])


def _kept(labels: str, needed: set[str]) -> str:
    return "".join([c for c in labels if c in needed])


def _needed(labels: list[str], used: tuple[int, ...], output: str) -> set[str]:
    """Labels that the result or operands other than the used ones have."""
    return set(output).union(*[t for k, t in enumerate(labels) if k not in used])


# -- carrying it out ------------------------------------------------------------------------------------
def _prepared(node: Node, term: str, sizes: dict[str, int]) -> tuple[Node, str]:
    """An operand with each label once: diagonals taken, and axes that would have to be stretched left out."""
    for label in dict.fromkeys(term):
        while term.count(label) > 1:
            node, term = _diagonal(node, term, label)
    keep = [k for k, c in enumerate(term) if node.shape[k] == sizes[c]]
    if len(keep) < len(term):
        node = ops.reshape(node, tuple([node.shape[k] for k in keep]))
    return node, "".join([term[k] for k in keep])


def _diagonal(node: Node, term: str, label: str) -> tuple[Node, str]:
    """Two axes of one label as one: every (n + 1)-th element of both together."""
    i = term.index(label)
    j = term.index(label, i + 1)
    n = max(node.shape[i], node.shape[j])
    node = ops.broadcast_to(node, tuple([n if k in (i, j) else m for k, m in enumerate(node.shape)]))
    rest = [k for k in range(node.ndim) if k not in (i, j)]
    lead = tuple([node.shape[k] for k in rest])
    flat = ops.reshape(ops.permute(node, (*rest, i, j)), (*lead, n * n))
    out = ops.slice_(flat, (0,) * (len(lead) + 1), (*lead, n * n), (*(1,) * len(lead), n + 1))
    return out, "".join([term[k] for k in rest]) + label


def _summed(node: Node, labels: str, needed: set[str]) -> tuple[Node, str]:
    """Axes that nobody else needs, summed over."""
    gone = tuple([k for k, c in enumerate(labels) if c not in needed])
    return (ops.reduce_sum(node, gone), _kept(labels, needed)) if gone else (node, labels)


def _pair(a: Node, la: str, b: Node, lb: str, needed: set[str], output: str, sizes: dict[str, int]) -> tuple[Node, str]:
    """The product of two operands, summed over the labels that nobody needs any more."""
    a, la = _summed(a, la, needed | set(lb))
    b, lb = _summed(b, lb, needed | set(la))
    batch = [c for c in la if c in lb and c in needed]
    within = [c for c in la if c in lb and c not in needed]
    left, right = [c for c in la if c not in lb], [c for c in lb if c not in la]
    if left and right and output.find(right[0]) < output.find(left[0]):
        a, la, b, lb, left, right = b, lb, a, la, right, left
    found = "".join(batch + left + right)
    lead, rows, columns = _extents(batch, sizes), _extents(left, sizes), _extents(right, sizes)
    if not within:
        a = ops.reshape(_ordered(a, la, batch + left), (*lead, *rows, *(1,) * len(right)))
        b = ops.reshape(_ordered(b, lb, batch + right), (*lead, *(1,) * len(left), *columns))
        return ops.mul(a, b), found
    if not left and not right:  # no matrices
        return inner("einsum", _ordered(a, la, batch + within), _ordered(b, lb, batch + within), len(within)), found
    depth, m, n = (math.prod(_extents(names, sizes)) for names in (within, left, right))
    a = ops.reshape(_ordered(a, la, batch + left + within), (*lead, m, depth))
    b = ops.reshape(_ordered(b, lb, batch + within + right), (*lead, depth, n))
    return ops.reshape(ops.matmul(a, b), (*lead, *rows, *columns)), found


def _extents(labels: list[str], sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple([sizes[c] for c in labels])


def _ordered(node: Node, labels: str, wanted: list[str]) -> Node:
    return ops.permute(node, tuple([labels.index(c) for c in wanted]))


def _finished(node: Node, labels: str, output: str, sizes: dict[str, int]) -> Node:
    node, labels = _summed(node, labels, set(output))
    node = _ordered(node, labels, [c for c in output if c in labels])
    # labels that were of length 1 everywhere they occurred, or left out as such, come back here
    return ops.reshape(node, tuple([sizes[c] for c in output]))


__all__ = ["einsum"]
