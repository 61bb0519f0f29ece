import io
import math

import pandas as pd
import pytest

from harness.errors import UserError
from harness.reporting.candidates import Cell, Score, choose
from harness.reporting.groups import Group, comparable_groups
from harness.reporting.method_names import method_labels
from harness.reporting.method_variant import MethodVariant
from harness.reporting.runs_table import runs_csv
from tests.fixtures.make_records import make_baseline, make_record


def only_group(records) -> Group:
    groups = comparable_groups(records)
    assert len(groups) == 1
    return groups[0]


def only_cell(records) -> Cell:
    cells = list(only_group(records).cells.values())
    assert len(cells) == 1
    return cells[0]


def seeds(scores, **fields):
    return [make_record(score=score, seed=seed, **fields) for seed, score in enumerate(scores)]


def test_score_over_seeds_is_mean_and_sample_deviation():
    score = Score.of([0.80, 0.84, 0.88])
    assert score.mean == pytest.approx(0.84)
    assert score.std == pytest.approx(0.04)  # sqrt((0.04² + 0 + 0.04²) / 2); the population's would be 0.0327
    assert score.seeds == 3


def test_one_seed_has_no_deviation():
    assert Score.of([0.5]) == Score(0.5, None, 1)


def test_an_undefined_seed_leaves_the_mean_undefined():
    assert Score.of([0.5, None]) == Score(None, None, 2)


def test_seeds_of_one_config_are_one_candidate_and_the_highest_mean_is_chosen():
    cell = only_cell(seeds([0.90, 0.80], rate=1e-3) + seeds([0.86, 0.87], rate=3e-4))
    assert len(cell.candidates) == 2
    assert cell.chosen.learning_rate == 3e-4  # 0.865 against 0.850, although 0.90 is the best run
    assert cell.chosen.score().mean == pytest.approx(0.865)


def test_a_lucky_single_seed_does_not_beat_a_mean_of_two():
    cell = only_cell(seeds([0.99], rate=1e-3) + seeds([0.80, 0.82], rate=3e-4))
    assert cell.chosen.learning_rate == 3e-4


def test_a_diverged_seed_makes_a_candidate_ineligible_where_another_completed_all():
    unstable = [*seeds([0.95], rate=3e-3), make_record(seed=1, rate=3e-3, status="diverged", error="loss is nan")]
    cell = only_cell(unstable + seeds([0.80, 0.82], rate=1e-3))
    assert cell.chosen.learning_rate == 1e-3


def test_chosen_candidate_counts_its_lost_seeds():
    lost = make_record(seed=2, status="diverged", error="loss is nan")
    cell = only_cell([*seeds([0.8, 0.9]), lost])
    assert cell.chosen.count("diverged") == 1
    assert cell.chosen.score().seeds == 2


@pytest.mark.parametrize("rates", [(1e-3, 3e-4), (3e-4, 1e-3)])
def test_ties_go_to_the_smaller_learning_rate(rates):
    # Both means are 0.4, but in floats (0.1 + 0.7) / 2 is a digit less.
    orders = {rates[0]: [0.1, 0.7], rates[1]: [0.4, 0.4]}
    records = [record for rate in rates for record in seeds(orders[rate], rate=rate)]
    assert only_cell(records).chosen.learning_rate == 3e-4


def test_ties_then_go_to_fewer_epochs():
    assert only_cell(seeds([0.8], epochs=20) + seeds([0.8], epochs=3)).chosen.epochs == 3


def test_an_undefined_score_ranks_below_a_negative_one():
    records = seeds([None], rate=1e-4, task="stsb", degenerate=True) + seeds([-0.2], rate=1e-3, task="stsb")
    assert only_cell(records).chosen.learning_rate == 1e-3


def test_an_undefined_score_is_chosen_where_there_is_nothing_else():
    cell = only_cell(seeds([None], task="stsb", degenerate=True))
    assert cell.chosen.score().mean is None
    assert cell.chosen.degenerate


def test_the_choice_is_made_on_the_first_evaluation_set():
    low = make_record("mnli", score={"validation_matched": 0.80, "validation_mismatched": 0.90}, rate=1e-3)
    high = make_record("mnli", score={"validation_matched": 0.81, "validation_mismatched": 0.70}, rate=3e-4)
    chosen = only_cell([low, high]).chosen
    assert chosen.score().mean == 0.81
    assert chosen.score("validation_mismatched").mean == 0.70


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["failed"], "failed"),
        (["diverged"], "diverged"),
        (["running"], "running"),
        (["diverged", "failed"], "failed"),
        (["diverged", "running"], "diverged"),
        (["failed", "completed"], "completed"),
    ],
)
def test_state_of_a_cell(statuses, state):
    cell = only_cell([make_record(status=status, seed=seed) for seed, status in enumerate(statuses)])
    assert cell.state == state
    assert (cell.chosen is None) == (state != "completed")


def test_choosing_from_nothing():
    assert choose([]) is None


def test_sizes_are_separate_cells_and_the_best_size_is_chosen_per_task():
    records = [make_record(score=0.80, size=8), make_record(score=0.85, size=64)]
    records += [make_record("rte", score=0.70, size=8), make_record("rte", score=0.65, size=64)]
    group = only_group(records)
    assert list(group.labels.values()) == ["Adapters (8)", "Adapters (64)"]
    (family,) = group.families
    best = group.best_size(family)
    assert {task: cell.method.size for task, cell in best.items()} == {"mrpc": 64, "rte": 8}


def test_best_size_needs_as_many_seeds_and_ties_go_to_the_smaller():
    records = [*seeds([0.99], size=256), *seeds([0.8, 0.9], size=64), *seeds([0.9, 0.8], size=8)]
    group = only_group(records)
    (family,) = group.families
    assert group.best_size(family)["mrpc"].method.size == 8


def test_methods_that_differ_in_other_fields_are_labelled_where_they_differ():
    common = {"name": "adapter", "bottleneck_size": 64, "init_std": 0.01, "placement": "both"}
    records = [make_record(method=common | {"activation": name}) for name in ("gelu", "relu")]
    assert list(only_group(records).labels.values()) == ["Adapters (64, gelu)", "Adapters (64, relu)"]
    records = [make_record(method=common | {"init_std": std}) for std in (1e-3, 1e-2)]
    assert list(only_group(records).labels.values()) == ["Adapters (64, init_std=1e-3)", "Adapters (64, init_std=0.01)"]


def test_unknown_methods_get_readable_rows_after_the_known_ones():
    methods = [
        {"name": "prefix_tuning"},
        {"name": "top_layers", "layers": 3},
        {"name": "bitfit"},
        {"name": "full"},
        {"name": "loha", "options": {"rank": 8}},
        {"name": "loha", "options": {"rank": 4}},
    ]
    group = only_group([make_record(method=method, trained=1000) for method in methods])
    assert list(group.labels.values()) == [
        "Full fine-tuning",
        "BitFit",
        "Loha (options.rank=4)",
        "Loha (options.rank=8)",
        "Prefix tuning",
        "Top layers (3)",
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"sha256": "ffffffffffffffff"},
        {"source": "synthetic"},
        {"max_train_rows": 100},
        {"max_eval_rows": 100},
        {"fingerprint": "d1"},
        {"protocol": {"name": "holdout", "fraction": 0.1, "seed": 0}},
    ],
)
def test_what_cannot_be_compared_is_in_another_group(other):
    groups = comparable_groups([make_record(score=0.8), make_record(score=0.9, rate=3e-4, **other)])
    assert sorted(cell.chosen.score().mean for group in groups for cell in group.cells.values()) == [0.8, 0.9]
    assert len({group.title for group in groups}) == len(groups) == 2


def test_the_same_weights_with_another_config_are_another_encoder():
    first, second = make_record(score=0.8), make_record(score=0.9, rate=3e-4)
    first["encoder"]["fingerprint"], second["encoder"]["fingerprint"] = "a" * 16, "b" * 16
    groups = comparable_groups([first, second])
    assert [group.title.rpartition(", ")[2] for group in groups] == ["encoder aaaaaaaa", "encoder bbbbbbbb"]


@pytest.mark.parametrize("part", [{"device": "cuda"}, {"commit": "f" * 16}, {"dirty": True}, {"precision": "bf16"}])
def test_environment_does_not_split_a_group(part):
    second = make_record(seed=1)
    second["provenance"] |= part
    assert only_cell([make_record(seed=0), second]).chosen.score().seeds == 2


def test_tasks_with_their_own_fingerprints_share_a_group():
    group = only_group([make_record("mrpc"), make_record("rte")])
    assert [task.name for task in group.tasks] == ["mrpc", "rte"]


def test_data_versions_are_numbered_by_their_first_run():
    late, early = make_record(fingerprint="a"), make_record(fingerprint="b")
    late["time"] = {"started": "2025-02-01T00:00:00Z"}
    groups = comparable_groups([late, early])
    versions = {group.records[0]["data"]["fingerprint"]: group.key.data_version for group in groups}
    assert versions == {"mrpc-b": 1, "mrpc-a": 2}


def test_a_run_that_failed_early_joins_the_group_that_asked_for_the_same():
    records = [
        make_record(),
        make_record(status="failed", seed=1, error="out of memory"),
        make_record("rte", status="failed", error="no such file"),  # no run of this task knows its data
        make_record(source="synthetic"),
    ]
    groups = {group.key.source: group for group in comparable_groups(records)}
    assert [len(groups[source].records) for source in ("local", "synthetic")] == [3, 1]


def test_failed_runs_alone_make_a_group():
    group = only_group([make_record(status="failed", error="no such file")])
    assert group.title == "minilm on local data (never loaded), all rows"


def test_titles_name_source_limits_and_what_is_not_glue():
    records = [make_record(), make_record(source="synthetic", max_train_rows=2000, max_eval_rows=500)]
    assert [group.title for group in comparable_groups(records)] == [
        "all-MiniLM-L6-v2 on GLUE (local), all rows",
        "all-MiniLM-L6-v2 on synthetic data (NOT GLUE), at most 2,000 training rows, at most 500 evaluation rows",
    ]


def test_runs_table_has_one_flat_row_per_run_of_any_status():
    records = [make_record(score=0.86), make_record(method="full", status="failed", error="out of memory")]
    records[0]["protocol"] = {"chooses_on": "validation", "reports_on": ["validation"]}
    frame = pd.read_csv(io.StringIO(runs_csv(comparable_groups(records)))).set_index("label")
    done, failed = frame.loc["Adapters (64)"], frame.loc["Full fine-tuning"]
    assert (done.run_id, done.status, done.task, done.method) == (
        records[0]["run_id"],
        "completed",
        "mrpc",
        "adapter",
    )
    assert (done.bottleneck_size, done.learning_rate, done.epochs, done.seed) == (64, 1e-3, 5, 0)
    assert (done.headline, done.score, done["scores.validation.accuracy"]) == ("f1", 0.86, 0.86)
    assert done.trained == 605_954  # paper.md's count for size 64 on MiniLM-L6 with a two-way head
    assert done.trained_fraction == pytest.approx(0.026678, abs=1e-6)
    assert done["config.method.activation"] == "gelu"
    assert done["data.rows.train"] == 3668
    assert done["protocol.reports_on"] == '["validation"]'
    assert (failed.status, failed.error) == ("failed", "out of memory")
    assert math.isnan(failed.score)
    assert not any(str(value).startswith("{") for value in frame.to_numpy().ravel())


def test_unknown_task_is_the_users_error():
    record = make_record()
    record["config"]["task"]["name"] = "squad"
    with pytest.raises(UserError, match="squad"):
        comparable_groups([record])


def test_methods_of_peft_are_called_by_their_type_and_options():
    methods = [{"name": "peft", "type": kind, "options": options}
               for kind, options in (("LORA", {"r": 8, "lora_alpha": 16}), ("IA3", {}))]  # fmt: skip
    labels = method_labels(map(MethodVariant.of, methods))
    assert sorted(labels.values()) == ["IA3", "LoRA (lora_alpha=16, r=8)"]


def test_rows_that_differ_in_a_number_stand_in_its_order():
    stds = [1.0, 1e-5, 0.01, 1e-7, 0.001]
    methods = [{"name": "adapter", "bottleneck_size": 64, "init_std": std} for std in stds]
    ordered = [variant.config["init_std"] for variant in method_labels(map(MethodVariant.of, methods))]
    assert ordered == sorted(stds)


def test_a_run_without_an_encoder_stands_in_every_group_on_its_data():
    records = [make_record("mrpc"), make_record("mrpc", sha256="another encoder"), make_baseline("mrpc")]
    groups = comparable_groups(records)
    assert len(groups) == 2
    assert all([record["config"]["method"]["name"] for record in g.records] == ["adapter", "tfidf"] for g in groups)
    assert len({len(group.labels) for group in groups}) == 1
    frame = pd.read_csv(io.StringIO(runs_csv(groups)))
    assert len(frame) == 4 and frame["run_id"].nunique() == 3


@pytest.mark.parametrize(
    "other",
    [{"fingerprint": "d1"}, {"max_train_rows": 10}, {"source": "synthetic"}, {"protocol": {"name": "other"}}],
    ids=lambda other: next(iter(other)),
)
def test_on_other_data_it_has_a_group_of_its_own(other):
    records = [make_record("mrpc"), make_baseline("mrpc", **other)]
    groups = comparable_groups(records)
    assert len(groups) == 2 and groups[0].title.startswith("No encoder on ")


def test_a_task_that_only_the_baseline_has_joins_the_group_of_the_others():
    group = only_group([make_record("mrpc"), make_baseline("rte")])
    assert [task.name for task in group.tasks] == ["mrpc", "rte"]


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_baseline_that_failed_joins_the_group_that_it_was_meant_for(status):
    group = only_group([make_record("mrpc"), make_baseline("mrpc", status=status, error="out of memory")])
    assert [cell.state for cell in group.row_cells("mrpc")] == [status, "completed"]


def test_a_baseline_has_no_rates_and_no_edge_of_its_grid():
    cell = only_cell([make_baseline("mrpc")])
    assert (cell.rates, cell.grid_edge, cell.chosen.trained_fraction) == ([], None, None)
