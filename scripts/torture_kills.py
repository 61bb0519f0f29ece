"""Sweeps that are killed and started again, against an undisturbed one; `scripts/torture.py` says how often."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.config import DataConfig, ModelConfig, RunConfig, TaskConfig, TrainConfig
from harness.method_config import AdapterConfig
from harness.sweeps import jobs
from tests.fixtures.commands import records
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[1]
TRAIN = TrainConfig(epochs=80, batch_size=8, max_length=32, precision="fp32", evaluate_every_epoch=True, save="best")
SIZES, RATES = (2, 4), (1e-3, 3e-3, 1e-2)
MAX_STACK = 4
TIMELY = ("time", "memory", "provenance")  # of a record: what no two sweeps share
# What a kill is aimed at, in turn: any moment after the start, training, a checkpoint or results being written.
AIMS = ("any", "training", "training", "checkpoint", "results")
RESULTS = ("predictions", "gold", "weights", "pending")
_POLL_SECONDS, _PATIENCE = 0.002, 900.0
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["scripts.torture_kills"])


class Sweep:
    """A sweep in a process of its own, forked from a server that has imported torch: what `python -m harness.run` does
    once Hydra has composed its configs, which would take most of a killed process's life.
    """

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self._printed = tempfile.NamedTemporaryFile("r", prefix="torture-")  # noqa: SIM115 (as long as this object)
        self._process = _SERVER.Process(target=_run, args=(configs, self._printed.name))
        self._process.start()

    @property
    def status(self) -> int | None:
        """Its exit status, or minus the signal that killed it; None while it lives."""
        return self._process.exitcode

    def printed(self) -> str:
        """What it has printed so far, errors included."""
        return Path(self._printed.name).read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> str:
        """Wait for it; what it has printed."""
        self._process.join(_PATIENCE)
        if self.status is None:
            self.kill()
        return self.printed()


def _run(configs: Sequence[RunConfig], printed: str) -> None:
    with Path(printed).open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    records = jobs.run_all(configs, max_stack=MAX_STACK)
    sys.exit(any(record["status"] != "completed" for record in records))


class Kills:
    """Sweeps in a scratch folder, with `seeds` seeds of six configs each, that are killed at moments drawn by `seed`.

    `moments` counts kills by what the process was doing, and `faults` has a line for whatever was not as it should be.
    """

    def __init__(self, folder: Path, *, seeds: int, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        shared = RunConfig(
            task=TaskConfig("rte"),
            model=ModelConfig(str(save_tiny(folder / "model"))),
            data=DataConfig("local", str(write_glue(folder / "glue", tasks=["rte"]))),
            cache_dir=str(folder / "cache"),
            device="cpu",
            checkpoint_minutes=1 / 60,
        )
        self.configs = [
            replace(
                shared,
                method=AdapterConfig(bottleneck_size=size),
                train=replace(TRAIN, learning_rate=rate, seed=one),
            )
            for size, rate, one in product(SIZES, RATES, range(seeds))
        ]
        self.moments: Counter[str] = Counter()
        self.faults: list[str] = []
        self._folders, self._seen = 0, set()
        undisturbed, started = self._new_folder(), time.monotonic()
        self._end(self._start(undisturbed))
        self.seconds = time.monotonic() - started  # of the undisturbed sweep
        self.expected = outcome(undisturbed)
        self.runs = len(self.expected["records"])

    def of_one_sweep(self, kills: int) -> int:
        """Kill a sweep that many times, and start it again each time; returns how many sweeps came to their end."""
        results, ended, killed = self._new_folder(), 0, 0
        while killed < kills:
            process = self._start(results)
            at_work = self._kill(process, results, AIMS[killed % len(AIMS)])
            if at_work is not None:
                killed += 1
                self.moments[self._moment(results, at_work=at_work)] += 1
                _show("kills of one sweep", killed, kills)
            else:
                self._end(process)
                self._compare(results)
                results, ended = self._new_folder(), ended + 1
        self._end(self._start(results))
        self._compare(results)
        return ended + 1

    def of_two_sweeps(self, kills: int) -> tuple[int, Counter[str]]:
        """Kill one of two sweeps over one folder, that many times, while a third process makes reports of it.

        Returns how many pairs came to their end, and how many reports ended how.
        """
        ended, killed, reports = 0, 0, Counter()
        while killed < kills:
            results = self._new_folder()
            with reporting(results, self.folder / "report", reports, self.faults):
                pair = [self._start(results), self._start(results)]
                while killed < kills:
                    index = self.dice.randrange(2)
                    if self._kill(pair[index], results, AIMS[killed % len(AIMS)]) is None:
                        break
                    killed += 1
                    _show("kills of two sweeps", killed, kills)
                    pair[index] = self._start(results)
                for process in pair:
                    self._end(process)
            self._compare(results)
            ended += 1
        return ended, reports

    def _new_folder(self) -> Path:
        self._folders += 1
        return self.folder / f"results-{self._folders}"

    def _start(self, results: Path) -> Sweep:
        return Sweep([replace(config, results_dir=str(results)) for config in self.configs])

    def _kill(self, process: Sweep, results: Path, aim: str) -> bool | None:
        """Kill the process at a moment of that kind; whether it was at work, None where it had ended before."""
        stop = time.monotonic() + _PATIENCE
        if aim != "any":
            _wait(lambda: _is_at_work(process), process, stop)
        if aim == "checkpoint":
            _wait(lambda: _parts(results, "checkpoints"), process, stop)
        elif aim == "results":
            _wait(lambda: _parts(results, *RESULTS), process, stop)
        else:
            pause = self.dice.uniform(0, min(self.seconds / 2, 5.0))
            _wait(lambda: False, process, time.monotonic() + pause)
        at_work = _is_at_work(process)
        process.kill()
        return at_work if process.status == -signal.SIGKILL else None

    def _moment(self, results: Path, *, at_work: bool) -> str:
        """What a killed process was doing, by the files that it left and that no earlier one had left."""
        found = {}
        for name, folders in {"writing a checkpoint": ["checkpoints"], "writing results": [*RESULTS, "runs"]}.items():
            for path in _parts(results, *folders):
                found[path, path.stat().st_mtime_ns] = name
        new = [name for key, name in found.items() if key not in self._seen]
        self._seen |= found.keys()
        return new[0] if new else "training" if at_work else "starting"

    def _compare(self, results: Path) -> None:
        """Note every way in which a folder differs from that of the undisturbed sweep."""
        found = outcome(results)
        self.faults += [f"{results.name} has other {name}" for name in found if found[name] != self.expected[name]]

    def _end(self, process: Sweep) -> None:
        """Wait for a sweep that nobody kills any more."""
        printed = process.end()
        if process.status or "Traceback" in printed:
            self.faults.append(f"exit status {process.status}: {' '.join(printed.split())[-300:]}")


def outcome(results: Path) -> dict[str, Any]:
    """What a sweep leaves, but for what depends on time: whole records, predictions and weights byte by byte, and what
    is not finished.
    """
    found = records(results)
    return {
        "records": {
            run_id: {key: value for key, value in record.items() if key not in TIMELY}
            for run_id, record in found.items()
        },
        "predictions": {path.name: path.read_bytes() for path in results.glob("predictions/*.npz")},
        "weights": {path.name: path.read_bytes() for path in results.glob("weights/*.safetensors")},
        "unfinished files": [path.name for name in ("checkpoints", "pending") for path in results.glob(f"{name}/*.*")],
    }


@contextmanager
def reporting(results: Path, out: Path, ended: Counter[str], faults: list[str]) -> Iterator[None]:
    """Make reports of a folder in a process of its own, one after the other, and count in `ended` how they end."""
    code = _REPORTER.format(results=str(results), out=str(out))
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
        )
        try:
            yield
        finally:
            process.stdin.close()  # asks it to stop
            process.wait()
        log.seek(0)
        for line in log:
            status, _, said = line.strip().partition(" ")
            if status == "0":
                ended["made"] += 1
            elif status == "2" and "no run records" in said:
                ended["refused without a record"] += 1
            else:
                faults.append(f"a report said: {line.strip()}")


_REPORTER = """
import contextlib, io, select, sys
from harness.commands import report
while not select.select([sys.stdin], [], [], 0)[0]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = report.main([{results!r}, "--out", {out!r}])
    print(status, " ".join(err.getvalue().split()), flush=True)
"""


def _is_at_work(process: Sweep) -> bool:
    """Whether the sweep has been announced: what comes before is imports and checks."""
    return "| records: " in process.printed()


def _parts(results: Path, *folders: str) -> list[Path]:
    """The files that are being written in these folders, and journals."""
    found = [path for name in folders for path in (results / name).glob(".*.part")]
    return found + (list((results / "pending").glob("*.json")) if "pending" in folders else [])


def _wait(condition: Callable[[], object], process: Sweep, stop: float) -> None:
    """Until the condition holds, the process has ended, or it is time to stop."""
    while not condition() and process.status is None and time.monotonic() < stop:
        time.sleep(_POLL_SECONDS)


def _show(what: str, count: int, of: int) -> None:
    if count % 10 == 0 or count == of:
        print(f"{what}: {count} of {of}", flush=True)
