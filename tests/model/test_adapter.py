"""The adapter and its places in every encoder family."""

import pytest
import torch
from torch import nn

from harness.errors import UserError
from harness.method_config import AdapterConfig, FullConfig
from harness.model.adapter import ACTIVATIONS, Adapter, adapters, insert_adapters
from harness.model.build import fuse_projections
from harness.model.classifier import Classifier
from harness.model.families import FAMILIES, check_supported, get_family
from harness.model.heads import HEADS
from harness.model.methods import apply_method
from tests.fixtures.tiny import tiny_encoder


def batch(family="bert", rows=6, width=9):
    torch.manual_seed(1)
    ids = torch.randint(5, 100, (rows, width))
    keep = torch.ones(rows, width, dtype=torch.bool)
    keep[1, 5:] = False
    ids[1, 5:] = 0
    types = torch.randint(0, 2, (rows, width)) if family in ("bert", "electra") else None
    return ids, keep, types


def classifier(family="bert", configs=None):
    configs = configs or [AdapterConfig(bottleneck_size=4)]
    model = Classifier(tiny_encoder(family), 2, seeds=range(len(configs)), dropout_rate=0.0)
    apply_method(model, list(configs))
    return model


def make_adapter(sizes, **options):
    options = {"activation": "gelu", "init_stds": [0.01] * len(sizes)} | options
    return Adapter(16, sizes, generators=[torch.Generator().manual_seed(s) for s in range(len(sizes))], **options)


def test_adapter_computes_the_papers_formula():
    torch.manual_seed(0)
    adapter = make_adapter([5], init_stds=[0.5])
    nn.init.normal_(adapter.down.bias)
    nn.init.normal_(adapter.up.bias)
    x = torch.randn(2, 3, 16)
    hidden = nn.functional.gelu(x @ adapter.down.weight[0] + adapter.down.bias[0], approximate="tanh")
    torch.testing.assert_close(adapter(x), x + hidden @ adapter.up.weight[0] + adapter.up.bias[0])


def test_adapter_starts_near_the_identity_with_truncated_normal_weights():
    adapter = make_adapter([64], init_stds=[0.01])
    weights = torch.cat([adapter.down.weight.flatten(), adapter.up.weight.flatten()])
    assert weights.abs().max() <= 0.02
    # A normal cut at two standard deviations keeps 0.88 of its own.
    assert weights.std().item() == pytest.approx(0.0088, rel=0.05)
    assert adapter.down.bias.abs().max() == adapter.up.bias.abs().max() == 0


def test_an_adapter_has_2md_plus_d_plus_m_parameters():
    assert sum(p.numel() for p in make_adapter([7]).parameters()) == 2 * 7 * 16 + 16 + 7


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_padded_units_are_exactly_zero_and_stay_so(activation):
    adapter = make_adapter([3, 8], activation=activation, init_stds=[0.5, 0.5])
    alone = make_adapter([3], activation=activation, init_stds=[0.5])
    assert torch.equal(adapter.down.weight[0, :, :3], alone.down.weight[0])
    x = torch.randn(4, 5, 16)
    torch.testing.assert_close(adapter(x)[:2], alone(x[:2]))
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=0.1)
    for _ in range(5):
        adapter(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert adapter.down.weight[0, :, 3:].abs().max() == 0
    assert adapter.up.weight[0, 3:].abs().max() == 0
    assert adapter.down.bias[0, 3:].abs().max() == 0
    assert adapter.down.weight[0, :, :3].abs().max() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adapter_sits_between_the_sublayer_and_its_residual(family):
    """With a constant adapter output, each LayerNorm's input moves by exactly that constant."""
    encoder = tiny_encoder(family).eval()
    ids, keep, _ = batch(family)
    layer = encoder.get_submodule(get_family(family).layers)[0]
    norms = [module for module in layer.modules() if isinstance(module, nn.LayerNorm)]
    seen = []
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))

    def first_sublayer_input():
        seen.clear()
        encoder(input_ids=ids, attention_mask=keep.long())
        return seen[0]

    before = first_sublayer_input()
    keys = set(encoder.state_dict())
    insert_adapters(encoder, lambda: Adapter(32, [2], activation="relu", init_stds=[1e-7], generators=[None]))
    found = list(adapters(encoder))
    assert len(found) == 2 * 3
    with torch.no_grad():
        found[0].up.bias += 0.25
    torch.testing.assert_close(first_sublayer_input(), before + 0.25)
    # No key of the checkpoint is renamed except inside the sub-layer ends, which are linear maps in two families.
    lost = keys - set(encoder.state_dict())
    assert all(".attention.out_lin." in key or ".mlp.Wo." in key for key in lost)


def test_the_second_adapter_of_a_pre_norm_layer_sits_before_the_residual_too():
    """With a constant adapter output, what the next layer's LayerNorm reads moves by exactly that constant."""
    encoder, seen = tiny_encoder("modernbert").eval(), []
    encoder.layers[1].attn_norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    ids, keep, _ = batch("modernbert")
    insert_adapters(encoder, lambda: Adapter(32, [2], activation="relu", init_stds=[1e-7], generators=[None]))
    second = list(adapters(encoder.layers[0]))[1]
    for value in (0.0, 0.25):
        with torch.no_grad():
            second.up.bias.fill_(value)
            encoder(input_ids=ids, attention_mask=keep.long())
    torch.testing.assert_close(seen[1], seen[0] + 0.25)


@pytest.mark.parametrize("family", FAMILIES)
def test_at_initialisation_the_adapted_encoder_equals_the_plain_one(family):
    ids, keep, types = batch(family)
    plain = tiny_encoder(family).eval()
    inputs = {"input_ids": ids, "attention_mask": keep.long()} | ({} if types is None else {"token_type_ids": types})
    with torch.inference_mode():
        output = plain(**inputs)
    expected = getattr(output, "pooler_output", None)
    expected = output.last_hidden_state[:, 0] if expected is None else expected
    model = classifier(family, [AdapterConfig(bottleneck_size=4, init_std=1e-3)]).eval()
    pooled = []
    model.head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    with torch.inference_mode():
        model(ids, keep, types)
    assert (pooled[0] - expected).abs().max() < 1e-3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("config", "trained"),
    [
        (AdapterConfig(bottleneck_size=4), {"adapter", "layernorm", "head"}),
        (AdapterConfig(bottleneck_size=4, train_layernorms=False), {"adapter", "head"}),
        (AdapterConfig(bottleneck_size=4, train_head=False), {"adapter", "layernorm"}),
        (FullConfig(), {"layernorm", "head", "pooler", "embeddings", "encoder"}),
    ],
)
def test_one_step_changes_exactly_the_named_groups(family, config, trained):
    model = classifier(family, [config]).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    ids, keep, types = batch(family)
    # Two steps: at zero, W_up hides the gradient of nothing, but a head of zero bias needs one to move all.
    for _ in range(2):
        loss = HEADS["classification"].loss(model(ids, keep, types), torch.tensor([0, 1, 0, 1, 1, 1]))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    groups = {group_of(name) for name in changed}
    assert groups == trained - ({"pooler"} if not model.has_pooler else set())
    # Whole groups: every adapter, every LayerNorm (the embedding's too), weight and bias.
    for group in trained & {"adapter", "layernorm", "head"}:
        missing = {name for name in before if group_of(name) == group} - changed
        assert not missing


def group_of(name):
    if name.startswith("head"):
        return "head"
    if ".down." in name or ".up." in name:
        return "adapter"
    if "LayerNorm" in name or "norm" in name.split(".")[-2]:
        return "layernorm"
    if "pooler" in name:
        return "pooler"
    return "embeddings" if "embeddings" in name else "encoder"


@pytest.mark.parametrize("family", FAMILIES)
def test_last_layer_for_the_first_token_alone_is_exact(family):
    """Gradients too: the shortcut of the last layer changes nothing that reaches the loss."""
    ids, keep, types = batch(family)
    model = classifier(family, [FullConfig()]).eval()
    plain = tiny_encoder(family).eval()
    inputs = {"input_ids": ids, "attention_mask": keep.long()} | ({} if types is None else {"token_type_ids": types})
    output = plain(**inputs)
    pooled = output.pooler_output if model.has_pooler else output.last_hidden_state[:, 0]
    (pooled @ model.head.weight[0].detach()).square().sum().backward()
    model(ids, keep, types).square().sum().backward()
    for (name, expected), parameter in zip(plain.named_parameters(), model.encoder.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("config", [AdapterConfig(bottleneck_size=4), FullConfig()])
def test_fused_projections_change_nothing(family, config):
    ids, keep, types = batch(family)
    plain, fused = classifier(family, [config]).eval(), classifier(family, [config]).eval()
    fuse_projections(fused)
    is_fused = any("shared" in name for name, _ in fused.named_parameters())
    # Trained projections are left alone.
    assert is_fused == (config.name == "adapter" and get_family(family).fuses)
    outputs = [model(ids, keep, types) for model in (plain, fused)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    gradients = [
        {name: p.grad for name, p in model.named_parameters() if p.grad is not None} for model in (plain, fused)
    ]
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-4, rtol=1e-3, msg=name)


def test_unknown_family_lists_the_known_ones():
    with pytest.raises(
        UserError, match=r"'gpt2' is not supported; choose a checkpoint of bert, roberta, .*modernbert, or"
    ):
        get_family("gpt2")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "albert"}, "'albert' is not supported .all its layers are one set of weights"),
        ({"model_type": "deberta"}, "'deberta' is not supported .only DeBERTa-v2"),
        ({"model_type": "deberta-v2", "conv_kernel_size": 3}, "conv_kernel_size=3.*DeBERTa-v3"),
    ],
)
def test_what_a_family_lacks_is_the_reason_of_its_refusal(config, message):
    with pytest.raises(UserError, match=message) as caught:
        check_supported(config)
    assert "\n" not in str(caught.value)
    check_supported({"model_type": "deberta-v2", "conv_kernel_size": 0})


def test_trained_pooler_is_an_option():
    model = classifier(configs=[AdapterConfig(bottleneck_size=4, train_pooler=True)])
    assert all(parameter.requires_grad for parameter in model.encoder.pooler.parameters())
    with pytest.raises(UserError, match="no pooler"):
        classifier("electra", [AdapterConfig(bottleneck_size=4, train_pooler=True)])
