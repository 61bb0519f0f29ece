"""Locks on runs: several processes may work on one results folder, and each run is locked while it trains."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def lock_runs(results_dir: Path, run_ids: Iterable[str]) -> Iterator[bool]:
    """Hold the lock of every run, or none of them: yields whether they are held."""
    folder = results_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            for run_id in sorted(run_ids):
                held.enter_context(FileLock(folder / f"{run_id}.lock", blocking=False))
        except Timeout:
            held.close()
            yield False
        else:
            yield True


def file_time(folder: Path) -> float:
    """Now, by the clock that stamps the files of this folder: on a network file system that is another machine's."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now") as file:
        return Path(file.name).stat().st_mtime
