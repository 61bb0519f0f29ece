"""The benchmark: contenders, ratios, failures, and that our side measures at all; how fast it is is not tested."""

import json

import pytest

from scripts.benchmark_ours import measure_machine, measure_ours
from scripts.benchmark_table import our_names, tabulate

MACHINE = {
    "task": "cola", "examples": 100, "model": "MiniLM", "source": "local", "device": "a CPU", "commit": "0123456789abc",
    "dirty": True, "method": "adapter", "peak_gflops": {"bf16": 100.0, "fp32": 50.0},
}  # fmt: skip


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


def test_lora_is_compared_with_peft():
    assert our_names([1, 4, 8], on_gpu=False, method="lora") == ["ours-1", "ours-4", "ours-8"]
    base = {"examples": 100, "peak_bytes": 2e9, "precision": "bf16"}
    results = {"peft-bf16": base | {"seconds": 10.0}, "ours-4": base | {"seconds": 4.0, "replicas": 4}}
    table = tabulate(results, MACHINE | {"method": "lora"})
    assert "LoRA of rank 8" in table
    assert "| ours-4 | 100 | 15 |  | 2.00 | – | 10.00 | – | – |" in table


def test_ratios_are_of_rates_over_all_replicas_and_a_failure_is_a_row():
    base = {"examples": 100, "peak_bytes": 2e9, "precision": "bf16"}
    results = {
        "adapterhub-dynamic": base | {"seconds": 10.0},
        "ours-1": base | {"seconds": 2.0, "flops": 100e9},
        "ours-4": base | {"seconds": 4.0, "replicas": 4, "flops": 200e9},
        "adapterhub-padded": {"error": "no memory"},
    }
    table = tabulate(results, MACHINE)
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in table.splitlines()
        if line.startswith("| ")
    }
    # examples/s, seconds for 15 runs, share of peak, GB, x padded, x dynamic, x bf16, x ours-1
    assert rows["adapterhub-dynamic"] == ["10", "150", "", "2.00", "–", "1.00", "–", "0.20"]
    assert rows["ours-1"] == ["50", "30", "50 %", "2.00", "–", "5.00", "–", "1.00"]
    assert rows["ours-4"] == ["100", "15", "50 %", "2.00", "–", "10.00", "–", "2.00"]
    assert rows["adapterhub-padded"][0] == "failed: no memory"
    assert "0123456789 (dirty)" in table


def test_the_machine_is_measured_and_the_code_named():
    machine = measure_machine(size=8)
    assert machine["peak_gflops"].keys() == {"fp32", "bf16"} and machine.keys() >= {"device", "commit", "dirty"}


@pytest.mark.parametrize(
    ("name", "replicas", "method"),
    [("ours-2", 2, "adapter"), ("ours-full", 1, "adapter"), ("ours-1x8", 1, "adapter"), ("ours-4", 4, "lora")],
)
def test_our_side_trains_an_epoch_of_the_rows(name, replicas, method, tmp_path, tiny_model):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"sentence1": f"a{row % 10} b1", "label": row % 2}) + "\n" for row in range(40)))
    measured = measure_ours(name, "cola", rows, str(tiny_model), method)
    assert (measured["examples"], measured["replicas"]) == (40, replicas)
    assert measured["seconds"] > 0 and measured["flops"] > 0
    checkpoint = measured["checkpoint"]
    assert checkpoint["bytes"] > 0 and checkpoint["share"] == pytest.approx(checkpoint["seconds"] / 600)
    table = tabulate({name: measured | {"peak_bytes": 1}}, MACHINE)
    assert "| " + name in table and f"- checkpoints at the default interval: {name} " in table
