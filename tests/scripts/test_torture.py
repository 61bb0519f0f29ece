"""The battery of `make torture`, short: it finds nothing, and says what it has done."""

import json

import pytest

from scripts import torture
from scripts.torture_kills import outcome

pytestmark = pytest.mark.process


def test_killed_sweeps_end_like_undisturbed_ones(tmp_path, capsys):
    options = [
        "--kills",
        "3",
        "--pair-kills",
        "1",
        "--seeds",
        "1",
        "--epochs",
        "6",
        "--no-tests",
        "--out",
        str(tmp_path),
    ]
    status = torture.main(options)
    battery = json.loads((tmp_path / "battery.json").read_text())
    assert [check["faults"] for check in battery["checks"]] == [[], [], []]
    assert status == 0
    one, two, reports = (check["counts"] for check in battery["checks"])
    assert one["kills"] == 3 == sum(count for name, count in one.items() if name not in ("kills", "sweeps"))
    assert two["kills"] == 1 <= two["pairs"] and sum(reports.values()) > 0  # a kill that missed is tried again
    page = (tmp_path / "README.md").read_text()
    assert "SIGKILL of a sweep of 6 runs" in page and "3 kills" in page and max(map(len, page.splitlines()[:8])) <= 120
    assert page in capsys.readouterr().out


def test_a_failed_check_is_shown_and_is_the_exit_status(tmp_path, monkeypatch):
    checks = [{"check": "a", "counts": {"kills": 2, "pairs": 0}, "found": "all well", "faults": ["other records"]}]
    made_by = {"commit": None, "dirty": None, "device": "cpu", "versions": {"os": "", "python": "", "torch": ""}}
    battery = {"started": "", "seconds": 60, "seconds_undisturbed": 1.0, "seed": 0, "cores": 1, "made_by": made_by}
    monkeypatch.setattr(torture, "run_battery", lambda *counts, **options: battery | {"checks": checks})
    assert torture.main(["--out", str(tmp_path)]) == 1
    assert "| **other records** |" in (tmp_path / "README.md").read_text()


def test_what_is_compared(tmp_path):
    for name in ("runs/a.json", "predictions/a.npz", "weights/a.safetensors", "checkpoints/a.safetensors"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text('{"scores": 1, "time": 2}')
    found = outcome(tmp_path)
    assert found["records"] == {"a": {"scores": 1}}
    assert list(found["predictions"]) == ["a.npz"] and list(found["weights"]) == ["a.safetensors"]
    assert found["unfinished files"] == ["a.safetensors"]
