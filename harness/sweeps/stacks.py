"""Which runs train together: those that differ only in what the replicas of a stack may differ in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from harness.model.methods import METHODS, can_stack
from harness.sweeps.resolve import Run

PADDED = ("bottleneck_size", "rank")  # settings in which the runs of a stack are padded to the largest ...
PADDED_SIZE = 64  # ... up to this one


def make_stacks(runs: Iterable[Run], limit: int, tokens: int | None = None) -> list[list[Run]]:
    """Runs that can share one pass, at most `limit` together and `tokens` in a step, in order of first appearance.

    The runs of a stack differ in learning rate, seed and what their method allows, and in nothing else. Sizes and ranks
    above `PADDED_SIZE` are not mixed: padding to 256 costs 12 to 33 % more arithmetic, to 64 at most 8 % (MiniLM: 6
    operations per token on 0.6 M adapter parameters against 4 on 10.6 M frozen ones).
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(stack_key(run), []).append(run)
    stacks = []
    for group in groups.values():
        train = group[0].config.train
        rows = train.micro_batch_size or train.batch_size
        fitting = limit if tokens is None else max(1, min(limit, tokens // (rows * train.max_length)))
        size = fitting if group[0].checkpoint and can_stack(group[0].config.method) else 1
        stacks += [group[start : start + size] for start in range(0, len(group), size)]
    return stacks


def stack_key(run: Run) -> str:
    """Equal for runs that can be replicas of one stack."""
    if run.checkpoint is None:
        return run.id
    looked_at = [run.config.train.evaluate_every_epoch, run.config.train.evaluate_spans]
    what = [shared_settings(run.identity), looked_at, run.fingerprint, run.checkpoint.fingerprint]
    return json.dumps(what, sort_keys=True)


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A record's `config`, without the values in which the replicas of a stack may differ."""
    train = config["train"] | {"learning_rate": None, "seed": None}
    method = dict(config["method"])
    for name in METHODS[method["name"]].per_replica or ():
        keeps_apart = name in PADDED and method[name] > PADDED_SIZE
        method[name] = method[name] if keeps_apart else None
    return {**config, "train": train, "method": method}
