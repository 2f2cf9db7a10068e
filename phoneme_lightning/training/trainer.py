"""The Lightning trainer, with a precision that suits the machine by itself."""

from typing import Any, Literal, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import Accelerator, CUDAAccelerator

__all__ = ["PhonemeTrainer", "Precision", "resolve_precision"]

Precision = Literal["auto", "bf16-mixed", "16-mixed", "32-true"]


def resolve_precision(precision: Precision, accelerator: str | Accelerator = "auto") -> Precision:
    """Say what "auto" means on this machine: the fastest precision that trains these nets well.

    Args:
        precision: as asked for.
        accelerator: as the trainer gets it.

    Returns:
        For "auto": bf16-mixed where the hardware multiplies bf16, 16-mixed (with a scaler) on
        other GPUs, else 32-true. What is asked for otherwise.
    """
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and CUDAAccelerator.is_available():
        return (
            "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
        )
    # Private in torch, so asked for with care: without an answer fp32 is always right.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    has_bf16 = any(getattr(torch.cpu, name, lambda: False)() for name in names)
    return "bf16-mixed" if has_bf16 and accelerator in ("auto", "cpu") else "32-true"


class PhonemeTrainer(Trainer):
    """Lightning's trainer, but for `precision`.

    Args:
        precision: what to calculate in; auto takes bf16-mixed where the hardware has it, 16-mixed
            on a GPU that has not, and 32-true elsewhere.
    """

    def __init__(self, *, precision: Precision = "auto", **kwargs: Any) -> None:
        resolved = resolve_precision(precision, kwargs.get("accelerator", "auto"))
        super().__init__(precision=cast(Any, resolved), **kwargs)
