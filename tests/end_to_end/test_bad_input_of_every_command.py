"""Whatever is wrong with an input: exit status 2, one line on standard error, and nothing is written."""

import importlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.commands import bank as bank_command
from harness.records.record import write_record
from tests.fixtures.commands import FAST, python
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.make_records import make_record
from tests.fixtures.stored_runs import store_runs

TABLE = "text\tclass\n" + "".join(f"a{number} b{number}\t{'spam' if number % 2 else 'ham'}\n" for number in range(40))
OWN = ("task=custom", "task.name=spam", "task.file={own}/spam.tsv", "task.text=[text]", "task.label=class")


@dataclass(frozen=True)
class Bad:
    """A command with one thing wrong, and words of its line. `{name}` stands for a folder of `places`."""

    command: str
    arguments: tuple[str, ...]
    words: tuple[str, ...]
    stdin: str = ""

    @property
    def title(self) -> str:
        return f"{self.command}: {' '.join(self.arguments)[-60:]}"


def of_run(*overrides: str, words: tuple[str, ...]) -> Bad:
    return Bad("run", overrides, words)


def of_describe(*overrides: str, words: tuple[str, ...]) -> Bad:
    return Bad("describe", overrides, words)


def of_predict(*options: str, stdin: str = "a1 b2\n", words: tuple[str, ...]) -> Bad:
    return Bad("predict", ("--bank", "{bank}", "--model", "{model}", *options), words, stdin)


RUNS = [
    of_run("method.bottleneck_size=0", words=("method.bottleneck_size=0", "at least 1")),
    of_run("method.bottleneck_size=two", words=("method.bottleneck_size=two", "whole number")),
    of_run("method.bottlneck_size=8", words=("method.bottlneck_size=8", "did you mean bottleneck_size?")),
    of_run("+train.learningrate=1", words=("train.learningrate", "learning_rate")),
    of_run("train.learning_rate=nan", words=("train.learning_rate=nan", "above 0")),
    of_run("train.learning_rate=1e-3,1e-4", words=("train.learning_rate=1e-3,1e-4", "--multirun")),
    of_run("train.learning_rate=0.1", "train.learning_rate=0.2", words=("given twice", "--multirun")),
    of_run("train.epochs=0", words=("train.epochs=0", "at least 1")),
    of_run("train.seed=-1", words=("train.seed=-1", "at least 0")),
    of_run("train.batch_size=null", words=("train.batch_size=null", "whole number")),
    of_run("train.dropout=1.5", words=("train.dropout=1.5", "below 0.99")),
    of_run("train.save=some", words=("train.save=some", "best")),
    of_run("train.max_length=100000", words=("train.max_length=100000", "between 8 and 512")),
    of_run("checkpoint_minutes=-1", words=("checkpoint_minutes=-1", "at least 0")),
    of_run("task=mnlii", words=("mnlii", "choose one of", "mnli")),
    of_run("task=", words=("task=", "null is no option")),
    of_run("method=adaptor", words=("adaptor", "choose one of", "adapter")),
    of_run("protocol=holdout", "protocol.fraction=1", words=("protocol.fraction=1", "below 1")),
    of_run("protocol=test", words=("protocol=test",)),
    of_run("data.max_train_rows=0", words=("data.max_train_rows=0", "at least 1")),
    of_run("data.path={file}", words=("{file}", "data.path")),
    of_run("data.path={own}", words=("{own}",)),
    of_run("model.name={own}", words=("{own}", "model.name")),
    of_run("model.name={file}", words=("{file}", "model.name")),
    of_run("device=gpu", words=("device=gpu", "cuda")),
    of_run("results_dir={file}", words=("{file}", "results_dir", "choose another one")),
    of_run("experiment=no/such", words=("no/such", "choose one of", "quick/adapter")),
    of_run("tracker=[none,nobody]", words=("nobody",)),
    of_run("--config-dir={file}", words=("{file}",)),
    of_run("--nonsense", words=("--nonsense", "--help")),
    of_run("hydra/launcher=slurm", words=("slurm", "submitit_slurm")),
    of_run("--multirun", "train.learning_rate=1e-3,-1", words=("train.learning_rate=-1", "above 0")),
    of_run("--multirun", "train.seed=range(0,a)", words=("train.seed=range(0,a)",)),
]

DESCRIPTIONS = [
    of_describe(*OWN, "task.text=[body]", words=("body", "text")),
    of_describe(*OWN, "task.label=kind", words=("kind", "class")),
    of_describe(*OWN, "task.file={own}/none.tsv", words=("none.tsv",)),
    of_describe(*OWN, "task.file={own}/empty.tsv", words=("empty.tsv",)),
    of_describe(*OWN, "task.file={own}/latin.tsv", words=("latin.tsv", "task.encoding")),
    of_describe(*OWN, "task.delimiter=comma", words=("spam.tsv", "delimiter")),
    of_describe(*OWN, "task.encoding=utf-9", words=("utf-9",)),
    of_describe(*OWN, "task.labels=[spam,eggs]", words=("ham",)),
    of_describe("task=custom", words=("task.labels", "task.file")),
    of_describe("task=rte", "data.path={own}", words=("{own}",)),
    of_describe("--config-dir={file}", words=("{file}", "not a folder")),
]

REPORTS = [
    Bad("report", (), ("RESULTS", "--help")),
    Bad("report", ("{nowhere}",), ("{nowhere}", "results_dir")),
    Bad("report", ("{file}",), ("{file}", "results_dir")),
    Bad("report", ("{own}",), ("{own}", "no run records")),
    Bad("report", ("{foreign}",), ("runs/notes.json", "not a run record")),
    Bad("report", ("{copied}",), ("runs/copy.json", "holds the record of")),
    Bad("report", ("{results}", "--out", "{file}"), ("--out={file}", "choose another place")),
    Bad("report", ("{results}", "--date", "hub"), ("--date", "--help")),
    Bad("report", ("{results}", "--data", "web"), ("web", "local")),
]

SUBMISSIONS = [
    Bad("submit", (), ("RESULTS", "--help")),
    Bad("submit", ("{nowhere}",), ("{nowhere}", "results_dir")),
    Bad("submit", ("{foreign}",), ("runs/notes.json", "not a run record")),
    Bad("submit", ("{results}", "--method", "full"), ("--method=full", "no completed run")),
    Bad("submit", ("{results}", "--method", "adaptor"), ("adaptor", "adapter")),
    Bad("submit", ("{results}", "--protocol", "none"), ("none", "holdout")),
    Bad("submit", ("{results}", "--data", "web"), ("web",)),
    Bad("submit", ("{results}", "--data", "synthetic"), ("no run in", "protocol=submit")),
]

BANKS = [
    Bad("bank", (), ("command", "--help")),
    Bad("bank", ("drop", "{bank}"), ("drop", "export")),
    Bad("bank", ("list", "{nowhere}"), ("no bank in {nowhere}", "bank add")),
    Bad("bank", ("list", "{own}"), ("no bank in {own}",)),
    Bad("bank", ("add", "{nowhere}"), ("{nowhere}/weights", "train.save=best")),
    Bad("bank", ("add", "{results}", "--task", "qqp", "--model", "{model}"), ("qqp", "it holds")),
    Bad("bank", ("add", "{results}", "--run", "none", "--model", "{model}"), ("none", "it holds")),
    Bad("bank", ("add", "{results}", "--bank", "{file}", "--model", "{model}"), ("--bank={file}",)),
    Bad("bank", ("add", "{results}", "--model", "{nowhere}"), ("{nowhere}",)),
    Bad("bank", ("check", "{bank}", "--model", "{own}"), ("{own}",)),
    Bad("bank", ("check", "{bank}", "--model", "{model}", "--data", "web"), ("web",)),
    Bad("bank", ("export", "{bank}", "--format", "onnx"), ("onnx", "adapterhub")),
    Bad("bank", ("export", "{bank}", "--format", "adapterhub", "--out", "{nowhere}"), ("--out={nowhere}", "--task")),
]

PREDICTIONS = [
    Bad("predict", ("--task", "cola"), ("--bank", "--help")),
    Bad("predict", ("--bank", "{nowhere}", "--task", "cola"), ("{nowhere}", "bank add"), "a1\n"),
    of_predict("--task", "qqp", words=("qqp", "cola")),
    of_predict(words=("--task",)),
    of_predict("--task", "cola", stdin="", words=("stdin is empty",)),
    of_predict("--task", "cola", stdin="a1\ta2\n", words=("stdin line 1", "one sentence")),
    of_predict("--task", "mrpc", words=("stdin line 1", "two sentences")),
    of_predict("--task", "cola", "--format", "jsonl", stdin="{\n", words=("stdin line 1", "JSON")),
    of_predict("--format", "jsonl", stdin='{"task": "qqp", "sentence1": "a"}\n', words=("qqp", "cola")),
    of_predict("--task", "cola", "--format", "csv", stdin="body\na1\n", words=("sentence1",)),
    of_predict("--task", "cola", "--input", "{nowhere}", words=("{nowhere}", "--format")),
    of_predict("--task", "cola", "--input", "{nowhere}.txt", words=("{nowhere}.txt", "cannot be read")),
    of_predict("--task", "cola", "--input", "{own}/latin.tsv", words=("latin.tsv", "UTF-8")),
    of_predict("--task", "cola", "--output", "{file}/x.tsv", words=("--output={file}/x.tsv",)),
    of_predict("--task", "cola", "--device", "gpu", words=("gpu",)),
    of_predict("--task", "cola", "--precision", "fp8", words=("fp8", "bf16")),
]

EVERY = [*RUNS, *DESCRIPTIONS, *REPORTS, *SUBMISSIONS, *BANKS, *PREDICTIONS]


@pytest.fixture(scope="module")
def places(tmp_path_factory, tiny_model):
    """Folders and files by the names that stand for them in the table."""
    base = tmp_path_factory.mktemp("places")
    (base / "file").write_text("kept")
    (base / "own").mkdir()
    (base / "own/spam.tsv").write_text(TABLE)
    (base / "own/empty.tsv").write_text("")
    (base / "own/latin.tsv").write_bytes(TABLE.replace("a1", "caf\u00e9").encode("latin-1"))
    _, records = store_runs(base / "results", tiny_model, ["cola", "mrpc"])
    for folder in ("results", "foreign", "copied"):
        for record in records:
            write_record(base / folder, record)
    (base / "foreign/runs/notes.json").write_text('{"a": 1}')
    (base / "copied/runs/copy.json").write_text(json.dumps(make_record("rte")))
    arguments = ["add", str(base / "results"), "--bank", str(base / "bank"), "--model", str(tiny_model)]
    assert bank_command.main(arguments) == 0
    names = ("file", "own", "results", "foreign", "copied", "bank", "nowhere")
    found = {name: str(base / name) for name in names}
    return found | {"model": str(tiny_model), "glue": str(write_glue(base / "glue", tasks=["rte"])), "base": str(base)}


def filled(texts, places):
    """The texts with the folders in; their other braces stay."""
    for name, path in places.items():
        texts = [text.replace(f"{{{name}}}", path) for text in texts]
    return texts


def arguments_of(bad, places, working):
    """The command line; a run and a description have all that they need but for what is wrong."""
    given = filled(bad.arguments, places)
    if bad.command not in ("run", "describe"):
        return given
    own = any(argument.startswith("task=custom") for argument in given)
    where = [f"data.path={places['own']}"] if own else ["task=rte", "data=local", f"data.path={places['glue']}"]
    where += [f"results_dir={working}/results", f"cache_dir={working}/cache"]
    where += [*FAST, "model=local", f"model.name={places['model']}"]
    asked = {argument.partition("=")[0] for argument in given}
    return [*given, *(override for override in where if override.partition("=")[0] not in asked)]


def files(*folders):
    """What lies there, with content; Hydra's own note on a sweep is written before any value can be checked."""
    found = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in found if path.name != "multirun.yaml"}


def assert_refused(bad, places, status, out, err):
    assert status == 2, (out, err)
    (line,) = err.splitlines()
    assert line.startswith("error: ") and "Traceback" not in out
    for word in filled(bad.words, places):
        assert word in line, line


@pytest.mark.parametrize("bad", EVERY, ids=lambda bad: bad.title)
def test_bad_input_is_refused_in_one_line(bad, places, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bad.stdin.encode())))
    before = files(places["base"], tmp_path)
    command = importlib.import_module(f"harness.commands.{bad.command}")
    try:
        status = command.main(arguments_of(bad, places, tmp_path))
    except SystemExit as ended:
        status = ended.code
    assert_refused(bad, places, status, *capsys.readouterr())
    assert files(places["base"], tmp_path) == before


def test_the_table_has_bad_inputs_of_every_command():
    assert len(EVERY) >= 50
    assert {bad.command for bad in EVERY} == {"run", "describe", "report", "submit", "bank", "predict"}


@pytest.mark.process
@pytest.mark.parametrize("bad", [RUNS[0], REPORTS[1], BANKS[1], PREDICTIONS[0]], ids=lambda bad: bad.title)
def test_bad_input_is_refused_as_a_user_types_it(bad, places, tmp_path):
    done = python("-m", f"harness.{bad.command}", *arguments_of(bad, places, tmp_path))
    assert_refused(bad, places, done.returncode, done.stdout, done.stderr)
    assert files(tmp_path) == {}
