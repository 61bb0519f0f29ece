"""Side by side in one run on one machine: AdapterHub, Hugging Face's Trainer, this harness alone and stacked.

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

ROOT = Path(__file__).resolve().parent.parent
SWEEP = 15
SIDE_BY_SIDE = 8
# name -> (arguments of the peer script, what it is)
PEERS = {
    "adapterhub-padded": (["--padding", "max"], "adapters, padded to 128, fp32, as its GLUE example runs"),
    "adapterhub-dynamic": (["--padding", "dynamic"], "adapters, dynamic padding, fp32"),
    "adapterhub-grouped": (["--padding", "grouped"], "adapters, dynamic padding, length groups, fp32"),
    "adapterhub-bf16": (["--padding", "dynamic", "--bf16"], "adapters, dynamic padding, bf16"),
    "trainer-full": (["--method", "full", "--padding", "max"], "Trainer, full fine-tuning, padded to 128, fp32"),
}
MODELS = {"minilm": "MiniLM", "bert-large-random": "random encoder of BERT-large's size"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="cola")
    parser.add_argument("--model", default="minilm", choices=MODELS)
    parser.add_argument("--examples", type=int, default=2048)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8, SWEEP])
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-peers/bin/python"))
    parser.add_argument("--skip", nargs="*", default=[], metavar="CONTENDER")
    parser.add_argument("--output", type=Path, default=ROOT / "results/benchmarks")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a contender of ours, in its own process
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_ours(arguments)))
        return 0
    unknown = set(arguments.skip) - {*PEERS, *our_names(arguments.replicas, on_gpu=True)}
    if unknown:
        parser.error(f"--skip {' '.join(sorted(unknown))}: no such contender; choose of {', '.join(PEERS)}, ours-...")
    return compare(arguments)


def our_names(replicas: list[int], *, on_gpu: bool) -> list[str]:
    """Our contenders: `ours-full`, `ours-R` and on a GPU `ours-R-graphs` and `ours-1x8`."""
    stacks = [f"ours-{count}" for count in replicas]
    return [
        "ours-full",
        *stacks,
        *([f"{name}-graphs" for name in stacks] + [f"ours-1x{SIDE_BY_SIDE}"] if on_gpu else []),
    ]


def compare(arguments: argparse.Namespace) -> int:
    results: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows, source = write_rows(arguments, Path(folder) / "rows.jsonl")
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


def model_folder(name: str, folder: Path) -> Path:
    """The checkpoint that every contender loads; a random one of BERT-large's size is written to `folder`."""
    import torch
    from transformers import BertConfig, BertModel

    from harness.model.checkpoint import find_checkpoint, load_tokenizer

    minilm = find_checkpoint("minilm")
    if name == "minilm":
        return Path(minilm.folder)
    torch.manual_seed(0)
    large = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    BertModel(large).save_pretrained(folder)
    load_tokenizer(minilm).save_pretrained(folder)
    return folder


def run(name: str, command: list) -> dict:
    """What a contender measured, printed in a line; `...x8` is the sum of so many processes side by side."""
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
    told = result.get("error") or f"{result['seconds']:.1f} s"
    print(f"{name}: {told} ({time.perf_counter() - started:.0f} s with loading)", flush=True)
    return result


def run_process(command: list) -> dict:
    """The JSON of a process's last line, with its peak resident memory; an error is a result too."""
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


def write_rows(arguments: argparse.Namespace, path: Path) -> tuple[Path, str]:
    """The same training rows for every contender, and where they come from."""
    from harness.data import sources
    from harness.data.splits import limit_rows
    from harness.tasks.glue import get_task

    task = get_task(arguments.task)
    source = sources.resolve(source="auto")
    split = limit_rows(source.load(task)["train"], arguments.examples)
    with path.open("w", encoding="utf-8") as file:
        for row in split:
            file.write(json.dumps({name: row[name] for name in (*task.columns, "label")}) + "\n")
    return path, source.name + ("" if source.is_glue else " (not GLUE)")


def measure_machine() -> dict:
    """Device and its matrix-product rates in GFLOP/s (best of ten products of 2048 x 2048)."""
    import torch

    from harness.sweeps.provenance import commit_of_code
    from harness.training.device import device_title, pick_device

    device = pick_device("auto")
    peaks = {}
    size = 8192 if device.type == "cuda" else 2048
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        times = []
        for _ in range(12):
            _synchronise(device)
            started = time.perf_counter()
            a @ b
            _synchronise(device)
            times.append(time.perf_counter() - started)
        peaks[name] = 2 * size**3 / min(times[2:]) / 1e9
    commit, dirty = commit_of_code()
    return {"device": device_title(device), "peak_gflops": peaks, "peak_of": device.type, "torch": torch.__version__,
            "commit": commit, "dirty": dirty}  # fmt: skip


def measure_ours(arguments: argparse.Namespace) -> dict:
    """One epoch of ours: `ours-R[-graphs]` is a stack of R adapter runs, `ours-full` full fine-tuning."""
    import torch
    from datasets import Dataset
    from torch.utils.flop_counter import FlopCounterMode

    from harness.config import AdapterConfig, FullConfig, RunConfig, TaskConfig, TrainConfig
    from harness.data.batches import encode
    from harness.model.checkpoint import find_checkpoint, load_tokenizer
    from harness.sweeps.resolve import Run
    from harness.sweeps.stack import build_classifier
    from harness.tasks.glue import get_task
    from harness.training.cuda_graphs import cuda_capture
    from harness.training.device import has_bf16, keep_freed_memory, pick_device
    from harness.training.loop import train

    keep_freed_memory()
    device, task = pick_device("auto"), get_task(arguments.task)
    with Path(arguments.rows).open(encoding="utf-8") as file:
        rows = Dataset.from_list([json.loads(line) for line in file])
    checkpoint = find_checkpoint(arguments.folder)
    kind, _, variant = arguments.one.removeprefix("ours-").partition("-")
    replicas = 1 if kind == "full" else int(kind.partition("x")[0])
    method = FullConfig() if kind == "full" else AdapterConfig(bottleneck_size=64)
    bf16 = has_bf16(device)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(checkpoint)
        split = encode(rows, task, tokenizer, max_length=128, cache_dir=Path(folder), device=str(device))

    def epoch(count: int, *, graphs: bool = False) -> float:
        runs = [
            Run(
                "",
                RunConfig(TaskConfig(task.name), method, train=TrainConfig(epochs=1, seed=seed)),
                task,
                None,
                "",
                checkpoint,
            )
            for seed in range(count)
        ]
        classifier = build_classifier(runs, device, bf16=bf16)
        rates = [1e-4 * (replica + 1) for replica in range(count)]
        _synchronise(device)
        with cuda_capture(graphs) as capture:
            result = train(
                classifier, split, runs[0].config.train,
                learning_rates=rates, seeds=range(count), bf16=bf16, capture=capture,
            )  # fmt: skip
        return result.seconds

    seconds = epoch(replicas, graphs=variant == "graphs")
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    with FlopCounterMode(display=False) as counter:
        epoch(1)
    flops = counter.get_total_flops() * replicas
    return {"examples": len(rows), "replicas": replicas, "seconds": seconds, "flops": flops, "peak_bytes": peak,
            "precision": "bf16" if bf16 else "fp32"}  # fmt: skip


def tabulate(results: dict[str, dict], machine: dict) -> str:
    """A markdown table; ratios are examples per second per replica against two rows of AdapterHub."""
    measured = {name: result for name, result in results.items() if "error" not in result}
    rates = {name: r["examples"] * r.get("replicas", 1) / r["seconds"] for name, r in measured.items()}
    bases = ("adapterhub-padded", "adapterhub-dynamic", "adapterhub-bf16", "ours-1")
    peaks, commit = machine["peak_gflops"], (machine["commit"] or "none")[:10] + (" (dirty)" * bool(machine["dirty"]))
    lines = [
        f"{machine['task']}, {machine['examples']} examples, one epoch, batch 32, {machine['model']}, size 64; "
        f"data {machine['source']}; {machine['device']}; products {peaks['bf16']:.0f} GFLOP/s in bf16, "
        f"{peaks['fp32']:.0f} in fp32; commit {commit}",
        "",
        f"| contender | examples/s | s for {SWEEP} runs | share of peak | peak memory, GB | "
        + " | ".join(f"× {base}" for base in bases) + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(bases),
    ]  # fmt: skip
    for name, result in results.items():
        if "error" in result:
            lines.append(f"| {name} | failed: {result['error']} | | | |" + " |" * len(bases))
            continue
        share = ""
        if "flops" in result:
            peak = machine["peak_gflops"][result["precision"]] * 1e9
            share = f"{100 * result['flops'] / result['seconds'] / peak:.0f} %"
        ratios = [f"{rates[name] / rates[base]:.2f}" if base in rates else "–" for base in bases]
        sweep = SWEEP * result["examples"] / rates[name]
        lines.append(
            f"| {name} | {rates[name]:.0f} | {sweep:.0f} | {share} | {result['peak_bytes'] / 1e9:.2f} | "
            + " | ".join(ratios) + " |"
        )  # fmt: skip
    lines += ["", *(f"- {name}: {what}" for name, (_, what) in PEERS.items() if name in results)]
    if f"ours-1x{SIDE_BY_SIDE}" in results:
        lines.append(f"- ours-1x{SIDE_BY_SIDE}: {SIDE_BY_SIDE} processes of one run each, side by side")
    lines.append(f"- ours-R: R runs in one pass, examples of all runs counted; times of {SWEEP} runs are those of one "
                 f"pass times {SWEEP} / R")  # fmt: skip
    return "\n".join(lines)


def _synchronise(device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
