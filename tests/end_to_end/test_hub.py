"""Data and encoder from a hub: the real code against a local stand-in."""

import subprocess
import sys

from tests.conftest import ROOT
from tests.fixtures.commands import environment, last_of_each, records
from tests.fixtures.hub_server import fake_hub, glue_repo, model_repo, table_repo


def run(hub, home, results, *arguments, **more):
    where = [f"results_dir={results}", f"cache_dir={home / 'cache'}", "train.max_length=16", "train.epochs=1"]
    return subprocess.run(
        [sys.executable, "-m", "harness.run", *last_of_each("task=rte", *where, *arguments)],
        cwd=ROOT,
        env=environment(HF_HUB_OFFLINE="0") | hub.environment(home, OMP_NUM_THREADS="1") | more,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_auto_trains_on_the_hub_with_a_hub_model_and_then_without_a_network(tmp_path):
    model = model_repo()
    choice = ["model=local", f"model.name={model.name}", f"model.revision={model.commit}"]
    with fake_hub(glue_repo(["rte"]), model) as hub:
        done = run(hub, tmp_path, tmp_path / "r", *choice)
        assert done.returncode == 0, done.stderr
        assert "data: hub" in done.stdout
        wrong = run(hub, tmp_path, tmp_path / "r", *choice[:2], "model.revision=" + "cd" * 20)
        assert wrong.returncode == 2
        assert "cdcd" in wrong.stderr.splitlines()[-1]
    (first,) = records(tmp_path / "r").values()
    assert first["data"]["source"] == "hub"
    assert first["data"]["is_glue"] is True
    assert first["encoder"]["revision"] == model.commit
    again = run(hub, tmp_path, tmp_path / "again", "data=hub", *choice, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    (second,) = records(tmp_path / "again").values()
    assert second["run_id"] == first["run_id"]
    assert second["scores"] == first["scores"]


def test_a_task_of_ones_own_from_the_hub_at_its_newest_commit_and_then_without_a_network(tmp_path):
    model, table = model_repo(), table_repo("me/spam")
    choice = ["model=local", f"model.name={model.name}", f"model.revision={model.commit}", "protocol=test"]
    task = ["task=custom", "task.name=spam", "task.text=[text]", "task.label=kind", "task.split.validation=0.2"]
    with fake_hub(table, model) as hub:
        done = run(hub, tmp_path, tmp_path / "r", *choice, *task, "task.hub.name=me/spam")
        assert done.returncode == 0, done.stderr
        wrong = run(hub, tmp_path, tmp_path / "r", *choice, *task, "task.hub.name=me/ham")
        assert wrong.returncode == 2
        assert wrong.stderr.splitlines() == [
            "error: task.hub.name=me/ham: the hub has no such data set, or not for you (HF_TOKEN)"
        ]
        split = run(hub, tmp_path, tmp_path / "r", *choice, *task[:-1], "task.hub.name=me/spam")
        assert split.returncode == 2
        assert "has no split 'validation', only train, test; task.split.validation=0.1" in split.stderr
    (first,) = records(tmp_path / "r").values()
    assert first["config"]["task"]["labels"] == ["ham", "spam"]
    assert first["data"]["rows"] == {"train": 24, "validation": 6, "test": 10}
    assert first["data"]["fingerprint"].startswith(f"me/spam@{table.commit}/default:")
    pinned = ["task.hub.name=me/spam", f"task.hub.revision={table.commit}"]
    again = run(hub, tmp_path, tmp_path / "again", *choice, *task, *pinned, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
