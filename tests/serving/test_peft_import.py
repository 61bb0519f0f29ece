"""A LoRA that `peft` trained and saved, in a bank: equal logits, the round trip, and what is refused."""

import json

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification

from harness.commands import bank as bank_command
from harness.errors import UserError
from harness.model.checkpoint import find_checkpoint, tokenizer_of
from harness.serving.bank_folder import Bank
from harness.serving.peft_import import import_lora
from tests.conftest import CONF
from tests.fixtures.bank import predictor
from tests.fixtures.commands import assert_one_line_error
from tests.fixtures.tiny import save_tiny

ROWS = [("a1 b2 c3", "d4"), ("e5", "f6 g7 h8 i9 j0 a2"), ("b1 b1", "c2 c2")]


def trained(folder, model, *, auto=AutoModelForSequenceClassification, kind="SEQ_CLS", **options):
    """A LoRA that peft trained for a few steps on that encoder and saved; returns its folder and the model."""
    torch.manual_seed(3)
    plain = auto.from_pretrained(model, num_labels=2)
    options = {"r": 4, "lora_alpha": 16, "target_modules": ["query", "value"]} | options
    tuned = peft.get_peft_model(plain, peft.LoraConfig(task_type=kind, **options))
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-2)
    ids = torch.randint(5, 100, (8, 6))
    gold = {"labels": torch.arange(8) % 2} if kind == "SEQ_CLS" else {"start_positions": ids[:, 0] % 6,
                                                                        "end_positions": ids[:, 0] % 6}  # fmt: skip
    for _ in range(5):
        optimizer.zero_grad()
        tuned(input_ids=ids, **gold).loss.backward()
        optimizer.step()
    tuned.save_pretrained(folder)
    return folder, tuned.eval()


def add(source, bank, model, **options):
    options = {"task": "mrpc", "max_length": 32, "replace": False} | options
    return import_lora(source, bank, model=str(model), **options)


@pytest.mark.parametrize("rslora", [False, True])
def test_a_bank_predicts_what_the_peft_model_does(tmp_path, tiny_model, rslora):
    options = {"use_rslora": rslora, "target_modules": ["query", "dense"], "layers_to_transform": [0, 2]}
    source, tuned = trained(tmp_path / "lora", tiny_model, lora_dropout=0.1, exclude_modules=".*pooler.*", **options)
    assert add(source, tmp_path / "bank", tiny_model)[0].startswith("MRPC: mrpc-lora4-peft-")
    ours = np.array(predictor(tmp_path / "bank", ["mrpc"], tiny_model).logits([("mrpc", row) for row in ROWS]))
    inputs = tokenizer_of(find_checkpoint(str(tiny_model)))(*map(list, zip(*ROWS, strict=True)), padding=True)
    with torch.no_grad():
        theirs = tuned(**{name: torch.tensor(values) for name, values in inputs.items()}).logits.numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.ptp(ours[:, 0]) > 1e-3
    entry = Bank.open(tmp_path / "bank").entry("mrpc")
    assert "budget" not in entry.run["config"]["method"]  # else it would share no stack with a run that trained here
    method = entry.method
    assert (method.rank, method.alpha, method.rslora) == (4, 16.0, rslora)
    assert len(method.target_modules) == 8  # four maps in each of two layers


def test_target_modules_get_their_short_names_where_all_layers_have_them(tmp_path, tiny_model):
    source, _ = trained(tmp_path / "lora", tiny_model)
    add(source, tmp_path / "bank", tiny_model)
    assert Bank.open(tmp_path / "bank").entry("mrpc").method.target_modules == ["query", "value"]


def test_it_is_listed_checked_and_exported_by_the_commands(tmp_path, tiny_model, capsys):
    source, _ = trained(tmp_path / "lora", tiny_model)
    bank = tmp_path / "bank"
    command = ["import", str(source), "--task", "mrpc", "--bank", str(bank), "--model", str(tiny_model)]
    assert bank_command.main(command) == 0
    assert bank_command.main(["list", str(bank)]) == 0
    assert "| MRPC | LoRA (4) | – | " in " ".join(capsys.readouterr().out.split())
    assert bank_command.main(["check", str(bank), "--model", str(tiny_model)]) == 0
    out = tmp_path / "out"
    export = ["export", str(bank), "--format", "peft", "--out", str(out), "--model", str(tiny_model)]
    assert bank_command.main(export) == 0
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (source, out))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "Trained with `peft` and imported here" in (out / "README.md").read_text()
    capsys.readouterr()
    assert bank_command.main([*command[:3], "nothing", *command[4:]]) == 2
    assert_one_line_error(capsys, "nothing")


def test_a_span_task_is_described_by_its_yaml_file(tmp_path, tiny_model):
    source, _ = trained(tmp_path / "lora", tiny_model, auto=AutoModelForQuestionAnswering, kind="QUESTION_ANS")
    lines = add(source, tmp_path / "bank", tiny_model, task=str(CONF / "task/squad.yaml"), max_length=140)
    assert lines[0].startswith("SQuAD: squad-lora4-peft-")
    (found,) = predictor(tmp_path / "bank", ["squad"], tiny_model).predict([("squad", ("a1 b2", "c3 d4 e5"))])
    assert found.value in "c3 d4 e5"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"use_dora": True}, "use_dora=True is not supported"),
        ({"rank_pattern": {"layer.1.*query": 2}}, "rank_pattern=.* is not supported"),
        ({"bias": "lora_only"}, "bias=lora_only is not supported"),
        ({"target_modules": ["query", "classifier"], "modules_to_save": ["pooler"]}, "pooler.dense"),
        ({"target_modules": ["pooler.dense"]}, "bert.pooler.dense|pooler.dense is on no linear map"),
    ],
    ids=["dora", "ranks", "bias", "head", "pooler"],
)
def test_what_would_be_another_function_here_is_refused(tmp_path, tiny_model, options, words):
    source, _ = trained(tmp_path / "lora", tiny_model, **options)
    with pytest.raises(UserError, match=words) as caught:
        add(source, tmp_path / "bank", tiny_model)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bank").exists()


def test_a_head_of_another_shape_or_with_layers_of_its_own_is_refused(tmp_path, tiny_model):
    source, _ = trained(tmp_path / "lora", tiny_model)
    with pytest.raises(UserError, match=r"head.weight of shape \[32, 2\], expected \[32, 3\]"):
        add(source, tmp_path / "bank", tiny_model, task="mnli")
    electra = save_tiny(tmp_path / "electra", "electra")
    source, _ = trained(tmp_path / "lora-electra", electra)
    with pytest.raises(UserError, match="electra has layers between"):
        add(source, tmp_path / "bank", electra)
    roberta = save_tiny(tmp_path / "roberta", "roberta")
    source, _ = trained(tmp_path / "lora-roberta", roberta)
    with pytest.raises(UserError, match=r"trained classifier\.dense"):
        add(source, tmp_path / "bank", roberta)


def test_a_folder_that_is_no_lora_is_refused(tmp_path, tiny_model):
    with pytest.raises(UserError, match=r"holds no adapter of peft: adapter_config.json is missing"):
        add(tmp_path, tmp_path / "bank", tiny_model)
    source, _ = trained(tmp_path / "lora", tiny_model)
    tensors = load_file(source / "adapter_model.safetensors")
    save_file({n: t for n, t in tensors.items() if "classifier" not in n}, source / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"holds no head; name it in modules_to_save: \[classifier\]"):
        add(source, tmp_path / "bank", tiny_model)
    config = json.loads((source / "adapter_config.json").read_text())
    (source / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    with pytest.raises(UserError, match="peft_type IA3 cannot be added, only LORA"):
        add(source, tmp_path / "bank", tiny_model)
    (source / "adapter_config.json").write_text(json.dumps(config | {"r": 0}))
    with pytest.raises(UserError, match=r"adapter_config.json is missing or damaged"):
        add(source, tmp_path / "bank", tiny_model)
    (source / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"--max-length=999 is out of range: it must be between 8 and .* 140"):
        add(source, tmp_path / "bank", tiny_model, max_length=999)
