"""Published numbers beside the measured ones, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from harness.reporting.published import ANCHORS, TABLE_1, TABLE_1_NOTES, Published
from harness.reporting.table import NOTHING, Table


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


def anchors_table(published: Sequence[Published], notes: list[str]) -> Table:
    titles = list(ANCHORS[0].scores)
    rows = [[row.label, *(_published_text(row, title) for title in titles), row.source] for row in published]
    return Table(
        "Published: similar encoders", ["Published (validation)", *titles, "Source"], rows, notes, long_last=True
    )


def _published_text(row: Published, title: str, *, long_names: bool = True) -> str:
    if title not in row.scores:
        return NOTHING
    metric = row.metrics.get(title, "")
    return f"{row.scores[title]:.1f} {metric if long_names else metric[:1]}".strip()
