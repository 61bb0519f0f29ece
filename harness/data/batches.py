"""Rows to batches: tokenise once (cached on disk), plan length-grouped batches, gather them on the device."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

from harness.errors import naming
from harness.tasks.kinds import Kind
from harness.tasks.task import Task

if TYPE_CHECKING:  # a prediction needs no datasets
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

# Padded tokens per batch where no gradients are kept; that of Apple's GPUs is a guess.
EVALUATION_TOKENS = {"cpu": 4096, "cuda": 65536, "mps": 16384}
# The type of the gold labels in a batch, by kind of task.
LABEL_DTYPES: dict[str, torch.dtype] = {"classification": torch.long, "regression": torch.float32}
_NAME = "name"  # the array of a cached file that holds its name


@dataclass(frozen=True)
class Encoded:
    """A tokenised split of N rows on a device.

    `ids [N, L]` padded with the tokenizer's padding id, `token_types [N, L]` or None, `lengths [N]` (host, with the
    special tokens), `gold [N]`: the gold labels, int64 class ids or float32 scores.
    """

    ids: Tensor
    token_types: Tensor | None
    lengths: np.ndarray
    gold: Tensor
    device_lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def rows(self) -> int:
        """The rows of the data set that these are."""
        return len(self)

    @property
    def gold_labels(self) -> np.ndarray:
        """The gold labels that answers are compared with, one per row of the data set."""
        return self.gold.cpu().numpy()

    def condense(self, logits: Tensor, rows: Tensor) -> Tensor:
        """What an evaluation keeps of the logits of some rows, `[R, B, ...]` -> `[R, B, n]`: here, all of them."""
        return logits

    def answers(self, kind: Kind, outputs: np.ndarray) -> np.ndarray:
        """The answers to all rows of the data set from what was kept of their logits, `[N, n]`."""
        return kind.decide(outputs)

    def select(self, rows: np.ndarray) -> Encoded:
        """Some rows only, by their numbers."""
        numbers = torch.from_numpy(rows).to(self.ids.device)
        return replace(
            self,
            ids=self.ids[numbers],
            token_types=None if self.token_types is None else self.token_types[numbers],
            lengths=self.lengths[rows],
            gold=self.gold[numbers],
            device_lengths=self.device_lengths[numbers],
        )

    def gather(self, rows: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Some rows cut to `width` tokens: ids, keep (False at padding) and token types, each `[len(rows), width]`."""
        ids = self.ids[rows, :width].long()
        keep = torch.arange(width, device=ids.device) < self.device_lengths[rows, None]
        token_types = None if self.token_types is None else self.token_types[rows, :width].long()
        return ids, keep, token_types


def encode(
    split: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    cache_dir: Path | None,
    device: str,
) -> Encoded:
    """Tokenise a split, or read it from the cache. Pairs are cut to `max_length` tokens, the longer text first."""
    columns = [list(split[column]) for column in task.columns]
    key = content_key(columns, tokenizer, str(max_length))
    tokens = cached(cache_dir, key, lambda: _tokenise(columns, tokenizer, max_length))
    gold = torch.tensor(np.asarray(split["label"]), dtype=LABEL_DTYPES[task.kind.name])
    return encoded(tokens, gold, tokenizer, device)


def encode_texts(
    columns: list[list[str]], tokenizer: PreTrainedTokenizerBase, *, max_length: int, device: str
) -> Encoded:
    """Tokenise rows without gold labels (-1), one list of texts per column; nothing is cached."""
    gold = torch.full((len(columns[0]),), -1)
    return encoded(_tokenise(columns, tokenizer, max_length), gold, tokenizer, device)


def join(parts: Sequence[Encoded], *, pad: int) -> Encoded:
    """The rows of all parts, in order; `pad` is the tokenizer's padding id."""
    width = max(part.ids.shape[1] for part in parts)
    types = [part.token_types for part in parts]

    def stacked(tensors: Sequence[Tensor], value: int) -> Tensor:
        return torch.cat([F.pad(tensor, (0, width - tensor.shape[1]), value=value) for tensor in tensors])

    return Encoded(
        ids=stacked([part.ids for part in parts], pad),
        token_types=None if types[-1] is None else stacked(types, 0),
        lengths=np.concatenate([part.lengths for part in parts]),
        gold=torch.cat([part.gold for part in parts]),
        device_lengths=torch.cat([part.device_lengths for part in parts]),
    )


def encoded(tokens: dict[str, np.ndarray], gold: Tensor, tokenizer: PreTrainedTokenizerBase, device: str) -> Encoded:
    lengths = np.diff(tokens["offsets"])
    pad = tokenizer.pad_token_id or 0
    token_types = _padded(tokens["token_types"], lengths, 0) if "token_types" in tokens else None
    return Encoded(
        ids=_padded(tokens["ids"], lengths, pad).to(device),
        token_types=None if token_types is None else token_types.to(device),
        lengths=lengths,
        gold=gold.to(device),
        device_lengths=torch.from_numpy(lengths).to(device),
    )


def plan_epoch(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch as arrays of at most `batch_size` row numbers; every row occurs once.

    Rows are sorted by length, with ties in random order by `seed`. Each row then moves by up to about one batch, the
    sequence is cut into batches, and the batches are shuffled. These last steps depend on the epoch only: in a stack,
    batch k has the same lengths whatever a replica's seed, so that no replica is padded to the width of another.
    """
    ties = np.random.default_rng((seed, epoch, 1)).permutation(len(lengths))
    by_length = ties[np.argsort(lengths[ties], kind="stable")]
    shared = np.random.default_rng((epoch, 2))
    places = np.arange(len(lengths)) + shared.uniform(0, batch_size, len(lengths))
    mixed = by_length[np.argsort(places, kind="stable")]
    batches = [mixed[start : start + batch_size] for start in range(0, len(mixed), batch_size)]
    return [batches[index] for index in shared.permutation(len(batches))]


def evaluation_batches(lengths: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Row numbers by decreasing length, in batches of at most `max_tokens` padded tokens."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, max_tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def padding_share(lengths: np.ndarray, batches: Sequence[np.ndarray], widths: Sequence[int]) -> float:
    """Padded tokens over all tokens computed, for an epoch's batches padded to `widths` tokens."""
    computed = sum(len(batch) * width for batch, width in zip(batches, widths, strict=True))
    return 1 - int(lengths.sum()) / computed


def content_key(columns: list[list[str]], tokenizer: PreTrainedTokenizerBase, how: str) -> str:
    """The name in the cache of what a tokenizer makes of some texts; `how` is whatever else decides that.

    It is made from the content of rows and tokenizer, never from a name or path.
    """
    digest = hashlib.sha256(f"1\0{how}\0{len(columns)}\0".encode())
    digest.update(_tokenizer_key(tokenizer))
    for column in columns:
        for text in column:
            data = text.encode()
            digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()[:32]


@cache  # 40 ms for a vocabulary of 30,000
def _tokenizer_key(tokenizer: PreTrainedTokenizerBase) -> bytes:
    """Everything that decides what the tokenizer makes of a text.

    Truncation and padding are left out: they are the state that the tokenizer's last call left behind. The names of
    its outputs say whether it returns token types: DistilBERT's tokenizer is BERT's without them.
    """
    whole = json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
    return json.dumps([whole, tokenizer.model_input_names], sort_keys=True).encode()


def _tokenise(columns: list[list[str]], tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, np.ndarray]:
    coded = tokenizer(*columns, truncation=True, max_length=max_length, padding=False, return_attention_mask=False)
    lengths = [len(ids) for ids in coded["input_ids"]]
    tokens = {
        "ids": np.concatenate([np.asarray(ids, np.int32) for ids in coded["input_ids"]]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    }
    if "token_type_ids" in coded:
        tokens["token_types"] = np.concatenate([np.asarray(types, np.int32) for types in coded["token_type_ids"]])
    return tokens


def cached(cache_dir: Path | None, key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The tokens of that key from the cache, or made and written there; without a folder, only made.

    One process at a time makes them, and others that want the same wait for it: a sweep's processes start together.
    """
    if cache_dir is None:
        return make()
    path = cache_dir / "tokens" / f"{key}.npz"
    tokens = _read_cached(path)
    if tokens is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        with suppress(OSError, NotImplementedError):  # some file systems have no locks, which costs only time
            lock.acquire()
        try:
            tokens = _read_cached(path)
            if tokens is None:
                tokens = make()
                _write_cached(path, tokens)
            Path(lock.lock_file).unlink(missing_ok=True)  # those that still wait for it will find the tokens
        finally:
            lock.release()
    return tokens


def _read_cached(path: Path) -> dict[str, np.ndarray] | None:
    """The tokens of a file that holds its own name, so that no other file in its place is taken for it."""
    try:
        with np.load(path) as file:
            found = dict(file)
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file, whatever the damage, counts as missing
        return None
    return found if str(found.pop(_NAME, "")) == path.stem else None


def _write_cached(path: Path, tokens: dict[str, np.ndarray]) -> None:
    with naming(path), tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        try:
            np.savez(file, **tokens, **{_NAME: np.array(path.stem)})
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _padded(flat: np.ndarray, lengths: np.ndarray, value: int) -> Tensor:
    width = int(lengths.max())
    padded = np.full((len(lengths), width), value, np.int32)
    padded[np.arange(width) < lengths[:, None]] = flat
    return torch.from_numpy(padded)
