"""What a fit ran on: versions, the sources, the corpus and its splits, the machine."""

import hashlib
import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phoneme_lightning import __version__
from phoneme_lightning.corpora.info import describe_splits

if TYPE_CHECKING:
    import torch

    from phoneme_lightning.data import PhonemeDataModule

__all__ = ["GitState", "device_name", "git_state", "write_environment"]

LARGEST_DIFF_BYTES = 1_000_000


@dataclass(frozen=True)
class GitState:
    """The state of the sources: the commit, and whether tracked files differ from it."""

    commit: str
    dirty: bool

    def __str__(self) -> str:
        return f"git {self.commit}" + (" with uncommitted changes" if self.dirty else "")


def _git(*words: str) -> bytes:
    # Without locks: many fits may look at one checkout while somebody commits to it.
    command = ["git", "--no-optional-locks", *words]
    sources = Path(__file__).parent
    done = subprocess.run(command, cwd=sources, capture_output=True, check=True, timeout=10)
    return done.stdout


def git_state() -> GitState | None:
    """Look at the checkout that the sources stand in; None where they stand in none."""
    try:
        lines = _git("status", "--porcelain=v2", "--branch", "--untracked-files=no").decode()
    except (OSError, subprocess.SubprocessError):
        return None
    header, *rest = lines.splitlines()
    return GitState(header.split()[-1], any(not line.startswith("#") for line in rest))


def write_environment(
    folder: Path,
    git: GitState | None,
    data: "PhonemeDataModule",
    device: "torch.device",
    precision: str,
) -> None:
    """Write environment.json, and git.diff where tracked files were changed and not committed.

    Args:
        folder: the run's folder.
        git: as `git_state` gives it.
        data: the corpus, and how it is split.
        device: what is calculated on.
        precision: what is calculated in.
    """
    import lightning  # here, since a look at the sources needs none of them
    import torch
    import torchmetrics

    store = data.store
    environment: dict[str, Any] = {
        "versions": {
            "phoneme_lightning": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "torchmetrics": torchmetrics.__version__,
            "numpy": np.__version__,
        },
        "git": {**asdict(git), "diff": _write_diff(folder, git)} if git else None,
        "corpus": {
            "name": store.corpus,
            "manifest_sha256": hashlib.sha256(
                (store.path / "manifest.json").read_bytes()
            ).hexdigest(),
        },
        "splits": {"by": data.split, **describe_splits(store, data.split)},
        "host": platform.node(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }
    text = json.dumps(environment, indent=2)
    (folder / "environment.json").write_text(text + "\n", encoding="utf-8")


def _write_diff(folder: Path, git: GitState) -> str | None:
    """Write git.diff; give its name, or why there is none."""
    file = folder / "git.diff"
    file.unlink(missing_ok=True)
    if not git.dirty:
        return None
    try:
        diff = _git("diff", "HEAD", "--binary", "--no-ext-diff", "--no-color")
    except (OSError, subprocess.SubprocessError) as error:
        return f"left out: {error}"
    if len(diff) > LARGEST_DIFF_BYTES:
        return f"left out: {len(diff):,} bytes are more than {LARGEST_DIFF_BYTES:,}"
    file.write_bytes(diff)
    return file.name


def device_name(device: "torch.device") -> str:
    """Give what the maker calls a device."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
