"""The values that an option of a config allows, with the words in which errors name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Range:
    """The values that an option allows: a predicate and its wording, and why some others are not allowed."""

    allows: Callable[[Any], bool]
    words: str
    reasons: Mapping[Any, str] = field(default_factory=dict)


def one_of(*names: str, **reasons: str) -> Range:
    return Range(lambda value: value in names, "one of " + ", ".join(names), reasons)


def above(low: float, below: float = math.inf) -> Range:
    words = f"above {low:g}" if below == math.inf else f"above {low:g} and below {below:g}"
    return Range(lambda value: low < value < below, words)


def at_least(low: float, below: float = math.inf) -> Range:
    words = f"at least {low:g}" if below == math.inf else f"at least {low:g} and below {below:g}"
    return Range(lambda value: low <= value < below, words)


def between(low: float, high: float) -> Range:
    return Range(lambda value: low <= value <= high, f"between {low:g} and {high:g}")


def or_null(allowed: Range) -> Range:
    return Range(lambda value: value is None or allowed.allows(value), allowed.words + ", or null")


def only(name: str, group: str) -> Range:
    """The name of a schema: another name is another option of its config group, with other fields."""
    return Range(lambda value: value == name, f"{name} here; choose another {group} with {group}=NAME")


def each(allowed: Range) -> Range:
    """At least one value, and none twice."""

    def allows(values: list[Any]) -> bool:
        return bool(values) and len(set(values)) == len(values) and all(map(allowed.allows, values))

    return Range(allows, f"a list of different values, each {allowed.words}")


def option(default: Any, allowed: Range | None = None, *, one_per_sweep: bool = False) -> Any:
    """A field with the values that it allows (None: all of its type).

    `one_per_sweep` marks options outside the run id, on which all runs of a sweep must agree.
    """
    return field(default=default, metadata={"allowed": allowed, "one_per_sweep": one_per_sweep})


SEED = at_least(0, 2**31)
