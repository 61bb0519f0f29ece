"""What to know about the precision of runs before they train."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from harness.records.record import FINISHED, read_record
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run
from harness.sweeps.run_id import run_id
from harness.training.device import has_bf16

_OTHER = {"bf16": "fp32", "fp32": "bf16"}
# Large products on an AMD EPYC without bf16 (Zen 3, one thread): 8 GFLOP/s, and 73 in fp32.
_EMULATED = "emulated on this CPU, several times slower than fp32"


def precision_lines(opened: Iterable[Run], results_dir: str | Path, device: torch.device) -> Iterator[str]:
    """A line about runs that are finished there in the other precision, and one about bf16 that is emulated.

    The precision is part of a run's id, and `train.precision=auto` depends on the machine: without a line, a sweep
    that goes on on another machine would train everything again. `opened` are the runs that are to train.
    """
    runs = [run for run in opened if run.checkpoint is not None]
    is_slow = device.type == "cpu" and not has_bf16(device)
    kept = [run for run in runs if run.config.train.precision == "auto" and _is_finished_otherwise(run, results_dir)]
    if kept:
        here = kept[0].precision
        there = _OTHER[here]
        but = f", but is {_EMULATED}" if there == "bf16" and is_slow else ""
        yield (
            f"finished in {there}: {len(kept)} of {counted(len(runs), 'run')} to do; train.precision=auto is {here} "
            f"here and trains them again, train.precision={there} keeps them{but}"
        )
    if is_slow and any(run.precision == "bf16" for run in runs):
        yield f"train.precision=bf16 is {_EMULATED}"


def _is_finished_otherwise(run: Run, results_dir: str | Path) -> bool:
    identity = replace(run, precision=_OTHER[run.precision]).identity
    record = read_record(results_dir, run_id(identity, data=run.fingerprint, encoder=run.checkpoint.fingerprint))
    return record is not None and record["status"] in FINISHED
