"""The notes below a table: what the numbers are, what the runs share and where they differ. Each is a single line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.reporting.candidates import Cell
from harness.reporting.facts import reported_detail, reported_split, values_of
from harness.reporting.groups import Group
from harness.reporting.published import MEAN_BY_SIZE_NOTE
from harness.reporting.scores import UNDEFINED, Scores
from harness.reporting.setup_notes import not_glue_note, setup_notes
from harness.reporting.table import DAGGER, NOTHING
from harness.tasks.metrics import metric_title


def main_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """Everything a reader needs to judge the main table; `missing` are ids of planned runs without a record."""
    group = scores.group
    return [
        *setup_notes(group),
        *_score_notes(group),
        _tried_note(group),
        _majority_note(scores),
        _total_note(scores),
        _fraction_note(group),
        _mean_note(scores),
        _runs_note(group),
        *_missing_notes(missing),
    ]


def task_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """The same for the table with a row per task, which explains its averages and totals itself."""
    group = scores.group
    return [
        *setup_notes(group),
        *_score_notes(group),
        _tried_note(group),
        _majority_note(scores),
        _fraction_note(group),
        _runs_note(group),
        *_missing_notes(missing),
    ]


def key_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """Those of the main table's notes without which it would mislead: what data it is about, and what is not in it."""
    group = scores.group
    is_complete = all(record["status"] == "completed" for record in group.records)
    return [*not_glue_note(group), *([] if is_complete else [_runs_note(group)]), *_missing_notes(missing)]


def size_notes(group: Group) -> list[str]:
    """For the tables by bottleneck size."""
    return [
        *setup_notes(group),
        *_score_notes(group),
        "Best size: the size whose chosen candidate has the highest selection score, by the rule above. Mean: over all "
        "rows but WNLI, for sizes that have a score in each of them.",
        _fraction_note(group),
        MEAN_BY_SIZE_NOTE,
        _runs_note(group),
    ]


def comparison_notes(group: Group) -> list[str]:
    """For the tables of differences, which stand below the main one and its notes."""
    return [protocol_note(group), _seeds_note(group)]


def interval_notes(group: Group) -> list[str]:
    """For the tables with intervals."""
    return [*setup_notes(group), *_score_notes(group)]


def methods_notes(group: Group) -> list[str]:
    """For the table of methods."""
    return [
        f"Mean: over all columns but WNLI, {NOTHING} where the row lacks a score in one of them. Trained parameters: "
        "mean over the tasks, the task head included.",
        "Examples/s: of the chosen runs, mean over the tasks; a run in a stack counts its share of the stack's time.",
        "Peak memory: the largest of the chosen runs that trained alone, of the device or, on a CPU, of the process; "
        f"{NOTHING} where no run has a peak of its own: that of a stack is not its method's, and some processes only "
        "know their peak so far.",
        "Stored per task: the trained parameters in fp32, which must be kept in addition to the shared encoder.",
        _fraction_note(group),
        *setup_notes(group),
        *_score_notes(group),
        _runs_note(group),
    ]


def chosen_notes(group: Group) -> list[str]:
    """For the table of what was chosen."""
    edges = [cell.grid_edge for cell in group.ordered_cells]
    outer = sum(edge in ("lowest", "highest") for edge in edges)
    return [
        f"{outer} of {len(edges)} cells chose the lowest or the highest learning rate of their grid: a better rate "
        f"may lie beyond it. {edges.count('one rate')} cells tried one rate only.",
        *setup_notes(group),
        *_score_notes(group),
        _runs_note(group),
    ]


CANDIDATES_NOTE = (
    "'fewer seeds': not eligible, since another candidate of the cell completed more seeds. Runs: the ids of all runs "
    "of the candidate, whatever their status."
)


def mark_notes(rows: Sequence[Sequence[str]]) -> list[str]:
    """An explanation of each mark and each word that stands in the cells of a table."""
    texts = {text for line in rows for text in line}
    notes = []
    if any(DAGGER in text for text in texts):
        notes.append(f"{DAGGER}: degenerate; at least one seed predicts a constant on an evaluation set.")
    if any(text.startswith(UNDEFINED) for text in texts):
        notes.append(
            f"{UNDEFINED}: the score of at least one seed does not exist (the correlation of a constant prediction); "
            "the row has no mean."
        )
    words = [word for word in ("failed", "diverged", "running") if word in texts]
    if words:
        notes.append(f"{', '.join(words)}: no run of that cell has completed.")
    return notes


def protocol_note(group: Group) -> str:
    """The selection split and the reported split."""
    split, protocol = reported_split(group.records), group.protocol
    if protocol["name"] == "holdout":
        note = (
            f"Protocol holdout: the selection split is a stratified {protocol['fraction']:.0%} of the training rows "
            f"(seed {protocol['seed']}), on which no run trains; the reported split is {split}, which selects nothing."
        )
    elif protocol["name"] == "test":
        note = f"Protocol test: the selection split is the validation set; {split} is reported and selects nothing."
    else:
        note = (
            f"Protocol {protocol['name']}: selected and reported on the same split, {split}, which makes the scores "
            "optimistic"
            + ("; MNLI is selected on the matched set." if "mnli" in {t.name for t in group.tasks} else ".")
        )
    return " ".join([note, reported_detail(group.records)]).strip()


def failure_notes(group: Group) -> list[str]:
    """One line per failed or diverged run."""
    ended = [record for record in group.records if record["status"] in ("failed", "diverged")]
    reasons = [" ".join((record.get("error") or "no reason recorded").split()) for record in ended]
    return [
        f"{record['status'].capitalize()}: `{record['run_id']}`: {reason}"
        for record, reason in zip(ended, reasons, strict=True)
    ]


def _score_notes(group: Group) -> list[str]:
    """Metrics, splits, rule of choice, seeds."""
    by_metric: dict[str, list[str]] = {}
    for task in group.tasks:
        by_metric.setdefault(metric_title(task.headline), []).append(task.title)
    metrics = "; ".join(f"{', '.join(titles)} {metric}" for metric, titles in by_metric.items())
    return [
        f"Scores × 100: {metrics}.",
        protocol_note(group),
        "Chosen: per cell the config with the highest mean score over its completed seeds, among those with the most "
        "completed seeds; undefined scores rank last; ties go to fewer trained parameters, then the smaller learning "
        "rate, then fewer epochs.",
        _seeds_note(group),
        *_lost_seeds_note(group),
    ]


def _seeds_note(group: Group) -> str:
    chosen = [cell for cell in group.ordered_cells if cell.chosen and cell.has_encoder]
    if not chosen:
        is_run = any(cell.chosen for cell in group.ordered_cells)
        return "Seeds: none; nothing is drawn at random." if is_run else "Seeds: no run has completed."
    counts = Counter(len(cell.chosen.completed) for cell in chosen)
    usual = max(counts, key=lambda count: (counts[count], count))
    trained = [record["config"]["train"] for cell in chosen for record in cell.chosen.completed]
    seeds = sorted({train["seed"] for train in trained if train})
    others = [f"{_place(group, cell)} {n}" for cell in chosen if (n := len(cell.chosen.completed)) != usual]
    spread = "; ± is the sample standard deviation over them" if max(counts) > 1 else "; one seed has no ±"
    exceptions = f", except {', '.join(others)}" if others else ""
    return f"Seeds: n = {usual}{exceptions} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}){spread}."


def _lost_seeds_note(group: Group) -> list[str]:
    lost = []
    for cell in group.ordered_cells:
        for status in ("failed", "diverged", "running"):
            if cell.chosen and (count := cell.chosen.count(status)):
                lost.append(f"{_place(group, cell)} {count} {status} of {len(cell.chosen.records)}")
    return [f"Seeds of a chosen config without a score: {'; '.join(lost)}."] if lost else []


def _tried_note(group: Group) -> str:
    """How many configs each row chose from."""
    tried = []
    for method, label in group.labels.items():
        counts = sorted({len(cell.candidates) for cell in group.row(method).values()})
        tried.append(f"{label} {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else ""))
    return f"Configs tried per task (the best of many is more optimistic than the best of few): {', '.join(tried)}."


def _majority_note(scores: Scores) -> str:
    note = "Majority class: the constant prediction of the training majority (regression: the training mean)."
    constant = [title for title, entry in scores.majority.entries.items() if entry.state == "constant"]
    if constant:
        note += f" It is undefined for {', '.join(constant)}, shown as {NOTHING}, and counts as 0 in the mean."
    return note


def _total_note(scores: Scores) -> str:
    count = len(scores.counted)
    return (
        f"Total ({count}): parameters of the {count} columns' models together, in encoders (MNLI counts twice, WNLI "
        "not, as in the paper): 1 + Σ trained ÷ encoder, the 1 being the shared pre-trained model; full fine-tuning "
        "keeps no shared copy. A count in parentheses: over that many columns only."
    )


def _fraction_note(group: Group) -> str:
    count = next(iter(values_of(group.records, "parameters", "encoder")), None)
    size = f" ({int(count):,})" if count else ""
    return (
        "Trained: mean over the columns of trained parameters, the task head included, ÷ parameters of the encoder "
        f"with its pooler and without a head{size}. The paper's percentages divide by the encoder layers only."
    )


def _mean_note(scores: Scores) -> str:
    titles = ", ".join(column.title for column in scores.counted)
    return (
        f"Mean: plain mean of {titles or 'no column'}; – where the row lacks a score in one of them. "
        "Rows of differences are in points, their mean over the columns that both rows have."
    )


def _runs_note(group: Group) -> str:
    counts = Counter(record["status"] for record in group.records)
    return (
        f"Runs of this section: {counts['completed']} completed, {counts['failed']} failed, "
        f"{counts['diverged']} diverged, {counts['running']} running or interrupted."
    )


def _missing_notes(missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    return [f"Missing, planned in this folder and without a record: {len(missing)} ({_ids(missing)})."]


def _place(group: Group, cell: Cell) -> str:
    return f"{cell.task.title} {group.label_of(cell)}"


def _ids(run_ids: Sequence[str], most: int = 20) -> str:
    """Run ids for a note; a killed sweep may miss hundreds."""
    more = f", and {len(run_ids) - most} more" if len(run_ids) > most else ""
    return ", ".join(f"`{run_id}`" for run_id in run_ids[:most]) + more
