"""Hydra in this process: it composes the job or the sweep of some arguments and calls a session with the result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException
from hydra.version import VersionBase
from omegaconf.errors import OmegaConfBaseException

from harness.config import conf_folder, register_configs
from harness.errors import UserError
from harness.sweeps.command import as_typed, check_arguments
from harness.sweeps.first_config import compose_first
from harness.sweeps.hydra_errors import explain
from harness.sweeps.session import Session, register_launchers


def run_hydra(session: Session, arguments: Sequence[str]) -> None:
    """Let Hydra compose the job or sweep of a command line and call `session`; raises the first error."""
    _check_flags(arguments)
    check_arguments(arguments)
    register_configs()
    register_launchers()
    with _callers_hydra_kept(), as_typed(arguments), _raising():
        try:
            hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="run")(session)()
        except ConfigCompositionException:
            # Hydra looks for the mode in the config. Where that does not compose it takes the command for a single
            # run, and complains of the values of a sweep instead. With one value each, the real error is raised.
            compose_first(arguments)
            raise
    if session.refused:
        raise session.refused[0]


def _check_flags(arguments: Sequence[str]) -> None:
    """`UserError` for what Hydra's own parser refuses over several lines."""

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; python -m harness.run --help shows what is allowed")

    parser = get_args_parser()
    parser.error = refuse
    parser.parse_args(arguments)


@contextmanager
def explained(arguments: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra and the file system raise into a `UserError`, unless `HYDRA_FULL_ERROR=1` asks for tracebacks."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException, OSError) as error:
        if wants_traceback:
            raise
        raise UserError(explain(error, arguments)) from error


@contextmanager
def _callers_hydra_kept() -> Iterator[None]:
    """Put the Hydra of a program that calls this one aside for a while: Hydra keeps one config per process."""
    holders = [GlobalHydra.instance(), HydraConfig.instance(), VersionBase.instance()]
    before = [dict(vars(holder)) for holder in holders]
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        for holder, state in zip(holders, before, strict=True):
            vars(holder).update(state)


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
