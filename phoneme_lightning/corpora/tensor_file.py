"""One libriphone feature file: a tensor saved by torch.save, believed only after every check."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.quarantine import Damage

__all__ = ["CEPSTRA", "COEFFICIENTS", "fit_delta_map", "read_tensor"]

CEPSTRA = 13
COEFFICIENTS = 39

_LARGEST = 32.0
"""Of T numbers normalised to mean 0 and standard deviation 1 none lies beyond sqrt(T - 1)
(Samuelson 1968, "How deviant can you be?"): 32 covers 1,025 frames, longer than any utterance of
the corpus. Speech itself stays below 10; features that nobody normalised do not."""

_RESIDUAL = 0.02
"""Root mean square, in standard deviations, that the map may leave in any dimension, which is
R2 = 0.9996. float32 arithmetic leaves 1e-6, temporal deltas would leave nearly 1."""


def read_tensor(path: Path) -> np.ndarray:
    """Read a feature file and check all that can be checked without its labels.

    Args:
        path: a .pt file.

    Returns:
        (frames, 39), float32.

    Raises:
        Damage: the file is missing or broken, or holds something else.
    """
    import torch

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Damage("missing file") from None
    except OSError as error:
        raise Damage("unreadable file", str(error.strerror)) from error
    _verify_archive(content)
    try:
        tensor = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign pickle may raise
        raise Damage("not a tensor", (str(error).splitlines() or [""])[0]) from error
    if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
        raise Damage("not a tensor", type(tensor).__name__)
    if tensor.dtype is not torch.float32:
        raise Damage("not float32", str(tensor.dtype))
    if tensor.ndim != 2 or tensor.shape[0] < 1 or tensor.shape[1] != COEFFICIENTS:
        raise Damage("wrong shape", f"{tuple(tensor.shape)}, not (frames, {COEFFICIENTS})")
    if not tensor.is_contiguous():
        raise Damage("not contiguous", f"strides {tensor.stride()}")
    features: np.ndarray = tensor.detach().numpy()
    largest = float(np.abs(features).max())
    if not math.isfinite(largest):
        raise Damage("not finite")
    if largest > _LARGEST:
        raise Damage("implausible range", f"{largest:.4g}, normalised features end at {_LARGEST:g}")
    return features


def _verify_archive(content: bytes) -> None:
    # torch.load ignores the checksums: some broken members come back as absurd values.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            broken = archive.testzip()
    except Exception as error:  # whatever zipfile raises over damaged headers
        raise Damage("broken archive", str(error)) from error
    if broken is not None:
        raise Damage("checksum mismatch", broken)


def fit_delta_map(features: np.ndarray) -> np.ndarray:
    """Find how dimensions 13-38 follow from dimensions 0-12 of the same frame.

    The corpus took its deltas across the coefficients of a frame and not across time, so they
    say nothing new. Least squares proves that from 14 frames on; fewer fit any map.

    Args:
        features: (frames, 39), float32, finite.

    Returns:
        (13, 26), float32: `features[:, :13] @ map` gives `features[:, 13:]` back.

    Raises:
        Damage: they do not follow.
    """
    cepstra, derived = np.split(features.astype(np.float64), [CEPSTRA], axis=1)
    # The normal equations, since they are small and well conditioned; lstsq for short utterances.
    delta_map = np.linalg.lstsq(cepstra.T @ cepstra, cepstra.T @ derived, rcond=1e-10)[0]
    residuals = np.sqrt(np.square(cepstra @ delta_map - derived).mean(axis=0))
    worst = int(residuals.argmax())
    if residuals[worst] > _RESIDUAL:
        raise Damage(
            "deltas not linear",
            f"dimension {CEPSTRA + worst} is off by {residuals[worst]:.3g} standard deviations",
        )
    return delta_map.astype(np.float32)
