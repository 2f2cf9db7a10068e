"""What is compiled calculates the same; without a compiler all runs as it was written."""

import copy
import os
import subprocess
import sys

import pytest
import torch

from phoneme_lightning.models import CNN, CRNN, RNN, Conformer
from phoneme_lightning.models.norm import FrameBatchNorm
from phoneme_lightning.training.compiling import compile_parts, compiler_works

CPU = torch.device("cpu")


@pytest.mark.skipif(not compiler_works("cpu"), reason="needs a C++ compiler")
def test_a_compiled_norm_is_the_norm_at_every_length():
    torch.manual_seed(0)
    plain = FrameBatchNorm(3)
    made = copy.deepcopy(plain)
    names = list(made.state_dict())
    assert compile_parts(made, CPU) == 1
    for utterances, frames in ((2, 9), (3, 14)):
        image = torch.randn(utterances, 3, 4, frames)
        mask = (torch.arange(frames) < torch.tensor([[frames], [5], [7]])[:utterances])[
            :, None, None
        ]
        to_both = [image.clone().requires_grad_() for _ in range(2)]
        outputs = [norm(x, mask) for norm, x in zip((plain, made), to_both, strict=True)]
        torch.testing.assert_close(outputs[1], outputs[0])
        for output in outputs:
            output.square().sum().backward()
        torch.testing.assert_close(to_both[1].grad, to_both[0].grad, rtol=1e-4, atol=1e-5)
    assert list(made.state_dict()) == names
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(made.state_dict()[name], value)


@pytest.mark.parametrize("backbone", [RNN(hidden_size=4), CNN(dim=8, num_blocks=1)])
def test_what_gains_nothing_is_left_alone(backbone):
    assert compile_parts(backbone, CPU) == 0


def test_without_a_compiler_all_runs_as_it_was_written(tmp_path):
    program = """
import torch
from phoneme_lightning.models import CRNN
from phoneme_lightning.training.compiling import compile_parts
net = CRNN(width=2, blocks=(1, 1, 1, 1), hidden_size=4)
print(compile_parts(net, torch.device("cpu")))
net(torch.randn(2, 5, 39), torch.tensor([5, 3])).sum().backward()
"""
    without = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **without},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0"


def test_a_conformers_branches_are_found_but_for_its_convolutions():
    if compiler_works("cpu"):
        assert compile_parts(Conformer(dim=8, num_layers=2, num_heads=2, feed_forward=8), CPU) == 6


def test_a_crnns_norms_are_found():
    if compiler_works("cpu"):
        assert compile_parts(CRNN(width=2, blocks=(1, 1, 1, 1), hidden_size=4), CPU) == 12
