"""Elements prepared ahead by a thread, over the end of an epoch into the next."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from insitu.data.stages import Stage, raised_here

_ITEM, _END, _ERROR = "item", "end", "error"


class _Worker:
    """A thread that goes through the epochs from ``epoch`` on, at most ``depth`` elements ahead of `get`.

    What goes wrong in it waits in the queue until it is asked for.
    """

    def __init__(self, source: Stage, epoch: int, depth: int) -> None:
        self.source, self.depth = source, depth
        self._ready: deque[tuple[str, Any]] = deque()
        self._change = threading.Condition()
        self._stopped = False
        self.thread = threading.Thread(target=self._work, args=(epoch,), name="insitu-prefetch", daemon=True)
        self.thread.start()

    def _work(self, epoch: int) -> None:
        try:
            while not self._stopped:
                for item in self.source.stream(epoch):
                    if not self._put((_ITEM, item)):
                        return
                self._put((_END, None))
                epoch += 1
        except BaseException as error:  # whatever it is, it belongs to the one who asks for the next element
            self._put((_ERROR, error))

    def _put(self, entry: tuple[str, Any]) -> bool:
        with self._change:
            while len(self._ready) >= self.depth and not self._stopped:
                self._change.wait()
            self._ready.append(entry)
            self._change.notify_all()
            return not self._stopped

    def get(self) -> tuple[str, Any]:
        with self._change:
            while not self._ready:
                self._change.wait()
            entry = self._ready.popleft()
            self._change.notify_all()
            return entry

    def stop(self) -> None:
        """Let the thread end soon; safe to call twice, and from a finalizer."""
        self._stopped = True
        with self._change:
            self._ready.clear()
            self._change.notify_all()


class Prefetched(Stage):
    """The same elements, made ahead of time by a thread.

    One worker serves epoch after epoch, so that the first elements of the next one are ready when it begins.
    It ends when an epoch is left half way, when another epoch is asked for, or when nobody holds the data set.
    """

    def __init__(self, source: Stage, depth: int) -> None:
        self.sources, self.count, self.depth = (source,), source.count, depth
        self._waiting: tuple[int, _Worker] | None = None
        self._guard: weakref.finalize[Any, Any] | None = None

    def stream(self, epoch: int) -> Iterator[Any]:
        worker = self._begin(epoch)
        whole = False
        try:
            while True:
                kind, value = worker.get()
                if kind == _ITEM:
                    yield value
                elif kind == _END:
                    whole = True
                    return
                else:
                    raise raised_here(value)
        finally:
            if whole:
                self.reset()
                self._waiting = (epoch + 1, worker)
                self._guard = weakref.finalize(self, worker.stop)
            else:
                worker.stop()

    def _begin(self, epoch: int) -> _Worker:
        """The worker that waits at the beginning of this epoch, or a new one."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and self._guard is not None:
            self._guard.detach()
            if waiting[0] == epoch and waiting[1].thread.is_alive():
                return waiting[1]
            waiting[1].stop()
        return _Worker(self.sources[0], epoch, self.depth)

    def reset(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].stop()
            if self._guard is not None:
                self._guard.detach()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_waiting": None, "_guard": None}
