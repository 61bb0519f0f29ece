"""Rows from anywhere: data sources, splits, tokenised batches, and rows to predict from files.

May import `harness.records`, `harness.tasks` and `harness.errors`; it knows nothing about models.
"""
