"""Where checkpoints lie, and when they go."""

from harness.records.record import write_record
from harness.sweeps.checkpoints import checkpoint_path, remove_finished
from harness.training.stack_checkpoint import temporary_folder
from tests.sweeps.test_sweep import runs


def test_files_of_finished_stacks_are_removed_whole_or_half_written(tmp_path):
    whole, half, running = runs(3)
    files = {run.id: checkpoint_path(tmp_path, run.id) for run in (whole, half, running)}
    files[half.id] = temporary_folder(files[half.id]) / ".tmpA1b2C3"
    for run in (whole, half, running):
        write_record(tmp_path, run.record("running" if run is running else "diverged"))
        files[run.id].parent.mkdir(parents=True, exist_ok=True)
        files[run.id].write_bytes(b"half")
    remove_finished(tmp_path)
    assert [path.is_file() for path in files.values()] == [False, False, True]
    assert [path.name for path in checkpoint_path(tmp_path, "").parent.iterdir()] == [files[running.id].name]
