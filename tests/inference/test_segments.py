"""Segments of any frames fill the recording; decoding anything gives a valid segmentation."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from phoneme_lightning.inference import segments as module
from phoneme_lightning.inference.decoding import Decoder, PhoneModel
from phoneme_lightning.inference.segments import segments
from phoneme_lightning.inference.viterbi import OnlineViterbi

NAMES = "abcdef"

posteriors = array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(
    lambda shape: arrays(
        np.float32,
        (shape[0], 2 + shape[1] % 5),
        elements=st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0]),
    )
)


@given(
    weights=posteriors,
    shortest=st.lists(st.integers(1, 5), min_size=6, max_size=6),
    decoder=st.builds(Decoder, st.floats(0, 5), st.floats(0, 1)),
    block=st.integers(1, 40),
    tail=st.floats(0, 0.01),
)
def test_any_posteriors_decode_to_a_valid_segmentation(weights, shortest, decoder, block, tail):
    frames, count = weights.shape
    probabilities = (weights + 1e-6) / (weights + 1e-6).sum(axis=1, keepdims=True)
    flat = np.full(count, -np.log(count), dtype=np.float32)
    log_next = np.full((count, count), -np.log(count), dtype=np.float32)
    np.fill_diagonal(log_next, -np.inf)
    shortest = np.array(shortest[:count])
    online = OnlineViterbi(PhoneModel(flat, flat, log_next, shortest), decoder)
    logs = np.log(probabilities)
    pushed = [online.push(logs[i : i + block]) for i in range(0, frames, block)]
    classes = np.concatenate([*pushed, online.finish()])
    seconds = 0.010 * (frames - 1) + 0.025 + tail
    of_class = probabilities[np.arange(frames), classes]
    found = list(segments(classes, of_class, NAMES[:count], seconds))
    assert (found[0].begin, found[-1].end) == (0, seconds)
    assert all(
        one.end == other.begin and one.phone != other.phone for one, other in pairwise(found)
    )
    assert all(0 <= segment.confidence <= 1 + 1e-6 for segment in found)
    # Only the first may be cut; the last one also has what lies behind its last frame.
    for segment in found[1:]:
        least = shortest[NAMES.index(segment.phone)]
        assert segment.end - segment.begin > 0.010 * least - 1e-9


def test_borders_lie_midway_between_centres_and_confidences_are_means():
    classes, sure = np.array([1, 1, 0, 0, 0, 1]), np.array([0.5, 0.7, 1, 0.8, 0.6, 0.9])
    one, two, three = segments(classes, sure.astype(np.float32), "xy", 0.08)
    # Frame t has its centre at 12.5 + 10 t milliseconds.
    assert [x.phone for x in (one, two, three)] == ["y", "x", "y"]
    borders = [one.begin, one.end, two.end, three.end]
    assert borders == pytest.approx([0, 0.0275, 0.0575, 0.08])
    assert [x.confidence for x in (one, two, three)] == pytest.approx([0.6, 0.8, 0.9])


@given(draw=st.integers(0, 2**32 - 1), frames=st.integers(1, 60), size=st.integers(1, 20))
def test_segments_are_the_same_in_whatever_pieces_the_frames_are_read(draw, frames, size):
    draw = np.random.default_rng(draw)
    classes = np.repeat(draw.integers(0, 3, frames), draw.integers(1, 9, frames))
    sure = draw.random(len(classes), dtype=np.float32)
    whole = list(segments(classes, sure, "xyz", 9.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FRAMES_AT_ONCE", size)
        parts = list(segments(classes, sure, "xyz", 9.0))
    assert parts == whole
    edges = np.flatnonzero(np.diff(classes)) + 1
    assert len(whole) == len(edges) + 1
    assert [x.phone for x in whole] == ["xyz"[classes[edge]] for edge in [0, *edges]]
