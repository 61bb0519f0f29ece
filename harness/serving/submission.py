"""The zip that gluebenchmark.com takes, from the best run of each task."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from harness.data.sources import diagnostic_rows
from harness.data.sources.source import Source
from harness.errors import UserError, writing
from harness.records.choice import best_run, choice_score, chosen_on
from harness.records.predictions import predictions_of, predictions_path
from harness.records.record import Record, task_of, write_atomically, write_json
from harness.tasks.glue import AX, OFFICIAL_ROWS, get_task
from harness.tasks.task import Task


@dataclass(frozen=True)
class SubmissionFile:
    """One file of the zip: its name, the task whose model predicts it, and the test set."""

    name: str
    task_name: str
    test_set: str

    @property
    def rows(self) -> int:
        """The official number of rows."""
        if self.test_set == AX.name:
            return OFFICIAL_ROWS[AX.name]["test"]
        return OFFICIAL_ROWS[self.task_name][self.test_set]

    @property
    def task(self) -> Task:
        return get_task(self.task_name)

    def text(self, predictions: np.ndarray, numbers: np.ndarray) -> str:
        """A header, then `index<TAB>prediction` per row: words for MNLI, QNLI, RTE and AX, STS-B clipped to [0, 5]."""
        if self.task.name == "stsb":
            values = [f"{value:.3f}" for value in np.clip(predictions, 0, 5)]
        elif self.task.name in ("mnli", "qnli", "rte"):
            values = [self.task.kind.shown(value) for value in predictions]
        else:
            values = [str(value) for value in predictions]
        lines = [f"{number}\t{value}\n" for number, value in zip(numbers, values, strict=True)]
        return "".join(["index\tprediction\n", *lines])


FILES = (
    SubmissionFile("CoLA.tsv", "cola", "test"),
    SubmissionFile("SST-2.tsv", "sst2", "test"),
    SubmissionFile("MRPC.tsv", "mrpc", "test"),
    SubmissionFile("STS-B.tsv", "stsb", "test"),
    SubmissionFile("QQP.tsv", "qqp", "test"),
    SubmissionFile("MNLI-m.tsv", "mnli", "test_matched"),
    SubmissionFile("MNLI-mm.tsv", "mnli", "test_mismatched"),
    SubmissionFile("QNLI.tsv", "qnli", "test"),
    SubmissionFile("RTE.tsv", "rte", "test"),
    SubmissionFile("WNLI.tsv", "wnli", "test"),
    SubmissionFile("AX.tsv", "mnli", "ax"),
)


def best_runs(records: Iterable[Record], *, method: str | None, protocol: str | None, where: Path) -> dict[str, Record]:
    """By task, the completed run on GLUE data with the highest score on the selection split.

    Ties go to fewer trained parameters, then to the smaller run id. Raises `UserError` where there is no such run, and
    where the selection splits of a task's runs hold different rows, so that their scores cannot be compared.
    """
    completed = [record for record in records if record["status"] == "completed"]
    wanted = [
        record
        for record in completed
        if (method in (None, record["config"]["method"]["name"]))
        and (protocol in (None, record["config"]["protocol"]["name"]))
    ]
    if not wanted:
        asked = "".join(f" --{name}={value}" for name, value in (("method", method), ("protocol", protocol)) if value)
        raise UserError(
            f"{where} has no completed run{asked and ' for' + asked}; {len(completed)} others are completed"
        )
    real = [record for record in wanted if record["data"]["is_glue"]]
    if not real:
        names = ", ".join(sorted({record["data"]["source"] for record in wanted}))
        raise UserError(f"the runs in {where} are on {names} data, which the benchmark does not take; use GLUE")
    by_task: dict[str, list[Record]] = {}
    for record in real:
        by_task.setdefault(task_of(record).name, []).append(record)
    remedy = "give --protocol, or a folder with runs of one kind"
    return {name: best_run(group, where=where, remedy=remedy) for name, group in by_task.items()}


def write_submission(out: Path, best: dict[str, Record], results: Path, data: Source) -> list[str]:
    """Write the zip and, next to it, `<name>.manifest.json` with the origin of each file; returns lines for the user.

    A task without a run gets the majority class of its training rows in `data`; test sets that are not available are
    left out. Raises `UserError` where no run predicted a test set; then nothing is written.
    """
    texts: dict[str, str] = {}
    entries: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for file in FILES:
        try:
            text, entry = (
                _from_run(file, best[file.task_name], results) if file.task_name in best else _majority(file, data)
            )
        except _UnavailableError as reason:
            left_out[file.name] = str(reason)
            continue
        texts[file.name] = text
        rows = text.count("\n") - 1
        entries[file.name] = {"rows": rows, "official_rows": file.rows, **entry}
    if not any(entry["from"] == "run" for entry in entries.values()):
        raise UserError(
            f"no run in {results} predicted a test set; run with protocol=submit (or protocol.predict_test=true), "
            "on data that has test files"
        )
    zipped = _zip(texts)
    manifest = {"zip": out.name, "sha256": hashlib.sha256(zipped).hexdigest(), "files": entries, "left_out": left_out}
    manifest_path = out.with_suffix(".manifest.json")
    with writing(f"--out={out}"):
        write_atomically(out, zipped)
        write_json(manifest_path, manifest)
    return [*map(_line, entries.items()), *_left_out_lines(left_out), f"\nWritten: {out}, {manifest_path}"]


class _UnavailableError(Exception):
    """There are no predictions for a test set; the message says why."""


def _from_run(file: SubmissionFile, record: Record, results: Path) -> tuple[str, dict[str, Any]]:
    arrays = predictions_of(results, record)
    if arrays is None:
        path = predictions_path(results, record["run_id"])
        if path.exists():
            raise _UnavailableError(f"{path}, the predictions of its best run, is damaged; repeat that run")
        raise _UnavailableError(
            f"the predictions of its best run, {record['run_id']}, are not in {results}/predictions"
        )
    if file.test_set not in arrays:
        has_any = any(name.endswith(".idx") for name in arrays)
        reason = "had no such test file" if has_any else "did not predict test sets, or had none"
        raise _UnavailableError(f"its best run, {record['run_id']}, {reason}")
    config = record["config"]
    entry = {
        "from": "run",
        "run_id": record["run_id"],
        "method": config["method"],
        "encoder": record.get("encoder", {}).get("title"),
        "protocol": config["protocol"],
        "chosen_by": {"set": chosen_on(record), "metric": file.task.headline, "score": choice_score(record)},
        "max_train_rows": config["data"]["max_train_rows"],
        "commit": record["provenance"]["commit"],
    }
    return file.text(arrays[file.test_set], arrays[f"{file.test_set}.idx"]), entry


def _majority(file: SubmissionFile, data: Source) -> tuple[str, dict[str, Any]]:
    rows, train = _test_rows(file, data)
    constant = file.task.kind.constant(np.asarray(train["label"]), len(rows))
    value = file.text(constant[:1], np.zeros(1, int)).split()[-1]
    return file.text(constant, np.asarray(rows["idx"])), {"from": "majority", "prediction": value}


def _test_rows(file: SubmissionFile, data: Source) -> tuple[Dataset, Dataset]:
    """The test rows and the training rows of a task without a run."""
    if not data.is_glue:
        raise _UnavailableError("no run, and no GLUE data (set GLUE_DIR, or give --data)")
    try:
        loaded = data.load(file.task)
        rows = diagnostic_rows(data, file.task) if file.test_set == "ax" else loaded.get(file.test_set)
    except UserError as error:
        raise _UnavailableError(f"no run, and {error}") from None
    if rows is None:
        raise _UnavailableError("no run, and no test file")
    return rows, loaded["train"]


def _zip(texts: dict[str, str]) -> bytes:
    """A zip without times and owners, so that the same texts give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _line(item: tuple[str, dict[str, Any]]) -> str:
    name, entry = item
    if entry["from"] == "majority":
        origin = f"MAJORITY CLASS ({entry['prediction']}): no run of this task"
    else:
        chosen = entry["chosen_by"]
        score = "undefined" if chosen["score"] is None else f"{100 * chosen['score']:.1f}"
        origin = f"{entry['run_id']} ({chosen['set']} {chosen['metric']} {score})"
    warning = ""
    if entry["rows"] != entry["official_rows"]:
        warning = f" | {entry['official_rows']:,} ROWS EXPECTED, the benchmark will reject this file"
    return f"{name:<11} {entry['rows']:>7,} rows | {origin}{warning}"


def _left_out_lines(left_out: dict[str, str]) -> list[str]:
    return [f"{name:<11} LEFT OUT: {reason}" for name, reason in left_out.items()]
