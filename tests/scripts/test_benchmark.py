"""The benchmark's bookkeeping: contenders, ratios, failures. What it measures is not tested."""

from scripts.benchmark_table import our_names, tabulate

MACHINE = {
    "task": "cola", "examples": 100, "model": "MiniLM", "source": "local", "device": "a CPU", "commit": "0123456789abc",
    "dirty": True, "peak_gflops": {"bf16": 100.0, "fp32": 50.0},
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
