"""Where runs are tracked: the options of `tracker=...`, which enter no run id."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.options import one_of, option, or_null


@dataclass
class TensorboardConfig:
    """`folder`: for one folder of events per run (null: `tensorboard` in results_dir)."""

    use: bool = option(False, one_per_sweep=True)
    folder: str | None = option(None, one_per_sweep=True)


@dataclass
class WandbConfig:
    """`mode`: online, offline or disabled (null: as WANDB_MODE says, otherwise online)."""

    use: bool = option(False, one_per_sweep=True)
    project: str = option("glue-adapter-harness", one_per_sweep=True)
    entity: str | None = option(None, one_per_sweep=True)
    mode: str | None = option(None, or_null(one_of("online", "offline", "disabled")), one_per_sweep=True)


@dataclass
class MlflowConfig:
    """`uri`: of the tracking server (null: MLFLOW_TRACKING_URI, otherwise files in `mlruns` in results_dir)."""

    use: bool = option(False, one_per_sweep=True)
    uri: str | None = option(None, one_per_sweep=True)


@dataclass
class TrackioConfig:
    """`space`: an id on the hub to which the dashboard is synchronised (null: this machine only)."""

    use: bool = option(False, one_per_sweep=True)
    project: str = option("glue-adapter-harness", one_per_sweep=True)
    space: str | None = option(None, one_per_sweep=True)


@dataclass
class TrackerConfig:
    """The trackers, of which `tracker=NAME` puts the named ones to `use`; `group`: what a sweep is called in all of
    them (null: the name of results_dir).
    """

    group: str | None = option(None, one_per_sweep=True)
    tensorboard: TensorboardConfig = field(default_factory=TensorboardConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)
    trackio: TrackioConfig = field(default_factory=TrackioConfig)
