"""espeak-ng by ctypes: text in, samples and the phoneme events that made them out.

espeak-ng is under the GPL, version 3. Nothing else of this package needs it: it is loaded only to
make the built-in spoken corpus, in processes of its own.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phoneme_lightning.errors import InputError

__all__ = ["Event", "Speaker", "Speech"]

_OUTPUT_SYNCHRONOUS = 2
_WITH_PHONEME_EVENTS = 1
_TEXT_IS_UTF8 = 1
_LIST_TERMINATED, _PHONEME = 0, 7
_RATE, _PITCH = 1, 3


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; `name` is the member of its union that phonemes use."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Event(NamedTuple):
    """A phoneme begins.

    Attributes:
        mnemonic: espeak-ng's name of it.
        sample: where, from the start of the utterance.
    """

    mnemonic: str
    sample: int


class Speech(NamedTuple):
    """What was spoken.

    Attributes:
        samples: (samples,), int16, at the speaker's `sample_rate`.
        events: where each phoneme begins, in order.
    """

    samples: np.ndarray
    events: Sequence[Event]


class Speaker:
    """One espeak-ng voice.

    The library holds one voice a process, and what it spoke before leaves traces in what it speaks
    next: the same bytes come only from a new process that speaks the same texts in the same order.

    Args:
        accent: a language of espeak-ng, such as "en-us".
        variant: a file among its voice variants, such as "f3".
        words_per_minute: speed, 80 to 450.
        pitch: 0 to 100; 50 is the variant's own.

    Raises:
        InputError: espeak-ng is not there, or has not that accent or variant.
    """

    def __init__(self, accent: str, variant: str, *, words_per_minute: int, pitch: int) -> None:
        try:
            import espeakng_loader

            data = Path(espeakng_loader.get_data_path())
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except (ImportError, OSError, RuntimeError) as error:
            raise InputError(
                f"the corpus spoken needs espeak-ng ({error}): pip install espeakng-loader"
            ) from error
        self._library.espeak_Info.restype = ctypes.c_char_p
        self.sample_rate: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, 0, str(data).encode(), _WITH_PHONEME_EVENTS
        )
        # Some variants breathe with random numbers, which Initialize has seeded by the clock.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        # An unknown variant is not refused: the plain voice would speak in its place.
        has_variant = (data / "voices" / "!v" / variant).is_file()
        if not has_variant or self._library.espeak_SetVoiceByName(f"{accent}+{variant}".encode()):
            raise InputError(
                f"espeak-ng {self.version} has no voice {accent}+{variant}: choose from {data}"
            )
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._chunks: list[np.ndarray] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    @property
    def version(self) -> str:
        """The version of espeak-ng."""
        info: bytes = self._library.espeak_Info(None)
        return info.decode()

    def _hear(
        self,
        samples: "ctypes._Pointer[ctypes.c_short]",
        count: int,
        events: "ctypes._Pointer[_Event]",
    ) -> int:
        if count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        position = 0
        while (event := events[position]).type != _LIST_TERMINATED:
            if event.type == _PHONEME:
                self._events.append(Event(event.name.decode(), event.sample))
            position += 1
        return 0

    def speak(self, text: str) -> Speech:
        """Speak a sentence; its pauses are digital zero."""
        self._chunks, self._events = [np.zeros(0, np.int16)], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, _TEXT_IS_UTF8, None, None)
        return Speech(np.concatenate(self._chunks), tuple(self._events))
