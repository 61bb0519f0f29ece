"""The linear maps of a layer by short names that mean the same in every encoder family, or by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from harness.errors import UserError
from harness.model.families import get_family

# What follows attention in a layer of BERT, and where families differ from it; paths inside a layer.
_BERT = {"attention_output": "attention.output.dense", "intermediate": "intermediate.dense", "output": "output.dense"}
_OTHERS = {
    "distilbert": {"attention_output": "attention.out_lin", "intermediate": "ffn.lin1", "output": "ffn.lin2"},
    "mpnet": _BERT | {"attention_output": "attention.attn.o"},
    "modernbert": {"attention_output": "attn.Wo", "intermediate": "mlp.Wi", "output": "mlp.Wo"},
}
DENSE = ("attention_output", "intermediate", "output")  # what `dense` stands for: that is their name in BERT


def short_names(family_name: str) -> dict[str, str]:
    """The paths inside a layer by their short names: query, key, value, attention_output, intermediate, output.

    Where query, key and value are one product (ModernBERT), each of the three names stands for it.
    """
    family = get_family(family_name)
    modules = family.projections if len(family.projections) == 3 else family.projections * 3
    projections = zip(("query", "key", "value"), modules, strict=True)
    return {name: f"{family.attention}.{module}" for name, module in projections} | _OTHERS.get(family_name, _BERT)


def rescaled_at_input(family_name: str, path: str) -> bool:
    """Whether IA3 rescales the input of the linear map at that path and not its output: of those that project
    attention's context or the feed-forward activations back to the layer's width.
    """
    short = short_names(family_name)
    return path.endswith((f".{short['attention_output']}", f".{short['output']}"))


def find_targets(encoder: PreTrainedModel, names: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear maps of the encoder's layers that the names stand for, by their paths in it, lowest first.

    A name is a short one, `dense` (all that are no projections of attention), or a regular expression that matches the
    whole path or its end after a dot, which holds for names as `peft` takes them. Raises `UserError` for a name that
    fits none.
    """
    family_name = encoder.config.model_type
    family, short = get_family(family_name), short_names(family_name)
    layers = f"{family.layers}."
    maps = {
        path: module
        for path, module in encoder.named_modules()
        if path.startswith(layers) and isinstance(module, nn.Linear)
    }
    found: set[str] = set()
    for name in names:
        expanded = DENSE if name == "dense" else (name,)
        if all(part in short for part in expanded):
            ends = {short[part] for part in expanded}
            fitting = {path for path in maps if path.removeprefix(layers).partition(".")[2] in ends}
        else:
            fitting = _matching(name, maps)
        if not fitting:
            raise UserError(
                f"method.target_modules: {name!r} is no linear map in the layers of this {family_name} encoder; choose "
                f"from {', '.join(short)} and dense, or give a regular expression for paths such as {next(iter(maps))}"
            )
        found |= fitting
    return {path: module for path, module in maps.items() if path in found}


def _matching(pattern: str, paths: Sequence[str]) -> set[str]:
    try:
        compiled = re.compile(rf"(.*\.)?({pattern})")
    except re.error as error:
        raise UserError(f"method.target_modules: {pattern!r} is no regular expression: {error}") from None
    return {path for path in paths if compiled.fullmatch(path)}
