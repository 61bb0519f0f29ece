"""Rows from anywhere: data sources, splits, tokenised batches, and rows to predict from files.

May import `harness.records`, `harness.tasks` and `harness.errors`; it knows nothing about models.
"""

# What `--data` of the report takes; here, because importing `harness.data.sources` imports `datasets`.
SOURCE_NAMES = ("auto", "hub", "local", "synthetic")
