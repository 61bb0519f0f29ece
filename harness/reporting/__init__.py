"""Records to tables and figures: what is comparable, what was chosen, how sure a score is, and how it is laid out.

Imports `harness.records` and `harness.tasks` only; neither torch nor datasets is loaded, so that a report starts fast.
"""
