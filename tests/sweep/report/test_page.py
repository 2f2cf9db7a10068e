"""The page: what it says, in which order, and that it holds all that it needs."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import read_confusion, write_confusion
from phoneme_lightning.sweep.design import Row, write_design
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import Measured
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.commands import report
from phoneme_lightning.sweep.report.page import Extras, page
from phoneme_lightning.sweep.report.write import write_report
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.training.outcome import Outcome, write_outcome


def finding(verdict: str, sentence: str = "It crowds.", figure: str | None = "curves") -> Finding:
    return Finding("boundary", verdict, sentence, {"share_at_edge": 0.5}, figure, "do this", None)


def test_the_answer_names_the_better_arm(clear):
    told = answer(clear, [])
    assert told.verdict == "ahead"
    assert told.sentence.startswith("cosine is ahead of constant: a val/frame_accuracy of 0.7")
    assert "(means of the best 3 points), more than luck explains" in told.sentence
    assert any("seeds" in line for line in told.details)


def test_of_rounds_without_a_difference_few_have_an_arm_ahead():
    rounds = [simulate(World(2, effect=0), seed) for seed in range(40)]
    assert sum(answer(one, []).verdict == "ahead" for one in rounds) <= 4


@pytest.mark.parametrize("points", [1, 3])
def test_of_few_points_none_makes_an_arm_ahead(evidence, points):
    few = [trial for trial in evidence.trials if trial.point < points]
    told = answer(replace(evidence, trials=few), [])
    assert told.verdict == "close"
    assert ("means of" in told.sentence) == (points > 1)


def test_the_page_of_a_probe_says_what_it_found(evidence, empty):
    probe = replace(evidence.round, phase="probe")
    told = answer(replace(evidence, round=probe), [])
    assert "no verdict yet" in told.sentence
    said = Finding("probe_lr", "warn", "Training breaks at twice its rate.")
    for one in (evidence, replace(empty, trials=[])):
        told = answer(replace(one, round=probe, probed=said), [said])
        assert (told.sentence, told.details) == (said.sentence, ())
    assert "How good the best" not in page(replace(evidence, round=probe), [], Extras())


def test_an_arm_is_ahead_by_its_points_and_not_by_a_lucky_seed(clear):
    lucky = replace(clear.trials[0], seed=1, measured=Measured(0.99, 1, 0.99, 0.99))
    assert lucky.arm == "constant"
    told = answer(replace(clear, trials=[*clear.trials, lucky]), [])
    assert told.sentence.startswith("cosine is ahead of constant")


def test_arms_that_are_equal_are_not_told_apart(evidence):
    """At every second point one arm is better, at the others the other, by the same."""
    trials = [
        replace(
            trial,
            measured=trial.measured
            and replace(
                trial.measured, best=0.5 + 0.01 * ((trial.arm == "cosine") == trial.point % 2)
            ),
        )
        for trial in evidence.trials
    ]
    trials[0] = replace(trials[0], measured=replace(trials[0].measured, best=0.5101))
    assert answer(replace(evidence, trials=trials), []).verdict == "close"


def test_one_arm_has_a_best_trial_and_no_rival(evidence):
    alone = [trial for trial in evidence.trials if trial.arm == "cosine"]
    told = answer(replace(evidence, trials=alone), [])
    assert told.verdict == "best"
    assert "seeds" not in " ".join(told.details)


def test_nothing_is_answered_while_a_finding_blocks(clear):
    told = answer(clear, [finding("block"), finding("warn", "Small.")])
    assert told.verdict == "not yet"
    assert told.details[0] == "It crowds."
    assert "Small." not in told.details
    assert answer(clear, [finding("warn")]).verdict == "ahead"


def test_what_quick_cut_is_stamped(evidence):
    quick = replace(evidence, round=replace(evidence.round, evidence=False))
    assert answer(quick, []).verdict == "no evidence"
    assert "NOT EVIDENCE" in page(quick, [], Extras())
    assert "NOT EVIDENCE" not in page(evidence, [], Extras())


def test_an_unfinished_round_answers_so_far(evidence):
    first, *rest = evidence.trials
    told = answer(replace(evidence, trials=[replace(first, state="waiting"), *rest]), [])
    assert told.sentence.startswith("So far: ")
    assert told.details[0] == f"1 of {len(evidence.trials)} trials have still to run."


def test_a_round_without_a_trial_has_a_page(empty):
    assert answer(empty, []).verdict == "nothing"
    text = page(empty, [], Extras())
    assert "Figures</h2>" not in text
    assert "24 waiting" in text


def test_the_question_and_the_answer_come_first(evidence):
    text = page(
        evidence, [finding("warn")], Extras(commands={"again": "phoneme-sweep report made"})
    )
    places = [
        text.index(part)
        for part in (
            *("Does a decay help", "is ahead of", "Leaderboard</h2>", "Findings</h2>"),
            *("Figures</h2>", "Caveats</h2>", "Commands</h2>", "phoneme-sweep report made"),
        )
    ]
    assert places == sorted(places)


def test_findings_stand_worst_first_and_point_to_a_figure_that_is_there(evidence):
    some = [
        finding("ok", "Fine."),
        finding("block", "Broken.", "axis:model.dropout"),
        finding("warn", "Small.", "no such figure"),
    ]
    text = page(evidence, some, Extras())
    listed = text[text.index("Findings</h2>") : text.index("Figures</h2>")]
    assert listed.index("Broken.") < listed.index("Small.") < listed.index("Fine.")
    links = re.findall(r'href="#([^"]+)"', listed)
    assert links
    assert all(f'<figure id="{link}">' in text for link in links)
    assert "no-such-figure" not in text
    assert "share at edge 0.5000" in listed
    drawn = text[text.index('<figure id="figure-axis-model-dropout">') :]
    assert drawn.index("Broken.") < drawn.index("</figure>")


def test_what_people_wrote_is_text_and_not_html(evidence):
    text = page(evidence, [finding("warn", "<script>alert(1)</script>")], Extras(source="<b>&"))
    assert "Does a decay help &lt;rnn&gt; &amp; co.?" in text
    assert "<script>alert(1)" not in text
    assert "&lt;b&gt;&amp;" in text


def test_an_arms_name_cannot_end_the_script(evidence):
    name = "</script><script>alert(1)</script>"
    trials = [replace(t, arm=name if t.arm == "cosine" else t.arm) for t in evidence.trials]
    text = page(replace(evidence, trials=trials), [], Extras())
    assert name not in text
    for data in re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', text):
        assert json.loads(data)["data"]


def test_it_needs_nothing_else(evidence):
    text = page(evidence, [], Extras())
    assert text.count("plotly.js v") == 1
    head = text[: text.index("<script>")]
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", head)
    assert "@import" not in head
    assert "url(" not in head


def test_a_thousand_trials_are_soon_and_small(large):
    start = time.process_time()
    text = page(large, [], Extras())
    assert time.process_time() - start < 15
    assert len(text.encode()) < 10e6


def test_a_folder_becomes_a_page(evidence, tmp_path, capsys):
    folder = RoundFolder(tmp_path / "made")
    folder.trials.mkdir(parents=True)
    folder.round.write_text(dump_round(evidence.round), encoding="utf-8")
    write_design(
        folder.design, [Row(t.trial, t.arm, t.point, t.seed, t.values) for t in evidence.trials]
    )
    for trial in evidence.trials:
        run = folder.attempt(trial.trial, 1)
        run.mkdir(parents=True)
        names = [
            "step",
            *{k: None for row in evidence.curves[trial.trial] for k in row if k != "step"},
        ]
        lines = [
            ",".join(str(row.get(name, "")) for name in names)
            for row in evidence.curves[trial.trial]
        ]
        (run / "metrics.csv").write_text("\n".join([",".join(names), *lines, ""]))
        write_outcome(run, Outcome(trial.state, trial.cause, parameters=1234, seconds=60.0))
    read = read_evidence(folder)
    assert [t.measured for t in read.trials if t.state == "completed"] == [
        t.measured for t in evidence.trials if t.state == "completed"
    ]
    report("made", tmp_path, wandb=False)
    path = Path(capsys.readouterr().out.strip())
    text = path.read_text(encoding="utf-8")
    assert "Findings</h2>\n<p>None was made." not in text
    assert path == folder.path / "report.html"
    assert "phoneme-sweep repro made best --check" in text
    assert 'id="figure-confusion"' not in text
    best = max(evidence.trials, key=lambda t: t.measured.best if t.state == "completed" else 0)
    assert re.search(rf"phoneme-cli fit .*{best.trial}/attempt-1/overrides.yaml", text)

    counts = np.diag(np.arange(41))
    run = folder.attempt(best.trial, 1)
    write_confusion(run, counts)
    assert (read_confusion(run).counts == counts).all()
    text = write_report(folder, read_evidence(folder), []).read_text(encoding="utf-8")
    assert 'id="figure-confusion"' in text
    write_confusion(run, np.diag([7, 8, 9]), ("a:", "ʃ", "<unk>"))
    text = write_report(folder, read_evidence(folder), []).read_text(encoding="utf-8")
    assert "each of the 3 phones" in text
    assert "24 frames 100.0 % are right. Phones that sound alike" in text
    assert "<unk>" not in text


@pytest.mark.parametrize("verdict", ["block", "warn", "unknown", "info", "ok"])
def test_every_verdict_has_its_colour(evidence, verdict):
    text = page(evidence, [finding(verdict)], Extras())
    assert f'class="badge {verdict}"' in text
    assert f".{verdict} {{ color:" in text


def test_it_is_made_without_torch():
    program = "import sys, phoneme_lightning.sweep.report.write; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_of_many_alike_three_are_told_beside_the_answer(evidence):
    many = [finding("block", f"Loss {n} rises.") for n in range(7)]
    told = answer(evidence, many).details
    assert told[:3] == ("Loss 0 rises.", "Loss 1 rises.", "Loss 2 rises.")
    assert "And 4 more" in told[3]
    assert told[4].startswith("As it stands")
    text = page(evidence, many, Extras())
    assert text[text.index("Findings</h2>") : text.index("Figures</h2>")].count("rises.") == 7
