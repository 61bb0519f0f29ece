"""Errors that end a command, in one line each.

Hydra and OmegaConf describe a config that does not compose in several lines, without the keys that are allowed. The
patterns below match the messages of Hydra 1.3.2 to 1.3.8 and OmegaConf 2.3; a message that none of them matches is
shown as it is, on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf

from harness.config import RunConfig
from harness.errors import FULL_DISK, free_space, reason_of

_NO_VALUE = re.compile(r"missing mandatory value.*full_key: (\S+)", re.S)
_NOT_IN_SCHEMA = re.compile(r"Key '([^']+)' (?:is )?not in (?:struct|'(\w+)')")  # the second group is the schema's name
_NO_OVERRIDE = re.compile(r"Could not override '([^']+)'()")
_FULL_KEY = re.compile(r"full_key: (\S+)")
_OWNER = re.compile(r"object_type=(\w+)")
_NOT_MERGED = re.compile(r"Error merging override (\S.*?)\n.*full_key: (\S+)", re.S)
_TWICE = re.compile(r"Multiple values for (\S+)\. To override")
_AMBIGUOUS = re.compile(r"Ambiguous value for argument '([^=]+)=([^']*)'")
_NO_NESTED_FILE = re.compile(r"Could not find '([^']+)'\s+Config search path")
_FOLDER = re.compile(r"path=file://(.+)")
_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "list[str]": "a list"}
_NO_FILE = re.compile(r"Could not find '([^']+)'\s+Available options in [^\n]*\n(.*?)\n\s*Config search", re.S)


def explain(error: Exception, arguments: Sequence[str] = ()) -> str:
    """One line for what ended the command; `arguments` are those of the command line.

    For a config that Hydra could not compose it names the key, its value and what is allowed; for a file that could
    not be read or written, the file and the remedy.
    """
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _explain_file(error, arguments)
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
        schema = _schema(unknown.group(2)) if unknown.group(2) else None
        return f"{given}: {unknown_key(key, [item.name for item in fields(schema or RunConfig)])}"
    if missing := _NO_FILE.search(text):
        options = [name for name in missing.group(2).split() if not name.endswith("_schema")]
        return f"there is no config {missing.group(1)}; choose one of {', '.join(options)}"
    if missing := _NO_NESTED_FILE.search(text):
        return _no_config(missing.group(1), text)
    if wrong := _NOT_MERGED.search(text):
        override, key = wrong.groups()
        if override.startswith("~"):
            return f"{override}: options cannot be removed; leave it out to keep the default of {key}"
        return _wrong_type(override, key, text)
    if twice := _TWICE.search(text):
        given = next((item for item in arguments if item.startswith(f"+{twice.group(1)}=")), None)
        if given:
            return f"{given}: {twice.group(1)} is there already; write it without the plus: {given[1:]}"
    if several := _AMBIGUOUS.search(text):
        key, value = several.groups()
        return f"{key}={value}: several values need --multirun; a list is written {key}=[{value}]"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What is wrong with a key of the config that is none of its section's `known` ones."""
    known = list(known)
    close = get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"there is no key {key!r}; {hint}allowed: {', '.join(known)}"


def _explain_file(error: OSError, arguments: Sequence[str]) -> str:
    if error.filename is None:
        given = next((item for item in arguments if item.startswith("results_dir=")), "results_dir=results/working")
        reason = reason_of(error, given.partition("=")[2])
        remedy = f"check the disks of {given}, cache_dir, the temporary folder and the output"
        return f"a file could not be read or written: {reason}; {remedy}"
    if error.errno not in FULL_DISK:
        return f"{error.filename}: {reason_of(error)}; choose another results_dir or cache_dir"
    remedy = "free some space or choose a results_dir or cache_dir on another disk, then repeat the command"
    return f"{error.filename}: {error.strerror} ({free_space(error.filename)}); {remedy}"


def _schema(name: str, node: object = None) -> type | None:
    """The dataclass of that name among the sections and config groups that Hydra has registered."""
    if node is None:
        node = ConfigStore.instance().repo
        if found := next((one for one in _classes(RunConfig()) if one.__name__ == name), None):
            return found
    if isinstance(node, dict):
        return next((found for inner in node.values() if (found := _schema(name, inner))), None)
    schema = OmegaConf.get_type(node.node)
    return schema if getattr(schema, "__name__", None) == name else None


def _classes(section: object) -> Iterator[type]:
    """The dataclass of a section and of all sections in it."""
    if is_dataclass(section):
        yield type(section)
        for item in fields(section):
            yield from _classes(getattr(section, item.name))


def _wrong_type(override: str, key: str, text: str) -> str:
    """What is wrong with an override whose value is not of the option's type."""
    owner = _OWNER.search(text)
    schema = _schema(owner.group(1)) if owner else None
    item = next((item for item in fields(schema) if item.name == key.rpartition(".")[2]), None) if schema else None
    if item is None:
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())
    allowed = item.metadata.get("allowed")
    base = str(item.type).removesuffix(" | None")
    kind = _TYPES.get(base, "")
    if allowed is None:
        words = (kind or base) + (", or null" if base != item.type else "")
    else:
        words = f"{kind} {allowed.words}" if base in ("int", "float") else allowed.words
    return f"{override} does not fit: {key} must be {words}"


def _no_config(name: str, text: str) -> str:
    """What is wrong with a config that is not there, in a group whose options lie in folders of their own."""
    group = name.partition("/")[0]
    found = set()
    for folder in _FOLDER.findall(text):
        files = (Path(folder) / group).rglob("*.yaml")
        found |= {file.relative_to(Path(folder) / group).with_suffix("").as_posix() for file in files}
    return f"there is no config {name}; choose one of {', '.join(sorted(found))}"
