"""The exported folder, loaded by `peft` as its model card says: equal logits in every family, and what is refused."""

import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import UserError
from harness.method_config import AdapterConfig, IA3Config, LoraConfig
from harness.model.build import assemble
from harness.model.checkpoint import find_checkpoint
from harness.model.families import FAMILIES
from harness.model.heads import HEADS
from harness.model.replica_state import load_tensors, trained_tensors
from harness.serving.peft_export import HEAD_FILE, export
from harness.tasks.glue import find_task
from tests.fixtures.make_records import make_record
from tests.fixtures.tiny import save_tiny

LORA = LoraConfig(rank=3, alpha=8.0, rslora=True, target_modules=["query", "value", "dense"])
SQUAD = {"name": "squad", "kind": "span"}


def exported(folder, family, method, settings):
    """Export a run whose trained numbers are drawn; returns the folder, the classifier and the encoder's folder."""
    model, task = save_tiny(folder / "model", family), find_task(settings)
    checkpoint = find_checkpoint(str(model))
    classifier = assemble(
        checkpoint, [task.kind.outputs], [method], seeds=[0], dropout=0.0, device=torch.device("cpu"), bf16=False,
        reads_all_tokens=HEADS[task.kind.name].reads_all_tokens,
    ).eval()  # fmt: skip
    generator = torch.Generator().manual_seed(5)
    tensors = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in trained_tensors(classifier, 0).items()
    }
    load_tensors(classifier, 0, tensors, where="here")
    run = make_record(settings, asdict(method))
    run["config"]["train"] |= {"max_length": 32}
    fields = ("title", "name", "family", "sha256", "fingerprint", "revision")
    run["encoder"] |= {name: getattr(checkpoint, name) for name in fields} | {"pooling": classifier.pooling}
    run["weights"] = {"parameters": sum(tensor.numel() for tensor in tensors.values())}
    export(folder / "out", run, method, tensors, encoder=checkpoint)
    return folder / "out", classifier, model


def by_the_card(out, model, inputs):
    """The logits after running the code of the model card."""
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = code.replace("path/to/this/folder", str(out)).replace(f'"{model.name}"', f'"{model}"')
    names = {"inputs": inputs}
    with torch.no_grad():
        exec(code, names)
        if "logits" in names:
            return names["logits"]
        output = names["model"](**inputs)
    return torch.stack([output.start_logits, output.end_logits], -1) if "start_logits" in output else output.logits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (LORA, {"name": "mnli"}),
        (IA3Config(target_modules=["key", "value", "attention_output", "output"]), {"name": "stsb"}),
        (LoraConfig(rank=2, alpha=2.0), SQUAD),
    ],
    ids=["lora", "ia3", "span"],
)
def test_peft_computes_the_same_logits(tmp_path, family, method, settings):
    out, classifier, model = exported(tmp_path, family, method, settings)
    ids, keep = torch.arange(5, 25).view(2, 10), torch.ones(2, 10, dtype=torch.long)
    ids[1, 6:], keep[1, 6:] = 0, 0
    theirs = by_the_card(out, model, {"input_ids": ids, "attention_mask": keep})
    with torch.no_grad():
        ours = classifier(ids, keep.bool())[0]
    if settings is SQUAD:
        ours, theirs = ours[keep.bool()], theirs[keep.bool()]
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert ours.std(0).max() > 1e-3


def test_the_head_is_inside_where_transformers_has_it_and_next_to_the_adapter_elsewhere(tmp_path):
    out, classifier, _ = exported(tmp_path / "bert", "bert", LORA, {"name": "mrpc"})
    saved = load_file(out / "adapter_model.safetensors")
    assert torch.equal(saved["base_model.model.classifier.weight"], classifier.head.weight[0].t())
    assert json.loads((out / "adapter_config.json").read_text())["modules_to_save"] == ["classifier"]
    assert not (out / HEAD_FILE).exists()
    out, classifier, _ = exported(tmp_path / "electra", "electra", LORA, {"name": "mrpc"})
    assert torch.equal(load_file(out / HEAD_FILE)["weight"], classifier.head.weight[0].t())
    assert "last_hidden_state[:, 0]" in (out / "README.md").read_text()


def test_the_card_says_what_was_trained(tmp_path):
    out, _, _ = exported(tmp_path, "bert", LORA, {"name": "mrpc"})
    card = (out / "README.md").read_text()
    for words in (
        "library_name: peft", "# MRPC: LoRA of rank 3 for model", "Trained on GLUE as in", "LoRA and the task head",
        "LoRA: rank 3, alpha 8, rank-stabilised, dropout 0, target modules query, value, dense",
        "Labels: 0: not_equivalent, 1: equivalent", "| 408 | f1 | 0.8600 |", "num_labels=2",
    ):  # fmt: skip
        assert words in card


def test_what_the_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="--format=peft holds LoRA and IA3, but mrpc was tuned with adapter"):
        exported(tmp_path / "a", "bert", AdapterConfig(bottleneck_size=4), {"name": "mrpc"})
    assert not (tmp_path / "a/out").exists()
    (tmp_path / "b/out").mkdir(parents=True)
    with pytest.raises(UserError, match="exists; give --out another folder"):
        exported(tmp_path / "b", "bert", LORA, {"name": "mrpc"})
    assert not list((tmp_path / "b/out").iterdir())
