"""Which run stands for which cell of a table: comparable groups, candidates, the choice, mean and spread over seeds.

A *group* holds the runs that one table may show together: same encoder, data source, row limits and protocol, and one
data fingerprint a task. A *cell* is one task and one method variant (the method config) of a group. A *candidate* is
one config of a cell, run with one or more seeds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from harness.records.choice import choice_score, chosen_on
from harness.records.record import Record, canonical, flatten, task_of
from harness.reporting.method_names import SIZE, method_labels
from harness.tasks.glue import in_glue_order
from harness.tasks.task import Task

# Columns of the table of runs that have a name of their own; every other one is the dotted name of its record key.
SHORT_NAMES = {
    "config.task.name": "task",
    "config.method.name": "method",
    f"config.method.{SIZE}": SIZE,
    "config.train.learning_rate": "learning_rate",
    "config.train.epochs": "epochs",
    "config.train.seed": "seed",
    "parameters.trained": "trained",
    "parameters.trained_fraction": "trained_fraction",
}
NOT_IN_RUNS_TABLE = ("training.history", "training.stack", "parameters.groups.")  # not one value a run


@dataclass(frozen=True)
class Score:
    """A score over seeds in the metric's own range: mean, sample standard deviation (from two seeds on), seeds."""

    mean: float | None
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Score:
        """One undefined value leaves the mean undefined: dropping it would hide a seed that collapsed."""
        if not values or any(value is None for value in values):
            return cls(None, None, len(values))
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Candidate:
    """The runs of one config, one a seed. `key` is the config without its seed as canonical JSON."""

    key: str
    task: Task
    records: tuple[Record, ...]

    @cached_property
    def completed(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record["status"] == "completed")

    @property
    def settings(self) -> dict[str, Any]:
        """The config as dotted names, without the seed."""
        return flatten(json.loads(self.key))

    @property
    def learning_rate(self) -> float | None:
        return self.settings.get("train.learning_rate")

    @property
    def epochs(self) -> float | None:
        return self.settings.get("train.epochs")

    @property
    def degenerate(self) -> bool:
        return any(record.get("degenerate") for record in self.completed)

    @property
    def trained(self) -> int:
        """Trained parameters, the task head included."""
        return self.completed[0]["parameters"]["trained"]

    @property
    def trained_fraction(self) -> float:
        """`trained` over the parameters of the encoder with its pooler and without a head."""
        return self.completed[0]["parameters"]["trained_fraction"]

    def count(self, status: str) -> int:
        return sum(record["status"] == status for record in self.records)

    @property
    def chosen_on(self) -> str:
        """The evaluation set that chooses."""
        return chosen_on(self.records[0])

    @property
    def choice_score(self) -> Score:
        """Headline score over the completed seeds on the rows that choose."""
        return Score.of([choice_score(record) for record in self.completed])

    def score(self, evaluation_set: str | None = None) -> Score:
        """Headline score over the completed seeds, on the first official evaluation set unless another is named."""
        name = evaluation_set or self.task.evaluation_sets[0]
        return Score.of([record["scores"].get(name, {}).get(self.task.headline) for record in self.completed])


@dataclass(frozen=True)
class Cell:
    """One task and one method variant of a group; `chosen` is None where no run has completed."""

    task: Task
    method: dict[str, Any]
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None

    @property
    def state(self) -> str:
        """`completed`, or why there is no score: `failed`, `diverged` or `running` (perhaps interrupted)."""
        present = {record["status"] for candidate in self.candidates for record in candidate.records}
        return next(status for status in ("completed", "failed", "diverged", "running") if status in present)


@dataclass(frozen=True)
class GroupKey:
    """What runs must share to stand in one table. `encoder` is the sha256, else the name, of the pre-trained model."""

    encoder: str
    source: str
    is_glue: bool | None  # None: no run has come as far as loading its data
    max_train_rows: int | None
    max_eval_rows: int | None
    protocol: str  # canonical JSON of its config
    data_version: int = 1  # 2, 3, … where the same task was run on data with another fingerprint


@dataclass(frozen=True)
class Group:
    """Comparable runs. `labels` maps method keys to row labels in row order; `cells` is by (method key, task name)."""

    key: GroupKey
    title: str
    records: tuple[Record, ...]
    labels: dict[str, str]
    cells: dict[tuple[str, str], Cell]

    @property
    def protocol(self) -> dict[str, Any]:
        """The protocol's config: `name`, and of the holdout `fraction` and `seed`."""
        return json.loads(self.key.protocol)

    @property
    def tasks(self) -> list[Task]:
        """The tasks with any run, in the paper's order."""
        present = {cell.task.name: cell.task for cell in self.cells.values()}
        return [present[name] for name in in_glue_order(present)]

    def row(self, method_key: str) -> dict[str, Cell]:
        """Cells of one method variant by task name."""
        return {task: cell for (key, task), cell in self.cells.items() if key == method_key}

    def row_cells(self, task_name: str) -> list[Cell]:
        """Cells of one task, by method in row order."""
        return [cell for key in self.labels if (cell := self.cells.get((key, task_name)))]

    def label_of(self, cell: Cell) -> str:
        return self.labels[canonical(cell.method)]

    def sizes(self) -> dict[str, dict[int, str]]:
        """Bottleneck sizes, ascending, of each method family (same method but for the size): {family: {size: key}}."""
        families: dict[str, dict[int, str]] = {}
        for key in self.labels:
            method = json.loads(key)
            if (size := method.pop(SIZE, None)) is not None:
                families.setdefault(canonical(method), {})[size] = key
        return {family: dict(sorted(sizes.items())) for family, sizes in families.items()}

    def best_size(self, family: str) -> dict[str, Cell]:
        """Per task the cell of the best size: `choose` among what each size chose."""
        best = {}
        for task in self.tasks:
            cells = [cell for key in self.sizes()[family].values() if (cell := self.cells.get((key, task.name)))]
            if cells:
                chosen = choose([cell.chosen for cell in cells if cell.chosen])
                # Without any completed run the first cell stands for its state (failed, diverged).
                best[task.name] = next((cell for cell in cells if cell.chosen is chosen), cells[0])
        return best


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate with the highest mean headline score on the rows that choose; None where none has completed.

    Only candidates with the most completed seeds are eligible, so that one lucky seed does not beat a mean of five.
    An undefined mean ranks below any number. Ties go to fewer trained parameters, the smaller learning rate, then
    fewer epochs.
    """
    if not (eligible := eligible_candidates(candidates)):
        return None

    def rank(candidate: Candidate) -> tuple[Any, ...]:
        mean = candidate.choice_score.mean
        rounded = round(-(mean or 0.0), 12)  # (0.1 + 0.7) / 2 and 0.4 differ as floats and are a tie
        sizes = candidate.trained, candidate.learning_rate or 0.0, candidate.epochs or 0.0
        return mean is None, rounded, *sizes, candidate.key

    return min(eligible, key=rank)


def eligible_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with as many completed seeds as the candidate that has most; none where nothing has completed."""
    most = max((len(candidate.completed) for candidate in candidates), default=0)
    return [candidate for candidate in candidates if most and len(candidate.completed) == most]


def comparable_groups(records: Sequence[Record]) -> list[Group]:
    """Split records into groups that may share a table, each with its cells and choices, ordered by title."""
    members: dict[GroupKey, list[Record]] = {}
    for record, key in zip(records, _group_keys(records), strict=True):
        members.setdefault(key, []).append(record)
    titles = {key: _title(key, group) for key, group in members.items()}
    repeated = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    for key, title in titles.items():
        if title in repeated:
            titles[key] = f"{title}, encoder {key.encoder[:8]}"
    ordered = sorted(members, key=lambda key: (titles[key], repr(key)))
    return [_build_group(key, titles[key], tuple(members[key])) for key in ordered]


def runs_table(groups: Iterable[Group]) -> pd.DataFrame:
    """One row a run of any status, flat columns: who, score, then every key of its record by dotted name.

    `score` is the headline metric on the first official evaluation set in the metric's own range, `choice_score` that
    on the rows that choose; `group` and `label` are the section and the row that the run belongs to.
    """
    first = [
        "run_id",
        "status",
        "degenerate",
        "group",
        "label",
        *SHORT_NAMES.values(),
        "headline",
        "score",
        "choice_score",
    ]
    rows = []
    for group in groups:
        for record in group.records:
            task = task_of(record)
            flat = {SHORT_NAMES.get(name, name): value for name, value in flatten(record).items()}
            score = flat.get(f"scores.{task.evaluation_sets[0]}.{task.headline}")
            label = group.labels[canonical(record["config"]["method"])]
            own = {"group": group.title, "label": label, "headline": task.headline}
            own |= {"score": score, "choice_score": choice_score(record)}
            row = dict.fromkeys(first) | flat | own
            rows.append({name: value for name, value in row.items() if not name.startswith(NOT_IN_RUNS_TABLE)})
    return to_frame(rows)


def to_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame in which whole numbers stay whole beside missing ones (`64`, not `64.0`, in a CSV)."""
    frame = pd.DataFrame(rows)

    def is_whole(name: str) -> bool:
        found = [row[name] for row in rows if row.get(name) is not None]
        return bool(found) and all(isinstance(value, int) and not isinstance(value, bool) for value in found)

    return frame.astype({name: "Int64" for name in frame if is_whole(name)})


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
        if not (record.get("encoder") and record.get("data")):
            continue
        encoder, data, task = record["encoder"], record["data"], task_of(record).name
        identity = encoder.get("sha256") or encoder.get("title") or asked.encoder
        base = replace(asked, encoder=identity, source=data["source"], is_glue=data["is_glue"])
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
        encoder=str(config.get("model", {}).get("name")),
        source=str(data.get("source")),
        is_glue=None,
        max_train_rows=data.get("max_train_rows"),
        max_eval_rows=data.get("max_eval_rows"),
        protocol=canonical(config["protocol"]),
    )


def _title(key: GroupKey, records: list[Record]) -> str:
    known = next((record["encoder"] for record in records if record.get("encoder")), {})
    kinds = {True: "GLUE ({})", False: "{} data (NOT GLUE)", None: "{} data (never loaded)"}
    parts = [f"{known.get('title') or key.encoder} on {kinds[key.is_glue].format(key.source)}"]
    limits = {"training": key.max_train_rows, "evaluation": key.max_eval_rows}
    parts += [f"at most {limit:,} {part} rows" for part, limit in limits.items() if limit is not None]
    parts += ["all rows"] if not len(parts) > 1 else []
    protocol = json.loads(key.protocol)
    if protocol["name"] != "paper":
        options = [f"{name}={value}" for name, value in protocol.items() if name != "name"]
        parts.append(" ".join(["protocol", protocol["name"], *options]))
    parts += [f"data version {key.data_version}"] if key.data_version > 1 else []
    return ", ".join(parts)


def _build_group(key: GroupKey, title: str, records: tuple[Record, ...]) -> Group:
    runs: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        config = record["config"]
        train = {name: value for name, value in config.get("train", {}).items() if name != "seed"}
        place = canonical(config["method"]), config["task"]["name"]
        runs.setdefault(place, {}).setdefault(canonical(config | {"train": train}), []).append(record)
    cells = {}
    for (method, task), by_config in sorted(runs.items()):
        known = task_of(next(iter(by_config.values()))[0])
        candidates = tuple(Candidate(name, known, tuple(group)) for name, group in sorted(by_config.items()))
        cells[method, task] = Cell(known, json.loads(method), candidates, choose(candidates))
    return Group(key, title, records, method_labels({method for method, _ in cells}), cells)
