"""Tables with a row per task, and the paper's figures next to them."""

import pandas as pd
import pytest

from harness.commands import report
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from harness.reporting.figures import figures
from harness.reporting.groups import comparable_groups
from harness.reporting.published_tasks import AVERAGES, METHODS, TASK_SCORES
from harness.reporting.scores import group_scores
from harness.reporting.tasks_table import tasks_table
from tests.fixtures.make_records import ENCODER, make_baseline, make_record, write_all

AIRLINE, SPAM = (
    {"name": name, "kind": "classification", "title": title, "labels": ["a", "b"]}
    for name, title in (("crowdflower_airline", "Airline"), ("sms_spam", "SMS spam"))
)


def adapter(size):
    return {"name": "adapter", "bottleneck_size": size}


def top(layers):
    return {"name": "top_layers", "layers": layers}


def suite(**options):
    """Two tasks: adapters of two sizes, two numbers of top layers, full fine-tuning on both, TF-IDF on one."""
    records = []
    for task, best_size, best_top in ((AIRLINE, 8, 1), (SPAM, 64, 3)):
        records.append(make_record(task, "full", 0.80, trained=ENCODER, **options))
        records += [
            make_record(task, adapter(size), 0.84 if size == best_size else 0.82, trained=size * 1000, **options)
            for size in (8, 64)
        ]
        records += [
            make_record(task, top(layers), 0.86 if layers == best_top else 0.83, trained=layers * 10**6, **options)
            for layers in (1, 3)
        ]
    return [*records, make_baseline(AIRLINE, 0.75)]


def board(records):
    (group,) = comparable_groups(records)
    return group_scores(group)


def table_of(records, **options):
    table = tasks_table(board(records), **options)
    return table, {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_a_row_per_task_with_each_method_at_its_best_size():
    table, rows = table_of(suite())
    assert table.header == [
        "Task", "Majority", "TF-IDF", "Full fine-tuning", "Adapters (best size)", "Top layers (best n)"
    ]  # fmt: skip
    assert list(rows) == ["Airline", "SMS spam", "Average (1)", "Total parameters", "Trained per task"]
    assert rows["Airline"] == {
        "Task": "Airline", "Majority": "81.2", "TF-IDF": "75.0", "Full fine-tuning": "80.0",
        "Adapters (best size)": "84.0", "Top layers (best n)": "86.0",
    }  # fmt: skip
    assert rows["SMS spam"]["TF-IDF"] == "–"


def test_the_average_is_over_the_tasks_that_every_column_has():
    records = suite()
    assert table_of(records)[1]["Average (1)"]["TF-IDF"] == "75.0"
    both = [*records, make_baseline(SPAM, 0.85)]
    assert table_of(both)[1]["Average (2)"]["TF-IDF"] == "80.0"


def test_parameters_are_of_each_tasks_best_size_and_a_baseline_has_none():
    _, rows = table_of(suite())
    total, share = rows["Total parameters"], rows["Trained per task"]
    assert total["Full fine-tuning"] == "2x" and share["Full fine-tuning"] == "100 %"
    trained = 8000 + 64_000
    assert total["Adapters (best size)"] == f"{1 + trained / ENCODER:.3g}x"
    assert share["Adapters (best size)"] == f"{100 * trained / 2 / ENCODER:.3g} %"
    assert total["TF-IDF"] == share["TF-IDF"] == "–"


def test_one_size_is_named():
    (record,) = [make_record(AIRLINE, adapter(16), 0.8)]
    assert table_of([record])[0].header == ["Task", "Majority", "Adapters (16)"]


def test_the_papers_figures_stand_next_to_bert_base_or_on_request():
    records = suite()
    paper = ["Paper: no BERT", "Paper: full", "Paper: variable", "Paper: adapters"]
    assert not set(paper) & set(table_of(records)[0].header)
    table, rows = table_of(records, with_paper=True)
    assert table.header[-4:] == paper
    assert [rows["Airline"][name] for name in paper] == ["84.5", "83.6 ±0.3", "84.0 ±0.1", "84.5 ±0.2"]
    assert [rows["Average (1)"][name] for name in paper] == ["84.5", "83.6", "84.0", "84.5"]
    assert [rows["Total parameters"][name] for name in paper] == ["–", "17x", "9.9x", "1.19x"]
    assert [rows["Trained per task"][name] for name in paper] == ["–", "100 %", "52.9 %", "1.14 %"]
    for record in records:
        if "encoder" in record:
            record["encoder"]["title"] = "google-bert/bert-base-uncased"
    assert table_of(records)[0].header[-4:] == paper


def test_tasks_that_the_paper_lacks_have_no_columns_for_it():
    task = AIRLINE | {"name": "reviews", "title": "Reviews"}
    assert table_of([make_record(task, "full", 0.8)], with_paper=True)[0].header == [
        "Task", "Majority", "Full fine-tuning"
    ]  # fmt: skip


def test_the_papers_averages_are_those_of_its_columns():
    """The mean of 'variable' is 74.08, printed as 74.0."""
    assert len(TASK_SCORES) == 17
    for name in METHODS:
        mean = sum(scores[name].points for scores in TASK_SCORES.values()) / 17
        assert mean == pytest.approx(AVERAGES[name], abs=0.09), name


def test_the_report_prints_and_writes_it_for_tasks_outside_glue_only(tmp_path, capsys):
    write_all(tmp_path, suite())
    assert report.main([str(tmp_path), "--paper"]) == 0
    printed = capsys.readouterr().out
    assert "| Airline " in printed and "Paper: full" in printed
    assert "| Method " not in printed and "GLUE tasks of the same names" not in printed
    text = (tmp_path / "tables/tasks.md").read_text(encoding="utf-8")
    assert "Houlsby et al. 2019" in text and "The paper's is over the same tasks" in text
    assert "MNLI" not in text and "Table 1 of the paper" not in (tmp_path / "tables/glue.md").read_text("utf-8")
    assert r"\begin{table*}" in (tmp_path / "tables/tasks.tex").read_text(encoding="utf-8")
    frame = pd.read_csv(tmp_path / "tables/tasks.csv").set_index(["task", "method"])
    best = frame.loc["sms_spam", "Adapters (best size)"]
    assert (best["score"], best["best_size"], best["paper"]) == (84.0, 64, 95.1)
    assert frame.loc["crowdflower_airline", "TF-IDF"]["paper"] == 84.5
    glue = make_report([make_record("mrpc")], Bootstrap(tmp_path))
    assert "tables/tasks.md" not in glue.files and glue.summary[0].header[0] == "Method"


def test_the_tradeoff_is_drawn_for_these_tasks_without_the_baseline_and_the_papers_glue_points():
    sizes = [
        make_record(task, adapter(size), 0.8, trained=size * 1000) for task in (AIRLINE, SPAM) for size in (2, 16, 256)
    ]
    records = [*suite(), *sizes]
    for record in records:
        if "encoder" in record:
            record["encoder"]["title"] = "google-bert/bert-base-uncased"
    drawn = {figure.name: figure for figure in figures(board(records))}
    (ax,) = drawn["tradeoff"].canvas.axes
    labels = ax.get_legend_handles_labels()[1]
    assert set(labels) >= {"Adapters", "Top layers"}
    assert not any("TF-IDF" in label for label in labels) and not ax.texts
    assert not drawn["tradeoff_percentiles"].canvas.axes[0].texts  # where the paper's points of GLUE would stand
    assert len(drawn["tradeoff_by_task"].canvas.axes) == 2
