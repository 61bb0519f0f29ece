"""Configs: composition, ranges, run ids and the one-line errors of the command."""

import copy
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from harness import run
from harness.config import AdapterConfig, RunConfig, check, register_configs
from harness.errors import UserError
from harness.sweeps import jobs
from harness.sweeps.provenance import command_line
from harness.sweeps.run_id import identity, run_id
from harness.tasks.glue import TASKS
from scripts import reproduce
from tests.conftest import CONF

GROUPS = {group.name: sorted(file.stem for file in group.glob("*.yaml")) for group in CONF.iterdir() if group.is_dir()}
EXPERIMENTS = sorted(str(file.relative_to(CONF / "experiment"))[:-5] for file in CONF.glob("experiment/*/*.yaml"))


def composed(*overrides):
    register_configs()
    jobs.register_launchers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("run", overrides=list(overrides), return_hydra_config=True)


def config(*overrides) -> RunConfig:
    return jobs.to_config(composed(*overrides))


def test_the_defaults_are_the_papers_protocol():
    default = config()
    check(default)
    train = default.train
    assert (train.batch_size, train.max_length, train.warmup_fraction, train.weight_decay) == (32, 128, 0.1, 0.01)
    assert (train.beta1, train.beta2, train.epsilon, train.clip_norm, train.dropout) == (0.9, 0.999, 1e-6, 1.0, 0.1)
    assert default.method == AdapterConfig(bottleneck_size=64, activation="gelu", init_std=0.01)
    assert default == RunConfig(default.task, default.method, default.model, default.data, type(train)())


@pytest.mark.parametrize("choice", [f"{group}={name}" for group in GROUPS if group != "experiment"
                                    for name in GROUPS[group]])  # fmt: skip
def test_every_group_option_composes(choice):
    extra = ["model.name=somewhere"] if choice == "model=local" else []
    check(config(choice, *extra))


def test_there_is_a_file_for_every_task():
    assert GROUPS["task"] == sorted(TASKS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_names_known_tasks(name):
    whole = composed(f"experiment={name}")
    check(jobs.to_config(whole))
    assert whole.hydra.mode.name == "MULTIRUN"
    assert set(whole.hydra.sweeper.params["task"].split(",")) <= set(TASKS)


@pytest.mark.parametrize("scale", GROUPS["scale"])
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.split("/")[0] in reproduce.EXPERIMENTS])
def test_a_scale_goes_over_every_experiment(name, scale):
    whole = composed(f"experiment={name}", f"scale={scale}")
    check(jobs.to_config(whole))
    assert whole.hydra.mode.name == "MULTIRUN"
    expected = {"quick": (300, 2), "cpu": (2000, 5), "minilm": (None, composed(f"experiment={name}").train.epochs)}
    assert (whole.data.max_train_rows, whole.train.epochs) == expected[scale]


def test_the_script_knows_every_experiment_and_runs_full_fine_tuning_first():
    folders = {name.split("/")[0] for name in EXPERIMENTS}
    assert folders == {*reproduce.GLUE, *reproduce.EXPERIMENTS} - {"glue"}
    assert [sweep[0] for sweep in reproduce.sweeps("tradeoff", "cpu")] == [
        f"experiment=tradeoff/{name}" for name in ("full", "adapter", "layernorm", "top_layers")
    ]
    assert set(reproduce.SCALES) == set(GROUPS["scale"])
    assert reproduce.sweeps("glue", "quick") == [["experiment=quick/full"], ["experiment=quick/adapter"]]


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("method.bottleneck_size=0", "at least 1"),
        ("method.activation=sigmoid", "one of gelu, relu, swish, tanh"),
        ("method.init_std=0", "above 0"),
        ("method.init_std=nan", "above 0"),
        ("train.learning_rate=-1", "above 0"),
        ("train.learning_rate=inf", "above 0"),
        ("train.epochs=0", "at least 1"),
        ("train.warmup_fraction=1.5", "at least 0 and below 1"),
        ("train.precision=fp16", "one of auto, bf16, fp32"),
        ("data.max_train_rows=0", "at least 1, or null"),
        ("data.source=web", "one of auto, hub, local, synthetic"),
    ],
)
def test_a_value_out_of_range_names_key_value_and_what_is_allowed(override, allowed):
    key, _, value = override.partition("=")
    with pytest.raises(UserError) as caught:
        check(config(override))
    message = str(caught.value)
    assert message.startswith(f"{key}=")
    assert allowed in message
    assert value.strip(".").lstrip("-") in message


def identify(*overrides, data="d", encoder="e"):
    return run_id(config(*overrides), data=data, encoder=encoder)


def test_the_run_id_is_readable_and_canonical():
    base = identify("task=mrpc", "train.learning_rate=3e-4")
    assert base.startswith("mrpc-adapter64-lr0.0003-ep3-s0-")
    assert identify("task=mrpc", "train.learning_rate=0.0003") == base
    assert identify("task=mrpc", "train.learning_rate=3.0e-4", "train.clip_norm=1") == base


@pytest.mark.parametrize(
    "change",
    [
        "task=cola", "method.bottleneck_size=8", "method.activation=relu", "method.init_std=1e-3", "method=full",
        "method.train_pooler=true", "train.learning_rate=1e-3", "train.epochs=4", "train.batch_size=16",
        "train.max_length=64", "train.seed=1", "train.dropout=0", "train.precision=fp32", "train.clip_norm=2",
        "train.warmup_fraction=0", "train.beta2=0.98", "data.max_train_rows=100", "data.max_eval_rows=100",
    ],
)  # fmt: skip
def test_whatever_can_change_a_score_changes_the_id(change):
    assert identify(change) != identify()


def test_data_and_encoder_change_the_id_but_paths_and_devices_do_not():
    assert identify(data="x") != identify()
    assert identify(encoder="x") != identify()
    same = [
        "results_dir=/elsewhere",
        "cache_dir=/c",
        "device=cpu",
        "cuda_graphs=true",
        "data=local",
        "data.path=/a/b",
        "model.name=/m",
    ]
    assert identify(*same) == identify()


def test_the_records_config_holds_no_path():
    what = identity(config("data=local", "data.path=/a/b", "model=local", "model.name=/m/n"), source="local", model="n")
    assert "/" not in str(what)
    assert what["data"] == {"source": "local", "max_train_rows": None, "max_eval_rows": None}


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["harness.run", *arguments])
    monkeypatch.setattr(jobs, "run_all", lambda *a, **k: pytest.fail("training was reached"))
    GlobalHydra.instance().clear()
    status = run.main()
    return status, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("multirun", [[], ["--multirun"]])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["method.botleneck_size=3"], ["method.botleneck_size", "did you mean bottleneck_size", "init_std"]),
        (["method=full", "method.bottleneck_size=3"], ["method.bottleneck_size", "allowed: name"]),
        (["trian.epochs=3"], ["trian", "did you mean train"]),
        (["train.epochs=many"], ["train.epochs", "many"]),
        (["task=boolq"], ["task/boolq", "cola", "wnli"]),
        (["method=lora9"], ["method/lora9", "adapter"]),
        (["model=local"], ["model.name"]),
        (["train.epochs=[1"], ["[1"]),
    ],
)
def test_a_config_that_does_not_compose_is_one_line(monkeypatch, capsys, arguments, words, multirun):
    status, lines = command(monkeypatch, capsys, *multirun, *arguments)
    assert status == 2
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]


def test_the_recorded_command_holds_no_folder_of_this_machine():
    told = command_line(["task=mrpc", "data.path=/home/me/glue", "model.name=~/m", "results_dir=results/x"])
    assert told == "python -m harness.run task=mrpc data.path=glue model.name=m results_dir=results/x"


def test_configs_are_not_changed_by_their_use():
    before = config()
    after = copy.deepcopy(before)
    check(after), identity(after, source="x", model="y"), run_id(after, data="d", encoder="e")
    assert after == before
