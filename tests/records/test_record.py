"""Records on disk: written as a whole, never over another run, recovered after a kill, and checked when read."""

import errno
import json
import os

import pytest

from harness.errors import UserError
from harness.records import record as module
from harness.records.record import (
    canonical,
    flatten,
    load_planned,
    load_records,
    prepare_results_dir,
    read_json,
    read_record,
    record_path,
    remove_leftovers,
    write_json,
    write_plan,
    write_record,
    write_records,
)
from tests.fixtures.make_records import make_record


def error_of(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_records_are_read_as_they_were_written_in_order_of_their_ids(tmp_path):
    written = [make_record("rte", seed=seed) for seed in (2, 0, 1)]
    for record in written:
        write_record(tmp_path, record)
    assert load_records(tmp_path) == sorted(written, key=lambda record: record["run_id"])
    assert read_record(tmp_path, written[0]["run_id"]) == written[0]
    assert read_record(tmp_path, "another") is None
    assert record_path(tmp_path, written[0]["run_id"]).stat().st_mode & 0o044 == 0o044  # others may read it


def test_a_record_is_overwritten_by_its_own_run_and_no_other(tmp_path):
    first = make_record("rte", status="running")
    write_record(tmp_path, first)
    write_record(tmp_path, make_record("rte", score=0.7) | {"run_id": first["run_id"]})
    assert read_record(tmp_path, first["run_id"])["status"] == "completed"
    other = make_record("rte", rate=5e-5) | {"run_id": first["run_id"]}
    assert "holds a run with another config" in error_of(write_record, tmp_path, other)
    assert read_record(tmp_path, first["run_id"])["scores"]["validation"]["accuracy"] == 0.7


def test_a_crash_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})  # not JSON
    with pytest.raises(TypeError):
        module.write_atomically(path, "text, not bytes")
    assert read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_a_stack_that_was_killed_while_it_was_recorded_is_completed(tmp_path, monkeypatch):
    stack = [make_record("rte", seed=seed) for seed in range(3)]
    write, calls = module.write_record, []

    def dies_at_the_second(results_dir, record):
        calls.append(record)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(results_dir, record)

    monkeypatch.setattr(module, "write_record", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path, stack)
    monkeypatch.undo()
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert load_records(tmp_path) == stack
    assert not list((tmp_path / "pending").iterdir())


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"schema": 2, "run_id": "x"}', '{"schema": 2, "status": "completed"}']
)
def test_a_file_that_is_not_a_record_is_named(tmp_path, text):
    write_record(tmp_path, make_record("rte"))
    path = tmp_path / "runs/zzz.json"
    path.write_text(text)
    message = error_of(load_records, tmp_path)
    assert str(path) in message and "is not a run record; move it to another folder" in message


def test_a_copy_of_a_record_is_not_counted_twice(tmp_path):
    record = make_record("rte")
    record_path(tmp_path, "copy").parent.mkdir()
    record_path(tmp_path, "copy").write_text(json.dumps(record))
    message = error_of(load_records, tmp_path)
    assert str(tmp_path / "runs/copy.json") in message and f"holds the record of {record['run_id']}" in message


@pytest.mark.parametrize("text", ["", "[{", "{}x", '{"a": 1}', "[1]", '[{"schema": 2}]'])
def test_a_damaged_journal_is_named_and_stays(tmp_path, text):
    write_record(tmp_path, make_record("rte"))
    journal = tmp_path / "pending/1.json"
    journal.parent.mkdir()
    journal.write_text(text)
    message = error_of(load_records, tmp_path)
    assert str(journal) in message and "the next sweep trains its runs again" in message
    assert journal.read_text() == text


@pytest.mark.parametrize("text", ["", "[]", '{"run_ids": 3}', '{"run_ids": [{}]}'])
def test_a_damaged_plan_is_named(tmp_path, text):
    write_plan(tmp_path, ["a"])
    (path,) = (tmp_path / "plans").iterdir()
    path.write_text(text)
    assert str(path) in error_of(load_planned, tmp_path)


def test_a_journal_that_cannot_be_completed_names_the_file_and_the_free_space(tmp_path, monkeypatch):
    write_json(tmp_path / "pending/1.json", [make_record("rte")])

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = error_of(load_records, tmp_path)
    assert "runs cannot be written (No space left on device; " in message and "MB free there" in message


def test_temporary_files_of_killed_processes_are_removed_after_an_hour(tmp_path):
    for folder, name in (("runs", ".a.json.x1.part"), ("weights", ".a.safetensors.x2.part"), ("runs", "a.json")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text("")
    fresh = (tmp_path / "runs/a.json").stat().st_mtime
    remove_leftovers(tmp_path, fresh + 3000)
    assert len(list(tmp_path.glob("*/.*"))) == 2
    remove_leftovers(tmp_path, fresh + 4000)
    assert [path.name for path in tmp_path.glob("*/*")] == ["a.json"]


def test_a_record_of_another_schema_says_how_to_migrate_it(tmp_path):
    record = make_record("rte")
    path = record_path(tmp_path, record["run_id"])
    path.parent.mkdir()
    path.write_text(json.dumps(record | {"schema": 1}))
    message = error_of(load_records, tmp_path)
    assert "has record schema 1, and this version reads 2" in message
    assert f"python scripts/migrate_records.py {tmp_path}`" in message


def test_an_empty_folder_is_named(tmp_path):
    assert "no run records in" in error_of(load_records, tmp_path)


def test_a_results_folder_is_made_or_refused_before_any_work(tmp_path):
    prepare_results_dir(tmp_path / "new/deep")
    assert list((tmp_path / "new/deep/runs").iterdir()) == []
    (tmp_path / "file").write_text("")
    assert "cannot be written (Not a directory)" in error_of(prepare_results_dir, tmp_path / "file")


def test_plans_of_all_sweeps_are_united(tmp_path):
    assert load_planned(tmp_path) == set()
    write_plan(tmp_path, ["b", "a", "a"])
    write_plan(tmp_path, ["a", "b"])  # the same plan
    write_plan(tmp_path, ["c"])
    assert load_planned(tmp_path) == {"a", "b", "c"}
    assert len(list((tmp_path / "plans").iterdir())) == 2


def test_unreadable_json_is_named(tmp_path):
    assert f"{tmp_path / 'none'} cannot be read" in error_of(read_json, tmp_path / "none")
    (tmp_path / "torn").write_text("{\n\n")
    assert "cannot be read (Expecting" in error_of(read_json, tmp_path / "torn")


def test_mappings_are_flattened_and_compared_whatever_their_order():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": [3]}) == {"a.b": 1, "a.c.d": 2, "e": [3]}
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
