"""`harness.describe`: what a run would read, in lines that fit a terminal, and nothing trained."""

import pytest

from harness.commands import describe
from tests.fixtures.commands import assert_one_line_error
from tests.fixtures.further_tasks import csv_text, write_further_task
from tests.fixtures.glue_fixture import write_glue


@pytest.fixture
def described(tmp_path, tiny_model, capsys):
    """The lines that the command prints about these overrides."""

    def call(*arguments, data=tmp_path):
        where = [f"data.path={data}", "model=local", f"model.name={tiny_model}", "train.max_length=32"]
        assert describe.main([*where, *arguments]) == 0, capsys.readouterr().err
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= describe.WIDTH
        return lines

    return call


def row_of(lines, name):
    return next(line.split() for line in lines if line.split()[:1] == [name])


def test_a_task_of_the_papers(described, tmp_path):
    write_further_task(tmp_path, "crowdflower_disasters")
    lines = described("task=crowdflower_disasters", "protocol=test")
    assert lines[0] == "Disasters (crowdflower_disasters)"
    assert row_of(lines, "protocol") == ["protocol", "test:", "validation", "selects,", "test", "is", "reported"]
    assert row_of(lines, "train")[:2] == ["train", "16"] and row_of(lines, "test")[:2] == ["test", "2"]
    assert row_of(lines, "Relevant") == ["Relevant", "8", "1", "1", "50.0%"]
    assert row_of(lines, "dropped") == ["dropped", "10", "rows:", "label", "\"Can't", 'Decide"', "10"]
    assert "  Not Relevant" in lines  # an example of each label


def test_lengths_and_duplicates(described, tmp_path):
    texts = ["a1 a2", "a1 a2", "a3 " * 50, *(f"b{row}" for row in range(37))]
    table = csv_text(["text", "kind"], [[text, "xy"[row % 2]] for row, text in enumerate(texts)])
    (tmp_path / "rows.csv").write_text(table, encoding="utf-8")
    lines = described(
        "task=custom", "task.name=mine", "task.file=rows.csv", "task.text=[text]", "task.label=kind",
        "task.split.validation=0.5", "task.split.test=0", "task.split.keep_duplicates_together=false",
    )  # fmt: skip
    joined = "\n".join(lines)
    assert "1 rows repeat an earlier text; 1 texts have several labels" in joined
    assert "rows whose text is also in train: validation" in joined
    splits = [row_of(lines, name) for name in ("train", "validation")]
    # Each row with [CLS] and [SEP]: two of 4 tokens, one of 52, and 37 of 3.
    assert sum(int(rows) * float(mean) for _, rows, mean, _, _ in splits) == pytest.approx(2 * 4 + 52 + 37 * 3, abs=2)
    assert {longest for *_, longest, _ in splits} in ({"52", "4"}, {"52", "3"})
    assert {over for *_, over in splits} == {"5.0%", "0.0%"}


def test_many_long_labels_and_a_regression_fit_the_width(described, tmp_path):
    rows = [["a1", f"{row % 30} {'long ' * 60}", row] for row in range(300)]
    (tmp_path / "rows.csv").write_text(csv_text(["text", "kind", "age"], rows), encoding="utf-8")
    task = ["task=custom", "task.name=mine", "task.file=rows.csv", "task.text=[text]"]
    lines = described(*task, "task.label=kind", "task.split.keep_duplicates_together=false")
    assert next(line for line in lines if "10 others" in line).split() == ["10", "others", "80", "10", "10", "33.3%"]
    ages = described(*task, "task.label=age", "task.kind=regression", "task.split.keep_duplicates_together=false")
    ranges = ages[next(number for number, line in enumerate(ages) if line.split()[:2] == ["label", "lowest"]) :]
    assert 130 < float(row_of(ranges, "train")[2]) < 170


def test_a_glue_task_with_a_task_folder_of_ones_own(described, tmp_path):
    (tmp_path / "conf/task").mkdir(parents=True)
    (tmp_path / "conf/task/mine.yaml").write_text("name: mrpc\n", encoding="utf-8")
    lines = described("--config-dir", str(tmp_path / "conf"), "task=mine", "data=local",
                      data=write_glue(tmp_path / "glue", tasks=["mrpc"]))  # fmt: skip
    assert lines[0] == "MRPC (mrpc)"
    assert row_of(lines, "equivalent")[0] == "equivalent"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task=crowdflower_airline"], ["Airline-Sentiment-2-w-AA.csv is neither in", "data.path"]),
        (["task=airline"], ["task/airline", "crowdflower_airline"]),
        (["task.nome=spam"], ["task.nome"]),
        (["--config-dir", "/no/folder", "task=cola"], ["--config-dir=/no/folder"]),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, words):
    assert describe.main([f"data.path={tmp_path}", *arguments]) == 2
    assert_one_line_error(capsys, *words)
