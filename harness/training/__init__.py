"""One stack of replicas, trained and evaluated on one device: loop, optimizer, memory, precision, CUDA graphs.

May import model, data, config, records, tasks and errors; knows neither sweeps nor records' folders.
"""
