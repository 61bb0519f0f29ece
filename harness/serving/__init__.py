"""Trained weights in use: banks of tasks, predictions, checks of a bank, exports, and the GLUE submission.

May import `harness.training` and all below it, and of `harness.reporting` only `table`; never `harness.sweeps`.
"""
