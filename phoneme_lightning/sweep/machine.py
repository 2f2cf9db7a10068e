"""What this machine can run at once."""

import os
import subprocess

from phoneme_lightning.sweep.round import Round

__all__ = ["count_cores", "list_gpus", "trials_at_once"]

BYTES_A_TRIAL = 3 * 2**30
"""Memory that a fit of the shipped rounds takes on a CPU, and some to spare."""


def count_cores() -> int:
    """Count the CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def list_gpus() -> list[str]:
    """Name the NVIDIA GPUs that this process may use, without a word to CUDA.

    A process that has asked CUDA anything can fork no process that uses it.

    Returns:
        What CUDA_VISIBLE_DEVICES may be set to, a GPU each.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU")]
    return [str(index) for index in range(len(found))]


def trials_at_once(round: Round) -> int:
    """Give how many trials of a round this machine runs at once."""
    if round.budget.parallel != "auto":
        return round.budget.parallel
    cores = count_cores() // round.budget.threads
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return len(list_gpus()) or max(1, min(cores, memory // BYTES_A_TRIAL))
