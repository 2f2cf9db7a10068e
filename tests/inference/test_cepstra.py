"""A long recording's features, against those of a frame store; what is too short; memory."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.audio import extract, frame_count
from phoneme_lightning.data.module import prepare
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference import cepstra as module
from phoneme_lightning.inference.cepstra import Spool, cepstra_of


def noise(samples, seed=0):
    """Give noise whose loudness and colour change."""
    draw = np.random.default_rng(seed)
    loudness = 1 + np.sin(np.arange(samples) / 1900)
    return (0.1 * loudness * np.cumsum(draw.normal(size=samples)) % 1 - 0.5).astype(np.float32)


@given(
    samples=st.integers(400, 20_000),
    block=st.integers(1, 9_000),
    at_once=st.integers(1, 50),
    silent=st.booleans(),
)
def test_the_parts_are_those_of_the_whole_however_it_is_read(samples, block, at_once, silent):
    sound = np.zeros(samples, dtype=np.float32) if silent else noise(samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FRAMES_AT_ONCE", at_once)
        found = cepstra_of("x", [sound[i : i + block] for i in range(0, samples, block)])
    stored = torch.from_numpy(extract(sound))
    expected = prepare(Batch.collate([stored], [None], [0]), "temporal").features[0]
    assert len(found) == frame_count(samples)
    assert found.seconds == samples / 16_000
    middle = len(found) // 2
    parts = torch.cat([found.inputs(0, middle), found.inputs(middle, len(found))])
    assert torch.allclose(parts, expected, atol=2e-3)


@pytest.mark.parametrize("samples", [1, 399])
def test_less_than_a_frame_is_refused_by_name(samples):
    with pytest.raises(InputError, match=r"a\.wav: shorter than a frame \(.* of 25 ms\)"):
        cepstra_of("a.wav", [noise(samples)])


def test_memory_does_not_grow_with_the_recording(monkeypatch):
    monkeypatch.setattr(module, "FRAMES_AT_ONCE", 100)
    block = noise(16_000 * 2)

    def peak(blocks):
        tracemalloc.start()
        try:
            cepstra_of("x", (block for _ in range(blocks)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(12) < 1.02 * peak(4)


def test_a_spool_gives_back_what_went_in():
    for rows in ([], [[1, 2]], [[1, 2], [3, 4], [5, 6]]):
        with Spool(np.uint8, 2) as spool:
            for row in rows:
                spool.append(np.array([row]))
            found = spool.rows()
        assert found.tolist() == rows
        assert found.shape == (len(rows), 2)
