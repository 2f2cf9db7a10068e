"""A round's study as a dashboard opens it."""

import json
from threading import Thread
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.dashboard import open_to_read
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.rebuild import rebuild_study
from phoneme_lightning.sweep.round import Storage

LR = "model.optimizer.init_args.lr"


class Quiet(WSGIRequestHandler):
    """Writes nothing to stderr."""

    def log_message(self, *words) -> None:
        pass


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_a_round_can_be_read_and_not_changed(plant, tmp_path, kind):
    url = "journal" if kind == "journal" else f"sqlite:///{tmp_path}/study.db"
    told = {"values": {LR: 1e-2}, "state": "completed", "curve": [0.1, 0.3, 0.2]}
    folder = plant(
        tmp_path / "seen",
        {"p000-all-s0": told, "p001-all-s0": {"values": {LR: 0.1}}},
        storage=Storage(url),
    )
    round = load_round(folder)
    if kind == "journal":
        with pytest.raises(InputError, match="is missing"):
            open_to_read(folder, round)
    rebuild_study(folder, round)
    file = folder.journal if kind == "journal" else tmp_path / "study.db"
    before = file.read_bytes()

    storage = open_to_read(folder, round)
    study = optuna.load_study(study_name="seen", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "WAITING"]
    assert study.best_value == 0.3
    assert study.best_params == {LR: 1e-2}
    for change in (
        lambda: study.set_user_attr("seen", True),
        lambda: study.enqueue_trial({LR: 0.5}),
        lambda: optuna.delete_study(study_name="seen", storage=storage),
    ):
        with pytest.raises(PermissionError, match="only read"):
            change()
    assert file.read_bytes() == before


def test_the_dashboard_serves_a_round(plant, tmp_path):
    dashboard = pytest.importorskip("optuna_dashboard")
    told = {"values": {LR: 1e-2}, "state": "completed", "curve": [0.1, 0.3, 0.2]}
    folder = plant(tmp_path / "seen", {"p000-all-s0": told})
    rebuild_study(folder, load_round(folder))
    application = dashboard.wsgi(open_to_read(folder, load_round(folder)))
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        Thread(target=server.handle_request).start()
        with urlopen(f"http://127.0.0.1:{server.server_port}/api/studies") as answer:
            studies = json.load(answer)["study_summaries"]
    assert [study["study_name"] for study in studies] == ["seen"]
