"""oneDNN's caches of prepared products, bounded before torch uses them.

Torch on a CPU keeps what it prepares for a bf16 product of one shape, 0.1 to 0.3 MB, in two caches of 1,024 entries
each. A step has some forty shapes, and every width of a batch has its own, so that the caches grow by 12 MB with each
new width (MiniLM with adapters), and what they hold lies scattered between the tensors of a step. With room for the
shapes of a few steps, 80 steps of CoLA's widths took as long (0.096 s of a core per step against 0.099) and 650 MB
instead of 911.
"""

from __future__ import annotations

import os

_CAPACITIES = {"LRU_CACHE_CAPACITY": "128", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}


def bound() -> None:
    """Bound the caches for this process and its children, unless the environment says something already."""
    for name, capacity in _CAPACITIES.items():
        os.environ.setdefault(name, capacity)
