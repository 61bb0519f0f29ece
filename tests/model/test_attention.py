"""The CPU attention, with and without dropped weights, against the plain formula."""

import pytest
import torch

from harness.model import attention as attention_module
from harness.model.attention import attention
from harness.model.dropout import Dropout, MaskStreams


class Owner:
    """What transformers hands over: a module with its dropout."""

    def __init__(self, rate):
        self.dropout = Dropout(rate, MaskStreams([0]))


def inputs(requires_grad=True, keys=5):
    torch.manual_seed(0)
    states = [torch.randn(3, 2, keys, 4, dtype=torch.float64, requires_grad=requires_grad) for _ in range(3)]
    mask = torch.ones(3, 1, 1, keys, dtype=torch.bool)
    mask[1, ..., 3:] = False
    return states, mask


def plain(query, key, value, mask, dropped, rate):
    scores = query @ key.mT * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1).masked_fill(dropped, 0) / (1 - rate)
    return (weights @ value).transpose(1, 2)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("keys", [5, 16, 31])  # of float64, 8 fill a vector: padded weights, none, padded keys
def test_output_and_gradients_equal_the_formula(keys, masked):
    """Masked keys get no weight, dropped weights none either, the others are scaled up."""
    dropped = MaskStreams([0]).draw((6, keys, keys), 0.3) == 0
    (query, key, value), mask = inputs(keys=keys)
    mask = mask if masked else None
    context, _ = attention(Owner(0.3), query, key, value, mask, dropout=0.3)
    expected = plain(query, key, value, mask, dropped.view(3, 2, keys, keys), 0.3)
    torch.testing.assert_close(context, expected)
    weight = torch.randn_like(expected)
    got = torch.autograd.grad((context * weight).sum(), (query, key, value))
    want = torch.autograd.grad((expected * weight).sum(), (query, key, value))
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("keys", "dtype"), [(5, torch.float64), (70, torch.float64), (70, torch.bfloat16)])
def test_without_dropout_output_and_gradients_equal_the_formula(keys, dtype, masked):
    """For short texts and in bf16 by the formula's own products, otherwise by torch's fused kernel."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 2, keys, 4, dtype=dtype, requires_grad=True) for _ in range(3))
    mask = torch.ones(3, 1, 1, keys, dtype=torch.bool)
    mask[1, ..., 3:] = False
    mask = mask if masked else None
    context, _ = attention(None, query, key, value, mask)
    nothing = torch.zeros(3, 2, keys, keys, dtype=torch.bool)
    exact = [states.detach().double().requires_grad_() for states in (query, key, value)]
    expected = plain(*exact, mask, nothing, 0.0)
    weight = torch.randn_like(expected)
    got = torch.autograd.grad((context * weight).sum(), (query, key, value))
    want = torch.autograd.grad((expected * weight).sum(), exact)
    tolerance = {"rtol": 0.05, "atol": 0.03} if dtype == torch.bfloat16 else {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(context.double(), expected, **tolerance)
    torch.testing.assert_close([part.double() for part in got], want, **tolerance)


def test_its_mean_over_masks_is_attention_without_dropout():
    states, mask = inputs(requires_grad=False)
    expected, _ = attention(None, *states, mask)
    owner = Owner(0.1)
    mean = sum(attention(owner, *states, mask, dropout=0.1)[0] for _ in range(2000)) / 2000
    assert (mean - expected).abs().max() < 0.05


@pytest.mark.parametrize("keys", [5, 31])
def test_one_query_against_all_keys(keys):
    (query, key, value), mask = inputs(requires_grad=False, keys=keys)
    whole, _ = attention(None, query, key, value, mask)
    first, _ = attention(None, query[:, :, :1], key, value, mask)
    torch.testing.assert_close(first, whole[:, :1])


@pytest.mark.parametrize("keys", [5, 12, 60, 64])
def test_in_bf16_gradients_stay_near_those_of_fp32(keys):
    """An error of a few units in the last place of bf16 (2**-8), relative to the largest gradient."""
    torch.manual_seed(0)
    exact = [torch.randn(4, 2, keys, 8).bfloat16().float().requires_grad_() for _ in range(3)]
    rounded = [states.detach().bfloat16().requires_grad_() for states in exact]
    weight = torch.randn(4, keys, 2, 8).bfloat16()
    for states in (exact, rounded):
        context, _ = attention(Owner(0.1), *states, None, dropout=0.1)
        (context.float() * weight).sum().backward()
    for want, got in zip(exact, rounded, strict=True):
        assert (got.grad - want.grad).abs().max() < 4 * 2**-8 * want.grad.abs().max()


def test_the_private_softmax_kernel_computes_the_public_formula():
    """`torch._softmax_backward_data` may change with any version of torch; then use the formula below."""
    torch.manual_seed(0)
    weights, gradient = torch.randn(6, 5, 7).softmax(-1), torch.randn(6, 5, 7)
    formula = weights * (gradient - (gradient * weights).sum(-1, keepdim=True))
    torch.testing.assert_close(attention_module._softmax_backward(gradient, weights), formula)
