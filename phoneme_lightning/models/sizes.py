"""What sizes a backbone can have, told to whoever writes its config."""

from phoneme_lightning.errors import InputError

__all__ = ["check_heads", "check_kernel_size"]


def check_heads(dim: int, num_heads: int) -> None:
    """Raise InputError unless dim is an even multiple of num_heads, as rotary positions need."""
    if dim % (2 * num_heads):
        raise InputError(
            f"model.backbone.init_args.dim is {dim}: it must be an even multiple of num_heads "
            f"({num_heads}), such as {64 * num_heads}"
        )


def check_kernel_size(kernel_size: int) -> None:
    """Raise InputError unless kernel_size is odd."""
    if kernel_size % 2 == 0:
        raise InputError(
            f"model.backbone.init_args.kernel_size is {kernel_size}: it must be odd, so that "
            f"a frame looks equally far both ways, such as {kernel_size + 1}"
        )
