"""CoLA's scores on sentences from the training set's publications, on those from others, and on held-out rows.

    python -m scripts.cola_domains RESULTS --data-path GLUE     # default: GLUE_DIR; writes RESULTS/cola_domains.md

Half of CoLA's validation set is from publications of which the training set has no sentence (Warstadt et al. 2019),
so held-out training rows may be easier. The official files say where each sentence is from. Predictions are those of
the finished runs; nothing is trained.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.commands.arguments import Parser
from harness.data.sources import resolve
from harness.data.sources.glue_folder import GlueFolder, cola_sources
from harness.data.splits import split_rows
from harness.errors import UserError, writing
from harness.records.predictions import gold_key, predictions_of
from harness.records.record import Record, load_records
from harness.reporting.bootstrap import LEVEL, Interval, Spread, difference, spread_of
from harness.reporting.candidates import Candidate, Score
from harness.reporting.documents import section
from harness.reporting.groups import Group, comparable_groups
from harness.reporting.method_names import short_value
from harness.reporting.resampled import RESAMPLES, resampled_scores
from harness.reporting.table import NOTHING, Table, number
from harness.tasks.glue import TASKS
from harness.tasks.metrics import METRICS
from harness.tasks.protocols import HOLDOUT, scored_sets

TASK = TASKS["cola"]
FILE = "cola_domains.md"
VALIDATION = TASK.evaluation_sets[0]
HELD_OUT, WHOLE, IN_DOMAIN, OUT_OF_DOMAIN = "Held-out", "Validation", "In-domain", "Out-of-domain"
GAPS = ((HELD_OUT, WHOLE), (HELD_OUT, IN_DOMAIN), (IN_DOMAIN, OUT_OF_DOMAIN))


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of an evaluation set: their places `[n]` in it, their gold labels `[n]` and their sources `[n]`.

    `stream` names the resamples, which are independent of those of other parts; a whole set has the reporter's.
    """

    evaluation_set: str
    stream: str
    places: np.ndarray
    gold: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True)
class Scored:
    """A score or a gap in points, the standard deviation over seeds (None: of one seed, or a gap) and its spread."""

    points: float
    std: float | None
    spread: Spread

    def minus(self, other: Scored) -> Scored:
        return Scored(self.points - other.points, None, difference(self.spread, other.spread))

    @property
    def text(self) -> str:
        deviation = "" if self.std is None else f" ±{number(self.std)}"
        return f"{number(self.points)}{deviation} {_bounds(self.spread.interval())}"

    @property
    def gap_texts(self) -> tuple[str, str]:
        """The gap with its interval over rows, and the interval over rows and seeds."""
        wide = self.spread.interval_with_seeds()
        return f"{number(self.points, '+.1f')} {_bounds(self.spread.interval())}", _bounds(wide) if wide else NOTHING


def domain_tables(results: Path, folder: GlueFolder) -> list[Table]:
    """Rows, scores and gaps of each group of comparable runs of CoLA, three tables per group.

    Raises `UserError` where there is no run of CoLA or the folder has other rows than those that the runs were scored
    on.
    """
    records = [record for record in load_records(results) if record["config"]["task"]["name"] == TASK.name]
    groups = comparable_groups([record for record in records if record["status"] == "completed"])
    if not groups:
        raise UserError(f"{results} has no finished run of {TASK.title}; train one with task={TASK.name}")
    sources = cola_sources(folder)
    return [table for group in groups for table in _tables_of(results, folder, sources, group)]


def _tables_of(results: Path, folder: GlueFolder, sources: dict[str, list[str]], group: Group) -> list[Table]:
    parts = parts_of(folder, sources, group)
    compared = [pair for pair in GAPS if {*pair} <= {*parts}]
    scores, gaps = [], []
    chosen: list[list[Scored]] = []
    for cell in group.ordered_cells:
        for candidate in sorted(cell.candidates, key=lambda one: (one.learning_rate or 0, one.epochs or 0, one.key)):
            found = {name: _scored(results, folder, candidate, part) for name, part in parts.items()}
            between = [found[ours].minus(found[theirs]) for ours, theirs in compared]
            if candidate is cell.chosen:
                chosen.append(between)
            settings = [NOTHING if v is None else short_value(v) for v in (candidate.learning_rate, candidate.epochs)]
            labels = [group.label_of(cell), *settings, str(len(candidate.completed))]
            choice = "chosen" if candidate is cell.chosen else ""
            scores.append([*labels, *(one.text for one in found.values()), choice])
            gaps.append([*labels, *(text for one in between for text in one.gap_texts), choice])
    if has_mean := len(chosen) > 1:
        means = [text for of_one in zip(*chosen, strict=True) for text in _mean(of_one).gap_texts]
        gaps.append([f"Mean of the chosen ({len(chosen)})", "", "", "", *means, ""])
    header = ["Method", "Rate", "Epochs", "Runs"]
    score_notes, gap_notes = [_SCORES_NOTE], [_GAPS_NOTE]
    if HELD_OUT in parts:
        score_notes.append(_HELD_OUT_NOTE)
        gap_notes.append(_REST_NOTE)
    titles = [text for ours, theirs in compared for text in (f"{ours} − {theirs.lower()}", "Rows and seeds")]
    return [
        _rows_table(group, parts),
        Table(f"Scores: {group.title}", [*header, *parts, "Choice"], scores, score_notes),
        Table(f"Gaps: {group.title}", [*header, *titles, "Choice"], gaps, gap_notes, foot=int(has_mean)),
    ]


def parts_of(folder: GlueFolder, sources: dict[str, list[str]], group: Group) -> dict[str, Part]:
    """The parts of the evaluation sets by name, those without a row left out.

    `UserError` where a run of the group was scored on other rows.
    """
    limits = {"max_train_rows": group.key.max_train_rows, "max_eval_rows": group.key.max_eval_rows}
    rows = split_rows(folder.load(TASK), TASK, group.protocol, **limits)
    names = scored_sets(group.protocol["name"], TASK)
    gold = {name: TASK.kind.compact_gold(np.asarray(rows[name]["label"])) for name in names}
    for record in group.records:
        _check_rows(folder, record, gold)
    training = {sources["train"][i] for i in rows["train"]["idx"]}

    def part(name: str, split: str, *, seen: bool | None = None) -> Part:
        found = np.array([sources[split][i] for i in rows[name]["idx"]])
        is_seen = np.array([source in training for source in found])
        places = np.flatnonzero(np.ones(len(found), bool) if seen is None else is_seen == seen)
        stream = f"{TASK.name} {name} {len(found)}{'' if seen is None else f' seen={seen}'}"
        return Part(name, stream, places, gold[name][places], found[places])

    parts = {HELD_OUT: part(HOLDOUT, "train")} if HOLDOUT in gold else {}
    parts |= {
        WHOLE: part(VALIDATION, VALIDATION),
        IN_DOMAIN: part(VALIDATION, VALIDATION, seen=True),
        OUT_OF_DOMAIN: part(VALIDATION, VALIDATION, seen=False),
    }
    return {name: part for name, part in parts.items() if len(part.places)}


def _check_rows(folder: GlueFolder, record: Record, gold: dict[str, np.ndarray]) -> None:
    scored = {name: record["data"]["rows"].get(name) for name in gold}
    for name, count in scored.items():
        if count != len(gold[name]):
            raise UserError(
                f"run {record['run_id']} was scored on {count} rows of {name}, and the files of {TASK.title} in "
                f"{folder.path} have {len(gold[name])}; give the folder that it was trained on"
            )
    if (record.get("predictions") or {}).get("gold") != gold_key(TASK, gold):
        raise UserError(
            f"run {record['run_id']} was scored on other gold labels than those of {TASK.title} in {folder.path}; "
            "give the folder that it was trained on"
        )


def _scored(results: Path, folder: GlueFolder, candidate: Candidate, part: Part) -> Scored:
    """The mean headline score over a candidate's seeds on a part."""
    predictions = np.stack([_predictions(results, folder, record, part) for record in candidate.completed])
    values = [100 * METRICS[TASK.headline].compute(one, part.gold) for one in predictions]
    score = Score.of(values)
    drawn = 100 * resampled_scores(TASK.headline, predictions, part.gold, zlib.crc32(part.stream.encode()))
    seeds = [record["config"].get("train", {}).get("seed") for record in candidate.completed]
    return Scored(score.mean, score.std, spread_of(drawn, np.array(values), f"{TASK.name} {seeds}"))


def _predictions(results: Path, folder: GlueFolder, record: Record, part: Part) -> np.ndarray:
    """The predictions `[n]` of a run on a part."""
    found = (predictions_of(results, record) or {}).get(part.evaluation_set)
    if found is None:
        raise UserError(
            f"{results}/predictions has no usable {record['run_id']}.npz; move its record away and train it again"
        )
    expected = record["data"]["rows"][part.evaluation_set]
    if len(found) != expected:
        raise UserError(
            f"run {record['run_id']} has {len(found)} predictions of {part.evaluation_set}, and {folder.path} has "
            f"{expected} rows"
        )
    return found[part.places]


def _rows_table(group: Group, parts: dict[str, Part]) -> Table:
    lines = [
        [name, f"{len(part.gold):,}", str(len({*part.sources})), f"{part.gold.mean():.1%}"]
        for name, part in parts.items()
    ]
    notes = []
    if OUT_OF_DOMAIN in parts:
        counts = Counter(parts[OUT_OF_DOMAIN].sources.tolist()).most_common()
        notes = [f"Sources without a training row: {', '.join(f'{name} ({count})' for name, count in counts)}."]
    return Table(f"Rows: {group.title}", ["Part", "Rows", "Sources", "Acceptable"], lines, notes)


def _mean(gaps: Sequence[Scored]) -> Scored:
    """The mean of gaps between the same rows, with its spread over those rows alone."""
    spread = Spread(np.mean([one.spread.rows for one in gaps], axis=0))
    return Scored(float(np.mean([one.points for one in gaps])), None, spread)


def _bounds(bounds: Interval) -> str:
    return f"[{', '.join(map(number, bounds))}]"


_SCORES_NOTE = (
    f"Matthews correlation × 100, mean over the runs ± their standard deviation; in brackets: {LEVEL:.0%} bootstrap "
    f"interval over the rows ({RESAMPLES:,} resamples). In-domain rows are those of the validation set whose source "
    "has training rows; the others are out-of-domain."
)
_HELD_OUT_NOTE = (
    "Held-out rows are training rows on which no run trained. They are the selection split, so that the chosen "
    "candidate's score on them is optimistic."
)
_GAPS_NOTE = f"In points; in brackets: {LEVEL:.0%} bootstrap interval over the rows; next to it: over rows and seeds."
_REST_NOTE = "The first gap less the second is what the out-of-domain rows take from the validation score."


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0, or 2 with one line on stderr for what the user can fix."""
    options = _parser().parse_args(arguments)
    try:
        tables = domain_tables(options.results, resolve(source="local", path=options.data_path))
        text = "\n".join([f"# {TASK.title} by domain", "", *map(section, tables)])
        out = options.out or options.results / FILE
        with writing(f"--out={out}"):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text, encoding="utf-8")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m scripts.cola_domains", description=__doc__.splitlines()[0])
    parser.add_argument("results", metavar="RESULTS", type=Path, help="a results_dir with runs of CoLA")
    parser.add_argument("--data-path", metavar="DIR", help="the folder of GLUE's official files (default: GLUE_DIR)")
    parser.add_argument("--out", metavar="FILE", type=Path, help=f"where the tables go (default: RESULTS/{FILE})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
