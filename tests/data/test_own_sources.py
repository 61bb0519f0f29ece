"""Where a task's own rows are found, what identifies them, and the paper's further tasks in files of their format."""

import logging
from dataclasses import asdict

import hydra
import pytest

from harness.config import conf_folder, register_configs
from harness.data import sources
from harness.data.sources import find_rows, of_task, rows_of
from harness.data.sources.own import TaskFiles, TaskHub
from harness.errors import UserError
from harness.sweeps.session import checked_configs, register_launchers
from harness.tasks.glue import find_task, task_settings
from harness.tasks.protocols import task_under
from harness.tasks.task import task_from
from tests.fixtures.further_tasks import FURTHER_TASKS, KEPT, LABELS, csv_text, text_of, write_further_task

SPAM = {"name": "spam", "kind": "classification", "text": ["text"], "label": "kind", "file": "spam.csv"}


def settings_of(name):
    """The settings in conf/task/NAME.yaml."""
    register_configs()
    register_launchers()
    with hydra.initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return asdict(checked_configs([hydra.compose("run", [f"task={name}"])])[0].task)


def write_spam(folder, rows=40, name="spam.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    table = [[text_of(row), ["ham", "spam"][row % 2]] for row in range(rows)]
    (folder / name).write_text(csv_text(["text", "kind"], table), encoding="utf-8")
    return folder


def found(folder, settings=SPAM, source="local", protocol="paper"):
    return find_rows(source, str(folder), None, task_under(protocol, task_from(settings)))


@pytest.mark.parametrize("name", FURTHER_TASKS)
def test_the_papers_further_tasks_read_files_of_their_format(tmp_path, name, caplog):
    file = write_further_task(tmp_path, name)
    task = task_under("test", find_task(settings_of(name)))
    assert task.title and task.headline == "accuracy"
    source, task = find_rows("local", str(tmp_path), None, task)
    with caplog.at_level(logging.WARNING):
        rows = rows_of(source, task)
    assert sum(rows.num_rows.values()) == KEPT[name]
    assert rows.num_rows["test"] == pytest.approx(KEPT[name] / 10, abs=1)
    assert task.kind.labels == LABELS.get(name, task.kind.labels) and len(task.kind.labels) >= 2
    signs = {sign for text in rows["train"]["sentence1"] for sign in text if not sign.isascii()}
    assert signs <= set("â€™")  # decoded as the file was encoded
    assert f"task {name}: {KEPT[name]} rows, and the complete data has" in caplog.text
    before = source.fingerprint(task)
    file.rename(tmp_path / file.name)  # out of the folder of its data set
    assert source.fingerprint(task) == before


def test_the_number_of_rows_that_the_complete_data_has_is_no_warning(tmp_path, caplog):
    source, task = found(write_spam(tmp_path), SPAM | {"expected_rows": 40})
    rows_of(source, task)
    assert not caplog.records


def test_content_and_reading_identify_the_rows_and_names_do_not(tmp_path):
    source, task = found(write_spam(tmp_path / "a"))
    same, renamed = found(write_spam(tmp_path / "b", name="mails.csv"), SPAM | {"file": "mails.csv", "title": "Spam!"})
    assert same.fingerprint(renamed) == source.fingerprint(task)
    changed, _ = found(write_spam(tmp_path / "c", rows=42))
    assert changed.fingerprint(task) != source.fingerprint(task)
    for reading in ({"split": {"seed": 1}}, {"missing": ["x"]}, {"labels": ["spam", "ham"]}):
        _, other = found(tmp_path / "a", SPAM | reading)
        assert source.fingerprint(other) != source.fingerprint(task), reading


def test_auto_takes_the_tasks_own_files_and_asks_no_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.hub, "answers", lambda *_: pytest.fail("the hub was asked"))
    source, task = found(write_spam(tmp_path), source="auto")
    assert isinstance(source, TaskFiles) and task.kind.labels == ("ham", "spam")
    monkeypatch.chdir(tmp_path)
    here, _ = find_rows("auto", None, None, task)
    assert here.path == str(tmp_path)


def test_an_absolute_file_needs_no_folder(tmp_path):
    write_spam(tmp_path)
    source, task = find_rows("auto", None, None, task_from(SPAM | {"file": str(tmp_path / "spam.csv")}))
    assert rows_of(source, task).num_rows["train"] == 32
    assert task_settings(task)["file"] == "spam.csv"


def test_a_record_finds_the_files_below_the_folder_that_is_named_later(tmp_path):
    _, task = found(write_spam(tmp_path / "spam"))
    later = sources.resolve(source="local", path=str(tmp_path))
    rows = of_task(later, find_task(task_settings(task))).load(task)
    assert rows.num_rows["validation"] == 4
    hub_task = task_from(SPAM | {"file": None, "hub": {"name": "me/spam"}})
    assert isinstance(of_task(sources.resolve(source="hub"), hub_task), TaskHub)


def test_files_per_split(tmp_path):
    for name in ("a.csv", "b.csv", "c.csv"):
        write_spam(tmp_path, name=name)
    files = SPAM | {"file": None, "files": {"train": "a.csv", "validation": "b.csv", "test": "c.csv"}}
    source, task = found(tmp_path, files, protocol="test")
    assert rows_of(source, task).num_rows == {"train": 40, "validation": 40, "test": 40}
    source, task = found(tmp_path, files)
    assert set(rows_of(source, task)["test"]["label"]) == {-1}


@pytest.mark.parametrize(
    ("settings", "source", "words"),
    [
        (SPAM | {"file": "nothing.csv"}, "local", ["nothing.csv is neither in", "nor in its folder spam", "data.path"]),
        (SPAM | {"file": "/no/such/spam.csv"}, "auto", ["/no/such/spam.csv does not exist"]),
        (SPAM, "hub", ["data=hub has no rows of task spam", "use data=local"]),
        (SPAM, "synthetic", ["data=synthetic has no rows of task spam"]),
        (SPAM | {"file": None, "hub": {"name": "me/spam"}}, "local", ["use data=hub"]),
        (SPAM | {"file": None, "hub": {"name": "me/spam", "revision": "main"}}, "auto",
         ["task.hub.revision=main is not a full commit hash"]),
    ],
)  # fmt: skip
def test_rows_that_are_not_there(tmp_path, settings, source, words):
    write_spam(tmp_path)
    with pytest.raises(UserError) as caught:
        found(tmp_path, settings, source)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        found(tmp_path / "nowhere")
