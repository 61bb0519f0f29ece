"""Import what a command works with in less time, and for predictions less of it: a third of their start."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

COMPILER = "torch._dynamo"


@contextmanager
def lasting_imports() -> Iterator[None]:
    """For imports after which a process works: their objects stay, and looking for garbage among them would take a
    fifth of their time, and later a share of every collection. Changes nothing where torch is there already.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_transformers() -> None:
    """Import `transformers.modeling_utils` without three packages that it asks for and one encoder does not need.

    They are `scipy.optimize` (losses of models for images; 0.4 s), `torch.distributed.tensor` (models over several
    devices) and `torch._dynamo` (torch's compiler, see `NoCompiler`); the last two have much in common, so that only
    leaving out both gains anything (0.9 s).

    For a process that neither trains nor compiles, before anything has imported transformers' models; otherwise nothing
    happens. A run must be able to compile: a method of the user's own may.
    """
    if "transformers.modeling_utils" in sys.modules:
        return
    from transformers import utils

    sys.modules.setdefault(COMPILER, NoCompiler())
    with (
        patch.object(utils, "is_scipy_available", _no),
        patch.object(utils, "is_torch_distributed_available", _no),
        patch.object(utils.import_utils, "is_torch_distributed_available", _no),
    ):
        import transformers.modeling_utils  # noqa: F401 - for its effect


class NoCompiler(ModuleType):
    """Stands for `torch._dynamo`, of which importing transformers and loading a model only use decorators.

    They mark functions for the compiler, and change nothing where nothing is compiled.
    """

    def __init__(self) -> None:
        import torch

        super().__init__(COMPILER)
        self.__path__ = [str(Path(torch.__file__).parent / "_dynamo")]  # modules imported from there are the real ones
        self.allow_in_graph = self.assume_constant_result = self.disable = _unchanged


def _unchanged(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    """The function itself; without one, a decorator that returns it."""
    return function or (lambda decorated: decorated)


def _no() -> bool:
    return False
