"""Runs as lines of text: one per finished run, and one for the best run of each task and method."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from harness.records.choice import by_choice, choice_score, selection_rows
from harness.records.method_title import ALWAYS_SHOWN, short_number
from harness.records.record import Record, canonical, flatten, log_path, task_of
from harness.tasks.metrics import metric_title

FAILURE, WARNING = "bold red", "yellow"


class RunLines:
    """Lines about the runs of one command, in columns: task, method, the settings that vary, learning rate, seed.

    `records` are the runs that may appear, of whatever status.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        records = list(records)
        self._varying = varying_settings(records)
        self._widths = [max(map(len, column)) for column in zip(*map(self._cells, records), strict=True)]

    def name(self, record: Record) -> str:
        """`CoLA  adapter 64  lr 3e-4  seed 0`, with columns of the same width for all runs."""
        cells = zip(self._cells(record), self._widths, strict=True)
        return "  ".join(cell.ljust(width) for cell, width in cells if width)

    def finished(self, record: Record, best: float | None) -> Text:
        """What a run came to; `best` is the highest score so far, and a failed run comes with its reason and files."""
        line = Text(self.name(record) + "  ")
        if record["status"] != "completed":
            return line.append(record["status"].upper(), FAILURE)
        line.append(score_text(record) + ("" if best is None else f" (best {_points(best)})"))
        if "time" in record:
            stack = len(record["training"]["stack"])
            line.append(f"  {_duration(record['time']['train_seconds'])}" + (f" for {stack}" if stack > 1 else ""))
        return _flagged(line, record)

    def _cells(self, record: Record) -> list[str]:
        method, train = record["config"]["method"], record["config"]["train"]
        settings = flatten(record["config"])
        varying = [setting_text(field, settings[field]) for field in self._varying if field in settings]
        name = [task_of(record).title, " ".join(map(str, method_words(method) + _scale(method)))]
        own = [f"lr {short_number(train['learning_rate'])}", f"seed {train['seed']}"] if train else ["", ""]
        return [*name, "  ".join(varying), *own]


def comparable(record: Record) -> str:
    """Equal for completed runs of one task and method whose scores compete: same encoder and same selection rows."""
    config = record["config"]
    return canonical([config["task"], method_words(config["method"]), config["model"], selection_rows(record)])


def best_lines(records: Iterable[Record]) -> list[Text]:
    """The best completed run of each task and method, by its score on the selection split."""
    completed = [record for record in records if record["status"] == "completed"]
    groups: dict[str, list[Record]] = {}
    for record in completed:
        groups.setdefault(comparable(record), []).append(record)
    best = {key: min(group, key=by_choice) for key, group in groups.items()}
    lines = RunLines(completed)
    width = max((len(score_text(run)) for run in best.values()), default=0)
    shown = []
    for key, run in best.items():
        count = f"  best of {len(groups[key])}" if len(groups[key]) > 1 else ""
        shown.append(_flagged(Text(f"  {lines.name(run)}  {score_text(run).ljust(width)}{count}".rstrip()), run))
    return shown


def failure_lines(record: Record, results_dir: str | Path) -> Iterator[str]:
    """Why a run did not complete, and the path of its traceback where there is one, as it can be pasted; indented."""
    yield f"    {record['error']}"
    log = log_path(results_dir, record["run_id"])
    if record["status"] == "failed" and log.exists():
        yield f"    traceback: {shlex.quote(str(log))}"


def score_text(record: Record) -> str:
    """`Matthews 24.2`: the headline score on the selection split, in points."""
    title = metric_title(task_of(record).headline).removesuffix(" correlation")
    score = choice_score(record)
    return f"{title} {'undefined' if score is None else _points(score)}"


def varying_settings(records: Sequence[Record]) -> list[str]:
    """The settings without a column of their own in which runs of one task and method differ, as dotted names."""
    values: dict[tuple[str, ...], set[str]] = {}
    for record in records:
        config = record["config"]
        group = canonical([config["task"]["name"], method_words(config["method"])])
        shown = {"train.learning_rate", "train.seed", f"method.{ALWAYS_SHOWN.get(config['method']['name'])}"}
        for field, value in flatten(config).items():
            if field not in shown:
                values.setdefault((field, group), set()).add(canonical(value))
    return sorted({field for (field, _), found in values.items() if len(found) > 1})


def method_words(method: dict[str, Any]) -> list[str]:
    """`["adapter"]`, `["peft", "lora"]`."""
    return [method["name"], *([method["type"].lower()] if "type" in method else [])]


def _scale(method: dict[str, Any]) -> list[Any]:
    field = ALWAYS_SHOWN.get(method["name"])
    return [method[field]] if field in method else []


def setting_text(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{field.rpartition('.')[2]} {short_number(value) if is_number else json.dumps(value)}"


def _flagged(line: Text, record: Record) -> Text:
    return line.append("  ").append("DEGENERATE", WARNING) if record.get("degenerate") else line


def _points(score: float) -> str:
    return f"{100 * score:.1f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
