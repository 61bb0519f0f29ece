"""Predictions of a bank: those of the stack that was stored, for tasks together and alone."""

import numpy as np
import pytest
import torch

from harness.data.batches import encode_texts
from harness.method_config import BitFitConfig, FullConfig
from harness.model.checkpoint import find_checkpoint, tokenizer_of
from harness.serving.bank_folder import Bank, add
from harness.serving.predictor import Predictor
from harness.tasks.glue import get_task
from harness.training.loop import predict
from tests.fixtures.stored_runs import store_runs

TASKS = ("mrpc", "stsb", "mnli")
PAIRS = [("a1 b2 c3", "d4"), ("e5", "f6 g7 h8 i9 j0 a2"), ("b1 b1", "c2 c2"), ("a1 " * 60, "b1")]


def make_bank(folder, model, tasks, *stacks):
    """A bank of tasks that were stored in these stacks, each (names, method...); the last stack's classifier."""
    for names, *method in stacks:
        classifier, _ = store_runs(folder / "results", model, names, *method)
    add(folder / "results", folder / "bank", tasks=tasks, method=None, run_id=None, replace=False, model=str(model))
    return Bank.open(folder / "bank"), classifier


def predictor(bank, tasks, model, **options):
    return Predictor(bank, tasks, checkpoint=bank.checkpoint(str(model)), device=torch.device("cpu"), **options)


def encoded(model):
    """`PAIRS` as batches hold them."""
    columns = [list(column) for column in zip(*PAIRS, strict=True)]
    return encode_texts(columns, tokenizer_of(find_checkpoint(str(model))), max_length=32, device="cpu")


@pytest.fixture(scope="module")
def banked(tmp_path_factory, tiny_model):
    return make_bank(tmp_path_factory.mktemp("bank"), tiny_model, TASKS, (TASKS,))


def test_tasks_of_one_method_share_a_stack_and_give_its_logits(banked, tiny_model):
    bank, stack = banked
    one = predictor(bank, TASKS, tiny_model)
    assert [len(part.entries) for part in one.stacks] == [3]
    rows = [(name, pair) for pair in PAIRS for name in TASKS]
    expected = predict(stack, encoded(tiny_model), bf16=False)
    found = one.logits(rows)
    for replica, name in enumerate(TASKS):
        own = np.stack([logits for (task, _), logits in zip(rows, found, strict=True) if task == name])
        assert own.shape == (len(PAIRS), get_task(name).kind.outputs)
        assert own == pytest.approx(expected[replica][:, : own.shape[1]], abs=1e-5)


def test_runs_are_predicted_with_their_own_pooling_and_not_in_one_stack(tmp_path, tiny_model):
    expected, method = {}, BitFitConfig()
    for name, pooling in zip(TASKS, ("auto", "first", "mean"), strict=True):
        classifier, _ = store_runs(tmp_path / "results", tiny_model, [name], method, pooling=pooling)
        expected[name] = predict(classifier, encoded(tiny_model), bf16=False)[0]
    where = {"tasks": TASKS, "method": None, "run_id": None, "replace": False, "model": str(tiny_model)}
    add(tmp_path / "results", tmp_path / "bank", **where)
    one = predictor(Bank.open(tmp_path / "bank"), TASKS, tiny_model)
    assert len(one.stacks) == 3
    for name in TASKS:
        assert np.stack(one.logits([(name, pair) for pair in PAIRS])) == pytest.approx(expected[name], abs=1e-5)


def test_unequal_numbers_of_rows_and_tasks_without_any(banked, tiny_model):
    bank, _ = banked
    one = predictor(bank, TASKS, tiny_model)
    rows = [("mnli", pair) for pair in PAIRS] + [("mrpc", PAIRS[0])]  # none of stsb
    for (name, pair), logits in zip(rows, one.logits(rows), strict=True):
        (alone,) = predictor(bank, [name], tiny_model).logits([(name, pair)])
        assert logits == pytest.approx(alone, abs=1e-5)
    assert one.logits([]) == [] and one.predict([]) == []


def test_predictions_are_labels_with_probabilities_or_scores(banked, tiny_model):
    bank, _ = banked
    mnli, stsb = predictor(bank, TASKS, tiny_model).predict([("mnli", PAIRS[1]), ("stsb", PAIRS[1])])
    assert list(mnli.probabilities) == list(get_task("mnli").kind.labels)
    assert mnli.value == max(mnli.probabilities, key=mnli.probabilities.get)
    assert sum(mnli.probabilities.values()) == pytest.approx(1)
    assert isinstance(stsb.value, float) and stsb.probabilities == {}


@pytest.mark.parametrize(("method", "stacks"), [(FullConfig(), 2), (BitFitConfig(), 1)])
def test_methods_that_cannot_share_an_encoder_run_one_after_the_other(tmp_path, tiny_model, method, stacks):
    bank, _ = make_bank(tmp_path, tiny_model, ("mrpc", "rte"), (["mrpc"], method), (["rte"], method))
    one = predictor(bank, ["mrpc", "rte"], tiny_model)
    assert len(one.stacks) == stacks
    rows = [("rte", PAIRS[0]), ("mrpc", PAIRS[0])]
    for (name, pair), logits in zip(rows, one.logits(rows), strict=True):
        assert logits == pytest.approx(predictor(bank, [name], tiny_model).logits([(name, pair)])[0], abs=1e-5)


def test_bf16_on_request_and_otherwise_as_trained(banked, tiny_model):
    bank, _ = banked
    assert not predictor(bank, TASKS, tiny_model).stacks[0].bf16  # the runs were in fp32
    low = predictor(bank, TASKS, tiny_model, precision="bf16")
    assert low.stacks[0].bf16
    ((exact,), (rounded,)) = (
        one.logits([("mnli", PAIRS[0])]) for one in (predictor(bank, TASKS, tiny_model, precision="fp32"), low)
    )
    assert rounded == pytest.approx(exact, abs=0.1) and (rounded != exact).any()
