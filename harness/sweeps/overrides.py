"""Options of a Python call as Hydra overrides, as they would be typed on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from harness.errors import UserError

_PLAIN = re.compile(r"[A-Za-z_/.][\w/.:@%+-]*", re.ASCII)  # texts that Hydra's grammar takes without quotes
_WORDS = ("null", "true", "false", "nan", "inf")  # those that it takes for something else


def as_overrides(options: Mapping[str, Any], *, sweep: bool = False) -> list[str]:
    """`{"task": "mrpc", "train__seed": 1}` as `["task=mrpc", "train.seed=1"]`: two underscores stand for a dot.

    In a `sweep` a list has the values to try (`train.seed=0,1`), otherwise it is the value (`task.text=[title,body]`).
    Raises `UserError` for a value that no option can have, and for an empty list of values to try.
    """
    overrides = []
    for name, value in options.items():
        key = name.replace("__", ".")
        values = list(value) if sweep and _is_list(value) else [value]
        if not values:
            raise UserError(f"{key}=[] has no value to try; give one, or leave {key} out")
        overrides.append(f"{key}={','.join(_text(item, key) for item in values)}")
    return overrides


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Path | Mapping)


def _text(value: Any, key: str) -> str:
    """One value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, str | Path):
        return _quoted(str(value))
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(item, key)}" for name, item in value.items()) + "}"
    if _is_list(value):
        return "[" + ",".join(_text(item, key) for item in value) + "]"
    raise UserError(
        f"{key}={value!r} is a {type(value).__name__}; give a text, a number, true or false, None or a list"
    )


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    from hydra.core.override_parser.types import Quote, QuotedString  # Hydra takes a third of a second

    return QuotedString(text, Quote.single).with_quotes()
