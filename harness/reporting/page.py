"""`report.html`: a whole report on one page that needs no network, for those who would rather look than read.

This module says what goes in; `page.html.j2`, `page.css` and `page.js` next to it say how it looks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.records.choice import choice_score
from harness.records.record import Record, task_of
from harness.reporting.bootstrap import LEVEL, Bootstrap
from harness.reporting.drawings import Drawing
from harness.reporting.footnotes import DEFINITIONS, group_notes, key_notes, protocol_note
from harness.reporting.groups import Group
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Row, Scores
from harness.reporting.sweep_grid import sweep_grids
from harness.reporting.table import NOTHING, Table, number

NAME = "report.html"
MOST_IDS = 20  # run ids that are listed in one place
RUN_COLUMNS = (
    "Run", "Status", "Task", "Method", "Rate", "Epochs", "Seed", "Score", "Selection score", "Trained", "Loss", "Group",
)  # fmt: skip
FILTERS = ("Status", "Task", "Method", "Group")  # columns of the runs with few distinct values


@dataclass(frozen=True)
class Part:
    """What the page shows of one group: the main table, the rows that its scores are of, and the comparisons."""

    scores: Scores
    main: Table
    rows: Sequence[Row]
    comparisons: Sequence[Table]
    methods: Sequence[Table] = ()  # the methods side by side, where there are three kinds or more


def make_page(
    name: str,
    parts: Sequence[Part],
    records: Sequence[Record],
    drawings: Sequence[Drawing],
    bootstrap: Bootstrap,
    *,
    missing: Sequence[str] = (),
    published: Sequence[Table] = (),
    statements: Table | None = None,
) -> str:
    """The page as HTML. `name` is that of the results folder, `missing` are ids of planned runs without a record.

    `statements` judges what the paper says, one statement per row; without it there is no such section.
    """
    groups = [part.scores.group for part in parts]
    sections = [
        {
            "id": f"group-{index}",
            "title": part.main.title,
            "warnings": key_notes(part.scores, ()),
            "verdicts": [_verdict(table) for table in part.comparisons],
            "main": part.main,
            "foot": _foot(part),
            "details": _details(part, bootstrap),
            "comparisons": [*part.comparisons, *part.methods],
            "drawings": [one for one in drawings if one.scores is part.scores],
            "grids": sweep_grids(part.scores.group),
            "protocol": protocol_note(part.scores.group),
            "provenance": [*group_notes(part.scores, ()), *_commands(part.scores.group)],
        }
        for index, part in enumerate(parts, 1)
    ]
    counts = Counter(record["status"] for record in records)
    return _template().render(
        name=name,
        counts={status: counts[status] for status in ("completed", "failed", "diverged", "running")},
        missing=_ids(missing),
        missing_count=len(missing),
        sections=sections,
        failures=_failures(records),
        runs={"columns": RUN_COLUMNS, "filters": FILTERS, "rows": list(_runs(groups))},
        published=published,
        statements=statements,
        definitions=DEFINITIONS,
    )


def light_markdown(note: str) -> Markup:
    """A note as HTML: `**bold**` and backticked code, all else escaped."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(note)))
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", text))


def _template() -> Any:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["note"] = light_markdown
    return environment.get_template("page.html.j2")


def _verdict(comparison: Table) -> dict[str, Any]:
    """The difference on the mean, and what it says of the paper's claims; `points` is empty without a mean."""
    mean = next((row for row in comparison.rows if row[0].startswith("Mean")), None)
    points, with_seeds = mean[-2:] if mean else ("", "")  # the difference with its interval, the one over seeds too
    title = comparison.title.partition(": ")[0]
    return {"title": title, "points": points, "with_seeds": with_seeds, "claims": comparison.verdicts}


def _foot(part: Part) -> list[str]:
    """The first cells of rows that are about other rows (differences, averages): they stay below the sorted ones."""
    own = {part.scores.majority.label, *(row.label for row in part.rows), *(c.title for c in part.scores.columns)}
    return [row[0] for row in part.main.rows if row[0] not in own]


def _details(part: Part, bootstrap: Bootstrap) -> dict[tuple[str, str], str]:
    """What stands behind each score, by row and column of the main table: seeds, interval, config, run ids."""
    found = {}
    for row in part.rows:
        for column in part.scores.columns:
            candidate = row.candidate(column)
            if candidate is None:
                continue
            runs, headline = candidate.completed, column.task.headline
            values = [record["scores"][column.evaluation_set][headline] for record in runs]
            seeds = [record["config"]["train"].get("seed", NOTHING) for record in runs]
            scored = [f"{number(100 * value)} (seed {seed})" for seed, value in zip(seeds, values, strict=True)]
            bounds = bootstrap.interval(candidate, column.evaluation_set)
            between = f"{number(bounds[0])} to {number(bounds[1])}" if bounds else "no predictions or gold labels"
            lines = [
                f"{column.title}, {row.label}: {row.entries[column.title].text}",
                f"Seeds: {len(runs)}: {', '.join(scored)}",
                f"{LEVEL:.0%} interval: {between}",
                f"Learning rate {candidate.learning_rate or NOTHING:g}, {candidate.epochs:g} epochs"
                if candidate.learning_rate and candidate.epochs
                else "",
                f"Runs: {_ids([record['run_id'] for record in runs])}",
            ]
            found[row.label, column.title] = "\n".join(filter(None, lines))
    return found


def _failures(records: Iterable[Record]) -> Table:
    """Failed and diverged runs by reason, the commonest first."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record["status"] in ("failed", "diverged"):
            reason = " ".join((record.get("error") or "no reason recorded").split())
            by_reason.setdefault((record["status"], reason), []).append(record["run_id"])
    found = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    rows = [[status, reason, str(len(ids)), _ids(ids)] for (status, reason), ids in found]
    header = ["Status", "Reason", "Runs", "Run ids"]
    return Table("Runs that failed or diverged", header, rows, [], left=2, long_last=True)


def _runs(groups: Sequence[Group]) -> Iterable[list[Any]]:
    """A row of `RUN_COLUMNS` per run; one that stands in several groups, since it has no encoder, is in the first."""
    seen = set()
    for index, group in enumerate(groups, 1):
        for record in group.records:
            if record["run_id"] in seen:
                continue
            seen.add(record["run_id"])
            task, train = task_of(record), record["config"]["train"]
            score = record.get("scores", {}).get(task.evaluation_sets[0], {}).get(task.headline)
            history = record.get("training", {}).get("history") or [{}]
            yield [
                record["run_id"],
                record["status"],
                task.title,
                group.labels[MethodVariant.of(record["config"]["method"])],
                *(train.get(name) for name in ("learning_rate", "epochs", "seed")),
                *(None if value is None else round(100 * value, 2) for value in (score, choice_score(record))),
                record.get("parameters", {}).get("trained"),
                None if history[-1].get("loss") is None else round(history[-1]["loss"], 4),
                index,
            ]


def _commands(group: Group) -> list[str]:
    """When the runs ran, and the commands that ran them."""
    times = [record["time"] for record in group.records if record.get("time")]
    started, finished = (sorted(time[name] for time in times) for name in ("started", "finished"))
    span = [f"First run started {started[0]}, last finished {finished[-1]}."] if times else []
    commands = sorted({(record.get("provenance") or {}).get("command") or "" for record in group.records} - {""})
    shown = [f"Command: `{command}`" for command in commands[:MOST_IDS]]
    more = [f"And {len(commands) - MOST_IDS} more commands."] if len(commands) > MOST_IDS else []
    return [*span, *shown, *more]


def _ids(run_ids: Sequence[str]) -> str:
    more = f" and {len(run_ids) - MOST_IDS} more" if len(run_ids) > MOST_IDS else ""
    return ", ".join(run_ids[:MOST_IDS]) + more
