"""python -m harness.run: train the run, or with --multirun the sweep, that the config and its overrides describe.

    python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
    python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.learning_rate=3e-4,1e-3
    python -m harness.run experiment=quick/adapter

Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness.config import conf_folder, register_configs
from harness.errors import UserError
from harness.sweeps.command import COMMAND, as_typed
from harness.sweeps.hydra_errors import explain
from harness.sweeps.progress import print_outcome
from harness.sweeps.session import Session, register_launchers

_SCHEMAS = re.compile(r", \w+_schema\b")  # parts of the other options, which Hydra's list of groups cannot leave out


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status. `arguments` are those of the command line (None: of this process)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        _run_hydra(session, arguments)
    except UserError as error:
        return _fail(str(error))
    except (HydraException, OmegaConfBaseException, OSError) as error:
        if wants_traceback:
            raise
        return _fail(explain(error, arguments))
    except KeyboardInterrupt:
        print("\ninterrupted; finished runs are kept. To continue:", file=sys.stderr)
        print("  " + shlex.join([*COMMAND, *arguments]), file=sys.stderr)
        return 130
    print_outcome(list(session.records.values()), session.results_dir)
    return 1 if session.failures else 0


def _run_hydra(session: Session, arguments: Sequence[str]) -> None:
    """Let Hydra compose the job or sweep and call `session`; raises the first error."""
    register_configs()
    register_launchers()
    command = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="run")(session)
    with as_typed(arguments), _raising():
        if {"--help", "-h"} & set(arguments):
            with _without_schemas():
                command()
        else:
            command()
    if session.refused:
        raise session.refused[0]


@contextmanager
def _without_schemas() -> Iterator[None]:
    """Print what Hydra prints, without the names of schemas."""
    page = io.StringIO()
    try:
        with redirect_stdout(page):
            yield
    finally:  # Hydra exits
        print(_SCHEMAS.sub("", page.getvalue()), end="")


@contextmanager
def _raising() -> Iterator[None]:
    """Make Hydra raise the errors that it would otherwise print over many lines before it exits."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
