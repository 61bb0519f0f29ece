"""Imported by the server from which the processes of a sweep are forked (`workers.py`), for its effects."""

import signal

from harness.sweeps.session import import_training

signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a warning, which ends no process of ours; sent to all of a job
import_training()
