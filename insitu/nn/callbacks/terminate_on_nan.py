"""`TerminateOnNaN`: end a training that has gone wrong."""

from __future__ import annotations

import math

from insitu.arguments import FLAG, checked
from insitu.errors import UserError
from insitu.nn.callbacks.callback import Callback, Logs
from insitu.output import say


class TerminateOnNaN(Callback):
    """Stop when the loss is NaN or infinite. It looks at the loss after each batch.

    Parameters
    ----------
    raise_error : bool
        Whether to raise an error, so that no callback's ``on_train_end`` is called, instead of stopping.

    Raises
    ------
    UserError
        During training, with ``raise_error``.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile(si.optim.SGD(1e30), "mse")
    >>> x = np.ones((8, 2), np.float32)
    >>> stop = si.nn.callbacks.TerminateOnNaN()
    >>> len(model.fit(x, 9 * x[:, :1], batch_size=2, epochs=5, callbacks=[stop], verbose=0).epoch)
    Batch 1: Invalid loss, terminating training
    1
    """

    @checked("callback-argument", raise_error=FLAG)
    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise UserError(
                f"TerminateOnNaN: the loss is no longer a finite number at batch {batch}.",
                expected="a finite loss",
                received=f"loss {loss}",
                fix="make the learning rate smaller, clip the gradients (clipnorm=1.0), and look for NaN in the data",
                slug="loss-not-finite",
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
