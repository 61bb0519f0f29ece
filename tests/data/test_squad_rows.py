"""Rows of span tasks: synthetic ones, whole articles held out, and where `auto` looks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from harness.data.sources import find_rows, of_task
from harness.data.sources.glue_folder import GlueFolder
from harness.data.sources.squad import SquadFolder, SquadHub, SquadSynthetic
from harness.data.splits import hold_out_articles, split_rows
from harness.errors import UserError
from harness.tasks.task import task_from
from tests.fixtures.tiny_squad import write_squad

TASK = task_from({"name": "squad", "kind": "span"})


def test_synthetic_rows_are_the_same_everywhere_and_hold_their_answers():
    rows = SquadSynthetic().load(TASK)
    text = json.dumps([rows[split][:] for split in rows], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "a685ce8873b396ba"
    for split, many in (("train", 1), ("validation", 2)):
        for row in rows[split]:
            assert len(row["label"]["text"]) == many
            for answer, start in zip(row["label"]["text"], row["label"]["start"], strict=True):
                assert row["sentence2"][start : start + len(answer)] == answer
        questions = set(zip(rows[split]["sentence1"], rows[split]["sentence2"], strict=True))
        assert len(questions) == len(rows[split]) > 150
    assert not {*rows["train"]["sentence2"]} & {*rows["validation"]["sentence2"]}


def test_whole_articles_are_held_out_by_seed():
    rows = SquadSynthetic().load(TASK)["train"]
    train, held_out = hold_out_articles(rows, fraction=0.1, seed=0)
    assert not {*train["article"]} & {*held_out["article"]}
    assert sorted([*train["idx"], *held_out["idx"]]) == list(range(len(rows)))
    assert len(held_out) / len(rows) == pytest.approx(0.1, abs=0.02)
    assert {*hold_out_articles(rows, fraction=0.1, seed=1)[1]["article"]} != {*held_out["article"]}
    assert len({*hold_out_articles(rows, fraction=0.999, seed=0)[0]["article"]}) == 1
    one = rows.select(np.flatnonzero(np.array(rows["article"]) == rows["article"][0]))
    with pytest.raises(UserError, match="the training rows have one only"):
        hold_out_articles(one, fraction=0.1, seed=0)


def test_the_protocol_holds_out_articles():
    loaded = SquadSynthetic().load(TASK)
    protocol = {"name": "holdout", "fraction": 0.2, "seed": 0}
    rows = split_rows(loaded, TASK, protocol, max_train_rows=None, max_eval_rows=50)
    assert not {*rows["train"]["article"]} & {*rows["holdout"]["article"]}
    assert len(rows["validation"]) == 50


def test_sources_of_spans_are_their_own(tmp_path, monkeypatch):
    folder = write_squad(tmp_path)
    assert isinstance(find_rows("local", str(folder), None, TASK)[0], SquadFolder)
    assert isinstance(find_rows("auto", str(folder), None, TASK)[0], SquadFolder)
    assert isinstance(find_rows("hub", None, None, TASK)[0], SquadHub)
    assert isinstance(of_task(GlueFolder(str(folder), ""), TASK), SquadFolder)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"data\.path is not given, and rajpurkar/squad.*HF_HUB_OFFLINE"):
        find_rows("auto", None, None, replace(TASK, title="Other"))
    with pytest.raises(UserError, match="is not a full commit hash"):
        find_rows("hub", None, "main", TASK)


def test_the_fingerprint_is_that_of_the_files(tmp_path):
    source = SquadFolder(str(write_squad(tmp_path)), "")
    before = source.fingerprint(TASK)
    (tmp_path / "dev-v1.1.json").write_text((tmp_path / "dev-v1.1.json").read_text() + " ")
    assert source.fingerprint(TASK) != before
