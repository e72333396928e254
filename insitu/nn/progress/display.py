"""`Progress`: what the loops of `fit`, `evaluate` and `predict` tell, as a line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from insitu.arguments import FLAG, Choice, Whole
from insitu.nn.progress import screens, words
from insitu.nn.progress.words import Part, about, curve, number, seconds, single_numbers

#: How long a part stays in a narrow window; the parts' order on the line is another.
_CURVE, _BAR, _SPENT, _RATE, _LEFT, _STEPS, _HELD_OUT, _METRIC, _TITLE, _LOSS = range(10)


#: How much to show.
VERBOSE = (Whole(0, 2) | FLAG | Choice("auto")).about(slug="verbose", fix="verbose=0 for silence, verbose=2 for a line per epoch")


def level(verbose: Any) -> int:
    """``verbose`` as 0 (silent), 1 (live line) or 2 (one line per epoch); "auto" is 1."""
    return 1 if verbose == "auto" else int(verbose)


class _Mark(NamedTuple):
    """A moment of an epoch: when, and how many steps and examples were done."""

    time: float
    step: int
    done: int | None


class Progress:
    """Shows how far a loop over epochs or batches is; a context manager.

    Parameters
    ----------
    verbose : int
        0, 1 or 2.
    epochs : int
        0 for a single pass without a number.
    steps, examples : int, optional
        Of an epoch; None where they are not known.

    Examples
    --------
    >>> with Progress(1, 2, 10, 640) as progress:  # doctest: +ELLIPSIS
    ...     progress.begin(0)
    ...     progress.look(5, 320, {"loss": 0.75})
    ...     progress.end({"loss": 0.5})
    Epoch 1/2  10/10  loss 0.5000  ... examples/s  0.00 s
    """

    def __init__(self, verbose: int, epochs: int, steps: int | None, examples: int | None) -> None:
        self.verbose, self.epochs, self.steps, self.examples = verbose, epochs, steps, examples
        self._screen = screens.screen(verbose)
        self._trace = words.Trace()
        self._drawn = 0.0
        #: Whether the last line had no room for the word "Epoch": the running one leaves it out, too, so that numbers stay in their columns.
        self._brief = False
        #: Seconds of the last whole epoch, validation included.
        self._whole_epoch: float | None = None
        self._reset(0, 0, 0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._screen.close()

    # -- what the loops tell ---------------------------------------------------------------------------
    def begin(self, epoch: int, step: int = 0, done: int = 0) -> None:
        """A new epoch, counted from 0; ``step`` and ``done`` tell what an earlier run did of it."""
        self._reset(epoch, step, done)

    def _reset(self, epoch: int, step: int, done: int) -> None:
        self._epoch, self._looks = epoch, 0
        #: where the epoch began; from where its pace is measured; where it is
        self._first = self._from = self._at = _Mark(time.perf_counter(), step, done)
        self._trained: float | None = None
        self._logs: Mapping[str, Any] = {}
        #: examples or steps of the last look, and the mean loss up to there
        self._traced: tuple[int, float] | None = None

    def look(self, step: int, done: int | None, logs: Mapping[str, Any]) -> None:
        """The epoch so far: steps and examples done, means of losses and metrics."""
        now = time.perf_counter()
        self._at = _Mark(now, step, done)
        if self.verbose != 1 or now - self._drawn < screens.REDRAW or not self._screen.live:
            return
        self._drawn, self._logs = now, logs
        self._follow_loss(logs)
        self._screen.draw(self._running_line())
        if not self._looks and self._whole_epoch is None:
            self._from = self._at  # the very first steps were compiled meanwhile, which says nothing about those to come
        self._looks += 1

    def trained(self, step: int | None = None, done: int | None = None) -> None:
        """The steps are done; what follows in this epoch (validation) does not count as time per example."""
        now = time.perf_counter()
        self._trained = now
        self._at = self._full(now) if step is None else _Mark(now, step, done)
        if self._looks:
            self._screen.draw(self._running_line())

    def end(self, logs: Mapping[str, Any]) -> None:
        """The epoch's last line."""
        now = time.perf_counter()
        if self._trained is None:
            self._at = self._full(now)
        if not self._looks:
            self._follow_loss(logs)
        self._whole_epoch = now - self._first.time
        if self.steps is None and self._at.step:  # the next epoch will most likely have as many
            self.steps = self._at.step
        if self.verbose:
            line = words.fitted(self._last_parts(logs, now), self._screen.width)
            self._brief = not line.startswith("Epoch")
            self._screen.write(line)

    def _full(self, now: float) -> _Mark:
        """The end of an epoch of known length; the last look may be some steps before it."""
        return _Mark(now, self.steps or 0, self.examples)

    def message(self, text: str) -> None:
        """Lines of their own, above the live line."""
        self._screen.write(text)

    # -- lines -----------------------------------------------------------------------------------------
    def _follow_loss(self, logs: Mapping[str, Any]) -> None:
        """Keep the mean loss since the last look; the logs have that since the epoch's beginning."""
        mean = single_numbers(logs).get("loss")
        if mean is None:
            return
        count = self._at.done or self._at.step
        before, old = self._traced or (0, 0.0)
        self._trace.add((mean * count - old * before) / (count - before) if count > before else mean)
        self._traced = count, mean

    def _last_parts(self, logs: Mapping[str, Any], now: float) -> list[Part]:
        at, first = self._at, self._first
        parts = [*self._title(), *([Part(_STEPS, (f"{at.step}/{at.step}",))] if at.step else []), *_numbers(logs)]
        if at.done:
            parts.append(Part(_RATE, words.rate((at.done - (first.done or 0)) / max((self._trained or now) - first.time, 1e-9))))
        return [*parts, Part(_SPENT, (seconds(now - first.time),)), *self._curve()]

    def _running_line(self) -> str:
        at, start = self._at, self._from
        share = min(self._share(at), 1.0)
        parts = [*self._title()]
        if share:
            bar, rest = "━╌" if self._screen.fancy else "#-"
            parts.append(Part(_BAR, tuple(bar * (full := round(n * share)) + rest * (n - full) for n in (20, 15, 10, 6))))
        parts += [Part(_STEPS, (f"{at.step}/{self.steps}" if self.steps else f"step {at.step}",)), *_numbers(self._logs)]
        spent = max(at.time - start.time, 1e-9)
        if at.done and at.done > (start.done or 0):
            parts.append(Part(_RATE, words.rate((at.done - (start.done or 0)) / spent)))
        gained = share - self._share(start)
        if gained > 0 and self._trained is None:
            left = (1 - share) * spent / gained
            more = max(self.epochs - self._epoch - 1, 0) * (self._whole_epoch or spent / gained)
            parts.append(Part(_LEFT, (*([f"{about(left)} left, {about(left + more)} to the end"] if more else []), f"{about(left)} left")))
        return words.fitted([*parts, *self._curve()], self._screen.width)

    def _share(self, at: _Mark) -> float:
        """How much of the epoch is done at a mark; 0 where its length is not known."""
        if self.examples and at.done is not None:
            return at.done / self.examples
        return at.step / self.steps if self.steps else 0.0

    def _title(self) -> list[Part]:
        number = f"{self._epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
        forms = (f"Epoch {number}", number)
        return [Part(_TITLE, forms[self._brief :])] if self.epochs else []

    def _curve(self) -> list[Part]:
        if not self.epochs or not self._screen.shows_curves:
            return []
        signs = words.BARS if self._screen.fancy else words.PLAIN_BARS
        found = [curve(self._trace.values, n, signs) for n in (12, 6)]
        return [Part(_CURVE, tuple(dict.fromkeys(found)))] if found[0] else []


def _numbers(logs: Mapping[str, Any]) -> list[Part]:
    """``loss 0.3012``, ``accuracy 0.9123``: one part for each single number."""
    ranks = {"loss": _LOSS}
    return [
        Part(ranks.get(name, _HELD_OUT if name.startswith("val_") else _METRIC), (f"{name} {number(value)}",))
        for name, value in single_numbers(logs).items()
    ]
