"""Which source is taken, why, and that the choice reaches the right one. (`auto` and the hub: test_hub.py.)"""

from __future__ import annotations

import pytest

from harness.data import SOURCE_NAMES, sources
from harness.data.sources import hub
from harness.data.sources.synthetic import suite as synthetic
from harness.errors import UserError
from harness.tasks.glue import TASKS
from harness.tasks.protocols import task_under
from harness.tasks.task import task_from
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.listed_source import LABELS, Listed


@pytest.fixture
def glue(tmp_path):
    return write_glue(tmp_path / "glue", tasks=["rte"])


@pytest.fixture
def no_network(monkeypatch):
    """The hub must not be asked."""
    monkeypatch.setattr(hub, "answers", lambda timeout: pytest.fail("asked the hub"))


def test_auto_prefers_glue_dir(glue, no_network):
    choice = sources.resolve(source="auto", environ={"GLUE_DIR": str(glue)})
    assert (choice.name, choice.path) == ("local", str(glue))
    assert choice.is_glue and choice.why == "GLUE_DIR is set"


def test_auto_does_not_fall_back_from_a_missing_glue_dir(tmp_path, no_network):
    with pytest.raises(UserError, match=r"GLUE_DIR=.*nowhere is not a folder"):
        sources.resolve(source="auto", environ={"GLUE_DIR": str(tmp_path / "nowhere")})


def test_auto_asks_the_hub_for_seconds_and_says_what_came_of_it(monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "answers", lambda timeout: not asked.append(timeout))
    choice = sources.resolve(source="auto", environ={"GLUE_DIR": "", "HF_HUB_OFFLINE": "0"})
    assert (choice.name, choice.revision, choice.why) == ("hub", hub.REVISION, "the hub answered")
    assert asked == [3.0]
    monkeypatch.setattr(hub, "answers", lambda timeout: False)
    with pytest.raises(sources.NoData) as refused:
        sources.resolve(source="auto", environ={})
    assert refused.value.why == "GLUE_DIR is not set and the hub did not answer in 3 s"
    for way in ("GLUE_DIR=", "data=hub", "data=synthetic"):
        assert way in str(refused.value)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_auto_does_not_ask_in_offline_mode(name, no_network):
    with pytest.raises(sources.NoData, match=name):
        sources.resolve(source="auto", environ={name: "1"})


def test_the_commands_offer_all_sources():
    assert list(SOURCE_NAMES) == sources.source_names()


def test_hub_takes_the_pinned_commit_unless_another_is_given(glue, no_network):
    choice = sources.resolve(source="hub", environ={"GLUE_DIR": str(glue)})
    assert (choice.name, choice.revision) == ("hub", hub.REVISION)
    choice = sources.resolve(source="hub", revision="12" * 20)
    assert choice.fingerprint(TASKS["rte"]) == f"nyu-mll/glue@{'12' * 20}/rte"


def test_local_takes_the_path_then_glue_dir_and_cannot_do_without(glue, tmp_path):
    environ = {"GLUE_DIR": str(tmp_path)}
    assert sources.resolve(source="local", path=str(glue), environ=environ).path == str(glue)
    assert sources.resolve(source="local", environ=environ).path == str(tmp_path)
    with pytest.raises(UserError, match=r"data=local needs data\.path=/folder/of/GLUE \(the folder that holds CoLA/"):
        sources.resolve(source="local", environ={})
    with pytest.raises(UserError, match=r"data\.path=.*train\.tsv is not a folder"):
        sources.resolve(source="local", path=str(glue / "RTE/train.tsv"), environ={})


def test_a_relative_path_stays_valid_in_another_directory(glue, monkeypatch, tmp_path):
    monkeypatch.chdir(glue.parent)
    choice = sources.resolve(source="local", path="glue", environ={})
    monkeypatch.chdir(tmp_path.parent)
    choice.check(TASKS["rte"])


def test_an_unknown_source_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"data\.source=disk .* one of auto, hub, local, synthetic"):
        sources.resolve(source="disk", environ={})


def test_the_choice_reaches_the_local_source(glue):
    choice = sources.resolve(source="local", path=str(glue), environ={})
    choice.check(TASKS["rte"])
    assert choice.fingerprint(TASKS["rte"]).startswith("sha256:")
    assert choice.load(TASKS["rte"])["train"].num_rows == 48
    with pytest.raises(UserError, match=r"CoLA.train\.tsv is missing"):
        choice.check(TASKS["cola"])


def test_the_choice_reaches_the_synthetic_source():
    choice = sources.resolve(source="synthetic", environ={})
    task = TASKS["cola"]
    choice.check(task)
    assert choice.fingerprint(task) == f"synthetic-v{synthetic.VERSION}-{task.name}"
    assert set(choice.load(task)["train"].column_names) == {"sentence1", "label", "idx"}
    with pytest.raises(UserError):
        choice.check(TASKS["wnli"])  # the suite has no such task


def test_the_protocol_test_needs_gold_labels_from_any_source():
    described = task_from({"name": "topics", "kind": "classification", "labels": [f"t{n}" for n in range(LABELS)]})
    with pytest.raises(UserError, match="data=listed has no split test with gold labels of task topics"):
        sources.checked_fingerprint(Listed("test"), task_under("test", described))
