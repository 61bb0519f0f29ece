"""Commands that end before any work: one line each, in place of what Hydra, OmegaConf or the system says."""

import errno
import os

import pytest
from hydra.core.global_hydra import GlobalHydra

from harness.commands import run
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
        (["task=rte", "task=mrpc"], ["task=rte and task=mrpc", "--multirun task=rte,mrpc"]),
        (["train.seed=0", "+train.seed=1"], ["train.seed=0 and train.seed=1"]),
        (["train=null"], ["train=null", "paper"]),
        (["protocol=null,paper"], ["protocol=null,paper", "holdout, paper, submit"]),
        (["scale="], ["scale=", "cpu, minilm, paper, quick"]),
        (["+train.epoch=3"], ["'train.epoch'", "did you mean epochs?"]),
        (["method=lora", "method.r=3"], ["method.r=3: ", "allowed: name, budget, rank, alpha"]),
        (["method=peft", "method.options.rank=3"], ["+method.options.rank="]),
        (["train.epochs=many"], ["train.epochs=many", "a whole number at least 1"]),
        (["train.epochs=2.5"], ["train.epochs=2.5 does not fit", "train.epochs must be a whole number at least 1"]),
        (["train.learning_rate=abc"], ["train.learning_rate=abc", "must be a number above 0"]),
        (["method.train_head=maybe"], ["method.train_head=maybe", "must be true or false"]),
        (["data.max_train_rows=lots"], ["data.max_train_rows=lots", "a whole number at least 1, or null"]),
        (["hydra.launcher.max_stack=x"], ["hydra.launcher.max_stack=x", "must be a whole number, or null"]),
        (["~train.seed"], ["~train.seed", "leave it out to keep the default"]),
        (["hydra.launcher.max_stak=2"], ["hydra.launcher.max_stak=2", "did you mean max_stack?", "devices"]),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.partitio=a"], ["partitio=a", "did you mean partition?"]),
        (["hydra.foo=2"], ["hydra.foo=2", "sweep", "launcher"]),
        (["experiment=typo"], ["there is no config experiment/typo", "quick/adapter, quick/full", "tradeoff/adapter"]),
        (["experiment=quick"], ["there is no config experiment/quick", "quick/adapter, quick/full"]),
        (["+experiment=quick/full"], ["+experiment=quick/full", "without the plus: experiment=quick/full"]),
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


@pytest.mark.parametrize("value", ["glob(c*)", "choice(cola,rte)"])
def test_a_sweep_of_a_single_run_by_function_is_refused(harness_run, value):
    assert f"task={value}' requires --multirun" in harness_run(f"task={value}")


def test_several_values_of_a_single_run_are_refused(harness_run):
    line = harness_run("task=rte,mrpc")
    assert "task=rte,mrpc: several values need --multirun" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiment=quick/adapter", "train.lr=3"], "train.lr=3: there is no key"),
        (["experiment=quick/adapter", "hydra.launcher.max_stak=2"], "did you mean max_stack?"),
        (["experiment=quick/adaptr"], "there is no config experiment/quick/adaptr"),
        (["experiment=quick/adapter", "~train.seed"], "leave it out to keep the default"),
    ],
)
def test_a_mistake_next_to_the_values_of_a_sweep_is_the_one_that_is_named(harness_run, arguments, words):
    line = harness_run("task=rte,mrpc", *arguments)
    assert words in line and "several values" not in line


def test_experiments_of_a_folder_of_ones_own_are_listed(harness_run, tmp_path):
    (tmp_path / "mine/experiment/new").mkdir(parents=True)
    (tmp_path / "mine/experiment/new/try.yaml").write_text("# @package _global_\n")
    line = harness_run(f"--config-dir={tmp_path / 'mine'}", "experiment=new/tyr")
    assert "new/try" in line and "quick/adapter" in line


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
