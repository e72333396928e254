"""Callbacks with Keras' names, arguments and behaviour: what is told of each stage of a training."""

from __future__ import annotations

from insitu.nn.callbacks.backup_and_restore import BackupAndRestore
from insitu.nn.callbacks.callback import Callback
from insitu.nn.callbacks.callback_list import CallbackList
from insitu.nn.callbacks.csv_logger import CSVLogger
from insitu.nn.callbacks.early_stopping import EarlyStopping
from insitu.nn.callbacks.history import History
from insitu.nn.callbacks.lambda_callback import LambdaCallback
from insitu.nn.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from insitu.nn.callbacks.model_checkpoint import ModelCheckpoint
from insitu.nn.callbacks.monitor import MonitorCallback
from insitu.nn.callbacks.progbar_logger import ProgbarLogger
from insitu.nn.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
