"""What programs in results/ keep of runs, and the tables and pictures that they make of it."""

import gzip
import json
import platform
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.confusion_file import write_confusion
from phoneme_lightning.inference.ensemble import ensemble
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import Outcome, write_outcome
from phoneme_lightning.training.utterance_file import write_utterances

ROOT = Path(__file__).parents[1]
KINDS = ("models", "apart", "differences", "recipes")
PARTS = "".join(f"<!-- {kind} -->\n<!-- end -->\n" for kind in KINDS)


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Let the programs of results/ be imported, as they import one another."""
    monkeypatch.syspath_prepend(str(ROOT / "results"))
    yield
    for name in ("keep", "facts", "tables", "differences", "draw", "recipes", "strangers"):
        sys.modules.pop(name, None)


def score(run, right):
    """Write what a test leaves: four utterances by two speakers, 100 frames each."""
    run.mkdir(parents=True, exist_ok=True)
    names = ("1-1-1", "1-1-2", "2-1-1", "2-1-2")
    write_utterances(run, [(name, 100, n) for name, n in zip(names, right, strict=True)])
    confusion = np.zeros((41, 41), dtype=int)
    confusion[0, :2] = sum(right), 400 - sum(right)
    write_confusion(run, confusion)
    scores = dict.fromkeys(("val/macro_f1", "val/phone_error_rate"), 0.25)
    told = {"val/frame_accuracy": sum(right) / 400, **scores}
    (run / "validation.json").write_text(json.dumps(told))
    (run / "prediction.csv").write_text("Id,Class\n0,1\n")
    return run


def write_fit(run, right, *, seed=0, steps=20, by="speaker", hidden_size=4):
    """Write what a fit leaves that validates each 10 steps, and a test of it."""
    score(run, right)
    net = {"class_path": "models.RNN", "init_args": {"hidden_size": hidden_size}}
    config = {"seed_everything": seed, "model": {"backbone": net}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    rows = ["step,train/loss,train/frames_seen,train/frames_per_second,val/frame_accuracy"]
    for step in range(1, steps + 1):
        rows.append(f"{step},1,{step * 900},{100 if step <= 10 else 300},")
        if step % 10 == 0:
            rows.append(f"{step},,,,{sum(right) / 400 * step / steps:.7g}")
    (run / "metrics.csv").write_text("\n".join(rows) + "\n")
    (run / "command.txt").write_text(f"# now, in {run.parent}\nphoneme-cli fit --config a.yaml\n")
    write_outcome(run, Outcome("completed", step=steps, seconds=9.0, parameters=1500))
    validation = {"utterances": 4, "frames": 400, "speakers": 2}
    sizes = {"train": validation, "validation": validation, "test": {"labelled": False}}
    environment = {"splits": {"by": by, **sizes}, "host": "elsewhere"}
    environment |= {"device": "CPU", "threads": 1, "precision": "32-true"}
    (run / "environment.json").write_text(json.dumps(environment, indent=2))
    return run


def write_ensemble(run, right, nets, decoder=None):
    """Write what `phoneme-cli ensemble` leaves of nets in the same folder."""
    told = json.loads((score(run, right) / "validation.json").read_text())
    told["checkpoints"] = [f"{net.name}/checkpoints/best.ckpt" for net in nets]
    told |= {"decoder": decoder} if decoder else {}
    (run / "validation.json").write_text(json.dumps(told))
    (run / "command.txt").write_text(f"# now, in {run.parent}\nphoneme-cli ensemble\n")
    return run


def test_real_runs_are_kept_without_their_machine(make_store, tmp_path, monkeypatch):
    from draw import draw
    from keep import keep
    from tables import fill

    monkeypatch.chdir(tmp_path)
    make_store(tmp_path / "data/libriphone", utterances=24, labelled_test=False)
    settings = {
        **{"data.corpus": "libriphone", "data.split": "speaker", "data.frames_per_batch": 200},
        **{"model.backbone": "RNN", "model.backbone.init_args.hidden_size": 4},
        **{"trainer.max_steps": 4, "trainer.val_check_interval": 2, "trainer.accelerator": "cpu"},
        **{"trainer.log_every_n_steps": 1, "run.pictures": False, "wandb.mode": "disabled"},
    }
    words = [f"--{key}={value}" for key, value in settings.items()]
    runs = [Path(f"runs/rnn-s{seed}") for seed in (3, 4)]
    for seed, run in zip((3, 4), runs, strict=True):
        PhonemeCLI(["fit", f"--seed_everything={seed}", f"--run.folder={run}", *words])
        PhonemeCLI(["test", f"--ckpt_path={run}/checkpoints/best.ckpt"])
    ensemble([f"{run}/checkpoints/best.ckpt" for run in runs], decode=True, out="runs/both")
    kept = tmp_path / "kept"
    keep("rnn", runs, kept)
    keep("ensemble", [Path("runs/both")], kept)
    keep("ensemble-decoded", [Path("runs/both/decoded")], kept)

    told = json.loads((kept / "rnn/summary.json").read_text())
    for seed, of_seed in zip((3, 4), told["runs"], strict=True):
        scores = json.loads(Path(f"runs/rnn-s{seed}/validation.json").read_text())
        assert (of_seed["seed"], of_seed["steps"]) == (seed, 4)
        assert of_seed["frame_accuracy"] == scores["val/frame_accuracy"]
    both = json.loads((kept / "ensemble/summary.json").read_text())
    assert both["parameters"] == 2 * told["parameters"]
    assert both["mean"]["frames_seen"] == 2 * told["mean"]["frames_seen"]
    predicted = gzip.decompress((kept / "ensemble-decoded/prediction.csv.gz").read_bytes())
    assert predicted == Path("runs/both/decoded/prediction.csv").read_bytes()
    texts = [file for file in kept.rglob("*") if file.suffix in (".txt", ".json", ".yaml", ".csv")]
    assert len(texts) > 15
    for file in texts:
        assert str(tmp_path) not in file.read_text()
        assert '"host"' not in file.read_text()
        assert f'"{platform.node()}"' not in file.read_text()
    page = fill(PARTS, kept)
    assert len(re.findall(r"^\| \[(Rnn|RNN|Ensemble|Ensemble, decoded)\]", page, re.M)) == 3
    assert len(re.findall(r"^\| Ensemble.* - .*to", page, re.M)) == 2
    assert fill(page, kept) == page
    draw(kept, tmp_path)
    for name in ("recipes-curves.png", "recipes-phones.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_not_whole_or_of_other_weights_is_refused_in_a_line(tmp_path):
    from keep import keep

    kept, run = tmp_path / "kept", write_fit(tmp_path / "a", [80, 80, 60, 60])
    again = write_fit(tmp_path / "b", [80, 80, 60, 60])
    elsewhere = write_fit(tmp_path / "c", [80, 80, 60, 60], seed=1, by="utterance")
    wider = write_fit(tmp_path / "d", [80, 80, 60, 60], seed=2, hidden_size=8)
    lone = write_ensemble(tmp_path / "lone", [80, 80, 60, 60], [tmp_path / "gone"])
    refused = {
        (run, again): "same seed",
        (run, wider): "differ in model.backbone.init_args.hidden_size",
        (run, elsewhere): "data.split speaker and others",
        (lone,): "no fit has ended",
        (tmp_path,): "holds no run",
    }
    for runs, told in refused.items():
        with pytest.raises(InputError, match=told):
            keep("net", runs, kept)
    score(again, [90, 80, 60, 60])
    (again / "validation.json").write_bytes((run / "validation.json").read_bytes())
    with pytest.raises(InputError, match=r"utterances-validation\.csv counts 0.7250, .* 0.7000"):
        keep("net", [again], kept)
    (run / "prediction.csv").unlink()
    with pytest.raises(InputError, match=r"no prediction\.csv"):
        keep("net", [run], kept)
    assert not kept.exists()


def test_a_run_in_place_of_the_name_is_refused_and_stays(tmp_path):
    from keep import keep

    one, two = (write_fit(tmp_path / f"s{seed}", [80, 80, 60, 60], seed=seed) for seed in (0, 1))
    for name in (str(one), "runs/net", "..", ""):
        with pytest.raises(InputError, match="no name of a model: give NAME RUN"):
            keep(name, [two], tmp_path / "kept")
    assert (one / "prediction.csv").is_file()


def test_metrics_are_thinned_but_for_validation(tmp_path):
    from keep import ROWS, keep

    run = write_fit(tmp_path / "a", [80, 80, 60, 60], steps=1500)
    keep("net", [run], tmp_path / "kept")
    whole, thin = (read_metrics(at / "metrics.csv") for at in (run, tmp_path / "kept/net/s0"))
    validated = [[row for row in rows if "val/frame_accuracy" in row] for rows in (whole, thin)]
    assert validated[0] == validated[1]
    assert 150 < len(thin) - len(validated[1]) < 2 * ROWS
    for before, row in pairwise(thin):  # the curves are drawn over the frames seen by then
        assert "val/frame_accuracy" not in row or before["train/frames_seen"] == 900 * row["step"]


def test_the_time_is_that_of_all_steps_however_often_a_fit_was_resumed(tmp_path):
    """The clock of the last process, 9 s, is not it: 9000 frames at 100 a second, 9000 at 300."""
    from facts import summarise

    told = summarise("net", [write_fit(tmp_path / "a", [80, 80, 60, 60])])
    assert told["mean"]["seconds"] == 120
    assert told["mean"]["best_step"] == 20
    assert told["deviation"] is None


def test_models_of_other_utterances_do_not_share_a_table(tmp_path):
    from keep import keep
    from tables import fill

    keep("a", [write_fit(tmp_path / "a", [80, 80, 60, 60])], tmp_path / "kept")
    keep("b", [write_fit(tmp_path / "b", [80, 80, 60, 60], by="utterance")], tmp_path / "kept")
    with pytest.raises(InputError, match="remove the older"):
        fill(PARTS, tmp_path / "kept")


@pytest.fixture
def kept(tmp_path):
    """Give a kept baseline and a CRNN of two seeds, an ensemble, and decoded and pseudo ones."""
    from keep import keep

    runs = [write_fit(tmp_path / f"crnn-s{s}", [80 + 2 * s, 80, 60, 60], seed=s) for s in (0, 1)]
    usual = [write_fit(tmp_path / f"usual-s{s}", [75, 75, 55, 50], seed=s) for s in (0, 1)]
    keep("crnn", runs, tmp_path / "kept")
    keep("baseline", usual, tmp_path / "kept")
    both = write_ensemble(tmp_path / "both", [84, 82, 62, 61], runs)
    keep("ensemble", [both], tmp_path / "kept")
    path = write_ensemble(tmp_path / "path", [84, 80, 60, 60], runs[1:], {"test": {}})
    keep("crnn-decoded", [path], tmp_path / "kept")
    keep("crnn-pseudo", [write_fit(tmp_path / "more", [90, 90, 90, 90])], tmp_path / "kept")
    return tmp_path / "kept"


def test_the_differences_are_those_of_the_claims(kept):
    from differences import best_single, pairs
    from tables import fill, read_kept

    found = read_kept(kept)
    assert list(found) == ["baseline", "crnn", "crnn-decoded", "ensemble", "crnn-pseudo"]
    assert best_single(found) == "crnn"
    assert pairs(found) == [
        *(("crnn", "baseline"), ("ensemble", "crnn")),
        *(("crnn-decoded", "crnn"), ("crnn-pseudo", "crnn")),
    ]
    page = fill(PARTS, kept)
    [line] = re.findall(r"^\| CRNN - GRU, the usual recipe \| (\S+) \| .*$", page, re.M)
    assert line == "+0.0650"
    # The decoded one was seed 1, whose 282 right frames become 284; both seeds' mean is 281.
    [line] = re.findall(r"^\| CRNN, decoded - CRNN \| (\S+) \| .* \| - \|$", page, re.M)
    assert line == "+0.0050"


def test_models_may_be_kept_in_any_order(tmp_path):
    from draw import draw
    from keep import keep
    from tables import fill

    runs = [write_fit(tmp_path / f"s{seed}", [80, 80, 60, 60], seed=seed) for seed in (0, 1)]
    keep("ensemble-decoded", [write_ensemble(tmp_path / "both", [84, 82, 62, 61], runs)], tmp_path)
    assert "There are no two to compare yet" in fill(PARTS, tmp_path)
    draw(tmp_path, tmp_path)
    assert not (tmp_path / "recipes-phones.png").exists()


def test_a_table_says_what_is_apart_and_what_holders_of_the_labels_filled_in(kept):
    from tables import fill

    (kept / "public.csv").write_text("model,public\ncrnn,0.8125\n")
    models, apart = fill(PARTS, kept).split("<!-- end -->")[:2]
    assert "with pseudo-labels" not in models
    assert "with pseudo-labels" in apart
    assert re.search(r"^\| \[CRNN\].* \| 0.00 M \| 0.8125 \| 0.7025 \|", models, re.M)
    assert re.search(r"^\| \[Ensemble\].* \| 0.00 M \| - \| 0.7225 \|", models, re.M)
    assert re.search(r"\| 2 \| 0.0035 \| 0.0 M \|", models)


def test_a_corpus_with_a_labelled_test_has_a_table_of_its_own(tmp_path, kept, monkeypatch):
    import keep as program
    from tables import fill

    run = write_fit(tmp_path / "t", [80, 80, 60, 60])
    write_confusion(run, np.array([[280, 120], [0, 0]]), ("iy", "sil"))
    environment = json.loads((run / "environment.json").read_text())
    environment["corpus"] = {"name": "timit"}
    tested = {"utterances": 2, "frames": 14_000, "speakers": 1, "labelled": True}
    environment["splits"]["test"] = tested
    (run / "environment.json").write_text(json.dumps(environment))
    monkeypatch.setattr(program, "HERE", kept.parent)
    with pytest.raises(InputError, match=r"test\.json is missing"):
        program.keep("crnn", [run])
    scores = {"run": str(run), "frame_accuracy": 0.5125, "phone_error_rate": 0.4375}
    (run / "test.json").write_text(json.dumps(scores))
    program.keep("crnn", [run])
    assert str(tmp_path) not in (kept.parent / "timit/crnn/s0/test.json").read_text()
    [line] = fill("<!-- timit -->\n<!-- end -->\n", kept).splitlines()[4:5]
    cells = line.strip("| ").split(" | ")
    assert cells[2:9] == [
        *("4 s, 2 speakers", "4 s, 2 speakers", "0.7000", "0.2500"),
        *("2.3 min, 1 speaker", "0.5125", "0.4375"),
    ]
    assert "timit" not in fill(PARTS, kept)


def test_the_recipes_tell_what_sets_trainings_apart(kept):
    from recipes import recipes
    from tables import title

    for name, deltas in (("crnn", "temporal"), ("baseline", "file")):
        file = kept / name / "s0/config.yaml"
        config = yaml.safe_load(file.read_text())
        config["data"] = {"deltas": deltas, "split": "speaker", "corpus": name}
        file.write_text(yaml.safe_dump(config))
    assert recipes(("baseline", "crnn", "ensemble"), kept, title) == [
        *("- GRU, the usual recipe: `RNN`, hidden_size 4", "- CRNN: `RNN`, hidden_size 4"),
        *("", "| setting | GRU, the usual recipe | CRNN |", "|---|---|---|"),
        "| deltas | file | temporal |",
    ]
