"""What is decayed, how fast we learn when: parameter groups and learning-rate schedules."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from phoneme_lightning.errors import InputError

__all__ = [
    "Schedule",
    "drop_gradients",
    "keep_new_settings",
    "parameter_groups",
    "schedule_factor",
    "use_fused_kernels",
]

Schedule = Literal["constant", "linear", "cosine"]


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Part the parameters into those that weight decay may shrink and those that it may not.

    Norms and biases, that is all parameters of fewer than two dimensions, are not decayed.

    Args:
        module: what is trained.

    Returns:
        Two parameter groups for an optimizer; the second has weight_decay 0.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2]},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def schedule_factor(
    schedule: Schedule, warmup_steps: int, total_steps: float, decay_steps: int | None = None
) -> Callable[[int], float]:
    """Give the learning rate as a share of its peak, step by step.

    It rises in a straight line over the warmup, then stays, or falls until the step after the
    last would have 0.

    Args:
        schedule: the shape after the warmup.
        warmup_steps: steps of the rise.
        total_steps: steps of the whole fit, the warmup among them.
        decay_steps: the last steps, over which it falls; all after the warmup if None.

    Returns:
        A function from the step (0 is the first) to a factor from 0 to 1.
    """
    decayed_from = warmup_steps
    if decay_steps is not None:
        decayed_from = max(warmup_steps, int(total_steps) - decay_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        if schedule == "constant" or step < decayed_from:
            return 1.0
        left = min(1.0, (step - decayed_from) / max(1.0, total_steps - decayed_from))
        return 1.0 - left if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * left))

    return factor


def use_fused_kernels(optimizer: Optimizer) -> None:
    """Let the Adam family read and write everything once, in one kernel, on a CPU or a GPU.

    An optimizer whose `fused` or `foreach` was chosen in the config is left as it is.
    """
    for group in optimizer.param_groups:
        fusible = all(
            x.device.type in ("cpu", "cuda") and x.is_floating_point() for x in group["params"]
        )
        if isinstance(optimizer, Adam) and fusible and group["fused"] is group["foreach"] is None:
            group["fused"] = True


def drop_gradients(gradients: list[Tensor], lost: Tensor) -> None:
    """Set all gradients to zero where they are lost: in a few kernels, and waiting for no GPU.

    Args:
        gradients: all float32, of one device; changed in place.
        lost: (), bool, on that device.
    """
    # Zero times NaN is NaN, but nothing is left of its bits times zero.
    torch._foreach_mul_([gradient.view(torch.int32) for gradient in gradients], (~lost).int())


def keep_new_settings(checkpoint: dict[str, Any], fresh: Optimizer) -> None:
    """Put the settings that a fit was started with over those in a checkpoint.

    PyTorch restores learning rate, weight decay and the rest along with the moments, so that a
    resumed fit would silently go on with the old ones.

    Args:
        checkpoint: Lightning's, with one optimizer and one LambdaLR; changed in place.
        fresh: an optimizer as the config of this fit makes it.

    Raises:
        InputError: the checkpoint's optimizer is of another kind.
    """
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    for old, new in zip(groups, fresh.param_groups, strict=True):
        if old.keys() - {"initial_lr"} != new.keys():
            raise InputError(
                "model.optimizer is another kind than the checkpoint's and cannot use its state: "
                "leave it out, or begin a new fit without ckpt_path"
            )
        if new["lr"] != old["initial_lr"]:
            old["lr"] *= new["lr"] / old["initial_lr"]
            old["initial_lr"] = new["lr"]
        settings = new.keys() - {"params", "lr", "fused", "foreach"}
        old.update({name: new[name] for name in settings})
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["initial_lr"] for group in groups]
