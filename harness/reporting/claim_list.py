"""The paper's statements, as data: what each says, the figure it gives, and how it is judged on other runs.

Where the paper states a bound, that is the margin. Where it gives a gap, a method is "behind" if the gap is more than
half as large here. "Hardly matters" is 1 point, or the 2 % that the paper allows a single layer.
"""

from __future__ import annotations

from harness.reporting.analysis_claims import (
    InitFlat,
    InitWorse,
    Removed,
    StableRates,
    all_against_majority,
    lowest_layers,
    worst_single_layer,
)
from harness.reporting.claims import Claim, Compared, SameAcrossSizes, TotalAtMost, TrainedRatio
from harness.reporting.judging import Region
from harness.reporting.published import CLAIMS, HOULSBY, MEAN_BY_SIZE, SQUAD_POINTS, TABLE_1
from harness.reporting.published_tasks import AVERAGES, TASK_SCORES, TOTALS

NINE = tuple(TABLE_1[0].scores)  # titles of columns
_CLASSIFICATION = tuple(title for title in NINE if title != "STS-B")
_SIZES = tuple(MEAN_BY_SIZE)
_TOP_LAYER = {"name": "top_layers", "layers": 1}
_LAYERNORMS = {"name": "layernorm"}
_GLUE = "make reproduce-glue SCALE=minilm"
_TRADEOFF = "make tradeoff SCALE=minilm ARGS='task=cola,mnli'"
_ABLATION = "make ablation SCALE=minilm ARGS='task=cola,mnli'"
_INIT = "make init_scale SCALE=minilm ARGS='task=cola,mnli'"
_F1 = {size: f1 for size, (_, f1, _) in zip((2, 64), SQUAD_POINTS, strict=False)}
_FULL_F1 = SQUAD_POINTS[-1][1]

# The two statements about the mean of Table 1, which the tables of differences show as well.
ON_THE_MEAN: tuple[Compared, ...] = tuple(
    Compared(
        statement=f"Within {claim.margin:g} points of full fine-tuning on the mean ({claim.who})",
        section="abstract, 3.2",
        paper=f"GLUE score {ours.total:.1f} against {TABLE_1[0].total:.1f}",
        command=_GLUE,
        region=Region.within(claim.margin),
        columns=NINE,
        sizes=claim.sizes,
    )
    for claim, ours in zip(CLAIMS, TABLE_1[1:], strict=True)
)

ALL: tuple[Claim, ...] = (
    *ON_THE_MEAN,
    TotalAtMost(
        statement="The models of nine tasks together have 1.3 times the encoder's parameters (full fine-tuning: 9)",
        section="abstract, 3.2",
        paper="1.3x",
        command=_GLUE,
        most=1.35,  # rounds to 1.3
        columns=NINE,
        sizes=_SIZES,
    ),
    SameAcrossSizes(
        statement="The size hardly matters (mean accuracy of the eight classification columns)",
        section="3.6",
        paper=", ".join(f"{score} (size {size})" for size, score in MEAN_BY_SIZE.items()),
        command=_GLUE,
        region=Region.same(1),
        columns=_CLASSIFICATION,
        sizes=_SIZES,
        metric="accuracy",
    ),
    Compared(
        statement="The top layer alone falls far behind adapters (64) on MNLI-m",
        section="3.4",
        paper="77.8 against 83.7",
        command=_TRADEOFF,
        region=Region.behind(round((83.7 - 77.8) / 2, 2)),
        columns=("MNLI-m",),
        sizes=(64,),
        method=_TOP_LAYER,
        against={},
    ),
    TrainedRatio(
        statement="... though it trains four times as many parameters",
        section="3.4",
        paper="9 M against 2 M",
        command=_TRADEOFF,
        least=3.5,  # rounds to 4
        columns=("MNLI-m",),
        sizes=(64,),
        method=_TOP_LAYER,
        against={},
    ),
    Compared(
        statement="Adapters (64) come within a point of full fine-tuning on MNLI-m",
        section="3.4",
        paper="83.7 against 84.4",
        command=_TRADEOFF,
        region=Region.within(1),
        columns=("MNLI-m",),
        sizes=(64,),
    ),
    *(
        Compared(
            statement=f"LayerNorms alone fall behind full fine-tuning on {column} (accuracy)",
            section="3.4",
            paper=f"about −{loss:g}",
            command=_TRADEOFF,
            region=Region.behind(loss / 2),
            columns=(column,),
            method=_LAYERNORMS,
            metric="accuracy",
        )
        for column, loss in (("CoLA", 3.5), ("MNLI-m", 4.0))
    ),
    *(
        Removed(
            statement=f"Removing the adapters of any single layer costs at most 2 % of {column} accuracy",
            section="3.6",
            paper="at most 2 %",
            command=_ABLATION,
            column=column,
            change=worst_single_layer,
            unit="% at the worst layer",
            region=Region.within(2),
        )
        for column in ("MNLI-m", "CoLA")
    ),
    *(
        Removed(
            statement=f"Removing all adapters leaves the majority class on {column}",
            section="3.6",
            paper=f"accuracy {accuracy} %",
            command=_ABLATION,
            column=column,
            change=all_against_majority,
            unit="points against the majority class",
            region=Region.same(1),
        )
        for column, accuracy in (("MNLI-m", 37), ("CoLA", 69))
    ),
    Removed(
        statement="The adapters of the lower layers hardly matter on MNLI-m (5 of 12 layers)",
        section="3.6",
        paper="layers 0 to 4: little change",
        command=_ABLATION,
        column="MNLI-m",
        change=lowest_layers,
        unit="% without them",
        region=Region.within(2),
    ),
    *(
        InitFlat(
            statement=f"The scale of initialisation does not matter below 1e-2 on {column} (accuracy)",
            section="3.6",
            paper="flat from 1e-7 to 1e-2",
            command=_INIT,
            column=column,
            region=Region.same(1),
        )
        for column in ("MNLI-m", "CoLA")
    ),
    InitWorse(
        statement="A larger scale is worse, on MNLI-m (accuracy)",
        section="3.6",
        paper="falls above 1e-2",
        command=_INIT,
        columns=("MNLI-m",),
        region=Region.behind(1),
    ),
    InitWorse(
        statement="... and more so on CoLA than on MNLI-m",
        section="3.6",
        paper="falls faster",
        command=_INIT,
        columns=("CoLA", "MNLI-m"),
        region=Region.behind(0),
    ),
    StableRates(
        statement="Adapters (64) vary less over learning rates than full fine-tuning",
        section="supplement B",
        paper="a figure without a bound, rates from 2e-5 to 1e-3",
        command="make robustness SCALE=minilm ARGS='train.learning_rate=3e-5,1e-4,3e-4,1e-3'",
        sizes=(64,),
        region=Region.behind(0),
    ),
    *(
        Compared(
            statement=f"SQuAD: adapters of size {size} within {margin:g} F1 of full fine-tuning",
            section="3.5",
            paper=f"{_F1[size]} against {_FULL_F1}",
            command="make squad SCALE=minilm",
            region=Region.within(margin),
            columns=("squad",),
            sizes=(size,),
        )
        for size, margin in ((64, 0.3), (2, 0.8))
    ),
    Compared(
        statement="Seventeen further tasks: adapters within 0.4 points of full fine-tuning on average",
        section="3.3",
        paper=f"{AVERAGES['adapter']} against {AVERAGES['full']}, training {TOTALS['adapter'][1]} % per task",
        command="make further-tasks SCALE=minilm ARGS='data=local data.path=FOLDER'",
        region=Region.within(0.4),
        columns=tuple(TASK_SCORES),
        sizes=(2, 4, 8, 16, 32, 64),
    ),
)

SOURCE = f"{HOULSBY}; BERT-large for GLUE's table, the sizes and SQuAD, BERT-base for all else"
