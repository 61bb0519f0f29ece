"""Every method in every encoder family, from a stack through files and a bank to the same predictions."""

import numpy as np
import pytest
import torch

from harness.data.batches import encode_texts
from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    FullConfig,
    HeadConfig,
    IA3Config,
    LayerNormConfig,
    LoraConfig,
    PeftConfig,
    PrefixConfig,
    TopLayersConfig,
)
from harness.model.build import hold_frozen_in_bf16
from harness.model.checkpoint import find_checkpoint, tokenizer_of
from harness.model.families import FAMILIES
from harness.model.methods import can_stack
from harness.serving.bank_folder import Bank, add
from harness.serving.predictor import Predictor
from harness.training.loop import predict
from tests.fixtures.stored_runs import store_runs
from tests.fixtures.tiny import save_tiny

METHODS = [
    AdapterConfig(bottleneck_size=4), FullConfig(), TopLayersConfig(layers=1), LayerNormConfig(), BitFitConfig(),
    HeadConfig(), LoraConfig(rank=2, target_modules=["query", "dense"]), IA3Config(), PrefixConfig(virtual_tokens=3),
    PeftConfig(type="LOHA", options={"r": 2}),
]  # fmt: skip
TASKS = ("stsb", "mnli")  # heads of one and of three numbers
PAIRS = [("a1 b2 c3", "d4"), ("e5", "f6 g7 h8 i9 j0 a2"), ("b1 b1", "c2 c2")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny checkpoint of each family, with its own tokenizer."""
    return {family: save_tiny(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_bank_predicts_what_the_stack_did(tmp_path, models, family, config):
    if (config.name, family) == ("bitfit", "modernbert"):
        pytest.skip("it has no biases")
    model, tasks = models[family], TASKS if can_stack(config) else TASKS[1:]
    stack, _ = store_runs(tmp_path / "results", model, tasks, config)
    add(tmp_path / "results", tmp_path / "bank", tasks=tasks, method=None, run_id=None, replace=False, model=str(model))
    bank = Bank.open(tmp_path / "bank")
    checkpoint = find_checkpoint(str(model))
    columns = [list(column) for column in zip(*PAIRS, strict=True)]
    encoded = encode_texts(columns, tokenizer_of(checkpoint), max_length=32, device="cpu")
    # In fp32 each task alone, out of a stack of two; in bf16 both together, since products in it round by their size.
    for precision, groups in (("fp32", [[name] for name in tasks]), ("bf16", [tasks])):
        if precision == "bf16":
            hold_frozen_in_bf16(stack)
        expected = dict(zip(tasks, predict(stack, encoded, bf16=precision == "bf16"), strict=True))
        for group in groups:
            banked = Predictor(bank, group, checkpoint=checkpoint, device=torch.device("cpu"), precision=precision)
            assert [len(part.entries) for part in banked.stacks] == [len(group)]
            for name in group:
                found = np.stack(banked.logits([(name, pair) for pair in PAIRS]))
                assert found == pytest.approx(expected[name][:, : found.shape[1]], abs=1e-5)
