"""What a task is: its texts, kind, labels and metrics, and which splits select runs and are reported.

May import `harness.errors` only, and neither torch nor datasets: tables are made from tasks and records alone.
"""
