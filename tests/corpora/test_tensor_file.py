"""A feature file is believed only when it is whole."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.corpora.quarantine import Damage
from phoneme_lightning.corpora.tensor_file import fit_delta_map, read_tensor

DRAW = np.random.default_rng(0)
MAP = DRAW.normal(size=(13, 26)) / 13**0.5
CEPSTRA = DRAW.normal(size=(30, 13))
FEATURES = np.hstack([CEPSTRA, CEPSTRA @ MAP]).astype(np.float32)


def saved(features):
    file = io.BytesIO()
    torch.save(torch.from_numpy(features), file)
    return file.getvalue()


@given(st.integers(0, len(saved(FEATURES)) - 1), st.integers(1, 255))
def test_no_flipped_byte_changes_what_is_believed(tmp_path_factory, position, bits):
    content = bytearray(saved(FEATURES))
    content[position] ^= bits
    path = tmp_path_factory.mktemp("flip") / "x.pt"
    path.write_bytes(bytes(content))
    try:
        features = read_tensor(path)
    except Damage:
        return
    assert (features == FEATURES).all()  # the byte was padding, or a date


@given(st.integers(0, len(saved(FEATURES)) - 1))
def test_no_truncated_file_is_believed(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "x.pt"
    path.write_bytes(saved(FEATURES)[:length])
    with pytest.raises(Damage, match="broken archive"):
        read_tensor(path)


@pytest.mark.parametrize("frames", [1, 2, 13, 14, 30])
def test_the_map_gives_the_derived_dimensions_back(frames):
    features = FEATURES[:frames]
    np.testing.assert_allclose(
        features[:, :13] @ fit_delta_map(features), features[:, 13:], atol=1e-5
    )


def test_the_map_is_found_where_a_coefficient_never_moves():
    features = FEATURES.copy()
    features[:, 5] = 0
    features[:, 13:] = features[:, :13] @ MAP.astype(np.float32)
    found = fit_delta_map(features)
    np.testing.assert_allclose(features[:, :13] @ found, features[:, 13:], atol=1e-5)
    assert np.abs(found).max() < 10


@pytest.mark.parametrize("dimension", [13, 25, 38])
def test_one_dimension_that_does_not_follow_is_named(dimension):
    features = FEATURES.copy()
    features[:, dimension] = features[:, dimension][::-1]
    with pytest.raises(Damage, match=f"deltas not linear: dimension {dimension} "):
        fit_delta_map(features)
