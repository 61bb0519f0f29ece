"""Export of a trained LoRA or IA3 as a folder that Hugging Face's `peft` loads onto a plain model of transformers.

The files are that library's own: adapter_config.json and adapter_model.safetensors. Where transformers' classifier has
the very head that was trained here, the folder holds it among `modules_to_save`; elsewhere `peft` loads the folder onto
the plain encoder, and the head lies next to it in head.safetensors, as a linear map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor
from transformers import MODEL_MAPPING, PretrainedConfig

from harness.errors import UserError
from harness.method_config import IA3Config, LoraConfig, MethodConfig
from harness.model.checkpoint import Checkpoint, encoder_config, encoder_of
from harness.model.heads import HEADS
from harness.model.parameters import encoder_size
from harness.model.targets import rescaled_at_input
from harness.records.record import task_of
from harness.records.weights import StoredRun
from harness.serving.exported import as_json, write_folder
from harness.serving.model_card import Export, Intervals, encoder_name, model_card
from harness.tasks.task import Task

HEAD_FILE = "head.safetensors"
# transformers' classifiers of these families have a dense layer and tanh between the first token and their linear map:
# what the pooler of such an encoder is.
DENSE_HEADS = ("roberta", "xlm-roberta", "camembert", "mpnet")
_LINEAR_SPAN_HEADS = ("bert", "electra", "distilbert", "deberta-v2", *DENSE_HEADS)
# How to read what the head was trained on, by the record's word for it, where transformers has no such head.
_READ = {
    "pooler": "states = output.pooler_output",
    "first token": "states = output.last_hidden_state[:, 0]",
    "all tokens": "states = output.last_hidden_state",
    "mean": 'keep = inputs["attention_mask"][..., None]\n'
    "states = (output.last_hidden_state * keep).sum(1) / keep.sum(1)",
}


@dataclass(frozen=True)
class PlainModel:
    """The model of transformers that `peft` puts the adapter into.

    `auto` is its class, `task_type` peft's word for it, `encoder` the encoder's name in it with a dot, `head` the
    names of its head's linear map and `dense` those of the dense layer before (the pooler's); empty where it has none.
    """

    auto: str
    task_type: str
    encoder: str = ""
    head: str = ""
    dense: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def plain_model(shape: PretrainedConfig, task: Task, pooling: str) -> PlainModel:
    """The model of transformers for a head that reads `pooling` (the record's word) of an encoder of that shape."""
    family = shape.model_type
    encoder = f"{MODEL_MAPPING[type(shape)].base_model_prefix}."
    if HEADS[task.kind.name].reads_all_tokens and family in _LINEAR_SPAN_HEADS:
        return PlainModel("AutoModelForQuestionAnswering", "QUESTION_ANS", encoder, "qa_outputs")
    options = {"num_labels": task.kind.outputs}
    classifier = ("AutoModelForSequenceClassification", "SEQ_CLS", encoder)
    if pooling == "pooler" and family == "bert":
        return PlainModel(*classifier, "classifier", options=options)
    if pooling == "pooler" and family in DENSE_HEADS:
        return PlainModel(*classifier, "classifier.out_proj", "classifier.dense", options=options)
    return PlainModel("AutoModel", "FEATURE_EXTRACTION")


def export(
    out: Path,
    run: StoredRun,
    method: MethodConfig,
    tensors: dict[str, Tensor],
    *,
    encoder: Checkpoint,
    intervals: Intervals | None = None,
    licence: str | None = None,
) -> None:
    """Write the folder `out` with a model card, as a whole or not at all.

    `run` and `tensors` are as in `harness.records.weights`, `intervals` and `licence` as in `model_card`. Raises
    `UserError` for other methods than LoRA and IA3, and for an `out` that exists.
    """
    if not isinstance(method, LoraConfig | IA3Config):
        raise UserError(f"--format=peft holds LoRA and IA3, but {task_of(run).name} was tuned with {method.name}")
    if out.exists():
        raise UserError(f"{out} exists; give --out another folder")
    shape, pooling = encoder_config(encoder), run["encoder"]["pooling"]
    model = plain_model(shape, task_of(run), pooling)
    adapter = _adapter(tensors, shape, method, model)
    head = {"weight": tensors["head.weight"].t().contiguous(), "bias": tensors["head.bias"]}
    files = {}
    if model.head:
        adapter |= {f"base_model.model.{model.head}.{name}": tensor for name, tensor in head.items()}
    else:
        files[HEAD_FILE] = save(head)
    if model.dense:
        dense = encoder_of(encoder).pooler.dense
        adapter |= {f"base_model.model.{model.dense}.{name}": p.detach() for name, p in dense.named_parameters()}
    what = f"LoRA of rank {method.rank}" if isinstance(method, LoraConfig) else "IA3"
    whole = encoder_size(shape, has_pooler=pooling == "pooler")
    card = _card(run, what, model, pooling, _settings(method), whole)
    files |= {
        "adapter_config.json": as_json(_config(method, run, shape, list(tensors), model)),
        "adapter_model.safetensors": save(adapter),
        "README.md": model_card(run, card, intervals=intervals or {}, licence=licence).encode(),
    }
    write_folder(out, files)


def _adapter(
    tensors: dict[str, Tensor], shape: PretrainedConfig, method: LoraConfig | IA3Config, model: PlainModel
) -> dict[str, Tensor]:
    """The tensors of the encoder by peft's names: replicated maps are `[in, out]`, torch's are `[out, in]`."""
    found = {}
    for path in _paths(list(tensors)):
        name = f"base_model.model.{model.encoder}{path}"
        if isinstance(method, LoraConfig):
            found[f"{name}.lora_A.weight"] = tensors[f"encoder.{path}.down"].t().contiguous()
            found[f"{name}.lora_B.weight"] = tensors[f"encoder.{path}.up"].t().contiguous()
        else:
            vector = tensors[f"encoder.{path}.weight"]
            found[f"{name}.ia3_l"] = vector[None] if rescaled_at_input(shape.model_type, path) else vector[:, None]
    return found


def _paths(names: list[str]) -> list[str]:
    """The paths of the adapted maps in the encoder."""
    ours = [name.removeprefix("encoder.").rpartition(".")[0] for name in names if name.startswith("encoder.")]
    return list(dict.fromkeys(ours))


def _config(
    method: LoraConfig | IA3Config, run: StoredRun, shape: PretrainedConfig, names: list[str], model: PlainModel
) -> dict[str, Any]:
    paths = _paths(names)
    shared = {
        "base_model_name_or_path": encoder_name(run),
        "fan_in_fan_out": False,
        "inference_mode": True,
        "modules_to_save": [model.head.partition(".")[0]] if model.head else None,
        "target_modules": paths,
        "task_type": model.task_type,
    }
    if isinstance(method, IA3Config):
        at_input = [path for path in paths if rescaled_at_input(shape.model_type, path)]
        return shared | {"peft_type": "IA3", "feedforward_modules": at_input}
    return shared | {
        "peft_type": "LORA",
        "bias": "none",
        "lora_alpha": method.alpha,
        "lora_dropout": method.dropout,
        "r": method.rank,
        "use_rslora": method.rslora,
    }


def _settings(method: LoraConfig | IA3Config) -> str:
    targets = f"target modules {', '.join(method.target_modules)}"
    if isinstance(method, IA3Config):
        return f"IA3: {targets}"
    stabilised = ", rank-stabilised" if method.rslora else ""
    return f"LoRA: rank {method.rank}, alpha {method.alpha:g}{stabilised}, dropout {method.dropout:g}, {targets}"


def _card(run: StoredRun, what: str, model: PlainModel, pooling: str, settings: str, whole: int) -> Export:
    options = "".join(f", {name}={value}" for name, value in model.options.items())
    code = [
        "import peft, torch, transformers",
        "from safetensors.torch import load_file",
        "",
        'folder = "path/to/this/folder"',
        f'model = transformers.{model.auto}.from_pretrained("{encoder_name(run)}"{options})  # or a folder',
        "model = peft.PeftModel.from_pretrained(model, folder).eval()",
    ]
    if model.head:
        del code[1]
        notes = ["`inputs` are the tokenizer's; `model(**inputs)` gives logits."]
    else:
        code += [
            f'head = load_file(f"{{folder}}/{HEAD_FILE}")',
            "output = model(**inputs)  # of the tokenizer",
            *_READ[pooling].split("\n"),
            'logits = torch.nn.functional.linear(states, head["weight"], head["bias"])',
        ]
        notes = [f"The head is in {HEAD_FILE}: transformers' model for this kind of task has another one."]
    return Export(
        library="peft",
        what=what,
        trained=f"{what.split()[0]} and the task head",
        settings=settings,
        code=code,
        notes=notes,
        whole=whole,
        tags=[what.split()[0].lower()],
    )
