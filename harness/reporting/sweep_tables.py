"""What a sweep tried and what was chosen, as tables."""

from __future__ import annotations

from harness.reporting.groups import Candidate, Cell, Group, eligible_candidates
from harness.reporting.method_names import differing_fields, short_number
from harness.reporting.table import NOTHING, Table
from harness.reporting.tables import Column, candidate_entry, entry_of
from harness.tasks.glue import Task


def chosen_table(group: Group, notes: list[str]) -> Table:
    """Per cell: what was chosen, from how many, and whether the learning rate sits on the edge of its grid."""
    choice = _choice_header(group)
    header = ["Task", "Method", "Chosen rate", "Epochs", *choice, "Score", "Seeds", "Candidates", "Rates tried"]
    header.append("Edge of grid")
    rows = []
    for cell in ordered_cells(group):
        rates = sorted({candidate.learning_rate or 0.0 for candidate in cell.candidates})
        chosen = cell.chosen
        texts = [NOTHING, NOTHING, *[NOTHING] * len(choice), cell.state, "0"]
        if chosen:
            entry = entry_of(cell, _first_column(cell.task))
            texts = [_number(chosen.learning_rate), _number(chosen.epochs), *_choice_texts(group, chosen)]
            texts += [entry.text, str(entry.seeds)]
        tried = " ".join(short_number(rate) for rate in rates)
        rows.append([cell.task.title, group.label_of(cell), *texts, str(len(cell.candidates)), tried, grid_edge(cell)])
    return Table(f"Chosen: {group.title}", header, rows, notes, left=2)


def candidates_table(group: Group, notes: list[str]) -> Table:
    """Every candidate of every cell with its score, its seeds and its run ids."""
    header = ["Task", "Method", "Rate", "Epochs", "Other settings", *_choice_header(group), "Score", "Seeds"]
    header += ["Not completed", "Choice", "Runs"]
    rows = []
    for cell in ordered_cells(group):
        eligible = eligible_candidates(cell.candidates)
        order = sorted(cell.candidates, key=lambda c: (c.learning_rate or 0.0, c.epochs or 0.0, c.key))
        for candidate in order:
            choice = "chosen" if candidate is cell.chosen else "" if candidate in eligible else "fewer seeds"
            counts = {status: candidate.count(status) for status in ("failed", "diverged", "running")}
            rows.append(
                [
                    cell.task.title,
                    group.label_of(cell),
                    _number(candidate.learning_rate),
                    _number(candidate.epochs),
                    other_settings(candidate, cell),
                    *_choice_texts(group, candidate),
                    candidate_entry(candidate, _first_column(cell.task)).text,
                    str(len(candidate.completed)),
                    ", ".join(f"{count} {status}" for status, count in counts.items() if count),
                    choice,
                    " ".join(f"`{record['run_id']}`" for record in candidate.records),
                ]
            )
    return Table(f"All candidates: {group.title}", header, rows, notes, left=2, long_last=True)


def grid_edge(cell: Cell) -> str:
    """Where the chosen learning rate lies among those tried: a best rate on the edge may not be the best one."""
    rates = sorted({candidate.learning_rate or 0.0 for candidate in cell.candidates})
    if cell.chosen is None:
        return NOTHING
    if len(rates) == 1:
        return "one rate"
    return {rates[0]: "lowest", rates[-1]: "highest"}.get(cell.chosen.learning_rate or 0.0, "inside")


def other_settings(candidate: Candidate, cell: Cell) -> str:
    """What else tells the candidates of a cell apart, beside learning rate and epochs."""
    shown = ("train.learning_rate", "train.epochs")
    differing = differing_fields(candidate.settings, [other.settings for other in cell.candidates])
    return ", ".join(text for name, text in differing.items() if name not in shown)


def ordered_cells(group: Group) -> list[Cell]:
    """Cells by task in the paper's order, then by method in row order."""
    keys = [(method, task.name) for task in group.tasks for method in group.labels]
    return [group.cells[key] for key in keys if key in group.cells]


def _choice_header(group: Group) -> list[str]:
    """A column for the score that chose, where it is not the one that is reported."""
    return ["Score that chose"] if group.protocol["name"] == "holdout" else []


def _choice_texts(group: Group, candidate: Candidate) -> list[str]:
    """The text of that column."""
    column = Column("", candidate.task, candidate.chosen_on)
    return [candidate_entry(candidate, column).text for _ in _choice_header(group)]


def _first_column(task: Task) -> Column:
    return Column(task.title, task, task.evaluation_sets[0])


def _number(value: float | None) -> str:
    return NOTHING if value is None else short_number(value)
