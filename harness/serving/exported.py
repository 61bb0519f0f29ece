"""What exports to other libraries share: a folder that appears as a whole, and its model card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import writing
from harness.model.checkpoint import MINILM_ON_HUB
from harness.records.choice import chosen_on
from harness.records.record import task_of
from harness.records.weights import StoredRun
from harness.tasks.squad import NAME as SQUAD


def write_folder(out: Path, files: dict[str, bytes]) -> None:
    """Write the folder `--out`, which does not exist, with these files, as a whole or not at all."""
    with writing(f"--out={out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            for name, data in files.items():
                (scratch / name).write_bytes(data)
            scratch.chmod(0o755)
            scratch.rename(out)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def model_name(run: StoredRun) -> str:
    """The encoder's name on the hub if it has one, else its title."""
    return MINILM_ON_HUB if run["encoder"]["name"] == "minilm" else run["encoder"]["title"]


def model_card(
    run: StoredRun,
    *,
    front: Mapping[str, Any],
    what: str,
    trained: str,
    settings: str,
    code: Sequence[str],
    notes: Sequence[str],
    encoder_size: int,
) -> str:
    """The folder's README, with the front matter that the hub reads.

    `what` is the title's ("LoRA of rank 8"), `trained` what its parameters are, `settings` a line about the method,
    `code` the lines that load the folder; `encoder_size` is the encoder's parameter count.
    """
    count, encoder = run["weights"]["parameters"], run["encoder"]
    how = f"{trained}, {count:,} parameters, {100 * count / encoder_size:.2f} % of the encoder's."
    lines = [
        "---",
        *(f"{key}: {json.dumps(value)}" for key, value in front.items()),  # JSON is YAML
        "---",
        "",
        f"# {task_of(run).title}: {what} for {encoder['title']}",
        "",
        f"{_trained_on(run)}: {how}",
        "",
        *(f"- {fact}" for fact in _facts(run, settings)),
        "",
        *_scores(run),
        "```python",
        *code,
        "```",
        *(line for note in notes for line in ("", note)),
        "",
    ]
    return "\n".join(lines)


def _trained_on(run: StoredRun) -> str:
    if "imported" in run:
        return "Trained with `peft` and imported here"
    data = "GLUE" if run["data"]["is_glue"] else f"{run['data']['source']} data, NOT GLUE,"
    if task_of(run).name == SQUAD and run["data"]["source"] != "synthetic":
        data = "SQuAD v1.1"
    return f"Trained on {data} as in Houlsby et al. (2019), *Parameter-Efficient Transfer Learning for NLP*"


def _scores(run: StoredRun) -> list[str]:
    rows = [
        f"| {evaluation_set} | {metric} | {'undefined' if value is None else f'{value:.4f}'} |"
        for evaluation_set, metrics in run["scores"].items()
        for metric, value in metrics.items()
    ]
    return ["| evaluation set | metric | score |", "| --- | --- | ---: |", *rows, ""] if rows else []


def _facts(run: StoredRun, settings: str) -> list[str]:
    encoder, train = run["encoder"], run["config"]["train"]
    is_span = task_of(run).kind.name == "span"
    labels = ", ".join(f"{number}: {label}" for number, label in enumerate(task_of(run).kind.labels))
    facts = [f"Encoder: {encoder['title']}, sha256 {encoder['sha256']} of its weights", settings]
    named = f"Labels: {labels or ('none; the output is a span' if is_span else 'none; the output is a score')}"
    if "imported" in run:
        return [*facts, named, f"Imported from {run['imported']['folder']}; {run['run_id']}"]
    made = run["provenance"]
    return [
        *facts,
        f"Training: learning rate {train['learning_rate']:g}, {train['epochs']} epochs, batch {train['batch_size']}, "
        f"seed {train['seed']}, at most {train['max_length']} tokens",
        f"Protocol: {run['config']['protocol']['name']}, selection split {chosen_on(run)}",
        named,
        f"Trained at commit {made['commit']}{' with uncommitted changes' if made['dirty'] else ''}, "
        f"on {made['device']}, {made['precision']}; run {run['run_id']}",
    ]
