"""The optimizers and the schedule of the paper over the rows of a stack, all of them torch's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from harness.config import TrainConfig
from harness.training.parameter_rows import ParameterRows


def make_optimizer(
    rows: ParameterRows, settings: TrainConfig, learning_rates: Sequence[float], steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Fused AdamW with the replicas' learning rates, linear warm-up and linear decay to 0 over `steps` (section 3.1).

    `settings.optimizer=bert_adam` is the released code's: without bias correction.
    """
    optimizer = torch.optim.AdamW(
        rows.groups(learning_rates, settings.weight_decay),
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,
    )
    if settings.optimizer == "bert_adam":
        _leave_out_bias_correction(optimizer, settings)
    warmup = round(settings.warmup_fraction * steps)

    def share(step: int) -> float:  # as transformers' schedule, whose module imports peft: 0.2 s of each start
        return step / warmup if step < warmup else (steps - step) / max(1, steps - warmup)

    return optimizer, LambdaLR(optimizer, share)


def _leave_out_bias_correction(optimizer: torch.optim.Optimizer, settings: TrainConfig) -> None:
    """At step t let AdamW use lr c1/sqrt(c2), epsilon/sqrt(c2) and decay sqrt(c2)/c1, with ci = 1 - beta_i**t.

    Its update lr (m/c1) / (sqrt(v/c2) + epsilon) then is lr m / (sqrt(v) + epsilon), and its decay lr times the
    plain one. The schedule resets the rate after every step, so it is scaled only once. The groups count the steps,
    so that the count is part of the optimizer's state.
    """
    decays = [group["weight_decay"] for group in optimizer.param_groups]

    def before_step(*_: object) -> None:
        for group, decay in zip(optimizer.param_groups, decays, strict=True):
            group["steps"] = group.get("steps", 0) + 1
            first = 1 - settings.beta1 ** group["steps"]
            second = (1 - settings.beta2 ** group["steps"]) ** 0.5
            group["lr"] *= first / second
            group["eps"] = settings.epsilon / second
            group["weight_decay"] = decay * second / first

    optimizer.register_step_pre_hook(before_step)
