"""A training step as CUDA graphs: one launch replaces a thousand, whose overhead dominates small batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

WIDTH_STEP = 8  # batches are padded to a multiple of this many tokens, so that a few graphs cover an epoch
_EAGER_CALLS = 2  # before a shape is captured: libraries initialise in them, and rare shapes are not worth a graph

# Records what a function does; returns a function that repeats it, and the tensor that its result is written to.
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


class GraphedStep:
    """Calls `step(*tensors) -> Tensor` through one graph for each combination of input shapes.

    Inputs may be None. The result is overwritten by the next call: copy what must be kept. Everything else that
    `step` reads or writes must stay at its address (ParameterRows keeps parameters and gradients in fixed buffers).
    """

    def __init__(self, step: Callable[..., Tensor], capture: Capture) -> None:
        self.step = step
        self.capture = capture
        self.calls: Counter = Counter()
        self.graphs: dict[tuple, tuple[list[Tensor | None], Callable[[], None], Tensor]] = {}

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        shape = tuple(None if tensor is None else tuple(tensor.shape) for tensor in inputs)
        self.calls[shape] += 1
        if self.calls[shape] <= _EAGER_CALLS:
            return self.step(*inputs)
        if shape not in self.graphs:
            own = [None if tensor is None else tensor.clone() for tensor in inputs]
            self.graphs[shape] = own, *self.capture(lambda: self.step(*own))
        own, replay, result = self.graphs[shape]
        for target, tensor in zip(own, inputs, strict=True):
            if target is not None:
                target.copy_(tensor)
        replay()
        return result


@contextmanager
def cuda_capture(enabled: bool) -> Iterator[Capture | None]:
    """A `Capture` for the body, which runs on its own stream (the default stream cannot be captured)."""
    if not enabled:
        yield None
        return
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    pool = torch.cuda.graph_pool_handle()  # one for all: they never run at once

    def capture(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            result = run()
        return graph.replay, result

    with torch.cuda.stream(stream):
        yield capture
    torch.cuda.current_stream().wait_stream(stream)
