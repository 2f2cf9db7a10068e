"""The Lightning trainer, with a precision that suits the machine by itself."""

from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator

__all__ = ["PhonemeTrainer", "automatic_precision"]

Precision = Literal["auto", "bf16-mixed", "16-mixed", "32-true", "bf16-true", "64-true"]


def automatic_precision(device_type: str) -> Precision:
    """Choose the fastest precision that trains these nets well on this machine.

    Args:
        device_type: "cuda", "cpu" or another of PyTorch's.

    Returns:
        bf16-mixed where the hardware multiplies bf16, 16-mixed (with a scaler) on other GPUs,
        else 32-true.
    """
    if device_type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device_type == "cpu":
        # Private in torch, so asked for with care: without an answer fp32 is always right.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if any(getattr(torch.cpu, name, lambda: False)() for name in names):
            return "bf16-mixed"
    return "32-true"


class PhonemeTrainer(Trainer):
    """Lightning's trainer, but for `precision` and the way in which it ends.

    Args:
        precision: what to calculate in; auto takes bf16-mixed where the hardware has it, 16-mixed
            on a GPU that has not, and 32-true elsewhere.
    """

    def __init__(self, *, precision: Precision = "auto", **kwargs: Any) -> None:
        if precision == "auto":
            precision = automatic_precision(_device_type(kwargs.get("accelerator", "auto")))
        super().__init__(precision=precision, **kwargs)


def _device_type(accelerator: Any) -> str:
    if accelerator in ("auto", "gpu", "cuda") and CUDAAccelerator.is_available():
        return "cuda"
    return "cpu" if accelerator in ("auto", "cpu") or isinstance(accelerator, CPUAccelerator) else str(accelerator)
