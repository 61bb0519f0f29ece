"""Records that several files of tests draw."""

import pytest

from tests.fixtures.make_records import make_record


@pytest.fixture
def tradeoff():
    records = []
    for task, full in (("mrpc", 0.86), ("cola", 0.30), ("rte", 0.60)):
        records.append(make_record(task, "full", full, rate=5e-5))
        records += [
            make_record(task, score=full - loss, size=size) for size, loss in ((1, 0.06), (8, 0.02), (64, 0.01))
        ]
        records += [
            make_record(task, {"name": "top_layers", "layers": k}, full - 0.03 * (3 - k), trained=1_000_000 * k)
            for k in (1, 2, 3)
        ]
        records.append(make_record(task, {"name": "layernorm"}, full - 0.08, trained=10_000))
    return records
