"""Rows of any kind of task as tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data import batches, windows
from harness.data.batches import Encoded
from harness.tasks.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def encode(
    split: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    cache_dir: Path | None,
    device: str,
) -> Encoded:
    """Tokenise a split, or read it from the cache (None: there is none): rows, or the windows of a span task."""
    make = windows.encode_windows if task.kind.name == "span" else batches.encode
    return make(split, task, tokenizer, max_length=max_length, cache_dir=cache_dir, device=device)


def encode_texts(
    columns: list[list[str]], task: Task, tokenizer: PreTrainedTokenizerBase, *, max_length: int, device: str
) -> Encoded:
    """Tokenise rows without gold labels, one list of texts per column; nothing is cached."""
    if task.kind.name == "span":
        return windows.encode_questions(columns, task, tokenizer, max_length=max_length, device=device)
    return batches.encode_texts(columns, tokenizer, max_length=max_length, device=device)
