"""Export of a trained adapter as a folder that AdapterHub's `adapters` library loads: `model.load_adapter(folder)`.

The files are that library's own (version 1): adapter_config.json and pytorch_adapter.bin for the adapter,
head_config.json and pytorch_model_head.bin for the head. Trained LayerNorms are stored among the adapter's weights,
under their names in the encoder, and the library loads them with the adapter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from harness.errors import UserError
from harness.method_config import AdapterConfig, MethodConfig
from harness.model.checkpoint import Checkpoint, encoder_config
from harness.model.families import Family, get_family
from harness.model.heads import HEADS
from harness.model.parameters import encoder_size
from harness.model.pooling import pooling_title
from harness.records.record import task_of
from harness.records.weights import StoredRun
from harness.serving.exported import as_json, write_folder
from harness.serving.model_card import Export, Intervals, encoder_name, model_card
from harness.tasks.glue import TASKS
from harness.tasks.squad import NAME as SQUAD
from harness.tasks.task import Task

VERSION = "adapters.1.3.0"  # the library's version whose files these are
ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu", "swish": "swish", "tanh": "tanh"}
# By family, as far as the library has it: its model class, the name of the encoder in it, and where a layer holds the
# adapters after attention and after feed-forward.
MODELS = {
    "bert": ("BertAdapterModel", "bert", "attention.output.adapters", "output.adapters"),
    "roberta": ("RobertaAdapterModel", "roberta", "attention.output.adapters", "output.adapters"),
    "xlm-roberta": ("XLMRobertaAdapterModel", "roberta", "attention.output.adapters", "output.adapters"),
    "deberta-v2": ("DebertaV2AdapterModel", "deberta", "attention.output.adapters", "output.adapters"),
    "electra": ("ElectraAdapterModel", "electra", "attention.output.adapters", "output.adapters"),
    "distilbert": ("DistilBertAdapterModel", "distilbert", "attention_adapters.adapters", "output_adapters.adapters"),
}


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
    `UserError` for what the format or the library cannot hold (methods other than adapters, some families, the mean of
    all tokens) and for an `out` that exists.
    """
    if not isinstance(method, AdapterConfig):
        raise UserError(f"--format=adapterhub holds adapters, but {task_of(run).name} was tuned with {method.name}")
    if encoder.family not in MODELS:
        raise UserError(f"--format=adapterhub knows the families {', '.join(MODELS)}, but not {encoder.family}")
    if run["encoder"]["pooling"] == pooling_title("mean"):
        raise UserError("--format=adapterhub holds heads on the pooler or the first token, but not model.pooling=mean")
    if out.exists():
        raise UserError(f"{out} exists; give --out another folder")
    shape = encoder_config(encoder)
    has_pooler = run["encoder"]["pooling"] == "pooler"
    model_class, prefix, *_ = MODELS[encoder.family]
    shared = {
        "hidden_size": shape.hidden_size,
        "model_class": model_class,
        "model_name": encoder_name(run),
        "model_type": encoder.family,
        "name": task_of(run).name,
        "version": VERSION,
    }
    adapter, head = _split(run, method, tensors, encoder.family, prefix)
    card = _card(run, method, encoder_size(shape, has_pooler=has_pooler))
    files = {
        "adapter_config.json": as_json({"config": _adapter_config(method, shape.hidden_size), **shared}),
        "head_config.json": as_json({"config": _head_config(task_of(run), has_pooler), **shared}),
        "adapter.safetensors": save(adapter),
        "model_head.safetensors": save(head),
        "README.md": model_card(run, card, intervals=intervals or {}, licence=licence).encode(),
    }
    write_folder(out, files)


def _adapter_config(method: AdapterConfig, width: int) -> dict[str, Any]:
    """The library's BnConfig: adapters come before the residual addition and the layer's own LayerNorm."""
    return {
        "mh_adapter": method.placement == "houlsby",
        "output_adapter": True,
        "reduction_factor": width / method.bottleneck_size,
        "non_linearity": ACTIVATIONS[method.activation],
        "original_ln_before": False,
        "original_ln_after": True,
        "ln_before": False,
        "ln_after": False,
        "residual_before_ln": True,
        "adapter_residual_before_ln": False,
        "init_weights": "bert",
        "is_parallel": False,
        "scaling": 1.0,
        "use_gating": False,
        "inv_adapter": None,
        "inv_adapter_reduction_factor": None,
        "cross_adapter": False,
        "leave_out": [],
        "dropout": 0.0,
        "phm_layer": False,
    }


def _head_config(task: Task, has_pooler: bool) -> dict[str, Any]:
    if HEADS[task.kind.name].reads_all_tokens:
        return {
            "head_type": "question_answering",
            "num_labels": task.kind.outputs,
            "layers": 1,
            "activation_function": "tanh",
            "label2id": None,
        }
    labels = task.kind.labels or ("score",)
    return {
        "head_type": "classification",
        "num_labels": task.kind.outputs,
        "layers": 1,
        "activation_function": "tanh",
        "use_pooler": has_pooler,
        "bias": True,
        "dropout_prob": None,
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def _split(
    run: StoredRun, method: AdapterConfig, tensors: dict[str, Tensor], family_name: str, prefix: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors by the library's names: the adapter's, with LayerNorms and whatever else trained, and the head's."""
    family, task = get_family(family_name), task_of(run).name
    adapter: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("head."):
            # Replicated maps are [in, out], torch's are [out, in].
            head[f"heads.{task}.1.{name.removeprefix('head.')}"] = tensor.t().contiguous()
        elif (renamed := _adapter_name(name, family, family_name, prefix, task)) is not None:
            adapter[renamed] = tensor.t().contiguous()
        else:
            adapter[f"{prefix}.{name.removeprefix('encoder.')}"] = tensor.contiguous()
    return adapter, head


def _adapter_name(name: str, family: Family, family_name: str, prefix: str, task: str) -> str | None:
    """The library's name for a tensor of an adapter, None for other tensors."""
    *_, after_attention, after_feed_forward = MODELS[family_name]
    for end, place in ((family.attention_end, after_attention), (family.feed_forward_end, after_feed_forward)):
        start, middle, last = name.partition(f".{end}.1.")
        if middle and start.rpartition(".")[0] == f"encoder.{family.layers}":
            part, kind = last.split(".")
            layer = start.removeprefix("encoder.")
            own = {"down": "adapter_down.0", "up": "adapter_up"}[part]
            return f"{prefix}.{layer}.{place}.{task}.{own}.{kind}"
    return None


def _card(run: StoredRun, method: AdapterConfig, whole: int) -> Export:
    if method.train_layernorms:
        trained = "adapters, every LayerNorm and the task head"
        note = "The adapter replaces the encoder's LayerNorms by its own. Load only one such adapter into a model."
    else:
        trained, note = "adapters and the task head", "The encoder itself is unchanged."
    name = task_of(run).name
    known = {SQUAD: "qa/squad1"} | {task: f"glue/{task}" for task in TASKS} | {"stsb": "sts/stsb"}
    return Export(
        library="adapters",
        what=f"bottleneck adapters of size {method.bottleneck_size}",
        trained=trained,
        settings=f"Adapters: {method.placement} placement, size {method.bottleneck_size}, {method.activation}",
        code=[
            "from adapters import AutoAdapterModel",
            "",
            f'model = AutoAdapterModel.from_pretrained("{encoder_name(run)}")  # or a folder with these weights',
            'model.load_adapter("path/to/this/folder", use_safetensors=True, set_active=True)  # or a name on the hub',
            "model.eval()",
        ],
        notes=[note],
        whole=whole,
        tags=[f"adapterhub:{known[name]}"] if name in known else [],
    )
