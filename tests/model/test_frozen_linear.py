"""Frozen products in bf16: the numbers of a plain one, up to the rounding of the bias."""

import pytest
import torch
from torch import nn

from harness.model import frozen_linear
from harness.model.frozen_linear import FrozenLinear


def make(*, bias=True):
    torch.manual_seed(0)
    return nn.Linear(48, 32, bias=bias).bfloat16().requires_grad_(False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("view", ["whole", "first token", "transposed"])
def test_products_and_gradients_are_those_of_a_linear_map(view, dtype, bias):
    linear = make(bias=bias)
    x = torch.randn(4, 5, 48, dtype=dtype)
    x = {"whole": x, "first token": x[:, :1], "transposed": x.transpose(0, 1)}[view]
    results = []
    for module in (linear, FrozenLinear(linear)):
        own = x.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = module(own)
        y.backward(torch.linspace(-1, 1, y.numel()).view_as(y).bfloat16())
        results.append((y.detach(), own.grad))
    (plain, plain_gradient), (fused, gradient) = results
    assert fused.dtype == torch.bfloat16 and gradient.dtype == dtype
    if frozen_linear._onednn_has_bf16():
        exact = nn.functional.linear(
            x.bfloat16().double(), linear.weight.double(), linear.bias.double() if bias else None
        )
        torch.testing.assert_close(fused.double(), exact, rtol=2**-8, atol=1e-3)
        assert (fused - exact).abs().max() <= (plain - exact).abs().max() * 1.01
    else:  # a CPU without AVX512: torch may round the product before it adds the bias
        assert torch.equal(fused, plain)
    torch.testing.assert_close(gradient, plain_gradient, rtol=2**-7, atol=1e-3)


def test_it_has_the_parameters_of_the_linear_map():
    linear = make()
    frozen = FrozenLinear(linear)
    assert frozen.weight is linear.weight and frozen.bias is linear.bias and isinstance(frozen, nn.Linear)
    assert frozen.state_dict().keys() == linear.state_dict().keys()


def test_without_onednn_it_is_a_plain_product(monkeypatch):
    linear, x = make(), torch.randn(3, 48, dtype=torch.bfloat16)
    monkeypatch.setattr(frozen_linear, "_onednn_has_bf16", lambda: False)
    monkeypatch.setattr(frozen_linear._Product, "apply", lambda *_: pytest.fail("oneDNN was used"))
    assert torch.equal(FrozenLinear(linear)(x), linear(x))


def test_a_frozen_layer_in_bf16_runs_as_such_products(tiny_model):
    from harness.method_config import AdapterConfig
    from harness.model.build import assemble
    from harness.model.checkpoint import find_checkpoint

    classifier = assemble(
        find_checkpoint(str(tiny_model)), [2], [AdapterConfig(bottleneck_size=4)],
        seeds=[0], dropout=0.0, device=torch.device("cpu"), bf16=True,
    )  # fmt: skip
    used = []
    for module in classifier.modules():
        if isinstance(module, FrozenLinear):
            module.register_forward_hook(lambda *_: used.append(1))
    ids = torch.ones(2, 6, dtype=torch.long)
    with torch.autocast("cpu", torch.bfloat16):
        classifier(ids, ids.bool())
    # Query, key and value in one product, output, and two of the feed-forward layer; in the last layer query, key and
    # value apart; the pooler.
    assert len(used) == 4 * (len(classifier.layers) - 1) + 6 + 1
