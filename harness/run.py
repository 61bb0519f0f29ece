"""python -m harness.run: train the run, or with --multirun the sweep, that the config and its overrides describe.

    python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
    python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.learning_rate=3e-4,1e-3
    python -m harness.run experiment=quick/adapter

Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness.config import METHOD_CONFIGS, PROTOCOL_CONFIGS, RunConfig, register_configs
from harness.errors import UserError
from harness.sweeps import jobs

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


def explain(error: Exception) -> str:
    """One line for a config that Hydra could not compose: the key, its value and what is allowed."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename}: {error.strerror or error}; choose another results_dir or cache_dir"
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    absent = re.search(r"missing mandatory value.*full_key: (\S+)", text, re.S)
    if absent:
        return f"{absent.group(1)} has no value; give {absent.group(1)}=..."
    overrides = [argument for argument in sys.argv[1:] if "=" in argument]
    unknown = re.search(r"Key '([^']+)' (?:is )?not in (?:struct|'(\w+)')", text) or re.search(
        r"Could not override '([^']+)'()", text
    )
    if unknown:
        path = re.search(r"full_key: (\S+)", text)
        key = path.group(1) if path else unknown.group(1)
        if key.startswith("method.options."):
            return f"{key}: method.options takes any field of peft's config; write it with a plus: +{key}=..."
        given = next((item for item in overrides if item.lstrip("+~").split("=")[0].endswith(unknown.group(1))), key)
        known = _known_keys(key, unknown.group(2))
        close = get_close_matches(key.rpartition(".")[2], known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{given}: there is no key {key!r} here; {hint}allowed: {', '.join(known)}"
    missing = re.search(r"Could not find '([^']+)'\s+Available options in [^\n]*\n(.*?)\n\s*Config search", text, re.S)
    if missing:
        options = [name for name in missing.group(2).split() if not name.endswith("_schema")]
        return f"there is no config {missing.group(1)}; choose one of {', '.join(options)}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _known_keys(key: str, owner: str | None) -> list[str]:
    """The keys beside `key`, by the schema that refused it or by its path."""
    for schema in (*METHOD_CONFIGS.values(), *PROTOCOL_CONFIGS.values()):
        if schema.__name__ == owner:
            return [item.name for item in fields(schema)]
    node: object = RunConfig
    for name in key.split(".")[:-1]:
        node = next((getattr(RunConfig(), item.name) for item in fields(node) if item.name == name), None)
        if not is_dataclass(node):
            return [item.name for item in fields(RunConfig)]
    return [item.name for item in fields(node)]


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
