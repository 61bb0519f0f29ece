"""Notes: the few lines below a table, and `NOTES.md` with all that a reader needs. Each is a single line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.reporting.bootstrap import LEVEL, RESAMPLES
from harness.reporting.candidates import Cell
from harness.reporting.facts import evaluation_sets, reported_detail, reported_split
from harness.reporting.groups import Group
from harness.reporting.scores import UNDEFINED, Scores
from harness.reporting.setup_notes import not_glue_note, setup_notes
from harness.reporting.table import DAGGER, NOTHING, ONE_SEED
from harness.tasks.metrics import metric_title


def table_notes(group: Group, rows: Sequence[Sequence[str]], missing: Sequence[str] = ()) -> list[str]:
    """At most two lines without which a table of scores would mislead: what they are; what is wrong, and its marks.

    `rows` are the cells as texts, `missing` the ids of planned runs without a record. All else is in `NOTES.md`.
    """
    cut = sorted({one.title for one in evaluation_sets(group.records) if one.is_cut or one.is_sampled})
    several = {len(cell.chosen.completed) for cell in group.ordered_cells if cell.chosen} - {1}
    has_deviations = any("±" in text for line in rows for text in line)
    told = [
        *not_glue_note(group),
        *([f"Scored on a part of the rows: {', '.join(cut)}."] if cut else []),
        *_incomplete_notes(group, missing),
        *([f"±: standard deviation over {' or '.join(map(str, sorted(several)))} seeds."] if has_deviations else []),
        *mark_notes(rows),
    ]
    return [_what_note(group), *([" ".join(told)] if told else [])]


def key_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """What data the main table is about where that is not GLUE, and what is not in it."""
    return [*not_glue_note(scores.group), *_incomplete_notes(scores.group, missing)]


def group_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """All that a reader needs to judge the tables of a group; `missing` are ids of planned runs without a record."""
    group = scores.group
    titles = ", ".join(column.title for column in scores.counted)
    return [
        *setup_notes(group),
        f"Scores × 100: {'; '.join(' '.join(one) for one in _by_metric(group))}.",
        protocol_note(group),
        _seeds_note(group),
        *_lost_seeds_note(group),
        _tried_note(group),
        *_constant_note(scores),
        f"Columns of the mean and the total: {titles or 'none'}.",
        _runs_note(group),
        *_missing_notes(missing),
        *_failure_notes(group),
    ]


DEFINITIONS = (
    "Scores are × 100, of the chosen config on the reported split, as the mean over its seeds ± their sample standard "
    f"deviation. {ONE_SEED}: one seed, where other scores have several.",
    "Chosen: per cell the config with the highest mean score over its completed seeds on the selection split, among "
    "those with the most completed seeds; undefined scores rank last; ties go to fewer trained parameters, then the "
    "smaller learning rate, then fewer epochs. Best size, best n: chosen per task by the same rule.",
    "Majority class: the constant prediction of the training majority (regression: the training mean).",
    "Total (n): parameters of the n columns' models together, in encoders (MNLI counts twice, WNLI not, as in the "
    "paper): 1 + Σ trained ÷ encoder, the 1 being the shared pre-trained model; full fine-tuning keeps no shared copy. "
    "A count in parentheses after a number: over that many columns only.",
    "Trained: mean over the columns of trained parameters, the task head included, ÷ parameters of the encoder with "
    "its pooler and without a head. The paper's percentages divide by the encoder layers only.",
    f"Mean: plain mean of the columns but WNLI; {NOTHING} where the row lacks a score in one of them. Rows of "
    "differences are in points, their mean over the columns that both rows have. Bold, in LaTeX: the best of a column, "
    "or of a task's row.",
    f"In brackets: {LEVEL:.0%} bootstrap interval over the evaluation rows ({RESAMPLES:,} resamples, percentiles; the "
    "score is the mean over seeds). Differences are paired: both sides are scored on the same resamples. These "
    "intervals leave out the choice of config and the seeds; ± is the standard deviation over seeds. Scores without an "
    "interval: their predictions or gold labels are missing (`--data` restores the labels).",
    f"Rows and seeds: {LEVEL:.0%} interval of the difference over both, seeds weighted at random within tasks and "
    f"alike for all methods that have them, with Student's quantiles; {NOTHING} where a method has a single seed, "
    "whose spread nobody knows.",
    "Examples/s: of the chosen runs, mean over the tasks; a run in a stack counts its share of the stack's time.",
    "Peak memory: the largest of the chosen runs that trained alone, of the device or, on a CPU, of the process; "
    f"{NOTHING} where no run has a peak of its own: that of a stack is not its method's, and some processes only know "
    "their peak so far.",
    "Stored per task: the trained parameters in fp32, which must be kept in addition to the shared encoder.",
    "Choice 'fewer seeds': not eligible, since another candidate of the cell completed more seeds. Runs: the ids of "
    "all runs of the candidate, whatever their status.",
)


def edge_note(group: Group) -> str:
    """How many choices sit on the edge of their grid."""
    edges = [cell.grid_edge for cell in group.ordered_cells]
    outer = sum(edge in ("lowest", "highest") for edge in edges)
    return (
        f"{outer} of {len(edges)} cells chose the lowest or the highest learning rate of their grid: a better rate "
        f"may lie beyond it. {edges.count('one rate')} cells tried one rate only."
    )


def mark_notes(rows: Sequence[Sequence[str]]) -> list[str]:
    """An explanation of each mark and each word that stands in the cells of a table."""
    texts = {text for line in rows for text in line}
    notes = [f"{ONE_SEED}: one seed."] if any(ONE_SEED in text for text in texts) else []
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


def _failure_notes(group: Group) -> list[str]:
    """One line per failed or diverged run."""
    ended = [record for record in group.records if record["status"] in ("failed", "diverged")]
    reasons = [" ".join((record.get("error") or "no reason recorded").split()) for record in ended]
    return [
        f"{record['status'].capitalize()}: `{record['run_id']}`: {reason}"
        for record, reason in zip(ended, reasons, strict=True)
    ]


def _what_note(group: Group) -> str:
    """Metrics and splits in one sentence."""
    *others, (_, usual) = _by_metric(group)
    metrics = "; ".join([*(" ".join(one) for one in others), f"{'else ' if others else ''}{usual}"])
    chosen = {
        "holdout": f"chosen on {group.protocol.get('fraction', 0):.0%} of the training rows",
        "test": "chosen on the validation set",
    }.get(group.protocol["name"], "chosen on the same split, which is optimistic")
    return f"Scores × 100 on {reported_split(group.records)} ({metrics.replace(' correlation', '')}), {chosen}."


def _by_metric(group: Group) -> list[tuple[str, str]]:
    """Titles of tasks and the metric that they share; that of most tasks last."""
    titles: dict[str, list[str]] = {}
    for task in group.tasks:
        titles.setdefault(metric_title(task.headline), []).append(task.title)
    ordered = sorted(titles.items(), key=lambda item: len(item[1]))
    return [(", ".join(tasks), metric) for metric, tasks in ordered]


def _seeds_note(group: Group) -> str:
    chosen = [cell for cell in group.ordered_cells if cell.chosen and cell.has_encoder]
    if not chosen:
        is_run = any(cell.chosen for cell in group.ordered_cells)
        return "Seeds: none; nothing is drawn at random." if is_run else "Seeds: no run has completed."
    counts = Counter(len(cell.chosen.completed) for cell in chosen)
    usual = max(counts, key=lambda count: (counts[count], count))
    trained = [record["config"]["train"] for cell in chosen for record in cell.chosen.completed]
    seeds = sorted({train["seed"] for train in trained if train})
    others = [
        f"{count} for {_places(group, [cell for cell in chosen if len(cell.chosen.completed) == count])}"
        for count in sorted(counts, reverse=True)
        if count != usual
    ]
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


def _constant_note(scores: Scores) -> list[str]:
    constant = [title for title, entry in scores.majority.entries.items() if entry.state == "constant"]
    if not constant:
        return []
    return [
        f"The majority class is undefined for {', '.join(constant)}, shown as {NOTHING}, and counts as 0 in its mean."
    ]


def _incomplete_notes(group: Group, missing: Sequence[str]) -> list[str]:
    is_complete = all(record["status"] == "completed" for record in group.records)
    return [*([] if is_complete else [_runs_note(group)]), *_missing_notes(missing)]


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


def _places(group: Group, cells: Sequence[Cell]) -> str:
    """`MRPC, RTE (Adapters (64))`: the methods are named where not all chosen cells of the task are meant."""
    texts = []
    for task in group.tasks:
        meant = [cell for cell in cells if cell.task.name == task.name]
        chosen = [cell for cell in group.row_cells(task.name) if cell.chosen and cell.has_encoder]
        if meant:
            names = f" ({', '.join(map(group.label_of, meant))})" if len(meant) < len(chosen) else ""
            texts.append(task.title + names)
    return ", ".join(texts)


def _place(group: Group, cell: Cell) -> str:
    return f"{cell.task.title} {group.label_of(cell)}"


def _ids(run_ids: Sequence[str], most: int = 20) -> str:
    """Run ids for a note; a killed sweep may miss hundreds."""
    more = f", and {len(run_ids) - most} more" if len(run_ids) > most else ""
    return ", ".join(f"`{run_id}`" for run_id in run_ids[:most]) + more
