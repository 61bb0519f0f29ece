"""What `make reproduce-glue` does besides its sweeps: synthetic data for the first table, a plan and a question."""

import contextlib
import io
import os
import pty
import re
import sys
import threading

import pytest
from transformers import AutoModel, BertConfig

from scripts import reproduce
from tests.fixtures.commands import records
from tests.fixtures.tiny import SMALL, tiny_tokenizer


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_first_table_falls_back_on_synthetic_data_and_says_why(capsys):
    assert reproduce.fallback("glue", "quick", ["train.epochs=1"]) == ["data=synthetic"]
    printed = capsys.readouterr().out
    assert "HF_HUB_OFFLINE is set" in printed and "not GLUE" in printed


def test_data_that_is_there_or_named_is_kept(monkeypatch, tmp_path):
    assert reproduce.fallback("glue", "quick", ["data=hub"]) == []
    assert reproduce.fallback("glue", "quick", ["data.source=local"]) == []
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    assert reproduce.fallback("glue", "quick", []) == []


@pytest.mark.parametrize(("experiment", "scale"), [("glue", "minilm"), ("tradeoff", "quick")])
def test_nothing_else_falls_back(experiment, scale):
    assert reproduce.fallback(experiment, scale, []) == []


class Terminal:
    """A pseudo-terminal in the place of standard input and output; `shown` is what has been printed on it."""

    def __init__(self, answer: str) -> None:
        self._master, self._slave = pty.openpty()
        self.input, self.output = os.fdopen(self._slave, "r"), os.fdopen(os.dup(self._slave), "w", buffering=1)
        self._parts: list[bytes] = []
        os.write(self._master, f"{answer}\n".encode())
        self._reader = threading.Thread(target=self._read)  # what nobody reads blocks the writer in the end
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(self._master, 4096):
                self._parts.append(part)

    def shown(self) -> str:
        self.input.close()
        self.output.close()
        self._reader.join()
        os.close(self._master)
        return b"".join(self._parts).decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def wide_model(tmp_path_factory):
    """A tiny encoder, wide enough for the ranks and sizes of the scale."""
    folder = tmp_path_factory.mktemp("models") / "wide"
    config = BertConfig(**SMALL, hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64)
    AutoModel.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def base(monkeypatch, tmp_path, wide_model, glue):
    """`make reproduce-glue SCALE=base MODEL=...` on one small task; `answer`: typed on a terminal, None without one."""

    def call(*options: str, answer: str | None = None) -> tuple[int, str]:
        overrides = ["task=mrpc", "train.seed=0", "train.learning_rate=1e-3", "data=local", f"data.path={glue}"]
        overrides += [f"cache_dir={tmp_path}/cache", "train.epochs=1", "train.max_length=32", "device=cpu"]
        arguments = ["--scale", "base", "--model", str(wide_model), "--results", str(tmp_path / "results"), *options]
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments, "--", *overrides])
        terminal = Terminal(answer or "")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO("n\n") if answer is None else terminal.input)
            patch.setattr(sys, "stdout", terminal.output)
            status = reproduce.main()
        return status, terminal.shown()

    return call


PLAN = "plan, with the pace of a few steps measured now:"
QUESTION = "Start them? [y/N]"


def test_a_scale_for_hours_shows_one_plan_of_all_sweeps_and_asks(base, tmp_path):
    status, shown = base(answer="n")
    assert status == 0
    assert shown.count(PLAN) == 1
    assert "4 runs: 4 to do in 3 stacks" in shown  # full fine-tuning, two sizes of adapters together, LoRA
    assert "encoder: wide | device: cpu" in shown
    assert re.search(r"\n4 runs to do, about 0\.0 hours on this machine\n", shown)
    assert QUESTION in shown and "YES=1" in shown and "== experiment" not in shown
    assert not (tmp_path / "results").exists()


def test_an_answer_starts_it_and_what_is_done_needs_none(base, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce.report, "main", lambda command: 0)
    status, shown = base(answer="y")
    assert status == 0 and QUESTION in shown
    assert len(records(tmp_path / "results")) == 4
    status, shown = base(answer="n")
    assert status == 0 and PLAN in shown and QUESTION not in shown


@pytest.mark.parametrize(("options", "answer"), [(["--yes"], "n"), ([], None)])
def test_it_starts_without_a_question(base, monkeypatch, options, answer):
    started = []
    monkeypatch.setattr(reproduce.run, "main", lambda command: started.append(command[0]) or 0)
    monkeypatch.setattr(reproduce.report, "main", lambda command: 0)
    status, shown = base(*options, answer=answer)
    assert status == 0 and QUESTION not in shown
    assert started == ["experiment=base/full", "experiment=base/adapter", "experiment=base/lora"]


def test_bad_input_ends_before_the_plan(base, capsys):
    status, shown = base("--model", "nowhere/at-all", answer="y")
    assert status == 2 and QUESTION not in shown
    assert capsys.readouterr().err.count("\n") == 1


def test_an_encoder_is_an_option_a_folder_or_an_id():
    assert reproduce.encoder(None) == reproduce.encoder("") == []
    assert reproduce.encoder("bert_large") == ["model=bert_large"]
    assert reproduce.encoder("google/electra-small-discriminator") == [
        "model=local",
        "model.name=google/electra-small-discriminator",
    ]
    assert reproduce.encoder("my folder") == ["model=local", "model.name='my folder'"]
