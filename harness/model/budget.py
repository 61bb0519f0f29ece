"""The size of a method that trains as many parameters as a budget allows: `method.budget=600000` or `2.7%`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from transformers import PretrainedConfig

from harness.errors import UserError
from harness.method_config import MethodConfig, budget_parameters
from harness.model.parameters import count
from harness.records.method_title import size_key
from harness.records.record import flatten

_SIZES: dict[tuple, int] = {}  # a sweep of many seeds and rates asks for the same size for every run


def within_budget(config: PretrainedConfig, method: MethodConfig, outputs: int, *, has_pooler: bool) -> MethodConfig:
    """The method with the largest size that trains at most `method.budget` parameters, the head of `outputs` included.

    Arguments as for `harness.model.parameters.count`, by which sizes are measured: nothing is allocated. A share is one
    of the encoder's parameters, as in a record's `trained_fraction`. Without a budget, the method as it is.

    Raises `UserError` for a method without a size, and for a budget that its smallest size exceeds.
    """
    if method.budget is None:
        return method
    key = size_key(asdict(method))
    asked = f"method.budget={method.budget}"

    def counted(size: int) -> dict[str, Any]:
        return count(config, with_size(method, key, size), outputs, has_pooler=has_pooler)

    if key is None:
        found = count(config, method, outputs, has_pooler=has_pooler)
        raise UserError(
            f"{asked}: {_title(method)} has no size to choose, it trains {_amount(found)}; leave method.budget out"
        )
    smallest = counted(1)
    allowed = budget_parameters(method.budget, smallest["encoder"])
    if smallest["trained"] > allowed:
        raise UserError(
            f"{asked} allows {allowed:,} parameters, and {_title(method)} with method.{key}=1 trains "
            f"{_amount(smallest)}; give a larger budget"
        )
    known = (config.to_json_string(use_diff=False), type(method), repr(with_size(method, key, 1)), outputs, has_pooler)
    if known not in _SIZES:
        _SIZES[known] = _largest(cache(lambda size: _trained(counted, size)), allowed)
    return with_size(method, key, _SIZES[known])


def with_size(method: MethodConfig, key: str, size: int) -> MethodConfig:
    """The method with its setting `key`, as `size_key` names it, at `size`."""
    section, _, name = key.rpartition(".")
    return replace(method, **{section: getattr(method, section) | {name: size}} if section else {name: size})


def chosen_size(method: MethodConfig) -> int:
    """The size of a method that has one."""
    settings = asdict(method)
    return flatten(settings)[size_key(settings)]


def budget_line(config: PretrainedConfig, method: MethodConfig, outputs: int, *, has_pooler: bool) -> str:
    """Which size `within_budget` chose, what it trains and how close that is to the budget."""
    key, size = size_key(asdict(method)), chosen_size(method)
    found = count(config, method, outputs, has_pooler=has_pooler)
    below = 100 * (1 - found["trained"] / budget_parameters(method.budget, found["encoder"]))
    try:
        count(config, with_size(method, key, size + 1), outputs, has_pooler=has_pooler)
    except UserError:
        largest = ", the largest that this encoder has,"
    else:
        largest = ""
    return (
        f"method.budget={method.budget}: {_title(method)} with method.{key}={size}{largest} trains {_amount(found)}, "
        f"{below:.2g} % below the budget"
    )


def _largest(trained: Callable[[int], float], allowed: int) -> int:
    """The largest size of which at most `allowed` parameters train, where size 1 is within.

    What a size adds is the same for each so far, so that two counts tell the size and two more confirm it.
    """
    step = trained(2) - trained(1)
    high = 2 if math.isinf(step) else 2 + int((allowed - trained(1)) // step)
    low = 1
    while trained(high) <= allowed:
        low, high = high, 2 * high
    if trained(high - 1) <= allowed:
        return high - 1
    return low - 1 + bisect_right(range(low, high), allowed, key=trained)


def _trained(counted: Callable[[int], dict[str, Any]], size: int) -> float:
    """Trained parameters of a size; infinitely many of one that the encoder does not have."""
    try:
        return counted(size)["trained"]
    except UserError:
        return math.inf


def _amount(found: dict[str, Any]) -> str:
    return f"{found['trained']:,} parameters ({100 * found['trained_fraction']:.3g} % of the encoder's)"


def _title(method: MethodConfig) -> str:
    """`adapter`, `peft LORA`."""
    return " ".join([method.name, *([method.type] if hasattr(method, "type") else [])])
