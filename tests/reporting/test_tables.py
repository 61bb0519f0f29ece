import io

import pandas as pd
import pytest

from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores, scores_frame
from harness.reporting.tables import by_size_table, candidates_table, chosen_table, main_table, methods_table
from harness.tasks.metrics import metric_title
from tests.fixtures.make_records import ENCODER, adapter_parameters, make_record

NINE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")  # MNLI is two of the nine columns


def only_group(records):
    (group,) = comparable_groups(records)
    return group


def lines_of(records) -> dict[str, dict[str, str]]:
    """The main table as {row label: {column: text}}."""
    table = main_table(group_scores(only_group(records)))
    return {line[0]: dict(zip(table.header, line, strict=True)) for line in table.rows}


def test_columns_are_in_the_papers_order_with_mnli_as_two_and_wnli_last():
    records = [make_record(task, "full") for task in ("wnli", "rte", "mnli", *NINE)]
    header = list(lines_of(records)["Full fine-tuning"])
    expected = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE WNLI"
    assert header == ["Method", "Total (9)", "Trained", *expected.split(), "Mean"]


def test_rows_are_majority_full_best_size_sizes_others_difference():
    records = [
        make_record(method={"name": "layernorm"}, trained=9984),
        make_record(size=64),
        make_record(size=8),
        make_record("rte", size=64),
        make_record(method="full"),
    ]
    assert list(lines_of(records)) == [
        "Majority class",
        "Full fine-tuning",
        "Adapters (best size)",
        "Adapters (8)",
        "Adapters (64)",
        "LayerNorms only",
        "Adapters (best size) − full fine-tuning",
    ]


def test_no_two_rows_are_the_same():
    """A size that is the best on every task is also the row of the best size."""
    records = [make_record(task, size=size, score=0.8 + size / 1e4) for task in ("mrpc", "rte") for size in (8, 64)]
    records.append(make_record(method="full"))
    assert list(lines_of(records)) == [
        "Majority class",
        "Full fine-tuning",
        "Adapters (8)",
        "Adapters (64, best size)",
        "Adapters (64, best size) − full fine-tuning",
    ]


def test_no_size_is_the_best_before_a_run_has_completed():
    records = [make_record(size=size, status="running") for size in (8, 64)]
    assert list(lines_of(records)) == ["Majority class", "Adapters (best size)", "Adapters (8)", "Adapters (64)"]


def test_one_size_needs_no_best_size_row():
    assert list(lines_of([make_record(method="full"), make_record(size=64)])) == [
        "Majority class",
        "Full fine-tuning",
        "Adapters (64)",
        "Adapters (64) − full fine-tuning",
    ]


def test_total_of_nine_tasks_is_one_plus_nine_fractions():
    """The paper's 1.3x and 1.2x are 1 + 9 × 3.6 % and 1 + 9 × 2.1 %; full fine-tuning keeps no shared copy."""
    sizes = {64: round(0.021 * ENCODER), 256: round(0.036 * ENCODER)}
    records = [make_record(task, size=size, trained=n) for task in NINE for size, n in sizes.items()]
    records += [make_record(task, "full", trained=ENCODER) for task in NINE]
    lines = lines_of(records)
    assert lines["Adapters (64, best size)"]["Total (9)"] == "1.19x"
    assert lines["Adapters (256)"]["Total (9)"] == "1.32x"
    assert lines["Full fine-tuning"]["Total (9)"] == "9.00x"
    assert lines["Adapters (64, best size)"]["Trained"] == "2.1 %"
    assert lines["Full fine-tuning"]["Trained"] == "100 %"


def test_wnli_counts_neither_in_the_total_nor_in_the_mean():
    lines = lines_of([make_record("rte", score=0.6), make_record("wnli", score=0.2)])
    assert lines["Adapters (64)"]["Total (1)"] == "1.03x"
    assert lines["Adapters (64)"]["Mean"] == "60.0"
    assert lines["Adapters (64)"]["WNLI"] == "20.0"


def test_scores_are_points_with_the_deviation_over_seeds():
    records = [make_record(score=score, seed=seed) for seed, score in enumerate((0.80, 0.84, 0.88))]
    line = lines_of([*records, make_record("rte", score=0.5964)])["Adapters (64)"]
    assert line["MRPC"] == "84.0 ±4.0"
    assert line["RTE"] == "59.6¹"  # one seed, where others have several
    assert line["Mean"] == "71.8"  # (84.0 + 59.64) / 2


def test_differences_are_in_points_over_the_columns_that_both_rows_have():
    records = [
        make_record("cola", score=0.40),
        make_record("cola", "full", score=0.45),
        make_record("mrpc", score=0.88),
        make_record("mrpc", "full", score=0.86),
        make_record("rte", score=0.60),
    ]
    line = lines_of(records)["Adapters (64) − full fine-tuning"]
    assert (line["CoLA"], line["MRPC"], line["RTE"]) == ("−5.0", "+2.0", "–")
    assert line["Mean"] == "−1.5 (2)"


def test_a_row_that_lacks_a_column_has_no_mean_and_a_marked_total():
    line = lines_of([make_record("cola", "full"), make_record("mrpc", "full"), make_record("mrpc")])["Adapters (64)"]
    assert line["CoLA"] == "–"
    assert line["Mean"] == "–"
    assert line["Total (2)"] == "1.03x (1)"


def test_a_column_without_any_score_does_not_take_the_means_away():
    lines = lines_of([make_record("mrpc", score=0.8), make_record("rte", status="failed", error="no memory")])
    assert lines["Adapters (64)"]["RTE"] == "failed"
    assert lines["Adapters (64)"]["Mean"] == "80.0"


@pytest.mark.parametrize("status", ["failed", "diverged", "running"])
def test_cells_without_a_completed_run_say_why(status):
    lines = lines_of([make_record(status=status, error="why"), make_record("rte")])
    assert lines["Adapters (64)"]["MRPC"] == status


def test_best_size_row_shows_each_tasks_best_and_averages_their_parameters():
    records = [make_record("mrpc", score=0.9, size=8), make_record("mrpc", score=0.8, size=64)]
    records += [make_record("rte", score=0.6, size=8), make_record("rte", score=0.7, size=64)]
    line = lines_of(records)["Adapters (best size)"]
    fraction = (adapter_parameters(8, 2) + adapter_parameters(64, 2)) / 2 / ENCODER
    assert (line["MRPC"], line["RTE"], line["Mean"]) == ("90.0", "70.0", "80.0")
    assert line["Trained"] == f"{100 * fraction:.3g} %" == "1.53 %"
    assert line["Total (2)"] == "1.03x"


def test_adapter_families_have_a_best_size_row_each():
    methods = [
        {"name": "adapter", "bottleneck_size": size, "activation": name}
        for size in (8, 64)
        for name in ("gelu", "relu")
    ]
    records = [make_record(method=method) for method in methods]
    records += [make_record("rte", method=method) for method in methods[2:]]
    labels = list(lines_of(records))
    assert labels[1:4] == ["Adapters (best size, gelu)", "Adapters (8, gelu)", "Adapters (64, gelu)"]
    assert labels[4:] == ["Adapters (best size, relu)", "Adapters (8, relu)", "Adapters (64, relu)"]


def test_majority_counts_an_undefined_score_as_zero_in_its_mean():
    records = [make_record("mrpc", majority=0.8), make_record("stsb", majority=None)]
    line = lines_of(records)["Majority class"]
    assert (line["MRPC"], line["STS-B"], line["Mean"]) == ("80.0", "–", "40.0")


def test_degenerate_and_undefined_cells_are_marked_and_explained():
    records = [make_record("mrpc", degenerate=True), make_record("stsb", score=None, degenerate=True)]
    line = lines_of(records)["Adapters (64)"]
    assert (line["MRPC"], line["STS-B"], line["Mean"]) == ("86.0†", "undef.†", "–")
    notes = main_table(group_scores(only_group(records))).notes
    assert "†: degenerate" in notes[-1] and "undef.: the score" in notes[-1]


def test_by_size_has_tasks_as_rows_and_the_best_size():
    records = [make_record(task, score=score, size=size) for task, size, score in [
        ("cola", 8, 0.30), ("cola", 64, 0.32), ("mrpc", 8, 0.86), ("mrpc", 64, 0.84), ("rte", 64, 0.60),
    ]]  # fmt: skip
    group = only_group(records)
    table = by_size_table(group, next(iter(group.families)))
    assert table.header == ["Task", "8", "64", "Best size"]
    assert table.rows[:4] == [
        ["CoLA", "30.0", "32.0", "64"],
        ["MRPC", "86.0", "84.0", "8"],
        ["RTE", "–", "60.0", "64"],
        ["Mean", "–", "58.7", ""],
    ]
    assert table.rows[4][:3] == ["Trained", "0.393 %", "2.67 %"]


def sweep_records():
    rates = {3e-4: 0.80, 1e-3: 0.85, 3e-3: 0.90}
    return [make_record(score=score, rate=rate, suffix="x") for rate, score in rates.items()]


def test_sweep_says_what_was_chosen_and_whether_it_is_on_the_edge():
    table = chosen_table(only_group(sweep_records()))
    assert table.rows == [["MRPC", "Adapters (64)", "3e-3", "5", "90.0", "1", "3", "3e-4 1e-3 3e-3", "highest"]]
    edges = [chosen_table(only_group(sweep_records()[:n])).rows[0][-1] for n in (1, 2)]
    assert edges == ["one rate", "highest"]
    inside = [*sweep_records(), make_record(rate=1e-2, status="diverged", error="loss is nan")]
    assert chosen_table(only_group(inside)).rows[0][-1] == "inside"


def test_sweep_lists_every_candidate_with_its_runs():
    records = [
        make_record(score=0.80, rate=1e-3, seed=0),
        make_record(score=0.82, rate=1e-3, seed=1),
        make_record(score=0.99, rate=3e-3, seed=0),
        make_record(status="diverged", rate=3e-3, seed=1, error="loss is nan"),
    ]
    table = candidates_table(only_group(records))
    chosen, other = (dict(zip(table.header, line, strict=True)) for line in table.rows)
    assert (chosen["Rate"], chosen["Score"], chosen["Seeds"], chosen["Choice"]) == ("1e-3", "81.0 ±1.4", "2", "chosen")
    assert (other["Rate"], other["Score"], other["Seeds"], other["Choice"]) == ("3e-3", "99.0", "1", "fewer seeds")
    assert other["Not completed"] == "1 diverged"
    assert other["Runs"] == f"`{records[2]['run_id']}` `{records[3]['run_id']}`"


def test_sweep_names_other_settings_that_differ():
    small, large = make_record(suffix="a"), make_record(suffix="b")
    small["config"]["train"]["batch_size"] = 16
    table = candidates_table(only_group([small, large]))
    assert {line[4] for line in table.rows} == {"train.batch_size=16", "train.batch_size=32"}


def test_peak_memory_is_shown_for_runs_with_one_of_their_own_only():
    alone, stacked, so_far = (make_record("rte", size=size) for size in (8, 64, 256))
    stacked["training"]["stack"] = [stacked["run_id"], "another"]
    so_far["memory"]["of"] = "process so far"
    table = methods_table(only_group([alone, stacked, so_far]))
    column = table.header.index("Peak memory (GB)")
    assert [line[column] for line in table.rows] == ["1.07", "–", "–"]
    assert table.header[-1] == "Stored per task (MB)"
    assert any(note.startswith("Peak memory:") and "stack" in note for note in table.notes)


def test_the_selection_score_has_a_column_under_holdout():
    protocol = {"name": "holdout", "fraction": 0.1, "seed": 0}
    record = make_record("rte", score={"holdout": 0.7, "validation": 0.6}, protocol=protocol)
    for table in (chosen_table(only_group([record])), candidates_table(only_group([record]))):
        line = dict(zip(table.header, table.rows[0], strict=True))
        assert (line["Selection score"], line["Score"]) == ("70.0", "60.0")
    assert "Selection score" not in chosen_table(only_group([make_record("rte")])).header


def test_a_metric_without_a_title_goes_by_its_name():
    assert metric_title("exact_match") == "exact match"


def test_csv_comes_back_with_groups_points_and_whole_seeds():
    records = [make_record(score=score, seed=seed) for seed, score in enumerate((0.80, 0.84))]
    records += [make_record("rte", "full", score=0.6), make_record(score=0.5, source="synthetic", max_eval_rows=50)]
    boards = [group_scores(group) for group in comparable_groups(records)]
    text = scores_frame(boards).to_csv(index=False)
    frame = pd.read_csv(io.StringIO(text)).set_index(["source", "row"])
    local, synthetic = frame.loc["local", "Adapters (64)"], frame.loc["synthetic", "Adapters (64)"]
    assert local["MRPC"] == pytest.approx(82.0)
    assert local["MRPC std"] == pytest.approx(2.8284, abs=1e-4)
    assert (local["MRPC seeds"], local["RTE state"], local["tasks"]) == (2, "missing", 1)
    assert (bool(local["is_glue"]), bool(synthetic["is_glue"])) == (True, False)
    assert (synthetic["max_eval_rows"], synthetic["MRPC"]) == (50, 50.0)
    assert pd.isna(local["cut_files"])
    assert ",50," in text  # a whole number although other lines lack it


def test_csv_has_plain_numbers_where_tables_have_a_minus_sign():
    (group,) = comparable_groups([make_record("cola", score=-0.1)])
    scores = group_scores(group)
    assert main_table(scores).rows[1][3] == "−10.0"
    assert ",-10.0," in scores_frame([scores]).to_csv(index=False)
