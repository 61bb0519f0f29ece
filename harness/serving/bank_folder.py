"""A bank of tasks over one encoder, as a folder.

`encoder.json` describes the encoder. For each task there is `<task>.json`, the record of the run that trained it, the
file of weights that the record names (`harness.records.weights`), and the run's predictions with their gold labels:
`check` compares the former with the bank's, and both make the intervals of a model card. Tasks share only the frozen
encoder, so adding one cannot change another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.errors import UserError, writing
from harness.method_config import METHOD_CONFIGS, MethodConfig
from harness.model.checkpoint import Checkpoint, encoder_config, find_checkpoint, weights_file
from harness.model.parameters import encoder_size
from harness.records.choice import best_run
from harness.records.predictions import (
    Arrays,
    gold_path,
    predictions_of,
    predictions_path,
    read_gold,
    write_gold,
    write_predictions,
)
from harness.records.record import Record, read_json, task_of, write_json
from harness.records.weights import StoredRun, read_stored, read_tensors, write_weights
from harness.tasks.glue import in_glue_order
from harness.tasks.task import Task

ENCODER = "encoder.json"
# A run's predictions and their gold labels; None for what is missing.
Rows = tuple[Arrays | None, Arrays | None]


@dataclass(frozen=True)
class Entry:
    """One task of a bank: its run's record with `weights` (see `harness.records.weights`), and its method's config."""

    run: StoredRun
    method: MethodConfig

    @property
    def task(self) -> Task:
        return task_of(self.run)

    @classmethod
    def of(cls, run: StoredRun, *, where: Path) -> Entry:
        method = run["config"]["method"]
        try:
            return cls(run, METHOD_CONFIGS[method["name"]](**method))
        except (KeyError, TypeError):
            raise UserError(f"{where}: this version does not know the method {method}") from None


@dataclass(frozen=True)
class Bank:
    """A bank on disk; `encoder` is {title, name, revision, sha256, fingerprint, family, bytes, parameters}."""

    folder: Path
    encoder: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bank:
        """The bank at `path`, or in the folder `bank` of a results folder; `UserError` where there is none."""
        folder = next((folder for folder in (path, path / "bank") if (folder / ENCODER).is_file()), None)
        if folder is None:
            raise UserError(f"there is no bank in {path}; make one with `python -m harness.bank add RESULTS`")
        encoder = read_json(folder / ENCODER)
        if not isinstance(encoder, dict) or not {"name", "sha256", "fingerprint", "bytes"} <= encoder.keys():
            raise UserError(f"{folder / ENCODER} does not describe an encoder; make the bank again")
        return cls(folder, encoder)

    @property
    def tasks(self) -> list[str]:
        """Its tasks: GLUE's in GLUE's order, then the others by name."""
        return in_glue_order(path.stem for path in self.folder.glob("*.json") if path.name != ENCODER)

    def entry(self, task: str) -> Entry:
        """One task; `UserError` if the bank lacks it, or if it was trained on another encoder than the bank's."""
        path = self.folder / f"{task}.json"
        if task not in self.tasks:
            raise UserError(f"the bank {self.folder} has no task {task!r}; it has {', '.join(self.tasks) or 'none'}")
        run = read_stored(path)
        if run["encoder"]["fingerprint"] != self.encoder["fingerprint"]:
            raise UserError(f"{path} was trained on {difference(run['encoder'], self.encoder)}; add that task again")
        return Entry.of(run, where=path)

    def is_current(self, entry: Entry) -> bool:
        """Whether the bank still holds that run for its task: `bank add --replace` may come at any time."""
        return self.entry(entry.task.name).run["run_id"] == entry.run["run_id"]

    def read(self, task: str) -> tuple[Entry, dict[str, Tensor]]:
        """One task and its weights, as they are at one moment; errors as in `entry` and `tensors`."""
        entry = self.entry(task)
        try:
            return entry, self.tensors(entry)
        except UserError:
            if self.is_current(entry):
                raise
            return self.read(task)

    def path(self, entry: Entry) -> Path:
        return self.folder / entry.run["weights"]["file"]

    def tensors(self, entry: Entry) -> dict[str, Tensor]:
        """The task's weights; `UserError` for a missing, truncated or altered file."""
        return read_tensors(self.folder, entry.run)

    def checkpoint(self, model: str | None = None) -> Checkpoint:
        """The encoder, found by its name or in the folder `model`; `UserError` where that is another encoder."""
        return _checkpoint(self.encoder, model, whose=f"the bank {self.folder}")


def add(
    results: Path, folder: Path, *, tasks: Sequence[str], method: str | None, run_id: str | None, replace: bool,
    model: str | None,
) -> list[str]:  # fmt: skip
    """Put the best stored run of each task into the bank, which is made if missing; returns one line per task.

    The best run has the highest score on the selection split; ties go to fewer trained parameters. A task that is
    already in the bank is replaced only with `replace`, and nothing else in the bank changes. `UserError` is raised
    before anything is written.
    """
    read = _read_best(results, tasks=tasks, method=method, run_id=run_id)
    return store_in(folder, read, replace=replace, model=model, source=results)


def store_in(
    folder: Path,
    runs: Sequence[tuple[Record, dict[str, Tensor], Rows]],
    *,
    replace: bool,
    model: str | None,
    source: Path,
) -> list[str]:
    """Put runs, with their weights and predictions, into the bank as `add` does; `source` is where they are from."""
    encoders = {run["encoder"]["fingerprint"]: run["encoder"] for run, *_ in runs}
    if len(encoders) > 1:
        raise UserError(
            f"the runs in {source} were trained on {len(encoders)} encoders; pick those of one with --task and --run"
        )
    bank = Bank.open(folder) if (folder / ENCODER).is_file() else None
    if bank is not None and bank.encoder["fingerprint"] not in encoders:
        raise UserError(
            f"the runs in {source} were trained on {difference(runs[0][0]['encoder'], bank.encoder)}, the encoder of "
            f"the bank {folder}; use another --bank"
        )
    is_new = bank is None
    bank = bank or Bank(folder, _describe_encoder(runs[0][0], model))
    with writing(f"--bank={folder}"):
        if is_new:
            write_json(folder / ENCODER, bank.encoder)
        return [_put(bank, *run, replace=replace) for run in runs]


def stored_runs(results: Path) -> list[StoredRun]:
    """The records of all runs with stored weights in a results folder; `UserError` where there is none."""
    found = []
    for path in sorted((results / "weights").glob("*.json")):
        with suppress(FileNotFoundError):  # a sweep with train.save=best has just stored a better run
            found.append(read_stored(path))
    if not found:
        raise UserError(f"no trained weights in {results}/weights; run with train.save=best (or all)")
    return found


def _read_best(results: Path, **wanted: Any) -> list[tuple[StoredRun, dict[str, Tensor], Rows]]:
    """What `_best_of` chooses, with weights and predictions, while a sweep may replace stored runs by better ones."""
    chosen = _best_of(stored_runs(results), results, **wanted)
    try:
        return [(run, read_tensors(results / "weights", run), _rows_of(results, run)) for run in chosen]
    except UserError:
        if _best_of(stored_runs(results), results, **wanted) == chosen:
            raise
        return _read_best(results, **wanted)


def _best_of(
    found: Iterable[StoredRun], results: Path, *, tasks: Sequence[str], method: str | None, run_id: str | None
) -> list[StoredRun]:
    wanted: dict[str, list[StoredRun]] = {}
    for run in found:
        name = task_of(run).name
        asked = (not tasks or name in tasks) and method in (None, run["config"]["method"]["name"])
        if asked and run_id in (None, run["run_id"]):
            wanted.setdefault(name, []).append(run)
    missing = [name for name in tasks if name not in wanted]
    if missing or not wanted:
        what = ", ".join(missing) or run_id or method
        kinds = sorted({f"{task_of(run).name} ({run['config']['method']['name']})" for run in found})
        raise UserError(f"{results}/weights holds no run for {what}; it holds {', '.join(kinds)}")
    remedy = "name one of them with --run"
    return [best_run(wanted[name], where=results, remedy=remedy) for name in in_glue_order(wanted)]


def _checkpoint(encoder: dict[str, Any], model: str | None, *, whose: str) -> Checkpoint:
    """The checkpoint in `model`, or else by the name of `encoder`; `UserError` where its fingerprint is another."""
    try:
        checkpoint = find_checkpoint(model or encoder["name"], encoder.get("revision"))
    except UserError as error:
        if model:
            raise
        raise UserError(f"{whose}: the encoder was not found, give --model FOLDER: {error}") from None
    if checkpoint.fingerprint != encoder["fingerprint"]:
        found = {"name": model or checkpoint.name, "sha256": checkpoint.sha256}
        raise UserError(
            f"{whose} was trained on another encoder; found {difference(found, encoder)}; give the right one as --model"
        )
    return checkpoint


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """`A, not B` in words, for two encoders whose fingerprints differ: in their weights, or in config or tokenizer."""
    if ours["sha256"] == theirs["sha256"]:
        return f"{ours['name']}, which has the same weights but another config or tokenizer, not {theirs['name']}"
    return f"{ours['name']} (sha256 {ours['sha256'][:12]}...), not {theirs['name']} ({theirs['sha256'][:12]}...)"


def _describe_encoder(run: StoredRun, model: str | None) -> dict[str, Any]:
    """What a bank stores about its encoder."""
    named = {key: run["encoder"][key] for key in ("title", "name", "revision", "sha256", "fingerprint", "family")}
    checkpoint = _checkpoint(named, model, whose=f"the run {run['run_id']}")
    size = weights_file(checkpoint.folder, checkpoint.name).stat().st_size
    has_pooler = run["encoder"]["pooling"] == "pooler"
    return named | {"bytes": size, "parameters": encoder_size(encoder_config(checkpoint), has_pooler=has_pooler)}


def _rows_of(results: Path, run: StoredRun) -> Rows:
    key = run.get("predictions", {}).get("gold")
    return predictions_of(results, run), read_gold(results, key) if key else None


def _put(bank: Bank, run: StoredRun, tensors: dict[str, Tensor], rows: Rows, *, replace: bool) -> str:
    task, title = task_of(run).name, task_of(run).title
    before = read_stored(bank.folder / f"{task}.json") if task in bank.tasks else None
    if before is not None and before["run_id"] == run["run_id"]:
        return f"{title}: {run['run_id']} is already in the bank"
    if before is not None and not replace:
        return f"{title}: kept {before['run_id']}; use --replace to put {run['run_id']} in its place"
    # Each run has a file name of its own, so that the old pair stays whole until the record is renamed into place.
    predictions, gold = rows
    if predictions is not None:
        write_predictions(bank.folder, run["run_id"], predictions)
    if gold is not None:
        write_gold(bank.folder, task_of(run), gold)
    written = write_weights(bank.folder, task, tensors, run, file=f"{run['run_id']}.safetensors")
    if before is not None:
        (bank.folder / before["weights"]["file"]).unlink(missing_ok=True)
        predictions_path(bank.folder, before["run_id"]).unlink(missing_ok=True)
        old = before.get("predictions", {}).get("gold")
        if old and old != run.get("predictions", {}).get("gold"):
            gold_path(bank.folder, old).unlink(missing_ok=True)
    return f"{title}: {run['run_id']}, {written['weights']['bytes'] / 1e6:.2f} MB"
