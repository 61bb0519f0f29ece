"""Parameter counts against the paper's figures and hand-computed values."""

import pytest
from transformers import BertConfig, DebertaV2Config, ModernBertConfig, MPNetConfig, XLMRobertaConfig

from harness.method_config import AdapterConfig, FullConfig, HeadConfig, PeftConfig
from harness.model import parameters
from harness.model.checkpoint import bare_encoder
from harness.model.parameters import count, encoder_size, total_multiple
from tests.fixtures.tiny import tiny_config

LARGE = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
BASE = BertConfig()
BASE_SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
MINILM = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


@pytest.mark.parametrize(
    ("config", "size", "trained"),
    [
        (LARGE, 8, 938_370),
        (LARGE, 64, 6_446_082),
        (LARGE, 256, 25_329_666),
        (BASE, 8, 353_474),
        (BASE, 64, 2_419_202),
        (BASE, 256, 9_501_698),
        (MINILM, 8, 89_186),
        (MINILM, 64, 605_954),
        (MINILM, 256, 2_377_730),
    ],
)
def test_trained_parameters_of_adapters(config, size, trained):
    assert count(config, AdapterConfig(bottleneck_size=size), 2)["trained"] == trained


def test_the_papers_fractions_for_bert_large():
    counted = count(LARGE, AdapterConfig(bottleneck_size=64), 2)
    assert counted["encoder"] == pytest.approx(335.1e6, rel=1e-3)
    assert counted["encoder_layers"] == pytest.approx(302.3e6, rel=1e-3)
    assert round(100 * counted["trained_fraction_layers"], 1) == 2.1
    assert round(100 * counted["trained_fraction"], 2) == 1.92
    # Table 1: 1.2x at size 64; its best sizes per task average 3.6 %, which makes 1.3x.
    assert round(counted["total_multiple"], 1) == 1.2
    assert round(total_multiple([round(0.036 * counted["encoder"])] * 9, counted["encoder"]), 1) == 1.3


def test_groups_of_an_adapted_bert_base():
    groups = count(BASE, AdapterConfig(bottleneck_size=64), 3)["groups"]
    assert groups["adapter"] == {"total": 24 * (2 * 768 * 64 + 768 + 64), "trained": 24 * (2 * 768 * 64 + 768 + 64)}
    assert groups["layernorm"] == {"total": 38_400, "trained": 38_400}
    assert groups["head"] == {"total": 3 * 768 + 3, "trained": 3 * 768 + 3}
    assert groups["pooler"] == {"total": 590_592, "trained": 0}
    assert groups["embeddings"]["total"] == (30_522 + 512 + 2) * 768
    assert groups["encoder"] == {"total": 12 * 7_084_800, "trained": 0}


def test_full_fine_tuning_trains_everything_and_nine_tasks_are_nine_encoders():
    counted = count(BASE, FullConfig(), 2)
    assert counted["trained"] == counted["total"] == counted["encoder"] + 2 * 768 + 2
    assert counted["total_multiple"] == pytest.approx(9.0, abs=1e-3)


def test_options_change_the_count():
    paper = count(BASE, AdapterConfig(), 2)["trained"]
    assert count(BASE, AdapterConfig(train_pooler=True), 2)["trained"] == paper + 590_592
    assert count(BASE, AdapterConfig(train_layernorms=False), 2)["trained"] == paper - 38_400
    assert count(BASE, AdapterConfig(train_head=False), 2)["trained"] == paper - (2 * 768 + 2)


def test_an_encoder_without_a_pooler_has_none_counted():
    config = tiny_config("distilbert")
    counted = count(config, FullConfig(), 2)
    assert counted["groups"]["pooler"]["total"] == 0
    with_pooler = count(BASE, AdapterConfig(), 2)
    without = count(BASE, AdapterConfig(), 2, has_pooler=False)
    assert with_pooler["encoder"] - without["encoder"] == 590_592


@pytest.mark.parametrize(
    ("config", "encoder", "layernorms", "per_layernorm"),
    [
        # Embeddings of 250,002 words, 514 positions and one type, with their LayerNorm; 12 layers; the pooler.
        (
            XLMRobertaConfig(**BASE_SHAPE, vocab_size=250_002, max_position_embeddings=514, type_vocab_size=1),
            (250_002 + 514 + 1) * 768 + 1_536 + 12 * 7_087_872 + 590_592,
            25,
            1_536,
        ),
        # 30,527 words and 514 positions; 32 buckets of distances for 12 heads.
        (
            MPNetConfig(max_position_embeddings=514),
            (30_527 + 514) * 768 + 1_536 + 12 * 7_087_872 + 32 * 12 + 590_592,
            25,
            1_536,
        ),
        # 128,100 words and no positions; 512 distances with a LayerNorm of their own; no pooler.
        (
            DebertaV2Config(
                **BASE_SHAPE, vocab_size=128_100, relative_attention=True, position_buckets=256, share_att_key=True,
                position_biased_input=False, pos_att_type="p2c|c2p", norm_rel_ebd="layer_norm", type_vocab_size=0,
            ),
            128_100 * 768 + 1_536 + 12 * 7_087_872 + 512 * 768 + 1_536,
            26,
            1_536,
        ),
        # 22 layers: attention, gated feed-forward of width 1,152, a LayerNorm before each but the first attention.
        (
            ModernBertConfig(),
            50_368 * 768 + 22 * (4 * 768**2 + 3 * 1_152 * 768) + 45 * 768,
            2 * 22 + 1,
            768,
        ),
    ],
    ids=["xlm-roberta", "mpnet", "deberta-v2", "modernbert"],
)  # fmt: skip
def test_counts_of_other_families_in_their_base_size_are_the_ones_computed_by_hand(
    config, encoder, layernorms, per_layernorm
):
    groups = count(config, AdapterConfig(), 2)["groups"]
    places = 2 * config.num_hidden_layers
    assert groups["adapter"] == dict.fromkeys(("total", "trained"), places * (2 * 64 * 768 + 768 + 64))
    assert groups["layernorm"] == dict.fromkeys(("total", "trained"), layernorms * per_layernorm)
    assert {name for name, group in groups.items() if group["trained"]} == {"adapter", "layernorm", "head"}
    assert count(config, FullConfig(), 2)["trained"] == encoder + 1_538


@pytest.mark.parametrize(
    ("method", "added"),
    [
        # LoRA of rank 8 on query and value of 12 layers: two matrices of 768 x 8 each.
        (PeftConfig(type="LORA", options={"r": 8}), 12 * 2 * 2 * 768 * 8),
        (PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 5}), 12 * 2 * 5 * 768),
    ],
)
def test_what_peft_adds_is_counted_as_adapters(method, added):
    groups = count(BASE, method, 2)["groups"]
    assert groups["adapter"] == {"total": added, "trained": added}
    assert groups["encoder"] == {"total": 12 * 7_084_800, "trained": 0}
    assert groups["head"]["trained"] == 2 * 768 + 2


def test_equal_configs_are_counted_once(monkeypatch):
    """A sweep asks for every config and again for every record."""
    built = []
    monkeypatch.setattr(parameters, "bare_encoder", lambda config: built.append(config) or bare_encoder(config))
    method = AdapterConfig(bottleneck_size=3, init_std=0.123)
    first = count(tiny_config(), method, 2)
    first["groups"]["head"]["trained"] = -1  # a record may be changed
    assert count(tiny_config(), AdapterConfig(bottleneck_size=3, init_std=0.123), 2)["groups"]["head"]["trained"] == 66
    assert len(built) == 1
    assert count(tiny_config(), method, 3)["groups"]["head"]["trained"] == 99
    assert count(tiny_config(), method, 2, has_pooler=False)["groups"]["pooler"]["total"] == 0
    assert len(built) == 3


def test_counting_leaves_the_config_as_it_is():
    config = tiny_config()
    before = vars(tiny_config()).copy()
    count(config, AdapterConfig(bottleneck_size=4), 2)
    assert vars(config) == before


def test_the_size_of_an_encoder_alone():
    assert encoder_size(BASE) == count(BASE, HeadConfig(), 2)["encoder"]
    assert encoder_size(BASE) - encoder_size(BASE, has_pooler=False) == 590_592
