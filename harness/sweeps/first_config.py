"""The config of a command line without a run: for its help page, and to find what does not compose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from omegaconf import DictConfig

from harness.config import conf_folder
from harness.errors import UserError

_LISTS = (ValueType.CHOICE_SWEEP, ValueType.SIMPLE_CHOICE_SWEEP, ValueType.RANGE_SWEEP)


def compose_first(arguments: Sequence[str]) -> DictConfig:
    """The config of a command line, Hydra's own part included; of values that are separated by commas, the first.

    Raises what Hydra raises for a config that does not compose.
    """
    given = get_args(arguments)
    searched = []
    if given.config_dir is not None:
        folder = Path(given.config_dir).absolute()
        if not folder.is_dir():
            raise UserError(f"--config-dir={given.config_dir} is not a folder")
        searched = [f"hydra.searchpath=['file://{folder}']"]
    overrides = [
        f"{item.get_key_element()}={next(item.sweep_string_iterator())}"
        if item.value_type in _LISTS
        else item.input_line
        for item in OverridesParser.create().parse_overrides(given.overrides)
    ]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(given.config_name or "run", [*searched, *overrides], return_hydra_config=True)
