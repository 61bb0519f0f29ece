"""Readable names: methods as rows of a table, settings and numbers as short texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harness.records.method_title import ALWAYS_SHOWN, method_title, short_number
from harness.records.record import canonical
from harness.reporting.method_variant import MethodVariant

PEFT_TITLES = {"LORA": "LoRA", "PREFIX_TUNING": "Prefix tuning"}  # others go by the name of their type


def short_value(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(short_value(item) for item in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return short_number(value) if isinstance(value, int | float) else str(value)


def method_labels(variants: Iterable[MethodVariant]) -> dict[MethodVariant, str]:
    """Row labels, in row order: the baseline, full fine-tuning, adapters by size, the others by name."""
    variants = set(variants)

    def order(variant: MethodVariant) -> tuple[Any, ...]:
        rank = {"tfidf": 0, "full": 1, "adapter": 2}.get(variant.name, 3)
        return rank, variant.name, _sortable(variant.without(variant.scale_field)), variant.scale, variant

    return {variant: _label(variant, variants) for variant in sorted(variants, key=order)}


def _sortable(variant: MethodVariant) -> list[tuple[str, bool, float, str]]:
    """The settings, numbers as numbers: in the key, a text, 1e-05 comes after 0.01."""
    numbers = {name: value for name, value in variant.settings.items() if isinstance(value, int | float)}
    return [
        (name, name in numbers, numbers.get(name, 0), canonical(value))
        for name, value in sorted(variant.settings.items())
    ]


def family_label(family: MethodVariant, families: Iterable[MethodVariant], *what: str) -> str:
    """`Adapters (best size)`: a method of all sizes, with `what` and the settings that tell its families apart."""
    same = [other.settings for other in families if other.name == family.name]
    return _with_parts(method_title(family.name), [*what, *differing_fields(family.settings, same).values()])


def differing_fields(fields: dict[str, Any], others: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The fields whose value is not the same in all of `others`, as short texts: `relu`, `init_std=1e-3`."""
    return named_fields(fields, differing_names(others))


def differing_names(others: Sequence[dict[str, Any]]) -> list[str]:
    """The fields whose value is not the same in all of `others`."""
    names = sorted({name for other in others for name in other})
    return [name for name in names if len({canonical(other.get(name)) for other in others}) > 1]


def named_fields(fields: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Those fields as short texts: the value of a text, `name=value` of a number."""
    values = {name: fields.get(name) for name in names}
    return {name: value if isinstance(value, str) else f"{name}={short_value(value)}" for name, value in values.items()}


def _label(variant: MethodVariant, variants: Iterable[MethodVariant]) -> str:
    settings = variant.settings
    if variant.name == "peft":
        options = {name.removeprefix("options."): v for name, v in settings.items() if name.startswith("options.")}
        title = PEFT_TITLES.get(settings["type"], settings["type"])
        parts = [f"{name}={short_value(value)}" for name, value in options.items()]
    else:
        title = method_title(variant.name)
        shown = ALWAYS_SHOWN.get(variant.name)
        same = [other.settings for other in variants if other.name == variant.name]
        parts = [short_value(settings[shown])] if shown in settings else []
        parts += [part for name, part in differing_fields(settings, same).items() if name != shown]
    return _with_parts(title, parts)


def _with_parts(title: str, parts: Sequence[str]) -> str:
    return title + (f" ({', '.join(parts)})" if parts else "")
