"""The notes below a table: what the numbers are, what the runs share and where they differ. Each is a single line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.reporting.groups import Cell, Group
from harness.reporting.published import MEAN_BY_SIZE_NOTE
from harness.reporting.scores import UNDEFINED, Scores
from harness.reporting.table import DAGGER, Table
from harness.reporting.tables import grid_edge, ordered_cells

METRIC_TITLES = {
    "macro_f1": "macro-F1",
    "matthews_correlation": "Matthews correlation",
    "accuracy": "accuracy",
    "f1": "F1",
    "spearman": "Spearman",
    "pearson": "Pearson",
}


def main_notes(scores: Scores, missing: Sequence[str]) -> list[str]:
    """Everything a reader needs to judge the main table, each a single line."""
    group = scores.group
    constant = [title for title, entry in scores.majority.entries.items() if entry.state == "constant"]
    majority = "Majority class: the constant prediction of the training majority (regression: the training mean)."
    if constant:
        majority += f" Its {', '.join(constant)} is undefined, shown as –, and counts as 0 in the mean."
    return [
        *_setup_notes(group),
        *_score_notes(group),
        _tried_note(group),
        majority,
        _total_note(scores),
        _fraction_note(group),
        _mean_note(scores),
        *_run_notes(group),
        *_missing_notes(missing),
    ]


def size_notes(group: Group) -> list[str]:
    """For the tables by bottleneck size."""
    return [
        *_setup_notes(group),
        *_score_notes(group),
        "Best size: the size whose chosen candidate has the highest score on the rows that choose, by the rule above. "
        "Mean: over all rows but WNLI, for sizes that have a score in each of them.",
        _fraction_note(group),
        MEAN_BY_SIZE_NOTE,
        *_run_notes(group),
    ]


def comparison_notes(group: Group) -> list[str]:
    """For the tables of differences, which stand below the main one and its notes."""
    return [protocol_note(group), _seeds_note(group)]


def interval_notes(group: Group) -> list[str]:
    """For the tables with intervals."""
    return [*_setup_notes(group), *_score_notes(group)]


def methods_notes(group: Group) -> list[str]:
    """For the table of methods."""
    return [
        "Mean: over all columns but WNLI, – where the row lacks a score in one of them. Trained parameters: mean over "
        "the tasks, the task head included.",
        "Examples/s: of the chosen runs, mean over the tasks; a run in a stack counts its share of the stack's time. "
        "Peak memory: the largest of the chosen runs, of the whole stack (on a CPU: of the process so far).",
        "Kept a task: trained parameters in fp32, what must be stored beside the shared encoder.",
        _fraction_note(group),
        *_setup_notes(group),
        *_score_notes(group),
        *_run_notes(group),
    ]


def sweep_notes(group: Group) -> list[str]:
    """For the table of what was chosen."""
    edges = [grid_edge(cell) for cell in ordered_cells(group)]
    outer = sum(edge in ("lowest", "highest") for edge in edges)
    return [
        f"{outer} of {len(edges)} cells chose the lowest or the highest learning rate of their grid: a better rate "
        f"may lie beyond it. {edges.count('one rate')} cells tried one rate only.",
        *_setup_notes(group),
        *_score_notes(group),
        *_run_notes(group),
    ]


CANDIDATES_NOTE = (
    "'fewer seeds': not eligible, since another candidate of the cell completed more seeds. Runs lists all run ids of "
    "the candidate, whatever their status."
)


def explain_marks(table: Table) -> Table:
    """The table with a note for each mark and each word that stands in its cells."""
    texts = {text for line in table.rows for text in line}
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
    return replace(table, notes=[*table.notes, *notes])


def _setup_notes(group: Group) -> list[str]:
    """Data, encoder, rows and environment: what the runs of a group share and where they differ."""
    notes = []
    if group.key.is_glue is False:
        notes.append(
            f"**NOT GLUE: {group.key.source} data.** These scores say nothing about the GLUE tasks of the same names."
        )
    known = next((record for record in group.records if record.get("encoder") and record.get("data")), None)
    if known is None:
        return [*notes, "No run has come as far as loading its encoder and data."]
    encoder = known["encoder"]
    counts = _values(group, "parameters", "encoder")
    notes.append(
        f"Encoder: {encoder['title']}, {' or '.join(f'{int(count):,}' for count in counts) or 'unknown'} parameters "
        f"without head, {encoder['layers']} layers, width {encoder['width']}, "
        f"pooling {' and '.join(_values(group, 'encoder', 'pooling')) or 'unknown'}, "
        f"sha256 {(encoder.get('sha256') or 'unknown')[:12]}."
    )
    notes.append(f"Data: source {group.key.source}; rows used, training / evaluation: {_rows(group)}.")
    versions: dict[str, set[str]] = {}
    for record in group.records:
        for package, version in record.get("provenance", {}).get("versions", {}).items():
            versions.setdefault(package, set()).add(str(version))
    packages = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
    commits = sorted(
        {
            (str(origin.get("commit") or "unknown")[:10])
            + (" (dirty: uncommitted changes)" if origin.get("dirty") else "")
            for record in group.records
            if (origin := record.get("provenance"))
        }
    )
    devices = ", ".join(_values(group, "provenance", "device")) or "unknown"
    precisions = ", ".join(_values(group, "provenance", "precision")) or "unknown"
    notes.append(
        f"Environment: commit {', '.join(commits) or 'unknown'}; device {devices}; precision {precisions}; {packages}."
    )
    return notes


def _score_notes(group: Group) -> list[str]:
    """Metric, split, rule of choice, seeds."""
    by_metric: dict[str, list[str]] = {}
    for task in group.tasks:
        by_metric.setdefault(METRIC_TITLES.get(task.headline, task.headline), []).append(task.title)
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


def protocol_note(group: Group) -> str:
    """Which rows chose and which are reported."""
    split = "the official validation set" if group.key.is_glue else "the validation set"
    protocol = group.protocol
    if protocol["name"] == "holdout":
        return (
            f"Protocol holdout: chosen on a stratified {protocol['fraction']:.0%} of the training rows (seed "
            f"{protocol['seed']}), on which no run trains; reported on {split}, which chose nothing."
        )
    return (
        f"Protocol {protocol['name']}: chosen on and reported on the same split, {split}, which makes the scores "
        "optimistic" + ("; MNLI is chosen on the matched set." if "mnli" in {t.name for t in group.tasks} else ".")
    )


def _seeds_note(group: Group) -> str:
    chosen = [cell for cell in ordered_cells(group) if cell.chosen]
    if not chosen:
        return "Seeds: no run has completed."
    counts = Counter(len(cell.chosen.completed) for cell in chosen)
    usual = max(counts, key=lambda count: (counts[count], count))
    seeds = sorted({record["config"]["train"]["seed"] for cell in chosen for record in cell.chosen.completed})
    others = [f"{_place(group, cell)} {n}" for cell in chosen if (n := len(cell.chosen.completed)) != usual]
    spread = "; ± is the sample standard deviation over them" if max(counts) > 1 else "; one seed has no ±"
    exceptions = f", except {', '.join(others)}" if others else ""
    return f"Seeds: n = {usual}{exceptions} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}){spread}."


def _lost_seeds_note(group: Group) -> list[str]:
    lost = []
    for cell in ordered_cells(group):
        for status in ("failed", "diverged", "running"):
            if cell.chosen and (count := cell.chosen.count(status)):
                lost.append(f"{_place(group, cell)} {count} {status} of {len(cell.chosen.records)}")
    return [f"Seeds of a chosen config without a score: {'; '.join(lost)}."] if lost else []


def _tried_note(group: Group) -> str:
    """How many configs each row chose from: the best of many is more optimistic than the best of one."""
    tried = []
    for key, label in group.labels.items():
        counts = sorted({len(cell.candidates) for cell in group.row(key).values()})
        tried.append(f"{label} {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else ""))
    return f"Configs tried per task (the best of many is more optimistic than the best of few): {', '.join(tried)}."


def _total_note(scores: Scores) -> str:
    count = len(scores.counted)
    return (
        f"Total ({count}): parameters of the {count} columns' models together, in encoders (MNLI counts twice, WNLI "
        "not, as in the paper): 1 + Σ trained ÷ encoder, the 1 being the shared pre-trained model; full fine-tuning "
        "keeps no shared copy. A count in parentheses: over that many columns only."
    )


def _fraction_note(group: Group) -> str:
    count = next(iter(_values(group, "parameters", "encoder")), None)
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


def _run_notes(group: Group) -> list[str]:
    counts = Counter(record["status"] for record in group.records)
    return [
        f"Runs of this section: {counts['completed']} completed, {counts['failed']} failed, "
        f"{counts['diverged']} diverged, {counts['running']} running or interrupted."
    ]


def _missing_notes(missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    return [f"Missing, planned in this folder and without a record: {len(missing)} ({_ids(missing)})."]


def failure_notes(group: Group) -> list[str]:
    """One line a failed or diverged run."""
    ended = [record for record in group.records if record["status"] in ("failed", "diverged")]
    reasons = [" ".join((record.get("error") or "no reason noted").split()) for record in ended]
    return [
        f"{record['status'].capitalize()}: `{record['run_id']}`: {reason}"
        for record, reason in zip(ended, reasons, strict=True)
    ]


def _rows(group: Group) -> str:
    texts = []
    for task in group.tasks:
        known = [r["data"] for r in group.records if r.get("data") and r["config"]["task"]["name"] == task.name]
        if known:
            names = ["train", *task.evaluation_sets]
            used = [_used(known[0]["rows"].get(name), known[0].get("available", {}).get(name)) for name in names]
            held_out = known[0]["rows"].get("holdout")
            used[0] += f" (and {held_out:,} held out)" if held_out else ""
            texts.append(f"{task.title} {used[0]} / {' + '.join(used[1:])}")
    return "; ".join(texts)


def _used(rows: int | None, available: int | None) -> str:
    if rows is None:
        return "unknown"
    return f"{rows:,}" if available in (None, rows) else f"{rows:,} of {available:,}"


def _values(group: Group, part: str, name: str) -> list[str]:
    """The distinct values of one record key in a group, as texts."""
    found = [record.get(part, {}).get(name) for record in group.records]
    return sorted({str(value) for value in found if value is not None})


def _place(group: Group, cell: Cell) -> str:
    return f"{cell.task.title} {group.label_of(cell)}"


def _ids(run_ids: Sequence[str], most: int = 20) -> str:
    """Run ids for a note; a killed sweep may miss hundreds."""
    more = f", and {len(run_ids) - most} more" if len(run_ids) > most else ""
    return ", ".join(f"`{run_id}`" for run_id in run_ids[:most]) + more
