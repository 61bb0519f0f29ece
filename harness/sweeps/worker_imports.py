"""Imported by the server from which the processes of a sweep are forked (`workers.py`), for its effects."""

import signal
from importlib import import_module

from harness.sweeps.session import import_training

signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a warning, which ends no process of ours; sent to all of a job
import_training()
import_module("harness.training.evaluate_metrics")  # which a stack imports at its first score
import_module("sympy")  # which torch imports for its meta device, on which parameters are counted
