"""Finished rounds whose scores are a formula: what a draft is made from."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.findings.diagnose import diagnose
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import Measured, TrialRecord
from phoneme_lightning.sweep.round_file import dump_round, parse_round, read_round
from phoneme_lightning.sweep.yaml12 import load_yaml

ROOT = Path(__file__).parents[3]
ROWS = 20


class Finished(NamedTuple):
    folder: RoundFolder
    evidence: Evidence
    findings: list[Finding]


@pytest.fixture
def finish(tmp_path, monkeypatch):
    """Give what pretends that a round has run, given its file and a trial's score."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")

    def make(source, score, *, noise=0.003, **changes):
        text = (ROOT / "sweeps" / f"{source}.yaml").read_text("utf-8")
        told = load_yaml(text, source)
        for key, value in changes.items():
            told[key] = {**told.get(key, {}), **value} if isinstance(value, dict) else value
            if value is None:
                del told[key]
        folder = RoundFolder(tmp_path / "runs/rounds" / source)
        folder.configs.mkdir(parents=True)
        round = parse_round(told, source)
        for place, config in enumerate(round.base):
            shutil.copyfile(config, folder.configs / f"{place}-{Path(config).name}")
        folder.source.write_text(dump_round(round) if changes else text, "utf-8")
        folder.round.write_text(dump_round(round), "utf-8")
        draw = np.random.default_rng(0)
        trials, curves = [], {}
        for row in design(round):
            steps = round.training.steps
            known = {"arm": row.arm, "point": row.point, "seed": row.seed, "values": row.values}
            reached = score(row)
            if reached is None:
                trials.append(TrialRecord(row.trial, **known, state="infeasible", cause="nan"))
                continue
            reached += noise * draw.standard_normal()
            # Settled from the middle on, so that the length is no matter.
            values = reached - 0.2 * 0.5 ** np.arange(ROWS) + 0.0005 * draw.standard_normal(ROWS)
            curves[row.trial] = [
                {"step": float(step), "val/frame_accuracy": float(value)}
                for step, value in zip(np.linspace(steps / ROWS, steps, ROWS), values, strict=True)
            ]
            best = int(values.argmax())
            measured = Measured(
                float(values.max()),
                int(curves[row.trial][best]["step"]),
                float(values[-1]),
                float(values[-5:].mean()),
            )
            trials.append(TrialRecord(row.trial, **known, state="completed", measured=measured))
        evidence = Evidence(read_round(folder.round), trials, curves)
        return Finished(folder, evidence, diagnose(evidence))

    return make
