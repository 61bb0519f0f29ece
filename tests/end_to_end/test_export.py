"""Adapters exported for AdapterHub, and what its own library makes of them."""

import json
import subprocess

import numpy as np
import pytest

from harness.commands import bank as bank_command
from harness.model.checkpoint import find_checkpoint, load_tokenizer
from harness.serving.adapterhub import MODELS
from harness.serving.bank_folder import Bank
from tests.conftest import PEERS_PYTHON, ROOT
from tests.fixtures.bank import predictor
from tests.fixtures.commands import assert_one_line_error, train
from tests.fixtures.tiny import save_tiny


def test_an_export_is_whole_and_carries_a_model_card(bank, tiny_model, tmp_path, capsys):
    out = tmp_path / "export"
    command = ["export", str(bank), "--format", "adapterhub", "--task", "mrpc", "--out", str(out)]
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 0
    files = {"adapter_config.json", "head_config.json", "adapter.safetensors", "model_head.safetensors", "README.md"}
    assert {path.name for path in out.iterdir()} == files
    card = (out / "README.md").read_text()
    run = Bank.open(bank).entry("mrpc").run
    score = run["scores"]["validation"]["f1"]
    rows = run["data"]["rows"]["validation"]
    assert card.startswith("---\n") and "library_name: adapters\n" in card.partition("\n---\n")[0]
    row = f"| validation | {rows} | f1 | {score:.4f} | 0."  # and its interval
    for words in ("load_adapter", row, "nyu-mll/glue", run["run_id"], "LayerNorms"):
        assert words in card
    capsys.readouterr()
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 2
    assert_one_line_error(capsys, "exists")


@pytest.mark.peers
@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize(
    "options", [[], ["method.placement=pfeiffer", "method.activation=swish"]], ids=["houlsby", "pfeiffer"]
)
def test_adapterhubs_library_computes_the_same(tmp_path, word_glue, family, options, capsys):
    model, results = save_tiny(tmp_path / "encoder", family), tmp_path / "results"
    options = ["train.learning_rate=1e-2", "method.bottleneck_size=8", "train.save=best", *options]
    train(results, model, word_glue, "task=mrpc", *options)
    assert bank_command.main(["add", str(results), "--model", str(model)]) == 0
    assert bank_command.main(["export", str(results), "--format", "adapterhub", "--model", str(model)]) == 0
    rows = [("a1 b2 c3", "d4"), ("e5", "f6 g7 h8 i9 j0 a2"), ("b1 b1", "c2 c2")]
    inputs = load_tokenizer(find_checkpoint(str(model)))(*map(list, zip(*rows, strict=True)), padding=True)
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [PEERS_PYTHON, ROOT / "scripts/peers/load_adapter.py", model, results / "bank/export/adapterhub-mrpc"],
        input=json.dumps(dict(inputs)), capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    ours = np.array(predictor(results / "bank", ["mrpc"], model).logits([("mrpc", row) for row in rows]))
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert np.ptp(ours, axis=0).max() > 1e-3
