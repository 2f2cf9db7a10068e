"""phones.json: what decodes a net's frames where the corpus that it learnt from is not at hand."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.decoding import Decoder, PhoneModel

__all__ = ["FILE", "SavedDecoder"]

FILE = "phones.json"


@dataclass(frozen=True, eq=False)
class SavedDecoder:
    """A decoder, and what it knows of phones.

    Attributes:
        phones: the names of the classes, in order.
        model: what the training labels say of them.
        decoder: how much of that counts, as chosen on validation.
        steps: after how many the checkpoints were saved for which it was chosen; none where that
            was not written down.
    """

    phones: tuple[str, ...]
    model: PhoneModel
    decoder: Decoder
    steps: tuple[int, ...] = ()

    def write(self, folder: Path) -> None:
        """Write phones.json; what cannot follow has null for its logarithm."""
        log_next = self.model.log_next.astype(object)
        log_next[np.isneginf(self.model.log_next)] = None
        record = {
            "phones": self.phones,
            **asdict(self.decoder),
            "steps": self.steps,
            "shortest": self.model.shortest.tolist(),
            "log_prior": self.model.log_prior.tolist(),
            "log_stay": self.model.log_stay.tolist(),
            "log_next": log_next.tolist(),
        }
        (folder / FILE).write_text(json.dumps(record) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "SavedDecoder":
        """Read a phones.json.

        Raises:
            InputError: it is missing, or is none.
        """
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            log_next, log_prior, log_stay = (
                np.array(found[name], dtype=np.float32)
                for name in ("log_next", "log_prior", "log_stay")
            )
            log_next[np.isnan(log_next)] = -np.inf
            phones = tuple(map(str, found["phones"]))
            shortest = np.array(found["shortest"], dtype=np.int64)
            if not shortest.ndim:  # as older ones have it, of all phones
                shortest = shortest.repeat(len(phones))
            model = PhoneModel(log_prior, log_stay, log_next, shortest)
            decoder = Decoder(float(found["transition_weight"]), float(found["prior_weight"]))
            steps = tuple(map(int, found.get("steps", ())))
            shapes = [(len(phones), len(phones)), *[(len(phones),)] * 3]
            tables = log_next, log_prior, log_stay, shortest
            if [x.shape for x in tables] != shapes or shortest.min() < 1:
                raise ValueError("its tables do not go with its phones")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"--phones {file} cannot be read ({error}): "
                "`phoneme-cli ensemble CKPT --decode` writes it"
            ) from error
        return cls(phones, model, decoder, steps)
