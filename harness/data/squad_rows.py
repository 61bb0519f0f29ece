"""Questions with contexts and answers as rows; the official JSON layout of SQuAD; every row is checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from harness.data.columns import features
from harness.errors import UserError
from harness.tasks.task import Task

LAYOUT = (
    '{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", '
    '"answers": [{"text", "answer_start"}]}]}]}]}'
)


@dataclass(frozen=True, slots=True)
class Question:
    """One row; `starts` are the answers' first characters in the context, counted in code points."""

    id: str
    article: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


def read_json(path: Path) -> list[Question]:
    """The questions of a file in the official layout; `UserError` that names the file for anything else."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not JSON ({' '.join(str(error).split())})") from None
    try:
        return list(_questions(whole))
    except (KeyError, TypeError, IndexError) as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is not in SQuAD's layout ({what}); expected {LAYOUT}") from None


def _questions(whole: Any) -> Iterator[Question]:
    for number, article in enumerate(whole["data"]):
        title = str(article.get("title", number))
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = asked["answers"]
                yield Question(
                    str(asked["id"]),
                    title,
                    asked["question"],
                    paragraph["context"],
                    tuple(answer["text"] for answer in answers),
                    tuple(int(answer["answer_start"]) for answer in answers),
                )


def checked(questions: list[Question], where: str) -> list[Question]:
    """The questions if a run can use them; else a `UserError` with `where`, the mistake, how many, the first one."""
    if not questions:
        raise UserError(f"{where} has no questions")
    ids = set()
    wrong: dict[str, list[str]] = {}
    for one in questions:
        if mistake := _mistake(one, ids):
            wrong.setdefault(mistake, []).append(one.id)
        ids.add(one.id)
    for mistake, found in wrong.items():
        raise UserError(f"{where}: {mistake} ({len(found):,} of {len(questions):,} questions, the first is {found[0]})")
    return questions


def _mistake(one: Question, seen: set[str]) -> str | None:
    if not isinstance(one.context, str) or not one.context.strip():
        return "the context is empty"
    if not isinstance(one.question, str) or not one.question.strip():
        return "the question is empty"
    if not one.answers:
        return "no answer is given; unanswerable questions, as in version 2.0, are refused: take them out, or use v1.1"
    if any(one.context[start:][: len(text)] != text for text, start in zip(one.answers, one.starts, strict=True)):
        return "answer_start does not match: the context has another text there"
    if not all(text.strip() for text in one.answers):
        return "an answer is empty"
    return "the id occurs twice" if one.id in seen else None


def to_dataset(questions: list[Question], task: Task) -> Dataset:
    """The rows with the columns of `harness.data.columns`."""
    columns = {
        "sentence1": [one.question for one in questions],
        "sentence2": [one.context for one in questions],
        "label": [{"text": list(one.answers), "start": list(one.starts)} for one in questions],
        "idx": range(len(questions)),
        "id": [one.id for one in questions],
        "article": [one.article for one in questions],
    }
    return Dataset.from_dict(columns, features=features(task))
