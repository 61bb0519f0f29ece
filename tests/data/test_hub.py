"""The hub source through the real `datasets` and `huggingface_hub`, against a server on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pytest

from harness.data.sources import hub as hub_source
from harness.data.sources.hub import REVISION
from harness.errors import UserError
from harness.tasks.glue import TASKS
from tests.fixtures.hub_server import GLUE_ROWS, Hub, fake_hub, glue_repo

OTHER = "12" * 20

# Reads one JSON list per line, [function, arguments...], and answers with one JSON value per line.
DRIVER = """
import dataclasses, json, os, sys, time
from harness.data import sources
from harness.errors import UserError
from harness.data.sources import diagnostic_rows, hub
from harness.tasks.glue import TASKS

time.sleep = lambda seconds: None  # the libraries' pauses between retries
hub.DOWNLOAD_SECONDS = float(os.environ.get("TEST_DOWNLOAD_SECONDS", 60))

def load(task, revision):
    splits = hub.Hub(revision, '').load(TASKS[task])
    return {
        "rows": {split: rows.num_rows for split, rows in splits.items()},
        "features": str(splits["train"].features),
        "second": splits["train"][1],
        "test": list(splits.values())[-1][0],
    }

def diagnostic(task, revision):
    rows = diagnostic_rows(sources.resolve(source="hub", revision=revision), TASKS[task])
    return None if rows is None else rows.to_dict()

def check(task, revision):
    sources.resolve(source="hub", revision=revision).check(TASKS[task])

def answers(timeout):
    started = time.monotonic()
    return [hub.answers(timeout), time.monotonic() - started]

def resolve(environ):
    source = sources.resolve(source="auto", environ=environ)
    return {"source": source.name} | dataclasses.asdict(source)

for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        answer = globals()[name](*arguments)
    except UserError as error:
        answer = {"error": str(error)}
    print("ANSWER" + json.dumps(answer), flush=True)
"""


class Client:
    """A process that uses `hub` with its cache in `home`."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def call(self, *what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("ANSWER"):
                return json.loads(line.removeprefix("ANSWER"))
        raise AssertionError("the process ended")


@contextmanager
def client(hub: Hub, home: Path, **environment: str) -> Iterator[Client]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env=hub.environment(home, **environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield Client(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[tuple[Hub, Client]]:
    with fake_hub(glue_repo(["cola"])) as hub, client(hub, tmp_path_factory.mktemp("home")) as one:
        yield hub, one


@pytest.fixture
def silent(shared) -> Iterator[tuple[Hub, Client]]:
    """A hub to break, and a client that never gets as far as a download."""
    hub, one = shared
    yield hub, one
    hub.status = hub.hang = hub.die = None


def assert_one_clear_line(error: str, *words: str) -> None:
    assert "\n" not in error
    for word in (*words, "nyu-mll/glue@", "data=local data.path=", "data=synthetic"):
        assert word in error


@pytest.mark.process
def test_rows_arrive_with_our_columns_and_are_there_without_the_hub(tmp_path):
    tasks = ("mnli", "stsb", "cola")
    with fake_hub(glue_repo(tasks)) as hub, client(hub, tmp_path) as one:
        online = {task: one.call("load", task, REVISION) for task in tasks}
        hub.log.clear()
        hub.hang = ""
        assert one.call("load", "mnli", REVISION) == online["mnli"]  # a commit cannot change: no need to ask
        assert hub.log == []
    with client(hub, tmp_path, HF_HUB_OFFLINE="1") as one:
        assert {task: one.call("load", task, REVISION) for task in tasks} == online
        assert one.call("check", "cola", REVISION) is None
        assert_one_clear_line(one.call("load", "rte", REVISION)["error"], "(rte) is not in the cache", "HF_HUB_OFFLINE")
        assert_one_clear_line(one.call("load", "cola", OTHER)["error"], OTHER, "HF_HUB_OFFLINE")

    mnli = online["mnli"]
    assert list(mnli["rows"]) == ["train", *TASKS["mnli"].evaluation_sets, *TASKS["mnli"].test_sets]
    assert mnli["rows"]["train"] == GLUE_ROWS["train"]
    assert mnli["rows"]["validation_mismatched"] == GLUE_ROWS["evaluation"]
    assert mnli["second"] == {
        "sentence1": "train row 1, premise", "sentence2": "train row 1, hypothesis", "label": 1, "idx": 1,
    }  # fmt: skip
    assert mnli["test"]["label"] == -1
    assert "['entailment', 'neutral', 'contradiction']" in mnli["features"]
    assert online["stsb"]["second"]["label"] == 1.0
    assert online["stsb"]["test"]["label"] == -1.0
    assert "float32" in online["stsb"]["features"]
    assert list(online["cola"]["second"]) == ["sentence1", "label", "idx"]


@pytest.mark.process
def test_the_diagnostic_set_is_for_mnli(tmp_path):
    with fake_hub(glue_repo(("mnli", "cola", "ax"))) as hub, client(hub, tmp_path) as one:
        rows = one.call("diagnostic", "mnli", REVISION)
        assert rows["label"] == [-1] * GLUE_ROWS["test"]
        assert rows["idx"] == list(range(GLUE_ROWS["test"]))
        assert rows["sentence2"][1] == "test row 1, hypothesis"
        assert one.call("diagnostic", "cola", REVISION) is None


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"status": 401}, ["401", "HF_TOKEN"]),
        ({"status": 404}, ["404", "HF_ENDPOINT"]),
        ({"status": 503}, ["503"]),
        ({"hang": ""}, ["did not answer in time"]),
    ],
    ids=str,
)
@pytest.mark.process
def test_a_hub_that_refuses_or_hangs_is_one_clear_line(silent, switches, words):
    hub, one = silent
    vars(hub).update(switches)
    assert_one_clear_line(one.call("load", "cola", REVISION)["error"], REVISION, *words)
    assert_one_clear_line(one.call("check", "cola", None)["error"], REVISION, *words)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"hang": "tree"}, ["did not answer in time (2 s)"]),
        ({"die": "train.*parquet"}, ["peer closed connection"]),
    ],
    ids=str,
)
@pytest.mark.process
def test_a_hub_that_dies_half_way_is_one_clear_line(tmp_path, switches, words):
    with fake_hub(glue_repo(["cola"]), **switches) as hub, client(hub, tmp_path, TEST_DOWNLOAD_SECONDS="2") as one:
        assert one.call("check", "cola", None) is None
        assert_one_clear_line(one.call("load", "cola", REVISION)["error"], REVISION, *words)
        assert any("GET" in request and "/tree/" in request for request in hub.log)  # it began well


@pytest.mark.process
def test_a_wrong_revision_is_one_clear_line(silent):
    _, one = silent
    assert_one_clear_line(one.call("load", "cola", OTHER)["error"], OTHER, "no such revision")
    assert_one_clear_line(one.call("check", "cola", OTHER)["error"], OTHER, "no such revision")
    assert "40 hexadecimal digits" in one.call("load", "cola", "main")["error"]
    assert "40 hexadecimal digits" in one.call("check", "cola", "main")["error"]


def test_errors_with_advice_of_many_lines_are_cut_to_their_cause(monkeypatch):
    def fail(*_):
        raise RuntimeError("wrapped\nadvice") from OSError("disk full\nmore advice")

    monkeypatch.setattr(hub_source, "_ask", fail)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(UserError) as caught:
        hub_source.Hub(OTHER, "").load(TASKS["cola"])
    assert_one_clear_line(str(caught.value), OTHER, "RuntimeError: disk full;")


def test_work_that_does_not_end_is_given_up():
    released = threading.Event()
    with pytest.raises(TimeoutError, match="did not answer in time"):
        hub_source.within(0.05, lambda: released.wait(5))
    released.set()
    assert hub_source.within(60, lambda: "done") == "done"


@pytest.mark.process
def test_answers_is_true_only_for_a_hub_that_hands_out_glue(silent):
    hub, one = silent
    assert one.call("answers", 30.0)[0] is True
    hub.status = 401
    assert one.call("answers", 30.0)[0] is False
    hub.status, hub.hang = None, ""
    answered, seconds = one.call("answers", 0.3)
    assert answered is False
    assert seconds < 20  # it gives up at all, on however busy a machine


@pytest.mark.process
def test_auto_takes_glue_dir_then_the_hub_and_nothing_else(silent, tmp_path):
    hub, one = silent
    hub.log.clear()
    choice = one.call("resolve", {"GLUE_DIR": str(tmp_path)})
    assert (choice["source"], choice["path"]) == ("local", str(tmp_path))
    assert "HF_HUB_OFFLINE is set" in one.call("resolve", {"HF_HUB_OFFLINE": "1"})["error"]
    assert hub.log == []
    choice = one.call("resolve", {})
    assert (choice["source"], choice["revision"]) == ("hub", REVISION)
    hub.status = 503
    assert "data=synthetic" in one.call("resolve", {})["error"]


@pytest.mark.process
def test_another_commit_in_the_cache_never_stands_in_for_the_wanted_one(tmp_path):
    # `datasets` would deliver it, with a warning, when the hub breaks down after its first answer.
    with fake_hub(glue_repo(["cola"], OTHER)) as hub, client(hub, tmp_path) as one:
        assert "rows" in one.call("load", "cola", OTHER)
        hub.repos, hub.die = (glue_repo(["cola"]),), "README"
        assert_one_clear_line(one.call("load", "cola", REVISION)["error"], REVISION, f"only @{OTHER} is in the cache")


@pytest.mark.process
def test_labels_in_another_order_are_an_error(tmp_path):
    repo = glue_repo(["rte"])
    card = repo.files["README.md"].decode()
    swapped = card.replace('"0": "entailment"', '"0": "not_entailment"').replace(
        '"1": "not_entailment"', '"1": "entailment"'
    )
    repo.files["README.md"] = swapped.encode()
    with fake_hub(repo) as hub, client(hub, tmp_path) as one:
        assert "('not_entailment', 'entailment')" in one.call("load", "rte", REVISION)["error"]
