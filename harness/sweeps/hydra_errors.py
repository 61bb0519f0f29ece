"""Hydra's and OmegaConf's complaints as one line each."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from difflib import get_close_matches

from hydra.errors import HydraException

from harness.config import METHOD_CONFIGS, PROTOCOL_CONFIGS, RunConfig


def explain(error: Exception) -> str:
    """One line for a config that Hydra could not compose: the key, its value and what is allowed."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename}: {error.strerror or error}; choose another results_dir or cache_dir"
    text = "\n".join(str(part) for part in (error, error.__cause__) if part is not None)
    absent = re.search(r"missing mandatory value.*full_key: (\S+)", text, re.S)
    if absent:
        return f"{absent.group(1)} has no value; give {absent.group(1)}=..."
    overrides = [argument for argument in sys.argv[1:] if "=" in argument]
    unknown = re.search(r"Key '([^']+)' (?:is )?not in (?:struct|'(\w+)')", text) or re.search(
        r"Could not override '([^']+)'()", text
    )
    if unknown:
        path = re.search(r"full_key: (\S+)", text)
        key = path.group(1) if path else unknown.group(1)
        if key.startswith("method.options."):
            return f"{key}: method.options takes any field of peft's config; write it with a plus: +{key}=..."
        given = next((item for item in overrides if item.lstrip("+~").split("=")[0].endswith(unknown.group(1))), key)
        known = _known_keys(key, unknown.group(2))
        close = get_close_matches(key.rpartition(".")[2], known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{given}: there is no key {key!r} here; {hint}allowed: {', '.join(known)}"
    missing = re.search(r"Could not find '([^']+)'\s+Available options in [^\n]*\n(.*?)\n\s*Config search", text, re.S)
    if missing:
        options = [name for name in missing.group(2).split() if not name.endswith("_schema")]
        return f"there is no config {missing.group(1)}; choose one of {', '.join(options)}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _known_keys(key: str, owner: str | None) -> list[str]:
    """The keys beside `key`, by the schema that refused it or by its path."""
    for schema in (*METHOD_CONFIGS.values(), *PROTOCOL_CONFIGS.values()):
        if schema.__name__ == owner:
            return [item.name for item in fields(schema)]
    node: object = RunConfig
    for name in key.split(".")[:-1]:
        node = next((getattr(RunConfig(), item.name) for item in fields(node) if item.name == name), None)
        if not is_dataclass(node):
            return [item.name for item in fields(RunConfig)]
    return [item.name for item in fields(node)]
