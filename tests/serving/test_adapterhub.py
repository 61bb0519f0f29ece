"""The exported folder: the library's names and shapes in every family, the model card, and what is refused."""

import json
from dataclasses import replace

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from harness.errors import UserError
from harness.method_config import AdapterConfig, BitFitConfig
from harness.model.checkpoint import find_checkpoint
from harness.model.replica_state import trained_tensors
from harness.records.weights import read_stored
from harness.serving.adapterhub import MODELS, export
from harness.tasks.glue import get_task
from tests.fixtures.stored_runs import store_runs
from tests.fixtures.tiny import save_tiny

SIZE, WIDTH, LAYERS = 4, 32, 3
HOULSBY = AdapterConfig(bottleneck_size=SIZE)


def exported(folder, model, name="mrpc", method=HOULSBY, **options):
    """Export one run; returns the folder, the run and the tensors that were stored."""
    stack, (record,) = store_runs(folder / "results", model, [name], method, **options)
    run = read_stored(folder / "results/weights" / f"{record['run_id']}.json")
    tensors = trained_tensors(stack, 0)
    export(folder / "out", run, method, tensors, encoder=find_checkpoint(str(model)))
    return folder / "out", run, tensors


def weights_in(out, name):
    return load_file(out / name)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_tensors_have_the_librarys_names_and_shapes_in_every_family(tmp_path, family, placement):
    method = replace(HOULSBY, placement=placement)
    out, _, tensors = exported(tmp_path, save_tiny(tmp_path / "model", family), method=method)
    _, prefix, *places = MODELS[family]
    adapter = weights_in(out, "adapter.safetensors")
    bottlenecks = {name: value for name, value in adapter.items() if ".mrpc." in name}
    assert {name.split(".mrpc.")[1] for name in bottlenecks} == {
        "adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias",
    }  # fmt: skip
    used = {place for place in places if any(f".{place}.mrpc." in name for name in bottlenecks)}
    assert used == ({*places} if placement == "houlsby" else {places[1]})
    assert len(bottlenecks) == 4 * LAYERS * len(used)
    for name, value in bottlenecks.items():
        expected = {"adapter_down.0.weight": [SIZE, WIDTH], "adapter_up.weight": [WIDTH, SIZE]}
        assert list(value.shape) == expected.get(name.split(".mrpc.")[1], list(value.shape))
    assert all(name.startswith(f"{prefix}.") for name in adapter)
    assert sum(value.numel() for value in adapter.values()) == sum(
        value.numel() for name, value in tensors.items() if not name.startswith("head.")
    )
    head = weights_in(out, "model_head.safetensors")
    assert torch.equal(head["heads.mrpc.1.weight"], tensors["head.weight"].t())
    assert torch.equal(head["heads.mrpc.1.bias"], tensors["head.bias"])


def test_configs_describe_adapter_and_head(tmp_path, tiny_model):
    out, _, _ = exported(tmp_path, tiny_model, "mnli", replace(HOULSBY, activation="swish"))
    adapter, head = (json.loads((out / f"{part}_config.json").read_text()) for part in ("adapter", "head"))
    assert (adapter["model_class"], adapter["hidden_size"], adapter["name"]) == ("BertAdapterModel", WIDTH, "mnli")
    assert adapter["config"]["reduction_factor"] == WIDTH / SIZE
    assert (adapter["config"]["non_linearity"], adapter["config"]["mh_adapter"]) == ("swish", True)
    labels = get_task("mnli").kind.labels
    assert head["config"]["label2id"] == {label: number for number, label in enumerate(labels)}
    assert (head["config"]["num_labels"], head["config"]["use_pooler"]) == (3, True)


def test_a_score_has_one_output(tmp_path, tiny_model):
    out, _, _ = exported(tmp_path, tiny_model, "stsb")
    head = json.loads((out / "head_config.json").read_text())["config"]
    assert (head["num_labels"], head["label2id"]) == (1, {"score": 0})
    card = (out / "README.md").read_text()
    assert "Labels: none; the output is a score" in card and "adapterhub:sts/stsb" in card


def test_the_card_says_what_the_adapter_is(tmp_path, tiny_model):
    out, run, _ = exported(tmp_path, tiny_model, score=0.8765)
    card = (out / "README.md").read_text()
    _, _, text = card.removeprefix("---\n").partition("\n---\n")
    data = ModelCard(card).data
    assert data.datasets == ["nyu-mll/glue"] and data.license is None
    scores = {one.metric_type: one.metric_value for one in data.eval_results}
    assert scores == {"f1": 0.8765, "accuracy": 0.8765}
    for words in (
        "# MRPC: bottleneck adapters of size 4 for tiny-bert", "Trained on GLUE as in", "every LayerNorm",
        "Protocol: paper, selection split validation", "Labels: 0: not_equivalent, 1: equivalent",
        "| validation | 408 | f1 | 0.8765 | unknown |", run["run_id"], run["encoder"]["sha256"],
        "replaces the encoder's LayerNorms",
    ):  # fmt: skip
        assert words in text


def test_the_card_of_other_data_does_not_speak_of_glue(tmp_path, tiny_model):
    out, _, _ = exported(tmp_path, tiny_model, method=replace(HOULSBY, train_layernorms=False), source="synthetic")
    card = (out / "README.md").read_text()
    assert "Trained on synthetic data, NOT GLUE, as in" in card and ModelCard(card).data.datasets is None
    assert "The encoder itself is unchanged." in card and "LayerNorm" not in card


def test_a_family_that_the_library_lacks_is_refused_by_name(tmp_path):
    for family in ("camembert", "mpnet", "modernbert"):
        with pytest.raises(UserError, match=rf"knows the families {', '.join(MODELS)}, but not {family}$"):
            exported(tmp_path / family, save_tiny(tmp_path / "model" / family, family))
        assert not (tmp_path / family / "out").exists()


def test_a_head_on_the_first_token_is_held_and_one_on_the_mean_is_not(tmp_path, tiny_model):
    out, _, _ = exported(tmp_path / "first", tiny_model, pooling="first")
    assert json.loads((out / "head_config.json").read_text())["config"]["use_pooler"] is False
    with pytest.raises(UserError, match=r"pooler or the first token, but not model.pooling=mean"):
        exported(tmp_path / "mean", tiny_model, pooling="mean")


def test_what_the_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path, tiny_model):
    with pytest.raises(UserError, match="holds adapters, but mrpc was tuned with bitfit"):
        exported(tmp_path, tiny_model, method=BitFitConfig())
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists; give --out another folder"):
        exported(tmp_path, tiny_model)
    assert not list((tmp_path / "out").iterdir())
