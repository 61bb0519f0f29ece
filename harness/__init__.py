"""A GLUE benchmark reproduction harness for adapter tuning (Houlsby et al., ICML 2019).

    import harness

    record = harness.run(task="mrpc", method="adapter", train__learning_rate=1e-3)
    frame = harness.load_runs("results/working")

`harness.api` has the functions and what they take.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.product_caches import bound
from harness.waiting_threads import settle

settle()  # every import of the package comes through here, and so before torch
bound()

if TYPE_CHECKING:
    from harness.api import load_runs, make_bank, predict, report, run, sweep
    from harness.errors import UserError

__all__ = ["UserError", "load_runs", "make_bank", "predict", "report", "run", "sweep"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module("harness.api"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Python enters each sub-module into its package, and `python -m harness.run` needs one that is called `run`: the
    function of that name stays, whatever is imported when. The modules are still found by `from harness.run import`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
