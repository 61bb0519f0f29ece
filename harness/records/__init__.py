"""What a run leaves on disk: its record, predictions and weights, and how finished runs rank.

May import `harness.tasks` and `harness.errors`, and neither torch (except in `weights`) nor datasets.
"""
