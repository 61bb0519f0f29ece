"""A report as files: which tables and figures stand in which document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.records.record import Record
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.claims_table import JudgedClaim, claims_frame, claims_table, judge_claims
from harness.reporting.comparison import comparison_tables, intervals_table, pooling_tables
from harness.reporting.drawings import draw, figure_files
from harness.reporting.footnotes import DEFINITIONS, group_notes, key_notes, mark_notes
from harness.reporting.groups import Group, comparable_groups
from harness.reporting.latex import latex
from harness.reporting.methods_comparison import methods_comparison, overall
from harness.reporting.page import NAME as PAGE
from harness.reporting.page import Part, make_page
from harness.reporting.published import anchors_for, anchors_table, paper_table
from harness.reporting.runs_table import runs_csv
from harness.reporting.scores import Scores, group_scores, scores_frame
from harness.reporting.scores_long import long_frame
from harness.reporting.table import Table, markdown
from harness.reporting.tables import by_size_table, candidates_table, chosen_table, main_table, methods_table
from harness.reporting.tasks_table import is_beyond_glue, tasks_frame, tasks_rows, tasks_table
from harness.tasks.glue import OFFICIAL_ROWS

NOTES = "tables/NOTES.md"
NOTES_LINE = "What the tables mean and what they are about: [NOTES.md](NOTES.md)."
NO_SIZES = "No run has a bottleneck size.\n"

Files = dict[str, str | bytes]  # contents by path below the report's folder


@dataclass(frozen=True)
class Report:
    """Everything that a results folder tells: its main tables, their short form, and figures and tables as files.

    `tables` are complete; `summary` has the scores only, with what would mislead without a note and the verdicts on
    the mean. `claims` are the paper's statements, judged; `damaged` has a line per file without which intervals are
    missing. `notes` is the document of all notes.
    """

    tables: list[Table]
    summary: list[Table]
    files: Files
    claims: list[JudgedClaim] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def notes(self) -> str:
        """What the tables mean and what they are about, as markdown."""
        return str(self.files[NOTES])


def make_report(
    records: Sequence[Record],
    bootstrap: Bootstrap,
    *,
    missing: Sequence[str] = (),
    with_figures: bool = True,
    with_paper: bool = False,
) -> Report:
    """The report of some records. `missing` are ids of runs that were planned and have no record.

    `with_paper` shows the paper's scores of its further tasks next to those of any encoder. `with_figures` draws the
    figures and makes the page that shows them.
    """
    groups = comparable_groups(records)
    boards = [group_scores(group) for group in groups]
    tables: list[Table] = []
    complete: list[Table] = []
    summary: list[Table] = []
    beyond = [scores for scores in boards if is_beyond_glue(scores.group)]
    mains: list[Table] = []
    by_task: list[Table] = []
    parts: list[Part] = []
    for scores in boards:
        main = main_table(scores, missing)
        comparisons = [*comparison_tables(scores, bootstrap), *pooling_tables(scores, boards, bootstrap)]
        shown, rows = main, scores.methods
        if scores in beyond:  # a column per task is readable for the nine of GLUE; other suites may have many more
            shown, rows = tasks_table(scores, missing, with_paper=with_paper), tasks_rows(scores)
            by_task.append(shown)
        mains.append(main)
        tables += [main, *comparisons]
        complete += [shown, *comparisons]
        compared = methods_comparison(scores, bootstrap)
        parts.append(Part(scores, shown, rows, comparisons, [compared] if compared else []))
        verdicts = [verdict for table in comparisons for verdict in table.verdicts]
        notes = [*key_notes(scores, () if summary else missing), *mark_notes(shown.rows)]
        summary.append(replace(shown, notes=notes, verdicts=verdicts))
    published = _published_tables(groups)
    tables, complete = [*tables, *published], [*complete, *published]
    intervals = [intervals_table(scores, bootstrap) for scores in boards]
    sizes = [by_size_table(group, family) for group in groups for family in group.families]
    methods = [methods_table(group) for group in groups]
    sweep = [table for group in groups for table in (chosen_table(group), candidates_table(group))]
    claims = judge_claims(boards, bootstrap)
    compared = [table for part in parts for table in part.methods]
    floats = {
        "glue": mains,
        "differences": [table for part in parts for table in part.comparisons],
        "by_size": sizes,
        "methods": methods,
        "methods_compared": [overall(table) for table in compared],
        "tasks": by_task,
        "published": published,
    }
    files: Files = {
        NOTES: notes_document(boards, missing),
        "tables/glue.md": _document("GLUE scores", tables),
        "tables/glue.csv": scores_frame(boards, bootstrap).to_csv(index=False),
        "tables/scores_long.csv": long_frame(boards, bootstrap).to_csv(index=False),
        "tables/claims.md": _document("What the paper says, and what the runs say", [claims_table(claims)]),
        "tables/claims.csv": claims_frame(claims).to_csv(index=False),
        "tables/intervals.md": _document("Scores with their intervals", intervals),
        "tables/by_size.md": _document("Scores by bottleneck size", sizes, instead=NO_SIZES),
        "tables/methods.md": _document("Methods", methods),
        "tables/sweep.md": _document("What was tried and what was chosen", sweep),
        "runs.csv": runs_csv(groups),
        **{f"tables/{name}.tex": text for kind, found in floats.items() for name, text in _latex_files(kind, found)},
    }
    if beyond:
        files |= {
            "tables/tasks.md": _document("Scores by task", by_task),
            "tables/tasks.csv": tasks_frame(beyond, bootstrap).to_csv(index=False),
        }
    if compared:
        files["tables/methods_compared.md"] = _document("Methods compared", compared)
    if with_figures:
        drawings = draw(boards, bootstrap)
        files |= figure_files(drawings)
        folder = bootstrap.results_dir.resolve().name
        shown_besides = {"missing": missing, "published": published, "statements": claims_table(claims)}
        files[PAGE] = make_page(folder, parts, records, drawings, bootstrap, **shown_besides)
    without = "is damaged or belongs to other runs: scores that need it have no interval"
    return Report(complete, summary, files, claims, [f"{path} {without}" for path in sorted(bootstrap.damaged)])


def section(table: Table) -> str:
    """A table with its notes as a section of a markdown document."""
    notes = [f"- {note}" for note in [*table.notes, *table.verdicts]]
    return "\n".join([f"## {table.title}", "", markdown(table), "", *notes, ""])


def _document(title: str, tables: Iterable[Table], *, instead: str = "") -> str:
    """A markdown document; `instead` is what it says without any table."""
    return "\n".join([f"# {title}", "", f"{NOTES_LINE}\n", *(list(map(section, tables)) or [instead])])


def _latex_files(kind: str, tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """One file per table: `glue`, `glue_2`, ..."""
    for place, table in enumerate(tables, 1):
        number = f"{place}" if place > 1 else ""
        yield f"{kind}{number and '_'}{number}", latex(table, f"{kind.replace('_', '-')}{number and '-'}{number}")


def notes_document(boards: Sequence[Scores], missing: Sequence[str] = ()) -> str:
    """`NOTES.md`: what the tables mean, then per group of comparable runs what they are about.

    `missing` are ids of runs that were planned and have no record.
    """
    sections = [("How to read the tables", DEFINITIONS)]
    sections += [(s.group.title, group_notes(s, () if i else missing)) for i, s in enumerate(boards)]
    texts = ["\n".join([f"## {title}", "", *(f"- {note}" for note in notes), ""]) for title, notes in sections]
    return "\n".join(["# Notes", "", *texts])


def _published_tables(groups: Iterable[Group]) -> list[Table]:
    """The paper's table, and what others published for encoders like those of the records; nothing without a GLUE
    task.
    """
    if not any(task.name in OFFICIAL_ROWS for group in groups for task in group.tasks):
        return []
    titles = {record["encoder"]["title"] for group in groups for record in group.records if record.get("encoder")}
    anchors = {row.label: row for title in sorted(titles) for row in anchors_for(title)}
    return [paper_table()] + ([anchors_table(list(anchors.values()))] if anchors else [])
