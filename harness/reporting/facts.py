"""What runs share, in the phrases that titles, footnotes and captions are made of: data, rows, reported split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.records.record import Record, task_of
from harness.tasks.glue import OFFICIAL_ROWS, cut_splits, in_glue_order
from harness.tasks.protocols import HOLDOUT
from harness.tasks.squad import NAME as SQUAD
from harness.tasks.squad import OFFICIAL_QUESTIONS
from harness.tasks.task import Task


@dataclass(frozen=True)
class EvaluationSet:
    """A reported split: the rows that were scored, those that the data has, and GLUE's (None: not a split of GLUE)."""

    title: str
    scored: int | None
    available: int | None
    official: int | None

    @property
    def is_cut(self) -> bool:
        return None not in (self.official, self.available) and self.available != self.official

    @property
    def is_sampled(self) -> bool:
        return None not in (self.scored, self.available) and self.scored < self.available


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Distinct tasks: GLUE's in the paper's order, then others by name."""
    by_name = {task.name: task for task in tasks}
    return [by_name[name] for name in in_glue_order(by_name)]


def is_glue(record: Record) -> bool:
    """Whether a run that has loaded its data was scored on rows of GLUE."""
    return record["data"]["is_glue"] and task_of(record).name in OFFICIAL_ROWS


def is_squad(record: Record) -> bool:
    """Whether a run that has loaded its data was scored on questions of SQuAD."""
    return task_of(record).name == SQUAD and record["data"]["source"] in ("hub", "local")


def official_rows(record: Record) -> dict[str, int]:
    """The rows that the complete data set has, by split; empty for rows that are neither GLUE's nor SQuAD's."""
    if is_squad(record):
        return OFFICIAL_QUESTIONS
    return OFFICIAL_ROWS[task_of(record).name] if is_glue(record) else {}


def data_phrase(records: Sequence[Record]) -> str:
    """`GLUE (local)`, `GLUE files, cut (local)`, `synthetic data (NOT GLUE)`, or data that no run has loaded.

    Rows of tasks that are no benchmark's are `own data (local)`.
    """
    loaded = [record for _, record in by_task(records)]
    if not loaded:
        return f"{records[0]['config'].get('data', {}).get('source')} data (never loaded)"
    source = loaded[0]["data"]["source"]
    if all(map(is_squad, loaded)):
        return f"SQuAD v1.1{', cut' if cut_phrase(loaded) else ''} ({source})"
    if not all(map(is_glue, loaded)):
        benchmark = benchmark_of(task_of(record) for record in loaded if not is_glue(record) and not is_squad(record))
        return f"{source} data (NOT {benchmark})" if benchmark else f"own data ({source})"
    return f"GLUE files, cut ({source})" if cut_phrase(loaded) else f"GLUE ({source})"


def benchmark_of(tasks: Iterable[Task]) -> str | None:
    """The benchmark that has tasks of these names; None for tasks of users."""
    names = {task.name for task in tasks}
    if names & OFFICIAL_ROWS.keys():
        return "GLUE"
    return "SQuAD" if SQUAD in names else None


def cut_of(record: Record) -> tuple[str, ...]:
    """The splits, of those that train or are reported, whose files do not have the official number of rows."""
    task, available = task_of(record), record["data"].get("available", {})
    named = {name: available[name] for name in ("train", *task.evaluation_sets) if name in available}
    return cut_splits(task.name, named) if official_rows(record) else ()


def cut_phrase(records: Sequence[Record]) -> str:
    """`QQP train 8,999 (official: 363,846), validation 1,000 (official: 40,430); ...`; empty for complete files.

    Of a task that is described with `expected_rows`, the rows of all splits: `Disasters 500 rows (expected: 10,860)`.
    """
    texts = []
    for task, record in by_task(records):
        rows, official = record["data"].get("available", {}), official_rows(record)
        splits = [f"{name} {rows[name]:,} (official: {official[name]:,})" for name in cut_of(record)]
        texts += [f"{task.title} {', '.join(splits)}"] if splits else []
        expected, read = task.reading and task.reading.expected_rows, sum(rows.values())
        texts += [f"{task.title} {read:,} rows (expected: {expected:,})"] if expected and read != expected else []
    return "; ".join(texts)


def rows_phrase(records: Sequence[Record]) -> str:
    """Rows used of each task, training / evaluation: `CoLA 7,696 of 8,551 (and 855 held out) / 1,043; ...`."""
    texts = []
    for task, record in by_task(records):
        rows, available = record["data"]["rows"], record["data"].get("available", {})
        used = [_used(rows.get(name), available.get(name)) for name in ("train", *task.evaluation_sets)]
        held_out = f" (and {rows[HOLDOUT]:,} held out)" if rows.get(HOLDOUT) else ""
        texts.append(f"{task.title} {used[0]}{held_out} / {' + '.join(used[1:])}")
    return "; ".join(texts)


def reported_split(records: Sequence[Record]) -> str:
    """`the validation set` or, under the protocol of that name, `the test set`; `official` where all of them are."""
    sets = evaluation_sets(records)
    whole = sets and all(one.official is not None and not one.is_cut and not one.is_sampled for one in sets)
    return f"the {'official ' * bool(whole)}{_reported_name(records)} set"


def reports_test(records: Sequence[Record]) -> bool:
    """Whether the reported split of these runs is a labelled test split (protocol `test`)."""
    return any(record["config"]["protocol"]["name"] == "test" for record in records)


def reported_detail(records: Sequence[Record]) -> str:
    """A sentence that says which reported sets are official, cut or sampled, where they are not all official."""
    sets = evaluation_sets(records)
    whole = [one.title for one in sets if not one.is_cut and not one.is_sampled]
    cut = [f"{one.title} ({one.scored:,} rows, officially {one.official:,})" for one in sets if one.is_cut]
    sampled = [f"{s.title} ({s.scored:,} of {s.available:,} rows)" for s in sets if s.is_sampled and not s.is_cut]
    if not cut and not sampled:
        return ""
    is_official = any(one.official is not None for one in sets)
    parts = [f"{'official' if is_official else 'complete'} for {', '.join(whole)}"] if whole else []
    parts += [f"cut for {', '.join(cut)}"] if cut else []
    parts += [f"a random sample{' of the official one' * is_official} for {', '.join(sampled)}"] if sampled else []
    return f"The {_reported_name(records)} set is {'; '.join(parts)}."


def evaluation_sets(records: Sequence[Record]) -> list[EvaluationSet]:
    """The reported splits of the tasks of these runs, as far as some run has loaded them."""
    found = []
    for task, record in by_task(records):
        data = record["data"]
        official = official_rows(record)
        for name in task.evaluation_sets:
            available = data.get("available", {}).get(name)
            scored = data["rows"].get(name, available)
            found.append(EvaluationSet(task.column_title(name), scored, available, official.get(name)))
    return found


def _reported_name(records: Sequence[Record]) -> str:
    return "test" if records[0]["config"]["protocol"]["name"] == "test" else "validation"


def own_peak(record: Record) -> int | None:
    """The run's peak memory in bytes; None where it was measured for a whole stack or for all that a process did."""
    alone = len(record["training"]["stack"]) == 1
    return record["memory"]["peak_bytes"] if alone and record["memory"]["of"] in ("device", "process") else None


def values_of(records: Sequence[Record], part: str, name: str) -> list[str]:
    """The distinct values of one key of the records, as texts."""
    found = [record.get(part, {}).get(name) for record in records]
    return sorted({str(value) for value in found if value is not None})


def by_task(records: Sequence[Record]) -> list[tuple[Task, Record]]:
    """The first run of each task that has loaded its data; comparable runs of a task share their rows."""
    first: dict[str, Record] = {}
    for record in records:
        name = record["config"]["task"]["name"]
        if name not in first and record.get("data"):
            first[name] = record
    return [(task, first[task.name]) for task in in_order(task_of(record) for record in first.values())]


def _used(rows: int | None, available: int | None) -> str:
    if rows is None:
        return "unknown"
    return f"{rows:,}" if available in (None, rows) else f"{rows:,} of {available:,}"
