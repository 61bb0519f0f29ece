"""What a task is: its texts, kind, labels and metrics, and which splits select and are reported.

May import `harness.errors` only; no torch, no datasets: tables are made from tasks and records alone.
"""
