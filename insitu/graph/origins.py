"""Where nodes come from: the layer in whose call a node was made, whether a gradient made it, and the user's line.

Nothing is noted in ordinary traces, which pay one look at a flag for each node. Who wants to know traces again inside
`record`; the notes stand beside the graph, so that its structure and hash are the same with and without.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from insitu.errors import is_inside
from insitu.graph.node import Node, recording


class Origin(NamedTuple):
    """Where a node comes from.

    Attributes
    ----------
    scopes : tuple
        What was open when it was made, the outermost first: layers, or text.
    gradient : bool
        Whether it was made while differentiating what these scopes computed.
    line : str
        File and number of the user's line, such as ``model.py:12``, in a gradient that of what is differentiated; empty where
        the user's program only called insitu.
    """

    scopes: tuple[Any, ...]
    gradient: bool
    line: str


class Origins:
    """The notes of one `record`.

    Attributes
    ----------
    of : dict of Node to Origin
        Only nodes that were made meanwhile.
    results : dict of object to list
        The nodes that each scope gave, in the order of its calls: ``results[layer][0]`` are those of the first call.
    """

    def __init__(self) -> None:
        self.of: dict[Node, Origin] = {}
        self.results: dict[Any, list[list[Node]]] = {}
        self._scopes: tuple[Any, ...] = ()
        self._gradient = False
        self._forward_line = ""
        self._outside: set[FrameType] = set()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:  # lines of frames that only lead here say nothing about a node
            self._outside.add(frame)
            frame = frame.f_back

    def tell(self, node: Node) -> None:
        """Take in a new node."""
        self.of[node] = Origin(self._scopes, self._gradient, self._forward_line or self._line())

    def _line(self) -> str:
        frame: FrameType | None = sys._getframe(3)
        while frame is not None and frame not in self._outside:
            if not is_inside(frame.f_code.co_filename):
                return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    @contextlib.contextmanager
    def within(self, scopes: tuple[Any, ...], gradient: bool, line: str = "") -> Iterator[None]:
        """While inside, nodes have these scopes, and this line if there is one."""
        before = self._scopes, self._gradient, self._forward_line
        self._scopes, self._gradient, self._forward_line = scopes, gradient, line
        try:
            yield
        finally:
            self._scopes, self._gradient, self._forward_line = before

    def opened(self, scope: Any) -> contextlib.AbstractContextManager[None]:
        """One scope more."""
        return self.within((*self._scopes, scope), self._gradient)


@contextlib.contextmanager
def record() -> Iterator[Origins]:
    """While inside, note where this thread's new nodes come from.

    Examples
    --------
    >>> import insitu as si
    >>> from insitu.graph.origins import record
    >>> with record() as origins:
    ...     y = si.exp(si.ones(3))
    >>> [node.prim.name for node in origins.of]
    ['broadcast_to', 'exp']
    """
    before, found = recording.origins, Origins()
    recording.origins = found
    try:
        yield found
    finally:
        recording.origins = before
        found._outside.clear()


def are_recorded() -> bool:
    """Whether a `record` is open in this thread."""
    return recording.origins is not None


def inside(scope: Any) -> contextlib.AbstractContextManager[None]:
    """While inside, new nodes belong to a scope: a layer, or text such as ``"the loss mean_squared_error"``."""
    origins = recording.origins
    return _NOTHING if origins is None else origins.opened(scope)


def gave(scope: Any, nodes: list[Node]) -> None:
    """Note what a scope gave."""
    if recording.origins is not None:
        recording.origins.results.setdefault(scope, []).append(nodes)


def differentiating(node: Node) -> contextlib.AbstractContextManager[None]:
    """While inside, new nodes are part of the gradient of that node."""
    origins = recording.origins
    if origins is None:
        return _NOTHING
    found = origins.of.get(node)
    return origins.within((), True) if found is None else origins.within(found.scopes, True, found.line)


_NOTHING = contextlib.nullcontext()
