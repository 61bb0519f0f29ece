"""Options of Python calls as overrides: Hydra reads back what was given."""

from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from harness.errors import UserError
from harness.sweeps.overrides import as_overrides


def read_back(overrides):
    """Key and value of each override, as Hydra understands it."""
    return {item.key_or_group: item.value() for item in OverridesParser.create().parse_overrides(overrides)}


@pytest.mark.parametrize(
    "value",
    [
        "mrpc", "", "a b", "null", "True", "1e-3", "7", "it's", 'a "b"', "a,b", "a=b", "[x]", "{x}", "\\'", "back\\",
        "Straße", "(1)", "~/glue", "/tmp/a b/c", 3, -2, 1e-5, 0.0003, 1e300, True, False, None, [], ["a", "b c"],
        [1, [2.5, None]], {"train": "a.csv", "test": "b,c.csv"}, {},
    ],
)  # fmt: skip
def test_hydra_reads_the_value_that_was_given(value):
    assert read_back(as_overrides({"key": value})) == {"key": value}


def test_paths_and_numbers_of_numpy_are_plain_ones():
    given = {"results_dir": Path("results/mine"), "train__seed": np.int64(3), "train__learning_rate": np.float64(1e-3)}
    assert as_overrides(given) == ["results_dir=results/mine", "train.seed=3", "train.learning_rate=0.001"]


def test_a_list_has_the_values_of_a_sweep_or_is_one():
    assert as_overrides({"task": ["cola", "mrpc"], "train__seed": range(2)}, sweep=True) == [
        "task=cola,mrpc",
        "train.seed=0,1",
    ]
    assert as_overrides({"task__text": [["title", "body"]]}, sweep=True) == ["task.text=[title,body]"]
    assert as_overrides({"task__text": ["title", "body"]}) == ["task.text=[title,body]"]
    assert as_overrides({"train__learning_rate": np.array([1e-3, 3e-4])}, sweep=True) == [
        "train.learning_rate=0.001,0.0003"
    ]
    (override,) = OverridesParser.create().parse_overrides(as_overrides({"data__path": ["a,b", "c d"]}, sweep=True))
    assert list(override.sweep_string_iterator()) == ["'a,b'", "'c d'"]


@pytest.mark.parametrize(
    ("options", "sweep", "words"),
    [({"train__seed": []}, True, "train.seed=[] has no value"), ({"train__seed": object()}, False, "is a object")],
)
def test_what_is_no_value_is_one_line(options, sweep, words):
    with pytest.raises(UserError, match=r".") as error:
        as_overrides(options, sweep=sweep)
    assert words in str(error.value) and "\n" not in str(error.value)
