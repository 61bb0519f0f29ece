"""The help page of a run: what it does, examples, flags, groups with their options, and all values.

Hydra's own page lists the groups by copying all configs for every group, which takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf, flag_override

from harness.sweeps.first_config import compose_first

_PAGE = """\
Train a pre-trained encoder on a GLUE task, with adapters or another method, and write one record per run to
results_dir. With --multirun, or for an experiment, train every combination of the values that are given.

  python -m harness.run task=mrpc method=adapter method.bottleneck_size=64 train.learning_rate=1e-3
  python -m harness.run --multirun task=cola,mrpc method.bottleneck_size=8,64 train.seed=0,1,2
  python -m harness.run experiment=quick/adapter results_dir=results/mine
  python -m harness.run task=rte data=local data.path=/folder/of/GLUE protocol=holdout
  python -m harness.run --dry-run experiment=minilm/adapter_small

The same command again resumes. python -m harness.report RESULTS makes tables and figures of the records.
Exit status: 0 all runs completed, 1 some failed or diverged, 2 bad input, 130 interrupted,
143 terminated.

== Flags ==
  --multirun, -m      every combination of values that are separated by commas
  --dry-run           check everything, then show runs, stacks, what is done, and the expected time and memory
  --cfg job           show the config instead of running it
  --config-dir DIR    also look for configs of your own in this folder
  --hydra-help        the flags and options of Hydra itself

== Groups ==
Choose one option of each group: group=option

{groups}

== Options ==
Override any value: section.key=value. conf/README.md explains them.

{config}"""


def help_page(arguments: Sequence[str]) -> str:
    """The page for a command line with `--help`; its other arguments change what is shown, as they change a run."""
    config = compose_first(arguments)
    folders = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
    with flag_override(config, ["struct", "readonly"], False):
        del config["hydra"]
    groups = [f"{name}: {', '.join(names)}" for name, names in sorted(groups_of(folders).items())]
    resolve = get_args(arguments).resolve
    return _PAGE.format(groups="\n".join(groups), config=OmegaConf.to_yaml(config, resolve=resolve))


def groups_of(folders: Iterable[Path]) -> dict[str, list[str]]:
    """The config groups, Hydra's own left out, and the options of each: files in these folders, and registered ones."""
    found = {
        (file.parent.relative_to(folder).as_posix(), file.stem) for folder in folders for file in folder.rglob("*.yaml")
    }
    found |= set(_registered(ConfigStore.instance().repo))
    groups: dict[str, list[str]] = {}
    for group, name in sorted(found):
        # Schemas are parts of the other options.
        if group != "." and group.partition("/")[0] != "hydra" and not name.endswith("_schema"):
            groups.setdefault(group, []).append(name)
    return groups


def _registered(folder: Mapping[str, Any], group: str = ".") -> Iterable[tuple[str, str]]:
    """Group and name of every config in Hydra's store."""
    for name, item in folder.items():
        if isinstance(item, Mapping):
            yield from _registered(item, name if group == "." else f"{group}/{name}")
        else:
            yield group, name.removesuffix(".yaml")
