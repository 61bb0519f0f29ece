"""The parts of the benchmark that need this harness: its own measurement, rows, encoder and machine."""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from harness.config import RunConfig, TrainConfig
from harness.data import sources
from harness.data.batches import encode
from harness.data.splits import limit_rows
from harness.method_config import AdapterConfig, FullConfig, LoraConfig
from harness.model.build import assemble
from harness.model.checkpoint import find_checkpoint, load_tokenizer
from harness.model.heads import HEADS
from harness.sweeps.provenance import commit_of_code
from harness.tasks.glue import get_task
from harness.training.cuda_graphs import cuda_capture
from harness.training.device import device_title, has_bf16, keep_freed_memory, pick_device
from harness.training.loop import train
from harness.training.stack_checkpoint import StackCheckpoint

METHODS = {"adapter": AdapterConfig(bottleneck_size=64), "lora": LoraConfig(rank=8, alpha=8.0)}


def measure_ours(name: str, task_name: str, rows_file: Path, model: str, method_name: str = "adapter") -> dict:
    """One epoch of ours: `ours-R[-graphs]` is a stack of R runs of that method, `ours-full` full fine-tuning.

    `checkpoint`: the bytes of one, its seconds (with the disk's), and their share of training at the default interval.
    """
    keep_freed_memory()
    device, task = pick_device("auto"), get_task(task_name)
    with rows_file.open(encoding="utf-8") as file:
        rows = Dataset.from_list([json.loads(line) for line in file])
    checkpoint = find_checkpoint(model)
    kind, _, variant = name.removeprefix("ours-").partition("-")
    replicas = 1 if kind == "full" else int(kind.partition("x")[0])
    method = FullConfig() if kind == "full" else METHODS[method_name]
    bf16 = has_bf16(device)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(checkpoint)
        split = encode(rows, task, tokenizer, max_length=128, cache_dir=Path(folder), device=str(device))

    def epoch(count: int, *, graphs: bool = False, state: StackCheckpoint | None = None) -> float:
        settings = TrainConfig(epochs=1)
        classifier = assemble(
            checkpoint, [task.kind.outputs] * count, [method] * count,
            seeds=range(count), dropout=settings.dropout, device=device, bf16=bf16,
        )  # fmt: skip
        rates = [1e-4 * (replica + 1) for replica in range(count)]
        _synchronise(device)
        with cuda_capture(graphs) as capture:
            result = train(
                classifier, split, settings, head=HEADS[task.kind.name],
                learning_rates=rates, seeds=range(count), bf16=bf16, capture=capture,
                checkpoint=state,
            )  # fmt: skip
        return result.seconds

    with tempfile.TemporaryDirectory() as folder:
        state = StackCheckpoint(Path(folder) / "stack.safetensors", {}, seconds=math.inf)
        seconds = epoch(replicas, graphs=variant == "graphs", state=state)
        started = time.perf_counter()
        state.write()
        writing = time.perf_counter() - started
        written = {"bytes": state.path.stat().st_size, "seconds": writing,
                   "share": writing / 60 / RunConfig().checkpoint_minutes}  # fmt: skip
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    with FlopCounterMode(display=False) as counter:
        epoch(1)
    flops = counter.get_total_flops() * replicas
    return {"examples": len(rows), "replicas": replicas, "seconds": seconds, "flops": flops, "peak_bytes": peak,
            "precision": "bf16" if bf16 else "fp32", "checkpoint": written}  # fmt: skip


def write_rows(task_name: str, count: int, path: Path) -> tuple[Path, str]:
    """Write the training rows that every contender gets; the file and the name of their source."""
    task = get_task(task_name)
    try:
        source = sources.resolve(source="auto")
    except sources.NoData:
        source = sources.resolve(source="synthetic")
    split = limit_rows(source.load(task)["train"], count)
    with path.open("w", encoding="utf-8") as file:
        for row in split:
            file.write(json.dumps({name: row[name] for name in (*task.columns, "label")}) + "\n")
    return path, source.name + ("" if source.is_glue else " (not GLUE)")


def model_folder(name: str, folder: Path) -> Path:
    """The checkpoint that every contender loads; a random one of BERT-large's size is written to `folder`."""
    minilm = find_checkpoint("minilm")
    if name == "minilm":
        return Path(minilm.folder)
    torch.manual_seed(0)
    large = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    BertModel(large).save_pretrained(folder)
    load_tokenizer(minilm).save_pretrained(folder)
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
    return {"device": device_title(device), "peak_gflops": peaks, "peak_of": device.type, "torch": torch.__version__,
            "commit": commit, "dirty": dirty}  # fmt: skip


def _synchronise(device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
