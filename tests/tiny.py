"""Tiny random encoders with a real tokenizer, one of every supported family."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, DistilBertConfig, ElectraConfig, PreTrainedTokenizerFast, RobertaConfig

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = tuple(f"{letter}{number}" for letter in "abcdefghij" for number in range(10))
SMALL = {"vocab_size": 200, "max_position_embeddings": 140}
WIDE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}

CONFIGS = {
    "bert": lambda: BertConfig(**SMALL, **WIDE),
    "roberta": lambda: RobertaConfig(**SMALL, **WIDE, pad_token_id=0, type_vocab_size=1),
    "electra": lambda: ElectraConfig(**SMALL, **WIDE, embedding_size=16),
    "distilbert": lambda: DistilBertConfig(**SMALL, dim=32, n_layers=3, n_heads=4, hidden_dim=64),
}


def tiny_config(family: str = "bert"):
    """The config of a tiny encoder: 3 layers, width 32."""
    return CONFIGS[family]()


def tiny_encoder(family: str = "bert", seed: int = 0):
    """A random encoder whose LayerNorms and biases are not at their trivial start values."""
    torch.manual_seed(seed)
    encoder = AutoModel.from_config(tiny_config(family))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Words at white space, characters' case kept; unknown words are [UNK]."""
    tokenizer = Tokenizer(models.WordLevel({token: index for index, token in enumerate(SPECIAL + WORDS)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)


def save_tiny(folder: Path, family: str = "bert") -> Path:
    """A checkpoint folder as `save_pretrained` writes it."""
    tiny_encoder(family).save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    if family in ("roberta", "distilbert"):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    return folder
