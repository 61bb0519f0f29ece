"""The parts of the benchmark that need this harness: its own measurement, rows, encoder and machine.

python -m scripts.benchmark_ours MODEL_FOLDER     # answers requests, one JSON line each, with one
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from harness.config import RunConfig, TrainConfig
from harness.data import sources
from harness.data.batches import Encoded, encode
from harness.data.splits import limit_rows
from harness.errors import one_line
from harness.method_config import AdapterConfig, FullConfig, LoraConfig
from harness.model.build import assemble
from harness.model.checkpoint import encoder_config, find_checkpoint, tokenizer_of
from harness.model.heads import HEADS
from harness.model.parameters import count
from harness.sweeps.provenance import commit_of_code
from harness.tasks.glue import get_task
from harness.training.cuda_graphs import cuda_capture
from harness.training.device import (
    PeakMemory,
    device_title,
    free_cached_memory,
    keep_freed_memory,
    pick_device,
    pick_precision,
)
from harness.training.loop import Training, train
from harness.training.stack_checkpoint import StackCheckpoint

METHODS = {"adapter": AdapterConfig(bottleneck_size=64), "lora": LoraConfig(rank=8, alpha=8.0), "full": FullConfig()}
RATES = {"adapter": 1e-3, "lora": 1e-3, "full": 1e-4}  # of all replicas, and of the opponents


def measure_ours(
    name: str, task_name: str, rows_file: Path, model: str, method_name: str = "adapter", *,
    precision: str = "auto", limit: int | None = None,
) -> dict:  # fmt: skip
    """One epoch of ours: `ours-R[-graphs]` is a stack of R runs of that method, `ours-full` full fine-tuning.

    `limit`: only so many of the rows. `losses`: means over replicas and the steps of the first and the last quarter.
    `checkpoint`: the bytes of one, its seconds (with the disk's), and their share of training at the default interval.
    """
    device, task, checkpoint = pick_device("auto"), get_task(task_name), find_checkpoint(model)
    bf16 = pick_precision(precision, device)
    kind, _, variant = name.removeprefix("ours-").partition("-")
    method_name = "full" if kind == "full" else method_name
    replicas = 1 if kind == "full" else int(kind.partition("x")[0])
    split = _encoded(rows_file, task_name, model, limit)

    def epoch(of: int, *, graphs: bool = False, state: StackCheckpoint | None = None) -> Training:
        settings = TrainConfig(epochs=1)
        classifier = assemble(
            checkpoint, [task.kind.outputs] * of, [METHODS[method_name]] * of,
            seeds=range(of), dropout=settings.dropout, device=device, bf16=bf16,
        )  # fmt: skip
        _synchronise(device)
        with cuda_capture(graphs) as capture:
            return train(
                classifier, split, settings, head=HEADS[task.kind.name],
                learning_rates=[RATES[method_name]] * of, seeds=range(of), bf16=bf16, capture=capture,
                checkpoint=state,
            )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        state = StackCheckpoint(Path(folder) / "stack.safetensors", {}, seconds=math.inf)
        memory = PeakMemory(device)
        result = epoch(replicas, graphs=variant == "graphs", state=state)
        peak = memory.read()["peak_bytes"]
        started = time.perf_counter()
        state.write()
        writing = time.perf_counter() - started
        written = {"bytes": state.path.stat().st_size, "seconds": writing,
                   "share": writing / 60 / RunConfig().checkpoint_minutes}  # fmt: skip
    key = (method_name, task_name, len(split), bf16)
    if key not in _FLOPS:  # an epoch of its own, since counting is slow
        frozen = {torch.ops.mkldnn._linear_pointwise: _frozen_flops}
        with FlopCounterMode(display=False, custom_mapping=frozen) as counter:
            epoch(1)
        _FLOPS[key] = counter.get_total_flops()
    quarter = max(result.losses.shape[1] // 4, 1)
    parameters = count(encoder_config(checkpoint), METHODS[method_name], task.kind.outputs)
    return {
        "examples": len(split), "replicas": replicas, "seconds": result.seconds, "flops": _FLOPS[key] * replicas,
        "peak_bytes": peak, "precision": "bf16" if bf16 else "fp32", "method": method_name,
        "trained": parameters["trained"], "checkpoint": written,
        "losses": [float(np.mean(part)) for part in (result.losses[:, :quarter], result.losses[:, -quarter:])],
        "versions": {package: metadata.version(package) for package in ("torch", "transformers")},
    }  # fmt: skip


_FLOPS: dict[tuple, int] = {}  # of the products of one replica's epoch


def _frozen_flops(x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
    """Of the products of `FrozenLinear`, which torch's counter does not know."""
    return 2 * math.prod(x) * weight[0]


@cache
def _encoded(rows_file: Path, task_name: str, model: str, limit: int | None) -> Encoded:
    lines = Path(rows_file).read_text(encoding="utf-8").splitlines()[:limit]
    tokenizer = tokenizer_of(find_checkpoint(model))
    with tempfile.TemporaryDirectory() as folder:
        rows = Dataset.from_list([json.loads(line) for line in lines])
        device = str(pick_device("auto"))
        return encode(rows, get_task(task_name), tokenizer, max_length=128, cache_dir=Path(folder), device=device)


def tokens_per_example(rows_file: Path, task_name: str, model: str) -> float:
    """The mean length of the rows."""
    return float(_encoded(rows_file, task_name, model, None).lengths.mean())


def write_rows(task_name: str, number: int, path: Path) -> tuple[Path, str]:
    """Write the training rows that every contender gets; the file and the name of their source."""
    task = get_task(task_name)
    try:
        source = sources.resolve(source="auto")
    except sources.NoData:
        source = sources.resolve(source="synthetic")
    split = limit_rows(source.load(task)["train"], number)
    with path.open("w", encoding="utf-8") as file:
        for row in split:
            file.write(json.dumps({name: row[name] for name in (*task.columns, "label")}) + "\n")
    return path, source.name + ("" if source.is_glue else " (not GLUE)")


def model_folder(name: str, folder: Path) -> Path:
    """The checkpoint that every contender loads; a random one of BERT-large's size is written to `folder`."""
    if name != "bert-large-random":
        return Path(find_checkpoint(name).folder)
    torch.manual_seed(0)
    large = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    BertModel(large).save_pretrained(folder)
    tokenizer_of(find_checkpoint("minilm")).save_pretrained(folder)
    return folder


def measure_machine(size: int | None = None) -> dict:
    """Device and its matrix-product rates in GFLOP/s: the best of ten products of square matrices of that size.

    None: 2048, on a GPU 8192.
    """
    device = pick_device("auto")
    peaks = {}
    size = size or (8192 if device.type == "cuda" else 2048)
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
    commit, dirty = commit_of_code(Path(__file__).resolve().parent.parent)
    return {"device": device_title(device), "peak_gflops": peaks, "peak_size": size, "peak_of": device.type,
            "torch": torch.__version__, "commit": commit, "dirty": dirty}  # fmt: skip


def _synchronise(device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    model = sys.argv[1]
    keep_freed_memory()
    answers = os.fdopen(os.dup(1), "w")  # whatever else is printed goes to standard error
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            asked = json.loads(line)
            answer = measure_ours(
                asked["name"], asked["task"], asked["rows"], model, asked["method"],
                precision=asked["precision"], limit=asked.get("limit"),
            )  # fmt: skip
        except Exception as error:  # a contender that fails is a result
            answer = {"error": one_line(error)}
        print(json.dumps(answer), file=answers, flush=True)
        free_cached_memory(pick_device("auto"))


if __name__ == "__main__":
    main()
