"""One epoch of adapters with AdapterHub's `adapters`, of LoRA with `peft`, or of full fine-tuning, all by a Trainer.

Adapters run in an environment of their own (`.venv-peers`, created by `make benchmark`): `adapters` pins another
version of transformers.
Prints one JSON line: examples, seconds of training alone, versions.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields
from importlib import metadata

import torch
from torch.utils.data import Dataset
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments


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


def build(arguments: argparse.Namespace):
    if arguments.method == "full":
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=2), Trainer
    if arguments.method == "lora":
        import peft
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=2)
        settings = {"r": arguments.rank, "lora_alpha": arguments.rank, "target_modules": ["query", "value"]}
        return peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", **settings)), Trainer
    import adapters
    from adapters import AdapterTrainer, AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(arguments.model)
    model.add_classification_head("glue", num_labels=2, layers=1)
    # The preset of Houlsby et al.; the reduction factor gives the bottleneck size that was asked for.
    factor = model.config.hidden_size / arguments.bottleneck_size
    model.add_adapter("glue", config=adapters.DoubleSeqBnConfig(reduction_factor=factor))
    model.train_adapter("glue")
    return model, AdapterTrainer


def grouping(enabled: bool) -> dict:
    """The option that groups rows by length, which transformers 5 has renamed."""
    if not enabled:
        return {}
    is_old = "group_by_length" in {item.name for item in fields(TrainingArguments)}
    return {"group_by_length": True} if is_old else {"train_sampling_strategy": "group_by_length"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", required=True, help="JSON lines with sentence1[, sentence2], label")
    parser.add_argument("--method", choices=("adapter", "lora", "full"), default="adapter")
    parser.add_argument("--padding", choices=("max", "dynamic", "grouped"), default="max")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--bottleneck-size", type=int, default=64)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    with open(arguments.rows, encoding="utf-8") as file:  # noqa: PTH123
        rows = [json.loads(line) for line in file]
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model, trainer_class = build(arguments)
    trainer = trainer_class(
        model=model,
        args=TrainingArguments(
            output_dir=arguments.output,
            per_device_train_batch_size=arguments.batch_size,
            num_train_epochs=1,
            learning_rate=1e-4,
            **grouping(arguments.padding == "grouped"),
            bf16=arguments.bf16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=10_000,
        ),
        train_dataset=Rows(tokenizer, rows, arguments.padding),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    names = ("torch", "transformers", "peft" if arguments.method == "lora" else "adapters")
    print(
        json.dumps(
            {
                "examples": len(rows),
                "seconds": seconds,
                "device": str(trainer.args.device),
                "peak_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
                "versions": {name: metadata.version(name) for name in names},
            }
        )
    )


if __name__ == "__main__":
    main()
