"""Which round's folder a study in a database belongs to: other folders may hold rounds of its name.

A mark, drawn when the study is made, stands in both.
"""

import json
import uuid

import optuna

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.storage import show_url

__all__ = ["check_owner", "made_in", "own"]

FILE, KEY = "study.json", "folder"


def _read(folder: RoundFolder) -> dict[str, str]:
    try:
        told: dict[str, str] = json.loads((folder.path / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return told


def made_in(folder: RoundFolder) -> str:
    """Name the database where a folder's study was made, without its password; "" for none."""
    return _read(folder).get("storage", "")


def own(folder: RoundFolder, study: optuna.Study, url: str) -> None:
    """Mark a study and a round's folder as belonging together.

    Args:
        folder: of the round.
        study: in a database.
        url: of the database, as a round file has it.
    """
    mark = uuid.uuid4().hex
    folder.write_json(FILE, {KEY: mark, "storage": show_url(url)})
    study.set_user_attr(KEY, mark)


def check_owner(folder: RoundFolder, study: optuna.Study, url: str) -> None:
    """Refuse a study that belongs to another folder; take one that belongs to none.

    Raises:
        InputError: it belongs to another.
    """
    mark = study.user_attrs.get(KEY)
    if mark is None:
        own(folder, study, url)
    elif mark != _read(folder).get(KEY):
        raise InputError(
            f"{show_url(url)} holds a study named {study.study_name} already, of another folder "
            f"than {folder.path}: give the round another name; or, if that folder is gone, "
            f"set its study aside with `phoneme-sweep doctor {folder.path} --rebuild-study`"
        )
