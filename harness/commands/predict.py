"""Predictions of a bank's tasks for rows from a file or stdin: `python -m harness.predict --bank DIR`.

    echo "They read the letter me." | python -m harness.predict --task cola --bank results/mine/bank
    python -m harness.predict --task mrpc --bank results/mine --input pairs.tsv --output predictions.tsv
    python -m harness.predict --bank results/mine --input mixed.jsonl     # each row names its task

Several tasks share one pass over the encoder where their methods allow it.

Exit status: 0; 2, with one line on standard error and nothing written, if the input is wrong.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands.arguments import Parser, ends_with_its_reader
from harness.data.row_files import FORMATS, TASK, format_of, read_rows
from harness.errors import UserError, writing
from harness.light_imports import import_transformers, lasting_imports
from harness.records.record import write_atomically

if TYPE_CHECKING:
    from harness.serving.predictor import Prediction

PRECISIONS = ("auto", "bf16", "fp32")
OUTPUT_FORMATS = ("tsv", "csv", "jsonl")


@ends_with_its_reader
def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m harness.predict") -> int:
    """Entry point; returns the exit status."""
    options = _parser(prog).parse_args(arguments)
    with lasting_imports():  # here, since they import torch: wrong arguments are refused at once
        import_transformers()
        from harness.serving.bank_folder import Bank
        from harness.serving.predictor import predict_rows
        from harness.training.device import pick_device
    try:
        bank = Bank.open(options.bank)
        known = {name: bank.entry(name).task for name in [*options.task, *bank.tasks]}
        kind = format_of(options.input, options.format)
        rows = read_rows(_read(options.input), kind, known, options.task, where=_name(options))
        device = pick_device(options.device)
        predictions = predict_rows(bank, rows, model=options.model, device=device, precision=options.precision)
        text = render(predictions, _output_format(options))
        _write(options.output, text)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def render(predictions: Sequence[Prediction], kind: str) -> str:
    """The output as `tsv` or `csv` with a header, or as `jsonl`: index, task, prediction and the labels' probabilities.

    Tables have a column `p_<label>` for every label of any task, empty in rows of tasks without that label. Spans
    have start, end (characters of the context) and score (sum of two logits) instead.
    """
    if kind == "jsonl":
        lines = [
            {"index": index, TASK: one.task, "prediction": one.value} | _details(one)
            for index, one in enumerate(predictions)
        ]
        return "".join(json.dumps(line) + "\n" for line in lines)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    labels = list(dict.fromkeys(label for one in predictions for label in one.probabilities))
    places = ["start", "end", "score"] if any(one.span for one in predictions) else []
    writer.writerow(["index", TASK, "prediction", *places, *(f"p_{label}" for label in labels)])
    for index, one in enumerate(predictions):
        value = f"{one.value:.4f}" if isinstance(one.value, float) else one.value
        shares = [f"{one.probabilities[label]:.4f}" if label in one.probabilities else "" for label in labels]
        where = _details(one) if one.span else {}
        writer.writerow([index, one.task, value, *(where.get(name, "") for name in places), *shares])
    return buffer.getvalue()


def _details(one: Prediction) -> dict[str, Any]:
    """Of a span its characters in the context and its score, else the labels' probabilities."""
    if one.span is None:
        return {"probabilities": one.probabilities}
    return {"start": one.span.start, "end": one.span.end, "score": round(one.span.score, 4)}


def _read(path: Path | None) -> str:
    try:
        data = sys.stdin.buffer.read() if path is None else path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"--input={path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path or 'stdin'} is not UTF-8 ({error.reason} at byte {error.start})") from None


def _write(path: Path | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    with writing(f"--output={path}"):
        write_atomically(path, text.encode())


def _output_format(options: argparse.Namespace) -> str:
    if options.output_format:
        return options.output_format
    suffix = "" if options.output is None else options.output.suffix.lower().removeprefix(".")
    return suffix if suffix in OUTPUT_FORMATS else "tsv"


def _name(options: argparse.Namespace) -> str:
    return "stdin" if options.input is None else str(options.input)


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Predict rows with the tasks of a bank (see `python -m harness.bank`). The output has one line per "
        "row, or with several --task one per row and task: index, task, prediction, and the probability of each label "
        "(columns p_<label>; an object in JSON lines).",
        epilog="Formats of the input: lines has one sentence per line, or two separated by a tab for tasks of sentence "
        "pairs. tsv (no quoting) and csv have a header with sentence1 and sentence2, or the task's own column names. "
        "jsonl has one object per line. Spans are predicted from question and context. A column 'task' names the "
        "task of each row; different tasks share batches.",
    )
    parser.add_argument(
        "--bank", metavar="DIR", type=Path, required=True, help="a bank, or a results folder that holds one"
    )
    parser.add_argument(
        "--task", action="append", default=[], metavar="TASK", help="predict every row for this task (repeatable)"
    )
    parser.add_argument("--input", metavar="FILE", type=Path, help="the rows (default: stdin)")
    parser.add_argument(
        "--format",
        choices=["auto", *FORMATS],
        default="auto",
        help="format of the input (default: by suffix, or lines)",
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="the predictions (default: stdout)")
    parser.add_argument("--output-format", choices=OUTPUT_FORMATS, help="default: by suffix, or tsv")
    parser.add_argument("--model", metavar="DIR", help="folder of the encoder, if it is not found by its name")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda | cuda:N | mps")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="default: as each task was trained")
    return parser


if __name__ == "__main__":
    sys.exit(main())
