"""The bank of tasks over one encoder, as a folder.

It holds `encoder.json`, which names the encoder, for each task `<task>.json` and the file of weights that it names
(`harness.weights`), and the training run's predictions, against which `check` holds it. Tasks share nothing but the
frozen encoder, so that adding one cannot change another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.config import METHOD_CONFIGS, MethodConfig
from harness.encoder import Checkpoint, encoder_config, find_checkpoint, weights_file
from harness.errors import UserError
from harness.labels import ALWAYS_SHOWN, method_title
from harness.layout import NOTHING, Table
from harness.parameters import encoder_size
from harness.predictions import Arrays, predictions_path, read_predictions, write_predictions
from harness.records import read_json, write_json
from harness.tasks import TASKS, get_task
from harness.weights import Sidecar, read_sidecar, read_tensors, write_weights

ENCODER = "encoder.json"


@dataclass(frozen=True)
class Entry:
    """One task of a bank: its description (`harness.weights`), and the method's config."""

    task: str
    about: Sidecar
    config: MethodConfig

    @classmethod
    def of(cls, about: Sidecar, *, where: Path) -> Entry:
        method = about["method"]
        try:
            return cls(about["task"], about, METHOD_CONFIGS[method["name"]](**method))
        except (KeyError, TypeError):
            raise UserError(f"{where}: the method {method} is not one of this version") from None


@dataclass(frozen=True)
class Bank:
    """A bank on disk. `encoder` is {title, name, revision, sha256, family, bytes, parameters}."""

    folder: Path
    encoder: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bank:
        """The bank at `path`, or in the folder `bank` of a results folder; `UserError` where there is none."""
        folder = next((folder for folder in (path, path / "bank") if (folder / ENCODER).is_file()), None)
        if folder is None:
            raise UserError(f"there is no bank in {path}; make one with `python -m harness.bank add RESULTS`")
        encoder = read_json(folder / ENCODER)
        if not isinstance(encoder, dict) or not {"name", "sha256", "bytes"} <= encoder.keys():
            raise UserError(f"{folder / ENCODER} does not name an encoder; make the bank anew")
        return cls(folder, encoder)

    @property
    def tasks(self) -> list[str]:
        """Its tasks in GLUE's order."""
        return [name for name in TASKS if (self.folder / f"{name}.json").is_file()]

    def entry(self, task: str) -> Entry:
        """`UserError` for a task that the bank lacks, and where its encoder is not the bank's."""
        path = self.folder / f"{task}.json"
        if task not in self.tasks:
            raise UserError(f"the bank {self.folder} has no task {task!r}; it has {', '.join(self.tasks) or 'none'}")
        about = read_sidecar(path)
        if about["encoder"]["sha256"] != self.encoder["sha256"]:
            raise UserError(
                f"{path} was trained on an encoder with sha256 {about['encoder']['sha256'][:12]}..., the bank is of "
                f"{self.encoder['sha256'][:12]}...; add that task again"
            )
        return Entry.of(about, where=path)

    def path(self, entry: Entry) -> Path:
        return self.folder / entry.about["weights"]["file"]

    def tensors(self, entry: Entry) -> dict[str, Tensor]:
        """The task's weights; `UserError` for a missing, truncated or foreign file."""
        return read_tensors(self.folder, entry.about)

    def checkpoint(self, model: str | None = None) -> Checkpoint:
        """The encoder: where its name leads, or `model` (a folder). `UserError` where that is another one."""
        try:
            checkpoint = find_checkpoint(model or self.encoder["name"], self.encoder.get("revision"))
        except UserError as error:
            raise (
                error if model else UserError(f"the bank's encoder was not found, give --model FOLDER: {error}")
            ) from None
        if checkpoint.sha256 != self.encoder["sha256"]:
            raise UserError(
                f"the encoder {model or self.encoder['name']} has sha256 {checkpoint.sha256[:12]}..., the bank "
                f"{self.folder} was trained on {self.encoder['sha256'][:12]}...; give --model the right one"
            )
        return checkpoint


def add(
    results: Path, folder: Path, *, tasks: Sequence[str], method: str | None, run: str | None, replace: bool,
    model: str | None,
) -> list[str]:  # fmt: skip
    """Put the best stored run of each task into the bank (made where there is none); a line for each.

    Best is the highest score on the rows that choose, then fewer trained parameters. A task that is there already is
    kept unless `replace`; nothing else in the bank is touched. Raises `UserError` before anything is written.
    """
    found = stored_runs(results)
    chosen = _best_of(found, results, tasks=tasks, method=method, run=run)
    encoders = {about["encoder"]["sha256"] for about in chosen}
    if len(encoders) > 1:
        raise UserError(
            f"the runs of {results} are of {len(encoders)} encoders; name those of one with --task and --run"
        )
    bank = Bank.open(folder) if (folder / ENCODER).is_file() else None
    if bank is not None and bank.encoder["sha256"] not in encoders:
        raise UserError(
            f"the bank {folder} is of the encoder {bank.encoder['name']} ({bank.encoder['sha256'][:12]}...), the runs "
            f"of {results} of {chosen[0]['encoder']['name']} ({chosen[0]['encoder']['sha256'][:12]}...); "
            "use another --bank"
        )
    read = [(about, read_tensors(results / "weights", about)) for about in chosen]
    if bank is None:
        bank = Bank(folder, _describe_encoder(chosen[0], model))
        write_json(folder / ENCODER, bank.encoder)
    return [
        _put(bank, about, tensors, read_predictions(results, about["run_id"]), replace=replace)
        for about, tensors in read
    ]


def stored_runs(results: Path) -> list[Sidecar]:
    """Descriptions of all runs whose weights a results folder holds; `UserError` where there is none."""
    found = [read_sidecar(path) for path in sorted((results / "weights").glob("*.json"))]
    if not found:
        raise UserError(f"no trained weights in {results}/weights; run with train.save=best (or all)")
    return found


def contents(bank: Bank) -> Table:
    """What the bank holds and how many megabytes that is, against a full checkpoint for each task."""
    whole = bank.encoder["bytes"]
    rows, sizes = [], []
    for name in bank.tasks:
        entry = bank.entry(name)
        size = bank.path(entry).stat().st_size if bank.path(entry).exists() else 0
        sizes.append((size, entry.config.name == "full"))
        rows.append(
            [
                get_task(name).title,
                _method_text(entry),
                _scores_text(entry),
                f"{entry.about['weights']['parameters']:,}",
                f"{size / 1e6:.2f}",
                f"{100 * size / whole:.2f} %",
            ]
        )
    ours = sum(size for size, _ in sizes) + (0 if sizes and all(full for _, full in sizes) else whole)
    theirs = whole * len(rows)
    rows.append(
        ["Encoder", bank.encoder["title"], "", f"{bank.encoder['parameters']:,}", f"{whole / 1e6:.2f}", "100 %"]
    )
    rows.append(["Together", "", "", "", f"{ours / 1e6:.2f}", f"{ours / whole:.2f}x"])
    rows.append([f"{len(bank.tasks)} full checkpoints", "", "", "", f"{theirs / 1e6:.2f}", f"{len(bank.tasks)}x"])
    notes = [
        "MB: 10^6 bytes on disk. The last column is over the encoder's checkpoint. Scores x 100 of the run that was "
        "stored, on the official evaluation sets.",
    ]
    header = ["Task", "Method", "Score", "Parameters", "MB", "Of encoder"]
    return Table(f"Bank {bank.folder}", header, rows, notes, left=2)


def _best_of(
    found: Iterable[Sidecar], results: Path, *, tasks: Sequence[str], method: str | None, run: str | None
) -> list[Sidecar]:
    wanted = [
        about
        for about in found
        if (not tasks or about["task"] in tasks)
        and method in (None, about["method"]["name"])
        and run in (None, about["run_id"])
    ]
    best: dict[str, Sidecar] = {}
    for about in sorted(wanted, key=_rank):
        best.setdefault(about["task"], about)
    missing = [name for name in tasks if name not in best]
    if missing or not best:
        what = ", ".join(missing) or run or method
        kinds = sorted({f"{about['task']} ({about['method']['name']})" for about in found})
        raise UserError(f"{results}/weights holds no run for {what}; it holds {', '.join(kinds)}")
    for name, chosen in best.items():
        others = {about["chooses_on"] for about in wanted if about["task"] == name}
        if len(others) > 1:
            raise UserError(
                f"the runs of {get_task(name).title} in {results} were chosen on different rows "
                f"({', '.join(sorted(others))}); name one with --run, such as {chosen['run_id']}"
            )
    return [best[name] for name in TASKS if name in best]


def _rank(about: Sidecar) -> tuple[Any, ...]:
    score = about["choice_score"]
    return score is None, -(score or 0.0), about["weights"]["parameters"], about["run_id"]


def _describe_encoder(about: Sidecar, model: str | None) -> dict[str, Any]:
    named = {key: about["encoder"][key] for key in ("title", "name", "revision", "sha256", "family")}
    checkpoint = Bank(Path(), named).checkpoint(model)
    size = weights_file(checkpoint.folder, checkpoint.name).stat().st_size
    has_pooler = about["encoder"]["pooling"] == "pooler"
    return named | {"bytes": size, "parameters": encoder_size(encoder_config(checkpoint), has_pooler=has_pooler)}


def _put(bank: Bank, about: Sidecar, tensors: dict[str, Tensor], predictions: Arrays | None, *, replace: bool) -> str:
    task, title = about["task"], get_task(about["task"]).title
    before = read_sidecar(bank.folder / f"{task}.json") if task in bank.tasks else None
    if before is not None and before["run_id"] == about["run_id"]:
        return f"{title}: {about['run_id']} is there"
    if before is not None and not replace:
        return f"{title}: kept {before['run_id']}; --replace takes {about['run_id']}"
    # A file name of its own for each run: until the description is renamed into place, the old pair stays whole.
    if predictions is not None:
        write_predictions(bank.folder, about["run_id"], predictions)
    written = write_weights(bank.folder, task, tensors, about, file=f"{about['run_id']}.safetensors")
    if before is not None:
        (bank.folder / before["weights"]["file"]).unlink(missing_ok=True)
        predictions_path(bank.folder, before["run_id"]).unlink(missing_ok=True)
    return f"{title}: {about['run_id']}, {written['weights']['bytes'] / 1e6:.2f} MB"


def _method_text(entry: Entry) -> str:
    shown = ALWAYS_SHOWN.get(entry.config.name)
    return method_title(entry.config.name) + (f" ({getattr(entry.config, shown)})" if shown else "")


def _scores_text(entry: Entry) -> str:
    task = get_task(entry.task)
    values = [entry.about["scores"].get(name, {}).get(task.headline) for name in task.evaluation_sets]
    return " / ".join(NOTHING if value is None else f"{100 * value:.1f}" for value in values)
