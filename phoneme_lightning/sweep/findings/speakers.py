"""For whom the accuracy on validation speaks: speakers that train has, or new ones."""

import json
from collections.abc import Mapping
from typing import Any

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["speakers"]

MOSTLY = 0.5
TOLD = ("utterances", "utterances_in_train", "speakers", "speakers_in_train")


def speakers(evidence: Evidence) -> list[Finding]:
    """Look at what the splits have in common with train, as every fit counts it when it starts.

    An utterance that train has as well blocks, and so does a speaker where `data.split: speaker`
    promises new ones. Speakers that train has are no fault otherwise: that is what
    `data.split: utterance` is for.

    Args:
        evidence: the round.
    """
    begun = [record for record in evidence.trials if record.environment]
    corpus = begun[0].environment.get("corpus", {}).get("name") if begun else None
    look = f"phoneme-data info data/{corpus} --json" if corpus else None
    kinds: dict[str, list[TrialRecord]] = {}
    for record in begun:
        if splits := record.environment.get("splits"):
            kinds.setdefault(json.dumps(splits), []).append(record)
    if not kinds:
        sentence = (
            "No fit of this round has written down whether its splits share speakers or utterances."
        )
        return [Finding("speakers", "unknown", sentence, action=look, playbook="H2")]
    found = []
    for text, records in kinds.items():
        splits = json.loads(text)
        arms = {record.arm for record in records}
        arm = arms.pop() if len(kinds) > 1 and len(arms) == 1 else None
        numbers = {
            "trials": len(records),
            "split_by": splits["by"],
            **{name: {one: splits[name][one] for one in TOLD} for name in ("validation", "test")},
        }
        if fault := _fault(splits):
            action = f"{look}  # then prepare the corpus anew, without what is in both"
            one = Finding("speakers", "block", fault, numbers, None, action, arm, playbook="H2")
        else:
            one = _speaks_for(splits, numbers, evidence.round.name, arm)
        found.append(one)
    return found


def _fault(splits: Mapping[str, Any]) -> str | None:
    """Say what must not be, if it is."""
    for name in ("validation", "test"):
        both, of = splits[name]["utterances_in_train"], splits[name]["utterances"]
        if both:
            return (
                f"{both:,} of the {of:,} utterances of {name} are in train as well: the net is "
                "asked for what it may have learned by heart."
            )
    known, of = splits["validation"]["speakers_in_train"], splits["validation"]["speakers"]
    if splits["by"] == "speaker" and known:
        return (
            f"data.split is speaker, but {known} of validation's {of} speakers are in train as "
            "well: its accuracy does not speak for new speakers, as it should."
        )
    return None


def _speaks_for(
    splits: Mapping[str, Any], numbers: Mapping[str, Any], name: str, arm: str | None
) -> Finding:
    """Say for whom validation speaks, and whether the test asks for the same."""
    validation, test = splits["validation"], splits["test"]
    known, of = validation["speakers_in_train"], validation["speakers"]
    familiar = known >= MOSTLY * of
    if familiar:
        what = "new utterances of known speakers, not for new speakers"
    else:
        what = "known speakers and new ones" if known else "new speakers"
    share = f"{known} of validation's {of} speakers are" if known else "No speaker of validation is"
    sentence = f"{share} in train as well: its accuracy speaks for {what}."
    action = None
    if test["speakers"]:
        told = f"{test['speakers_in_train']} of its {test['speakers']} speakers are in train"
        if familiar == (test["speakers_in_train"] >= MOSTLY * test["speakers"]):
            sentence += f" So will the test's: {told}."
        else:
            other, expect = ("speaker", "less") if familiar else ("utterance", "more")
            sentence += f" The test asks for something else, so expect {expect} there: {told}."
            action = f"phoneme-sweep next-round {name}  # with data.split: {other} in its overrides"
    verdict: Verdict = "info" if known or action else "ok"
    return Finding("speakers", verdict, sentence, numbers, None, action, arm, playbook="H2")
