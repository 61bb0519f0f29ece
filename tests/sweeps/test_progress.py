"""What a person sees: counts, bars, lines, and how it ended."""

import io
import re

import pytest
from rich.console import Console

from harness.records.record import log_path
from harness.sweeps.progress import Progress, WorkerProgress, print_outcome
from harness.sweeps.run_lines import RunLines, best_lines
from tests.fixtures.make_records import make_baseline, make_record


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def display(tmp_path, clock):
    def make(planned, **options):
        return Progress(planned, results_dir=tmp_path, clock=clock, **options)

    return make


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard output and standard error one terminal of 100 columns; returns what is written there."""
    written = io.StringIO()

    def console(**options):
        options.pop("stderr", None)
        return Console(file=written, force_terminal=True, color_system="standard", width=100, **options)

    monkeypatch.setattr("harness.sweeps.progress.Console", console)
    monkeypatch.setattr("harness.sweeps.progress.stderr_console", lambda: console(stderr=True))
    return written


def overall(progress):
    """The overall bar: its share in [0, 1], its text and the time left."""
    bar = progress._bars.tasks[0]
    return bar.completed / bar.total, bar.description, bar.fields["left"]


def test_runs_that_others_finished_count_once_and_failures_as_failures(display, capsys):
    done, failed = make_record(seed=0), make_record(seed=1, status="failed", error="out of memory")
    foreign = make_record(seed=9)
    with display([done, failed]) as progress:
        progress.skip([done, failed, foreign])
        progress.finish([done, failed])
        assert (progress.done, progress.failed, progress.total) == (1, 1, 2)
    assert capsys.readouterr().out == ""


def test_a_finished_run_is_one_line_of_columns(display, capsys):
    runs = [
        make_record("mnli", score=0.5, size=8, degenerate=True),
        make_record("cola", "full", score=0.242, rate=3e-5),
    ]
    runs[0]["time"]["train_seconds"] = 12.34
    runs[0]["training"]["stack"] = ["a", "b"]
    with display(runs) as progress:
        progress.start("MNLI adapter", 2, epochs=1)
        progress.finish(runs[:1])
        assert (progress.done, progress.running) == (1, 0)
        progress.finish(runs[1:])
    assert capsys.readouterr().out.splitlines() == [
        "[1/2] MNLI  adapter 8  lr 1e-3  seed 0  accuracy 50.0 (best 50.0)  12.3 s for 2  DEGENERATE",
        "[2/2] CoLA  full       lr 3e-5  seed 0  Matthews 24.2 (best 24.2)  60.0 s",
    ]


def test_settings_that_vary_have_a_column(display):
    runs = [make_record(epochs=epochs) for epochs in (3, 20)]
    assert [RunLines(runs).name(run) for run in runs] == [
        "MRPC  adapter 64  epochs 3   lr 1e-3  seed 0",
        "MRPC  adapter 64  epochs 20  lr 1e-3  seed 0",
    ]


def test_the_best_score_so_far_is_of_the_same_task_method_and_rows(display, capsys):
    before = [make_record(score=0.9, seed=7), make_record(score=0.99, max_eval_rows=10), make_record("rte", score=0.98)]
    planned = [make_record(score=score, seed=seed) for seed, score in enumerate((0.8, 0.95, 0.7, None))]
    with display(planned, finished=before) as progress:
        progress.finish(planned)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("seed ")[1].split("  ")[1] for line in lines] == [
        "F1 80.0 (best 90.0)",
        "F1 95.0 (best 95.0)",
        "F1 70.0 (best 95.0)",
        "F1 undefined (best 95.0)",
    ]


def test_a_failed_run_comes_with_its_id_its_reason_and_the_path_of_its_log(display, tmp_path, capsys):
    failed = make_record(status="failed", error="ValueError: bad run")
    diverged = make_record(seed=1, status="diverged", error="the loss was no longer finite")
    log = log_path(tmp_path, failed["run_id"])
    log.parent.mkdir()
    log.touch()
    with display([failed, diverged]) as progress:
        progress.finish([failed, diverged])
    expected = [
        f"    {failed['run_id']}",
        "    ValueError: bad run",
        f"    traceback: {log}",
        f"    {diverged['run_id']}",
        "    the loss was no longer finite",
    ]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("[")] == expected
    assert lines[0].endswith("FAILED") and lines[4].endswith("DIVERGED")
    print_outcome([failed, diverged], tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "2 of 2 runs did not complete:"
    assert set(expected[1:3]) <= set(captured.err.splitlines())


def test_colours_on_a_terminal_only(terminal, display):
    runs = [make_record(degenerate=True), make_record(seed=1, status="failed", error="no"), make_record(seed=2)]
    with display(runs) as progress:
        progress.finish(runs)
    lines = [line for line in terminal.getvalue().split("\n") if "/3]" in line]
    assert "\x1b[33mDEGENERATE" in lines[0]
    assert "\x1b[1;31mFAILED" in lines[1]
    assert "\x1b[" not in lines[2].split("/3]")[1]


def test_the_overall_bar_counts_the_running_stack_and_knows_the_time_left(terminal, display, clock):
    runs = [make_record(seed=seed) for seed in range(4)]
    with display(runs) as progress:
        assert overall(progress)[2] == "-:--:--"
        progress.start("MRPC adapter", 2, epochs=1)
        clock.now = 30.0
        progress.step(18408, 36816, 0.5)
        assert overall(progress) == (0.25, "runs 0 done, 2 running, 0 failed of 4", "0:01:30")
        progress.finish(runs[:2])
        assert overall(progress)[0] == 0.5
        clock.now = 60.0
        progress.start("MRPC adapter", 2, epochs=1)
        progress.start("MRPC adapter", 1, epochs=1)  # half of a stack that did not fit
        progress.step(100, 100, 0.5)
        assert overall(progress)[0] == 0.75
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert max(map(len, re.split(r"[\r\n]", plain))) <= 100


def test_without_a_terminal_an_epoch_is_a_line_but_not_every_second(display, clock, capsys):
    run = make_record()
    with display([run, make_record(seed=1)]) as progress:
        progress.start("MRPC adapter", 1, epochs=4)
        for step, now in ((5, 1.0), (10, 2.0), (15, 12.0), (20, 24.0), (30, 25.0), (35, 400.0), (40, 410.0)):
            clock.now = now
            progress.step(step, 40, 0.25)
        progress.finish([run])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [  # the epochs 1 and 3 came too soon, and the last line after a long silence
        "MRPC adapter  epoch 2/4  loss 0.250  left 0:00:24; all 2 runs: 25%, left 0:01:12",
        "MRPC adapter  epoch 3/4  loss 0.250  left 0:00:57; all 2 runs: 44%, left 0:08:34",
    ]
    assert lines[2].startswith("[1/2]") and len(lines) == 3


def test_what_an_earlier_process_trained_took_no_time(display, clock, capsys):
    """Half of a stack, a quarter of all, was there: 10 of the 50 steps that are left took 30 s."""
    with display([make_record(), make_record(seed=1)]) as progress:
        clock.now = 100.0
        progress.start("MRPC adapter", 1, epochs=1)
        progress.resume(50, 100)
        clock.now = 130.0
        progress.step(60, 100, 0.25)
        assert progress._bars.tasks[1].fields["left"] == "0:02:00"
        assert (progress.share, progress.time_left) == (0.3, "0:30:20")
        progress.start("MRPC adapter", 2, epochs=1)
        clock.now = 140.0
        progress.step(10, 100, 0.25)
        assert progress._bars.tasks[1].fields["left"] == "0:01:30"
    worker = WorkerProgress([0.0, 0.0], 0)
    worker.start("MRPC adapter", 2, 1)
    worker.resume(5, 10)
    assert capsys.readouterr().out.splitlines() == [
        "resuming MRPC adapter at step 50 of 100", "resuming MRPC adapter x2 at step 5 of 10",
    ]  # fmt: skip


def test_steps_are_shown_for_a_method_without_epochs_and_loss(display, clock, capsys):
    with display([make_baseline()]) as progress:
        progress.start("MRPC tfidf", 1, epochs=0)
        clock.now = 400.0
        progress.step(5, 15, None)
        progress.finish([make_baseline()])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MRPC tfidf  step 5/15  left 0:13:20; all 1 run: 33%, left 0:13:20"
    assert lines[1].startswith("[1/1] MRPC  tfidf  F1 75.0")


def test_on_a_terminal_epochs_are_no_lines(terminal, display, clock):
    with display([make_record()]) as progress:
        progress.start("MRPC adapter", 1, epochs=2)
        clock.now = 100.0
        progress.step(10, 20, 0.25)
    assert "epoch" not in terminal.getvalue()


def test_workers_fill_in_a_board_and_the_parent_reads_it(display, clock, capsys):
    board = [0.0] * 4
    first, second = (WorkerProgress(board, index) for index in range(2))
    runs = [make_record(seed=seed) for seed in range(8)]
    with display(runs) as parent:
        first.start("MRPC adapter", 4, 1)
        first.step(1, 2, 0.5)
        second.start("MRPC adapter", 2, 1)
        clock.now = 301.0
        parent.watch(board)
        assert (parent.running, parent.share) == (6, 0.25)
        first.finish(runs[:4])
        assert first.others_train and not parent.others_train
        parent.finish(runs[:4])
        parent.finish(runs[:4])  # the parent finds the same records at every look
        parent.watch(board)
        assert (parent.running, parent.share) == (2, 0.5)
        second.finish(runs[4:6])
        assert not first.others_train
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 done, 6 running; all 8 runs: 25%, left 0:15:03"
    assert [line.split()[0] for line in lines[1:]] == ["[1/8]", "[2/8]", "[3/8]", "[4/8]"]


def test_the_end_names_the_best_run_of_each_task_and_method_and_the_next_command(tmp_path, capsys):
    runs = [make_record(score=score, rate=rate) for score, rate in ((0.8, 1e-3), (0.9, 3e-4))]
    runs += [make_record("stsb", "full", score=None), make_record("stsb", "full", status="failed", error="no")]
    assert [line.plain for line in best_lines(runs)] == [
        "  MRPC   adapter 64  lr 3e-4  seed 0  F1 90.0             best of 2",
        "  STS-B  full        lr 1e-3  seed 0  Spearman undefined",
    ]
    print_outcome(runs[:3], tmp_path / "my results")
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == f"Tables and figures: python -m harness.report '{tmp_path}/my results'"
    assert captured.err == ""
