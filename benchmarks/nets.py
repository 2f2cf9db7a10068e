"""The nets as people write them: padded or packed, in fp32, in a plain LightningModule."""

from typing import Any

import torch
import torchvision
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES

__all__ = ["PlainCNN", "PlainCRNN", "PlainClassifier", "PlainRNN", "PlainTransformer", "plain_net"]


class PlainRNN(nn.Module):
    """A bidirectional nn.LSTM over padded utterances, packed or not."""

    def __init__(
        self,
        inputs: int = 39,
        hidden_size: int = 512,
        num_layers: int = 2,
        dropout: float = 0.3,
        packed: bool = False,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.lstm = nn.LSTM(
            inputs, hidden_size, num_layers, batch_first=True, bidirectional=True, dropout=dropout
        )
        self.head = nn.Linear(2 * hidden_size, NUM_PHONES)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Give logits, (batch, frames, phones), of features, (batch, frames, inputs)."""
        if not self.packed:
            return self.head(self.lstm(features)[0])
        packed = pack_padded_sequence(
            features, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        return self.head(pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0])


class PlainCRNN(PlainRNN):
    """torchvision's resnet18, its strides in time taken out, under the same LSTM."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(inputs=1024, **settings)
        self.trunk = torchvision.models.resnet18()
        self.trunk.conv1 = nn.Conv2d(3, 64, 7, padding=3, bias=False)
        self.trunk.maxpool = self.trunk.avgpool = self.trunk.fc = nn.Identity()
        for layer in (self.trunk.layer2, self.trunk.layer3, self.trunk.layer4):
            layer[0].conv1.stride = layer[0].downsample[0].stride = (2, 1)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Give logits, (batch, frames, phones), of features, (batch, frames, 39)."""
        image = features.unflatten(2, (3, 13)).permute(0, 2, 3, 1)
        image = F.relu(self.trunk.bn1(self.trunk.conv1(image)))
        for layer in (self.trunk.layer1, self.trunk.layer2, self.trunk.layer3, self.trunk.layer4):
            image = layer(image)
        return super().forward(image.permute(0, 3, 1, 2).flatten(2), lengths)


class PlainCNN(nn.Module):
    """Dilated convolutions with batch norm and residual connections, of the CNN's default size."""

    def __init__(self, dim: int = 256, num_blocks: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Conv1d(39, dim, 5, padding=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(dim),
                nn.Conv1d(dim, dim, 5, padding=2 * dilation, dilation=dilation),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Conv1d(dim, dim, 1),
            )
            for dilation in (1, 2, 4, 8) * (num_blocks // 4)
        )
        self.head = nn.Linear(dim, NUM_PHONES)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Give logits, (batch, frames, phones), of features, (batch, frames, 39)."""
        hidden = self.stem(features.transpose(1, 2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.head(hidden.transpose(1, 2))


class PlainTransformer(nn.Module):
    """nn.TransformerEncoder behind two convolutions, of the Transformer's default size."""

    def __init__(self, dim: int = 256, num_layers: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(39, dim, 5, padding=2), nn.GELU(), nn.Conv1d(dim, dim, 5, padding=2)
        )
        layer = nn.TransformerEncoderLayer(
            dim, 4, 4 * dim, dropout, F.gelu, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.head = nn.Linear(dim, NUM_PHONES)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Give logits, (batch, frames, phones), of features, (batch, frames, 39)."""
        hidden = self.stem(features.transpose(1, 2)).transpose(1, 2)
        frames = torch.arange(features.shape[1], device=features.device)
        padding = frames >= lengths[:, None]
        return self.head(self.encoder(hidden, src_key_padding_mask=padding))


def plain_net(name: str, **settings: Any) -> nn.Module:
    """Make the plain net that has the size of our backbone of this name."""
    nets: dict[str, type[nn.Module]] = {
        "RNN": PlainRNN,
        "CRNN": PlainCRNN,
        "CNN": PlainCNN,
        "Transformer": PlainTransformer,
    }
    return nets[name](**settings)


class PlainClassifier(LightningModule):
    """Cross-entropy and AdamW over a plain net.

    Args:
        net: gives logits, (batch, frames, phones), of features and lengths.
        lr: learning rate.
        weight_decay: of all parameters.
    """

    def __init__(self, net: nn.Module, lr: float = 2e-3, weight_decay: float = 0.01) -> None:
        super().__init__()
        self.net, self.lr, self.weight_decay = net, lr, weight_decay

    def forward(self, batch: Batch) -> Tensor:
        """Give logits, (batch, frames, phones)."""
        return self.net(batch.features, batch.lengths)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Give the mean loss of the labelled frames."""
        logits, labels = self(batch).flatten(0, 1), batch.labels.flatten()
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORE_LABEL)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give AdamW as it comes."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
