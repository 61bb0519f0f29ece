"""The documented schema, the records that runs write and those that the tests make have the same keys."""

from typing import get_args, get_origin, get_type_hints

import pytest
from typing_extensions import is_typeddict

from harness.records.schema import Record
from tests.fixtures.commands import records, train
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.make_records import make_record

# Some runs have them, or they lie elsewhere.
OPTIONAL = {"spans", "weights", "predictions", "grid", "data.reading", "training.micro_batch_size", "provenance.budget"}
OPTIONAL |= {"imported"}  # in banks only


def documented(kind=Record) -> dict:
    """{key: nested keys, or None where a key holds plain values}."""
    return {name: nested(hint) for name, hint in get_type_hints(kind).items()}


def nested(hint):
    inner = hint if is_typeddict(hint) else next((part for part in get_args(hint) if is_typeddict(part)), None)
    return documented(inner) if inner is not None and get_origin(hint) is not dict else None


def differences(record: dict, schema: dict, place: str = "") -> set[str]:
    """Dotted names of keys that only one side has."""
    found = {f"{place}{name}" for name in record.keys() ^ schema.keys()}
    for name in record.keys() & schema.keys():
        if schema[name] is not None:
            found |= differences(record[name], schema[name], f"{place}{name}.")
    return found


@pytest.fixture(scope="module")
def real(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("real")
    glue = write_glue(folder / "glue", tasks=["mrpc"], words=True)
    train(folder, tiny_model, glue, "task=mrpc", "train.epochs=1", "train.evaluate_spans=true", "protocol=holdout")
    (record,) = records(folder).values()
    return record


def test_a_real_record_has_the_documented_keys(real):
    assert differences(real, documented()) == OPTIONAL - {"spans", "predictions"}


def test_a_made_record_has_the_keys_of_a_real_one():
    """Except the losses within epochs, which older records lack as well: their curves have a point per epoch."""
    assert differences(make_record(), documented()) == OPTIONAL | {"training.losses"}


def test_made_configs_have_the_sections_of_real_ones(real):
    made = make_record(protocol={"name": "holdout", "fraction": 0.1, "seed": 0})["config"]
    assert made.keys() == real["config"].keys()
    for section in ("task", "data", "protocol", "model"):
        assert made[section].keys() == real["config"][section].keys()
    assert made["train"].keys() <= real["config"]["train"].keys()


def test_a_real_config_names_what_was_computed_with(real):
    assert real["config"]["train"]["precision"] == "fp32"
    assert not {"save", "evaluate_spans", "evaluate_every_epoch"} & real["config"]["train"].keys()
    assert real["config"]["protocol"] == {"name": "holdout", "fraction": 0.1, "seed": 0}
