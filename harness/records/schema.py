"""The keys of a run record, schema 2; `harness.records.record` reads and writes them.

A record lies at `<results_dir>/runs/<run_id>.json`. The record of a run that stopped early lacks some keys.
`record.schema.json` is the same as a JSON Schema, written by `scripts/record_schema.py`.
"""

from __future__ import annotations

from typing import (
    Any,
    Literal,
    NotRequired,  # before Python 3.12, pydantic reads no other TypedDict
)

from typing_extensions import TypedDict

SCHEMA = 2  # 1: run ids ignore the encoder's config and tokenizer; scripts/migrate_records.py migrates old records

Scores = dict[str, dict[str, float | None]]  # {scored set: {metric: value in the metric's own range, or None}}
Status = Literal["running", "completed", "failed", "diverged"]


class Config(TypedDict):
    """What was run: the sections of the run's config, without paths and without settings that change no score."""

    task: dict[str, Any]
    """A GLUE task: {name}; any other: all settings that `harness.tasks.task.task_from` takes."""
    method: dict[str, Any]
    model: dict[str, Any]
    """Empty, like `train`, for a method without an encoder."""
    data: dict[str, Any]
    """{source, max_train_rows, max_eval_rows}."""
    train: dict[str, Any]
    protocol: dict[str, Any]
    """{name} and, for the holdout, fraction and seed."""


class Protocol(TypedDict):
    """The selection split, and the splits that are reported."""

    chooses_on: str
    reports_on: list[str]


class Parameters(TypedDict):
    """Parameter counts; the task head is included unless noted.

    Without an encoder, `trained` counts the coefficients of the model, and what is about an encoder is None.
    """

    groups: dict[str, dict[str, int]]
    """{group: {total, trained}}."""
    total: int
    trained: int
    encoder: int | None
    """With its pooler, without a head."""
    encoder_layers: int | None
    trained_fraction: float | None
    """Trained / encoder."""
    trained_fraction_layers: float | None
    """Trained / encoder_layers: the paper's 2.1 %."""
    total_multiple: float | None
    """Nine such tasks as a multiple of the encoder: the paper's 1.3x."""


class Encoder(TypedDict):
    """The pre-trained encoder. `sha256` is of its weights, `fingerprint` of its weights, config and tokenizer."""

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
    """Where the rows came from, and how many of each split were used (`rows`) and `available` before limits."""

    source: str
    is_glue: bool
    """False for rows that are not GLUE's, whatever the task is called."""
    fingerprint: str
    rows: dict[str, int]
    available: dict[str, int]
    reading: NotRequired[dict[str, Any]]
    """Of a task's own rows: read by file, dropped by reason, duplicates."""


class Losses(TypedDict):
    """The learning curve: mean training loss of every `every` steps; the last of the `means` may be of fewer.

    The means of a run that diverged end before the first loss that is not finite.
    """

    every: int
    means: list[float]


class TrainingEntry(TypedDict):
    """How the run was trained; `stack` holds the ids of all runs in its stack."""

    micro_batch_size: NotRequired[int]
    """Where batches were divided."""
    steps: int
    examples: int
    padding_share: float
    stack: list[str]
    history: list[dict[str, Any]]
    """{epoch, loss} and, where every epoch was evaluated, scores."""
    losses: NotRequired[Losses]
    """Records of older versions and of baselines have none."""


class Time(TypedDict):
    """Times in ISO 8601 (UTC) and durations in seconds, all of the whole stack."""

    started: str
    finished: str
    train_seconds: float
    evaluate_seconds: float
    total_seconds: float
    examples_per_second: float


class Memory(TypedDict):
    """The stack's peak memory: allocated on the device, or resident in the process."""

    peak_bytes: int
    of: str


class Provenance(TypedDict):
    """The code, packages, device and command that produced the record; `budget` where one chose the method's size."""

    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    precision: str
    command: str
    budget: NotRequired[str]


class Weights(TypedDict):
    """A file of trained tensors next to the record of a stored run."""

    file: str
    bytes: int
    sha256: str
    parameters: int


class Record(TypedDict):
    """One run. Files have its keys in this order."""

    schema: int
    run_id: str
    """A readable part and a hash of every field that can change a score."""
    status: Status
    error: str | None
    """Failed: the exception; diverged: where."""
    degenerate: bool
    """The predictions on some scored set are constant."""
    scores: NotRequired[Scores]
    """{scored set: {metric: value in the metric's own range}}; null where it is undefined."""
    undefined: NotRequired[dict[str, dict[str, str]]]
    """{scored set: {metric: why its value is null}}."""
    majority: NotRequired[Scores]
    """Scores of the constant answer: the most frequent training label, or the mean score."""
    protocol: NotRequired[Protocol]
    config: Config
    encoder: NotRequired[Encoder]
    """None for a method without one."""
    data: NotRequired[Data]
    parameters: NotRequired[Parameters]
    time: NotRequired[Time]
    memory: NotRequired[Memory]
    training: NotRequired[TrainingEntry]
    predictions: NotRequired[dict[str, str]]
    """{gold: key of the gold labels, sha256: of the file's values}; see harness.records.predictions."""
    spans: NotRequired[list[dict[str, Any]]]
    """{first, last, scores}: without the adapters of those layers."""
    grid: NotRequired[dict[str, Any]]
    """method=tfidf: {chosen: a point, tried: all points with their selection scores}."""
    provenance: NotRequired[Provenance]
    imported: NotRequired[dict[str, Any]]
    """In a bank, of a LoRA that peft has trained: {folder, peft_version}."""
    weights: NotRequired[Weights]
    """Of stored runs only."""
