"""What a person sees: counts, and one line per finished run."""

from harness.sweeps.progress import Progress, summary
from tests.fixtures.make_records import make_record


def with_time(record):
    return record | {"time": {"train_seconds": 2.0}, "training": {"stack": ["a", "b"]}}


def test_runs_that_others_finished_count_once_and_failures_as_failures(capsys):
    done, failed = make_record(seed=0), make_record(seed=1, status="failed", error="out of memory")
    foreign = make_record(seed=9)
    with Progress([done["run_id"], failed["run_id"]], quiet=True) as progress:
        progress.skip([done, failed, foreign])
        progress.skip([done, failed])
        assert (progress.done, progress.failed, progress.total) == (1, 1, 2)
    assert capsys.readouterr().out == ""


def test_finished_runs_are_reported_with_their_place(capsys):
    record = with_time(make_record("mnli", score=0.5, degenerate=True))
    with Progress([record["run_id"], "other"], quiet=True) as progress:
        progress.start("MNLI adapter", 2)
        progress.finish([record])
        assert (progress.done, progress.running) == (1, 0)
    line = capsys.readouterr().out
    assert line.startswith(f"[1/2] {record['run_id']} | completed | validation_matched: accuracy 0.5000")
    assert "DEGENERATE" in line and "2.0 s for 2 runs" in line


def test_an_undefined_score_and_an_error_are_words():
    assert "spearman undefined" in summary(make_record("stsb", score=None) | {"time": {"train_seconds": 1.0}})
    assert summary(make_record(status="failed", error="no memory")).endswith("failed | no memory")
