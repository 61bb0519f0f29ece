"""Replicated modules, dropout and the flat rows of parameters."""

import pytest
import torch
from torch import nn

from harness.model.dropout import Dropout, MaskStreams, zero_dropped
from harness.model.replicas import ReplicatedLayerNorm, ReplicatedLinear
from harness.training.parameter_rows import ParameterRows


@pytest.mark.parametrize("replicas", [1, 3])
def test_replicated_linear_equals_separate_linears(replicas):
    torch.manual_seed(0)
    module = ReplicatedLinear(replicas, 5, 4)
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    x = torch.randn(replicas * 2, 7, 5)
    expected = [x[2 * r : 2 * r + 2] @ module.weight[r] + module.bias[r] for r in range(replicas)]
    torch.testing.assert_close(module(x), torch.cat(expected))


@pytest.mark.parametrize("replicas", [1, 3])
def test_replicated_layernorm_equals_separate_layernorms(replicas):
    torch.manual_seed(0)
    norms = [nn.LayerNorm(6, eps=1e-5) for _ in range(replicas)]
    module = ReplicatedLayerNorm(norms[0], replicas)
    for replica, norm in enumerate(norms):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        module.weight.data[replica], module.bias.data[replica] = norm.weight.data, norm.bias.data
    x = torch.randn(replicas * 2, 3, 6, requires_grad=True)
    expected = torch.cat([norm(part) for norm, part in zip(norms, x.chunk(replicas), strict=True)])
    torch.testing.assert_close(module(x), expected)
    gradient = torch.randn_like(expected)
    got = torch.autograd.grad(module(x), (x, module.weight, module.bias), gradient)
    own = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    to_x, *to_own = torch.autograd.grad(expected, (x, *own), gradient)
    torch.testing.assert_close(got, (to_x, torch.stack(to_own[::2]), torch.stack(to_own[1::2])))


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_replicated_layernorm_without_bias_and_one_whose_bias_alone_trains(replicas):
    """ModernBERT's, and those of `bitfit`."""
    torch.manual_seed(0)
    x = torch.randn(replicas * 2, 3, 6, requires_grad=True)
    plain = nn.functional.layer_norm(x, (6,))
    module = ReplicatedLayerNorm(nn.LayerNorm(6, bias=False), replicas)
    nn.init.normal_(module.weight)
    scaled = plain.view(replicas, 2, 3, 6) * module.weight[:, None, None]
    torch.testing.assert_close(module(x), scaled.view_as(x))
    module = ReplicatedLayerNorm(nn.LayerNorm(6), replicas)
    module.weight.requires_grad_(False)
    module(x).sum().backward()
    assert module.weight.grad is None
    assert torch.equal(module.bias.grad, torch.full((replicas, 6), 6.0))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.001])
def test_dropped_elements_have_the_rate_and_are_independent(rate):
    masks = MaskStreams([0, 1])
    dropped = torch.stack([masks.draw((1000, 101), rate) for _ in range(20)]).eq(0).float()
    # Two million draws; 256ths alone would miss 0.1 by 0.0016 and 0.001 altogether.
    assert dropped.mean().item() == pytest.approx(rate, abs=6e-4)
    assert (dropped[:, :-1] * dropped[:, 1:]).mean().item() == pytest.approx(rate**2, abs=1e-3)
    assert (dropped[..., :-1] * dropped[..., 1:]).mean().item() == pytest.approx(rate**2, abs=1e-3)


def test_a_replicas_masks_do_not_depend_on_its_stack():
    stacked, alone = MaskStreams([5, 6, 7]), MaskStreams([6])
    for shape in ((3, 11), (6, 2, 5)):  # 11 and 20 bytes per replica: no whole words
        whole = stacked.draw(shape, 0.3).view(3, -1)
        assert torch.equal(whole[1], alone.draw((shape[0] // 3, *shape[1:]), 0.3).flatten())
        assert not torch.equal(whole[0], whole[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dropped_values_are_zero_whatever_they_were(dtype):
    x = torch.tensor([torch.nan, -3.5, torch.inf, 2.0], dtype=dtype)
    kept = torch.tensor([0, -1, 0, -1], dtype=torch.int8)
    assert zero_dropped(x, kept).tolist() == [0.0, -3.5, 0.0, 2.0]
    longer = torch.cat([x, torch.zeros(3, dtype=dtype)])
    assert zero_dropped(longer, kept).tolist() == [0.0, -3.5, 0.0, 2.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_zeroes_scales_and_passes_the_gradient_of_what_it_kept(dtype):
    x = torch.ones(50, 40, dtype=dtype, requires_grad=True)
    y = Dropout(0.25, MaskStreams([0])).train()(x)
    assert sorted(y.unique().tolist()) == pytest.approx([0.0, 4 / 3], rel=1e-2)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_dropout_is_the_identity_in_evaluation():
    module = Dropout(0.5, MaskStreams([0]))
    x = torch.randn(4, 4)
    assert torch.equal(module.eval()(x), x)
    assert not torch.equal(module.train()(x), x)


class Model(nn.Module):
    def __init__(self, replicas):
        super().__init__()
        self.first = ReplicatedLinear(replicas, 3, 4)
        self.norm = ReplicatedLayerNorm(nn.LayerNorm(4), replicas)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.last = ReplicatedLinear(replicas, 4, 2)
        for parameter in (self.first.weight, self.last.weight, self.last.bias):
            nn.init.normal_(parameter)

    def forward(self, x):
        return self.last(self.frozen(self.norm(torch.tanh(self.first(x)))))


def test_rows_train_like_separate_adamw_optimizers():
    """Different rates, decay on matrices only, clipping active: R rows equal R models of their own."""
    torch.manual_seed(0)
    replicas, rates = 3, [0.1, 0.01, 0.001]
    stacked = Model(replicas)
    alone = []
    for replica in range(replicas):
        model = Model(1)
        model.frozen.load_state_dict(stacked.frozen.state_dict())
        for target, source in zip(model.parameters(), stacked.parameters(), strict=True):
            if target.requires_grad:
                target.data.copy_(source.data[replica : replica + 1])
        alone.append(model)
    rows = ParameterRows(stacked, replicas)
    optimizer = torch.optim.AdamW(rows.groups(rates, 0.1), fused=True)
    optimizers = []
    for model, rate in zip(alone, rates, strict=True):
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in trained if name in ("first.weight", "last.weight")]
        others = [p for name, p in trained if name not in ("first.weight", "last.weight")]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        optimizers.append(torch.optim.AdamW(groups, lr=rate))
    for _ in range(20):
        x, y = torch.randn(replicas * 8, 3), torch.randn(replicas * 8, 2)
        rows.zero_grad()
        ((stacked(x) - y) ** 2).view(replicas, -1).mean(1).sum().backward()
        rows.clip(0.05)
        optimizer.step()
        for replica, (model, single) in enumerate(zip(alone, optimizers, strict=True)):
            part = slice(8 * replica, 8 * replica + 8)
            single.zero_grad()
            ((model(x[part]) - y[part]) ** 2).mean().backward()
            trained = [p for p in model.parameters() if p.requires_grad]
            assert nn.utils.clip_grad_norm_(trained, 0.05) > 0.05
            single.step()
    for replica, model in enumerate(alone):
        for target, source in zip(model.parameters(), stacked.parameters(), strict=True):
            if target.requires_grad:
                torch.testing.assert_close(source[replica : replica + 1], target, atol=1e-6, rtol=1e-5)


def test_rows_hold_a_plain_module_as_the_only_replica():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2), nn.LayerNorm(2))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    rows = ParameterRows(model, 1)
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)
    assert [buffer.shape for buffer in rows.buffers] == [(1, 5 * 3 + 3 * 2), (1, 2 + 2 + 2)]
    model(torch.tensor([1, 2])).square().sum().backward()
    assert rows.gradients[0].abs().sum() > 0  # autograd wrote into the rows, not elsewhere
