"""Processes that measure contenders on request: a JSON line in, a JSON line out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What ours sets for itself (`keep_freed_memory`), so that nobody is slower only because glibc gives memory back.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_TOP_PAD_": str(2**28),
}  # fmt: skip
_OURS_ALONE = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")  # set by importing `harness`


class Worker:
    """A process that answers requests, started at the first one and again where it has died.

    It lives through the whole benchmark, so that nobody pays for loading, and everyone is measured warm.
    """

    def __init__(self, command: Sequence[object], environment: dict[str, str]) -> None:
        self.command = [str(part) for part in command]
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        self.environment = inherited | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | environment
        self.process: subprocess.Popen | None = None

    def send(self, request: dict) -> None:
        if self.process is None:
            self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                env=self.environment, cwd=ROOT,
            )  # fmt: skip
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it is dead, which `receive` says
            pass

    def receive(self) -> dict:
        """The answer to the request; `error` with the last line of its output where it has died instead."""
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        status = self.process.wait()
        self.errors.seek(0)
        message = (self.errors.read().strip().splitlines() or ["no message"])[-1]
        self.close()
        return {"error": f"{message} (exit status {status})"}

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.errors.close()
            self.process = None


def ask(workers: Sequence[Worker], request: dict) -> dict:
    """What one worker measures, or the sum of several that are asked at the same moment."""
    for worker in workers:
        worker.send(request)
    answers = [worker.receive() for worker in workers]
    failed = next((answer for answer in answers if "error" in answer), None)
    if failed or len(workers) == 1:
        return failed or answers[0]
    result = answers[0] | {
        "replicas": sum(answer["replicas"] for answer in answers),
        "seconds": max(answer["seconds"] for answer in answers),
        "peak_bytes": sum(answer["peak_bytes"] for answer in answers),
    }
    if "flops" in result:
        result["flops"] = sum(answer["flops"] for answer in answers)
    return result
