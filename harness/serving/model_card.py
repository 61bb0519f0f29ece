"""The model card of one exported task: what the hub reads in its front matter, and what people read below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from harness.model.checkpoint import MINILM_ON_HUB
from harness.records.choice import chosen_on
from harness.records.record import task_of
from harness.records.weights import StoredRun
from harness.tasks.glue import TASKS
from harness.tasks.metrics import metric_title
from harness.tasks.squad import NAME as SQUAD

Intervals = dict[str, dict[str, tuple[float, float]]]  # {evaluation set: {metric: bounds in the metric's own range}}

_HUB_TASKS = {
    "classification": "text-classification",
    "regression": "text-classification",
    "span": "question-answering",
}


@dataclass(frozen=True, kw_only=True)
class Export:
    """What a card says of the format: the `library` that loads the folder, by `code`, and what the folder holds.

    `what` is the title's words ("LoRA of rank 8"), `trained` those of what its parameters are, `settings` a line about
    the method, `tags` further ones for the hub, `whole` the encoder's parameter count.
    """

    library: str
    what: str
    trained: str
    settings: str
    code: Sequence[str]
    notes: Sequence[str]
    whole: int
    tags: Sequence[str] = ()


def model_card(run: StoredRun, export: Export, *, intervals: Intervals, licence: str | None = None) -> str:
    """The card as text; `licence` is an identifier that the hub knows.

    `intervals` are 95 % bootstrap intervals over the evaluation rows. The scores are those of this one run: it was
    selected among others on the selection split, and the card says which.
    """
    task, count = task_of(run), run["weights"]["parameters"]
    lines = [
        f"# {task.title}: {export.what} for {run['encoder']['title']}",
        "",
        f"{_trained_on(run)}: {export.trained}, {count:,} parameters, {100 * count / export.whole:.2f} % of the "
        "encoder's.",
        "",
        *(f"- {fact}" for fact in _facts(run, export.settings)),
        "",
        *_scores(run, intervals),
        "```python",
        *export.code,
        "```",
        *(line for note in export.notes for line in ("", note)),
        "",
    ]
    data = _card_data(run, export, intervals, licence)
    return str(ModelCard("\n".join(["---", data.to_yaml(), "---", "", *lines])))


def _trained_on(run: StoredRun) -> str:
    if "imported" in run:
        return "Trained with `peft` and imported here"
    return f"Trained on {_data_title(run)} as in Houlsby et al. (2019), *Parameter-Efficient Transfer Learning for NLP*"


def encoder_name(run: StoredRun) -> str:
    """The encoder's name on the hub if it has one, else its title."""
    return _name_on_hub(run) or run["encoder"]["title"]


def _name_on_hub(run: StoredRun) -> str | None:
    encoder = run["encoder"]
    if encoder["name"] == "minilm":
        return MINILM_ON_HUB
    return encoder["name"] if encoder["revision"] else None  # a folder has no revision


def _is_squad(run: StoredRun) -> bool:
    return task_of(run).name == SQUAD and run["data"]["source"] not in ("synthetic", "unknown")


def _data_title(run: StoredRun) -> str:
    if run["data"]["is_glue"]:
        return "GLUE"
    if _is_squad(run):
        return "SQuAD v1.1"
    name = task_of(run).name
    not_the = ", NOT GLUE," if name in TASKS else ", NOT SQuAD," if name == SQUAD else ""
    return f"{run['data']['source']} data{not_the}"


def _dataset(run: StoredRun) -> str | None:
    """The data set's name on the hub, for rows that are really its."""
    return "nyu-mll/glue" if run["data"]["is_glue"] else "rajpurkar/squad" if _is_squad(run) else None


def _is_optimistic(run: StoredRun) -> bool:
    return chosen_on(run) in task_of(run).evaluation_sets


def _card_data(run: StoredRun, export: Export, intervals: Intervals, licence: str | None) -> ModelCardData:
    task, dataset = task_of(run), _dataset(run)
    return ModelCardData(
        model_name=f"{task.title} adapter for {run['encoder']['title']}",
        base_model=_name_on_hub(run),
        library_name=export.library,
        license=licence,
        datasets=[dataset] if dataset else None,
        metrics=list(task.metrics),
        tags=[export.library, run["encoder"]["family"], *export.tags],
        eval_results=[
            _result(run, evaluation_set, metric, value, intervals)
            for evaluation_set, metrics in run["scores"].items()
            if evaluation_set in task.evaluation_sets
            for metric, value in metrics.items()
            if value is not None
        ],
    )


def _result(run: StoredRun, evaluation_set: str, metric: str, value: float, intervals: Intervals) -> EvalResult:
    task, rows = task_of(run), run["data"]["rows"]
    bounds = intervals.get(evaluation_set, {}).get(metric)
    shown: dict[str, Any] = {"low": bounds[0], "high": bounds[1], "level": 0.95} if bounds else {}
    return EvalResult(
        task_type=_HUB_TASKS[task.kind.name],
        dataset_type=_dataset(run) or task.name,
        dataset_name=f"{task.title}, {_data_title(run).rstrip(',')}",
        dataset_config=task.name if run["data"]["is_glue"] else None,
        dataset_split=evaluation_set,
        dataset_args={"rows": rows[evaluation_set], "training_rows": rows["train"]},
        metric_type=metric,
        metric_name=metric_title(metric),
        metric_value=value,
        metric_args=shown or None,
    )


def _scores(run: StoredRun, intervals: Intervals) -> list[str]:
    lines = []
    for evaluation_set, metrics in run["scores"].items():
        rows = run["data"]["rows"].get(evaluation_set)
        for metric, value in metrics.items():
            bounds = intervals.get(evaluation_set, {}).get(metric)
            score = "undefined" if value is None else f"{value:.4f}"
            between = f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else "unknown"
            lines.append(f"| {evaluation_set} | {rows} | {metric} | {score} | {between} |")
    if not lines:
        return []
    optimistic = " It was selected on the same rows, which is optimistic." if _is_optimistic(run) else ""
    return [
        "| evaluation set | rows | metric | score | 95 % interval |",
        "| --- | ---: | --- | ---: | ---: |",
        *lines,
        "",
        f"The scores are of this one run, intervals are over the evaluation rows.{optimistic}",
        "",
    ]


def _facts(run: StoredRun, settings: str) -> list[str]:
    encoder, train, kind = run["encoder"], run["config"]["train"], task_of(run).kind
    labels = ", ".join(f"{number}: {label}" for number, label in enumerate(kind.labels))
    facts = [f"Encoder: {encoder['title']}, sha256 {encoder['sha256']} of its weights", settings]
    none = "none; the output is a span" if kind.name == "span" else "none; the output is a score"
    named = f"Labels: {labels or none}"
    if "imported" in run:
        return [*facts, named, f"Imported from {run['imported']['folder']}; {run['run_id']}"]
    made = run["provenance"]
    return [
        *facts,
        f"Training: {run['data']['rows']['train']:,} rows, learning rate {train['learning_rate']:g}, "
        f"{train['epochs']} epochs, batch {train['batch_size']}, seed {train['seed']}, at most {train['max_length']} "
        "tokens",
        f"Protocol: {run['config']['protocol']['name']}, selection split {chosen_on(run)}",
        named,
        f"Trained at commit {made['commit']}{' with uncommitted changes' if made['dirty'] else ''}, "
        f"on {made['device']}, {made['precision']}; run {run['run_id']}",
    ]
