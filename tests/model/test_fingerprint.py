"""What an encoder is: weights, config and tokenizer change its fingerprint; where it came from does not."""

import json
import shutil

import pytest

from harness.model.checkpoint import find_checkpoint
from harness.model.fingerprint import fingerprint
from tests.fixtures.tiny import save_tiny


@pytest.fixture
def folder(tmp_path, tiny_model):
    return shutil.copytree(tiny_model, tmp_path / "encoder")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def of(folder, weights="w"):
    return fingerprint(folder, weights)


def change_vocabulary(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    words = content["model"]["vocab"]
    words["a1"], words["b2"] = words["b2"], words["a1"]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder / "config.json", hidden_act="relu"),
        lambda folder: edit(folder / "config.json", layer_norm_eps=1e-5),
        change_vocabulary,
        lambda folder: edit(folder / "tokenizer_config.json", do_lower_case=True),
        lambda folder: edit(folder / "tokenizer_config.json", model_input_names=["input_ids"]),
        lambda folder: (folder / "tokenizer_config.json").unlink(),
    ],
    ids=["hidden_act", "layer_norm_eps", "vocabulary", "do_lower_case", "model_input_names", "no tokenizer_config"],
)
def test_what_can_change_an_output_changes_the_fingerprint_of_equal_weights(folder, tiny_model, change):
    change(folder)
    assert of(folder) != of(tiny_model)
    found, before = find_checkpoint(str(folder)), find_checkpoint(str(tiny_model))
    assert found.sha256 == before.sha256 and found.fingerprint != before.fingerprint


def test_a_sentencepiece_model_counts_where_there_is_no_tokenizer_json(folder):
    (folder / "tokenizer.json").unlink()
    found = {of(folder)}
    for name in ("spm.model", "sentencepiece.bpe.model"):
        for content in (b"one", b"other"):
            (folder / name).write_bytes(content)
            found.add(of(folder))
    assert len(found) == 5


def test_other_weights_are_another_encoder(folder):
    assert of(folder, "one") != of(folder, "other")


def test_where_it_came_from_and_what_was_set_when_it_was_saved_do_not(folder, tiny_model):
    before = of(tiny_model)
    edit(folder / "config.json", _name_or_path="/some/where", transformers_version="4.0.0", torch_dtype="float16")
    edit(folder / "tokenizer_config.json", name_or_path="/some/where", tokenizer_file=None)
    edit(
        folder / "tokenizer.json",
        truncation={"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0},
        padding={"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    )
    (folder / "README.md").write_text("# a card")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(reversed(content.items())), indent=8))  # order and spaces
    assert of(folder) == before


def test_the_same_checkpoint_saved_twice_has_one_fingerprint(tmp_path, tiny_model):
    assert of(save_tiny(tmp_path / "again")) == of(tiny_model)


@pytest.mark.parametrize("file", ["vocab.txt", "vocab.json", "merges.txt", "spiece.model"])
def test_a_vocabulary_without_tokenizer_json_is_covered(folder, file):
    (folder / "tokenizer.json").unlink()
    without = of(folder)
    (folder / file).write_text("a\nb\n")
    one = of(folder)
    (folder / file).write_text("b\na\n")
    assert len({without, one, of(folder)}) == 3


def test_an_unused_vocabulary_next_to_tokenizer_json_is_not(folder):
    before = of(folder)
    (folder / "vocab.txt").write_text("a\nb\n")
    assert of(folder) == before
