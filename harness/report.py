"""Tables and figures of a folder of run records: `python -m harness.report RESULTS [--out DIR]`."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from harness.errors import UserError, writing
from harness.records.record import Record, load_planned, load_records
from harness.reporting.bootstrap import Uncertainty
from harness.reporting.comparison import comparison_tables, interval_columns, intervals_table
from harness.reporting.figures import figures
from harness.reporting.footnotes import (
    CANDIDATES_NOTE,
    comparison_notes,
    explain_marks,
    failure_notes,
    interval_notes,
    main_notes,
    methods_notes,
    size_notes,
    sweep_notes,
)
from harness.reporting.groups import Group, comparable_groups, runs_table
from harness.reporting.published import ANCHOR_NOTE, anchors_for, anchors_table, paper_table
from harness.reporting.scores import Scores, group_scores, scores_frame
from harness.reporting.table import Table, latex, markdown, print_table
from harness.reporting.tables import by_size_table, candidates_table, chosen_table, main_table, methods_table

LATEX_HEAD = "% Made by `python -m harness.report`; needs \\usepackage{booktabs} and \\usepackage{graphicx}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0, or 2 with one line on stderr for what the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        records = load_records(options.results)
        if options.data is not None:
            restore_labels(options, records)
        missing = sorted(load_planned(options.results) - {record["run_id"] for record in records})
        report(records, missing, options.out or options.results, Uncertainty(options.results))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def restore_labels(options: argparse.Namespace, records: Sequence[Record]) -> None:
    """Make labels that the folder lacks anew, and say which the data does not have."""
    # Here, since they import `datasets`, which takes longer than a whole report.
    from harness.data.sources import resolve
    from harness.data.splits import restore_gold

    data = resolve(source=options.data, path=options.data_path)
    for key in restore_gold(options.results, records, data):
        print(f"{key}: the rows of {data.name} data are not those that its runs were scored on")


def report(records: Sequence[Record], missing: Sequence[str], out: Path, uncertainty: Uncertainty) -> list[Path]:
    """Write every table and figure below `out`, print the main ones, and return the files.

    `missing` are ids of runs that were planned and have no record; `uncertainty` knows where their predictions are.
    Raises `UserError` where `out` cannot be written.
    """
    groups = comparable_groups(records)
    boards = [group_scores(group) for group in groups]
    measured: list[Table] = []
    for scores in boards:
        measured.append(main_table(scores, main_notes(scores, missing), failure_notes(scores.group)))
        measured += comparison_tables(scores, uncertainty, comparison_notes(scores.group))
    tables = [*map(explain_marks, measured), *published_tables(groups)]
    intervals = [intervals_table(scores, uncertainty, interval_notes(scores.group)) for scores in boards]
    files = {
        "tables/glue.md": _document("GLUE scores", tables),
        "tables/glue.tex": "\n\n".join([LATEX_HEAD, *map(latex, tables)]) + "\n",
        "tables/glue.csv": scores_frame(boards, lambda scores, row: interval_columns(scores, row, uncertainty)).to_csv(
            index=False
        ),
        "tables/intervals.md": _document("Scores with their intervals", map(explain_marks, intervals)),
        "tables/by_size.md": _document("Scores by bottleneck size", map(explain_marks, size_tables(groups))),
        "tables/methods.md": _document("Methods", map(explain_marks, method_tables(groups))),
        "tables/sweep.md": _document("What was tried and what was chosen", map(explain_marks, sweep_tables(groups))),
        "runs.csv": runs_table(groups).to_csv(index=False),
    }
    files |= figure_files(boards, uncertainty)
    paths = _write(out, files)
    console = Console(highlight=False)
    for table in tables:
        if console.is_terminal:
            print_table(table, console)
        else:
            print(_section(table))
    print("\nWritten: " + ", ".join(str(path) for path in paths))
    return paths


def published_tables(groups: Iterable[Group]) -> list[Table]:
    """The paper's table, and what others published for encoders like those of the records."""
    titles = {record["encoder"]["title"] for group in groups for record in group.records if record.get("encoder")}
    anchors = {row.label: row for title in sorted(titles) for row in anchors_for(title)}
    return [paper_table()] + ([anchors_table(list(anchors.values()), [ANCHOR_NOTE])] if anchors else [])


def figure_files(boards: Sequence[Scores], uncertainty: Uncertainty) -> dict[str, str | bytes]:
    """Every figure as SVG and PNG by file name, and a page that shows them with their captions."""
    files: dict[str, str | bytes] = {}
    page = []
    for index, scores in enumerate(boards):
        for figure in figures(scores.group, scores, uncertainty):
            stem = figure.name + (f"-{index + 1}" if len(boards) > 1 else "")
            for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 200})):
                drawn = io.BytesIO()
                figure.canvas.savefig(drawn, format=kind, **options)
                files[f"figures/{stem}.{kind}"] = drawn.getvalue()
            page += [f"## {figure.title}", "", f"![{figure.title}]({stem}.png)", "", figure.caption, ""]
    return files | ({"figures/README.md": "\n".join(["# Figures", "", *page])} if page else {})


def method_tables(groups: Iterable[Group]) -> list[Table]:
    return [methods_table(group, methods_notes(group)) for group in groups]


def size_tables(groups: Iterable[Group]) -> list[Table]:
    return [by_size_table(group, family, size_notes(group)) for group in groups for family in group.sizes()]


def sweep_tables(groups: Iterable[Group]) -> list[Table]:
    pairs = [(chosen_table(group, sweep_notes(group)), candidates_table(group, [CANDIDATES_NOTE])) for group in groups]
    return [table for pair in pairs for table in pair]


def _section(table: Table) -> str:
    notes = [f"- {note}" for note in [*table.notes, *table.details]]
    return "\n".join([f"## {table.title}", "", markdown(table), "", *notes, ""])


def _document(title: str, tables: Iterable[Table]) -> str:
    sections = [_section(table) for table in tables] or ["No run has a bottleneck size.\n"]
    return "\n".join([f"# {title}", "", *sections])


def _write(out: Path, files: dict[str, str | bytes]) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = out / name
        with writing(f"--out={out}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        paths.append(path)
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.report",
        description="Make tables and figures from the run records below RESULTS. Runs that cannot be compared "
        "(another encoder, data source, row limit or protocol) go into tables of their own.",
        epilog="Writes tables/glue.{md,csv,tex} (scores by method and task), tables/by_size.md (adapter sizes), "
        "tables/methods.md (what each method costs), tables/intervals.md (bootstrap intervals), tables/sweep.md (what "
        "was tried and chosen), runs.csv (one row a run) and figures/*.{svg,png} (those that the runs suffice for; "
        "captions in figures/README.md), and prints the first.",
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the results_dir that `harness.run` wrote")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the files go (default: RESULTS)")
    parser.add_argument(
        "--data",
        choices=["auto", "hub", "local", "synthetic"],
        help="make labels that RESULTS lacks anew from this data; intervals need them",
    )
    parser.add_argument("--data-path", metavar="DIR", help="the folder of --data=local (default: GLUE_DIR)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
