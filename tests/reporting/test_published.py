"""Published numbers as tables."""

from __future__ import annotations

import pytest

from harness.reporting.published import MEAN_BY_SIZE, TABLE_1, anchors_for, anchors_table, paper_table


def test_paper_rows_are_those_of_table_1():
    assert [round(row.column_mean, 1) for row in TABLE_1] == [82.0, 81.5, 81.1]
    assert [row.total for row in TABLE_1] == [80.4, 80.0, 79.6]
    assert MEAN_BY_SIZE == {8: 86.2, 64: 85.8, 256: 85.7}
    table = paper_table()
    assert table.rows[0][table.header.index("STS-B")] == "87.6 P"
    assert any("1902.00751" in note for note in table.notes)


@pytest.mark.parametrize(
    ("title", "encoders"),
    [
        ("all-MiniLM-L6-v2", {"MiniLM-L6-H384 (Microsoft)"}),
        ("bert-base-uncased", {"BERT-base"}),
        ("google-bert/bert-base-uncased", {"BERT-base"}),
        ("distilbert-base-uncased", {"DistilBERT"}),
        ("roberta-large", {"RoBERTa-large"}),
        ("roberta-base", set()),
        ("a tiny random encoder", set()),
    ],
)
def test_anchors_are_those_of_the_same_kind_of_encoder(title, encoders):
    assert {row.encoder for row in anchors_for(title)} == encoders


def test_anchor_metrics_are_named():
    table = anchors_table(anchors_for("roberta-large"))
    assert table.rows[0][table.header.index("MRPC")] == "90.9 acc"
