"""oneDNN's caches are bounded before torch uses them, unless the user has said something."""

import os

from harness.product_caches import bound


def test_the_caches_are_bounded_unless_the_environment_says_something(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    bound()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "128"
