"""The Lightning trainer, with a precision that suits the machine by itself."""

from typing import Any, Literal, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import Accelerator, CUDAAccelerator

from phoneme_lightning.errors import InputError

__all__ = [
    "AUTOCAST",
    "TRAINER_DEFAULTS",
    "PhonemeTrainer",
    "Precision",
    "allow_tf32",
    "check_options",
    "resolve_precision",
]

TRAINER_DEFAULTS = {
    "devices": 1,
    "max_steps": 2_000,
    "val_check_interval": 500,
    "check_val_every_n_epoch": None,
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "enable_autolog_hparams": False,
    "enable_model_summary": False,
}

Precision = Literal["auto", "bf16-mixed", "16-mixed", "32-true"]

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Precision -> what autocast calculates in; nothing for 32-true."""


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


def allow_tf32(allowed: bool) -> None:
    """Choose what fp32 products, convolutions and recurrent layers on a GPU are calculated in.

    (By the older of PyTorch's two ways to say so: Lightning reads that one, which fails once the
    newer was used.)

    Args:
        allowed: TF32, with 10 bits of mantissa and many times the rate, in place of all 23 bits.
    """
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


def check_options(options: Any) -> None:
    """Refuse settings of the trainer that would fail late or go wrong.

    Args:
        options: the `trainer` section of the config.

    Raises:
        InputError: it names the key.
    """
    if options.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise InputError(
            f"trainer.accelerator is {options.accelerator!r}, but PyTorch finds no GPU here: "
            "leave it out, or give cpu"
        )
    if options.max_steps == 0:
        raise InputError("trainer.max_steps is 0: give at least 1, or -1 with trainer.max_epochs")


class PhonemeTrainer(Trainer):
    """Lightning's trainer, but for `precision` and `compile`; several devices must be asked for.

    Args:
        precision: what to calculate in; auto takes bf16-mixed where the hardware has it, 16-mixed
            on a GPU that has not, and 32-true elsewhere. What stays fp32 is TF32 on a GPU, but
            not where 32-true is asked for.
        compile: make kernels for a fit by torch.compile, of a Transformer's layers, a Conformer's
            branches and a CRNN's norms, where that works; the first steps take a minute longer.
    """

    def __init__(
        self, *, precision: Precision = "auto", compile: bool = False, **kwargs: Any
    ) -> None:
        if kwargs.get("devices") == "auto":
            kwargs["devices"] = 1
        resolved = resolve_precision(precision, kwargs.get("accelerator", "auto"))
        super().__init__(precision=cast(Any, resolved), **kwargs)
        self.compile = compile
        if isinstance(self.accelerator, CUDAAccelerator):
            allow_tf32(resolved != "32-true")
