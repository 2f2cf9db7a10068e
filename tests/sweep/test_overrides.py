import pytest
import yaml

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.models import CNN
from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.overrides import base_settings, flatten, overrides
from phoneme_lightning.sweep.round_file import parse_round

LR = "model.optimizer.init_args.lr"
DECAY = "model.optimizer.init_args.weight_decay"
LOG = {"dist": "log", "low": 1e-4, "high": 1e-1}
SGD = {"class_path": "torch.optim.SGD", "init_args": {"nesterov": True, "momentum": 0.9}}


def a_round(**changes):
    return parse_round(
        {
            "goal": {"question": "Which?"},
            "base": ["configs/rnn.yaml"],
            "budget": {"points": 2},
            "training": {"steps": 100, "evaluate_every": 10},
            "nuisance": {LR: LOG},
            **changes,
        },
        "r",
    )


def of_arm(round, arm, **options):
    row = next(row for row in design(round) if row.arm == arm)
    return row, flatten(overrides(round, row, **options))


def resolve(settings, tmp_path, capsys):
    """Give what phoneme-cli makes of the RNN's config with these overrides."""
    file = tmp_path / "overrides.yaml"
    file.write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit, match="0"), pytest.warns(UserWarning, match="args parameter"):
        PhonemeCLI(["fit", "--config=configs/rnn.yaml", f"--config={file}", "--print_config"])
    return flatten(yaml.safe_load(capsys.readouterr().out))


@pytest.fixture(scope="module")
def new_classes():
    """Give a round whose arms have other classes than the config, which sets what would fit."""
    base = flatten(base_settings(["configs/rnn.yaml"]))
    assert base["model.backbone.init_args.dropout"] == 0.3
    assert base[DECAY] not in (0.0, 0.01)  # the classes' own
    return a_round(
        scientific={
            "model.backbone": {"values": {"CNN": {"class_path": "phoneme_lightning.models.CNN"}}},
            "model.optimizer": {"values": [SGD, {"class_path": "torch.optim.AdamW"}]},
        }
    )


def test_phoneme_cli_sees_the_class_s_own_defaults(new_classes, tmp_path, capsys):
    row, flat = of_arm(new_classes, "CNN+SGD")
    seen = resolve(overrides(new_classes, row), tmp_path, capsys)
    own = {name.removeprefix("model.backbone.init_args."): one for name, one in seen.items()}
    assert own["dropout"] == 0.2 != 0.3
    assert own["dilations"] == [1, 2, 4, 8]
    assert seen["model.backbone.class_path"] == "phoneme_lightning.models.CNN"
    assert seen["model.optimizer.class_path"] == "torch.optim.SGD"
    assert seen[DECAY] == 0.0
    assert seen["model.optimizer.init_args.nesterov"] is True
    assert seen[LR] == row.values[LR]
    assert seen["trainer.max_steps"] == 100
    assert seen["divergence.lost_gradients"] == 20
    assert "model.backbone.init_args.num_features" not in flat
    assert CNN.__init__.__defaults__[0] == 39  # that is the key which phoneme-cli links


def test_an_arm_of_the_config_s_own_class_is_as_whole_as_the_others(new_classes):
    _, flat = of_arm(new_classes, "CNN+AdamW")
    assert flat["model.optimizer.init_args.betas"] == [0.9, 0.999]
    assert flat[DECAY] == 0.01  # AdamW's own


@pytest.mark.parametrize("form", ["whole", "class_path", "name"])
def test_a_class_may_be_written_in_three_ways(form):
    cnn = "phoneme_lightning.models.CNN"
    key = "model.backbone.class_path" if form == "class_path" else "model.backbone"
    value = {"class_path": cnn} if form == "whole" else cnn
    _, flat = of_arm(a_round(scientific={key: {"values": [value]}}), "CNN")
    assert flat["model.backbone.class_path"] == cnn
    assert flat["model.backbone.init_args.dropout"] == 0.2


def test_what_is_inherited_comes_from_the_base_and_nothing_else_does(tmp_path):
    scientific = {"model.backbone": {"values": ["phoneme_lightning.models.CNN"]}}
    scientific["model.backbone"]["inherit"] = ["dropout"]
    _, flat = of_arm(a_round(scientific=scientific), "CNN")
    assert flat["model.backbone.init_args.dropout"] == 0.3
    base = {"model": {"backbone": {"init_args": {"dropout": 0.7, "kernel_size": 9}}}}
    _, flat = of_arm(a_round(scientific=scientific), "CNN", base=base)
    assert flat["model.backbone.init_args.dropout"] == 0.7
    assert flat["model.backbone.init_args.kernel_size"] == 5


def test_what_is_inherited_may_be_an_override():
    round = a_round(
        overrides={"model.backbone.init_args.dropout": 0.05},
        scientific={"model.backbone": {"values": ["phoneme_lightning.models.CNN"], "inherit": [
            "dropout"]}},
    )  # fmt: skip
    assert of_arm(round, "CNN")[1]["model.backbone.init_args.dropout"] == 0.05


def test_a_class_of_a_short_path_is_whole_too(tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text("class Net:\n    def __init__(self, dropout=0.9): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    _, flat = of_arm(a_round(scientific={"model.backbone": {"values": ["my_nets.Net"]}}), "Net")
    assert flat["model.backbone.class_path"] == "my_nets.Net"
    assert flat["model.backbone.init_args.dropout"] == 0.9


def test_overrides_of_the_old_class_go_and_what_the_round_holds_fixed_stays():
    round = a_round(
        overrides={"model": {"optimizer": {"init_args": {"eps": 1e-6}}}, "model.warmup_steps": 3},
        fixed={DECAY: 0.05},
        scientific={"model.optimizer": {"values": [SGD]}},
    )
    _, flat = of_arm(round, "SGD")
    assert "model.optimizer.init_args.eps" not in flat
    assert flat[DECAY] == 0.05
    assert flat["model.warmup_steps"] == 3


def test_an_override_with_the_base_s_class_keeps_what_the_base_says():
    adamw = {"class_path": "torch.optim.AdamW", "init_args": {"eps": 1e-6}}
    _, flat = of_arm(a_round(overrides={"model.optimizer": adamw}), "all")
    assert DECAY not in flat
    _, flat = of_arm(a_round(overrides={"model.optimizer": SGD}), "all")
    assert flat[DECAY] == 0


def test_later_kinds_of_keys_win():
    round = a_round(
        overrides={"model.schedule": "linear", "model.warmup_steps": 1, "model.ema_decay": 0.1},
        fixed={"model.warmup_steps": 2, "model.ema_decay": 0.2},
        conditional=[
            {"when": {"model.schedule": "cosine"}, "fixed": {"model.ema_decay": 0.3}},
        ],
        scientific={"model.schedule": {"values": ["constant", "cosine"]}},
        seeds=[4],
    )
    row, flat = of_arm(round, "cosine")
    expected = {
        "model.schedule": "cosine",
        "model.warmup_steps": 2,
        "model.ema_decay": 0.3,
        LR: row.values[LR],
        "trainer.max_steps": 100,
        "trainer.val_check_interval": 10,
        "run.keep_best": 1,
        "divergence.chance_after": None,
        "divergence.loss_above": 20.0,
        "divergence.lost_gradients": 20,
        "seed_everything": 4,
    }
    assert flat == expected
    assert of_arm(round, "constant")[1]["model.ema_decay"] == 0.2


def test_an_arm_s_own_length_wins_and_what_is_derived_follows_it():
    round = a_round(
        scientific={"trainer.max_steps": {"values": [50, 200]}},
        nuisance={"one_minus_beta1": LOG, LR: LOG},
        derived={
            "model.optimizer.init_args.betas": ["1 - one_minus_beta1", 0.999],
            "model.warmup_steps": "round(0.1 * trainer.max_steps)",
            "model.label_smoothing": f"min(1, 2 * {LR})",
        },
    )
    for arm, warmup in (("50", 5), ("200", 20)):
        row, flat = of_arm(round, arm)
        assert flat["trainer.max_steps"] == int(arm)
        assert flat["model.warmup_steps"] == warmup
        first = 1 - row.values["one_minus_beta1"]
        assert flat["model.optimizer.init_args.betas"] == [first, 0.999]
        assert flat["model.label_smoothing"] == 2 * row.values[LR]
        assert not [key for key in flat if "one_minus" in key]


def test_a_drawn_class_is_whole_as_well():
    choices = ["torch.optim.SGD", "torch.optim.AdamW"]
    kind = {"dist": "categorical", "choices": choices}
    momentum = {"dist": "uniform", "low": 0.5, "high": 0.99}
    round = a_round(
        nuisance={"model.optimizer.class_path": kind, LR: LOG},
        conditional=[
            {
                "when": {"model.optimizer.class_path": "torch.optim.SGD"},
                "nuisance": {"model.optimizer.init_args.momentum": momentum},
            }
        ],
    )
    rows = {row.values["model.optimizer.class_path"]: row for row in design(round)}
    sgd = flatten(overrides(round, rows[choices[0]]))
    assert sgd["model.optimizer.init_args.momentum"] >= 0.5
    assert sgd[DECAY] == 0
    assert "model.optimizer.init_args.momentum" not in flatten(overrides(round, rows[choices[1]]))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fixed": {"model.optimizer": "torch.optim.SDG"}}, "class_path is 'torch.optim.SDG'"),
        ({"fixed": {"model.optimizer": "torch.optm.SGD"}}, "class_path is 'torch.optm.SGD'"),
        ({"fixed": {"model.optimizer.class_path": 3}}, "model.optimizer.class_path is 3: write a"),
        # phoneme-cli would train AdamW and call it SGD
        (
            {"scientific": {"model.optimizer": {"values": ["SGD"]}}},
            "model.optimizer.class_path is 'SGD'",
        ),
        (
            {"scientific": {"model.optimizer": {"values": [SGD], "inherit": ["weight_decoy"]}}},
            "scientific.model.optimizer.inherit has weight_decoy, which no base config",
        ),
        ({"overrides": {"model.optimizer.init_args": 3}}, f"init_args is 3, and {LR} is set as we"),
        ({"derived": {"model.warmup_steps": f"1 / ({LR} - {LR})"}}, "derived.model.warmup_steps: "),
        (
            {"fixed": {"model.x": "yes"}, "derived": {"model.warmup_steps": "model.x"}},
            "model.x is 'yes', which is no number",
        ),
        ({"base": ["configs/nosuch.yaml"], "fixed": {"a.b.C": "a.b.C"}}, "configs/nosuch.yaml"),
    ],
)
def test_what_cannot_be_is_named(changes, complaint):
    round = a_round(**changes)
    with pytest.raises(InputError, match=complaint):
        overrides(round, design(round)[0])
