"""What a user can get wrong is one line on standard error, before any training."""

import json

import pytest

from tests.fixtures.commands import records
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.tiny import save_tiny


def drop_column(glue, tmp_path):
    folder = write_glue(tmp_path / "other", tasks=["mrpc"])
    file = folder / "MRPC" / "train.tsv"
    file.write_text(file.read_text().replace("#2 String", "second"))
    return folder


def break_label(glue, tmp_path):
    folder = write_glue(tmp_path / "other", tasks=["mrpc"])
    file = folder / "MRPC" / "dev.tsv"
    lines = file.read_text().splitlines()
    lines[3] = "7" + lines[3][1:]
    file.write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["method.bottleneck_size=0"], ["method.bottleneck_size=0", "at least 1"]),
        (["train.learning_rate=-1"], ["train.learning_rate=-1", "above 0"]),
        (["--multirun", "task=mrpc,rte", "train.learning_rate=1e-3,-1"], ["train.learning_rate=-1", "above 0"]),
        (["data.path=/no/such/folder"], ["/no/such/folder", "CoLA/"]),
        (["model.name=no/such-model"], ["no/such-model", "model=minilm"]),
        (["device=cuda:99"], ["cuda:99", "device=auto"]),
        (["device=tpu"], ["tpu", "cuda"]),
        (["train.max_length=512"], ["train.max_length=512", "140"]),
        (["method=top_layers", "method.layers=4"], ["method.layers=4", "3 layers"]),
        (["method=adapter", "method.placement=parallel"], ["method.placement=parallel", "pfeiffer"]),
        (["method=lora"], ["method.rank=64 is above 32", "at most 32"]),
        (["method=lora", "method.target_modules=[query,q_lin]"], ["'q_lin'", "bert", "attention_output"]),
        (["method=ia3", "method.target_modules=[key,key]"], ["method.target_modules", "different values"]),
        (["method=peft", "method.type=LORE"], ["method.type=LORE", "LORA"]),
        (["method=peft", "method.options.r=8"], ["+method.options.r"]),
        (["method=full", "train.evaluate_spans=true"], ["train.evaluate_spans", "full"]),
        (["model.pooling=max"], ["model.pooling=max", "one of auto, pooler, first, mean"]),
        (["model.pooling=first", "method.train_pooler=true"], ["method.train_pooler=true", "no pooler that the head"]),
        (["train.optimizer=sgd"], ["train.optimizer=sgd", "bert_adam"]),
        (["cuda_graphs=true"], ["cuda_graphs=true", "GPU"]),
        (["train.precision=fp16"], ["train.precision=fp16", "one of auto, bf16, fp32", "loss scale"]),
        (["train.micro_batch_size=0"], ["train.micro_batch_size=0", "at least 1, or null"]),
        (["--multirun", "train.micro_batch_size=4,8"], ["train.micro_batch_size", "one command for each value"]),
    ],
)
def test_bad_input_is_one_line_before_any_training(harness_run, tmp_path, arguments, words):
    status, _, err = harness_run(*arguments)
    assert status == 2
    assert len(err) == 1, err
    for word in words:
        assert word in err[0]
    assert not any(record["status"] == "completed" for record in records(tmp_path / "results").values())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (drop_column, ["train.tsv", "#2 String"]),
        (break_label, ["dev.tsv", "'7'"]),
    ],
)
def test_bad_data_is_one_line(harness_run, tmp_path, glue, make, words):
    status, _, err = harness_run(data=make(glue, tmp_path))
    assert status == 2
    assert len(err) == 1, err
    for word in words:
        assert word in err[0]


def test_local_data_without_a_path(harness_run, monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    status, _, err = harness_run("data=local", data=None)
    assert (status, len(err)) == (2, 1)
    assert "data.path" in err[0]


def test_checkpoints_that_cannot_be_used(harness_run, tmp_path):
    broken = save_tiny(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"garbage")
    status, _, err = harness_run(model=broken)
    assert (status, len(err)) == (2, 1)
    assert "cannot be read" in err[0]
    strange = save_tiny(tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    status, _, err = harness_run(model=strange)
    assert (status, len(err)) == (2, 1)
    assert "'gpt2' is not supported" in err[0] and "roberta" in err[0]


def test_a_results_folder_that_cannot_be_written(harness_run, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for arguments in (["task=mrpc"], ["--multirun", "task=mrpc,rte"]):
        status, _, err = harness_run(*arguments, results=file / "results")
        assert (status, len(err)) == (2, 1), err
        assert "results_dir" in err[0]
    assert file.read_text() == "kept"
