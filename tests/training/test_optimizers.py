"""Schedules by hand, who is decayed, and fast ways to the same step."""

import math

import pytest
import torch
from torch import nn

from phoneme_lightning.training.optimizers import (
    drop_gradients,
    parameter_groups,
    schedule_factor,
    use_fused_kernels,
)

WARMUP, TOTAL = 4, 12
HALF_ROOT = math.sqrt(0.5)  # cos(pi / 4)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # After the warmup a quarter, a half, three quarters and seven eighths (the last step) of
        # the way; linear and cosine agree on the half only.
        ("constant", {4: 1, 6: 1, 8: 1, 10: 1, 11: 1, 12: 1, 99: 1}),
        ("linear", {4: 1, 6: 0.75, 8: 0.5, 10: 0.25, 11: 0.125, 12: 0, 99: 0}),
        (
            "cosine",
            {
                4: 1,
                6: (1 + HALF_ROOT) / 2,
                8: 0.5,
                10: (1 - HALF_ROOT) / 2,
                11: math.sin(math.pi / 16) ** 2,
                12: 0,
                99: 0,
            },
        ),
    ],
)
def test_a_schedule_is_what_its_name_says(schedule, expected):
    factor = schedule_factor(schedule, WARMUP, TOTAL)
    warmup = {0: 1 / 5, 1: 2 / 5, 2: 3 / 5, 3: 4 / 5}
    expected = {**warmup, **expected}
    assert {step: factor(step) for step in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_without_a_warmup_the_first_step_is_at_the_peak(schedule):
    factor = schedule_factor(schedule, 0, TOTAL)
    assert factor(0) == 1
    assert factor(TOTAL // 2) == pytest.approx(1 if schedule == "constant" else 0.5)


def test_a_constant_schedule_needs_no_end():
    factor = schedule_factor("constant", WARMUP, math.inf)
    assert [factor(step) for step in (0, WARMUP, 10**6)] == [1 / 5, 1, 1]


def test_a_decay_of_its_own_length_follows_a_constant_part():
    whole, last = schedule_factor("linear", WARMUP, TOTAL), schedule_factor("linear", 0, 3)
    factor = schedule_factor("linear", WARMUP, TOTAL, 3)
    assert [factor(step) for step in range(WARMUP)] == [whole(step) for step in range(WARMUP)]
    assert [factor(step) for step in range(WARMUP, TOTAL - 3)] == [1.0] * (TOTAL - 3 - WARMUP)
    assert [factor(TOTAL - 3 + step) for step in range(4)] == [last(step) for step in range(4)]


def test_weights_are_decayed_and_norms_and_biases_are_not():
    module = nn.ModuleDict(
        {
            "conv": nn.Conv1d(3, 4, 3),
            "norm": nn.LayerNorm(4),
            "batch_norm": nn.BatchNorm1d(4),
            "recurrent": nn.LSTM(4, 5),
            "head": nn.Linear(5, 2),
            "frozen": nn.Linear(2, 2),
        }
    )
    module["frozen"].requires_grad_(False)
    nn.init.constant_(module["head"].weight, 2.0)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimizer = torch.optim.AdamW(parameter_groups(module), lr=0.1, weight_decay=0.5)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    decayed = {
        "conv.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "head.weight",
    }
    for name, parameter in module.named_parameters():
        share = 0.95 if name in decayed else 1.0  # 1 - learning rate x weight decay
        torch.testing.assert_close(parameter.detach(), share * before[name], msg=name)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(before) - 2


@pytest.mark.parametrize("lost", [False, True])
def test_lost_gradients_are_zero_whatever_they_hold(lost):
    image = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    gradients = [torch.tensor([math.nan, math.inf, -math.inf, -0.5]), image, torch.tensor(math.nan)]
    before = [gradient.clone() for gradient in gradients]
    drop_gradients(gradients, torch.tensor(lost))
    for gradient, was in zip(gradients, before, strict=True):
        expected = torch.zeros_like(was) if lost else was
        torch.testing.assert_close(gradient, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_the_fused_step_is_the_plain_one(kind):
    def trained(fuse):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2))
        image = torch.randn(5, 3, 6, 6).contiguous(memory_format=torch.channels_last)
        net(image)
        optimizer = kind(parameter_groups(net), lr=0.1, weight_decay=0.1)
        if fuse:
            use_fused_kernels(optimizer)
        assert [bool(group["fused"]) for group in optimizer.param_groups] == [fuse, fuse]
        for _ in range(3):
            optimizer.zero_grad()
            net(image).square().sum().backward()
            optimizer.step()
        return list(net.parameters())

    for fused, plain in zip(trained(True), trained(False), strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)


def test_an_optimizer_that_was_told_how_to_step_is_left_alone():
    weights = [nn.Parameter(torch.ones(2))]
    told = torch.optim.AdamW(weights, foreach=True)
    other = torch.optim.SGD(weights, lr=0.1)
    for optimizer in (told, other):
        use_fused_kernels(optimizer)
        assert not optimizer.param_groups[0]["fused"]
