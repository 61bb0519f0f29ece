"""The one internal class of `datasets` that the hub source leans on. Imports nothing of the harness, which needs it."""

import importlib
import inspect

import datasets
import pytest

MODULE = "datasets.packaged_modules.cache.cache"
ADVICE = (
    f"in datasets {datasets.__version__}: no public function reads one commit from the cache without a request, so "
    "adapt harness.data.sources.hub._from_cache, or require an older datasets in pyproject.toml"
)


def test_the_builder_that_reads_one_commit_from_the_cache_is_where_it_was():
    try:
        builder = importlib.import_module(MODULE).Cache
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{MODULE}.Cache is gone ({error}) {ADVICE}")
    missing = {"repo_id", "dataset_name", "config_name", "hash"} - inspect.signature(builder.__init__).parameters.keys()
    assert not missing, f"{MODULE}.Cache no longer takes {', '.join(sorted(missing))} {ADVICE}"
    assert callable(getattr(builder, "as_dataset", None)), f"{MODULE}.Cache has no as_dataset {ADVICE}"
