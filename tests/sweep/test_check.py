"""Every point through the real parser: what is refused is named, what passed is remembered."""

import json
import time

import pytest
import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep import check
from phoneme_lightning.sweep.check import check_points, probes
from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.overrides import overrides
from phoneme_lightning.sweep.round_file import parse_round
from phoneme_lightning.training.outcome import read_outcome

BASE = {
    "goal": {"question": "?"},
    "base": ["configs/tiny.yaml"],
    "budget": {"points": 4},
    "training": {"steps": 4, "evaluate_every": 2},
    "scientific": {"model.schedule": {"values": ["constant", "cosine"]}},
    "nuisance": {"model.optimizer.init_args.lr": {"dist": "log", "low": 1e-3, "high": 1e-1}},
    "tracking": {"wandb": "disabled"},
}
DELTAS = ["none", "some", "temporal", "file"]
MODELS = "phoneme_lightning.models"


@pytest.fixture
def check_round(place, monkeypatch):
    """Give what checks a round made of BASE and some changes."""
    monkeypatch.chdir(place.path)
    folder = RoundFolder(place.path / "round")
    folder.configs.mkdir(parents=True)
    (folder.configs / "0-tiny.yaml").write_text((place.path / "configs/tiny.yaml").read_text())

    def check_round(progress=None, **changes):
        round = parse_round(BASE | changes, "round")
        rows = design(round) if round.phase == "explore" else []
        return folder, round, rows, check_points(folder, round, rows, progress)

    return check_round


def test_a_point_is_parsed_to_what_its_fit_writes_down(check_round):
    from phoneme_lightning.cli import PhonemeCLI

    arms = {
        "RNN": {"class_path": f"{MODELS}.RNN", "init_args": {"hidden_size": 4}},
        "CNN": {"class_path": f"{MODELS}.CNN", "init_args": {"dim": 8, "num_blocks": 1}},
    }
    folder, round, rows, checked = check_round(scientific={"model.backbone": {"values": arms}})
    for row in (rows[0], rows[1]):
        settings = overrides(round, row) | {"run": {"folder": str(folder.path / row.trial)}}
        settings["wandb"] = {"mode": "disabled"}
        (folder.path / "overrides.yaml").write_text(yaml.safe_dump(settings))
        configs = [*folder.base_configs(), folder.path / "overrides.yaml"]
        PhonemeCLI(["fit", *(f"--config={config}" for config in configs)])
        written = yaml.safe_load((folder.path / row.trial / "config.yaml").read_text())
        # What follows from other keys is not written.
        config = checked[row.trial].config
        assert config["model"]["backbone"]["init_args"].pop("num_features") == 39
        assert config["data"].pop("seed") == 0
        for section in ("model", "data", "trainer", "seed_everything"):
            assert config[section] == written[section]
        assert checked[row.trial].parameters == read_outcome(folder.path / row.trial).parameters


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"nuisance": {"model.optimizer.init_args.lrr": {"dist": "log", "low": 1, "high": 2}}},
            r"arm constant, in the middle of its space: model\.optimizer\.init_args\.lrr is 1\.41",
        ),
        (
            {"nuisance": {"model.warmup_steps": {"dist": "uniform", "low": 1, "high": 2}}},
            r"arm constant, in the middle of its space: model\.warmup_steps is 1\.5: ",
        ),
        (
            {"scientific": {"model.schedule": {"values": ["constant", "cosin"]}}},
            r"arm cosin, in the middle of its space: model\.schedule is 'cosin': .*cosine",
        ),
        (
            {"nuisance": {"model.label_smoothing": {"dist": "uniform", "low": 0, "high": 1}}},
            r"highest corner .*model\.label_smoothing is 1(\.0)?: .*below 1",
        ),
        (
            {"nuisance": {"x": {"dist": "log", "low": 0.5, "high": 2}},
             "derived": {"model.optimizer.init_args.betas": ["1 - x", 0.999]}},
            r"highest corner .*betas is \[-1\.0, 0\.999\]: .*[Ii]nvalid beta",
        ),
        (
            {"nuisance": {"data.deltas": {"dist": "categorical", "choices": DELTAS}}},
            r"arm constant, where data\.deltas is some: data\.deltas is 'some': ",
        ),
        (
            {"sampler": {"kind": "list", "points": [{"model.ema_decay": x} for x in (0, 2)]},
             "nuisance": {"model.ema_decay": {"dist": "uniform", "low": 0, "high": 3}},
             "budget": {"points": 2}},
            r"trial p001-constant-s0: model\.ema_decay is 2: ",
        ),
        ({"constraints": ["paramters <= 1e6"]}, r"arm constant, .*paramters is not there"),
        ({"fixed": {"model.backbone.init_args.hidden_size": -4}}, r"hidden_size is -4: "),
        ({"fixed": {"model.backbone.init_args.hidden": 4}}, r"hidden is 4: .*hidden_size"),
    ],
    ids=["key", "type", "arm", "corner", "derived", "choice", "point", "constraint", "value",
         "fixed"],
)  # fmt: skip
def test_what_phoneme_cli_would_refuse_is_named(check_round, changes, said):
    with pytest.raises(InputError, match=said) as caught:
        check_round(**changes)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_base_config_is_named(check_round, place):
    path = place.path / "round/configs/0-tiny.yaml"
    path.write_text(path.read_text().replace("schedule:", "shedule:"))
    with pytest.raises(InputError, match=r"base 0-tiny\.yaml: .*shedule"):
        check_round()


def test_what_was_parsed_is_remembered_and_nothing_else(check_round, monkeypatch, place):
    calls = []
    folder, _, rows, first = check_round(lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(rows) + 6, len(rows) + 6)
    parsed = []
    original = check._Checker.check
    monkeypatch.setattr(
        check._Checker, "check", lambda *args: parsed.append(args[1]) or original(*args)
    )
    *_, again = check_round()
    assert again == first
    assert not parsed
    _, _, more, _ = check_round(budget={"points": 6})
    assert parsed == [f"trial {row.trial}" for row in more[len(rows) :]]
    parsed.clear()
    config = folder.configs / "0-tiny.yaml"
    config.write_text(config.read_text().replace("hidden_size: 8", "hidden_size: 9"))
    _, _, rows, changed = check_round()
    assert len(parsed) == len(rows) + 6
    assert changed[rows[0].trial].parameters > first[rows[0].trial].parameters


def test_an_exploit_round_s_corners_are_parsed_before_it_has_points(check_round):
    spaces = {
        "model.optimizer.init_args.lr": {"dist": "log", "low": 1e-3, "high": 1e-1},
        "model.schedule": {"dist": "categorical", "choices": ["constant", "cosin"]},
    }
    with pytest.raises(InputError, match=r"model\.schedule is 'cosin'"):
        check_round(phase="exploit", scientific={}, sampler={"kind": "gp"}, nuisance=spaces)


def test_corners_are_the_bounds_of_each_arm():
    wide = {"dist": "log", "low": 1e-4, "high": 1}
    own = {"when": {"model.schedule": "cosine"}, "nuisance": {"model.optimizer.init_args.lr": wide}}
    found = [
        (row.arm, row.values["model.optimizer.init_args.lr"])
        for row in probes(parse_round(BASE | {"conditional": [own]}, "round"))
    ]
    assert found == [
        ("constant", pytest.approx(1e-2)),
        ("constant", pytest.approx(1e-3)),
        ("constant", pytest.approx(1e-1)),
        ("cosine", pytest.approx(1e-2)),
        ("cosine", pytest.approx(1e-4)),
        ("cosine", pytest.approx(1)),
    ]


def test_a_point_takes_less_than_40_ms(check_round):
    size = {"model.backbone.init_args.hidden_size": {"dist": "int", "low": 4, "high": 4000}}

    def seconds(points):
        start = time.process_time()
        folder, *_ = check_round(nuisance=BASE["nuisance"] | size, budget={"points": points})
        (folder.path / "checked.json").unlink()
        return time.process_time() - start

    seconds(4)  # parser and classes are loaded now
    assert (seconds(29) - seconds(4)) / 50 < 0.04


def test_the_memory_is_whole_json(check_round):
    folder, *_ = check_round()
    remembered = json.loads((folder.path / "checked.json").read_text())
    assert all(set(one) == {"parameters", "config"} for one in remembered.values())
