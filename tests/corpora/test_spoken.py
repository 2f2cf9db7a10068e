"""The built-in corpus: the same bytes every time, and labels that lie where the sound changes."""

import numpy as np
import pytest

from phoneme_lightning.corpora.audio import frame_centres
from phoneme_lightning.corpora.espeak import Event, Speaker
from phoneme_lightning.corpora.espeak_phones import find_segments, to_phones
from phoneme_lightning.corpora.recital import recite, record
from phoneme_lightning.corpora.spoken import prepare_spoken
from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.corpora.voices import VOICES, Voice, sentences_of
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import NUM_PHONES, PHONES, SILENCE

ACCENTS = sorted({voice.accent for voice in VOICES})


@pytest.fixture
def store(spoken_store):
    return spoken_store


def names(segments):
    return [PHONES[phone] for phone in segments.classes]


def test_every_run_gives_the_same_bytes_for_any_number_of_workers(store, tmp_path):
    again = FrameStore(prepare_spoken(tmp_path / "s", minutes=3, workers=3))
    assert again.manifest == store.manifest
    assert again.manifest["settings"]["versions"]["espeak-ng"].startswith("1.")


def test_the_store_holds_all_voices_and_about_the_minutes_asked_for(store):
    assert store.corpus == "spoken"
    assert sorted(set(store.speakers)) == sorted(voice.name for voice in VOICES)
    assert len(set(store.ids)) == len(store)
    assert 3 * 6000 <= len(store.features) <= 4 * 6000
    assert np.isfinite(store.features).all()


@pytest.mark.parametrize("scheme", ["utterance", "speaker"])
def test_splits_share_neither_voices_nor_sentences(store, scheme):
    speakers = np.array(store.speakers)
    voices = [set(speakers[store.split(scheme, split)]) for split in SPLITS]
    sentences = [set(sentences_of(split)) for split in SPLITS]
    assert [len(split) for split in voices] == [16, 4, 4]
    assert sum(map(len, sentences)) == len(set.union(*sentences)) >= 500
    assert sum(map(len, voices)) == len(set.union(*voices))


def test_sentences_have_4_to_14_words():
    lengths = [len(text.split()) for split in SPLITS for text in sentences_of(split)]
    assert min(lengths) >= 4
    assert max(lengths) <= 14


def test_train_has_every_class_but_spoken_noise(store):
    train = np.concatenate([store[i].labels for i in store.split("utterance", "train")])
    counts = np.bincount(train, minlength=NUM_PHONES)
    assert [PHONES[phone] for phone in np.flatnonzero(counts == 0)] == ["SPN"]


def test_silence_is_weaker_than_speech_in_every_utterance(store):
    for utterance in (store[i] for i in range(len(store))):
        is_silence = utterance.labels == SILENCE
        loudness = utterance.features[:, 0]
        assert loudness[is_silence].mean() < loudness[~is_silence].mean() - 0.5, utterance.id


def test_features_change_most_where_labels_do(store):
    change = np.linalg.norm(np.diff(store.features, axis=0), axis=1)
    inner = np.flatnonzero(np.diff(store.labels))
    inner = inner[(inner > 5) & (inner < len(change) - 5)]
    around = {shift: change[inner + shift].mean() for shift in range(-4, 5)}
    assert max(around, key=around.__getitem__) == 0


@pytest.mark.parametrize("accent", ACCENTS)
def test_the_spectrum_changes_within_5_ms_of_an_event(accent):
    voice = Voice("test", accent, "m3", words_per_minute=160, pitch=50)
    speaker = Speaker(accent, voice.variant, words_per_minute=160, pitch=50)
    millisecond = speaker.sample_rate // 1000
    offsets_ms = []
    for text in sentences_of("test")[:12]:
        samples, events = speaker.speak(text)
        starts = find_segments(events, len(samples), rhotic=voice.rhotic).starts[2:]
        for start in starts[(starts > 2000) & (starts < len(samples) - 2000)].astype(int):
            shifts_ms = np.arange(-20, 21)
            changes = [spectral_change(samples, start + shift * millisecond) for shift in shifts_ms]
            offsets_ms.append(abs(shifts_ms[np.argmax(changes)]))
    assert len(offsets_ms) > 200
    assert np.median(offsets_ms) <= 5


def spectral_change(samples: np.ndarray, at: int, width: int = 220) -> float:
    """Compare the log spectra of the 10 ms before and after a sample."""
    before, after = (
        np.log(np.abs(np.fft.rfft(part * np.hanning(width))).reshape(-1)[1:81:2] + 30)
        for part in (samples[at - width : at], samples[at : at + width])
    )
    return float(np.linalg.norm(after - before))


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_mnemonic_of_every_sentence_is_in_the_table(accent):
    # A variant changes the timbre, not the phonemes; fast speech has them all in half the time.
    voice = next(voice for voice in VOICES if voice.accent == accent)
    speaker = Speaker(accent, voice.variant, words_per_minute=300, pitch=50)
    for text in (text for split in SPLITS for text in sentences_of(split)):
        samples, events = speaker.speak(text)
        segments = find_segments(events, len(samples), rhotic=voice.rhotic)
        assert np.all(np.diff(segments.starts) >= 0)
        assert len(segments.starts) > 5


def test_an_unknown_mnemonic_is_named():
    with pytest.raises(ValueError, match=r"'Q\^'"):
        find_segments([Event("Q^", 0)], 100, rhotic=True)
    assert set(to_phones("3", rhotic=True) + to_phones("3", rhotic=False)) == {"ER", "AH"}


def test_events_become_segments():
    events = [Event("'A@", 100), Event("_:", 300), Event(",i:", 300), Event(";", 400)]
    rhotic = find_segments(events, 500, rhotic=True)
    assert names(rhotic) == ["SIL", "AA", "R", "IY"]
    assert rhotic.starts.tolist() == [0, 100, 210, 300]
    assert names(find_segments(events, 500, rhotic=False)) == ["SIL", "AA", "IY"]


def test_a_frame_has_the_label_at_its_centre():
    segments = find_segments([Event("s", 200), Event("z", 361)], 1000, rhotic=True)
    assert [PHONES[x] for x in segments.at(frame_centres(3))] == ["S", "S", "Z"]


def test_noise_stands_in_the_pauses_and_the_draw_decides_it():
    speech = np.sin(np.arange(8000) / 5).astype(np.float32)
    first, again, other = (
        record(speech, (800, 1600), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (10_400,)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first[:800].std() > 0
    assert np.abs(first).max() < 1
    np.testing.assert_array_equal(first * 32768, np.round(first * 32768))


@pytest.mark.parametrize(
    ("accent", "variant"), [("en-gb", "m1"), ("en-us", "nosuch"), ("en-us", "")]
)
def test_a_voice_that_espeak_has_not_is_refused(accent, variant):
    with pytest.raises(InputError, match=f"has no voice {accent}\\+{variant}"):
        Speaker(accent, variant, words_per_minute=160, pitch=50)


def test_without_espeak_the_fix_is_named(tmp_path, monkeypatch):
    broken = tmp_path / "path"
    broken.mkdir()
    (broken / "espeakng_loader.py").write_text("raise ImportError('not installed')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(InputError, match="pip install espeakng-loader"):
        prepare_spoken(tmp_path / "store", minutes=3, workers=1)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_must_be_positive(tmp_path, minutes):
    with pytest.raises(InputError, match="minutes is"):
        prepare_spoken(tmp_path / "store", minutes=minutes)


def test_after_the_last_sentence_the_first_comes_in_other_noise():
    sentences = sentences_of("test")
    recital = recite(VOICES[-1], 330)
    numbers = recital.numbers.tolist()
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > len(sentences)
    first = recital.features[: recital.lengths[0]]
    again = recital.features[recital.lengths[: len(sentences)].sum() :][: len(first)]
    assert not np.allclose(first, again)
