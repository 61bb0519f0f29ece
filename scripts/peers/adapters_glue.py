"""One epoch of adapters with AdapterHub's `adapters`, of LoRA with `peft`, or of full fine-tuning, all by a Trainer.

Adapters run in an environment of their own (`.venv-peers`, created by `make benchmark`): `adapters` pins another
version of transformers. Reads requests, one JSON line each, and answers each with one: examples, seconds of training
alone, trained parameters, the mean losses of the first and the last quarter, versions; or `error`.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import time
from dataclasses import fields
from importlib import metadata
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast, Trainer, TrainingArguments
from transformers.utils import logging

SIZE, RANK, BATCH_SIZE = 64, 8, 32
RATES = {"adapter": 1e-3, "lora": 1e-3, "full": 1e-4}


class Rows(Dataset):
    def __init__(self, tokenizer, rows: list[dict], padding: str) -> None:
        texts = [[row["sentence1"] for row in rows]]
        if "sentence2" in rows[0]:
            texts.append([row["sentence2"] for row in rows])
        coded = tokenizer(*texts, truncation=True, max_length=128, padding="max_length" if padding == "max" else False)
        self.items = [
            {name: values[index] for name, values in coded.items()} | {"labels": row["label"]}
            for index, row in enumerate(rows)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        return self.items[index]


def build(model: str, method: str, outputs: int):
    if method != "adapter":
        from transformers import AutoModelForSequenceClassification

        plain = AutoModelForSequenceClassification.from_pretrained(model, num_labels=outputs)
        if method == "full":
            return plain, Trainer
        import peft

        settings = {"r": RANK, "lora_alpha": RANK, "target_modules": ["query", "value"]}
        return peft.get_peft_model(plain, peft.LoraConfig(task_type="SEQ_CLS", **settings)), Trainer
    import adapters
    from adapters import AdapterTrainer, AutoAdapterModel

    encoder = AutoAdapterModel.from_pretrained(model)
    encoder.add_classification_head("glue", num_labels=outputs, layers=1)
    # The preset of Houlsby et al.; the reduction factor gives the bottleneck size that was asked for.
    factor = encoder.config.hidden_size / SIZE
    encoder.add_adapter("glue", config=adapters.DoubleSeqBnConfig(reduction_factor=factor))
    encoder.train_adapter("glue")
    # The library freezes LayerNorms, which the paper trains: both sides do the same work.
    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.requires_grad_(True)
    return encoder, AdapterTrainer


def grouping(enabled: bool) -> dict:
    """The option that groups rows by length, which transformers 5 has renamed."""
    if not enabled:
        return {}
    is_old = "group_by_length" in {item.name for item in fields(TrainingArguments)}
    return {"group_by_length": True} if is_old else {"train_sampling_strategy": "group_by_length"}


def measure(request: dict, model_folder: str, output: str) -> dict:
    """One epoch of `method` on every `every`-th row of the first `limit` of the file `rows`."""
    lines = Path(request["rows"]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[: request.get("limit") : request["every"]]]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder)  # of whichever version of transformers
    torch.manual_seed(0)
    model, trainer_class = build(model_folder, request["method"], request["outputs"])
    steps = -(-len(rows) // BATCH_SIZE)
    trainer = trainer_class(
        model=model,
        args=TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=BATCH_SIZE,
            num_train_epochs=1,
            learning_rate=RATES[request["method"]],
            **grouping(request["padding"] == "grouped"),
            bf16=request["bf16"],
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=max(steps // 4, 1),  # an entry is the mean over the steps since the last one
        ),
        train_dataset=Rows(tokenizer, rows, request["padding"]),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    reset_peak()
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    package = {"lora": ["peft"], "adapter": ["adapters"], "full": []}[request["method"]]
    return {
        "examples": len(rows),
        "replicas": 1,
        "seconds": seconds,
        "device": str(trainer.args.device),
        "method": request["method"],
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "losses": [losses[0], losses[-1]],
        "peak_bytes": read_peak(),
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", *package)},
    }


def reset_peak() -> None:
    """Give memory back, and count its peak from here."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def read_peak() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    answers = os.fdopen(os.dup(1), "w")  # Trainer prints to standard output, which goes to standard error from here on
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = measure(json.loads(line), arguments.model, arguments.output)
        except Exception as error:  # an opponent that fails is a result
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)
        reset_peak()


if __name__ == "__main__":
    main()
