"""Questions with contexts as overlapping windows of tokens, and spans of tokens as spans of characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.console import shown
from harness.data.batches import Encoded, cached, content_key, encoded
from harness.errors import UserError
from harness.tasks.span import Answer, Span, objects
from harness.tasks.task import Task

if TYPE_CHECKING:  # a prediction needs no datasets
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

CHUNK = 1000  # questions that are tokenised at once: their offsets are Python objects, 100 bytes per token


@dataclass(frozen=True)
class Windows(Encoded):
    """N questions with their contexts as W windows; `len` and the rows of `gather` are windows.

    `gold [W, 2]`: first and last token of the answer, both 0 (the first token) where the window does not hold all of
    it. The context's tokens in a window are `first [W]` up to `first + count [W]`. `characters [tokens of all
    contexts' windows, 2]`: where each lies in its context; those of window w begin at `place[w]`. `question [W]` is the
    number of its question; `questions [N]` are their gold answers, `contexts` their texts.
    """

    kind: Span
    first: Tensor
    count: Tensor
    question: np.ndarray
    characters: np.ndarray
    place: np.ndarray
    questions: np.ndarray
    contexts: Sequence[str]

    @property
    def rows(self) -> int:
        return len(self.contexts)

    @property
    def gold_labels(self) -> np.ndarray:
        return self.questions

    def select(self, rows: np.ndarray) -> Windows:
        """Some windows only; `answers` wants all windows of every question."""
        numbers = torch.from_numpy(rows).to(self.ids.device)
        own = {name: getattr(self, name)[rows] for name in ("question", "place")}
        return replace(super().select(rows), first=self.first[numbers], count=self.count[numbers], **own)

    def condense(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The best span of each window: `[R, B, T, 2]` -> `[R, B, 3]`, its first and last token and its score."""
        return best_spans(logits, self.first[rows], self.count[rows], self.kind.max_answer_tokens)

    def answers(self, kind: Span, spans: np.ndarray) -> np.ndarray:
        """The best span over all windows of each question as its answer: `[W, 3]` -> `[N]`."""
        order = np.lexsort((-spans[:, 2], self.question))  # best first; ties go to the earlier window
        best = order[np.unique(self.question[order], return_index=True)[1]]
        places = (self.place[best] - self.first.cpu().numpy()[best])[:, None] + spans[best, :2].astype(np.int64)
        starts, ends = self.characters[places[:, 0], 0], self.characters[places[:, 1], 1]
        found = zip(self.contexts, starts.tolist(), ends.tolist(), spans[best, 2].tolist(), strict=True)
        return objects(Answer(text[start:end], start, end, score) for text, start, end, score in found)


def best_spans(logits: Tensor, first: Tensor, count: Tensor, longest: int) -> Tensor:
    """The span of at most `longest` tokens with the highest sum of start and end logit, within the context.

    `logits [R, B, T, 2]`, `first` and `count [B]` -> `[R, B, 3]`: first token, last token, sum. Ties go to the
    earliest start, then to the shortest span.
    """
    token = torch.arange(logits.shape[2], device=logits.device)
    outside = (token < first[:, None]) | (token >= (first + count)[:, None])
    start, end = logits.float().masked_fill(outside[..., None], -torch.inf).unbind(-1)
    longest = min(longest, logits.shape[2])
    ends = F.pad(end, (0, longest - 1), value=-torch.inf).unfold(-1, longest, 1)  # [R, B, T, longest]
    best_end, length = ends.max(-1)
    score, begin = (start + best_end).max(-1)
    last = begin + length.gather(-1, begin[..., None])[..., 0]
    return torch.stack([begin.float(), last.float(), score], -1)


def encode_windows(
    split: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    cache_dir: Path | None,
    device: str,
) -> Windows:
    """Tokenise a split into windows, or read them from the cache; see `harness.data.batches.encode`."""
    from harness.data.columns import gold_of  # imports datasets

    columns = [list(split[column]) for column in task.columns]
    what = f"windows of {max_length} with {task.kind.stride}"
    key = content_key(columns, tokenizer, what)
    tokens = cached(cache_dir, key, lambda: _tokenise(columns, tokenizer, max_length, task.kind.stride, show=True))
    answers = [(label["start"][0], label["start"][0] + len(label["text"][0])) for label in split["label"]]
    gold = torch.from_numpy(gold_tokens(tokens, answers))
    return _windows(tokens, gold, task.kind, gold_of(split, task), columns[1], tokenizer, device)


def encode_questions(
    columns: list[list[str]], task: Task, tokenizer: PreTrainedTokenizerBase, *, max_length: int, device: str
) -> Windows:
    """Questions and contexts without gold answers; nothing is cached."""
    check_questions(columns[0], tokenizer, max_length=max_length, stride=task.kind.stride, where="a question")
    tokens = _tokenise(columns, tokenizer, max_length, task.kind.stride)
    gold = torch.zeros(len(tokens["question"]), 2, dtype=torch.long)
    return _windows(tokens, gold, task.kind, objects([None] * len(columns[0])), columns[1], tokenizer, device)


def check_questions(
    questions: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    stride: int,
    where: str,
    name: Callable[[int], str] = lambda row: f"number {row + 1}",
) -> None:
    """`UserError` for the first question that leaves a window too little room for its context: at most `stride`."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - stride
    if room < 2:
        raise UserError(f"task.stride={stride} is too much for windows of train.max_length={max_length}; lower it")
    # A token has at least one byte, so that few questions need be tokenised.
    for row, text in enumerate(questions):
        if len(text.strip().encode()) >= room:
            tokens = len(tokenizer(text.strip(), add_special_tokens=False)["input_ids"])
            if tokens >= room:
                raise UserError(
                    f"{where}: question {name(row)} has {tokens} tokens, which leaves windows of train.max_length="
                    f"{max_length} no more than task.stride={stride} tokens of the context; raise train.max_length, "
                    "lower task.stride, or take the question out"
                )


def gold_tokens(tokens: dict[str, np.ndarray], answers: Sequence[tuple[int, int]]) -> np.ndarray:
    """First and last token of each window's answer, `[W, 2]`; both 0 where the window does not hold all of it.

    `answers [N]` are first and end characters. A token that holds more than the answer, at either end, counts whole.
    """
    found = np.zeros((len(tokens["question"]), 2), np.int64)
    places = _places(tokens)
    for window, (question, place) in enumerate(zip(tokens["question"], places, strict=True)):
        start, end = answers[question]
        characters = tokens["characters"][place : place + tokens["count"][window]]
        if len(characters) and characters[0, 0] <= start and end <= characters[-1, 1]:
            first = np.searchsorted(characters[:, 1], start, side="right")
            last = np.searchsorted(characters[:, 0], end, side="left") - 1
            if first <= last:
                found[window] = tokens["first"][window] + np.array([first, last])
    return found


def _tokenise(
    columns: list[list[str]], tokenizer: PreTrainedTokenizerBase, max_length: int, stride: int, *, show: bool = False
) -> dict[str, np.ndarray]:
    """`harness.data.batches`' arrays for windows, and `question`, `first`, `count` and `characters` of `Windows`.

    Questions lose the spaces around them (3 % of SQuAD's have some); of the contexts nothing changes.
    """
    parts: dict[str, list[np.ndarray]] = {}
    starts = range(0, len(columns[0]), CHUNK)
    for start in shown(starts, "tokenising") if show and len(starts) > 1 else starts:
        questions, contexts = (column[start : start + CHUNK] for column in columns)
        coded = tokenizer(
            [question.strip() for question in questions],
            contexts,
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
        )
        mapping = np.asarray(coded["overflow_to_sample_mapping"], np.int32) + start
        for window, (ids, offsets) in enumerate(zip(coded["input_ids"], coded["offset_mapping"], strict=True)):
            kept = np.flatnonzero(np.asarray(coded.sequence_ids(window), float) == 1)
            if not len(kept):
                raise UserError(f"the context of question number {mapping[window] + 1} has no token; take it out")
            first, count = int(kept[0]), len(kept)
            _add(parts, "ids", np.asarray(ids, np.int32))
            _add(parts, "lengths", np.asarray([len(ids)], np.int64))
            _add(parts, "first", np.asarray([first], np.int64))
            _add(parts, "count", np.asarray([count], np.int64))
            _add(parts, "characters", np.asarray(offsets[first : first + count], np.int32).reshape(-1, 2))
            if "token_type_ids" in coded:
                _add(parts, "token_types", np.asarray(coded["token_type_ids"][window], np.int32))
        _add(parts, "question", mapping)
    tokens = {name: np.concatenate(found) for name, found in parts.items()}
    tokens["offsets"] = np.concatenate([[0], np.cumsum(tokens.pop("lengths"))])
    return tokens


def _add(parts: dict[str, list[np.ndarray]], name: str, values: np.ndarray) -> None:
    parts.setdefault(name, []).append(values)


def _places(tokens: dict[str, np.ndarray]) -> np.ndarray:
    """Where the characters of each window begin."""
    return np.concatenate([[0], np.cumsum(tokens["count"])[:-1]])


def _windows(
    tokens: dict[str, np.ndarray],
    gold: Tensor,
    kind: Span,
    questions: np.ndarray,
    contexts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    device: str,
) -> Windows:
    plain = encoded(tokens, gold, tokenizer, device)
    return Windows(
        **vars(plain),
        kind=kind,
        first=torch.from_numpy(tokens["first"]).to(device),
        count=torch.from_numpy(tokens["count"]).to(device),
        question=tokens["question"],
        characters=tokens["characters"],
        place=_places(tokens),
        questions=questions,
        contexts=contexts,
    )
