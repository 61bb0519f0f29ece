"""Compare AdapterHub or peft, Hugging Face's Trainer and this harness, alone and in stacks, on one machine.

    make benchmark                                   # CoLA (or its synthetic stand-in), MiniLM, size 64, one epoch
    make benchmark ARGS="--examples 1024 --skip adapterhub-padded trainer-full"
    make benchmark ARGS="--method lora"              # LoRA of rank 8 against peft, which trains one run at a time
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
REPLICAS = {"adapter": [1, 2, 4, 8, SWEEP], "lora": [1, 4, 8]}
MODELS = {"minilm": "MiniLM", "bert-large-random": "random encoder of BERT-large's size"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="cola", help="GLUE task of the rows (default: cola)")
    parser.add_argument("--model", default="minilm", choices=MODELS, help="the encoder (default: minilm)")
    parser.add_argument("--examples", type=int, default=2048, help="training rows (default: 2048)")
    parser.add_argument("--method", default="adapter", choices=PEERS, help="what trains (default: adapter)")
    parser.add_argument("--replicas", type=int, nargs="+", help="stack sizes (default: 1 2 4 8 15; of LoRA 1 4 8)")
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-peers/bin/python"), help="default: .venv-peers")
    parser.add_argument("--skip", nargs="*", default=[], metavar="CONTENDER", help="do not measure these")
    parser.add_argument("--output", type=Path, default=ROOT / "results/benchmarks", help="folder of table and JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a contender of ours, in its own process
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        from benchmark_ours import measure_ours

        rows, method = Path(arguments.rows), arguments.method
        print(json.dumps(measure_ours(arguments.one, arguments.task, rows, arguments.folder, method)))
        return 0
    arguments.replicas = arguments.replicas or REPLICAS[arguments.method]
    peers = PEERS[arguments.method]
    unknown = set(arguments.skip) - {*peers, *our_names(arguments.replicas, on_gpu=True, method=arguments.method)}
    if unknown:
        parser.error(f"--skip {' '.join(sorted(unknown))}: no such contender; choose from {', '.join(peers)}, ours-...")
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
            "method": arguments.method,
        }  # fmt: skip
        print(json.dumps(machine), flush=True)
        # peft works with the versions that this harness uses, AdapterHub's library with others.
        python = sys.executable if arguments.method == "lora" else arguments.peers_python
        for name, (options, _) in PEERS[arguments.method].items():
            if name not in arguments.skip:
                script = [python, ROOT / "scripts/peers/adapters_glue.py"]
                results[name] = run(name, [*script, "--model", model, "--rows", rows, "--output", folder, *options])
        for name in our_names(arguments.replicas, on_gpu=machine["peak_of"] == "cuda", method=arguments.method):
            if name not in arguments.skip:
                own = [sys.executable, __file__, "--one", name, "--task", arguments.task, "--rows", rows]
                own += ["--method", arguments.method]
                results[name] = run(name, [*own, "--folder", model])
    table = tabulate(results, machine)
    print("\n" + table)
    arguments.output.mkdir(parents=True, exist_ok=True)
    device = machine["device"].split(",")[0].replace(" ", "-").lower()
    named = [name for name in (arguments.method, arguments.model) if name not in ("adapter", "minilm")]
    stem = arguments.output / "-".join([arguments.task, *named, device])
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
