"""A budget chooses the size that trains as many parameters as it allows, and no more."""

from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    HeadConfig,
    LayerNormConfig,
    PeftConfig,
    PrefixConfig,
    TopLayersConfig,
    budget_parameters,
)
from harness.model import budget
from harness.model.budget import _largest, budget_line, with_size, within_budget
from harness.model.parameters import count
from harness.records.method_title import size_key
from tests.fixtures.tiny import tiny_config

SIZED = [
    (AdapterConfig(), "bottleneck_size"),
    (AdapterConfig(placement="pfeiffer"), "bottleneck_size"),
    (PrefixConfig(), "virtual_tokens"),
    (PeftConfig(type="LORA", options={"lora_alpha": 4}), "options.r"),
    (PeftConfig(type="LOHA"), "options.r"),
    (PeftConfig(type="FOURIERFT"), "options.n_frequency"),
    (PeftConfig(type="PREFIX_TUNING"), "options.num_virtual_tokens"),
]


def chosen(method, budget, outputs=2, has_pooler=True):
    return within_budget(tiny_config(), replace(method, budget=budget), outputs, has_pooler=has_pooler)


def trained(method, outputs=2, has_pooler=True):
    return count(tiny_config(), method, outputs, has_pooler=has_pooler)["trained"]


@pytest.mark.parametrize(("method", "key"), SIZED)
@pytest.mark.parametrize("allowed", [3000, "9%"])
def test_the_next_size_would_exceed_the_budget(method, key, allowed):
    assert size_key({"name": method.name, "type": getattr(method, "type", None)}) == key
    found = chosen(method, allowed)
    parameters = budget_parameters(allowed, count(tiny_config(), found, 2)["encoder"])
    section, _, name = key.rpartition(".")
    size = getattr(found, section)[name] if section else getattr(found, name)
    assert trained(found) <= parameters < trained(with_size(method, key, size + 1))
    assert replace(found, budget=None) == with_size(method, key, size)  # nothing else changes


def test_a_budget_that_a_size_meets_exactly_is_met():
    exact = trained(AdapterConfig(bottleneck_size=5))
    assert chosen(AdapterConfig(), exact).bottleneck_size == 5
    assert chosen(AdapterConfig(), exact - 1).bottleneck_size == 4
    assert chosen(AdapterConfig(), trained(AdapterConfig(bottleneck_size=1))).bottleneck_size == 1
    assert chosen(AdapterConfig(), None).bottleneck_size == 64


def test_the_head_of_the_task_and_the_pooler_count():
    exact = trained(AdapterConfig(bottleneck_size=5), outputs=3)
    assert chosen(AdapterConfig(), exact, outputs=3).bottleneck_size == 5
    assert chosen(AdapterConfig(), exact - 1, outputs=2).bottleneck_size == 5
    assert chosen(AdapterConfig(), exact, outputs=30).bottleneck_size < 5
    top = trained(TopLayersConfig(layers=2))
    assert chosen(TopLayersConfig(), top - 1).layers == 1
    assert chosen(TopLayersConfig(), top - 1, has_pooler=False).layers == 2


def test_a_share_is_one_of_the_encoders_parameters():
    encoder = count(tiny_config(), AdapterConfig(), 2)["encoder"]
    assert budget_parameters("2.5%", encoder) == budget_parameters("2.5 %", encoder) == int(0.025 * encoder)
    for shown in ("7%", 0.07 * encoder // 1):  # 6e5 is a float
        expected = chosen(AdapterConfig(), int(0.07 * encoder))
        assert replace(chosen(AdapterConfig(), shown), budget=None) == replace(expected, budget=None)


def test_top_layers_end_with_the_encoder():
    found = chosen(TopLayersConfig(), "400%")
    assert found.layers == 3
    line = budget_line(tiny_config(), found, 2, has_pooler=True)
    assert "method.layers=3, the largest that this encoder has, trains" in line


@pytest.mark.parametrize(
    ("method", "allowed", "words"),
    [
        (LayerNormConfig(), 600, "layernorm has no size to choose, it trains 514 parameters (1.36 % of"),
        (BitFitConfig(), "90%", "bitfit has no size"),
        (HeadConfig(), "90%", "head has no size to choose, it trains 66 parameters"),
        (PeftConfig(type="IA3"), 600, "peft IA3 has no size"),
        (AdapterConfig(), 1000, "allows 1,000 parameters, and adapter with method.bottleneck_size=1 trains 1,096"),
        (TopLayersConfig(), "10%", "top_layers with method.layers=1 trains 9,666 parameters (25.6 % of the encoder's)"),
    ],
)
def test_a_budget_that_nothing_meets_says_what_the_method_trains(method, allowed, words):
    with pytest.raises(UserError) as caught:
        chosen(method, allowed)
    assert f"method.budget={allowed}" in str(caught.value) and words in str(caught.value)


def test_the_line_names_size_parameters_and_what_is_left_of_the_budget():
    found = chosen(AdapterConfig(), 2000)
    assert budget_line(tiny_config(), found, 2, has_pooler=True) == (
        "method.budget=2000: adapter with method.bottleneck_size=3 trains 1,876 parameters (4.98 % of the encoder's), "
        "6.2 % below the budget"
    )


@pytest.mark.parametrize("law", [lambda size: 10 + 7 * size, lambda size: size**2, lambda size: 100 * size**0.5])
def test_sizes_need_not_add_the_same_number_of_parameters_each(law):
    for allowed in (101, 1000, 12345):
        size = _largest(law, allowed)
        assert law(size) <= allowed < law(size + 1)


def test_a_sweep_counts_few_sizes(monkeypatch):
    """Each count builds an encoder without weights."""
    counted = []
    monkeypatch.setattr(budget, "_SIZES", {})
    monkeypatch.setattr(budget, "count", lambda *a, **k: counted.append(a) or count(*a, **k))
    for _ in range(5):
        chosen(AdapterConfig(), 34567)
    sizes = {method.bottleneck_size for _, method, _ in counted}
    assert len(sizes) <= 4
