"""A bank's tasks on the hub: what a dry run shows, what arrives, and what a user reads when the hub refuses."""

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard, constants
from safetensors.torch import load

from harness.commands import bank as bank_command
from harness.serving.bank_folder import Bank
from tests.fixtures.commands import assert_one_line_error

FILES = {"README.md", "adapter.safetensors", "adapter_config.json", "head_config.json", "model_head.safetensors"}


def test_a_dry_run_shows_what_would_be_pushed_without_network_or_token(bank, tiny_model, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: pytest.fail("the token was read"))
    command = ["push", str(bank), "tiny-lab/mrpc-adapter", "--task", "mrpc", "--dry-run", "--model", str(tiny_model)]
    assert bank_command.main(command) == 0
    first, *files, last = capsys.readouterr().out.splitlines()
    assert first.startswith("MRPC: tiny-lab/mrpc-adapter, 0.0")
    assert {line.split()[0] for line in files} == FILES and all(line.endswith(" bytes") for line in files)
    assert last == "Nothing was pushed (--dry-run)."
    assert bank_command.main([*command[:3], *command[5:]]) == 0
    repos = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line[:1] not in " N"]
    assert repos == [f"tiny-lab/mrpc-adapter-{name}," for name in ("cola", "mrpc", "stsb")]


def test_what_cannot_work_is_refused_first(bank, capsys, monkeypatch):
    for name, words in (
        ("no-owner", "owner/name"),
        ("a/b/c", "no repository's name"),
        ("a b/c", "no repository's name"),
    ):
        assert bank_command.main(["push", str(bank), name, "--task", "mrpc"]) == 2
        assert_one_line_error(capsys, words)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert bank_command.main(["push", str(bank), "a/b", "--task", "mrpc"]) == 2
    assert_one_line_error(capsys, "HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert bank_command.main(["push", str(bank), "a/b", "--task", "mrpc"]) == 2
    assert_one_line_error(capsys, "HF_TOKEN")


def test_what_arrives_is_the_export_with_a_true_card(hub_commands, bank, tiny_model):
    hub_commands.serve()
    hub, command = hub_commands.hub, ["push", bank, "tiny-lab/mrpc", "--task=mrpc", "--model", tiny_model]
    hub.token = "hf_good"
    done = hub_commands("bank", *command, HF_TOKEN="hf_bad")
    assert (done.returncode, hub.pushed) == (2, {})
    assert done.stderr.splitlines() == [
        f"error: tiny-lab/mrpc cannot be pushed: {hub.url} answered 401 Unauthorized; log in with `hf auth login`, "
        "or set HF_TOKEN to a token that may write"
    ]
    done = hub_commands("bank", *command, "--license=apache-2.0", HF_TOKEN=hub.token)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[1] == f"  {hub.url}/tiny-lab/mrpc"
    arrived = hub.pushed["tiny-lab/mrpc"]
    assert arrived.keys() >= FILES
    opened = Bank.open(bank)
    run, tensors = opened.entry("mrpc").run, opened.tensors(opened.entry("mrpc"))
    head = load(arrived["model_head.safetensors"])
    assert torch.equal(head["heads.mrpc.1.weight"], tensors["head.weight"].t())
    data = ModelCard(arrived["README.md"].decode()).data
    assert (data.license, data.library_name, data.datasets) == ("apache-2.0", "adapters", ["nyu-mll/glue"])
    assert data.base_model is None  # a folder, which the hub does not know
    results = {(one.dataset_split, one.metric_type): one for one in data.eval_results}
    assert results.keys() == {("validation", "f1"), ("validation", "accuracy")}
    for (split, metric), one in results.items():
        assert one.metric_value == run["scores"][split][metric]
        assert one.metric_args["low"] <= one.metric_value <= one.metric_args["high"]
        rows = run["data"]["rows"]
        assert one.dataset_args == {"rows": rows["validation"], "training_rows": rows["train"]}
