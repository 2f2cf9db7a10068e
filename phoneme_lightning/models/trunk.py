"""torchvision's ResNet, run once over a whole utterance as an image of bins x frames."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1

from phoneme_lightning.models.norm import FrameBatchNorm, FrameLayerNorm

__all__ = ["ResNetTrunk"]


class ResNetTrunk(nn.Module):
    """ResNet (He et al. 2015, 1512.03385) whose strides halve the bins and keep the frames.

    The stem has stride 1 and stages 2 to 4 have stride (2, 1), so that one pass gives a vector for
    every frame. With width 64 and blocks (2, 2, 2, 2), stages and norms have the names and shapes
    of torchvision's resnet18. Every norm puts zero into the padding, as every convolution needs.

    Args:
        channels: channels of the image.
        bins: bins of the image.
        width: channels of the first stage; every further stage doubles them.
        blocks: residual blocks of each stage.
        stem_pool: whether a max pool after the stem halves the bins.
        norm: "batch" or "frame".

    Attributes:
        output_dim: channels times bins of the last stage.
    """

    def __init__(
        self,
        channels: int,
        bins: int,
        width: int = 64,
        blocks: Sequence[int] = (2, 2, 2, 2),
        stem_pool: bool = False,
        norm: Literal["batch", "frame"] = "batch",
    ) -> None:
        super().__init__()
        make_norm = {"batch": FrameBatchNorm, "frame": FrameLayerNorm}[norm]
        self.stem_pool = stem_pool
        self.conv1 = nn.Conv2d(channels, width, kernel_size=7, padding=3, bias=False)
        self.bn1 = make_norm(width)
        bins = halved(bins) if stem_pool else bins
        inputs = width
        for stage, depth in enumerate(blocks):
            outputs = width * 2**stage
            stride = (1, 1) if stage == 0 else (2, 1)
            layers = [MaskedBlock(inputs, outputs, stride, make_norm)]
            layers += [MaskedBlock(outputs, outputs, (1, 1), make_norm) for _ in range(depth - 1)]
            self.add_module(f"layer{stage + 1}", nn.ModuleList(layers))
            bins = bins if stage == 0 else halved(bins)
            inputs = outputs
        self.stages = len(blocks)
        self.output_dim = inputs * bins
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Encode images.

        Args:
            image: (batch, channels, bins, frames), zero in padding.
            mask: (batch, frames), bool, True where a frame is real.

        Returns:
            (batch, frames, output_dim), zero in padding.
        """
        mask = mask[:, None, None]
        # On a CPU the convolutions are one and a half to two times faster in this layout.
        image = image.contiguous(memory_format=torch.channels_last)
        image = F.relu(self.bn1(self.conv1(image), mask), inplace=True)
        if self.stem_pool:
            image = F.max_pool2d(image, kernel_size=(3, 1), stride=(2, 1), padding=(1, 0))
        for stage in range(self.stages):
            for block in self.get_submodule(f"layer{stage + 1}").children():
                image = block(image, mask)
        return image.permute(0, 3, 2, 1).flatten(2)


class MaskedBlock(BasicBlock):  # type: ignore[misc]  # torchvision has no types
    """torchvision's BasicBlock with norms that are told where the padding is."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: tuple[int, int],
        norm: type[FrameBatchNorm] | type[FrameLayerNorm],
    ) -> None:
        downsample = None
        if stride != (1, 1) or inputs != outputs:
            downsample = nn.Sequential(conv1x1(inputs, outputs, stride), norm(outputs))
        super().__init__(inputs, outputs, stride, downsample, norm_layer=norm)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Add the residual to an image, (batch, channels, bins, frames), zero in padding."""
        residual = self.relu(self.bn1(self.conv1(image), mask))
        residual = self.bn2(self.conv2(residual), mask)
        if self.downsample is not None:
            convolution, norm = self.downsample
            image = norm(convolution(image), mask)
        return F.relu(residual + image, inplace=True)


def halved(bins: int) -> int:
    """Bins that are left after stride 2 with the padding that ResNet uses."""
    return (bins + 1) // 2
