"""Only the first table falls back on synthetic data, and it says so."""

import pytest

from scripts import reproduce


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_first_table_falls_back_on_synthetic_data_and_says_why(capsys):
    assert reproduce.fallback("glue", "quick", ["train.epochs=1"]) == ["data=synthetic"]
    printed = capsys.readouterr().out
    assert "HF_HUB_OFFLINE is set" in printed and "not GLUE" in printed


def test_data_that_is_there_or_named_is_kept(monkeypatch, tmp_path):
    assert reproduce.fallback("glue", "quick", ["data=hub"]) == []
    assert reproduce.fallback("glue", "quick", ["data.source=local"]) == []
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    assert reproduce.fallback("glue", "quick", []) == []


@pytest.mark.parametrize(("experiment", "scale"), [("glue", "minilm"), ("tradeoff", "quick")])
def test_nothing_else_falls_back(experiment, scale):
    assert reproduce.fallback(experiment, scale, []) == []
