"""How fast training went, how long it waited for data, and whether machines differ."""

from collections.abc import Mapping

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding

__all__ = ["throughput"]

SPEED, WAIT = "train/frames_per_second", "train/wait_share"
MUCH_WAITING = 0.2
"""Share of training's time spent waiting for data."""
UNEVEN = 1.25
"""How many times as fast one machine may be as another before it is said."""


def throughput(evidence: Evidence) -> list[Finding]:
    """Tell how many frames a second trials went through, and how long they waited for data.

    Of each trial the medians over its logged steps count, so that a slow start does not.
    """
    speed, wait = ({**_medians(evidence, column)} for column in (SPEED, WAIT))
    if not speed or not wait:
        sentence = "No trial says how fast it trained or how long it waited for data."
        return [Finding("throughput", "unknown", sentence, playbook="H1")]
    slowest, fastest = min(speed, key=speed.__getitem__), max(speed, key=speed.__getitem__)
    usual = float(np.median(list(speed.values())))
    waits = sorted((trial for trial in wait if wait[trial] > MUCH_WAITING), key=wait.__getitem__)
    hosts = _by_host(evidence, speed)
    numbers = {
        "trials": len(speed),
        "frames_per_second": usual,
        "slowest": {slowest: speed[slowest]},
        "fastest": {fastest: speed[fastest]},
        "wait_share": float(np.median(list(wait.values()))),
        "longest_wait": max(wait.values()),
        "waiting": len(waits),
    } | ({"hosts": hosts} if hosts else {})
    found = []
    if waits:
        worst = waits[-1]
        sentence = (
            f"{len(waits)} of {len(wait)} trials waited for data for more than {MUCH_WAITING:.0%} "
            f"of their time, {worst} for {wait[worst]:.0%}: the net stands still meanwhile."
        )
        action = f"phoneme-sweep probe batch {evidence.round.name}  # or lower budget.parallel"
        found.append(Finding("throughput", "info", sentence, numbers, None, action, playbook="H1"))
    ordered = sorted(hosts, key=hosts.__getitem__)
    if len(hosts) > 1 and hosts[ordered[-1]] > UNEVEN * hosts[ordered[0]]:
        sentence = (
            f"{ordered[-1]} trains {hosts[ordered[-1]] / hosts[ordered[0]]:.1f} times as fast as "
            f"{ordered[0]}: compare times of trials of one machine only."
        )
        action = f"look at what else runs on {ordered[0]}"
        found.append(Finding("throughput", "info", sentence, numbers, None, action, playbook="H1"))
    if not found:
        sentence = (
            f"Trials went through {usual:,.0f} frames a second (slowest {speed[slowest]:,.0f}, "
            f"fastest {speed[fastest]:,.0f}) and waited for data for "
            f"{numbers['wait_share']:.0%} of their time."
        )
        found.append(Finding("throughput", "ok", sentence, numbers, playbook="H1"))
    return found


def _medians(evidence: Evidence, column: str) -> dict[str, float]:
    """Give the median of a column of each trial that has it."""
    seen = {record.trial: evidence.curve(record, column)[1] for record in evidence.trials}
    return {trial: float(np.median(values)) for trial, values in seen.items() if len(values)}


def _by_host(evidence: Evidence, speed: Mapping[str, float]) -> dict[str, float]:
    """Give the median speed of each machine's trials, as far as machines are known."""
    known: dict[str, list[float]] = {}
    for record in evidence.trials:
        host = record.environment.get("host")
        if host and record.trial in speed:
            known.setdefault(str(host), []).append(speed[record.trial])
    return {host: float(np.median(values)) for host, values in known.items()}
