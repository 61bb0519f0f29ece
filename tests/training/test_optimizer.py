"""The optimizers against their formulas."""

import pytest
import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from harness.config import TrainConfig
from harness.training.optimizer import make_optimizer
from harness.training.parameter_rows import ParameterRows


@pytest.mark.parametrize("name", ["adamw", "bert_adam"])
def test_steps_follow_the_formula(name):
    """Twenty steps with warm-up and decay; bert_adam omits the bias correction, also for its weight decay."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    rows = ParameterRows(model, 1)
    settings = TrainConfig(optimizer=name, weight_decay=0.1, warmup_fraction=0.2, epsilon=1e-3)
    optimizer, schedule = make_optimizer(rows, settings, [0.05], 20)
    expected = model.weight.detach().clone().double()
    bias = model.bias.detach().clone().double()
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in (expected, bias)]
    for step in range(1, 21):
        rate = 0.05 * min((step - 1) / 4, (20 - (step - 1)) / 16)
        gradients = [torch.randn(3, 4), torch.randn(3)]
        for row, gradient in zip((model.weight, model.bias), gradients, strict=True):
            row.grad.copy_(gradient)
        optimizer.step()
        schedule.step()
        for value, gradient, (first, second), decay in zip(
            (expected, bias), gradients, moments, (0.1, 0.0), strict=True
        ):
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient.double().square())
            if name == "adamw":
                update = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-3)
            else:
                update = first / (second.sqrt() + 1e-3)
            value.sub_(rate * (update + decay * value))
    torch.testing.assert_close(model.weight.detach(), expected.float(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model.bias.detach(), bias.float(), atol=1e-6, rtol=1e-5)


def test_the_schedule_is_that_of_transformers():
    """To the last digit; at its ends too, and where all steps are a warm-up."""
    for fraction, steps in ((0.1, 37), (0.0, 5), (1.0, 4)):
        rows = ParameterRows(nn.Linear(4, 3), 1)
        _, ours = make_optimizer(rows, TrainConfig(warmup_fraction=fraction), [0.05], steps)
        theirs = get_linear_schedule_with_warmup(
            torch.optim.SGD([nn.Parameter(torch.ones(1))]), round(fraction * steps), steps
        )
        shares = [[schedule.lr_lambdas[0](step) for step in range(steps + 1)] for schedule in (ours, theirs)]
        assert shares[0] == shares[1]
