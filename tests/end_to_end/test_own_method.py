"""The guide "A method of your own", followed to the letter: its code blocks are run as they stand."""

import re

from safetensors.torch import load_file

from harness import method_config
from harness.model import methods
from tests.conftest import ROOT
from tests.fixtures.commands import records

HEADING = "A method of your own"


def guide() -> str:
    """The text from the heading to the next one, wherever it is."""
    (text,) = (
        text for path in (ROOT / "README.md", *ROOT.glob("*/README.md")) if HEADING in (text := path.read_text("utf-8"))
    )
    return re.split(r"\n## ", text[text.index(HEADING) :])[0]


def blocks() -> dict[str, str]:
    """The code of the guide by the file that the comment above it names, that comment included."""
    code = re.findall(r"^```\w*\n(.*?)^```", guide(), re.M | re.S)
    return {block.split()[1].rstrip(":"): block for block in code}


def test_the_guides_method_trains_from_the_command_line(harness_run, tmp_path, monkeypatch):
    """The encoder's first layer and the head train, are counted, stored and recorded, and nothing else."""
    found = blocks()
    for registry in (method_config.METHOD_CONFIGS, methods.METHODS):
        monkeypatch.setitem(registry, "first_layer", None)  # the guide's code replaces it, and it is removed at the end
    exec(found["harness/method_config.py"], dict(vars(method_config)))
    exec(found["harness/model/methods.py"], dict(vars(methods)))
    file = tmp_path / "conf/method/first_layer.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(found["conf/method/first_layer.yaml"])

    searched = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    ended = harness_run("task=mrpc", "method=first_layer", "train.save=all", searched)
    assert ended.status == 0, ended.err
    (record,) = records(tmp_path / "results").values()
    assert record["run_id"].startswith("mrpc-first_layer-")
    stored = load_file(tmp_path / f"results/weights/{record['run_id']}.safetensors")
    assert {name.split(".")[0] for name in stored} == {"encoder", "head"}
    assert all(name.startswith(("encoder.encoder.layer.0.", "head.")) for name in stored)
    assert record["parameters"]["trained"] == sum(tensor.numel() for tensor in stored.values())
