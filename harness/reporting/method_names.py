"""Readable labels of configs: methods as rows of a table, settings and numbers as short texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.records.method_title import ALWAYS_SHOWN, method_title
from harness.records.record import canonical, flatten

PEFT_TITLES = {"LORA": "LoRA", "PREFIX_TUNING": "Prefix tuning"}  # others by the name of their type
SIZE = "bottleneck_size"


def short_number(value: float) -> str:
    """`3e-4` for 0.0003, `0.01`, `64`: plain from 0.01 on, else scientific."""
    if abs(value) >= 0.01 or value == 0:
        return f"{value:.10g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def short_value(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(short_value(item) for item in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return short_number(value) if isinstance(value, int | float) else str(value)


def method_labels(method_keys: set[str]) -> dict[str, str]:
    """Row labels, in row order: full fine-tuning, adapters by size, the others by name."""
    methods = {key: flatten(json.loads(key)) for key in method_keys}
    labels = {}
    for key, method in methods.items():
        if method["name"] == "peft":
            options = [
                f"{name[8:]}={short_value(value)}" for name, value in method.items() if name.startswith("options.")
            ]
            title = PEFT_TITLES.get(method["type"], method["type"])
            labels[key] = title + (f" ({', '.join(options)})" if options else "")
            continue
        same = [other for other in methods.values() if other["name"] == method["name"]]
        shown = ALWAYS_SHOWN.get(method["name"])
        parts = [short_value(method[shown])] if shown in method else []
        parts += [part for name, part in differing_fields(method, same).items() if name != shown]
        labels[key] = method_title(method["name"]) + (f" ({', '.join(parts)})" if parts else "")

    def order(key: str) -> tuple[Any, ...]:
        method = dict(methods[key])
        size = method.pop(ALWAYS_SHOWN.get(method["name"], SIZE), None)
        rank = {"full": 0, "adapter": 1}.get(method["name"], 2)
        return rank, method["name"], canonical(method), size if isinstance(size, int | float) else 0, key

    return {key: labels[key] for key in sorted(labels, key=order)}


def differing_fields(fields: dict[str, Any], others: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The fields whose value is not the same in all of `others`, as short texts: `relu`, `init_std=1e-3`."""
    names = sorted({name for other in others for name in other})
    texts = {}
    for name in names:
        if len({canonical(other.get(name)) for other in others}) > 1:
            value = fields.get(name)
            texts[name] = value if isinstance(value, str) else f"{name}={short_value(value)}"
    return texts
