"""What names a run: everything that can change a score, and nothing else."""

import json
import shutil

import pytest
import torch

from harness.config import DataConfig, HoldoutConfig, ModelConfig, ProtocolConfig, RunConfig, TaskConfig, TrainConfig
from harness.method_config import AdapterConfig, TfidfConfig
from harness.sweeps.resolve import resolve
from harness.training.device import has_bf16


@pytest.fixture
def id_of(tiny_model):
    """The run id for changed sections of one config."""

    def make(**sections) -> str:
        config = RunConfig(
            task=TaskConfig("rte"), method=AdapterConfig(), model=ModelConfig(str(tiny_model)),
            data=DataConfig("synthetic"), train=TrainConfig(precision="fp32"), device="cpu",
        )  # fmt: skip
        for name, section in sections.items():
            setattr(config, name, section)
        (run,) = resolve([config])
        return run.id

    return make


def test_what_is_kept_or_looked_at_or_computed_at_once_does_not_name_a_run(id_of):
    settings = {"evaluate_every_epoch": True, "evaluate_spans": True, "save": "all", "micro_batch_size": 4}
    assert id_of(train=TrainConfig(precision="fp32", **settings)) == id_of()
    assert id_of(protocol=ProtocolConfig(predict_test=True)) == id_of(protocol=ProtocolConfig())
    assert id_of(results_dir="elsewhere", cache_dir="elsewhere") == id_of()


def test_a_pooling_names_a_run_where_it_is_not_the_checkpoints_own(id_of, tiny_model):
    def pooled(name):
        return id_of(model=ModelConfig(str(tiny_model), pooling=name))

    assert pooled("auto") == pooled("pooler") == id_of()
    assert len({pooled(name) for name in ("auto", "first", "mean")}) == 3


def test_a_record_has_the_pooling_only_where_it_is_not_the_checkpoints_own(tiny_model):
    def config_of(name):
        config = RunConfig(
            task=TaskConfig("rte"), method=AdapterConfig(), model=ModelConfig(str(tiny_model), pooling=name),
            data=DataConfig("synthetic"), train=TrainConfig(precision="fp32"), device="cpu",
        )  # fmt: skip
        return resolve([config])[0].identity["model"]

    assert config_of("auto") == config_of("pooler") == {"name": "tiny-bert", "revision": None}
    assert config_of("mean") == {"name": "tiny-bert", "revision": None, "pooling": "mean"}


def test_numbers_are_canonical(id_of):
    assert id_of(train=TrainConfig(precision="fp32", warmup_fraction=0, clip_norm=1)) == id_of(
        train=TrainConfig(precision="fp32", warmup_fraction=0.0, clip_norm=1.0)
    )


def test_the_precision_is_that_which_is_computed_in(id_of):
    here = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    assert id_of(train=TrainConfig(precision="auto")) == id_of(train=TrainConfig(precision=here))
    assert id_of(train=TrainConfig(precision="bf16")) != id_of(train=TrainConfig(precision="fp32"))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"layer_norm_eps": 1e-6}),
        ("tokenizer.json", {"normalizer": None}),
    ],
)
def test_the_same_weights_with_another_config_or_tokenizer_are_another_run(id_of, tiny_model, tmp_path, file, change):
    same, other = (shutil.copytree(tiny_model, tmp_path / name) for name in ("same", "other"))
    path = other / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert id_of(model=ModelConfig(str(same))) == id_of()
    assert id_of(model=ModelConfig(str(other))) != id_of()


@pytest.mark.parametrize(
    "section",
    [
        {"task": TaskConfig("mrpc")},
        {"data": DataConfig("synthetic", max_train_rows=10)},
        {"method": AdapterConfig(init_std=1e-3)},
        {"train": TrainConfig(precision="fp32", seed=1)},
    ],
    ids=lambda section: next(iter(section)),
)
def test_whatever_changes_a_score_names_a_run(id_of, section):
    assert id_of(**section) != id_of()


def test_without_an_encoder_options_of_model_and_train_do_not_matter(id_of):
    baseline = id_of(method=TfidfConfig())
    assert baseline.startswith("rte-tfidf-")
    assert id_of(method=TfidfConfig(), train=TrainConfig(seed=1, learning_rate=1.0, precision="bf16")) == baseline
    assert id_of(method=TfidfConfig(), model=ModelConfig("nowhere")) == baseline


@pytest.mark.parametrize(
    "section",
    [
        {"method": TfidfConfig(features=["word"])},
        {"method": TfidfConfig(inverse_penalty=[1])},
        {"method": TfidfConfig(max_features=10)},
        {"data": DataConfig("synthetic", max_train_rows=10)},
        {"protocol": HoldoutConfig()},
        {"task": TaskConfig("mrpc")},
    ],
    ids=lambda section: repr(section)[:60],
)
def test_whatever_changes_a_baselines_score_names_it(id_of, section):
    assert id_of(**({"method": TfidfConfig()} | section)) != id_of(method=TfidfConfig())
