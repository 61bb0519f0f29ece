"""The paper's statements on records that fulfil them, contradict them, or lack something."""

import copy
import math
import re

import numpy as np
import pytest

from harness.records.predictions import write_gold, write_predictions
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.claim_list import ALL, ON_THE_MEAN
from harness.reporting.claims_table import claims_frame, claims_table, counts_line, judge_claims
from harness.reporting.groups import comparable_groups
from harness.reporting.judging import DENIED, HOLDS, INCONCLUSIVE, NOT_JUDGED, NOT_RUN, Region
from harness.reporting.scores import group_scores
from harness.reporting.table import markdown
from harness.tasks.glue import TASKS
from harness.training.evaluate_metrics import score
from tests.conftest import ROOT
from tests.fixtures.make_records import make_record

GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
LABELS = np.random.default_rng(9).integers(0, 2, 400)
SCORES = np.linspace(0, 5, 400)
FULL, SEEDS = 0.8, (0, 1, 2)


class Runs:
    """Records in memory, with their predictions and gold labels in a folder, all scored by one bootstrap."""

    def __init__(self, folder):
        self.folder, self.bootstrap, self.records = folder, Bootstrap(folder), {}

    def add(self, task, method="adapter", accuracy=FULL, *, seeds=SEEDS, **options):
        """Runs that answer that share of 400 rows rightly (STS-B: with as much noise as is left)."""
        first = {"full": 10, "top_layers": 20}.get(method if isinstance(method, str) else method["name"], 0)
        added = [make_record(task, method, seed=first + seed, suffix=f"-{accuracy}", **options) for seed in seeds]
        for run in added:
            known, rng = TASKS[task], np.random.default_rng(run["config"]["train"]["seed"])
            gold = SCORES if task == "stsb" else LABELS
            values = SCORES + rng.normal(0, 4 * (1 - accuracy), len(SCORES))
            if task != "stsb":
                values = np.where(rng.random(len(LABELS)) < accuracy, LABELS, 1 - LABELS)
            stored = known.kind.compact(gold)
            run["predictions"] = {"gold": write_gold(self.folder, known, dict.fromkeys(known.evaluation_sets, stored))}
            write_predictions(
                self.folder, run["run_id"], dict.fromkeys(known.evaluation_sets, known.kind.compact(values))
            )
            run["scores"] = {name: score(known, values, gold)[0] for name in known.evaluation_sets}
        self.records |= {run["run_id"]: run for run in added}
        return added

    def add_glue(self, adapters):
        """All nine columns: full fine-tuning, and adapters of the paper's sizes."""
        for task in GLUE:
            self.add(task, "full")
            for size in (8, 64, 256):
                self.add(task, "adapter", adapters, size=size)

    def remove(self, *words):
        """Those whose ids have all these words."""
        self.records = {name: run for name, run in self.records.items() if not all(word in name for word in words)}

    def judged(self, records=None):
        groups = comparable_groups(list(self.records.values()) if records is None else records)
        return judge_claims([group_scores(group) for group in groups], self.bootstrap)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


@pytest.fixture(scope="module")
def better(tmp_path_factory):
    """Complete GLUE, on which adapters are better everywhere."""
    runs = Runs(tmp_path_factory.mktemp("better"))
    runs.add_glue(0.9)
    return runs


def changed(runs, change):
    """The records, each changed by a function, which may drop it by returning None."""
    copies = [change(copy.deepcopy(run)) for run in runs.records.values()]
    return [run for run in copies if run is not None]


def the(rows, *words):
    """The one row whose statement has all these words."""
    (row,) = [row for row in rows if all(word in row.statement for word in words)]
    return row


def test_better_adapters_are_within_any_margin(better):
    rows = better.judged()
    best, medium = the(rows, "Within 0.4"), the(rows, "Within 0.8")
    assert best.verdict == medium.verdict == the(rows, "within a point").verdict == HOLDS
    assert best.reason.startswith("non-inferiority at 5 %: the 90% interval over rows, seeds and the choice of config")
    assert best.command == "" and 0.4 < best.low < best.high  # not equivalent, and still within


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.7, DENIED), (FULL, INCONCLUSIVE)])
def test_within_full_fine_tuning(runs, accuracy, verdict):
    runs.add_glue(accuracy)
    row = the(runs.judged(), "Within 0.4")
    assert row.verdict == verdict
    assert row.reason.endswith("lies below −0.4" if verdict == DENIED else "lies only partly above −0.4")


def synthetic(run):
    run["config"]["data"]["source"] = run["data"]["source"] = "synthetic"
    return run | {"data": run["data"] | {"is_glue": False}}


def limited(run):
    run["config"]["data"]["max_train_rows"] = run["data"]["rows"]["train"] = 500
    return run


def cut(run):
    run["data"]["available"]["train"] = run["data"]["rows"]["train"] = 500
    return run


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        (synthetic, "real data instead of synthetic on all 9 columns"),
        (limited, "complete data on all 9 columns"),
        (cut, "complete data on all 9 columns"),
        (lambda run: run | {"degenerate": "rte" in run["run_id"]}, "runs without constant predictions on RTE"),
        (lambda run: None if "-s2" in run["run_id"] or "-s12" in run["run_id"] else run, "3 seeds on all 9 columns"),
        (lambda run: None if "rte" in run["run_id"] else run, "runs of both methods on RTE"),
        (lambda run: None if "adapter-gelu-256" in run["run_id"] else run, "size 256 on all 9 columns"),
    ],
)
def test_a_better_score_is_not_judged_without_what_the_statement_is_about(better, change, lack):
    rows = better.judged(changed(better, change))
    row = the(rows, "Within 0.4")
    assert (row.verdict, row.reason) == (NOT_JUDGED, f"missing: {lack}")
    assert row.command == "make reproduce-glue SCALE=minilm"
    assert row.here.startswith("+") and row.interval
    if change in (synthetic, limited, cut):
        assert {one.verdict for one in rows} == {NOT_JUDGED, NOT_RUN}


def test_other_sizes_than_64_say_nothing_about_it(better):
    rows = better.judged(changed(better, lambda run: None if "adapter-gelu-64" in run["run_id"] else run))
    assert the(rows, "Within 0.8").verdict == NOT_RUN
    assert the(rows, "Within 0.4").reason == "missing: size 64 on all 9 columns"


def test_without_gold_labels_nothing_is_judged(better, tmp_path):
    groups = comparable_groups(list(better.records.values()))
    row = the(judge_claims([group_scores(group) for group in groups], Bootstrap(tmp_path)), "Within 0.4")
    assert row.verdict == NOT_JUDGED and row.interval == ""
    assert row.reason == "missing: predictions and gold labels (`--data` restores those) on all 9 columns"


def test_one_seed_has_an_interval_over_rows_only(better):
    rows = better.judged(
        changed(better, lambda run: run if "-s0-" in run["run_id"] or "-s10-" in run["run_id"] else None)
    )
    row = the(rows, "Within 0.4")
    assert row.verdict == NOT_JUDGED and row.interval.endswith("] (rows only)")


def test_adapters_of_another_kind_say_nothing(runs):
    pfeiffer = {"name": "adapter", "bottleneck_size": 64, "placement": "pfeiffer"}
    for task in GLUE:
        runs.add(task, "full")
        runs.add(task, pfeiffer, 0.95)
    assert {row.verdict for row in runs.judged()} == {NOT_RUN}


def test_sizes_are_equal_only_if_all_pairs_are(runs):
    for task in set(GLUE) - {"stsb"}:
        for size in (8, 64, 256):
            runs.add(task, size=size, accuracy=FULL)  # the same seeds, hence the same answers
    row = the(runs.judged(), "size hardly matters")
    assert (row.verdict, row.low, row.high) == (HOLDS, 0, 0)
    assert row.reason.startswith("two one-sided tests at 5 %")
    runs.remove("adapter-gelu-256")
    for task in set(GLUE) - {"stsb"}:
        runs.add(task, size=256, accuracy=0.6)
    row = the(runs.judged(), "size hardly matters")
    assert row.verdict == DENIED and row.high < -1
    assert re.fullmatch(r"(\d\d\.\d) \(size 8\), \1 \(size 64\), \d\d\.\d \(size 256\)", row.here)


def test_the_top_layer_and_layernorms(runs):
    runs.add("mnli")
    runs.add("mnli", {"name": "top_layers", "layers": 1}, 0.6, trained=3_000_000)
    runs.add("mnli", "full")
    runs.add("mnli", "layernorm", 0.6)
    runs.add("cola", "full")
    runs.add("cola", "layernorm", FULL)
    rows = runs.judged()
    assert the(rows, "top layer").verdict == HOLDS
    ratio = the(rows, "four times")
    assert ratio.verdict == HOLDS and ratio.here.startswith("4.9 times") and ratio.interval == ""
    assert the(rows, "LayerNorms", "MNLI-m").verdict == HOLDS
    assert the(rows, "LayerNorms", "CoLA").verdict != HOLDS


def spans(whole, single, low, rest):
    """Accuracies without each span of six layers' adapters."""
    return [
        {"first": first, "last": last, "scores": {"validation": {"accuracy": accuracy}}}
        for first in range(6)
        for last in range(first, 6)
        for accuracy in [single if first == last else low if last < 2 else rest]
    ]


def test_removed_adapters(runs):
    added = runs.add("cola", accuracy=0.9)
    for i, run in enumerate(added):
        run["spans"] = spans(0.9, 0.895 + 0.001 * i, 0.9, 0.691)
        run["scores"]["validation"]["accuracy"] = 0.9
        run["majority"]["validation"]["accuracy"] = 0.691
    rows = runs.judged()
    single, everything = the(rows, "any single layer", "CoLA"), the(rows, "all adapters", "CoLA")
    assert (single.verdict, everything.verdict) == (HOLDS, HOLDS)
    assert single.here == "−0.4 % at the worst layer" and single.reason.endswith("over seeds lies above −2")
    for run in added:
        run["spans"] = spans(0.9, 0.85, 0.9, 0.8)
    rows = runs.judged()
    assert the(rows, "any single layer", "CoLA").verdict == the(rows, "all adapters", "CoLA").verdict == DENIED
    for run in added[1:]:
        run.pop("spans")
    row = the(runs.judged(), "any single layer", "CoLA")
    assert row.verdict == NOT_JUDGED and row.reason == "missing: 3 seeds on CoLA"


def adapter(std):
    return {"name": "adapter", "bottleneck_size": 64, "activation": "gelu", "init_std": std}


def test_initialisation(runs):
    for task, at_one in (("cola", 0.5), ("mnli", 0.7)):
        for std, accuracy in ((1e-7, FULL), (1e-4, FULL), (1e-2, FULL), (1.0, at_one)):
            runs.add(task, adapter(std), accuracy, degenerate=std == 1.0)
    rows = runs.judged()
    assert the(rows, "below 1e-2", "CoLA").verdict == the(rows, "below 1e-2", "MNLI-m").verdict == HOLDS
    worse = the(rows, "larger scale")
    assert worse.verdict == HOLDS and worse.here.endswith("on MNLI-m at 1")  # a collapse is what is looked for
    assert the(rows, "more so on CoLA").verdict == HOLDS
    runs.remove("cola", "0.0001")
    runs.add("cola", adapter(1e-4), 0.6)
    assert the(runs.judged(), "below 1e-2", "CoLA").verdict == DENIED


def test_stability_over_learning_rates(runs):
    for rate, full in ((1e-4, 0.9), (3e-4, 0.8), (1e-3, 0.5)):
        runs.add("mrpc", rate=rate, accuracy=0.85)
        runs.add("mrpc", "full", full, rate=rate)
    row = the(runs.judged(), "vary less")
    assert row.verdict == HOLDS and row.here.startswith("range 0.0 against ") and "MRPC; 1e-4 to 1e-3" in row.here
    runs.remove("0.0003")
    assert the(runs.judged(), "vary less").verdict == NOT_RUN  # two rates are no curve


def test_each_group_of_comparable_runs_is_judged_for_itself(better):
    also_synthetic = [synthetic(copy.deepcopy(run)) for run in better.records.values() if "rte" in run["run_id"]]
    rows = better.judged([*better.records.values(), *also_synthetic])
    assert sorted(row.verdict for row in rows if "Within 0.4" in row.statement) == [HOLDS, NOT_JUDGED]
    table = claims_table(rows)
    assert table.header[-2] == "Runs" and {line[-2] for line in table.rows} == {"1", "2", "–"}
    assert list(claims_frame(rows).columns[:3]) == ["statement", "section", "paper"]
    assert len(markdown(table).splitlines()) == len(rows) + 2
    line = counts_line(rows, "claims.md")
    assert line.startswith("The paper's statements: ") and " not judged" in line and line.endswith("(claims.md)")
    assert counts_line([row for row in rows if row.verdict == NOT_RUN], "claims.md") == ""


def test_regions():
    within, same, behind = Region.within(0.4), Region.same(1), Region.behind(3)
    assert [within.verdict(b) for b in ((-0.3, 5), (-0.5, 0.2), (-0.9, -0.5))] == [HOLDS, INCONCLUSIVE, DENIED]
    assert [same.verdict(b) for b in ((-0.9, 0.9), (-0.9, 1.1), (1.1, 2))] == [HOLDS, INCONCLUSIVE, DENIED]
    assert [behind.verdict(b) for b in ((-9, -3.1), (-4, -2), (-2.9, 1))] == [HOLDS, INCONCLUSIVE, DENIED]
    assert (within.text, within.outside) == ("above −0.4", "below −0.4")
    assert (same.text, same.outside) == ("between −1 and 1", "not between −1 and 1")
    assert (behind.text, behind.outside) == ("below −3", "above −3")


def test_the_list_names_what_exists():
    assert len({claim.statement for claim in ALL}) == len(ALL) >= 15
    assert [claim.region.low for claim in ON_THE_MEAN] == [-0.4, -0.8]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = {title for task in TASKS.values() for title in map(task.column_title, task.evaluation_sets)} | {"squad"}
    for claim in ALL:
        target = claim.command.split()[1]
        assert re.search(rf"^{target}: ", makefile, re.M) and "SCALE=minilm" in claim.command
        names = getattr(claim, "columns", None) or (getattr(claim, "column", "CoLA"),)
        assert all(name in known or (ROOT / f"conf/task/{name}.yaml").exists() for name in names)
        region = getattr(claim, "region", None)
        assert region is None or not (math.isinf(region.low) and math.isinf(region.high))
