"""Compare AdapterHub, Hugging Face's Trainer and this harness, one run alone and stacks, on one machine.

    make benchmark                                   # CoLA (or its synthetic stand-in), MiniLM, size 64, one epoch
    make benchmark ARGS="--examples 1024 --skip adapterhub-padded trainer-full"
    make benchmark ARGS="--task mrpc --model bert-large-random --replicas 1 2 4 8 15 30 45"    # a GPU

Every contender trains the same rows with the same encoder, batch size and number of examples, each in a process of
its own. Prints examples per second per replica, the time of a 15-point sweep, the share of the measured
matrix-product peak, peak memory and ratios; writes them with machine and versions to results/benchmarks/.
On a GPU there are two more kinds: `ours-R-graphs` (CUDA graphs) and `ours-1x8` (eight processes side by side).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmark_table import PEERS, SIDE_BY_SIDE, SWEEP, our_names, tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # measure the checkout of this file, or the one that PYTHONPATH names, not the installed one
MODELS = {"minilm": "MiniLM", "bert-large-random": "random encoder of BERT-large's size"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="cola", help="GLUE task of the rows (default: cola)")
    parser.add_argument("--model", default="minilm", choices=MODELS, help="the encoder (default: minilm)")
    parser.add_argument("--examples", type=int, default=2048, help="training rows (default: 2048)")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8, SWEEP], help="stack sizes")
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-peers/bin/python"), help="default: .venv-peers")
    parser.add_argument("--skip", nargs="*", default=[], metavar="CONTENDER", help="do not measure these")
    parser.add_argument("--output", type=Path, default=ROOT / "results/benchmarks", help="folder of table and JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a contender of ours, in its own process
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        from benchmark_ours import measure_ours

        print(json.dumps(measure_ours(arguments.one, arguments.task, Path(arguments.rows), arguments.folder)))
        return 0
    unknown = set(arguments.skip) - {*PEERS, *our_names(arguments.replicas, on_gpu=True)}
    if unknown:
        parser.error(f"--skip {' '.join(sorted(unknown))}: no such contender; choose from {', '.join(PEERS)}, ours-...")
    return compare(arguments)


def compare(arguments: argparse.Namespace) -> int:
    """Measure everyone, print the table and write it; 1 if a contender failed."""
    from benchmark_ours import measure_machine, model_folder, write_rows

    results: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows, source = write_rows(arguments.task, arguments.examples, Path(folder) / "rows.jsonl")
        model = model_folder(arguments.model, Path(folder) / "model")
        machine = measure_machine() | {
            "source": source, "task": arguments.task, "examples": arguments.examples, "model": MODELS[arguments.model],
        }  # fmt: skip
        print(json.dumps(machine), flush=True)
        for name, (options, _) in PEERS.items():
            if name not in arguments.skip:
                script = [arguments.peers_python, ROOT / "scripts/peers/adapters_glue.py"]
                results[name] = run(name, [*script, "--model", model, "--rows", rows, "--output", folder, *options])
        for name in our_names(arguments.replicas, on_gpu=machine["peak_of"] == "cuda"):
            if name not in arguments.skip:
                own = [sys.executable, __file__, "--one", name, "--task", arguments.task, "--rows", rows]
                results[name] = run(name, [*own, "--folder", model])
    table = tabulate(results, machine)
    print("\n" + table)
    arguments.output.mkdir(parents=True, exist_ok=True)
    device = machine["device"].split(",")[0].replace(" ", "-").lower()
    stem = arguments.output / "-".join([arguments.task, *([arguments.model] * (arguments.model != "minilm")), device])
    record = {"machine": machine, "results": results}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(table + "\n", encoding="utf-8")
    print(f"written: {stem}.json, {stem}.md")
    return 0 if all("error" not in result for result in results.values()) else 1


def run(name: str, command: list) -> dict:
    """What a contender measured, also printed as one line; `...x8` is the sum of eight processes side by side."""
    started = time.perf_counter()
    if not name.endswith(f"x{SIDE_BY_SIDE}"):
        result = run_process(command)
    else:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            parts = list(pool.map(run_process, [command] * SIDE_BY_SIDE))
        result = next((part for part in parts if "error" in part), None) or {
            **parts[0],
            "replicas": SIDE_BY_SIDE,
            "seconds": max(part["seconds"] for part in parts),
            "flops": sum(part["flops"] for part in parts),
            "peak_bytes": sum(part["peak_bytes"] for part in parts),
        }
    outcome = result.get("error") or f"{result['seconds']:.1f} s"
    print(f"{name}: {outcome} ({time.perf_counter() - started:.0f} s with loading)", flush=True)
    return result


def run_process(command: list) -> dict:
    """The JSON on the last line that a process printed, with its peak resident memory; an error is a result too."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
            peak = max([peak, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))])
        except OSError:
            pass
        time.sleep(0.2)
    out, err = process.communicate()
    if process.returncode:
        return {"error": (err.strip().splitlines() or ["no message"])[-1]}
    result = json.loads(out.strip().splitlines()[-1])
    result["peak_bytes"] = result.get("peak_bytes") or peak
    return result


if __name__ == "__main__":
    sys.exit(main())
