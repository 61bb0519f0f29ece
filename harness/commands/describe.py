"""python -m harness.describe: what a run would read, without training: splits, labels, lengths, duplicates, examples.

    python -m harness.describe task=crowdflower_airline data.path=FOLDER
    python -m harness.describe task=custom task.name=spam task.file=SMSSpamCollection \\
        task.header=false 'task.text=[1]' task.label=0

Exit status: 0, or 2 with one line on standard error if the input is wrong.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness.commands.arguments import Parser, ends_with_its_reader
from harness.config import RunConfig, conf_folder, register_configs
from harness.errors import UserError
from harness.sweeps.hydra_errors import explain
from harness.sweeps.session import checked_configs, register_launchers

if TYPE_CHECKING:
    import pandas as pd

    from harness.sweeps.resolve import Run

# Torch takes seconds to load, so that modules which need it are imported when the config is known to be right.

WIDTH = 100
MOST_LABELS = 20  # that are listed, the most frequent first
EXAMPLES = 3


@ends_with_its_reader
def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m harness.describe") -> int:
    """Entry point; returns the exit status."""
    options, overrides = _parser(prog).parse_known_intermixed_args(arguments)
    overrides = [*options.overrides, *overrides]
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        for line in describe(_config(overrides, options.config_dir)):
            print(line)
    except UserError as error:
        return _fail(str(error))
    except (HydraException, OmegaConfBaseException, OSError) as error:
        return _fail(explain(error, overrides))
    return 0


def describe(config: RunConfig) -> Iterator[str]:
    """The lines of the description of what a run with this config reads, at most `WIDTH` characters each."""
    from harness.sweeps.resolve import resolve

    (run,) = resolve([config])
    splits = labelled_rows(run)
    yield from _head(run)
    yield ""
    yield from _split_lines(run, splits)
    yield ""
    yield from _label_lines(run, splits)
    yield ""
    yield from _loss_lines(run, splits)
    yield ""
    yield from _examples(run, splits["train"])


def labelled_rows(run: Run) -> dict[str, pd.DataFrame]:
    """The rows of each split: texts, and labels as users see them; NaN where the label is not known."""
    from harness.data.sources import rows_of
    from harness.data.sources.own import OWN_SOURCES, rows_of_task

    if isinstance(run.data, OWN_SOURCES):
        return rows_of_task(run.data, run.task).splits
    kind, found = run.task.kind, {}
    for name, rows in rows_of(run.data, run.task).items():
        frame = rows.to_pandas()
        shown = frame["label"].map(lambda value: None if value == kind.unlabelled else kind.shown(value))
        found[name] = frame.assign(label=shown)
    return found


def _head(run: Run) -> Iterator[str]:
    task = run.task
    yield f"{task.title} ({task.name})"
    labels = f" with {len(task.kind.labels)} labels" if task.kind.labels else ""
    metrics = [f"{metric} (headline)" if metric == task.headline else metric for metric in task.metrics]
    facts = {
        "kind": f"{task.kind.name}{labels}; {', '.join(metrics)}",
        "text": ", ".join(task.text) + (f"; label {task.reading.label}" if task.reading else ""),
        "data": f"{run.data.name} ({run.data.why})",
        "fingerprint": run.fingerprint,
        "protocol": f"{run.config.protocol.name}: {run.selection_split} selects, {', '.join(task.evaluation_sets)} "
        "is reported",
    }
    for name, text in facts.items():
        yield from wrap(f"{name:12} {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 15)


def _split_lines(run: Run, splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Rows and lengths, in tokens with the special ones."""
    limit = run.config.train.max_length
    yield f"  {'split':24} {'rows':>10} {'mean tokens':>13} {'longest':>9} {f'over {limit}':>10}"
    for name, rows in splits.items():
        lengths = _lengths(run, rows)
        yield (
            f"  {name:24} {len(rows):10,} {lengths.mean():13.1f} {lengths.max():9,} {(lengths > limit).mean():10.1%}"
        )
    limits = {"max_train_rows": "training", "max_eval_rows": "evaluation"}
    for name, what in limits.items():
        if (rows := getattr(run.config.data, name)) is not None:
            yield f"  data.{name}={rows}: a run takes at most so many {what} rows of a split."


def _lengths(run: Run, rows: pd.DataFrame) -> Any:
    import numpy as np

    from harness.model.checkpoint import tokenizer_of

    tokenizer = tokenizer_of(run.checkpoint)
    texts = [rows[column].tolist() for column in run.task.columns]
    return np.array([len(ids) for ids in tokenizer(*texts, return_attention_mask=False, verbose=False)["input_ids"]])


def _label_lines(run: Run, splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Rows of each label, or the range of a regression's, or of the lengths of answers."""
    known = {name: rows["label"].dropna() for name, rows in splits.items()}
    known = {name: labels for name, labels in known.items() if len(labels)}
    if not run.task.kind.labels:
        is_span = run.task.kind.name == "span"
        yield f"  {'words of an answer' if is_span else 'label':24} {'lowest':>10} {'mean':>10} {'highest':>10}"
        for name, labels in known.items():
            labels = labels.str.split().str.len() if is_span else labels
            yield f"  {name:24} {labels.min():10.4g} {labels.mean():10.4g} {labels.max():10.4g}"
        return
    counts = {name: labels.value_counts() for name, labels in known.items()}
    width = max(24, WIDTH - 2 - 14 * len(counts) - 10)
    yield f"  {'label':{width}}" + "".join(f" {name[:13]:>13}" for name in counts) + f" {'of train':>9}"
    train = counts["train"]
    order = sorted(run.task.kind.labels, key=lambda label: -train.get(label, 0))
    for label in order[:MOST_LABELS]:
        numbers = "".join(f" {counts[name].get(label, 0):13,}" for name in counts)
        yield f"  {shorten(label, width, placeholder='…'):{width}}{numbers} {train.get(label, 0) / train.sum():9.1%}"
    if others := order[MOST_LABELS:]:
        numbers = "".join(f" {sum(counts[name].get(label, 0) for label in others):13,}" for name in counts)
        share = sum(train.get(label, 0) for label in others) / train.sum()
        yield f"  {f'{len(others)} others':{width}}{numbers} {share:9.1%}"


def _loss_lines(run: Run, splits: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Dropped rows, and texts that occur more than once."""
    from harness.data.own_rows import OwnRows
    from harness.data.sources.own import reading_summary

    rows = OwnRows(splits, (), {}).summary(run.task.columns)["duplicates"]
    dropped = reading_summary(run.data, run.task).get("dropped", {})
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
    shared = ", ".join(f"{name} {count:,}" for name, count in rows["also_in_train"].items())
    lines = [
        f"dropped      {sum(dropped.values()):,} rows" + (f": {reasons}" if reasons else ""),
        f"duplicates   {rows['repeated']:,} rows repeat an earlier text; {rows['with_several_labels']:,} texts have "
        "several labels",
        f"             rows whose text is also in train: {shared}",
    ]
    for line in lines:
        yield from wrap(line, WIDTH, initial_indent="  ", subsequent_indent=" " * 15, drop_whitespace=True)


def _examples(run: Run, rows: pd.DataFrame) -> Iterator[str]:
    """The first training rows of different labels."""
    one_each = rows.drop_duplicates("label") if run.task.kind.labels else rows
    for _, row in one_each.head(EXAMPLES).iterrows():
        yield "  " + shorten(f"{row['label']}", WIDTH - 2, placeholder="…")
        for column in run.task.columns:
            yield "    " + _one_line(row[column], WIDTH - 4)


def _one_line(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _config(overrides: Sequence[str], config_dir: Path | None) -> RunConfig:
    register_configs()
    register_launchers()
    if config_dir is not None:
        if not config_dir.is_dir():
            raise UserError(f"--config-dir={config_dir} is not a folder")
        overrides = [*overrides, f"hydra.searchpath=[file://{config_dir.absolute()}]"]
    with hydra.initialize_config_dir(str(conf_folder()), version_base="1.3"):
        job = hydra.compose("run", list(overrides))
    return checked_configs([job])[0]


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog, description="Show what a run would read, without training: rows per split, labels, lengths in "
        "tokens, duplicates, dropped rows, examples.",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the overrides of `run`: task=NAME, ...")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="a folder with task/NAME.yaml of your own")
    return parser


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
