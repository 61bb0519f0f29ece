"""The guide "A method of your own", followed to the letter: its code blocks are run as they stand."""

import re

from safetensors.torch import load_file

from harness import config
from harness.model import methods
from tests.conftest import ROOT
from tests.fixtures.commands import records

HEADING = "A method of your own"


def guide() -> str:
    """The text from the heading to the next one, wherever it is."""
    (text,) = (
        text for path in (ROOT / "README.md", *ROOT.glob("*/README.md")) if HEADING in (text := path.read_text("utf-8"))
    )
    return re.split(r"\n#+ ", text[text.index(HEADING) :])[0]


def blocks() -> dict[str, str]:
    """The code of the guide by the file that the comment above it names, that comment included."""
    code = re.findall(r"^```\w*\n(.*?)^```", guide(), re.M | re.S) or re.findall(r"(?:^(?: {4}.*)?\n)+", guide(), re.M)
    lines = "\n".join(re.sub("^ {4}", "", block, flags=re.M) for block in code)
    parts = re.split(r"^(?=# (?:harness|conf)/)", lines, flags=re.M)[1:]
    return {part.split()[1].rstrip(":,;"): part for part in parts}


def test_the_guides_method_trains_from_the_command_line(harness_run, tmp_path, monkeypatch):
    """The encoder's first layer and the head train, are counted, stored and recorded, and nothing else."""
    found = blocks()
    in_config, in_methods = dict(vars(config)), dict(vars(methods))
    exec(found["harness/config.py"], in_config)
    monkeypatch.setitem(config.METHOD_CONFIGS, "first_layer", in_config["FirstLayerConfig"])
    exec(found["harness/model/methods.py"], in_methods)
    registered = re.search(r"METHODS\[\"first_layer\"\] = (Method\(.*?\))", found["harness/model/methods.py"])
    monkeypatch.setitem(methods.METHODS, "first_layer", eval(registered[1], in_methods))
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
