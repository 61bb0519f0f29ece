"""Published numbers with their sources, to compare measured ones with. Scores are in points (0 to 100)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.reporting.table import NOTHING, Table

HOULSBY = "Houlsby et al. 2019, arXiv 1902.00751"


@dataclass(frozen=True)
class Published:
    """One published row. `scores` is by column title; `metrics` names the metric where it is stated and unexpected."""

    label: str
    encoder: str
    split: str
    source: str
    scores: dict[str, float]
    metrics: dict[str, str] = field(default_factory=dict)
    total_multiple: float | None = None
    trained_percent: float | None = None
    total: float | None = None
    # Encoder titles that this row is an anchor for; None: shown with every encoder.
    encoders: str | None = None

    @property
    def column_mean(self) -> float:
        return sum(self.scores.values()) / len(self.scores)


def _by_column(columns: str, *scores: float | None) -> dict[str, float]:
    return {name: score for name, score in zip(columns.split(), scores, strict=True) if score is not None}


_TABLE_1 = {"encoder": "BERT-large", "split": "test, GLUE server", "source": f"{HOULSBY}, Table 1"}
_TABLE_1_COLUMNS = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE"

TABLE_1: tuple[Published, ...] = (
    Published(
        "Full fine-tuning, BERT-large",
        scores=_by_column(_TABLE_1_COLUMNS, 60.5, 94.9, 89.3, 87.6, 72.1, 86.7, 85.9, 91.1, 70.1),
        metrics={"STS-B": "Pearson"},
        total_multiple=9.0,
        trained_percent=100.0,
        total=80.4,
        **_TABLE_1,
    ),
    Published(
        "Adapters (8-256), BERT-large",
        scores=_by_column(_TABLE_1_COLUMNS, 59.5, 94.0, 89.5, 86.9, 71.8, 84.9, 85.1, 90.7, 71.5),
        total_multiple=1.3,
        trained_percent=3.6,
        total=80.0,
        **_TABLE_1,
    ),
    Published(
        "Adapters (64), BERT-large",
        scores=_by_column(_TABLE_1_COLUMNS, 56.9, 94.2, 89.6, 87.3, 71.8, 85.3, 84.6, 91.4, 68.8),
        total_multiple=1.2,
        trained_percent=2.1,
        total=79.6,
        **_TABLE_1,
    ),
)

TABLE_1_NOTES = (
    f"Source: {HOULSBY}, Table 1; BERT-large (24 layers), chosen on validation, scored on the test sets by the GLUE "
    "server. Not comparable with validation scores of another encoder; shown for the gap between the methods.",
    "GLUE score is the paper's 'Total', the server's score: it includes WNLI and averages both metrics of the "
    "two-metric tasks. Mean is the plain mean of the nine columns, the counterpart of Mean above.",
    "STS-B 87.6 P of full fine-tuning is a Pearson value (its Spearman is 86.5). "
    "QNLI is the first version of that test set.",
    "The paper's trained share divides by the parameters of the encoder layers (302.3 M); over all 335.1 M "
    "parameters size 64 is 1.92 %, not 2.1 %.",
)

# Section 3 of the paper: mean validation accuracy over the eight classification tasks, BERT-large, by adapter size.
MEAN_BY_SIZE = {8: 86.2, 64: 85.8, 256: 85.7}
MEAN_BY_SIZE_NOTE = (
    f"For comparison, {HOULSBY}, section 3.6: mean validation accuracy of BERT-large over its eight classification "
    "tasks is " + ", ".join(f"{score} at size {size}" for size, score in MEAN_BY_SIZE.items()) + "."
)


@dataclass(frozen=True)
class Claim:
    """What the paper reports to be at most `margin` points below full fine-tuning on the mean.

    `sizes` are the bottleneck sizes that it is about; of several, the best per task.
    """

    margin: float
    who: str
    sizes: tuple[int, ...]


# Abstract and section 3.2: GLUE scores 80.0 and 79.6 against 80.4.
CLAIMS = (Claim(0.4, "adapters of the best size", (8, 64, 256)), Claim(0.8, "adapters of size 64", (64,)))


@dataclass(frozen=True)
class TradeoffPoint:
    """A quoted point of the trade-off curve: trained parameters, score minus full fine-tuning in points."""

    label: str
    trained: float
    difference: float


# Section 3.4 of the paper, BERT-base: MNLI-m validation accuracy 77.8 (top layer), 83.7 (size 64), 84.4 (full).
TRADEOFF_POINTS = (
    TradeoffPoint("paper: top layer, MNLI-m", 9e6, 77.8 - 84.4),
    TradeoffPoint("paper: adapters (64), MNLI-m", 2e6, 83.7 - 84.4),
    TradeoffPoint("paper: LayerNorms, MNLI", 40e3, -4.0),
    TradeoffPoint("paper: LayerNorms, CoLA accuracy", 40e3, -3.5),
)

# Section 3.5, BERT-large: trained parameters with a span head, validation F1 on SQuAD v1.1, label.
SQUAD_POINTS = (
    (348_258, 89.9, "paper: adapters (2)"),
    (6_446_082, 90.4, "paper: adapters (64)"),
    (334_094_338, 90.7, "paper: full fine-tuning"),
)

_COLUMNS = "MNLI QNLI QQP SST-2 MRPC STS-B CoLA RTE"
BERT_BASE = r"\bbert-base"  # not distilbert-base, not roberta-base
_ADAPTERHUB = {"encoder": "BERT-base", "split": "validation", "encoders": BERT_BASE, "metrics": {"MRPC": "F1"}}
_LORA = {"encoder": "RoBERTa-large", "split": "validation", "encoders": r"\broberta-large", "source": "LoRA paper"}
_LORA_METRICS = {"MRPC": "acc", "STS-B": "Pearson"}

ANCHORS: tuple[Published, ...] = (
    Published(
        "Full fine-tuning, BERT-base",
        scores=_by_column(_COLUMNS, 84.1, 91.3, 91.4, 92.6, 90.5, 88.8, 59.5, 66.2),
        source="AdapterHub paper",
        **_ADAPTERHUB,
    ),
    Published(
        "Adapters (Houlsby, 48), BERT-base",
        scores=_by_column(_COLUMNS, 84.1, 91.2, 90.8, 92.8, 91.5, 89.2, 59.1, 69.8),
        source="AdapterHub paper",
        **_ADAPTERHUB,
    ),
    Published(
        "Adapters (64), BERT-base, 3e-4, 5 epochs; ±2",
        encoder="BERT-base",
        split="validation",
        source="google-research/adapter-bert README",
        scores={"MRPC": 85.8},
        metrics={"MRPC": "acc"},
        encoders=BERT_BASE,
    ),
    Published(
        "Adapters (Houlsby), DistilBERT",
        encoder="DistilBERT",
        split="validation",
        source="AdapterHub",
        scores=_by_column(_COLUMNS, 82.1, 88.7, 90.0, 90.7, 85.9, 85.8, 51.9, 60.2),
        metrics={"MRPC": "acc"},
        encoders=r"distilbert",
    ),
    Published(
        "Full fine-tuning, RoBERTa-large",
        scores=_by_column(_COLUMNS, 90.2, 94.7, 92.2, 96.4, 90.9, 92.4, 68.0, 86.6),
        metrics=_LORA_METRICS,
        **_LORA,
    ),
    Published(
        "Adapters (Houlsby, 64; 6.0 M), RoBERTa-large",
        scores=_by_column(_COLUMNS, 89.9, 94.7, 92.1, 96.2, 88.7, 91.0, 66.5, 83.4),
        metrics=_LORA_METRICS,
        **_LORA,
    ),
    Published(
        "Full fine-tuning, MiniLM-L6-H384 (another checkpoint, upper reference)",
        encoder="MiniLM-L6-H384 (Microsoft)",
        split="validation",
        source="Microsoft's MiniLM release",
        scores=_by_column(_COLUMNS, 83.3, 90.5, 90.6, 91.5, 88.9, None, 47.5, 68.8),
        encoders=r"minilm.?l6",
    ),
)

ANCHOR_NOTE = (
    "Validation scores that others published. F1, acc and Pearson are named where they are known; a cell without a "
    "name may be in another metric than the column above (QQP accuracy instead of F1), and MNLI may be either set."
)


def anchors_for(encoder_title: str) -> list[Published]:
    """The published rows for encoders of that kind, found by name; there may be none."""
    return [row for row in ANCHORS if row.encoders and re.search(row.encoders, encoder_title.lower())]


def paper_table() -> Table:
    titles = list(TABLE_1[0].scores)
    header = ["Published (test)", "Total (9)", "Trained", *titles, "Mean", "GLUE score"]
    rows = [
        [row.label, f"{row.total_multiple:.1f}x", f"{row.trained_percent:.3g} %"]
        + [_published_text(row, title, long_names=False) for title in titles]
        + [f"{row.column_mean:.1f}", f"{row.total:.1f}"]
        for row in TABLE_1
    ]
    return Table("Published: Table 1 of the paper", header, rows, list(TABLE_1_NOTES))


def anchors_table(published: Sequence[Published]) -> Table:
    titles = list(ANCHORS[0].scores)
    header = ["Published (validation)", *titles, "Source"]
    rows = [[row.label, *(_published_text(row, title) for title in titles), row.source] for row in published]
    return Table("Published: similar encoders", header, rows, [ANCHOR_NOTE], long_last=True)


def _published_text(row: Published, title: str, *, long_names: bool = True) -> str:
    if title not in row.scores:
        return NOTHING
    metric = row.metrics.get(title, "")
    return f"{row.scores[title]:.1f} {metric if long_names else metric[:1]}".strip()
