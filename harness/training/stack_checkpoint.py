"""The file from which a stack in training goes on after its process has ended: safetensors, with JSON in its header."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.errors import free_space, one_line
from harness.training.stack_state import Saved, StackState


class StackCheckpoint:
    """Writes a stack's state to `path` every so many `seconds`, and gives a stack the state that lies there.

    `made_by` says, as JSON values, what must be equal where the file is read: the runs, versions, and so on. A file of
    anything else, or a damaged one, is left unused, and `say` gets one line about it. `on_resume` gets step and steps.
    Only one process at a time may work with a path: the locks of runs see to that.
    """

    def __init__(
        self,
        path: Path,
        made_by: Mapping[str, Any],
        *,
        seconds: float,
        say: Callable[[str], None] = print,
        on_resume: Callable[[int, int], None] = lambda step, steps: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path, self.made_by, self.seconds = path, dict(made_by), seconds
        self._say, self._on_resume, self._clock = say, on_resume, clock
        self._stack: StackState | None = None
        self._step, self._looked = 0, clock()  # of the file; when it was last written or tried

    def open(self, stack: StackState) -> None:
        """Begin with that stack, in the state of the file if there is one for it."""
        self._stack = stack
        self.made_by |= stack.shape
        try:
            saved = self._read()
        except FileNotFoundError:
            saved = None
        except _UnusableError as reason:
            self._say(f"{self.path} is not used ({reason}): training starts at the first step")
            saved = None
        if saved is not None:
            stack.restore(saved)
            self._step = stack.training.step
            self._on_resume(self._step, stack.losses.shape[1])
        self._looked = self._clock()

    def look(self) -> None:
        """Write the file if it is time; called between steps."""
        if self._clock() - self._looked >= self.seconds:
            self.write()

    def write(self) -> None:
        """Write the file, unless it holds this step, or a step has been broken off (by an error or a second Ctrl-C).

        Where that fails, `say` gets one line, and training goes on.
        """
        training = self._stack and self._stack.training
        if training is None or not training.is_between_steps or training.step == self._step:
            return
        try:
            write_state(self.path, self._stack.state(), self.made_by)
            self._step = training.step
        except (OSError, SafetensorError) as error:
            why = f"{one_line(error)}; {free_space(self.path)}"
            self._say(f"{self.path} could not be written ({why}): training goes on without")
        self._looked = self._clock()

    def _read(self) -> Saved:
        saved, made_by = read_state(self.path)
        for name, expected in self.made_by.items():
            found = made_by.get(name)
            if found != expected:
                plain = isinstance(expected, (str, int, bool)) or expected is None
                raise _UnusableError(f"{name} was {found}, and is {expected} here" if plain else f"it has other {name}")
        return saved


class _UnusableError(Exception):
    """Why a file is not used."""


def write_state(path: Path, saved: Saved, made_by: Mapping[str, Any]) -> None:
    """Write a state in a temporary folder, which only one process uses, then move it: it appears as a whole.

    The tensors are written from where they are, without a copy in memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({"made_by": made_by, "values": saved.values})
    folder = temporary_folder(path)
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed while it wrote
    try:
        folder.mkdir()
        temporary = folder / path.name
        save_file(saved.tensors, temporary, metadata={"head": head, "sha256": _digest(head, saved.tensors)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_state(path: Path) -> tuple[Saved, dict[str, Any]]:
    """The state in a file and its `made_by`; `_UnusableError` where it is damaged or something else."""
    try:
        path.stat()  # FileNotFoundError: there is none
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if not metadata.keys() >= {"head", "sha256"}:
                raise _UnusableError("it is no checkpoint of a stack")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        if _digest(metadata["head"], tensors) != metadata["sha256"]:
            raise _UnusableError("it is damaged: its sha256 differs")
        head = json.loads(metadata["head"])
        return Saved(tensors, head["values"]), head["made_by"]
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise _UnusableError(f"it cannot be read: {' '.join(str(error).split())}") from None


def temporary_folder(path: Path) -> Path:
    """Where a checkpoint is written: safetensors names the file as it likes until it is complete."""
    return path.with_name(f".{path.name}.part")


def _digest(head: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(head.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
