"""Target modules: short names that mean the same in every family, regular expressions, and what is refused."""

import pytest
from torch import nn

from harness.errors import UserError
from harness.model.families import FAMILIES, get_family
from harness.model.targets import find_targets, short_names
from tests.fixtures.tiny import tiny_encoder


@pytest.mark.parametrize("family", FAMILIES)
def test_short_names_stand_for_all_linear_maps_of_a_layer_in_every_family(family):
    encoder = tiny_encoder(family)
    layers = get_family(family).layers_of(encoder)
    maps = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    in_layers = [name for name in maps if name.startswith(f"{get_family(family).layers}.")]
    names = list(short_names(family))
    assert list(find_targets(encoder, names)) == in_layers
    for name in names:
        found = find_targets(encoder, [name])
        assert len(found) == len(layers) and len({id(module) for module in found.values()}) == len(layers)
    assert find_targets(encoder, ["query", "key", "value", "dense"]) == find_targets(encoder, names)
    assert find_targets(encoder, ["dense"]) == find_targets(encoder, ["attention_output", "intermediate", "output"])


def test_output_is_the_feed_forward_sublayers_and_a_plain_end_of_a_path_means_all_that_end_so():
    encoder = tiny_encoder("bert")
    assert list(find_targets(encoder, ["output"])) == [f"encoder.layer.{layer}.output.dense" for layer in range(3)]
    # As in peft, whose name for it fits both.
    assert len(find_targets(encoder, ["output.dense"])) == 6


def test_regular_expressions_match_whole_paths_or_their_ends():
    encoder = tiny_encoder("distilbert")
    assert list(find_targets(encoder, [r"transformer\.layer\.[02]\..*\.q_lin"])) == [
        "transformer.layer.0.attention.q_lin",
        "transformer.layer.2.attention.q_lin",
    ]
    assert len(find_targets(encoder, [r"[qk]_lin", "value"])) == 9
    bert = tiny_encoder("bert")
    assert all("pooler" not in path for path in find_targets(bert, [".*"]))
    with pytest.raises(UserError):
        find_targets(bert, ["uery"])


@pytest.mark.parametrize(
    ("family", "name", "words"),
    [
        ("bert", "q_lin", r"'q_lin' is no linear map .* bert encoder; choose from query, key, .* encoder\.layer\.0"),
        ("distilbert", "LayerNorm", r"'LayerNorm' is no linear map .* distilbert .* transformer\.layer\.0"),
        ("bert", "(query", r"'\(query' is no regular expression"),
    ],
)
def test_a_target_that_the_family_lacks_is_refused_with_those_that_exist(family, name, words):
    with pytest.raises(UserError, match=f"method.target_modules: {words}"):
        find_targets(tiny_encoder(family), ["query", name])
