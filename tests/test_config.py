"""Configs: composition, ranges and run ids."""

import copy
from dataclasses import fields, is_dataclass
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf.errors import OmegaConfBaseException
from transformers import BertConfig

from harness.config import PROTOCOL_CONFIGS, RunConfig, check, register_configs
from harness.errors import UserError
from harness.method_config import METHOD_CONFIGS, AdapterConfig
from harness.model.budget import chosen_size, within_budget
from harness.sweeps import session
from harness.sweeps.resolve import resolve
from harness.sweeps.run_id import identity, run_id
from harness.tasks.glue import TASKS, get_task
from scripts import reproduce
from tests.conftest import CONF
from tests.fixtures.further_tasks import FURTHER_TASKS

GROUPS = {group.name: sorted(file.stem for file in group.glob("*.yaml")) for group in CONF.iterdir() if group.is_dir()}
EXPERIMENTS = sorted(str(file.relative_to(CONF / "experiment"))[:-5] for file in CONF.glob("experiment/**/*.yaml"))


@cache
def _composed(*overrides):
    register_configs()
    session.register_launchers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("run", overrides=list(overrides), return_hydra_config=True)


def composed(*overrides):
    """The whole composed config, Hydra's part included; composing takes twenty times as long as a copy."""
    return copy.deepcopy(_composed(*overrides))


def config(*overrides) -> RunConfig:
    return session.to_config(composed(*overrides))


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
    assert GROUPS["task"] == sorted([*TASKS, *FURTHER_TASKS, "custom", "squad"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_names_known_tasks(name):
    whole = composed(f"experiment={name}")
    check(session.to_config(whole))
    assert whole.hydra.mode.name == "MULTIRUN"
    assert {task.strip() for task in whole.hydra.sweeper.params["task"].split(",")} <= set(GROUPS["task"])


# Without squad/paper/, whose grids need no scale.
SCALED = [name for name in EXPERIMENTS if name.split("/")[0] in reproduce.EXPERIMENTS and "/paper/" not in name]


@pytest.mark.parametrize("scale", GROUPS["scale"])
@pytest.mark.parametrize("name", SCALED)
def test_every_scale_combines_with_every_experiment(name, scale):
    whole = composed(f"experiment={name}", f"scale={scale}")
    check(session.to_config(whole))
    assert whole.hydra.mode.name == "MULTIRUN"
    own = (None, composed(f"experiment={name}").train.epochs)
    expected = {"quick": (300, 2), "cpu": (2000, 5), "minilm": own, "paper": own}
    if name.startswith("squad/"):
        expected |= {"quick": (300, 1), "cpu": (5000, 3)}
    if name.startswith("methods/"):
        expected |= {"cpu": (1000, 4)}  # of MRPC, with which a config starts
    assert (whole.data.max_train_rows, whole.train.epochs) == expected[scale]


def test_the_further_tasks_have_the_papers_sizes_layers_and_epochs_per_task():
    """Sizes, layers and rates of section 3.3; the epochs of the supplement, by hand for each task and method."""
    adapter, full, top = (composed(f"experiment=further_tasks/{name}") for name in ("adapter", "full", "top_layers"))
    assert adapter.hydra.sweeper.params["method.bottleneck_size"] == "2,4,8,16,32,64"
    assert top.hydra.sweeper.params["method.layers"] == "1,2,3,5,7,9,11,12"
    for whole in (adapter, full, top):
        assert whole.hydra.sweeper.params["train.learning_rate"] == "1e-5,3e-5,1e-4,3e-3"
        assert len(whole.hydra.sweeper.params["task"].split(",")) == 17

    def epochs(method, task):
        return config(f"experiment=further_tasks/{method}", f"task={task}").train.epochs

    expected = {
        "crowdflower_airline": (50, 20), "crowdflower_global_warming": (100, 50), "news_aggregator": (20, 20),
        "crowdflower_us_economic_performance": (100, 20), "crowdflower_primary_emotions": (100, 100),
    }  # fmt: skip
    for task, (of_full, of_adapter) in expected.items():
        found = [epochs(method, task) for method in ("full", "top_layers", "adapter")]
        assert found == [of_full, of_full, of_adapter], task


def test_an_experiment_can_give_each_bottleneck_size_its_value():
    rate = {size: config("experiment=quick/adapter", f"method.bottleneck_size={size}") for size in (8, 64)}
    assert rate[8].train.learning_rate == 2e-3
    assert rate[64].train.learning_rate == 7e-4
    with pytest.raises(OmegaConfBaseException, match="no value for bottleneck size 16, only for 8, 64; give one"):
        config("experiment=quick/adapter", "method.bottleneck_size=16")
    given = config("experiment=quick/adapter", "method.bottleneck_size=16", "train.learning_rate=1e-3")
    assert given.train.learning_rate == 1e-3


def test_the_experiment_on_methods_has_all_of_them_and_one_budget_for_those_with_a_size():
    found = {name: composed(f"experiment=methods/{name}", "scale=cpu") for name in ("budget", "small", "large")}
    methods = {name: whole.hydra.sweeper.params["method"].split(",") for name, whole in found.items()}
    assert sorted(method for names in methods.values() for method in names) == sorted(
        {*GROUPS["method"]} - {"peft", "tfidf"}  # any type of peft, and no encoder
    )
    assert [whole.method.budget for whole in found.values()] == [610_000, None, None]
    shape = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)  # MiniLM
    for method in methods["budget"]:
        asked = config("experiment=methods/budget", f"method={method}").method
        sizes = {chosen_size(within_budget(shape, asked, outputs, has_pooler=True)) for outputs in (1, 2)}
        assert len(sizes) == 1, method  # STS-B's head is smaller
    for name, whole in found.items():
        assert whole.hydra.sweeper.params["train.seed"] == "0,1,2" and whole.protocol.name == "holdout"
        assert len(whole.hydra.sweeper.params["train.learning_rate"].split(",")) == 3
        rows = {task: config(f"experiment=methods/{name}", "scale=cpu", f"task={task}").data.max_train_rows
                for task in ("cola", "mrpc", "stsb", "rte")}  # fmt: skip
        assert rows == {"cola": 2000, "mrpc": 1000, "stsb": 1000, "rte": 1000} and whole.train.epochs == 4
        assert whole.hydra.sweeper.params["task"] == "cola,mrpc,stsb,rte"


@pytest.mark.parametrize("scale", ["quick", "cpu", "minilm"])
def test_the_scales_for_minilm_train_no_more_layers_than_it_has(scale):
    for name in ("further_tasks/top_layers", "tradeoff/top_layers"):
        layers = composed(f"experiment={name}", f"scale={scale}").hydra.sweeper.params["method.layers"]
        assert max(map(int, layers.split(","))) == 6


@pytest.mark.parametrize("name", ["adapter", "full", "top_layers"])
def test_squad_keeps_its_questions_at_every_scale_and_the_papers_grid_is_on_bert_large(name):
    assert composed(f"experiment=squad/{name}", "scale=quick").hydra.sweeper.params["task"] == "squad"
    paper = composed(f"experiment=squad/paper/{name}")
    assert paper.model.name == config("model=bert_large").model.name
    assert paper.hydra.sweeper.params["train.epochs"] == ("3,10,20" if name == "adapter" else "2,3,5")


def test_a_task_that_an_experiment_has_no_value_for_is_named():
    with pytest.raises(OmegaConfBaseException, match=r"no value for task mrpc.*give one"):
        config("experiment=further_tasks/full", "task=mrpc")
    assert config("experiment=further_tasks/full", "task=mrpc", "train.epochs=3").train.epochs == 3


def test_the_script_knows_every_experiment_and_runs_full_fine_tuning_first():
    folders = {name.split("/")[0] for name in EXPERIMENTS}
    assert folders == {*reproduce.GLUE, *reproduce.EXPERIMENTS} - {"glue"}
    assert [sweep[0] for sweep in reproduce.sweeps("tradeoff", "cpu")] == [
        f"experiment=tradeoff/{name}" for name in ("full", "adapter", "layernorm", "top_layers")
    ]
    assert {*reproduce.SCALES, *reproduce.FURTHER_TASKS, *reproduce.SQUAD} == set(GROUPS["scale"])
    assert reproduce.sweeps("further_tasks", "paper")[0] == ["experiment=further_tasks/full", "scale=paper"]
    assert reproduce.sweeps("squad", "cpu")[0] == ["experiment=squad/full", "scale=cpu"]
    assert reproduce.sweeps("squad", "paper") == [
        [f"experiment=squad/paper/{name}"] for name in ("full", "adapter", "top_layers")
    ]
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
        ("device=tpu", "auto, cpu, cuda or cuda:N"),
        ("task.name=boolq", "one of cola, sst2"),
        ("data.source=web", "one of auto, hub, local, synthetic"),
        ("method.name=full", "adapter here; choose another method with method=NAME"),
        ("protocol.name=holdout", "paper here; choose another protocol with protocol=NAME"),
    ],
)
def test_a_value_out_of_range_names_key_value_and_what_is_allowed(override, allowed):
    key, _, value = override.partition("=")
    with pytest.raises(UserError) as caught:
        resolve([config(override)])
    message = str(caught.value)
    assert message.startswith((f"{key}=", f"{key.removesuffix('.name')}="))
    assert allowed in message
    assert value.strip(".").lstrip("-") in message


def schemas():
    """Every dataclass of the config: RunConfig, its sections, and what a group can put in their place."""
    default = RunConfig()
    sections = [getattr(default, item.name) for item in fields(default)]
    yield from (default, *filter(is_dataclass, sections))
    yield from (schema() for group in (METHOD_CONFIGS, PROTOCOL_CONFIGS) for schema in group.values())


def test_every_number_has_a_range_and_every_default_is_in_it():
    for schema in schemas():
        for item in fields(schema):
            allowed, value = item.metadata.get("allowed"), getattr(schema, item.name)
            is_number = str(item.type).split(" |")[0] in ("int", "float")
            assert allowed is not None or not is_number, f"{type(schema).__name__}.{item.name} has no range"
            assert allowed is None or allowed.allows(value), f"{type(schema).__name__}.{item.name}={value}"


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("results_dir", "a", "b"),
        ("cache_dir", "a", "b"),
        ("device", "cpu", "auto"),
        ("cuda_graphs", "False", "True"),
        ("train.save", "best", "all"),
        ("train.evaluate_every_epoch", "False", "True"),
        ("train.evaluate_spans", "False", "True"),
        ("protocol.predict_test", "False", "True"),
    ],
)
def test_runs_of_a_sweep_cannot_differ_in_an_option_outside_their_ids(key, first, second):
    configs = [config(f"{key}={first}"), config(f"{key}={second}", "train.seed=1")]
    with pytest.raises(UserError, match=f"^{key} must be the same .* not {first} and {second}; start one command"):
        resolve(configs)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+train.learnin_rate=1", ["'train.learnin_rate'", "did you mean learning_rate?", "epochs"]),
        ("+method.layers=1", ["'method.layers'", "allowed: name, budget, bottleneck_size"]),
        ("+data.rows=1", ["'data.rows'", "max_train_rows"]),
        ("+devices=cpu", ["'devices'", "did you mean device?"]),
    ],
)
def test_a_key_that_a_plus_adds_and_nothing_reads_is_refused(override, words):
    with pytest.raises(UserError) as caught:
        config(override)
    for word in words:
        assert word in str(caught.value)


def test_options_of_peft_are_added_with_a_plus():
    assert config("method=peft", "+method.options.use_rslora=true").method.options["use_rslora"] is True


def identity_of(config, source="local", model="tiny"):
    precision = "bf16" if config.train.precision == "auto" else config.train.precision
    return identity(config, task=get_task(config.task.name), source=source, model=model, precision=precision)


def identify(*overrides, data="d", encoder="e"):
    return run_id(identity_of(config(*overrides)), data=data, encoder=encoder)


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
    what = identity_of(config("data=local", "data.path=/a/b", "model=local", "model.name=/m/n"))
    assert "/" not in str(what)
    assert what["data"] == {"source": "local", "max_train_rows": None, "max_eval_rows": None}


def test_configs_are_not_changed_by_their_use():
    before = config()
    after = copy.deepcopy(before)
    check(after), run_id(identity_of(after), data="d", encoder="e")
    assert after == before
