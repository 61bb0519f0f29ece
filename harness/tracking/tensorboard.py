"""TensorBoard: one folder of events per run, with its settings and final scores as hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from harness.records.schema import Record
from harness.tracker_config import TensorboardConfig
from harness.tracking.tracker import Rows, TrackedRun

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class RunTracker:
    """Events in `<folder>/<run id>`. What an interrupted attempt logged after the step where this one goes on is hidden
    by TensorBoard (`purge_step`).
    """

    def __init__(self, run: TrackedRun, settings: TensorboardConfig) -> None:
        self._run = run
        self._folder = Path(settings.folder or run.results_dir / "tensorboard") / run.id
        self._open: SummaryWriter | None = None
        self._last: dict[str, float] = {}

    def log(self, rows: Rows) -> None:
        writer = self._writer(rows[0][0])
        for step, values in rows:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        self._last = dict(rows[-1][1])

    def close(self, status: str, record: Record | None) -> None:
        from torch.utils.tensorboard.summary import hparams

        writer = self._writer(None)
        if record is not None:
            writer.add_text("record", f"```json\n{json.dumps(record, indent=1)}\n```")
            for summary in hparams(dict(self._run.settings), self._last):
                writer.file_writer.add_summary(summary)
        writer.add_text("status", status)
        writer.close()

    def _writer(self, first: int | None) -> SummaryWriter:
        if self._open is None:
            from torch.utils.tensorboard import SummaryWriter

            self._open = SummaryWriter(str(self._folder), purge_step=first)
            self._open.add_text("settings", f"```json\n{json.dumps(self._run.settings, indent=1)}\n```")
        return self._open
