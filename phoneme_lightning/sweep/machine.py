"""What this machine can run at once."""

import os
import subprocess

__all__ = ["count_cores", "count_gpus"]


def count_cores() -> int:
    """Count the CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def count_gpus() -> int:
    """Count the NVIDIA GPUs that this process may use, without a word to CUDA.

    A process that has asked CUDA anything can fork no process that uses it.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU") for line in listed.stdout.splitlines())
