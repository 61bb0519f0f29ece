"""Compare AdapterHub or peft, Hugging Face's Trainer and this harness, alone and in stacks, on one machine.

    make benchmark                                   # CoLA (or its synthetic stand-in), MiniLM, size 64, one epoch
    make benchmark ARGS="--task cola mrpc qnli --examples 1024 --skip adapterhub-padded trainer-full"
    make benchmark ARGS="--precision fp32"           # the table of a machine without bf16
    make benchmark ARGS="--method lora"              # LoRA of rank 8 against peft, which trains one run at a time
    make benchmark ARGS="--task mrpc --model bert-large-random --replicas 1 2 4 8 15 30 45"    # a GPU

Every contender trains the same rows with the same encoder, batch size and number of examples, in processes that live
through the whole benchmark; contenders take turns, and each is measured `--repetitions` times. Prints for each task
examples per second, the time of a 15-point sweep, the share of the measured matrix-product peak, peak memory, and
ratios with their spread; writes them with machine and versions to results/benchmarks/. Opponents must train as many
parameters as ours, and every loss must fall: otherwise the table says so, and the exit status is 1.
`...-1x8` is eight processes side by side, with one thread each on a CPU. There everyone also trains in as many
processes as a sweep of ours has (`ours-4x2`). On a GPU there are two more of ours: `ours-R-graphs` (CUDA graphs) and
`ours-1x8`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark_table import (
    PEERS,
    SIDE_BY_SIDE,
    SWEEP,
    is_contender,
    our_names,
    peers_of,
    problems_of,
    processes_of,
    tabulate,
)
from scripts.benchmark_workers import KEEP_FREED_MEMORY, ROOT, Worker, ask

if TYPE_CHECKING:
    import torch

REPLICAS = {"adapter": [1, 2, 4, 8, SWEEP], "lora": [1, 4, 8]}
MODELS = {"minilm": "MiniLM", "bert-large-random": "random encoder of BERT-large's size"}
_WARM_UP = 64  # rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", default=["cola"], help="GLUE tasks of the rows (default: cola)")
    parser.add_argument("--model", default="minilm", help=f"{', '.join(MODELS)} or a folder (default: minilm)")
    parser.add_argument("--examples", type=int, default=2048, help="training rows (default: 2048)")
    parser.add_argument("--repetitions", type=int, default=3, help="how often everyone is measured (default: 3)")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"), help="default: auto")
    parser.add_argument("--method", default="adapter", choices=PEERS, help="what trains (default: adapter)")
    parser.add_argument("--replicas", type=int, nargs="+", help="stack sizes (default: 1 2 4 8 15; of LoRA 1 4 8)")
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-peers/bin/python"), help="default: .venv-peers")
    parser.add_argument("--skip", nargs="*", default=[], metavar="CONTENDER", help="do not measure these")
    parser.add_argument("--output", type=Path, default=ROOT / "results/benchmarks", help="folder of table and JSON")
    options = parser.parse_args(arguments)
    options.replicas = options.replicas or REPLICAS[options.method]
    unknown = [name for name in options.skip if not is_contender(name, options.method, options.replicas)]
    if unknown:
        known = ", ".join(PEERS[options.method])
        parser.error(f"--skip {' '.join(unknown)}: no such contender; choose from {known}, ours-...")
    if options.repetitions < 1 or options.examples < _WARM_UP:
        parser.error(f"give at least --repetitions 1 and --examples {_WARM_UP}")
    with tempfile.TemporaryDirectory() as folder:
        return compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> int:
    """Measure everyone on every task, print the tables and write them; 1 if a contender failed or is not comparable."""
    from harness.tasks.glue import get_task
    from harness.training.device import pick_device, pick_precision
    from scripts.benchmark_ours import measure_machine, model_folder, tokens_per_example, write_rows

    device = pick_device("auto")
    precision = "bf16" if pick_precision(options.precision, device) else "fp32"
    model = model_folder(options.model, folder / "model")
    shared = {"model": MODELS.get(options.model, Path(options.model).name), "method": options.method,
              "precision": precision, "repetitions": options.repetitions}  # fmt: skip
    contenders = _contenders(options, model, precision, device, output=folder)
    is_fine = True
    try:
        for task in options.task:
            rows, source = write_rows(task, options.examples, folder / f"{task}.jsonl")
            of_task = {"rows": str(rows), "task": task, "outputs": get_task(task).kind.outputs}
            asked = {name: (workers, request | of_task) for name, (workers, request) in contenders.items()}
            machine = shared | {"task": task, "source": source, "examples": len(rows.read_text().splitlines()),
                                "tokens_per_example": tokens_per_example(rows, task, str(model))}  # fmt: skip
            results: dict[str, list[dict]] = {name: [] for name in asked}
            for name, (workers, request) in asked.items():
                _report(f"{task}, warm-up", name, ask(workers, request | {"limit": _WARM_UP}))
            for repetition in range(options.repetitions):
                found = measure_machine()
                best = {kind: max(found["peak_gflops"][kind], machine.get("peak_gflops", {}).get(kind, 0.0))
                        for kind in found["peak_gflops"]}  # fmt: skip
                machine |= found | {"peak_gflops": best}
                for name, (workers, request) in asked.items():
                    results[name].append(ask(workers, request))
                    _report(f"{task}, repetition {repetition + 1}", name, results[name][-1])
            print("\n" + tabulate(results, machine) + "\n", flush=True)
            _write(options, machine, results)
            is_fine &= not problems_of(results) and not any("error" in one for all_ in results.values() for one in all_)
    finally:
        for worker in {id(one): one for workers, _ in contenders.values() for one in workers}.values():
            worker.close()
    return 0 if is_fine else 1


def _contenders(
    options: argparse.Namespace, model: Path, precision: str, device: torch.device, *, output: Path
) -> dict[str, tuple[list[Worker], dict]]:
    """Contender -> the workers that measure it at the same time, and what they are asked."""
    # peft works with the versions that this harness uses, AdapterHub's library with others.
    python = sys.executable if options.method == "lora" else options.peers_python
    peer = [python, ROOT / "scripts/peers/adapters_glue.py", "--model", model, "--output", output]
    ours = [sys.executable, "-m", "scripts.benchmark_ours", model]
    from harness.sweeps.placement import most_processes

    on_gpu, several = device.type == "cuda", most_processes(None, device.type)
    threads = {} if on_gpu else {"OMP_NUM_THREADS": "1"}

    def pool(command: list, count: int, environment: dict[str, str]) -> list[Worker]:
        return [Worker(command, environment | (threads if count > 1 else {})) for _ in range(count)]

    pools = {
        (who, count): pool(command, count, environment)
        for who, command, environment in (("peer", peer, KEEP_FREED_MEMORY), ("ours", ours, {}))
        for count in {1, several, SIDE_BY_SIDE}
    }
    contenders = {
        name: (pools["peer", one.processes],
               {"method": one.method, "padding": one.padding, "bf16": one.bf16, "every": one.every})
        for name, one in peers_of(options.method, precision, several).items()
    } | {
        name: (pools["ours", processes_of(name)], {"name": name, "method": options.method, "precision": precision})
        for name in our_names(options.replicas, on_gpu=on_gpu, method=options.method, processes=several)
    }  # fmt: skip
    return {name: contender for name, contender in contenders.items() if name not in options.skip}


def _report(what: str, name: str, result: dict) -> None:
    outcome = result.get("error") or f"{result['examples'] * result['replicas'] / result['seconds']:.1f} examples/s"
    print(f"{time.strftime('%H:%M:%S')} {what}: {name}: {outcome}", flush=True)


def _write(options: argparse.Namespace, machine: dict, results: dict[str, list[dict]]) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    device = machine["device"].split(",")[0].replace(" ", "-").lower()
    named = [name for name in (options.method, Path(options.model).name) if name not in ("adapter", "minilm")]
    asked = [] if options.precision == "auto" else [machine["precision"]]
    stem = options.output / "-".join([machine["task"], *named, device, *asked])
    record = {"machine": machine, "results": results}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(tabulate(results, machine) + "\n", encoding="utf-8")
    print(f"written: {stem}.json, {stem}.md", flush=True)


if __name__ == "__main__":
    sys.exit(main())
