"""The keys of a run record, schema 2; `harness.records.record` reads and writes them.

A record lies at `<results_dir>/runs/<run_id>.json`. Records that are not completed lack the keys that were not reached.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

SCHEMA = 2  # 1: ids without config and tokenizer of the encoder; scripts/migrate_records.py raises old records

Scores = dict[str, dict[str, float | None]]  # {evaluation set: {metric: value in the metric's own range, or None}}
Status = Literal["running", "completed", "failed", "diverged"]


class Config(TypedDict):
    """What was run: the sections of the run's config without paths, and without what changes no score."""

    task: dict[str, Any]  # {name} of a GLUE task; of any other everything that `harness.tasks.task.task_from` takes
    method: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]  # {source, max_train_rows, max_eval_rows}
    train: dict[str, Any]
    protocol: dict[str, Any]  # {name} and the holdout's fraction and seed


class Protocol(TypedDict):
    """Which evaluation set chooses among runs, and which are reported."""

    chooses_on: str
    reports_on: list[str]


class Parameters(TypedDict):
    """Counts, the task head included."""

    groups: dict[str, dict[str, int]]  # {group: {total, trained}}
    total: int
    trained: int
    encoder: int  # with its pooler, without a head
    encoder_layers: int
    trained_fraction: float  # trained / encoder
    trained_fraction_layers: float  # trained / encoder_layers: the paper's 2.1 %
    total_multiple: float  # of nine such tasks, in encoders: the paper's 1.3x


class Encoder(TypedDict):
    """The pre-trained encoder. `sha256` is that of its weights, `fingerprint` of weights, config and tokenizer."""

    title: str
    name: str
    family: str
    sha256: str
    fingerprint: str
    revision: str | None
    layers: int
    width: int
    pooling: str


class Data(TypedDict):
    """Where the rows came from and how many there were: `rows` used and `available` before limits, by split."""

    source: str
    is_glue: bool  # false for rows that are not GLUE's, whatever the task is called
    fingerprint: str
    rows: dict[str, int]
    available: dict[str, int]


class TrainingEntry(TypedDict):
    """The pass in which the run trained; `stack` are the ids of all its runs."""

    steps: int
    examples: int
    padding_share: float
    stack: list[str]
    history: list[dict[str, Any]]  # {epoch, loss, and scores where every epoch was evaluated}


class Time(TypedDict):
    """ISO 8601 in UTC, and seconds; all seconds are those of the whole stack."""

    started: str
    finished: str
    train_seconds: float
    evaluate_seconds: float
    total_seconds: float
    examples_per_second: float


class Memory(TypedDict):
    """The stack's peak: bytes allocated on the device, or resident in the process."""

    peak_bytes: int
    of: str


class Provenance(TypedDict):
    """The code, packages, device and command that made the record."""

    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    precision: str
    command: str


class Record(TypedDict):
    """One run."""

    schema: int
    run_id: str  # a readable part and a hash of every field that can change a score
    status: Status
    error: str | None  # failed: the exception; diverged: step and loss
    degenerate: bool  # the prediction is constant on an evaluation set
    config: Config
    protocol: NotRequired[Protocol]
    scores: NotRequired[Scores]
    undefined: NotRequired[dict[str, dict[str, str]]]  # {evaluation set: {metric: why its value is null}}
    majority: NotRequired[Scores]  # of the constant prediction of the training majority (regression: the mean)
    parameters: NotRequired[Parameters]
    encoder: NotRequired[Encoder]
    data: NotRequired[Data]
    predictions: NotRequired[dict[str, str]]  # {gold: key of the gold labels}, see harness.records.predictions
    spans: NotRequired[list[dict[str, Any]]]  # {first, last, scores} without the adapters of those layers
    training: NotRequired[TrainingEntry]
    time: NotRequired[Time]
    memory: NotRequired[Memory]
    provenance: NotRequired[Provenance]
    weights: NotRequired[dict[str, Any]]  # of stored runs only: {file, bytes, sha256, parameters}
