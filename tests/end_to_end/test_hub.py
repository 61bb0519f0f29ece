"""Data and encoder from a hub: the real code against a local stand-in."""

import pytest

from tests.fixtures.commands import last_of_each, records
from tests.fixtures.hub_server import glue_repo, model_repo, table_repo


@pytest.fixture
def run(hub_commands, tmp_path):
    def call(results, *arguments, **more):
        where = [f"results_dir={results}", f"cache_dir={tmp_path / 'cache'}", "train.max_length=16", "train.epochs=1"]
        return hub_commands("run", *last_of_each("task=rte", *where, *arguments), **more)

    return call


def test_auto_trains_on_the_hub_with_a_hub_model_and_then_without_a_network(hub_commands, run, tmp_path):
    model = model_repo()
    choice = ["model=local", f"model.name={model.name}", f"model.revision={model.commit}"]
    hub_commands.serve(glue_repo(["rte"]), model)
    done = run(tmp_path / "r", *choice)
    assert done.returncode == 0, done.stderr
    assert "data: hub" in done.stdout
    wrong = run(tmp_path / "r", *choice[:2], "model.revision=" + "cd" * 20)
    assert wrong.returncode == 2
    assert "cdcd" in wrong.stderr.splitlines()[-1]
    (first,) = records(tmp_path / "r").values()
    assert first["data"]["source"] == "hub"
    assert first["data"]["is_glue"] is True
    assert first["encoder"]["revision"] == model.commit
    hub_commands.serve()
    again = run(tmp_path / "again", "data=hub", *choice, offline=True)
    assert (again.returncode, hub_commands.hub.log) == (0, []), again.stderr
    (second,) = records(tmp_path / "again").values()
    assert second["run_id"] == first["run_id"]
    assert second["scores"] == first["scores"]


def test_a_task_of_ones_own_from_the_hub_at_its_newest_commit_and_then_without_a_network(hub_commands, run, tmp_path):
    model, table = model_repo(), table_repo("me/spam")
    choice = ["model=local", f"model.name={model.name}", f"model.revision={model.commit}", "protocol=test"]
    task = ["task=custom", "task.name=spam", "task.text=[text]", "task.label=kind", "task.split.validation=0.2"]
    hub_commands.serve(table, model)
    done = run(tmp_path / "r", *choice, *task, "task.hub.name=me/spam")
    assert done.returncode == 0, done.stderr
    wrong = run(tmp_path / "r", *choice, *task, "task.hub.name=me/ham")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines() == [
        "error: task.hub.name=me/ham: the hub has no such data set, or not for you (HF_TOKEN)"
    ]
    split = run(tmp_path / "r", *choice, *task[:-1], "task.hub.name=me/spam")
    assert split.returncode == 2
    assert "has no split 'validation', only train, test; task.split.validation=0.1" in split.stderr
    (first,) = records(tmp_path / "r").values()
    assert first["config"]["task"]["labels"] == ["ham", "spam"]
    assert first["data"]["rows"] == {"train": 24, "validation": 6, "test": 10}
    assert first["data"]["fingerprint"].startswith(f"me/spam@{table.commit}/default:")
    pinned = ["task.hub.name=me/spam", f"task.hub.revision={table.commit}"]
    hub_commands.serve()
    again = run(tmp_path / "again", *choice, *task, *pinned, offline=True)
    assert (again.returncode, hub_commands.hub.log) == (0, []), again.stderr
