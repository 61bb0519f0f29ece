"""python -m harness.run: train the run, or with --multirun the sweep, that the config and its overrides describe.

    python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
    python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.learning_rate=3e-4,1e-3
    python -m harness.run experiment=quick/adapter

Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness.config import register_configs
from harness.errors import UserError
from harness.sweeps import jobs
from harness.sweeps.hydra_errors import explain

CONF = Path(__file__).resolve().parent.parent / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="run")
def _job(config: DictConfig) -> float:
    """One job, alone or under another launcher than ours."""
    try:
        return jobs.score_of(jobs.run_all([jobs.to_config(config)])[0])
    except (UserError, OmegaConfBaseException) as error:
        _REFUSED.append(error)  # raised here, Hydra would print its overrides first
        return float("nan")


_REFUSED: list[Exception] = []  # what single jobs were refused for


def main() -> int:
    """Entry point; returns the exit status."""
    register_configs()
    jobs.register_launchers()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        _with_raised_errors()
    except UserError as error:
        return _fail(str(error))
    except (HydraException, OmegaConfBaseException, OSError) as error:
        if wants_traceback:
            raise
        return _fail(explain(error))
    except KeyboardInterrupt:
        print("\ninterrupted; finished runs are kept. To go on:", file=sys.stderr)
        print("  " + shlex.join(["python", "-m", "harness.run", *sys.argv[1:]]), file=sys.stderr)
        return 130
    return _report_failures()


def _with_raised_errors() -> None:
    """Run the job or sweep; Hydra raises what it would else print over many lines and exit for."""
    _REFUSED.clear()
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _job()
        if _REFUSED:
            raise _REFUSED[0]
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _report_failures() -> int:
    bad = [record for record in jobs.RECORDS if record["status"] != "completed"]
    if bad:
        print(f"{len(bad)} of {len(jobs.RECORDS)} runs did not complete:", file=sys.stderr)
        for record in bad:
            print(f"  {record['run_id']} {record['status']}: {record['error']}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
