"""A method with its settings as one hashable value: the key of the rows of tables and of the lines of figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.records.method_title import ALWAYS_SHOWN
from harness.records.record import canonical, flatten

SIZE = "bottleneck_size"


@dataclass(frozen=True, order=True)
class MethodVariant:
    """A method config: equal for equal settings. `key` is its canonical JSON."""

    key: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> MethodVariant:
        return cls(canonical(config))

    @cached_property
    def config(self) -> dict[str, Any]:
        return json.loads(self.key)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The config as dotted names."""
        return flatten(self.config)

    @property
    def name(self) -> str:
        return self.config["name"]

    @property
    def is_full(self) -> bool:
        return self.name == "full"

    @property
    def size(self) -> int | None:
        """The bottleneck size, for methods that have one."""
        return self.config.get(SIZE)

    @property
    def scale_field(self) -> str:
        """The field that tells how much the method trains: the bottleneck size, or the number of top layers."""
        return ALWAYS_SHOWN.get(self.name, SIZE)

    @property
    def scale(self) -> float:
        """The value of `scale_field`, 0 without one."""
        value = self.config.get(self.scale_field)
        return value if isinstance(value, int | float) else 0

    @cached_property
    def family(self) -> MethodVariant:
        """The same method without its bottleneck size."""
        return self.without(SIZE)

    def without(self, field: str) -> MethodVariant:
        """The same settings but for one: equal for variants that differ in that field only."""
        return MethodVariant.of({name: value for name, value in self.config.items() if name != field})
