"""The name that was meant: misspelt ones, and those of other libraries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: Names that other libraries, older versions and textbooks use: what is meant by them here.
OTHER_NAMES = {
    "lr": "learning_rate", "alpha": "learning_rate", "eps": "epsilon", "decay": "weight_decay", "beta1": "beta_1", "beta2": "beta_2",
    "p": "rate", "nb_epoch": "epochs", "num_epochs": "epochs", "n_epochs": "epochs", "bias": "use_bias", "in_features": "input_shape",
    "out_features": "units", "input_dim": "input_shape", "output_dim": "units", "kernel_init": "kernel_initializer", "init": "kernel_initializer",
    "weights": "sample_weight", "validation": "validation_data", "val_data": "validation_data",
    "xavier_uniform": "glorot_uniform", "xavier_normal": "glorot_normal", "xavier": "glorot_uniform",
    "kaiming_uniform": "he_uniform", "kaiming_normal": "he_normal", "kaiming": "he_normal",
    "cross_entropy": "categorical_crossentropy", "crossentropy": "categorical_crossentropy", "log_loss": "binary_crossentropy",
    "nll_loss": "sparse_categorical_crossentropy", "l1": "mean_absolute_error", "l2": "mean_squared_error", "squared_error": "mean_squared_error",
    "gradient_descent": "sgd", "gradient descent": "sgd", "logistic": "sigmoid", "identity": "linear", "none": "linear",
    "rectifier": "relu", "acc": "accuracy", "f1": "f1_score", "dim": "axis", "ddof": "correction",
}  # fmt: skip


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None if none is similar.

    Parameters
    ----------
    name : object
        What was written; anything but a str is like no name.
    known : iterable of str

    Examples
    --------
    >>> nearest("adma", ["adagrad", "adam", "adamax"])
    'adam'
    >>> nearest("xavier_uniform", ["glorot_uniform", "he_uniform"])
    'glorot_uniform'
    >>> nearest("nothing like it", ["adam"]) is None
    True
    """
    if not isinstance(name, str):
        return None
    names = list(known)
    plain = {_plain(n): n for n in reversed(names)}
    written = _plain(name)
    if written in plain:
        return plain[written]
    other = OTHER_NAMES.get(name.lower())
    if other in names:
        return other
    close = difflib.get_close_matches(written, plain, 3, 0.6)
    if not close:
        return None
    return plain[min(close, key=lambda n: (_steps(written, n), close.index(n)))]


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _steps(a: str, b: str) -> int:
    """Letters to put in, leave out, change, or exchange with their neighbour, to make one word of the other."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]
