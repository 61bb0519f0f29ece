"""Sweeps that are killed and started again, against an undisturbed one; `scripts/torture.py` says how often."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

from harness.config import DataConfig, ModelConfig, RunConfig, TaskConfig, TrainConfig
from harness.method_config import AdapterConfig
from scripts.torture_process import MAX_STACK, PATIENCE, POLL_SECONDS, Death, Sweep, would_halve
from tests.fixtures.commands import records
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[1]
TRAIN = TrainConfig(batch_size=8, max_length=32, precision="fp32", evaluate_every_epoch=True, save="best")
SIZES, RATES = (2, 4), (1e-3, 3e-3, 1e-2)
TIMELY = ("time", "memory", "provenance")  # of a record: what no two sweeps share
# When a process dies, in turn: at any moment, while it trains, and while it writes a file in one of these folders, the
# n-th since it began, with n up to a number.
AIMS = ("any", "training", "training", "writing a checkpoint", "writing results")
WRITES = {
    "writing a checkpoint": (("checkpoints",), 3),
    "writing results": (("runs", "predictions", "gold", "weights", "pending"), 3 * MAX_STACK),
}


class Kills:
    """Sweeps in a scratch folder, of six configs with `seeds` seeds each, that are killed at moments drawn by `seed`.

    `moments` counts kills by what the process was doing, and `faults` has a line for whatever was not as it should be.
    """

    def __init__(self, folder: Path, *, seeds: int, epochs: int, seed: int) -> None:
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
                train=replace(TRAIN, epochs=epochs, learning_rate=rate, seed=one),
            )
            for size, rate, one in product(SIZES, RATES, range(seeds))
        ]
        self.moments: Counter[str] = Counter()
        self.faults: list[str] = []
        self._folders = 0
        undisturbed, started = self._new_folder(), time.monotonic()
        self._end(self._start(undisturbed))
        self.seconds = time.monotonic() - started  # of the undisturbed sweep
        self.expected = outcome(undisturbed)
        self.runs = len(self.expected["records"])

    def of_one_sweep(self, kills: int) -> int:
        """Kill a sweep that many times, and start it again each time; returns how many sweeps came to their end."""
        results, ended, killed = self._new_folder(), 0, 0
        aims = cycle(AIMS)
        while killed < kills:
            process, moment = self._begin(results, next(aims))
            if self._is_killed(process, results, moment):
                killed += 1
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
        ended, killed, reports, aims = 0, 0, Counter(), cycle(AIMS)
        while killed < kills:
            results = self._new_folder()
            with reporting(results, self.folder / "report", reports, self.faults):
                partner = self._start(results)
                while killed < kills:
                    process, moment = self._begin(results, next(aims))
                    if not self._is_killed(process, results, moment):
                        self._end(process)
                        break
                    killed += 1
                    _show("kills of two sweeps", killed, kills)
                    if killed % 2 and killed < kills:  # the other one dies as often
                        if self._is_killed(partner, results, "any"):
                            killed += 1
                        else:
                            self._end(partner)
                        partner = self._start(results)
                self._end(partner)
                self._end(self._start(results))
            self._compare(results)
            ended += 1
        return ended, reports

    def _new_folder(self) -> Path:
        self._folders += 1
        return self.folder / f"results-{self._folders}"

    def _start(self, results: Path, death: Death | None = None) -> Sweep:
        return Sweep([replace(config, results_dir=str(results)) for config in self.configs], death)

    def _begin(self, results: Path, moment: str) -> tuple[Sweep, str]:
        """A sweep that is to die at such a moment, and the moment."""
        if moment not in WRITES:
            return self._start(results), moment
        folders, most = WRITES[moment]
        return self._start(results, Death(folders, self.dice.randint(1, most), self.dice.random())), moment

    def _is_killed(self, process: Sweep, results: Path, moment: str) -> bool:
        """Kill the process at that moment, and count it; False where it ends before."""
        if moment in WRITES:
            process.end()
        else:
            if moment == "training":
                _wait(lambda: _is_at_work(process), process, PATIENCE)
            _wait(lambda: False, process, self.dice.uniform(0, min(self.seconds / 2, 5.0)))
            while not process.kill_unless(lambda: would_halve(results)) and process.status is None:
                time.sleep(POLL_SECONDS)
            moment = "training" if _is_at_work(process) else "starting"
        if process.status != -signal.SIGKILL:
            return False
        self.moments[moment] += 1
        return True

    def _compare(self, results: Path) -> None:
        """Note every way in which a folder differs from that of the undisturbed sweep."""
        for name, found in outcome(results).items():
            expected = self.expected[name]
            which = [
                one + _where(expected.get(one), found.get(one))
                for one in expected | found
                if expected.get(one) != found.get(one)
            ]
            if which:
                self.faults.append(f"{results.name} has other {name}: {', '.join(which)}")

    def _end(self, process: Sweep) -> None:
        """Wait for a sweep that nobody kills any more."""
        printed = process.end()
        if process.status or "Traceback" in printed:
            self.faults.append(f"exit status {process.status}: {' '.join(printed.split())[-300:]}")


def _where(expected: Any, found: Any) -> str:
    """` (training.losses, error)`: the keys in which two records differ; empty for anything else."""
    if not (isinstance(expected, Mapping) and isinstance(found, Mapping)):
        return ""
    keys = []
    for key in expected | found:
        one, other = expected.get(key), found.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            keys += [f"{key}.{inner}" for inner in one | other if one.get(inner) != other.get(inner)]
        elif one != other:
            keys.append(key)
    return f" ({', '.join(keys)})"


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
        # The temporary files of killed processes stay for an hour.
        "unfinished files": {
            path.name: "there" for name in ("checkpoints/*", "pending/*.json") for path in results.glob(name)
        },
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
while not select.select([sys.stdin], [], [], 1)[0]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = report.main([{results!r}, "--out", {out!r}])
    print(status, " ".join(err.getvalue().split()), flush=True)
"""


def _is_at_work(process: Sweep) -> bool:
    """Whether the sweep has been announced: what comes before is imports and checks."""
    return "| records: " in process.printed()


def _wait(condition: Callable[[], object], process: Sweep, seconds: float) -> None:
    """Until the condition holds, the process has ended, or so many seconds are over."""
    stop = time.monotonic() + seconds
    while not condition() and process.status is None and time.monotonic() < stop:
        time.sleep(POLL_SECONDS)


def _show(what: str, count: int, of: int) -> None:
    if count % 10 == 0 or count == of:
        print(f"{what}: {count} of {of}", flush=True)
