"""Show what a net makes of LibriSpeech recordings whose frame labels are known from elsewhere.

How far our features are from those that a store holds of the same utterance, how far the two
sources of labels agree, the frame accuracy by either, and how many frames come out as in one piece
when all recordings, end to end, are heard in chunks.

    python benchmarks/sample.py SAMPLE_FOLDER STORE CHECKPOINT...
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.corpora.audio import extract
from phoneme_lightning.corpora.sound import read_audio
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.inference import hearing
from phoneme_lightning.inference.transcriber import Begin, Transcriber, read_recording

__all__ = ["main"]


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Give the share of frames that are alike."""
    return round(float((np.asarray(one) == np.asarray(other)).mean()), 4)


def hear(net: Transcriber, sound: np.ndarray) -> np.ndarray:
    """Give the classes of a recording, (frames,)."""
    [transcript] = net.hear([read_recording("sample", [sound], begin=Begin(0))])
    return transcript.classes


def main() -> None:
    """Print a line of JSON."""
    folder, store = Path(sys.argv[1]), FrameStore(sys.argv[2])
    lines = (folder / "phone_labels.txt").read_text(encoding="utf-8").splitlines()
    published = {line.split()[0]: np.array(line.split()[1:], dtype=int) for line in lines}
    sounds = {file.stem: read_audio(file) for file in sorted(folder.rglob("*.flac"))}
    train = set(store.split("utterance", "train").tolist())
    utterances: dict[str, dict[str, Any]] = {}
    for name in published.keys() & sounds.keys():
        utterances[name] = about = {"frames": len(published[name]), "in_train": False}
        if name in store.ids:
            position = store.ids.index(name)
            stored = store[position]
            about["in_train"] = position in train
            about["features_differ_by"] = float(
                np.abs(stored.features - extract(sounds[name])).mean()
            )
            about["label_sources_agree"] = agreement(stored.labels, published[name])
    nets: dict[str, dict[str, Any]] = {}
    for checkpoint in sys.argv[3:]:
        net = Transcriber.open([checkpoint])
        nets["/".join(Path(checkpoint).parts[-3:])] = about = {"decoded": net.saved is not None}
        for name in utterances:
            classes = hear(net, sounds[name])
            about[name] = {"accuracy_by_published_labels": agreement(classes, published[name])}
            if name in store.ids:
                stored = store[store.ids.index(name)]
                about[name]["accuracy_by_stored_labels"] = agreement(classes, stored.labels)
        whole = np.concatenate(list(sounds.values()))
        about["seconds_end_to_end"] = len(whole) / 16_000
        parts = np.array(hear(net, whole))
        hearing.CHUNK_FRAMES, kept = 10**9, hearing.CHUNK_FRAMES
        about["chunks_as_in_one_piece"] = agreement(parts, hear(net, whole))
        hearing.CHUNK_FRAMES = kept
    print(json.dumps({"utterances": utterances, "nets": nets}))


if __name__ == "__main__":
    main()
