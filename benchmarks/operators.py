"""What a training step does, operator by operator: bytes moved, and where the time goes."""

import re
from collections import Counter
from typing import Any

from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Traffic", "make_profile", "time_by_group"]

GROUPS = {
    "optimizer": "adam|_foreach|optimizer|lerp|addcdiv|addcmul|vector_norm",
    "recurrent": "rnn|lstm|gru",
    "convolution": "conv",
    "attention": "attention|softmax",
    "dropout": "dropout|bernoulli|random|exponential",
    "normalisation": "norm",
    "matrix products": r"(^|::|_)(add|b|badd)?mm|linear|gemm|matmul|cutlass|ampere|sm\d\d_",
    "copies": "copy|cat|index|gather|clone|contiguous|reorder|memcpy|memset|zero|fill|where",
}
"""Group -> what the name of its operators and kernels holds; the first that fits counts."""


class Traffic(TorchDispatchMode):
    """Add up the bytes of the tensors that operators take and give; views move nothing.

    Each operator counts as if no cache held its tensors, and as if it read and wrote each once, so
    this is an estimate: one from above where caches help, one from below inside a fused operator.

    Attributes:
        bytes: in all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator, and count it."""
        result = func(*args, **(kwargs or {}))
        if not (func.is_view or "empty" in func.__name__ or "detach" in func.__name__):
            tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return result


def make_profile(device: str) -> profile:
    """Make a profiler of the CPU, or of the GPU's kernels."""
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    return profile(activities=kinds)


def time_by_group(seen: profile, device: str) -> dict[str, float]:
    """Give each group's share of the time that operators take, by themselves.

    Args:
        seen: a profile that is over.
        device: "cpu", or "cuda" for the time on the GPU.

    Returns:
        Shares, the largest first; "other" is what fits no group.
    """
    shares: Counter[str] = Counter()
    for event in seen.key_averages():
        on_gpu = event.self_device_time_total
        taken = on_gpu if device == "cuda" else event.self_cpu_time_total
        name = event.key.lower()
        fits = (group for group, pattern in GROUPS.items() if re.search(pattern, name))
        shares[next(fits, "other")] += taken
    total = sum(shares.values())
    return {group: taken / total for group, taken in shares.most_common()}
