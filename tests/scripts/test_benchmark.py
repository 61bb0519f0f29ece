"""The benchmark: contenders, ratios, failures, checks, and that our side measures; how fast it is is not tested."""

import json
import sys

import pytest

from harness.product_caches import bound
from scripts import benchmark
from scripts.benchmark_ours import measure_machine, measure_ours
from scripts.benchmark_table import (
    PEERS,
    is_contender,
    our_names,
    peer_of,
    peers_of,
    problems_of,
    processes_of,
    tabulate,
)
from scripts.benchmark_workers import Worker, ask
from tests.conftest import PEERS_PYTHON, ROOT

MACHINE = {
    "task": "cola", "examples": 100, "tokens_per_example": 9.25, "model": "MiniLM", "source": "local",
    "device": "a CPU", "commit": "0123456789abc", "dirty": True, "method": "adapter", "precision": "bf16",
    "repetitions": 2, "peak_size": 2048, "peak_gflops": {"bf16": 100.0, "fp32": 50.0},
}  # fmt: skip
BASE = {
    "examples": 100, "replicas": 1, "peak_bytes": 2e9, "precision": "bf16", "method": "adapter", "trained": 1234,
    "losses": [0.7, 0.6], "versions": {"torch": "2.0"},
}  # fmt: skip


def rows_of(table):
    lines = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return {line[1].strip(): [cell.strip() for cell in line[2:-1]] for line in lines}


def test_contenders():
    assert our_names([1, 4], on_gpu=False) == ["ours-full", "ours-1", "ours-4"]
    assert our_names([1, 4], on_gpu=True) == [
        "ours-full",
        "ours-1",
        "ours-4",
        "ours-1-graphs",
        "ours-4-graphs",
        "ours-1x8",
    ]


def test_on_several_threads_everyone_trains_in_as_many_processes_too():
    """The opponents with more rows each than in eight processes, and the rest as there."""
    assert our_names([1, 4], on_gpu=False, processes=2)[1:] == ["ours-1", "ours-4", "ours-1x2", "ours-4x2"]
    peers = peers_of("adapter", "bf16", 2)
    assert peers.keys() - peers_of("adapter", "bf16").keys() == {"adapterhub-grouped-bf16-1x2"}
    two, eight = (peers[f"adapterhub-grouped-bf16-1x{count}"] for count in (2, 8))
    assert (two.processes, two.every, eight.processes, eight.every) == (2, 1, 8, 4)
    assert two.title == eight.title.replace("8 processes", "2 processes")
    assert two[1:4] == eight[1:4] and peer_of("adapter", "adapterhub-grouped-bf16-1x2") == two
    assert list(peers_of("lora", "fp32", 8)) == list(peers_of("lora", "fp32"))
    names = {"ours-4": 1, "ours-4x2": 2, "ours-15x16": 16, "peft-grouped-1x8": 8, "ours-4-graphs": 1}
    assert {name: processes_of(name) for name in names} == names


def test_what_can_be_skipped():
    known = ["ours-4x2", "ours-4", "ours-1x8", "ours-full", "adapterhub-grouped-1x2", "adapterhub-padded"]
    assert all(is_contender(name, "adapter", [1, 4]) for name in known)
    unknown = ["ours-3", "ours-3x2", "adapterhub-padded-1x2", "peft-grouped-1x2"]
    assert not any(is_contender(name, "adapter", [1, 4]) for name in unknown)


def test_ratios_are_to_opponents_in_whatever_number_of_processes():
    results = {
        "adapterhub-grouped-bf16": [BASE | {"seconds": 10.0}],
        "adapterhub-grouped-bf16-1x8": [BASE | {"seconds": 5.0}],
        "adapterhub-grouped-bf16-1x2": [BASE | {"seconds": 4.0}],
        "ours-4x2": [BASE | {"seconds": 2.0}],
    }
    table = tabulate(results, MACHINE)
    assert rows_of(table)["ours-4x2"][4:] == ["5.00", "2.50", "2.00"]
    assert "bf16, 2 processes side by side, one thread each\n" in table
    assert "- ours-RxP: P processes side by side, each with R runs" in table


@pytest.mark.parametrize("method", PEERS)
def test_opponents_are_the_best_of_the_machines_precision(method):
    """Groups and bf16 together, alone and eight side by side; without bf16 nobody multiplies in it."""
    with_bf16, without = peers_of(method, "bf16"), peers_of(method, "fp32")
    for peers, bf16 in ((with_bf16, True), (without, False)):
        best = [one for one in peers.values() if one.padding == "grouped" and one.bf16 == bf16 and one.method == method]
        assert sorted(one.processes for one in best) == [1, 8]
    assert not any(one.bf16 for one in without.values())
    full = peers_of("adapter", "bf16")["trainer-full-grouped-bf16"]
    assert (full.method, full.padding, full.bf16) == ("full", "grouped", True)


def test_lora_is_compared_with_peft():
    assert our_names([1, 4, 8], on_gpu=False, method="lora") == ["ours-1", "ours-4", "ours-8"]
    base = BASE | {"method": "lora"}
    results = {
        "peft-grouped-bf16": [base | {"seconds": 10.0}],
        "ours-4": [base | {"seconds": 4.0, "replicas": 4}],
    }
    table = tabulate(results, MACHINE | {"method": "lora"})
    assert "LoRA of rank 8" in table
    assert rows_of(table)["ours-4"] == ["100", "15", "", "2.00", "10.00"]


def test_ratios_are_within_repetitions_and_of_rates_over_all_replicas():
    results = {
        "adapterhub-grouped-bf16": [BASE | {"seconds": 10.0}, BASE | {"seconds": 20.0}],
        "ours-1": [BASE | {"seconds": 2.0, "flops": 100e9}, BASE | {"seconds": 2.0, "flops": 100e9}],
        "ours-4": [BASE | {"seconds": 4.0, "replicas": 4, "flops": 200e9}] * 2,
        "adapterhub-padded": [BASE | {"seconds": 1.0}, {"error": "no memory"}],
    }
    table = tabulate(results, MACHINE)
    rows = rows_of(table)
    # examples/s, seconds for 15 runs, share of peak, GB, x the best opponent, x ours-1
    assert rows["adapterhub-grouped-bf16"] == ["8", "200", "", "2.00", "1.00 (1.00–1.00)", "0.15 (0.10–0.20)"]
    assert rows["ours-1"] == ["50", "30", "50 %", "2.00", "7.50 (5.00–10.00)", "1.00 (1.00–1.00)"]
    assert rows["ours-4"] == ["100", "15", "50 %", "2.00", "15.00 (10.00–20.00)", "2.00 (2.00–2.00)"]
    assert rows["adapterhub-padded"][0] == "failed: no memory"
    assert "0123456789 (dirty)" in table and "a CPU; bf16; products 100 GFLOP/s in bf16" in table
    assert "adapterhub: torch 2.0; ours: torch 2.0" in table
    assert "- checked: opponents train as many parameters as ours (adapter 1,234); too few steps for losses to" in table


def test_an_unfair_comparison_is_said():
    results = {
        "adapterhub-grouped-bf16": [BASE | {"seconds": 1.0, "trained": 99}] * 2,
        "trainer-full": [BASE | {"seconds": 1.0, "method": "full", "trained": 5000}] * 2,  # none of ours
        "ours-1": [BASE | {"seconds": 1.0, "examples": 512, "losses": [0.5, after]} for after in (0.55, 0.46)],
        "ours-2": [BASE | {"seconds": 1.0, "losses": [0.5, 0.6]}] * 2,  # too few rows to tell
        "ours-4": [BASE | {"seconds": 1.0, "examples": 512, "losses": [0.5, 0.4]}] * 2,
    }
    found = problems_of(results)
    assert found == [
        "adapterhub-grouped-bf16 trains 99 parameters, ours 1,234",
        "ours-1: the loss does not fall (0.500 to 0.505)",
    ]
    table = tabulate(results, MACHINE)
    assert all(f"- NOT COMPARABLE: {problem}" in table for problem in found) and "checked" not in table


@pytest.mark.parametrize(
    ("losses", "said"),
    [([[0.69, 0.691], [0.69, 0.689]], "too few steps for losses to tell"), ([[0.7, 0.6], [0.7, 0.65]], "every loss")],
)
def test_losses_tell_nothing_before_one_clearly_falls(losses, said):
    results = {
        f"ours-{count}": [BASE | {"seconds": 1.0, "examples": 512, "losses": own}]
        for count, own in enumerate(losses, 1)
    }
    assert problems_of(results) == []
    assert f"as many parameters as ours (adapter 1,234); {said}" in tabulate(results, MACHINE)


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/benchmarks/*.json")), ids=lambda path: path.stem)
def test_the_committed_tables_are_those_of_the_committed_measurements(path):
    measured = json.loads(path.read_text(encoding="utf-8"))
    table = path.with_suffix(".md").read_text(encoding="utf-8")
    assert table == tabulate(measured["results"], measured["machine"]) + "\n"


def test_the_machine_is_measured_and_the_code_named():
    machine = measure_machine(size=8)
    assert machine["peak_gflops"].keys() == {"fp32", "bf16"} and machine.keys() >= {"device", "commit", "dirty"}
    assert machine["peak_size"] == 8


def write_rows(path, count):
    rows = ({"sentence1": f"a{row % 10} b1 {'c2 ' * (row % 7)}", "label": row % 2} for row in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("name", "replicas", "method"),
    [("ours-2", 2, "adapter"), ("ours-full", 1, "adapter"), ("ours-1x8", 1, "adapter"), ("ours-4", 4, "lora")],
)
def test_our_side_trains_an_epoch_of_the_rows(name, replicas, method, tmp_path, tiny_model):
    rows = write_rows(tmp_path / "rows.jsonl", 40)
    measured = measure_ours(name, "cola", rows, str(tiny_model), method)
    assert (measured["examples"], measured["replicas"]) == (40, replicas)
    assert measured["seconds"] > 0 and measured["flops"] > 0 and measured["trained"] > 0
    assert measured["method"] == ("full" if name == "ours-full" else method)
    checkpoint = measured["checkpoint"]
    assert checkpoint["bytes"] > 0 and checkpoint["share"] == pytest.approx(checkpoint["seconds"] / 600)
    table = tabulate({name: [measured | {"peak_bytes": 1}]}, MACHINE | {"method": method})
    assert "| " + name in table and f"- checkpoints at the default interval: {name} " in table
    other = measure_ours(name, "cola", rows, str(tiny_model), method, precision="fp32")
    bf16 = measure_ours(name, "cola", rows, str(tiny_model), method, precision="bf16")
    assert bf16["flops"] == other["flops"] and bf16["trained"] == other["trained"]
    short = measure_ours(name, "cola", rows, str(tiny_model), method, precision="fp32", limit=8)
    assert (short["examples"], short["precision"]) == (8, "fp32")


ECHO = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("die"):
        sys.exit("killed")
    seconds = float(os.environ["SECONDS_TAKEN"])
    print(json.dumps({"replicas": 1} | asked | {"seconds": seconds, "peak_bytes": 3}), flush=True)
"""


@pytest.mark.process
def test_workers_answer_side_by_side_and_come_back_after_their_death():
    """Side by side, the slowest counts."""
    workers = [Worker([sys.executable, "-c", ECHO], {"SECONDS_TAKEN": seconds}) for seconds in ("2", "3", "1")]
    try:
        assert ask(workers[:1], {"examples": 5}) == {"examples": 5, "seconds": 2.0, "replicas": 1, "peak_bytes": 3}
        assert ask(workers, {"examples": 5}) == {"examples": 5, "seconds": 3.0, "replicas": 3, "peak_bytes": 9}
        assert ask(workers[:2], {"replicas": 4})["replicas"] == 8  # stacks of four
        assert ask(workers, {"die": True}) == {"error": "killed (exit status 1)"}
        assert ask(workers, {"examples": 6})["replicas"] == 3
    finally:
        for worker in workers:
            worker.close()


def test_opponents_keep_their_own_caches(monkeypatch):
    """What importing `harness` sets for itself is not handed to them; what the user has set is."""
    monkeypatch.setattr("os.environ", {"OMP_WAIT_POLICY": "PASSIVE"})
    bound()
    environment = Worker(["true"], {"OMP_NUM_THREADS": "1"}).environment
    assert set(environment) == {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"}


@pytest.mark.peers
@pytest.mark.process
@pytest.mark.parametrize("method", PEERS)
def test_opponents_train_what_ours_trains(method, tmp_path, tiny_model, monkeypatch):
    """All of them on a tiny encoder: none fails, and each has as many trained parameters as ours."""
    monkeypatch.setattr("scripts.benchmark_ours.write_rows", lambda task, count, path: (write_rows(path, count), "own"))
    monkeypatch.setattr(
        "scripts.benchmark_ours.measure_machine",
        lambda: {"device": "a CPU, 1 thread", "peak_gflops": {"bf16": 1.0, "fp32": 1.0}, "peak_size": 8,
                 "commit": None, "dirty": False},
    )  # fmt: skip
    skip = [name for name in PEERS[method] if name.endswith("1x8")]
    status = benchmark.main([
        "--method", method, "--model", str(tiny_model), "--examples", "320", "--repetitions", "1", "--replicas", "2",
        "--precision", "bf16", "--peers-python", str(PEERS_PYTHON), "--output", str(tmp_path), "--skip", *skip,
    ])  # fmt: skip
    (written,) = tmp_path.glob("cola-*.json")
    results = json.loads(written.read_text())["results"]
    assert not [one["error"] for (one,) in results.values() if "error" in one]
    assert not [problem for problem in problems_of(results) if "parameters" in problem]
    assert len(results) == len(PEERS[method]) - 2 + (2 if method == "adapter" else 1)
    assert status == (1 if problems_of(results) else 0)
    trained = {one["trained"] for (one,) in results.values() if one["method"] == method}
    assert trained == {results["ours-2"][0]["trained"]}
