"""What an encoder is, as one hash: its weights, and the parts of config and tokenizer that can change an output.

Equal weights with another activation, or another vocabulary, are another encoder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

# What a config or tokenizer file may say without changing an output: where it came from, what wrote it, and the
# truncation and padding that were set when it was saved (every use here sets its own).
_CONFIG_NOISE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache")
_TOKENIZER_NOISE = ("name_or_path", "special_tokens_map_file", "tokenizer_file", "truncation", "padding")
_TOKENIZER_JSON = ("tokenizer.json", "tokenizer_config.json")
_VOCABULARIES = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "added_tokens.json",
    "special_tokens_map.json",
)  # where there is no tokenizer.json
_SENTENCEPIECE = ("sentencepiece.bpe.model", "spm.model")  # families that came later: hashed only where they are


def fingerprint(folder: Path, weights_sha256: str) -> str:
    """The hash of a checkpoint folder whose weights have that sha256; files that are not there count as absent."""
    digest = hashlib.sha256(weights_sha256.encode())
    digest.update(_json_without(folder / "config.json", _CONFIG_NOISE))
    for name in _TOKENIZER_JSON:
        digest.update(_json_without(folder / name, _TOKENIZER_NOISE))
    if not (folder / _TOKENIZER_JSON[0]).is_file():
        for name in _VOCABULARIES:
            path = folder / name
            digest.update(f"{name} ".encode() + (path.read_bytes() if path.is_file() else b"-"))
        for path in (folder / name for name in _SENTENCEPIECE):
            if path.is_file():
                digest.update(f"{path.name} ".encode() + path.read_bytes())
    return digest.hexdigest()


def _json_without(path: Path, names: tuple[str, ...]) -> bytes:
    """`<file name> <its JSON without those top-level keys>`, or `<file name> -`."""
    if not path.is_file():
        return f"{path.name} -".encode()
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in content.items() if name not in names}
    return f"{path.name} {json.dumps(kept, sort_keys=True)}".encode()
