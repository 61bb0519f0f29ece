"""An encoder with R replicas: checkpoints, families, adapters and other methods, heads, parameter counts.

May import config, records, tasks and errors; knows no data, no training and no results.
"""
