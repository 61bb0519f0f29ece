"""Commands that end before any work: one line each, in place of what Hydra, OmegaConf or the system says."""

import errno
import os

import pytest
from hydra.core.global_hydra import GlobalHydra

from harness import run
from harness.sweeps.hydra_errors import explain


@pytest.fixture
def harness_run(capsys, tmp_path):
    """`python -m harness.run` in this process: the one line on standard error of a command that exits with 2."""

    def call(*arguments):
        GlobalHydra.instance().clear()
        status = run.main([*arguments, f"results_dir={tmp_path / 'results'}"])
        lines = capsys.readouterr().err.splitlines()
        assert (status, len(lines)) == (2, 1), lines
        assert not (tmp_path / "results/runs").exists()
        return lines[0]

    return call


@pytest.mark.parametrize("multirun", [[], ["--multirun"]])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["method.botleneck_size=3"], ["method.botleneck_size=3: ", "did you mean bottleneck_size?", "init_std"]),
        (["method=full", "method.bottleneck_size=3"], ["method.bottleneck_size", "allowed: name"]),
        (["protocol=holdout", "protocol.fractoin=0.2"], ["protocol.fractoin", "did you mean fraction?"]),
        (["trian.epochs=3"], ["trian", "did you mean train?"]),
        (["+train.epoch=3"], ["'train.epoch'", "did you mean epochs?"]),
        (["method=lora", "method.options.rank=3"], ["+method.options.rank="]),
        (["train.epochs=many"], ["train.epochs", "many"]),
        (["task=boolq"], ["task/boolq", "cola", "wnli"]),
        (["method=lora9"], ["method/lora9", "adapter, bitfit"]),
        (["model=local"], ["model.name has no value; give model.name=..."]),
        (["train.epochs=[1"], ["[1"]),
    ],
)
def test_a_config_that_does_not_compose_is_one_line(harness_run, arguments, words, multirun):
    line = harness_run(*multirun, *arguments)
    for word in words:
        assert word in line
    assert "_schema" not in line


def test_a_sweep_over_devices_is_refused_before_any_work(harness_run):
    assert "device must be the same for all runs of a sweep" in harness_run("--multirun", "device=cpu,auto")


def error_of(number, *file):
    return OSError(number, os.strerror(number), *map(str, file))


def test_a_full_disk_is_explained_with_file_space_and_remedy(tmp_path):
    file = tmp_path / "results" / "runs" / "x.json"
    line = explain(error_of(errno.ENOSPC, file))
    assert line.startswith(f"{file}: No space left on device (")
    assert "MB free there" in line and "results_dir" in line and "cache_dir" in line


def test_a_file_error_without_a_name_says_where_to_look():
    line = explain(error_of(errno.ENOSPC))
    assert "No space left on device" in line and "results_dir" in line
    assert "None" not in line


def test_a_file_that_cannot_be_opened_is_explained(tmp_path):
    line = explain(error_of(errno.EACCES, tmp_path / "x"))
    assert line == f"{tmp_path / 'x'}: Permission denied; choose another results_dir or cache_dir"
