"""`LambdaCallback`: a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from insitu import registry
from insitu.arguments import Function as FunctionOf
from insitu.arguments import checked
from insitu.nn.callbacks.callback import Callback

Function = Callable[..., Any] | None


HOOK = FunctionOf("callback-argument", "pass lambda number, logs: ...") | None


class LambdaCallback(Callback):
    """Call functions at the stages of a training.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with ``(epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Called with ``(logs)``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with ``(batch, logs)``.
    **others
        Any other hook of `Callback` by its name, such as ``on_test_end``.

    Raises
    ------
    ArgumentError
        For a name that is no hook, or a value that cannot be called.

    Examples
    --------
    >>> import insitu as si, numpy as np
    >>> model = si.nn.Sequential([si.nn.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((4, 2), np.float32)
    >>> show = si.nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> history = model.fit(x, x[:, :1], epochs=2, callbacks=[show], verbose=0)
    0 0.0
    1 0.0
    """

    @checked(
        "callback-argument", on_epoch_begin=HOOK, on_epoch_end=HOOK, on_train_begin=HOOK, on_train_end=HOOK, on_train_batch_begin=HOOK,
        on_train_batch_end=HOOK,
    )  # fmt: skip
    def __init__(
        self, on_epoch_begin: Function = None, on_epoch_end: Function = None, on_train_begin: Function = None, on_train_end: Function = None,
        on_train_batch_begin: Function = None, on_train_batch_end: Function = None, **others: Function,
    ) -> None:  # fmt: skip
        hooks = [name for name in dir(Callback) if name.startswith("on_")]
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin, "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin, "on_train_batch_end": on_train_batch_end, **others,
        }  # fmt: skip
        for name, function in given.items():
            if name not in hooks:
                raise registry.unknown_argument("LambdaCallback", name, hooks)
            if function is not None:
                setattr(self, name, HOOK.check("LambdaCallback", name, function))
