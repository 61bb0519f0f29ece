"""Runs in experiment trackers: TensorBoard, Weights & Biases, MLflow, Trackio.

Every replica of a stack is a run of its own there, under its run id. May import records, options and errors; a
tracker's library is imported when it is used.
"""
