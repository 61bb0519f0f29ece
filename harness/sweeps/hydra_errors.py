"""Errors that end a command, in one line each.

Hydra and OmegaConf describe a config that does not compose in several lines, without the keys that are allowed. The
patterns below match the messages of Hydra 1.3.2 to 1.3.8 and OmegaConf 2.3; a message that none of them matches is
shown as it is, on one line.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path

from hydra.errors import HydraException

from harness.config import METHOD_CONFIGS, PROTOCOL_CONFIGS, RunConfig

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)

_NO_VALUE = re.compile(r"missing mandatory value.*full_key: (\S+)", re.S)
_NOT_IN_SCHEMA = re.compile(r"Key '([^']+)' (?:is )?not in (?:struct|'(\w+)')")  # the second group is the schema's name
_NO_OVERRIDE = re.compile(r"Could not override '([^']+)'()")
_FULL_KEY = re.compile(r"full_key: (\S+)")
_NO_FILE = re.compile(r"Could not find '([^']+)'\s+Available options in [^\n]*\n(.*?)\n\s*Config search", re.S)


def explain(error: Exception, arguments: Sequence[str] = ()) -> str:
    """One line for what ended the command; `arguments` are those of the command line.

    For a config that Hydra could not compose it names the key, its value and what is allowed; for a file that could
    not be read or written, the file and the remedy.
    """
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _explain_file(error)
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    if absent := _NO_VALUE.search(text):
        return f"{absent.group(1)} has no value; give {absent.group(1)}=..."
    if unknown := _NOT_IN_SCHEMA.search(text) or _NO_OVERRIDE.search(text):
        path = _FULL_KEY.search(text)
        key = path.group(1) if path else unknown.group(1)
        if key.startswith("method.options."):
            return f"{key}: method.options takes any field of peft's config; write it with a plus: +{key}=..."
        overrides = [argument for argument in arguments if "=" in argument]
        given = next((item for item in overrides if item.lstrip("+~").split("=")[0].endswith(unknown.group(1))), key)
        return f"{given}: {unknown_key(key, _known_keys(key, unknown.group(2)))}"
    if missing := _NO_FILE.search(text):
        options = [name for name in missing.group(2).split() if not name.endswith("_schema")]
        return f"there is no config {missing.group(1)}; choose one of {', '.join(options)}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What is wrong with a key of the config that is none of its section's `known` ones."""
    known = list(known)
    close = get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"there is no key {key!r}; {hint}allowed: {', '.join(known)}"


def _explain_file(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        remedy = "check the disks of results_dir, cache_dir and the temporary folder"
        return f"a file could not be read or written: {reason}; {remedy}"
    if error.errno not in FULL_DISK:
        return f"{error.filename}: {reason}; choose another results_dir or cache_dir"
    remedy = "free some space or choose a results_dir or cache_dir on another disk, then repeat the command"
    return f"{error.filename}: {reason} ({_free_space(Path(error.filename))}); {remedy}"


def _free_space(path: Path) -> str:
    """The free space of the file system that holds this path, which need not exist."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return f"{shutil.disk_usage(existing).free / 1e6:,.0f} MB free there"


def _known_keys(key: str, owner: str | None) -> list[str]:
    """The keys of the section that lacks `key`, found by the name of its schema or by its path."""
    for schema in (*METHOD_CONFIGS.values(), *PROTOCOL_CONFIGS.values()):
        if schema.__name__ == owner:
            return [item.name for item in fields(schema)]
    node: object = RunConfig
    for name in key.split(".")[:-1]:
        node = next((getattr(RunConfig(), item.name) for item in fields(node) if item.name == name), None)
        if not is_dataclass(node):
            return [item.name for item in fields(RunConfig)]
    return [item.name for item in fields(node)]
