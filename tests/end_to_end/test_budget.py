"""`method.budget`: the size that it chooses is the run; the budget itself is where the record came from."""

import pytest

import harness
from tests.fixtures.commands import FAST, records

SIZED = ("--multirun", "method=adapter,prefix", "method.budget=5%")


def test_a_run_by_budget_is_the_run_of_the_size_that_it_chooses(harness_run, tmp_path):
    status, out, err = harness_run("method.budget=2000")
    assert (status, err) == (0, [])
    assert "\nmethod.budget=2000: adapter with method.bottleneck_size=3 trains 1,876 parameters" in out
    ((run_id, record),) = records(tmp_path / "results").items()
    assert run_id.startswith("mrpc-adapter3-")
    assert record["config"]["method"]["bottleneck_size"] == 3 and "budget" not in record["config"]["method"]
    assert record["parameters"]["trained"] == 1876
    assert record["provenance"]["budget"] == "2000"
    assert "(1 of 1 are done)" in harness_run("method.bottleneck_size=3").out
    assert "(1 of 1 are done)" in harness_run("method.budget=5%").out


def test_runs_of_several_budgets_share_a_stack(harness_run, tmp_path):
    assert harness_run("--multirun", "method.budget=4%,5%,2300").status == 0
    found = records(tmp_path / "results").values()
    assert sorted((one["config"]["method"]["bottleneck_size"], one["provenance"]["budget"]) for one in found) == [
        (2, "4%"),
        (3, "5%"),
        (4, "2300"),
    ]
    assert {len(one["training"]["stack"]) for one in found} == {3}


def test_methods_of_a_sweep_have_one_budget_and_the_plan_says_what_it_comes_to(harness_run, tmp_path):
    out = harness_run("--dry-run", *SIZED).out
    assert "method.budget=5%: adapter with method.bottleneck_size=3 trains" in out
    assert "method.budget=5%: prefix with method.virtual_tokens=9 trains 1,794" in out
    assert "MRPC adapter  size 3" in out
    assert not (tmp_path / "results").exists()


def test_heads_that_lead_to_sizes_that_differ_are_told_with_a_budget_that_does_not(harness_run):
    exact = 1876  # of size 3 for the two outputs of MRPC, 33 fewer for STS-B's one
    out = harness_run("--dry-run", "--multirun", "task=mrpc,stsb", f"method.budget={exact - 10}").out
    (hint,) = (line for line in out.splitlines() if "differ" in line)
    assert "method.budget=1486 leads to 2 for all" in hint
    assert "differ" not in harness_run("--dry-run", "--multirun", "task=mrpc,stsb", "method.budget=1486").out


def test_from_python(tiny_model, glue, tmp_path):
    where = {"results_dir": tmp_path / "results", "cache_dir": tmp_path / "cache", "data__path": glue}
    model = {"model": "local", "model__name": tiny_model, "data": "local", "train__precision": "fp32"}
    by_budget = harness.run(*FAST, method__budget="5%", **model, **where)
    by_size = harness.run(*FAST, method__bottleneck_size=3, **model, **where)
    assert by_budget["status"] == "completed" and by_budget["run_id"] == by_size["run_id"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["method.bottleneck_size=8"], "chooses method.bottleneck_size, and method.bottleneck_size=8 gives it"),
        (["--multirun", "method.bottleneck_size=4,8"], "chooses method.bottleneck_size"),
        (["method=prefix", "method.virtual_tokens=4"], "chooses method.virtual_tokens, and"),
        (["method=peft", "+method.options={lora_alpha: 2, r: 4}"], "chooses method.options.r"),
        (["method=layernorm"], "layernorm has no size to choose, it trains 514 parameters"),
        (["method=tfidf"], "is about an encoder and method=tfidf has none"),
        (["method.budget=900"], "method.bottleneck_size=1 trains 1,096 parameters"),
        (["method.budget=much"], "method.budget=much is out of range: it must be a number of parameters (600000) or"),
        (["method.budget=0"], "method.budget=0 is out of range"),
        (
            ["train.learning_rate='${per_size:{64: 1e-3}}'"],
            "has values for sizes, and method.budget=5% chooses",
        ),
    ],
)
def test_bad_input_is_one_line_before_any_work(harness_run, tmp_path, overrides, words):
    status, out, err = harness_run("method.budget=5%", *overrides)
    assert (status, out) == (2, "")
    assert len(err) == 1 and words in err[0]
    assert not records(tmp_path / "results")


def test_the_size_that_a_config_starts_with_gives_way_to_a_budget(harness_run):
    assert "adapter with method.bottleneck_size=6 trains" in harness_run("method=pfeiffer", "method.budget=5%").out
