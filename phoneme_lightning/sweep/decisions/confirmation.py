"""What a confirm round came to: the verdict, what it rests on, and what the gain costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.comparison import say_cost, say_interval
from phoneme_lightning.sweep.decisions.confirm_round import ARMS
from phoneme_lightning.sweep.decisions.confirmation_file import CONFIRMATION
from phoneme_lightning.sweep.decisions.cost import Cost, cost_of
from phoneme_lightning.sweep.decisions.intervals import Interval, over_utterances
from phoneme_lightning.sweep.decisions.settings import extra, settings_of
from phoneme_lightning.sweep.decisions.side import score
from phoneme_lightning.sweep.decisions.verdict import LOOKS, Verdict, decide
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.round import Round

__all__ = ["Confirmation", "judge", "lines"]


@dataclass(frozen=True)
class Confirmation:
    """A look at a confirm round; its dictionary is confirmation.json."""

    verdict: str
    """ADOPT, HOLD or MORE SEEDS."""

    why: str
    """The verdict in a sentence."""

    round: str
    """The round that found the candidate."""

    candidate: str
    """The trial that was confirmed, without its own score."""

    baseline: str
    """What it was compared with."""

    metric: str
    """What both are measured by."""

    mode: str
    """Whether more or less of it is better."""

    min_gain: float
    """Gain that is not worth a change."""

    look: int
    """Which look it is, from 1."""

    differences: Mapping[int, float]
    """Seed -> candidate less baseline, turned so that more is better."""

    gain: float | None
    """Their mean."""

    low: float | None
    """Lower end of its interval, which holds at 95 % over all looks."""

    high: float | None
    """Upper end."""

    values: tuple[float | None, float | None]
    """Candidate's and baseline's mean objective over those seeds."""

    utterances: Interval
    """The interval of the difference (not turned) by the luck of utterances alone."""

    costs: tuple[Cost | None, Cost | None]
    """What candidate and baseline cost."""

    extra: Sequence[str]
    """Hyperparameters that the candidate sets and the baseline leaves at 0, off or out."""

    commands: Mapping[str, str]
    """What to run next, and what was run."""


def judge(
    folder: RoundFolder,
    round: Round,
    look: int,
    *,
    candidate: str,
    baseline: str,
    min_gain: float,
    command: str,
) -> Confirmation:
    """Judge a confirm round whose trials have ended, and write confirmation.json.

    A candidate whose setting fails with any seed is held; a pair whose baseline failed is left out.

    Args:
        folder: of the round.
        round: what it is.
        look: which look it is, from 1.
        candidate: the trial that was confirmed.
        baseline: what it is compared with.
        min_gain: gain that is not worth a change.
        command: what was run.

    Raises:
        InputError: fewer than two pairs have completed.
    """
    records = read_records(folder, round.objective, round.retry.attempts)
    done = [one for one in records if one.state == "completed" and one.measured]
    ours, theirs = ({one.seed: one for one in done if one.arm == arm} for arm in ARMS)
    pairs = [seed for seed in round.seeds if seed in ours and seed in theirs]
    failed = [one for one in records if one.arm == ARMS[0] and one.state == "infeasible"]
    sign = 1 if round.objective.mode == "max" else -1
    values = [[score(side[seed], round.objective) for seed in pairs] for side in (ours, theirs)]
    gains = [sign * (mine - other) for mine, other in zip(*values, strict=True)]
    if len(pairs) < 2 and not failed:
        raise InputError(
            f"{folder.name} has {len(pairs)} pairs of completed trials, too few for an interval: "
            f"phoneme-sweep status {folder.path}"
        )
    verdict = decide(gains, look, min_gain) if len(pairs) > 1 else None
    word, why = _say(verdict, failed, min_gain, len(pairs), round.objective.metric)
    settings = [
        settings_of(folder, round, next(one for one in records if one.arm == arm)) for arm in ARMS
    ]
    made = Confirmation(
        verdict=word,
        why=why,
        round=round.goal.parent or "",
        candidate=candidate,
        baseline=baseline,
        metric=round.objective.metric,
        mode=round.objective.mode,
        min_gain=min_gain,
        look=look,
        differences=dict(zip(pairs, gains, strict=True)),
        gain=verdict.mean if verdict else None,
        low=verdict.low if verdict else None,
        high=verdict.high if verdict else None,
        values=(_mean(values[0]), _mean(values[1])),
        utterances=over_utterances(_folders(ours, pairs), _folders(theirs, pairs), round.objective),
        costs=(_cost(ours), _cost(theirs)),
        extra=extra(*settings),
        commands={
            "this again": command,
            "next": f"phoneme-sweep promote {folder.path}"
            if word == "ADOPT"
            else f"phoneme-sweep leaderboard {folder.path}",
        },
    )
    folder.write_json(CONFIRMATION, asdict(made))
    return made


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _cost(side: Mapping[int, TrialRecord]) -> Cost | None:
    return cost_of(list(side.values())) if side else None


def _folders(side: Mapping[int, TrialRecord], seeds: Sequence[int]) -> list[Path]:
    return [path for seed in seeds if (path := side[seed].folder)]


def _say(
    verdict: Verdict | None,
    failed: Sequence[TrialRecord],
    min_gain: float,
    pairs: int,
    metric: str,
) -> tuple[str, str]:
    """Give the verdict in a word and in a sentence."""
    if failed or verdict is None:
        first = failed[0]
        return "HOLD", f"HOLD: the candidate failed with seed {first.seed} ({first.cause})."
    told = (
        f"{metric} is {'better' if verdict.mean >= 0 else 'worse'} by {abs(verdict.mean):.4f} "
        f"(gain {verdict.low:+.4f} to {verdict.high:+.4f}, {pairs} pairs of seeds)"
    )
    if verdict.word == "ADOPT":
        return "ADOPT", f"ADOPT: {told}."
    if verdict.word == "MORE SEEDS":
        return "MORE SEEDS", f"MORE SEEDS: {told}, which may be luck."
    more = "no gain" if not min_gain else f"no more than {min_gain:g}"
    if verdict.high <= min_gain:
        return "HOLD", f"HOLD: {told}, surely {more}."
    return "HOLD", f"HOLD: {told}, not surely a gain worth a change after {LOOKS} looks."


def lines(confirmation: Confirmation) -> list[str]:
    """Say it in plain lines."""
    one = confirmation
    told = [one.why]
    for arm, name, value, cost in zip(
        ARMS, (one.candidate, one.baseline), one.values, one.costs, strict=True
    ):
        if value is not None and cost is not None:
            told.append(f"  {arm}, {name}: {value:.4f} ({say_cost(cost)})")
    each = ", ".join(f"{seed}: {gain:+.4f}" for seed, gain in one.differences.items())
    told.append(f"  gain by seed: {each or 'none'}")
    told.append(f"  {say_interval(one.utterances)}")
    if one.extra:
        told.append(f"  the candidate has more to set: {', '.join(one.extra)}")
    told.append(f"next: {one.commands['next']}")
    return told
