"""python -m harness.run: train the run, or with --multirun the sweep, that the config and its overrides describe.

    python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
    python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.learning_rate=3e-4,1e-3
    python -m harness.run --dry-run experiment=quick/adapter

Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted,
143 terminated.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness.config import conf_folder, register_configs
from harness.errors import UserError
from harness.interrupts import SIGNALS, Terminated
from harness.sweeps.command import COMMAND, as_typed, check_arguments, with_override
from harness.sweeps.help_page import help_page
from harness.sweeps.hydra_errors import explain
from harness.sweeps.progress import print_outcome
from harness.sweeps.session import Session, register_launchers

DRY_RUN = "--dry-run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status. `arguments` are those of the command line (None: of this process)."""
    with SIGNALS.handled():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(dry_run=DRY_RUN in arguments)
    hydra_arguments = [argument for argument in arguments if argument != DRY_RUN]
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        check_arguments(hydra_arguments)
        if {"--help", "-h"} & set(hydra_arguments):
            register_configs()
            register_launchers()
            print(help_page(hydra_arguments))
            return 0
        if session.dry_run:
            with tempfile.TemporaryDirectory() as folder:
                _run_hydra(session, with_override(hydra_arguments, f"hydra.sweep.dir={folder}"))
            _print_plan(session)
            return 0
        _run_hydra(session, hydra_arguments)
    except UserError as error:
        return _fail(str(error))
    except (HydraException, OmegaConfBaseException, OSError) as error:
        if wants_traceback:
            raise
        return _fail(explain(error, arguments))
    except KeyboardInterrupt as interrupt:
        is_terminated = isinstance(interrupt, Terminated)
        how = "terminated" if is_terminated else "interrupted"
        print(f"\n{how}; finished runs and checkpoints are kept. To continue:", file=sys.stderr)
        print("  " + shlex.join([*COMMAND, *arguments]), file=sys.stderr)
        return 143 if is_terminated else 130
    print_outcome(list(session.records.values()), session.results_dir)
    return 1 if session.failures else 0


def _run_hydra(session: Session, arguments: Sequence[str]) -> None:
    """Let Hydra compose the job or sweep and call `session`; raises the first error."""
    register_configs()
    register_launchers()
    command = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="run")(session)
    with as_typed(arguments), _raising():
        command()
    if session.refused:
        raise session.refused[0]


def _print_plan(session: Session) -> None:
    """What the launches of a dry run come to; nothing where Hydra only showed something, such as a config."""
    if session.planned:
        from harness.sweeps.dry_run import print_plan  # imports torch

        print_plan(session.planned)


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
