"""Masked batch norm against nn.BatchNorm2d over the real frames, on one rank and on two."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from phoneme_lightning.models.norm import FrameBatchNorm, FrameLayerNorm
from phoneme_lightning.models.trunk import ResNetTrunk

LENGTHS = torch.tensor([9, 1, 6, 4])
MASK = (torch.arange(9) < LENGTHS[:, None])[:, None, None]
RANKS = 2


def image() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3.0 + 2.0 * torch.randn(4, 5, 3, 9, generator=generator)


def real_frames(padded: Tensor, lengths: Tensor) -> Tensor:
    """One image of all real frames, (1, channels, bins, frames)."""
    pieces = [rows[..., :length] for rows, length in zip(padded, lengths, strict=True)]
    return torch.cat(pieces, dim=-1)[None]


def with_affine(norm: nn.Module) -> nn.Module:
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, 5))
        norm.bias.copy_(torch.linspace(-1.0, 1.0, 5))
    return norm


def steps(norm: nn.Module, *inputs: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
    """What two training steps give: output, gradients, running statistics."""
    for _ in range(2):
        leaf = inputs[0].clone().requires_grad_()
        normed = norm(leaf, *inputs[1:])
        real = normed if lengths is None else real_frames(normed, lengths)
        norm.zero_grad()
        (real.sin() * real).sum().backward()
    assert leaf.grad is not None
    gradient = leaf.grad if lengths is None else real_frames(leaf.grad, lengths)
    return [real.detach(), gradient, norm.weight.grad, norm.bias.grad, *norm.buffers()]


def test_batch_norm_is_pytorchs_over_the_real_frames() -> None:
    ours, theirs = with_affine(FrameBatchNorm(5)), with_affine(nn.BatchNorm2d(5))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    mine = steps(ours, image(), MASK, lengths=LENGTHS)
    reference = steps(theirs, real_frames(image(), LENGTHS))
    torch.testing.assert_close(mine, reference, atol=1e-4, rtol=1e-5)
    ours.eval()
    theirs.eval()
    evaluated = real_frames(ours(image(), MASK), LENGTHS)
    torch.testing.assert_close(evaluated, theirs(real_frames(image(), LENGTHS)))


@pytest.mark.parametrize("norm", [FrameBatchNorm(5), FrameLayerNorm(5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_padding_comes_out_as_zero(norm: nn.Module, dtype: torch.dtype, training: bool) -> None:
    normed = with_affine(norm).train(training)(image().to(dtype), MASK)
    assert normed.dtype == dtype
    assert not normed.masked_select(~MASK).any()
    assert normed.masked_select(MASK).all()


def test_batch_norm_keeps_its_statistics_in_fp32_under_bf16() -> None:
    norm = FrameBatchNorm(5)
    rounded = image().bfloat16()
    norm(rounded, MASK)
    expected = real_frames(rounded.float(), LENGTHS).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, 0.1 * expected)


def test_frame_norm_normalises_each_frame_over_channels_and_bins() -> None:
    normed = real_frames(FrameLayerNorm(5)(image(), MASK), LENGTHS)[0]
    frames = real_frames(image(), LENGTHS)[0]
    expected = (frames - frames.mean((0, 1))) / frames.std((0, 1), correction=0)
    torch.testing.assert_close(normed, expected, atol=1e-4, rtol=1e-4)


def one_rank(rank: int, folder: str) -> None:
    """Two training steps on this rank's share of the utterances."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS
    )
    share = slice(0, 1) if rank == 0 else slice(1, None)
    norm = with_affine(FrameBatchNorm(5))
    torch.save(
        steps(norm, image()[share], MASK[share], lengths=LENGTHS[share]), f"{folder}/{rank}.pt"
    )
    torch.distributed.destroy_process_group()


def test_two_ranks_with_unequal_shares_do_what_one_does(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_rank, args=(str(tmp_path),), nprocs=RANKS)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(RANKS))
    alone = steps(with_affine(FrameBatchNorm(5)), image(), MASK, lengths=LENGTHS)
    joined = [torch.cat(pair, dim=-1) for pair in zip(first[:2], second[:2], strict=True)]
    summed = [one + other for one, other in zip(first[2:4], second[2:4], strict=True)]
    torch.testing.assert_close([*joined, *summed, *first[4:]], alone, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(first[4:], second[4:])


def test_in_bf16_gradients_are_as_near_to_fp32_as_with_pytorchs_own_batch_norm() -> None:
    """A deep trunk's are far off with either: what is left of differences of large sums."""

    class Plain(nn.BatchNorm2d):
        def forward(self, image: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(image)

    torch.manual_seed(0)
    image, mask = torch.randn(4, 3, 13, 100), torch.ones(4, 100, dtype=torch.bool)
    weight = torch.randn(4, 100, 256)
    errors = []
    for make in (FrameBatchNorm, Plain):
        torch.manual_seed(1)
        trunk = ResNetTrunk(3, 13, width=16, blocks=(1, 1, 1, 1))
        for parent in [*trunk.modules()]:
            for name, norm in [*parent.named_children()]:
                if isinstance(norm, FrameBatchNorm):
                    parent._modules[name] = make(len(norm.weight))
        gradients = []
        for is_low in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
                outputs = trunk(image, mask)
            loss = (outputs.float() * weight).sum()
            gradients.append(
                torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*trunk.parameters()])])
            )
        errors.append((gradients[1] - gradients[0]).norm() / gradients[0].norm())
    assert errors[0] < 1.2 * errors[1]
