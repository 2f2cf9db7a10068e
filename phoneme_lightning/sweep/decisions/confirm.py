"""`phoneme-sweep confirm`: from a candidate to a verdict, with more seeds where they are needed."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.conclusion import conclude
from phoneme_lightning.sweep.decisions.confirm_round import (
    STARTING,
    add_seeds,
    begin,
    make_round,
)
from phoneme_lightning.sweep.decisions.confirmation import Confirmation, judge, lines
from phoneme_lightning.sweep.decisions.side import at_home, find_side
from phoneme_lightning.sweep.decisions.verdict import LOOKS
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import OPEN, read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.running import work

__all__ = ["confirm"]


def confirm(
    round: str,
    root: Path,
    *,
    candidate: str | None,
    baseline: str | None,
    seeds: int,
    min_gain: float,
    steps: int | None,
    name: str | None,
    parallel: int | None,
) -> int:
    """Confirm a candidate, or go on with that.

    Args:
        round: name, folder or file of the round that found it.
        root: folder of all rounds.
        candidate: a trial or an arm of it; its best trial, if None.
        baseline: another trial, or a config file; the starting config, if None.
        seeds: pairs of seeds at first, and as many more at each further look.
        min_gain: gain that is not worth a change.
        steps: of each trial; as many as the candidate made, if None.
        name: of the confirm round.
        parallel: trials at once on this machine.

    Returns:
        The exit code: 0 with a verdict, 1 where trials failed or the round was stopped.

    Raises:
        InputError: there is no such candidate or baseline, or the round cannot begin.
    """
    if not 0 <= min_gain < float("inf"):
        raise InputError(f"--min-gain is {min_gain:g}: give 0 or more")
    if parallel is not None and parallel < 1:
        raise InputError(f"--parallel is {parallel}: give at least 1")
    source, root = at_home(find_round(round, root), root)
    if load_round(source).phase in ("confirm", "probe"):
        raise InputError(f"{source.name} has searched for nothing: confirm a round that has")
    side = find_side(f"{source.path}:{candidate}" if candidate else str(source.path), root)
    trial = side.trials[0].trial
    searched = read_records(source, side.objective, side.round.retry.attempts)
    waiting = sum(one.state in OPEN for one in searched)
    if waiting and candidate is None:
        raise InputError(
            f"{waiting} trials of {source.name} have still to run: phoneme-sweep run "
            f"{source.path}; --candidate {trial} confirms the best so far all the same"
        )
    wanted = make_round(side, baseline, name or f"{side.round.name}-confirm", seeds, steps, root)
    folder, known = begin(wanted, root)
    if parallel is not None:
        known = replace(known, budget=replace(known.budget, parallel=parallel))
    told = {"candidate": trial, "baseline": baseline or STARTING}
    while True:
        if work(folder, known) or _failed(folder, known):
            return 1
        look = len(known.seeds) // seeds
        made = judge(
            folder, known, look, min_gain=min_gain, command=f"phoneme-sweep {_words()}", **told
        )
        if made.verdict != "MORE SEEDS":
            break
        print(f"{made.why} {seeds} more pairs, look {look + 1} of at most {LOOKS}.", flush=True)
        known = add_seeds(folder, known, seeds)
    conclude(folder, known)
    _print(made, known)
    return 0


def _words() -> str:
    return shlex.join(sys.argv[1:])


def _failed(folder: RoundFolder, round: Round) -> bool:
    failed = [
        one
        for one in read_records(folder, round.objective, round.retry.attempts)
        if one.state in ("failed", "cancelled")
    ]
    for one in failed:
        print(f"{one.trial} is {one.state} ({one.message}): phoneme-sweep retry {folder.path}")
    return bool(failed)


def _print(made: Confirmation, round: Round) -> None:
    print()
    if not round.evidence:
        print(f"No evidence: --quick cut {made.round} to a demonstration.")
    print("\n".join(lines(made)))
