"""Schedules at another length: what the playbook says, against the schedules themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.sweep.drafts.carry import lengthen, scale_interval
from phoneme_lightning.training.optimizers import schedule_factor


def rates(settings, steps):
    factor = schedule_factor(
        settings["model.schedule"],
        settings["model.warmup_steps"],
        steps,
        settings.get("model.decay_steps"),
    )
    return [factor(step) for step in range(steps)]


@given(st.integers(0, 20), st.integers(40, 100), st.integers(1, 300))
def test_a_linear_decay_keeps_its_length_and_grows_in_front(warmup, before, more):
    settings = {"model.schedule": "linear", "model.warmup_steps": warmup}
    changes, _ = lengthen(settings, before, before + more)
    short, long = rates(settings, before), rates({**settings, **changes}, before + more)
    assert long[:warmup] == short[:warmup]
    assert long[warmup : warmup + more] == [1.0] * more
    assert long[warmup + more :] == pytest.approx(short[warmup:])


@given(st.integers(0, 20), st.integers(40, 100), st.integers(1, 300))
def test_a_cosine_is_stretched(warmup, before, more):
    settings = {"model.schedule": "cosine", "model.warmup_steps": warmup}
    changes, reasons = lengthen(settings, before, before + more)
    assert not changes
    assert "stretched" in reasons["model.schedule"]


def test_a_cosine_that_begins_late_is_stretched_too():
    settings = {"model.schedule": "cosine", "model.warmup_steps": 10, "model.decay_steps": 45}
    assert lengthen(settings, 100, 190)[0] == {"model.decay_steps": 90}


def test_a_decay_that_no_longer_fits_is_cut_and_a_warmup_keeps_its_share():
    settings = {"model.schedule": "linear", "model.warmup_steps": 10, "model.decay_steps": 80}
    changes, _ = lengthen(settings, 100, 50)
    assert changes == {"model.warmup_steps": 5, "model.decay_steps": 45}


def test_as_many_validations_as_before():
    assert scale_interval(60, 600, 1200) == 120
    assert scale_interval(1, 600, 200) == 1
