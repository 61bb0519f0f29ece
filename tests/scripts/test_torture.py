"""The battery of `make torture`, short: it finds nothing, and says what it has done."""

import json
import os

import pytest

from harness.errors import UserError
from harness.records.record import write_json, write_record
from scripts import torture
from scripts.torture_kills import outcome
from scripts.torture_process import Death, die_at, would_halve
from tests.fixtures.commands import PATIENCE, server
from tests.sweeps.test_sweep import make_run

pytestmark = pytest.mark.process

MADE_BY = {"commit": None, "dirty": None, "device": "cpu", "versions": {"os": "", "python": "", "torch": ""}}


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
    server()  # with what torture would import, and more
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
    battery = {"started": "", "seconds": 60, "seconds_undisturbed": [1.0], "seeds": [0], "cores": 1, "made_by": MADE_BY}
    monkeypatch.setattr(torture, "run_battery", lambda *counts, **options: battery | {"checks": checks})
    assert torture.main(["--out", str(tmp_path)]) == 1
    assert "| **other records** |" in (tmp_path / "README.md").read_text()


def test_a_battery_in_parts(tmp_path, monkeypatch):
    made_by = [MADE_BY | {"commit": "1f2e3d", "dirty": False}, MADE_BY | {"commit": "4c5b6a", "dirty": True}]
    part = {"started": "", "seconds": 60, "seconds_undisturbed": [9.0], "seeds": [0], "cores": 1, "made_by": made_by[0]}
    kills = {"check": "kills", "counts": {"kills": 2, "starting": 2}, "found": "all well", "faults": []}
    other = {"check": "damage", "counts": {"passed": 3}, "found": "named", "faults": []}
    later = kills | {"counts": {"kills": 1, "training": 1}, "faults": ["other records"]}
    parts = [
        part | {"checks": [kills]},
        part | {"seeds": [7], "seconds_undisturbed": [4.0], "made_by": made_by[1], "checks": [later, other]},
        part | {"cores": 2, "checks": []},
    ]
    monkeypatch.setattr(torture, "run_battery", lambda *counts, **options: parts.pop(0))
    assert [torture.main(["--add", "--out", str(tmp_path)]) for _ in range(2)] == [0, 1]
    battery = json.loads((tmp_path / "battery.json").read_text())
    assert battery["checks"] == [
        later | {"counts": {"kills": 3, "starting": 2, "training": 1}},
        other,
    ]
    page = " ".join((tmp_path / "README.md").read_text().split())
    assert "2 minutes. The undisturbed sweep took 4 to 9 s; seeds of the kills: 0, 7." in page
    assert "commit 1f2e3d, 4c5b6a, changed;" in page
    with pytest.raises(UserError, match="the same machine and versions"):
        torture.main(["--add", "--out", str(tmp_path)])


def die_in_a_write(folder):
    die_at(Death((folder.name,), 1, 0.5), str(folder))
    os.fsync(os.open(folder / "file", os.O_RDWR | os.O_CREAT))


def test_a_kill_that_would_halve_a_stack_waits(tmp_path):
    """The second in a row before the first checkpoint, also where a process kills itself in a write."""
    run = make_run()
    write_record(tmp_path, run.record("running"))
    for kills, halves in ((0, False), (1, True)):
        start = {"runs": [run.id], "kills": kills, "halved": False, "kernel": []}
        write_json(tmp_path / "starts" / f"{run.id}.json", start)
        assert would_halve(tmp_path) == halves
        process = server().Process(target=die_in_a_write, args=(tmp_path,))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == (0 if halves else -9)


def test_what_is_compared(tmp_path):
    for name in ("runs/a.json", "predictions/a.npz", "weights/a.safetensors", "checkpoints/a.safetensors"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text('{"scores": 1, "time": 2}')
    found = outcome(tmp_path)
    assert found["records"] == {"a": {"scores": 1}}
    assert list(found["predictions"]) == ["a.npz"] and list(found["weights"]) == ["a.safetensors"]
    assert list(found["unfinished files"]) == ["a.safetensors"]
