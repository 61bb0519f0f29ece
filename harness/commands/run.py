"""python -m harness.run: train the run, or with --multirun the sweep, that the config and its overrides describe.

    python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
    python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.learning_rate=3e-4,1e-3
    python -m harness.run --dry-run experiment=quick/adapter

Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted,
143 terminated.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.config import register_configs
from harness.errors import UserError
from harness.interrupts import SIGNALS, Terminated
from harness.sweeps.command import COMMAND, check_arguments, with_override
from harness.sweeps.composition import explained, run_hydra
from harness.sweeps.help_page import help_page
from harness.sweeps.progress import print_outcome
from harness.sweeps.session import Session, import_training, register_launchers

if TYPE_CHECKING:
    from harness.sweeps.dry_run import Outlook

DRY_RUN = "--dry-run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status. `arguments` are those of the command line (None: of this process)."""
    with SIGNALS.handled():
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: Sequence[str]) -> int:
    session = Session(dry_run=DRY_RUN in arguments)
    hydra_arguments = [argument for argument in arguments if argument != DRY_RUN]
    try:
        with explained(arguments):
            if {"--help", "-h"} & set(hydra_arguments):
                check_arguments(hydra_arguments)
                register_configs()
                register_launchers()
                print(help_page(hydra_arguments))
                return 0
            if session.dry_run:
                _foresee(session, hydra_arguments)
                _print_plan(session)
                return 0
            run_hydra(session, hydra_arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        is_terminated = isinstance(interrupt, Terminated)
        how = "terminated" if is_terminated else "interrupted"
        print(f"\n{how}; finished runs and checkpoints are kept. To continue:", file=sys.stderr)
        print("  " + shlex.join([*COMMAND, *arguments]), file=sys.stderr)
        return 143 if is_terminated else 130
    print_outcome(list(session.records.values()), session.results_dir)
    return 1 if session.failures else 0


def plan(commands: Sequence[Sequence[str]], title: str) -> Outlook:
    """Print one plan for the arguments of several commands on one results folder, under that title.

    Raises `UserError` where one of them would.
    """
    from harness.sweeps.dry_run import print_plan  # imports torch

    session = Session(dry_run=True)
    for arguments in commands:
        with explained(arguments):
            _foresee(session, arguments)
    return print_plan(session.planned, title)


def _foresee(session: Session, arguments: Sequence[str]) -> None:
    """Let a session in a dry run note what a command would launch."""
    with tempfile.TemporaryDirectory() as folder:
        run_hydra(session, with_override(arguments, f"hydra.sweep.dir={folder}"))


def _print_plan(session: Session) -> None:
    """What the launches of a dry run come to; nothing where Hydra only showed something, such as a config."""
    if session.planned:
        import_training()
        from harness.sweeps.dry_run import print_plan  # imports torch

        print_plan(session.planned)


if __name__ == "__main__":
    sys.exit(main())
