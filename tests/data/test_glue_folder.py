"""The local source: official files in all their forms, and every way in which they can be wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from datasets import ClassLabel, Value

from harness.data import sources
from harness.data.sources import diagnostic_rows
from harness.data.sources.glue_folder import TORN_LINES, GlueFolder, cola_sources
from harness.errors import UserError
from harness.tasks.glue import GLUE_FILES, TASKS
from tests.fixtures.glue_fixture import sentence, write_diagnostic, write_glue

# Rows of the folder that the project is measured on (train, evaluation sets, test sets); None: the file is missing.
MEASURED_ROWS = {
    "cola": (8551, 1043, 1063),
    "sst2": (67349, 872, 1821),
    "mrpc": (3668, 408, 1725),
    "stsb": (5749, 1500, 1379),
    "rte": (2490, 277, 3000),
    "wnli": (635, 71, 146),
    "qnli": (9999, 5463, 5463),
    "qqp": (8999, 1000, None),
    "mnli": (9999, 1000, 1000, None, None),
}


@pytest.fixture(scope="module")
def glue(tmp_path_factory) -> Path:
    return write_glue(tmp_path_factory.mktemp("glue"))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def folder_at(path: Path | str) -> GlueFolder:
    return GlueFolder(str(path), "as given")


def error_of(step: str, task: str, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        getattr(folder_at(folder), step)(TASKS[task])
    message = str(caught.value)
    assert "\n" not in message and "\r" not in message
    return message


def test_the_diagnostic_set_is_read_where_it_lies(tmp_path):
    folder = write_glue(tmp_path / "glue", tasks=["mnli", "cola"])
    choice = sources.resolve(source="local", path=str(folder))
    assert diagnostic_rows(choice, TASKS["mnli"]) is None
    before = choice.fingerprint(TASKS["mnli"])
    write_diagnostic(folder)
    rows = diagnostic_rows(choice, TASKS["mnli"])
    assert (rows["idx"][:2], set(rows["label"])) == ([100, 101], {-1})
    assert rows["sentence1"][0] == sentence(0) and rows["sentence2"][0] == sentence(1)
    assert diagnostic_rows(choice, TASKS["cola"]) is None
    assert choice.fingerprint(TASKS["mnli"]) == before  # it trains and scores nothing
    assert diagnostic_rows(sources.resolve(source="synthetic"), TASKS["mnli"]) is None


def test_the_sources_of_cola_are_in_the_order_of_its_rows(tmp_path):
    write(tmp_path, "CoLA/train.tsv", 'gj04\t1\t\tHe left.\n\nbc01\t0\t*\tHim "left.\ngj04\t1\t\tWe left.\n')
    write(tmp_path, "CoLA/dev.tsv", "swb04\t1\t\tThey left.\r\n")
    folder = folder_at(tmp_path)
    found = cola_sources(folder)
    assert found == {"train": ["gj04", "bc01", "gj04"], "validation": ["swb04"]}
    assert {split: rows.num_rows for split, rows in folder.load(TASKS["cola"]).items()} == {"train": 3, "validation": 1}


@pytest.mark.parametrize(
    ("line", "told"),
    [("\t1\t\tHe left.", "line 2 names no source"), ("1\tHe left.", "line 2 has 2 fields, expected 4")],
)
def test_cola_without_sources_is_refused(tmp_path, line, told):
    write(tmp_path, "CoLA/train.tsv", f"gj04\t1\t\tWe left.\n{line}\n")
    write(tmp_path, "CoLA/dev.tsv", "gj04\t1\t\tWe left.\n")
    with pytest.raises(UserError, match=told):
        cola_sources(folder_at(tmp_path))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_all_rows_and_the_common_columns(glue, name):
    task = TASKS[name]
    folder_at(glue).check(task)
    splits = folder_at(glue).load(task)
    assert list(splits) == ["train", *task.evaluation_sets, *task.test_sets]
    for split, rows in splits.items():
        assert rows.num_rows == (48 if split == "train" else 16)
        assert rows.column_names == [*task.columns, "label", "idx"]
        assert rows["idx"][:] == list(range(rows.num_rows))
        assert rows["sentence1"][:3] == [sentence(0), sentence(2), sentence(4)]
        label, idx = rows.features["label"], rows.features["idx"]
        assert label == (Value("float32") if task.name == "stsb" else ClassLabel(names=list(task.kind.labels)))
        assert idx == Value("int32")
        if len(task.columns) == 2:
            assert rows["sentence2"][:3] == [sentence(1), sentence(3), sentence(5)]
        if split in task.test_sets:
            assert set(rows["label"]) == {-1}
        elif task.name == "stsb":
            assert rows["label"][:3] == [0.0, 0.5, 1.0]
        else:
            assert rows["label"][:4] == [row % len(task.kind.labels) for row in range(4)]


def test_the_fixture_holds_unbalanced_quotes(glue):
    texts = folder_at(glue).load(TASKS["cola"])["train"]["sentence1"]
    assert any(text.count('"') % 2 for text in texts)


def test_fields_keep_quotes_spaces_carriage_returns_and_words_that_mean_missing(tmp_path):
    texts = ['"open', " spaces around ", "a\rb", "NA", "null", "x\u2028y", "\u00e9\u4e2d", 'he said ""', "\x0b\x0c\x1c"]
    body = "".join(f"{text}\t1\n" for text in texts)
    write(tmp_path, "SST-2/train.tsv", f"sentence\tlabel\n{body}")
    write(tmp_path, "SST-2/dev.tsv", f"\ufeffsentence\tlabel\r\n{body.replace(chr(10), chr(13) + chr(10))}\r\n")
    splits = folder_at(tmp_path).load(TASKS["sst2"])
    assert splits["train"]["sentence1"][:] == texts
    assert splits["validation"]["sentence1"][:] == texts  # Windows line ends, a byte order mark and a blank line
    assert list(splits) == ["train", "validation"]  # no test file


def test_columns_are_found_by_name_and_labels_by_word_or_id(tmp_path):
    write(tmp_path, "RTE/train.tsv", "label\textra\tsentence2\tsentence1\nentailment\tx\tb\ta\n1\tx\td\tc\n")
    write(tmp_path, "RTE/dev.tsv", "sentence1\tsentence2\tlabel\na\tb\tnot_entailment\n")
    train = folder_at(tmp_path).load(TASKS["rte"])["train"]
    assert train[:] == {"sentence1": ["a", "c"], "sentence2": ["b", "d"], "label": [0, 1], "idx": [0, 1]}


def test_test_rows_keep_the_numbers_of_the_file(tmp_path):
    write_glue(tmp_path, tasks=["qqp", "rte"])
    write(tmp_path, "RTE/test.tsv", "index\tsentence1\tsentence2\n7\ta\tb\n3\tc\td\n")
    write(tmp_path, "QQP/test.tsv", "id\tquestion1\tquestion2\n9\ta\tb\n")
    assert folder_at(tmp_path).load(TASKS["rte"])["test"]["idx"][:] == [7, 3]
    assert folder_at(tmp_path).load(TASKS["qqp"])["test"]["idx"][:] == [9]
    write(tmp_path, "RTE/test.tsv", "index\tsentence1\tsentence2\nseven\ta\tb\n")
    assert "test.tsv line 2 has the idx 'seven'" in error_of("load", "rte", tmp_path)


@pytest.mark.parametrize(
    ("task", "file", "content", "words"),
    [
        ("rte", "RTE/dev.tsv", "", ["is empty"]),
        ("cola", "CoLA/train.tsv", "", ["is empty"]),
        ("rte", "RTE/dev.tsv", "sentence1\tlabel\na\t0\n", ["no column 'sentence2'", "sentence1, label"]),
        ("mrpc", "MRPC/dev.tsv", "1\t2\t3\ta\tb\n", ["no column '#1 String'"]),
        ("rte", "RTE/test.tsv", "index\tsentence1\n0\ta\n", ["no column 'sentence2'"]),
        ("cola", "CoLA/dev.tsv", "sentence\tlabel\na\t0\n", ["line 1 has 2 fields, expected 4"]),
        ("sst2", "SST-2/train.tsv", b"\xff\xfes\x00\n", ["line 1 is not UTF-8"]),
    ],
)
def test_check_and_load_name_the_file_and_what_it_lacks(tmp_path, task, file, content, words):
    write_glue(tmp_path, tasks=[task])
    path = write(tmp_path, file, content)
    for step in ("check", "load"):
        message = error_of(step, task, tmp_path)
        assert all(word in message for word in (str(path), *words))


@pytest.mark.parametrize(
    ("task", "file", "body", "words"),
    [
        ("rte", "RTE/train.tsv", "0\ta\tb\tentailment\n1\ta\tb\n", ["line 3 has 3 fields, expected 4"]),
        ("rte", "RTE/train.tsv", "0\ta\tb\tentailment\textra\n", ["line 2 has 5 fields, expected 4"]),
        ("rte", "RTE/train.tsv", "0\ta\tb\t2\n", ["line 2", "label '2'", "entailment, not_entailment, 0, 1"]),
        ("rte", "RTE/train.tsv", "0\ta\tb\t\n", ["line 2", "label ''"]),
        ("rte", "RTE/train.tsv", "", ["no rows"]),
        ("mnli", "MNLI/dev_matched.tsv", "0\tp\tp\tg\ta\tb\tneutral\t-\n", ["line 2", "label '-'", "contradiction"]),
        ("stsb", "STS-B/dev.tsv", "0\tg\tf\ty\to\ts\ts\ta\tb\t5.01\n", ["label '5.01'", "from 0 to 5"]),
        ("stsb", "STS-B/dev.tsv", "0\tg\tf\ty\to\ts\ts\ta\tb\tnan\n", ["label 'nan'", "from 0 to 5"]),
        ("stsb", "STS-B/dev.tsv", "0\tg\tf\ty\to\ts\ts\ta\tb\tfive\n", ["label 'five'", "from 0 to 5"]),
        ("cola", "CoLA/dev.tsv", "a\t1\t\tb\nc\t2\t\td\n", ["line 2", "label '2'", "unacceptable, acceptable, 0, 1"]),
        ("sst2", "SST-2/dev.tsv", b"a\t1\n\xff\t0\n", ["line 3 is not UTF-8"]),
    ],
)
def test_load_names_the_file_the_line_and_the_value(tmp_path, task, file, body, words):
    write_glue(tmp_path, tasks=[task])
    path = tmp_path / file
    header = b"" if task == "cola" else path.read_bytes().splitlines(keepends=True)[0]
    write(tmp_path, file, header + (body if isinstance(body, bytes) else body.encode()))
    message = error_of("load", task, tmp_path)
    assert all(word in message for word in (str(path), *words))


@pytest.mark.parametrize("file", ["MNLI/train.tsv", "MNLI/dev_mismatched.tsv"])
def test_train_and_every_evaluation_set_must_be_there(tmp_path, file):
    write_glue(tmp_path, tasks=["mnli"])
    (tmp_path / file).unlink()
    for step in ("check", "load", "fingerprint"):
        message = error_of(step, "mnli", tmp_path)
        assert str(tmp_path / file) in message and "data.path" in message


def test_torn_lines_of_the_official_qqp_are_left_out_and_counted(tmp_path, caplog):
    write_glue(tmp_path, tasks=["qqp"])
    path = tmp_path / "QQP/train.tsv"
    whole = path.read_text(encoding="utf-8")
    path.write_text(f'{whole}99\t1\t2\ttorn "in\n\ttwo pieces?\t0\n', encoding="utf-8")
    train = folder_at(tmp_path).load(TASKS["qqp"])["train"]
    assert train.num_rows == 48
    assert "omitted 2 torn lines (the first is line 50)" in caplog.text
    path.write_text(whole + "torn\n" * (TORN_LINES["qqp"] + 1), encoding="utf-8")  # that is a damaged file
    assert "line 150 has 1 fields, expected 6" in error_of("load", "qqp", tmp_path)
    path.write_text(whole, encoding="utf-8")
    write(tmp_path, "QQP/test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n1\ta\n")  # a test row cannot be left out
    assert "test.tsv line 3" in error_of("load", "qqp", tmp_path)


def test_the_fingerprint_follows_the_bytes_and_nothing_else(tmp_path):
    first, second = (write_glue(tmp_path / name, tasks=["rte", "sst2"]) for name in ("first", "second"))
    rte = TASKS["rte"]
    before = folder_at(first).fingerprint(rte)
    assert before.startswith("sha256:") and len(before) == len("sha256:") + 64
    assert folder_at(second).fingerprint(rte) == before
    assert folder_at(first).fingerprint(TASKS["sst2"]) != before

    train = first / "RTE/train.tsv"
    os.utime(train, ns=(1, 1))
    assert folder_at(first).fingerprint(rte) == before
    train.write_bytes(train.read_bytes().replace(b"gardener", b"gardens.", 1))  # of the same length
    changed = folder_at(first).fingerprint(rte)
    assert changed != before

    (second / "RTE/test.tsv").unlink()
    assert folder_at(second).fingerprint(rte) != before


@pytest.mark.skipif(not os.environ.get("GLUE_DIR"), reason="GLUE_DIR is not set")
@pytest.mark.parametrize("name", TASKS)
def test_real_files_have_every_row(name):
    task = TASKS[name]
    folder_at(os.environ["GLUE_DIR"]).check(task)
    splits = folder_at(os.environ["GLUE_DIR"]).load(task)
    expected = zip(GLUE_FILES[name].files, MEASURED_ROWS[name], strict=True)
    assert {split: rows.num_rows for split, rows in splits.items()} == {
        split: rows for split, rows in expected if rows is not None
    }
