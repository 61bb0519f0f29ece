"""Tables and figures of a folder of run records: `python -m harness.report RESULTS [--out DIR] [--notes]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.arguments import Parser, ends_with_its_reader
from harness.data import SOURCE_NAMES
from harness.errors import UserError, writing
from harness.records.record import Record, load_planned, load_records

if TYPE_CHECKING:
    from harness.reporting.documents import Report
    from harness.reporting.table import Table


@ends_with_its_reader
def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m harness.report") -> int:
    """Entry point; returns the exit status: 0, or 2 with one line on stderr for what the user can fix."""
    options = _parser(prog).parse_args(arguments)
    try:
        records = load_records(options.results)
        if options.data is not None:
            restore_gold_labels(options, records)
        made = report_of(records, options.results, with_paper=options.paper)
        out = options.out or options.results
        paths = write(made, out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from harness.reporting.claims_table import counts_line
    from harness.reporting.page import NAME as PAGE

    show(made.tables if options.notes else made.summary)
    for line in made.damaged:
        print(line)
    if line := counts_line(made.claims, str(out / "tables/claims.md")):
        print(line)
    if options.notes:
        print(made.notes)
        print("Written: " + ", ".join(map(str, paths)))
    else:
        print(f"\nTo look at: {out / PAGE}")
        print(f"Tables, figures and notes: {out} (--notes prints all notes)")
    return 0


def report_of(records: Sequence[Record], results: Path, *, with_paper: bool) -> Report:
    """The report of a results folder with these records; `with_paper`: see `make_report`."""
    # Here, since they import pandas and matplotlib: wrong arguments are refused at once.
    from harness.reporting.bootstrap import Bootstrap
    from harness.reporting.documents import make_report

    missing = sorted(load_planned(results) - {record["run_id"] for record in records})
    return make_report(records, Bootstrap(results), missing=missing, with_paper=with_paper)


def restore_gold_labels(options: argparse.Namespace, records: Sequence[Record]) -> None:
    """Restore the gold labels that the folder lacks, and report those that the data does not have."""
    # Here, since they import `datasets`, which takes longer than a whole report.
    from harness.data.sources import resolve
    from harness.data.splits import restore_gold

    data = resolve(source=options.data, path=options.data_path)
    for key in restore_gold(options.results, records, data):
        print(f"{key}: the rows of {data.name} data are not those that its runs were scored on")


def write(made: Report, out: Path) -> list[Path]:
    """Write the files of a report below `out` and return their paths; `UserError` where they cannot be written."""
    paths = []
    for name, content in made.files.items():
        path = out / name
        with writing(f"--out={out}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path)
    return paths


def show(tables: Iterable[Table]) -> None:
    """Print tables with their notes: laid out for a terminal, or as markdown into a file or pipe."""
    from rich.console import Console

    from harness.reporting.documents import section
    from harness.reporting.table import print_table

    console = Console(highlight=False)
    for table in tables:
        if console.is_terminal:
            print_table(table, console)
        else:
            print(section(table))


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Make tables and figures from the run records in RESULTS. Runs that cannot be compared "
        "(different encoder, data source, row limits or protocol) go into separate tables.",
        epilog="Writes to DIR: tables/NOTES.md (what the tables mean), tables/glue.{md,csv,tex} (scores by method and "
        "task), tables/tasks.{md,csv,tex} (the same with a row per task, outside GLUE), tables/scores_long.csv (a line "
        "per score, for pandas and R), tables/differences.tex (adapters against full fine-tuning), "
        "tables/by_size.{md,tex} (adapter sizes), tables/methods.{md,tex} (what each method costs), "
        "tables/methods_compared.{md,tex} (methods side by side, of three kinds or more), "
        "tables/intervals.md (bootstrap intervals), tables/published.tex, "
        "tables/claims.{md,csv} (the paper's statements, judged), tables/sweep.md (what "
        "was tried and chosen), figures/*.{svg,png,pdf} (those for which there are enough runs; captions in "
        "figures/README.md), and next to these folders runs.csv (one row per run) and report.html (all of it on one "
        "page for a browser, which needs no network). Prints the scores of "
        "tables/glue.md, or of tables/tasks.md where there are tasks outside GLUE, with the verdicts; with --notes all "
        "of it.",
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the results_dir that `harness.run` wrote")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the files go (default: RESULTS)")
    parser.add_argument(
        "--notes",
        action="store_true",
        help="also print all notes, differences and published tables, and the list of files",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help="show the paper's scores of its seventeen further tasks in tables/tasks.md, whatever the encoder "
        "(default: next to BERT-base)",
    )
    parser.add_argument(
        "--data",
        choices=SOURCE_NAMES,
        help="restore gold labels that RESULTS lacks from this data; intervals need them",
    )
    parser.add_argument("--data-path", metavar="DIR", help="the folder of --data=local (default: GLUE_DIR)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
