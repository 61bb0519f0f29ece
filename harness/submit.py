"""python -m harness.submit RESULTS: the zip that gluebenchmark.com takes, from the best run of each task.

    python -m harness.run --multirun protocol=submit task=cola,sst2,mrpc,stsb,rte results_dir=results/mine
    python -m harness.submit results/mine

Exit status: 0, or 2 with one line on stderr for what the user can mend.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.data import sources
from harness.errors import UserError
from harness.records.record import load_records
from harness.serving.submission import best_runs, write_submission


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        records = load_records(options.results)
        best = best_runs(records, method=options.method, protocol=options.protocol, where=options.results)
        data = sources.resolve(source=options.data, path=options.data_path)
        out = options.out or options.results / "submission.zip"
        print("\n".join(write_submission(out, best, options.results, data)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.submit",
        description="Write the zip that gluebenchmark.com takes, from the best run of each task in RESULTS by its "
        "score on the rows that choose. The runs must have predicted the test sets: protocol=submit, or "
        "protocol.predict_test=true with another protocol.",
        epilog="A task without a run gets the majority class of its training rows. Test sets that are not at hand are "
        "left out. Both are printed, and noted in the manifest beside the zip.",
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the results_dir that `harness.run` wrote")
    parser.add_argument("--out", metavar="ZIP", type=Path, help="the zip file (default: RESULTS/submission.zip)")
    parser.add_argument("--method", help="only runs of this method, such as adapter")
    parser.add_argument("--protocol", help="only runs of this protocol: paper, holdout or submit")
    parser.add_argument(
        "--data", default="auto", choices=sources.source_names(), help="where tasks without a run find their rows"
    )
    parser.add_argument("--data-path", metavar="DIR", help="the folder of --data=local (default: GLUE_DIR)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
