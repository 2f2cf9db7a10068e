"""The likeliest path through the frames: of whole utterances, or of frames that keep coming."""

from collections.abc import Sequence

import numpy as np

from phoneme_lightning.inference.decoding import Decoder, PhoneModel

__all__ = ["OnlineViterbi", "viterbi"]

UTTERANCES_AT_ONCE = 64
"""Their steps are taken together: the work of one still fits a processor's cache."""


def viterbi(
    log_probs: Sequence[np.ndarray], phones: PhoneModel, decoder: Decoder
) -> list[np.ndarray]:
    """Find the likeliest classes of whole utterances (Viterbi 1967; Rabiner 1989, section III.B).

    A path's score is the sum of `log p(class | frame) - prior_weight * log prior` over its frames,
    and of `transition_weight * log p` over its transitions, for paths none of whose runs is shorter
    than its class's shortest, but for the first, which may be cut.

    Args:
        log_probs: (frames, classes) of each utterance, in floating point, natural logarithms.
        phones: what is known of phones.
        decoder: how much of it counts.

    Returns:
        (frames,), uint8, of each utterance.
    """
    stay, follow = _transitions(phones, decoder)
    order = sorted(range(len(log_probs)), key=lambda place: len(log_probs[place]))
    found: list[np.ndarray] = [np.empty(0, dtype=np.uint8)] * len(order)
    for first in range(0, len(order), UTTERANCES_AT_ONCE):
        places = order[first : first + UTTERANCES_AT_ONCE]
        lengths = [len(log_probs[place]) for place in places]
        heard = np.zeros((max(lengths), len(stay), len(places)), dtype=np.float32)
        for row, place in enumerate(places):
            heard[: lengths[row], :, row] = _scores(log_probs[place], phones, decoder)
        best, begins = np.empty_like(heard), np.zeros(heard.shape, dtype=np.int32)
        _go_on(best, begins, heard, 0, stay, follow, phones.shortest)
        for row, place in enumerate(places):
            end = lengths[row]
            phone = int(best[end - 1, :, row].argmax())
            found[place] = _trace(best[..., row], begins[..., row], follow, end, phone)
    return found


class OnlineViterbi:
    """The path that `viterbi` finds, while the frames still come; memory stays bounded.

    Whatever comes later, the likeliest path will be one of those that now lead to each class. As
    far back as these are all the same, the path is certain, and is given and forgotten.

    Args:
        phones: what is known of phones.
        decoder: how much of it counts.
    """

    def __init__(self, phones: PhoneModel, decoder: Decoder) -> None:
        self._phones, self._decoder = phones, decoder
        self._stay, self._follow = _transitions(phones, decoder)
        self._longest = int(phones.shortest.max())
        empty = (0, len(self._stay), 1)
        self._heard, self._best = (np.empty(empty, dtype=np.float32) for _ in range(2))
        self._begins = np.empty(empty, dtype=np.int32)

    def push(self, log_probs: np.ndarray) -> np.ndarray:
        """Hear more frames.

        Args:
            log_probs: (frames, classes), natural logarithms.

        Returns:
            The classes that have become certain, uint8, from the first one not given yet.
        """
        known = len(self._heard)
        scores = _scores(log_probs, self._phones, self._decoder)
        self._heard = np.concatenate([self._heard, scores[..., None]])
        self._best = np.concatenate([self._best, np.empty_like(scores)[..., None]])
        more = np.zeros((*scores.shape, 1), dtype=np.int32)
        self._begins = np.concatenate([self._begins, more])
        shortest = self._phones.shortest
        _go_on(self._best, self._begins, self._heard, known, self._stay, self._follow, shortest)
        end, phone = self._certain()
        path = self._path(end, phone)
        # The next frame looks back at those of a shortest run, of whichever class.
        cut = min(end, max(0, len(self._heard) - self._longest))
        self._heard, self._best = self._heard[cut:], self._best[cut:]
        if len(self._best):
            self._best -= self._best[-1].max()  # sums near 0 keep their digits
        # A run that goes on from what was given begins, for what is left, at its first frame.
        self._begins = (self._begins[cut:] - cut).clip(min=0)
        return path[:cut]

    def finish(self) -> np.ndarray:
        """Give the rest of the path: no more frames come."""
        if not len(self._best):
            return np.empty(0, dtype=np.uint8)
        return self._path(len(self._best), int(self._best[-1, :, 0].argmax()))

    def _path(self, end: int, phone: int) -> np.ndarray:
        return _trace(self._best[..., 0], self._begins[..., 0], self._follow, end, phone)

    def _certain(self) -> tuple[int, int]:
        """Give the frame up to which all paths agree, and the class before it."""
        best, begins, frames = self._best[..., 0], self._begins[..., 0], len(self._best)
        if not frames:
            return 0, 0
        runs: dict[tuple[int, int], int] = {}  # begin and class -> end
        for end in range(max(1, frames - self._longest + 1), frames + 1):
            for phone, begin in enumerate(begins[end - 1].tolist()):
                runs.setdefault((begin, phone), end)
        while len(runs) > 1:
            latest = max(runs)
            begin, phone = latest
            if begin == 0:
                return 0, 0
            del runs[latest]
            before = int((best[begin - 1] + self._follow[:, phone]).argmax())
            run = int(begins[begin - 1, before]), before
            runs[run] = min(begin, runs.get(run, begin))
        [((_, phone), end)] = runs.items()
        return end, phone


def _transitions(phones: PhoneModel, decoder: Decoder) -> tuple[np.ndarray, np.ndarray]:
    """Give what staying is worth, (classes, 1), and following, (classes, classes)."""
    with np.errstate(invalid="ignore"):  # 0 times -inf, on the diagonal alone
        follow = decoder.transition_weight * phones.log_next
    np.fill_diagonal(follow, -np.inf)
    return decoder.transition_weight * phones.log_stay[:, None], follow


def _scores(log_probs: np.ndarray, phones: PhoneModel, decoder: Decoder) -> np.ndarray:
    """Give what each class of each frame is worth by itself, (frames, classes), float32."""
    scores = log_probs - decoder.prior_weight * phones.log_prior
    # Near 0 sums keep their digits; the best path stays the best.
    nearer: np.ndarray = scores - scores.max(axis=1, keepdims=True)
    return nearer.astype(np.float32)


def _go_on(
    best: np.ndarray,
    begins: np.ndarray,
    heard: np.ndarray,
    known: int,
    stay: np.ndarray,
    follow: np.ndarray,
    shortest: np.ndarray,
) -> None:
    """Score the best path to each frame and class whose last run is long enough to end there.

    Args:
        best: (frames, classes, batch), the scores: filled up from `known` on.
        begins: likewise, the frame at which the last run begins; 0 where it is not known yet.
        heard: likewise, what each class is worth by itself.
        known: how many frames are scored already.
        stay: (classes, 1).
        follow: (classes, classes), rows from, columns to.
        shortest: (classes,), frames of the shortest run.
    """
    if not known and len(heard):
        best[0] = heard[0]
    longest, (_, classes, batch) = int(shortest.max()), heard.shape
    begin = max(1, known - longest + 1)
    # Of each frame, what a run is worth that begins there and is a shortest one, with all before
    # it. In front of them as many rows as may be looked back to: where no run can begin.
    fresh = np.full((longest + max(0, len(heard) - begin), classes, batch), -np.inf, heard.dtype)
    fresh[longest:] = heard[begin:]
    for later in range(1, longest):
        longer = shortest > later
        fresh[longest:-later, longer] += heard[begin + later :, longer]
    rows = fresh.reshape(-1, batch)
    places = (longest - begin - shortest + 1) * classes + np.arange(classes)
    since = 1 - shortest[:, None]
    for frame in range(begin, len(heard)):
        before = fresh[longest + frame - begin]
        before += (best[frame - 1][:, None] + follow[:, :, None]).max(axis=0)
        if frame < known:
            continue
        entered = rows.take(places + frame * classes, axis=0)
        gone_on = best[frame - 1] + stay
        gone_on += heard[frame]
        np.maximum(gone_on, entered, out=best[frame])
        begins[frame] = np.where(entered > gone_on, since + frame, begins[frame - 1])


def _trace(
    best: np.ndarray, begins: np.ndarray, follow: np.ndarray, end: int, phone: int
) -> np.ndarray:
    """Follow the best path of one utterance back, run by run.

    Args:
        best: (frames, classes), as `_go_on` leaves it.
        begins: likewise.
        follow: (classes, classes).
        end: the frame before which the path ends.
        phone: the class in which it ends.

    Returns:
        (end,), uint8.
    """
    path = np.empty(end, dtype=np.uint8)
    while end:
        begin = begins[end - 1, phone]
        path[begin:end] = phone
        end = begin
        if begin:
            phone = int((best[begin - 1] + follow[:, phone]).argmax())
    return path
