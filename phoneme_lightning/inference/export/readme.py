"""The README of an exported folder: ten lines that use it without this package."""

__all__ = ["readme"]

WITH_ONNX = """\
# A phone classifier

Which phone each hundredth of a second of speech holds. [MODEL_CARD.md](MODEL_CARD.md) says what it
learnt from and how good it is.

## Use

`pip install onnxruntime kaldi-native-fbank soundfile numpy`, and in this folder, with a recording
of 16 kHz in one channel:

```python
import json, kaldi_native_fbank as knf, numpy as np, onnxruntime, soundfile
about = json.load(open("model.json", encoding="utf-8"))
samples, rate = soundfile.read("speech.wav", dtype="float32")
assert rate == about["features"]["sample_rate"] and samples.ndim == 1
mfcc = knf.OnlineMfcc(knf.MfccOptions.from_dict(about["features"]["mfcc"]))
mfcc.accept_waveform(rate, samples * about["features"]["scale"])
cepstra = np.stack([mfcc.get_frame(t) for t in range(mfcc.num_frames_ready)])[None]
inputs = {"cepstra": cepstra, "lengths": np.array([cepstra.shape[1]])}
[heard] = onnxruntime.InferenceSession("model.onnx").run(["log_probabilities"], inputs)
print(*[about["phones"][c] for c in heard[0].argmax(axis=-1)])
```

The graph takes cepstra, (batch, frames, 13), float32, as Kaldi's MFCC gives them, and lengths,
(batch,), int64, the real frames of each utterance. It makes the deltas and normalises by itself,
and gives log_probabilities, (batch, frames, phones), natural logarithms. What stands behind an
utterance's length changes nothing before it. Frame t is centred 12.5 + 10 t ms from the beginning.

"""

WITHOUT_ONNX = """\
# A phone classifier

Which phone each hundredth of a second of speech holds. [MODEL_CARD.md](MODEL_CARD.md) says what it
learnt from and how good it is. It was exported without an ONNX graph: in PyTorch,

```python
from phoneme_lightning.inference.export.weights import load_exported
classifier = load_exported(".")
```

"""

FILES = {
    "model.onnx": "the whole net, from cepstra to log-probabilities",
    "model.safetensors": "its weights, under PyTorch's names",
    "model.json": "phones in the order of the classes, settings of the features and of the net",
    "phones.json": "what a Viterbi decoder knows of the phones: logarithms of how often a frame is "
    "of each, stays in it, and what comes next; the shortest run of each in frames; two weights",
    "MODEL_CARD.md": "data, scores, limits",
}


def readme(names: set[str]) -> str:
    """Write the README of a folder that holds files of these names, as Markdown."""
    text = WITH_ONNX if "model.onnx" in names else WITHOUT_ONNX
    rows = [f"| `{name}` | {what} |" for name, what in FILES.items() if name in names]
    return (
        text + "## Files\n\n" + "\n".join(["| file | what it holds |", "|---|---|", *rows]) + "\n"
    )
