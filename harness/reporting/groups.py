"""Which runs may share a table: comparable groups, each with its cells and what was chosen for them.

A *group* holds runs with the same encoder, data source, row limits and protocol, and one data fingerprint per task.
Runs without an encoder stand in every group on the same data, or where there is none, in a group of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from harness.records.choice import chosen_on
from harness.records.record import Record, canonical, has_encoder, task_of
from harness.reporting.candidates import Candidate, Cell, choose
from harness.reporting.facts import data_phrase, in_order, is_glue
from harness.reporting.method_names import method_labels
from harness.reporting.method_variant import MethodVariant
from harness.tasks.task import Task


@dataclass(frozen=True)
class GroupKey:
    """What runs must share to stand in one table.

    `encoder` is its fingerprint, its name where it was not loaded, and empty for runs without one.
    """

    encoder: str
    source: str
    is_glue: bool | None  # None: no run has come as far as loading its data
    max_train_rows: int | None
    max_eval_rows: int | None
    protocol: str  # canonical JSON of its config
    pooling: str | None = None  # None: the checkpoint's own
    data_version: int = 1  # 2, 3, … where the same task was run on data with another fingerprint


@dataclass(frozen=True)
class Group:
    """Comparable runs. `labels` holds the row labels in row order; `cells` is by (method variant, task name)."""

    key: GroupKey
    title: str
    records: tuple[Record, ...]
    labels: dict[MethodVariant, str]
    cells: dict[tuple[MethodVariant, str], Cell]

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """The protocol's config: `name`, and of the holdout `fraction` and `seed`."""
        return json.loads(self.key.protocol)

    @cached_property
    def is_selected_elsewhere(self) -> bool:
        """Whether the selection split is none of the reported splits."""
        return any(chosen_on(record) not in task_of(record).evaluation_sets for record in self.records)

    @cached_property
    def has_several_seeds(self) -> bool:
        """Whether any score shown is a mean over several seeds."""
        return any(cell.chosen and len(cell.chosen.completed) > 1 for cell in self.cells.values())

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks with any run: GLUE's in the paper's order, then others by name."""
        return in_order(cell.task for cell in self.cells.values())

    @property
    def ordered_cells(self) -> list[Cell]:
        """Cells by task, then by method in row order."""
        return [cell for task in self.tasks for cell in self.row_cells(task.name)]

    def row(self, method: MethodVariant) -> dict[str, Cell]:
        """Cells of one method variant by task name."""
        return {task: cell for (variant, task), cell in self.cells.items() if variant == method}

    def row_cells(self, task_name: str) -> list[Cell]:
        """Cells of one task, by method in row order."""
        return [cell for variant in self.labels if (cell := self.cells.get((variant, task_name)))]

    def label_of(self, cell: Cell) -> str:
        return self.labels[cell.method]

    @cached_property
    def families(self) -> dict[MethodVariant, dict[int, MethodVariant]]:
        """The variants by bottleneck size, ascending, of each method that has one."""
        found: dict[MethodVariant, dict[int, MethodVariant]] = {}
        for variant in self.labels:
            if variant.size is not None:
                found.setdefault(variant.family, {})[variant.size] = variant
        return {family: dict(sorted(sizes.items())) for family, sizes in found.items()}

    def best_size(self, family: MethodVariant) -> dict[str, Cell]:
        """Per task the cell of the best size."""
        return self.best_of(self.families[family].values())

    def best_of(self, variants: Iterable[MethodVariant]) -> dict[str, Cell]:
        """Per task the cell of the best of some method variants: `choose` among what each of them chose."""
        best, variants = {}, list(variants)
        for task in self.tasks:
            cells = [cell for variant in variants if (cell := self.cells.get((variant, task.name)))]
            if cells:
                chosen = choose([cell.chosen for cell in cells if cell.chosen])
                # Without any completed run the first cell stands for its state (failed, diverged).
                best[task.name] = next((cell for cell in cells if cell.chosen is chosen), cells[0])
        return best


def comparable_groups(records: Sequence[Record]) -> list[Group]:
    """Split records into groups that may share a table, each with its cells and choices, ordered by title."""
    members: dict[GroupKey, list[Record]] = {}
    trained = [record for record in records if has_encoder(record)]
    for record, key in zip(trained, _group_keys(trained), strict=True):
        members.setdefault(key, []).append(record)
    baselines = [record for record in records if not has_encoder(record)]
    joined = [_groups_on_the_same_data(record, members) for record in baselines]
    own = iter(_group_keys([record for record, keys in zip(baselines, joined, strict=True) if not keys]))
    for record, keys in zip(baselines, joined, strict=True):
        for key in keys or [next(own)]:
            members.setdefault(key, []).append(record)
    titles = {key: _title(key, group) for key, group in members.items()}
    repeated = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    for key, title in titles.items():
        if title in repeated:
            titles[key] = f"{title}, encoder {key.encoder[:8]}"
    ordered = sorted(members, key=lambda key: (titles[key], repr(key)))
    return [_build_group(key, titles[key], tuple(members[key])) for key in ordered]


def _groups_on_the_same_data(record: Record, members: Mapping[GroupKey, Sequence[Record]]) -> list[GroupKey]:
    """The groups with encoders whose runs a run without one can be compared with."""
    asked, task = _asked_key(record), task_of(record).name
    found = []
    for key, group in members.items():
        prints = {other["data"]["fingerprint"] for other in group if other.get("data") and task_of(other).name == task}
        same_rows = not prints or not record.get("data") or record["data"]["fingerprint"] in prints
        same_kind = not record.get("data") or key.is_glue in (None, is_glue(record))
        if same_rows and same_kind and replace(key, encoder="", is_glue=None, pooling=None, data_version=1) == asked:
            found.append(key)
    return found


def _group_keys(records: Sequence[Record]) -> list[GroupKey]:
    """The group of each record, in order.

    Runs that ended before they knew their encoder and data join the group of runs that asked for the same.
    """
    fingerprints: dict[tuple[GroupKey, str], list[str | None]] = {}  # in the order of their first run
    found: dict[tuple[GroupKey, str | None], GroupKey] = {}  # (what was asked for, task or None: any) -> group
    keys: dict[int, GroupKey] = {}
    by_start = sorted(range(len(records)), key=lambda i: (records[i].get("time") or {}).get("started") or "")
    for i in by_start:
        record, asked = records[i], _asked_key(records[i])
        if not record.get("data") or (has_encoder(record) and not record.get("encoder")):
            continue
        encoder, data, task = record.get("encoder", {}), record["data"], task_of(record).name
        identity = encoder.get("fingerprint") or encoder.get("sha256") or encoder.get("title") or asked.encoder
        base = replace(asked, encoder=identity, source=data["source"], is_glue=is_glue(record))
        versions = fingerprints.setdefault((base, task), [])
        if data.get("fingerprint") not in versions:
            versions.append(data.get("fingerprint"))
        keys[i] = replace(base, data_version=versions.index(data.get("fingerprint")) + 1)
        found[asked, task] = found[asked, None] = keys[i]
    for i in by_start:
        if i not in keys:
            asked = _asked_key(records[i])
            same_task = found.get((asked, records[i]["config"]["task"]["name"]))
            keys[i] = same_task or found.get((asked, None)) or asked
    return [keys[i] for i in range(len(records))]


def _asked_key(record: Record) -> GroupKey:
    """The group as far as the config alone tells it."""
    config = record["config"]
    data = config.get("data", {})
    return GroupKey(
        encoder=str(config["model"]["name"]) if has_encoder(record) else "",
        source=str(data.get("source")),
        is_glue=None,
        max_train_rows=data.get("max_train_rows"),
        max_eval_rows=data.get("max_eval_rows"),
        protocol=canonical(config["protocol"]),
        pooling=config["model"].get("pooling"),
    )


def _title(key: GroupKey, records: list[Record]) -> str:
    known = next((record["encoder"] for record in records if record.get("encoder")), {})
    parts = [f"{known.get('title') or key.encoder or 'No encoder'} on {data_phrase(records)}"]
    limits = {"training": key.max_train_rows, "evaluation": key.max_eval_rows}
    parts += [f"at most {limit:,} {part} rows" for part, limit in limits.items() if limit is not None]
    parts += ["all rows"] if not len(parts) > 1 else []
    protocol = json.loads(key.protocol)
    if protocol["name"] != "paper":
        options = [f"{name}={value}" for name, value in protocol.items() if name != "name"]
        parts.append(" ".join(["protocol", protocol["name"], *options]))
    parts += [f"pooling {key.pooling}"] if key.pooling else []
    parts += [f"data version {key.data_version}"] if key.data_version > 1 else []
    return ", ".join(parts)


def _build_group(key: GroupKey, title: str, records: tuple[Record, ...]) -> Group:
    runs: dict[tuple[MethodVariant, str], dict[str, list[Record]]] = {}
    for record in records:
        config = record["config"]
        train = {name: value for name, value in config.get("train", {}).items() if name != "seed"}
        place = MethodVariant.of(config["method"]), task_of(record).name
        runs.setdefault(place, {}).setdefault(canonical(config | {"train": train}), []).append(record)
    cells = {}
    for (method, name), by_config in sorted(runs.items()):
        candidates = tuple(Candidate(k, task_of(runs[0]), tuple(runs)) for k, runs in sorted(by_config.items()))
        cells[method, name] = Cell(candidates[0].task, method, candidates, choose(candidates))
    return Group(key, title, records, method_labels(method for method, _ in cells), cells)
