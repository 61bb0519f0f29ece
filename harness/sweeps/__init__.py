"""Sweeps: many configs to finished records.

Configs are checked and resolved into runs, runs are grouped into stacks, and stacks are trained under locks on one
device, on several or on a cluster. May import training, model, data, records, tasks, config and errors; never serving
or reporting.
"""
