"""The harness from Python: a run, a sweep, their records as a frame, a report, a bank and predictions.

    import harness

    harness.sweep(task=["cola", "mrpc"], train__learning_rate=[3e-4, 1e-3], results_dir="results/mine")
    frame = harness.load_runs("results/mine")

These functions do what the commands do, with the same configs, checks, stacks, locks and records, and both may work on
one folder. They read no command line, end no process and raise `UserError` for what the caller can fix. Progress is
printed like the commands'; Ctrl-C raises `KeyboardInterrupt`, and the same call resumes. What is heavy is imported by
the first call that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.interrupts import SIGNALS

if TYPE_CHECKING:
    import pandas as pd

    from harness.records.schema import Record
    from harness.reporting.documents import Report
    from harness.serving.predictor import Prediction
    from harness.sweeps.session import Session

__all__ = ["UserError", "load_runs", "make_bank", "predict", "report", "run", "sweep"]

_SWEEPS = ("experiment", "hydra.mode")  # keys that make a sweep of a run


def run(*overrides: str, config_dir: str | Path | None = None, **options: Any) -> Record:
    """Train one run, or find it finished in its results folder.

    Args:
        overrides: what follows the command, such as `"method.bottleneck_size=64"`.
        config_dir: a folder with configs of your own, as `--config-dir`.
        options: the same as keywords, with two underscores for each dot: `task="mrpc"`, `train__learning_rate=1e-3`.
            Values are texts, paths, numbers, true or false, None (null), lists and mappings. conf/README.md has all.

    Returns:
        The run's record, as its JSON file has it (`harness.records.schema`). A run that failed or diverged says so in
        `status` and why in `error`.

    Raises:
        UserError: a key or value that does not fit, before any training; a folder that cannot be written.
        KeyboardInterrupt: by Ctrl-C; the run starts again with the next call.

    Example:
        >>> record = harness.run(task="mrpc", method="adapter", method__bottleneck_size=64, train__learning_rate=1e-3)
        >>> record["scores"]["validation"]["f1"]
    """
    from harness.sweeps.overrides import as_overrides

    arguments = _arguments(overrides, as_overrides(options), config_dir)
    for argument in arguments:
        if argument.lstrip("+").partition("=")[0] in _SWEEPS:
            raise UserError(f"{argument} is a sweep; use harness.sweep")
    (record,) = _session(arguments).records.values()
    return record


def sweep(*overrides: str, config_dir: str | Path | None = None, **options: Any) -> list[Record]:
    """Train every combination of some values; compatible runs train in one pass. The same call resumes.

    Args:
        overrides: as for `run`, with commas between several values: `"train.seed=0,1,2"`.
        config_dir: as for `run`.
        options: as for `run`, but a list, tuple, range or array has the values to try; a single value that is a list
            stands in a list of its own: `task__text=[["title", "body"]]`. `experiment="minilm/adapter_small"` is a
            sweep of conf/experiment, whose values can be overridden.

    Returns:
        The records of all combinations, each run once, with those that had been trained before.

    Raises:
        UserError: as for `run`, before anything is trained.
        KeyboardInterrupt: by Ctrl-C; finished runs are kept.

    Example:
        >>> harness.sweep(task=["cola", "mrpc"], train__learning_rate=[3e-4, 1e-3], train__seed=range(3))
        >>> harness.sweep("hydra.launcher.max_stack=8", experiment="quick/adapter", results_dir="results/quick")
    """
    from harness.sweeps.overrides import as_overrides

    arguments = _arguments(overrides, as_overrides(options, sweep=True), config_dir)
    return list(_session(["--multirun", *arguments]).records.values())


def load_runs(results_dir: str | Path) -> pd.DataFrame:
    """One row per run in a results folder, of whatever status, ordered by run id.

    Args:
        results_dir: the folder that runs were written to.

    Returns:
        A frame of flat columns without objects: texts are `string`, whole numbers `Int64`, other numbers `float64`,
        truth values `boolean`, times `datetime64` (UTC). First come those of `harness.records.frame.COLUMNS`: what the
        run is, its headline score on the selection split and on the reported one, parameters, time, device. Then every
        score as `scores.<split>.<metric>`, in the metric's own range, and every other option as on the command line
        (`train.dropout`); lists are JSON. What a run does not have is missing.

    Raises:
        UserError: a folder without records, or a file that is none.

    Example:
        >>> frame = harness.load_runs("results/minilm")
        >>> frame.query("status == 'completed'").groupby(["task", "method"])["reported_score"].max()
    """
    from harness.records.frame import runs_frame
    from harness.records.record import load_records

    return runs_frame(load_records(results_dir))


def report(results_dir: str | Path, *, out: str | Path | None = None, paper: bool = False) -> Report:
    """Make the tables and figures of a results folder and write them.

    Args:
        results_dir: the folder that runs were written to.
        out: where the files go (None: into `results_dir`).
        paper: show the paper's scores of its further tasks next to those of any encoder.

    Returns:
        The report: `tables` (with `columns`, `rows` and notes), their short form `summary`, and `files` by path.

    Raises:
        UserError: a folder without records, or one that cannot be written.

    Example:
        >>> made = harness.report("results/mine")
        >>> print(made.files["tables/glue.md"])
    """
    from harness.commands.report import report_of, write
    from harness.records.record import load_records

    made = report_of(load_records(results_dir), Path(results_dir), with_paper=paper)
    write(made, Path(results_dir if out is None else out))
    return made


def make_bank(
    results_dir: str | Path,
    bank: str | Path | None = None,
    *,
    task: str | Sequence[str] = (),
    replace: bool = False,
    model: str | Path | None = None,
) -> Path:
    """Collect the best stored run of each task, by its score on the selection split, in a bank for `predict`.

    Args:
        results_dir: a folder of runs that were trained with `train__save="best"` or `"all"`.
        bank: the bank's folder, made if missing (None: `results_dir/bank`).
        task: the task or tasks to add (none: all).
        replace: replace tasks that the bank has; otherwise they stay as they are.
        model: the encoder's folder, if it is not found by its name.

    Returns:
        The bank's folder.

    Raises:
        UserError: no stored run of a task, another encoder than the bank's, a folder that cannot be written.

    Example:
        >>> bank = harness.make_bank("results/mine")
    """
    from harness.serving.bank_folder import add

    folder = Path(results_dir) / "bank" if bank is None else Path(bank)
    encoder = None if model is None else str(model)
    add(Path(results_dir), folder, tasks=_names(task), method=None, run_id=None, replace=replace, model=encoder)
    return folder


def predict(
    rows: Iterable[str | Sequence[str] | Mapping[str, str]] | pd.DataFrame,
    *,
    bank: str | Path,
    task: str | Sequence[str] = (),
    model: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> list[Prediction]:
    """Predict rows with the tasks of a bank; different tasks share batches.

    Each call loads the encoder: give it all rows, or keep a `harness.serving.predictor.Predictor`.

    Args:
        rows: a sentence each, or the sentences of a pair, or a mapping or frame with columns (`sentence1`, `sentence2`
            or the task's own names); a column `task` names the task of a row.
        bank: a bank, or a results folder that holds one.
        task: the task, or several, for which every row without a task of its own is predicted.
        model: the encoder's folder, if it is not found by its name.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto (as each task was trained), bf16 or fp32.

    Returns:
        One prediction per row and task: `task`, `value` (a label, a score or a span's text), `probabilities` by label,
        and of spans `span`.

    Raises:
        UserError: rows that do not fit their task, a task that the bank lacks, an encoder that is not the bank's.

    Example:
        >>> harness.predict(["They read the letter me."], task="cola", bank="results/mine")[0].value
    """
    from harness.commands.predict import PRECISIONS
    from harness.data.row_files import check_rows
    from harness.serving.bank_folder import Bank
    from harness.serving.predictor import predict_rows
    from harness.training.device import pick_device

    if precision not in PRECISIONS:
        raise UserError(f"precision={precision} is unknown; choose one of {', '.join(PRECISIONS)}")
    wanted = _names(task)
    opened = Bank.open(Path(bank))
    known = {name: opened.entry(name).task for name in [*wanted, *opened.tasks]}
    given = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
    checked = check_rows(given, known, wanted)
    encoder = None if model is None else str(model)
    return predict_rows(opened, checked, model=encoder, device=pick_device(device), precision=precision)


def _session(arguments: Sequence[str]) -> Session:
    """The session of a command line that has been trained."""
    from harness.sweeps.composition import explained, run_hydra
    from harness.sweeps.session import Session

    # Processes of multiprocessing import the caller's script, which may not be written for that.
    session = Session(processes=1)
    with explained(arguments), SIGNALS.handled():  # an interrupted stack leaves its checkpoint
        run_hydra(session, arguments)
    return session


def _arguments(overrides: Sequence[str], options: Sequence[str], config_dir: str | Path | None) -> list[str]:
    """The arguments of the command that does the same."""
    for override in overrides:
        if not isinstance(override, str) or override.startswith("-") or not override.strip("+~"):
            raise UserError(f"{override!r} is no override; write key=value, such as 'train.seed=1'")
    folder = [] if config_dir is None else [f"--config-dir={config_dir}"]
    return [*folder, *overrides, *options]


def _names(task: str | Sequence[str]) -> list[str]:
    return [task] if isinstance(task, str) else list(task)
