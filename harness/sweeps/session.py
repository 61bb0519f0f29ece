"""One command between Hydra and the sweep: jobs to checked configs, records to scores and an exit status.

Nothing here imports torch before the configs of all jobs are known to be right: help, completion and typos answer at
once.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import RunConfig, check, check_sweep
from harness.errors import UserError
from harness.light_imports import lasting_imports
from harness.records.choice import choice_score
from harness.records.method_title import size_key
from harness.records.record import Record
from harness.sweeps.hydra_errors import unknown_key

_GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass(frozen=True)
class Launch:
    """Configs that a launcher trains together: in stacks of at most `max_stack` (None: the device's default), on
    `devices` of this machine (None: as the configs say), each shared by so many `processes` (None: `fit.place`), or as
    jobs of a `cluster` that have devices of that type.
    """

    configs: list[RunConfig]
    max_stack: int | None = None
    devices: list[str] | None = None
    processes: int | None = None
    cluster: str | None = None
    device_type: str | None = None


def import_training() -> None:
    """Import what trains runs; to be called before anything else imports torch."""
    with lasting_imports():
        importlib.import_module("harness.sweeps.jobs")


class Session:
    """One command: the task function that Hydra calls for a job and hands to launchers, and what its jobs came to.

    `records` holds the record of every run that was asked for, by id, and `results_dir` the folder where they lie;
    `refused` the errors of single jobs. In a `dry_run` nothing is trained, and `planned` holds what would be launched.
    `processes` share a device where the launcher names no number (None: `fit.place`).
    """

    def __init__(self, *, dry_run: bool = False, processes: int | None = None) -> None:
        self.dry_run, self.processes = dry_run, processes
        self.planned: list[Launch] = []
        self.records: dict[str, Record] = {}
        self.results_dir = ""
        self.refused: list[Exception] = []

    def __call__(self, job: DictConfig) -> float:
        """Train one job: a single run, or one of a sweep under a launcher that is not ours."""
        try:
            configs = checked_configs([job])
            refuse_two_sizes(configs, [HydraConfig.get().overrides.task])
            if self.dry_run:
                self.plan(Launch(configs), HydraConfig.get())
                return float("nan")
            import_training()
            from harness.sweeps.jobs import run_all

            records = run_all(configs)
        except (UserError, OmegaConfBaseException) as error:
            self.refused.append(error)  # raised here, Hydra would print its overrides first
            return float("nan")
        self.collect(records, job.results_dir)
        return score_of(records[0])

    def plan(self, launch: Launch, hydra: DictConfig) -> None:
        """Note what would be launched; `UserError` where a sweeper chooses runs by the scores of earlier ones."""
        if hydra.sweeper._target_ != _GRID:
            raise UserError(
                "--dry-run cannot tell which runs hydra/sweeper would choose, since that depends on scores; "
                "leave hydra/sweeper=... out"
            )
        self.planned.append(launch)

    def collect(self, records: Iterable[Record], results_dir: str) -> None:
        """Keep these records for the exit status and for what is said at the end."""
        self.results_dir = results_dir
        self.records |= {record["run_id"]: record for record in records}

    @property
    def failures(self) -> list[Record]:
        return [record for record in self.records.values() if record["status"] != "completed"]


def register_launchers() -> None:
    """Make our launchers known to Hydra, which looks for plugins in the namespace `hydra_plugins` only."""
    folder = str(Path(__file__).parents[1] / "plugins")
    if folder not in sys.path:
        sys.path.append(folder)
    plugin = importlib.import_module("hydra_plugins.harness_stacked")
    for launcher in (plugin.StackedLauncher, plugin.SubmititLauncher):
        Plugins.instance().register(launcher)


def checked_configs(jobs: Sequence[DictConfig]) -> list[RunConfig]:
    """The configs of all jobs of a command; `UserError` for the first value that is wrong by itself."""
    configs = [to_config(job) for job in jobs]
    for config in configs:
        check(config)
    check_sweep(configs)
    return configs


def refuse_two_sizes(configs: Iterable[RunConfig], overrides: Iterable[Sequence[str]]) -> None:
    """`UserError` for a budget next to the size that it chooses, where the overrides of a job (one list per config)
    give both. The size that a method or an experiment starts with gives way to a budget.
    """
    for config, given in zip(configs, overrides, strict=True):
        method = config.method
        key = size_key(asdict(method))
        if method.budget is None or key is None:
            continue
        section, _, name = f"method.{key}".rpartition(".")
        for override in given:
            where, _, value = override.lstrip("+").partition("=")
            is_in_options = where == section == "method.options" and re.search(rf"\b{name}\b['\"]?\s*:", value)
            if where == f"{section}.{name}" or is_in_options:
                raise UserError(
                    f"method.budget={method.budget} chooses {section}.{name}, and {override} gives it; "
                    "leave one of them out"
                )


def to_config(job: DictConfig) -> RunConfig:
    """The run's own part of a composed job config, as dataclasses.

    Raises `UserError` for a key that was added with a plus and that nothing reads.
    """
    _refuse_unknown_keys(job)
    parts = {item.name: job[item.name] for item in fields(RunConfig)}
    return RunConfig(
        **{name: OmegaConf.to_object(part) if OmegaConf.is_config(part) else part for name, part in parts.items()}
    )


def _refuse_unknown_keys(job: DictConfig) -> None:
    """Hydra lets `+key=value` past a schema; fields of type dict, such as `method.options`, take any key."""
    for section, part, schema in _sections(job, RunConfig, ""):
        known = [item.name for item in fields(schema)]
        for name in part:
            if name not in known and (section, name) != ("", "hydra"):
                raise UserError(unknown_key(f"{section}.{name}".lstrip("."), known))


def _sections(part: DictConfig, schema: type, name: str) -> Iterator[tuple[str, DictConfig, type]]:
    """The dotted name, the config and the dataclass of a config and of all sections in it."""
    yield name, part, schema
    for item in fields(schema):
        inner = OmegaConf.get_type(part, item.name)
        if is_dataclass(inner) and OmegaConf.is_config(part[item.name]):
            yield from _sections(part[item.name], inner, f"{name}.{item.name}".lstrip("."))


def score_of(record: Record) -> float:
    """What a sweeper sees: the score on the selection split; NaN where there is none."""
    score = choice_score(record)
    return float("nan") if score is None else score
