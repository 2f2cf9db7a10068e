"""The one step to a W&B Report that needs W&B: what wandb_report.json describes is sent there."""

import json

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.report.sync import NO_KEY

__all__ = ["FILE", "publish"]

FILE = "wandb_report.json"


def publish(folder: RoundFolder, entity: str | None = None, project: str | None = None) -> str:
    """Build a round's Report in W&B; a second time, replace the one that was built.

    Args:
        folder: of the round.
        entity: user or team that has the runs; whoever the key belongs to, if None.
        project: that has the runs; the round's, if None.

    Returns:
        The Report's address.

    Raises:
        InputError: the round is not described yet, wandb-workspaces is not installed, there is no
            API key, or W&B refuses.
    """
    path = folder.path / FILE
    if not path.is_file():
        again = f"phoneme-sweep report {folder.name} --wandb"
        raise InputError(f"{path} is missing: write it by `{again}`")
    try:
        from phoneme_lightning.sweep.report.wandb_blocks import build
    except ImportError as error:
        raise InputError(
            "wandb-workspaces is not installed: pip install 'phoneme-lightning[workspaces]'"
        ) from error
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise InputError(f"{path} waits, but {NO_KEY}")
    told = json.loads(path.read_text(encoding="utf-8"))
    project = project or told["project"]
    place = f"{entity or 'your own entity'}/{project}"
    try:
        api = wandb.Api()
        entity = entity or api.settings["entity"] or api.default_entity or ""
        place = f"{entity}/{project}"
        report = build(told, entity, project, wandb.util.app_url(api.settings["base_url"]))
        published = folder.path / "wandb_published.json"
        known = json.loads(published.read_text("utf-8")) if published.is_file() else {}
        report.id = known.get(place, {}).get("id", "")
        report.save()
    except Exception as error:  # the client's own errors have no base that says so
        raise InputError(
            f"W&B takes no Report for {place} ({type(error).__name__}: {error}): see whether "
            "--entity and --project are where `phoneme-sweep sync` has put the runs"
        ) from error
    known[place] = {"id": report.id, "url": report.url}
    write_atomically(published, json.dumps(known, indent=2) + "\n")
    return str(report.url)
