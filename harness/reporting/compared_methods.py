"""Methods side by side: what each scores on the mean, how much it trains, and how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from harness.records.record import Record
from harness.reporting.bootstrap import Bootstrap, Interval, Spread, mean_of
from harness.reporting.candidates import Candidate
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Column, Row, Scores, method_rows

_FEWEST = 3  # kinds of methods: fewer are compared by the tables of differences


@dataclass(frozen=True)
class Compared:
    """A method over `columns`: `mean` in points, `trained` parameters (mean over tasks, the head included).

    `seconds` of training are those of one run per task, summed; None where they are not comparable, since a run was on
    another device than most. A run in a stack counts its share of the stack's time.
    """

    method: MethodVariant
    row: Row
    columns: list[Column]
    mean: float
    trained: float
    seconds: float | None
    spread: Spread | None

    @property
    def family(self) -> MethodVariant:
        """The method without the setting that scales it."""
        return self.method.without(self.method.scale_field)

    @property
    def kind(self) -> tuple[str | None, ...]:
        """Equal for variants of one method; where adapters are placed makes another."""
        return tuple(self.method.config.get(name) for name in ("name", "type", "placement"))

    @property
    def interval(self) -> Interval | None:
        """Of the mean over rows and seeds; over rows alone where a seed is the only one."""
        return self.spread and (self.spread.interval_with_seeds() or self.spread.interval())


def compared_methods(scores: Scores, bootstrap: Bootstrap | None) -> list[Compared]:
    """The methods with an encoder that have a score in every column of the mean, in row order.

    Empty unless they are of at least three kinds. Without a bootstrap they have no `spread`.
    """
    columns = scores.counted
    if not columns:
        return []
    rows = {method: row for method, row in _rows(scores).items() if not _missing(row, columns)}
    device = _usual_device([record for row in rows.values() for record in _chosen_runs(row, columns)])
    found = [_compared(method, row, columns, device, bootstrap) for method, row in rows.items()]
    return found if len({one.kind for one in found}) >= _FEWEST else []


def without_mean(scores: Scores) -> list[str]:
    """The methods that `compared_methods` leaves out, with the columns where they have no score: 'LoRA (STS-B)'."""
    missing = {row.label: _missing(row, scores.counted) for row in _rows(scores).values()}
    return [f"{label} ({', '.join(titles)})" for label, titles in missing.items() if titles]


def _rows(scores: Scores) -> dict[MethodVariant, Row]:
    """The methods with an encoder, in row order."""
    rows = method_rows(scores.group, scores.columns)
    return {method: row for method, row in rows.items() if all(cell.has_encoder for cell in row.cells.values())}


def _missing(row: Row, columns: list[Column]) -> list[str]:
    """The columns in which the row has no score."""
    return [column.title for column in columns if row.candidate(column) is None]


def _compared(
    method: MethodVariant, row: Row, columns: list[Column], device: str | None, bootstrap: Bootstrap | None
) -> Compared:
    candidates = _by_task(row, columns)
    on_device = all(_device(record) == device for record in _chosen_runs(row, columns))
    seconds = sum(fmean(map(_own_seconds, one.completed)) for one in candidates.values()) if on_device else None
    spreads = (
        [bootstrap.spread(row.candidate(column), column.evaluation_set) for column in columns] if bootstrap else []
    )
    trained = fmean(one.trained for one in candidates.values())
    return Compared(method, row, columns, row.mean(columns), trained, seconds, mean_of(spreads))


def _by_task(row: Row, columns: list[Column]) -> dict[str, Candidate]:
    """MNLI's two columns are one run."""
    return {column.task.name: row.candidate(column) for column in columns}


def _chosen_runs(row: Row, columns: list[Column]) -> list[Record]:
    return [record for candidate in _by_task(row, columns).values() for record in candidate.completed]


def _usual_device(records: list[Record]) -> str | None:
    """The device of most runs."""
    counts = Counter(map(_device, records))
    return max(counts, key=counts.__getitem__) if counts else None


def _device(record: Record) -> str:
    return record["provenance"]["device"]


def _own_seconds(record: Record) -> float:
    return record["time"]["train_seconds"] / len(record["training"]["stack"])
