"""The zip that gluebenchmark.com takes, from the best run of each task: `python -m harness.submit RESULTS`.

    python -m harness.run --multirun protocol=submit task=cola,sst2,mrpc,stsb,rte results_dir=results/mine
    python -m harness.submit results/mine

Exit status: 0; 2, with one line on standard error, if the input is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands.arguments import Parser, ends_with_its_reader
from harness.config import PROTOCOL_CONFIGS
from harness.errors import UserError
from harness.method_config import METHOD_CONFIGS
from harness.records.record import load_records


@ends_with_its_reader
def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m harness.submit") -> int:
    """Entry point; returns the exit status."""
    options = _parser(prog).parse_args(arguments)
    # Here, since they import `datasets`: wrong arguments are refused at once.
    from harness.data.sources import resolve
    from harness.serving.submission import best_runs, write_submission

    try:
        records = load_records(options.results)
        best = best_runs(records, method=options.method, protocol=options.protocol, where=options.results)
        data = resolve(source=options.data, path=options.data_path)
        out = options.out or options.results / "submission.zip"
        print("\n".join(write_submission(out, best, options.results, data)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Write the zip that gluebenchmark.com takes. For each task it holds the test predictions of the "
        "run in RESULTS with the highest score on the selection split. The runs must have predicted the test sets: "
        "protocol=submit, or protocol.predict_test=true with another protocol.",
        epilog="A task without a run gets the majority class of its training rows, and test sets that are not "
        "available are left out. Both are printed, and recorded in the manifest next to the zip.",
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the results_dir that `harness.run` wrote")
    parser.add_argument("--out", metavar="ZIP", type=Path, help="the zip file (default: RESULTS/submission.zip)")
    parser.add_argument("--method", choices=list(METHOD_CONFIGS), help="only runs of this method")
    parser.add_argument(
        "--protocol", choices=list(PROTOCOL_CONFIGS), help="only runs of this protocol (protocol=submit is paper)"
    )
    parser.add_argument(
        "--data",
        default="auto",
        metavar="SOURCE",  # checked by `resolve`, which also knows sources from outside the package
        help="source of the rows of tasks without a run: auto (the default), hub, local or synthetic",
    )
    parser.add_argument("--data-path", metavar="DIR", help="the folder of --data=local (default: GLUE_DIR)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
