"""The committed JSON Schema is that of the code, and every committed record fits it."""

import json

import pytest
from jsonschema import Draft202012Validator, ValidationError

from harness.records.record import write_record
from harness.records.schema import Record
from scripts.record_schema import FILE, record_schema
from tests.conftest import ROOT
from tests.fixtures.make_records import make_baseline, make_record

FOLDERS = sorted(path for path in (ROOT / "results").glob("**/runs") if path.is_dir())


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))


def test_the_committed_schema_is_that_of_the_code():
    """Written by scripts/record_schema.py."""
    assert json.loads(FILE.read_text(encoding="utf-8")) == record_schema()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_committed_record_fits_it(folder, validator):
    for path in folder.glob("*.json"):
        errors = [
            f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(path.read_text()))
        ]
        assert not errors, (path.name, errors[:3])


@pytest.mark.parametrize("record", [make_record(), make_record(status="failed", error="no memory"), make_baseline()])
def test_records_of_runs_that_failed_or_have_no_encoder_fit_it(record, validator):
    validator.validate(json.loads(json.dumps(record)))


def test_it_refuses_what_is_no_record(validator):
    for change in ({"status": "done"}, {"schema": 1}, {"scores": {"validation": {"f1": "high"}}}, {"extra": 1}):
        with pytest.raises(ValidationError):
            validator.validate(make_record() | change)


def test_the_fields_are_described():
    schema = record_schema()
    assert "hash of every field" in schema["properties"]["run_id"]["description"]
    assert schema["description"].startswith("One run.")


def test_records_are_written_in_reading_order(tmp_path):
    record = make_record()
    path = write_record(tmp_path, dict(sorted(record.items())))
    keys = list(json.loads(path.read_text(encoding="utf-8")))
    assert keys == [key for key in Record.__annotations__ if key in record]
    assert keys[:2] == ["schema", "run_id"] and keys.index("scores") < keys.index("config")
