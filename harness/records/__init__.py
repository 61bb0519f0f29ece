"""What a run leaves on disk: its record, predictions and weights, and how finished runs rank.

May import `harness.tasks` and `harness.errors`; no torch, no datasets (`weights` alone imports torch).
"""
