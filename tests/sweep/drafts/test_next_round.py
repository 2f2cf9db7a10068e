"""A draft says what the findings said, stays a round that runs, and says why."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import arms
from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.drafts.draft import render
from phoneme_lightning.sweep.drafts.exploit import draft_exploit
from phoneme_lightning.sweep.drafts.longer import draft_longer
from phoneme_lightning.sweep.drafts.next_round import draft_next, next_name
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.overrides import overrides
from phoneme_lightning.sweep.round_file import make_quick, parse_round, read_round
from phoneme_lightning.sweep.yaml12 import load_yaml

SWEEPS = Path(__file__).parents[3] / "sweeps"
LR = "model.optimizer.init_args.lr"
LENGTHS = "trainer.max_steps"
DROPOUT = "model.backbone.init_args.dropout"
EXPLORE = [
    path.stem for path in sorted(SWEEPS.glob("*.yaml")) if read_round(path).phase == "explore"
]


def valley(row, best=0.007, width=1.0):
    """Give a score that is best at a learning rate."""
    return 0.8 - 0.03 * (math.log10(row.values[LR] / best) / width) ** 2


def lead(*ahead):
    """Give scores of which some arms' are far better."""

    return lambda row: 0.7 + 0.1 * (row.arm in ahead)


@pytest.mark.parametrize("make", [draft_next, draft_exploit, draft_longer])
@pytest.mark.parametrize("name", EXPLORE)
def test_a_draft_of_every_shipped_round_runs(name, make, finish):
    leader = arms(read_round(SWEEPS / f"{name}.yaml"))[-1].name
    done = finish(name, lead(leader))
    draft = make(*done, **({"steps": 5000} if make is draft_longer else {}))
    round = parse_round(load_yaml(render(draft), "draft"), draft.name)
    assert round == draft.round()
    assert not [one for one in lint(round) if one.severity == "error"]
    assert round.goal.parent == name
    assert not round.scientific
    wanted = overrides(done.evidence.round, _row(done, leader))
    for row in design(round):
        got = overrides(round, row)
        assert got["model"].get("backbone", {}).get("class_path") == wanted["model"].get(
            "backbone", {}
        ).get("class_path")


def _row(done, arm):
    return next(row for row in design(done.evidence.round) if row.arm == arm)


@pytest.mark.parametrize("name", EXPLORE)
def test_every_change_says_why(name, finish):
    done = finish(name, lead(arms(read_round(SWEEPS / f"{name}.yaml"))[0].name))
    draft = draft_next(*done)
    before = flatten(load_yaml(done.folder.source.read_text("utf-8"), name))
    for path, value in leaves(draft.data):
        if before.get(".".join(path)) != value:
            assert any(path[:count] in draft.reasons for count in range(1, len(path) + 1)), path
    said = re.sub(r"\s+", " ", render(draft))
    assert all(reason in said for path, reason in draft.reasons.items() if _is_there(draft, path))


def leaves(tree, above=()):
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _is_there(draft, path):
    place = draft.data
    for key in path:
        place = place[int(key)] if isinstance(place, list) else place.get(key)
        if place is None:
            return False
    return True


def test_what_is_clearly_behind_is_dropped_and_what_is_open_is_asked_again(finish):
    done = finish("regularise_round3", lead("dropout", "smoothing"))
    draft = draft_next(*done)
    assert [arm.name for arm in arms(draft.round())] == ["dropout", "smoothing"]
    assert draft.round().goal.question == done.evidence.round.goal.question
    with pytest.raises(InputError, match=r"--ask is .*open between"):
        draft_next(*done, ask={DROPOUT: [0, 0.3]})


def test_an_open_question_can_be_decided_by_hand(finish):
    done = finish("regularise_round3", lead("dropout", "smoothing"))
    round = draft_next(*done, arm="smoothing", ask={"model.schedule": ["cosine", "linear"]}).round()
    assert "smoothing was chosen; dropout may be as good or better." in round.caveats
    assert [arm.name for arm in arms(round)] == ["cosine", "linear"]
    with pytest.raises(InputError, match=r"--arm is 'nobody'.*none and dropout"):
        draft_next(*done, arm="nobody")


def test_an_arm_that_was_not_tuned_as_well_is_kept(finish):
    def score(row):
        at_bound = 0.03 * math.log10(row.values[LR] / 0.1) if row.arm == "constant" else 0
        return 0.8 + at_bound - 0.1 * (row.arm == "constant")

    draft = draft_next(*finish("lr_round1", score))
    assert {arm.name for arm in arms(draft.round())} == {"constant", "cosine"}


def test_a_bound_moves_as_its_finding_proposes(finish):
    done = finish("lr_round1", lambda row: 0.8 + 0.03 * math.log10(row.values[LR]))
    (bound,) = {one.numbers["proposed"] for one in done.findings if one.rule == "boundary"}
    draft = draft_next(*done)
    space = draft.round().nuisance[LR]
    assert (space.low, space.high) == (3e-4, bound)
    assert "rose up to the old bound" in draft.reasons["nuisance", LR, "high"]


def test_a_range_closes_around_its_good_trials_and_never_loses_the_best(finish):
    done = finish("lr_round1", lambda row: valley(row, width=0.3))
    space = draft_next(*done).round().nuisance[LR]
    assert 3e-4 < space.low < 0.007 < space.high < 1e-1
    assert space.high / space.low >= 5
    assert space.low < done.evidence.completed("cosine")[0].values[LR] < space.high


def test_a_range_ends_where_trials_stop_working(finish):
    done = finish("lr_round1", lambda row: 0.8 if row.values[LR] < 0.03 else None)
    works = [r.values[LR] for r in done.evidence.trials if r.state == "completed"]
    space = draft_next(*done).round().nuisance[LR]
    assert space.low == 3e-4
    assert max(works) <= space.high < 1.1 * max(works)


def test_what_did_not_matter_is_fixed_with_a_caveat_but_never_the_learning_rate(finish):
    decay = "model.optimizer.init_args.weight_decay"
    spaces = {"nuisance": {decay: {"dist": "log", "low": 1e-4, "high": 1e-1}}}
    told = {**spaces, "fixed": None}
    done = finish("lr_round1", lambda row: lead("cosine")(row) + 0 * row.values[decay], **told)
    draft = draft_next(*done)
    assert list(draft.round().nuisance) == [LR]
    assert decay in draft.round().fixed
    assert any("weight_decay" in one for one in draft.round().caveats)

    def matters(row):
        return lead("cosine")(row) - 0.02 * (math.log10(row.values[decay]) + 2.5) ** 2

    done.folder.path.rename(done.folder.path.with_name("first"))
    assert decay in draft_next(*finish("lr_round1", matters, **told)).round().nuisance


def test_a_new_question_takes_the_place_of_the_answered_one(finish):
    done = finish("lr_round1", lead("cosine"))
    draft = draft_next(*done, ask={DROPOUT: [0, 0.3]}, question="Does dropout help?")
    round = draft.round()
    assert round.scientific[DROPOUT].values == [0, 0.3]
    assert round.fixed["model.schedule"] == "cosine"
    assert round.goal.question == "Does dropout help?"
    assert round.sampler.seed == done.evidence.round.sampler.seed + 1


def test_longer_training_keeps_as_many_validations_and_carries_the_schedule(finish):
    done = finish("lr_round1", lead("cosine"), overrides={"model.warmup_steps": 30})
    before = done.evidence.round
    round = draft_next(*done, steps=1800).round()
    assert round.training.steps == 1800
    assert round.training.evaluate_every == 3 * before.training.evaluate_every
    assert round.budget.trial_time == 3 * before.budget.trial_time
    assert round.overrides == before.overrides


def test_shorter_training_passes_lint_and_keeps_the_share_of_its_warmup(finish):
    done = finish("lr_round1", lead("cosine"), fixed={"model.warmup_steps": 30}, overrides=None)
    round = draft_next(*done, steps=150).round()
    assert round.fixed["model.warmup_steps"] == 7
    assert not [one for one in lint(round) if one.severity == "error"]


def test_a_setting_of_the_schedule_changes_where_it_stands(finish):
    linear = {"model.schedule": "linear", "model.decay_steps": 200}
    done = finish("regularise_round3", lead("dropout"), fixed=linear)
    short = draft_next(*done, steps=150)
    assert short.round().fixed["model.decay_steps"] < 150
    assert "model.decay_steps" not in short.round().overrides


def test_lengths_that_are_asked_about_are_a_rounds_own(finish):
    scores = {"300": 0.9, "600": 0.7, "1200": 0.5}
    done = finish("length_round5", lambda row: scores[row.arm])
    assert draft_next(*done, steps=1200).round().training.steps == 1200
    assert draft_longer(*done, steps=1200).round().training.steps == 1200
    done.folder.path.rename(done.folder.path.with_name("first"))
    level = finish("length_round5", lambda row: 0.7)
    assert "trainer.max_steps" not in draft_exploit(*level).round().nuisance
    late = replace(
        next(one for one in level.findings if one.rule == "length"),
        verdict="warn",
        numbers={"best_in_last_quarter": 1.0},
    )
    assert LENGTHS in draft_next(*level[:2], [*level.findings, late]).round().scientific
    with pytest.raises(InputError, match="change its values in the draft by hand"):
        draft_next(*level, steps=50)


def test_the_best_points_of_a_part_of_a_range_are_listed_whole(finish):
    space = {"dist": "uniform", "low": 0, "high": 0.6}
    told = {"scientific": {DROPOUT: {"range": space, "buckets": 3}}}
    round = draft_longer(*finish("lr_round1", valley, **told), steps=1200).round()
    assert all({DROPOUT, LR} == point.keys() for point in round.sampler.points)


def test_what_is_no_text_but_a_class_is_written_among_others(finish):
    whole = {"class_path": "torch.optim.SGD", "init_args": {"momentum": 0.9}}
    values = ["torch.optim.Adam", whole]
    told = {"scientific": {"model.optimizer": {"values": values}}}
    draft = draft_next(*finish("lr_round1", valley, **told, fixed=None))
    assert parse_round(load_yaml(render(draft), "draft"), draft.name) == draft.round()
    assert draft.round().scientific["model.optimizer"].values == values


def test_classes_that_are_open_keep_no_arguments_of_the_leader(finish):
    classes = ["torch.optim.SGD", "torch.optim.AdamW"]
    told = {"scientific": {"model.optimizer": {"values": classes}}, "fixed": None}
    round = draft_exploit(*finish("lr_round1", valley, **told)).round()
    assert set(round.nuisance["model.optimizer"].choices) <= set(classes)
    assert not [key for key in round.fixed if key.startswith("model.optimizer.")]


def test_longer_fits_need_nothing_to_be_searched(finish):
    told = {"nuisance": None, "budget": {"points": 1}, "seeds": [1, 2, 3]}
    draft = draft_longer(*finish("lr_round1", lambda row: 0.7, **told), steps=1200)
    round = parse_round(load_yaml(render(draft), "draft"), draft.name)
    assert (round.sampler.kind, round.training.steps) == ("halton", 1200)


def test_a_condition_on_a_number_goes_with_its_arm(finish):
    layers = "model.backbone.init_args.num_layers"
    dropout = {"dist": "uniform", "low": 0.1, "high": 0.5}
    told = {
        "scientific": {layers: {"values": [1, 2, 3]}},
        "conditional": [{"when": {layers: [2, 3]}, "nuisance": {DROPOUT: dropout}}],
    }
    good = [f"{schedule}+{count}" for schedule in ("constant", "cosine") for count in (1, 2)]
    round = draft_next(*finish("lr_round1", lead(*good), **told)).round()
    assert [arm.name for arm in arms(round)] == good
    assert round.conditional[0].when == {layers: [2]}


def test_what_is_asked_about_has_no_other_role(finish):
    layers = "model.backbone.init_args.num_layers"
    told = {
        "nuisance": {LR: {"dist": "log", "low": 1e-3, "high": 1e-1},
                     layers: {"dist": "categorical", "choices": [1, 2]}},
        "conditional": [{"when": {layers: 2}, "fixed": {DROPOUT: 0.2}}],
    }  # fmt: skip
    done = finish("lr_round1", lead("cosine"), **told)
    assert DROPOUT in draft_next(*done, ask={DROPOUT: [0, 0.3]}).round().scientific
    done.folder.path.rename(done.folder.path.with_name("first"))
    done = finish("lr_round1", lead("cosine"))
    assert draft_next(*done, ask={LR: [1e-3, 1e-2]}).round().budget.points == 1


def test_what_is_fixed_stays_within_its_bounds(finish):
    decay = "model.ema_decay"
    told = {"nuisance": {decay: {"dist": "uniform", "low": 0.99, "high": 0.9995}}, "fixed": None}
    done = finish("lr_round1", lead("cosine"), **told)
    assert 0.99 <= draft_next(*done).round().fixed[decay] <= 0.9995


def test_rounding_moves_no_bound_out(finish):
    decay = "model.ema_decay"
    told = {"nuisance": {decay: {"dist": "uniform", "low": 0.99, "high": 0.9995}}, "fixed": None}
    done = finish("lr_round1", lambda row: 0.8 - 2e4 * (row.values[decay] - 0.9965) ** 2, **told)
    draft = draft_next(*done)
    space = draft.round().nuisance[decay]
    assert 0.99 <= space.low < space.high <= 0.9995
    assert ("nuisance", decay, "high") not in draft.reasons  # it has not moved


def test_a_round_whose_file_is_gone_is_drafted_from_as_well(finish):
    done = finish("lr_round1", lead("cosine"))
    wanted = draft_next(*done).round()
    done.folder.source.unlink()
    assert draft_next(*done).round() == wanted


def test_no_comment_breaks_a_file(finish):
    draft = draft_next(*finish("lr_round1", lead("cosine")))
    draft.notes.append("a cause\nin two: lines")
    draft.reasons["phase",] = "why\nnot"
    assert parse_round(load_yaml(render(draft), "draft"), draft.name) == draft.round()


def test_there_must_be_something_to_learn_from(finish):
    done = finish("lr_round1", lambda row: None)
    with pytest.raises(InputError, match="no trial of lr_round1 is completed"):
        draft_next(*done)


def test_a_demonstration_is_no_evidence(finish):
    folder, evidence, findings = finish("lr_round1", lead("cosine"))
    quick = replace(evidence, round=make_quick(evidence.round))
    with pytest.raises(InputError, match="no evidence to draft from: run lr_round1 whole"):
        draft_next(folder, quick, findings)


@pytest.mark.parametrize(
    ("name", "following"), [("lr_round1", "lr_round2"), ("arm9", "arm10"), ("first", "first_next")]
)
def test_names_count_on(name, following):
    assert next_name(name) == following
