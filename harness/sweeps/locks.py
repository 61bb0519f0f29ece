"""Locks on runs: several processes may work on one results folder, and each run is locked while it trains."""

from __future__ import annotations

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
