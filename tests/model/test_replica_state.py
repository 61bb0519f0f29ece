"""The tensors of one replica: out of a stack and into another, alone as in the stack, and what is refused."""

import pytest
import torch

from harness.errors import UserError
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
from harness.model.classifier import Classifier
from harness.model.methods import apply_method
from harness.model.replica_state import alone, load_tensors, trained_tensors
from harness.training.loop import predict
from tests.fixtures.tiny import tiny_encoder
from tests.fixtures.training import rows

METHODS = [
    AdapterConfig(bottleneck_size=4),
    AdapterConfig(bottleneck_size=4, placement="pfeiffer", train_layernorms=False),
    AdapterConfig(bottleneck_size=4, train_head=False, train_pooler=True),
    FullConfig(),
    TopLayersConfig(layers=1),
    LayerNormConfig(),
    BitFitConfig(),
    HeadConfig(),
    LoraConfig(rank=3, alpha=2.0),
    IA3Config(),
    PrefixConfig(virtual_tokens=3),
    PeftConfig(type="LORA", options={"r": 2}),
    PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3}),
]


def build(methods, *, outputs=2, seed=0):
    """A stack with every trained tensor moved away from where it starts."""
    seeds = range(seed, seed + len(methods))
    classifier = Classifier(tiny_encoder(), outputs, seeds=seeds, dropout_rate=0.0)
    apply_method(classifier, methods)
    return classifier


def move(classifier, seed=7):
    """As training does: every trained number moves, padding stays zero."""
    torch.manual_seed(seed)
    for replica in range(classifier.replicas):
        moved = {
            name: value + 0.1 * torch.randn_like(value) for name, value in trained_tensors(classifier, replica).items()
        }
        load_tensors(classifier, replica, moved, where="here")
    return classifier


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-{getattr(method, 'type', '')}")
def test_what_was_trained_gives_the_same_predictions_in_a_fresh_encoder(method):
    trained = move(build([method]))
    tensors = trained_tensors(trained, 0)
    fresh = build([method])
    split = rows(12)
    assert (predict(fresh, split, bf16=False) != predict(trained, split, bf16=False)).any()
    load_tensors(fresh, 0, tensors, where="file")
    assert (predict(fresh, split, bf16=False) == predict(trained, split, bf16=False)).all()
    counted = sum(p.numel() for p in trained.parameters() if p.requires_grad)
    head = sum(p.numel() for p in trained.head.parameters())
    assert sum(t.numel() for t in tensors.values()) == counted + (0 if trained.head.weight.requires_grad else head)


def test_a_replica_of_a_padded_stack_stands_alone_and_in_another_stack():
    sizes = [AdapterConfig(bottleneck_size=size) for size in (2, 8, 5)]
    stack = move(build(sizes, outputs=(2, 1, 3)))
    split = rows(10)
    together = predict(stack, split, bf16=False)
    for replica, (size, outputs) in enumerate(zip(sizes, (2, 1, 3), strict=True)):
        tensors = trained_tensors(stack, replica)
        down = next(value for name, value in tensors.items() if name.endswith("down.weight"))
        up = next(value for name, value in tensors.items() if name.endswith("up.weight"))
        assert (down.shape, up.shape) == ((32, size.bottleneck_size), (size.bottleneck_size, 32))
        assert tensors["head.weight"].shape == (32, outputs)
        alone = build([size], outputs=outputs)
        load_tensors(alone, 0, tensors, where="file")
        assert predict(alone, split, bf16=False)[0] == pytest.approx(together[replica][:, :outputs], abs=1e-5)
        wider = build([AdapterConfig(bottleneck_size=16), size], outputs=(3, outputs))
        load_tensors(wider, 1, tensors, where="file")
        assert predict(wider, split, bf16=False)[1][:, :outputs] == pytest.approx(
            together[replica][:, :outputs], abs=1e-5
        )


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    "configs",
    [
        [AdapterConfig(bottleneck_size=size) for size in (2, 8, 5)],
        [LoraConfig(rank=rank, rslora=rank == 5) for rank in (2, 8, 5)],
        *([kind()] * 3 for kind in (LayerNormConfig, BitFitConfig, IA3Config, PrefixConfig)),
    ],
    ids=lambda configs: configs[0].name,
)
def test_a_replica_of_a_stack_computes_alone_what_its_own_classifier_does(configs, bf16):
    stack = move(build(configs))
    before = predict(stack, rows(12), bf16=bf16)
    for replica, config in enumerate(configs):
        with alone(stack, replica):
            (found,) = predict(stack, rows(12), bf16=bf16)
        own = build([config])
        load_tensors(own, 0, trained_tensors(stack, replica), where="stack")
        assert (found == predict(own, rows(12), bf16=bf16)[0]).all()  # to the last bit
    assert (predict(stack, rows(12), bf16=bf16) == before).all()
    assert all(parameter.requires_grad for parameter in stack.head.parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("head.bias"), "lacks head.bias"),
        (lambda tensors: tensors.update(other=torch.zeros(1)), "holds other, which this method does not train"),
        (lambda tensors: tensors.update({"head.bias": torch.zeros(3)}), r"head.bias of shape \[3\], expected \[2\]"),
    ],
)
def test_foreign_tensors_are_refused_and_nothing_changes(change, words):
    classifier = build([AdapterConfig(bottleneck_size=4)])
    before = trained_tensors(classifier, 0)
    tensors = {name: value + 1 for name, value in before.items()}
    change(tensors)
    with pytest.raises(UserError, match=f"some/file.*{words}"):
        load_tensors(classifier, 0, tensors, where="some/file")
    after = trained_tensors(classifier, 0)
    assert all((before[name] == after[name]).all() for name in before)
